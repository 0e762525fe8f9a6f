//! Requirements on every family of models.

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::nn::Weights;
use crate::rng::{Purpose, Rng};

fn small(family: Family) -> Config {
    Config { family, normalize: Normalize::Sample, rate: None }
}

fn families() -> Vec<(Config, Vec<usize>)> {
    let pyramid = PyramidConfig { widths: [8, 8, 8], ..PyramidConfig::for_channels(3) };
    let compact = CompactConfig { widths: [8, 8], ..CompactConfig::new(1, 12, 8, 5) };
    let signal = SignalConfig { widths: [8, 8, 8], ..SignalConfig::for_channels(2) };
    let dense = DenseConfig { hidden: vec![9, 7], ..DenseConfig::new(20, 4) };
    vec![
        (small(Family::Pyramid(pyramid)), vec![2, 3, 16, 24]),
        (small(Family::Compact(compact)), vec![2, 1, 12, 8]),
        (small(Family::Signal(signal)), vec![2, 2, 48]),
        (small(Family::Dense(dense)), vec![2, 20]),
    ]
}

fn noise(dims: &[usize]) -> Tensor {
    let mut rng = Rng::new(5, Purpose::Evaluate, 0);
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

#[test]
fn decoding_gives_the_shape_of_the_input_and_the_maps_are_those_announced() {
    for (config, dims) in families() {
        config.validate().unwrap();
        let weights = Weights::to_train(Default::default(), 1);
        let model = Model::new(&config, weights.builder(&Device::Cpu)).unwrap();
        let code = model.encode(&noise(&dims)).unwrap();
        let rebuilt = model.decode(&code.planes).unwrap();
        assert_eq!(rebuilt.strict.dims(), dims, "{config:?}");
        assert_eq!(model.refine(rebuilt.clone(), code.detail.clone()).unwrap().dims(), dims);

        let shape = match dims[..] {
            [_, channels, height, width] => Shape::image(channels, height, width),
            [_, channels, length] => Shape::Signal { channels, length },
            _ => Shape::Vector { features: dims[1] },
        };
        let seen: Vec<Vec<usize>> = code.planes.iter().map(|p| p.dims()[1..].to_vec()).collect();
        assert_eq!(seen, config.latent_dims(shape, config.latent_channels()), "{config:?}");
    }
}

#[test]
fn every_weight_gets_a_gradient() {
    for (config, dims) in families() {
        let weights = Weights::to_train(Default::default(), 1);
        let model = Model::new(&config, weights.builder(&Device::Cpu)).unwrap();
        let code = model.encode(&noise(&dims)).unwrap();
        let rebuilt = model.decode(&code.planes).unwrap();
        let full = model.refine(rebuilt.clone(), code.detail.clone()).unwrap();
        let grads = full.sqr().unwrap().mean_all().unwrap().backward().unwrap();
        for (name, var) in weights.vars() {
            let grad = grads.get(var.as_tensor()).unwrap_or_else(|| panic!("{name} has no gradient"));
            let size = grad.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(size > 0.0, "the gradient of {name} is zero");
        }
    }
}

/// From 16x16 up, at every size, odd ones included; a shorter prefix never holds more numbers.
#[test]
fn the_latent_of_an_image_has_fewer_numbers_than_the_image() {
    for channels in [1, 3] {
        let config = small(Family::Pyramid(PyramidConfig::for_channels(channels)));
        for (height, width) in (16..=48).flat_map(|h| (16..=48).map(move |w| (h, w))) {
            let shape = Shape::image(channels, height, width);
            let numbers: Vec<_> =
                config.prefixes().iter().map(|k| config.latent_numbers(shape, *k)).collect();
            assert!(numbers.is_sorted());
            assert!(numbers.last().unwrap() < &shape.numbers(), "{shape}: {numbers:?}");
        }
    }
}

/// From 64 time steps up, at every length.
#[test]
fn the_latent_of_a_signal_has_fewer_numbers_than_the_signal() {
    for channels in [1, 2, 12] {
        let config = small(Family::Signal(SignalConfig::for_channels(channels)));
        for length in 64..=160 {
            let shape = Shape::Signal { channels, length };
            let numbers = config.latent_numbers(shape, config.latent_channels());
            assert!(numbers < shape.numbers(), "{shape}: {numbers}");
        }
    }
}

#[test]
fn a_shorter_latent_is_the_longer_one_with_zeros() {
    let ones = |c| Tensor::ones((1, c, 1, 1), DType::F32, &Device::Cpu).unwrap();
    let masked = mask(&[ones(3), ones(2), ones(1)], 4).unwrap();
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(masked.iter().map(values).collect::<Vec<_>>(), [vec![1.0; 3], vec![1.0, 0.0], vec![0.0]]);
}

#[test]
fn a_latent_that_is_not_smaller_is_refused() {
    let pyramid = |latent| PyramidConfig { latent, ..PyramidConfig::default() }.validate();
    assert!(pyramid([4, 1, 1]).is_err());
    assert!(pyramid([0, 1, 1]).unwrap_err().contains("1..=4096"));
    assert!(pyramid([3, 3, 1]).is_ok());
    assert!(small(Family::Dense(DenseConfig::new(10, 8))).validate().is_err());
    assert!(small(Family::Dense(DenseConfig::new(10, 7))).validate().is_ok());
}

/// Changes one position and measures how far the differences extend.
#[test]
fn the_network_sees_as_far_as_its_reach_and_no_farther() {
    let (encoder_blocks, decoder_blocks) = ([1, 2, 1], [2, 1, 1]);
    let length = 960;
    let signal =
        SignalConfig { widths: [8; 3], encoder_blocks, decoder_blocks, ..SignalConfig::for_channels(1) };
    let pyramid =
        PyramidConfig { widths: [8; 3], encoder_blocks, decoder_blocks, ..PyramidConfig::for_channels(1) };
    for (family, dims) in
        [(Family::Signal(signal), vec![1, 1, length]), (Family::Pyramid(pyramid), vec![1, 1, 8, length])]
    {
        let config = small(family);
        let weights = Weights::to_train(Default::default(), 1);
        let model = Model::new(&config, weights.builder(&Device::Cpu)).unwrap();
        let (Reach { encoder, decoder }, at) = (config.scales().unwrap().reach(), length / 2);
        // Distance to the left over which positions differ, each `scale` numbers wide.
        let left = |a: &Tensor, b: &Tensor, scale: usize| {
            let apart = (a - b).unwrap().abs().unwrap().sum_keepdim(1).unwrap().flatten_all().unwrap();
            let rows: Vec<f32> = apart.to_vec1().unwrap();
            let first = rows.chunks(length / scale).filter_map(|row| row.iter().position(|d| *d > 0.0)).min();
            at - (first.expect("nothing differs") + 1) * scale + 1
        };
        let change = |x: &Tensor, column: usize| {
            let columns = x.dims()[x.rank() - 1];
            let one: Vec<f32> = (0..columns).map(|i| f32::from(u8::from(i == column))).collect();
            x.broadcast_add(&Tensor::new(one, &Device::Cpu).unwrap()).unwrap()
        };
        let x = noise(&dims);
        let (code, changed) = (model.encode(&x).unwrap(), model.encode(&change(&x, at)).unwrap());
        let scales = config.scales().unwrap().planes().map(|(_, scale)| scale);
        let farthest = (0..3).map(|i| left(&code.planes[i], &changed.planes[i], scales[i])).max().unwrap();
        assert!(farthest <= encoder && farthest + scales[0] > encoder, "{farthest} of {encoder}, {config:?}");
        let full =
            |planes: &[Tensor]| model.refine(model.decode(planes).unwrap(), code.detail.clone()).unwrap();
        let whole = full(&code.planes);
        let seen = |i: usize| {
            let mut planes = code.planes.clone();
            planes[i] = change(&planes[i], at / scales[i]);
            left(&whole, &full(&planes), 1)
        };
        let farthest = (0..3).map(seen).max().unwrap();
        assert!(farthest <= decoder && farthest + scales[0] > decoder, "{farthest} of {decoder}, {config:?}");
    }
}
