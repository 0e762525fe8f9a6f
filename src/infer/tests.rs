//! What a session must hold: the strict path is the latent alone, any size works, tiles are exact.

use std::collections::HashMap;

use candle_core::Device;

use super::*;
use crate::nn::model::{self, CompactConfig, Family, PyramidConfig, SignalConfig};
use crate::rng::{Purpose, Rng};

fn session(model: model::Config) -> Session {
    let name: crate::name::Name = "test".parse().unwrap();
    let drawn = Weights::to_train(HashMap::new(), 7);
    Model::new(&model, drawn.builder(&Device::Cpu)).unwrap();
    let frozen = drawn.vars().into_iter().map(|(name, var)| (name, var.as_tensor().clone())).collect();
    let weights = Weights::to_serve(frozen);
    let network = Model::new(&model, weights.builder(&Device::Cpu)).unwrap();
    let id = ModelId { name: name.clone(), version: 1, digest: [1; 32] };
    Session::new(id, Manifest::unpublished(name, model), network)
}

fn pyramid(channels: usize) -> Session {
    let sizes = PyramidConfig {
        widths: [8, 8, 8],
        encoder_blocks: [1, 0, 1],
        decoder_blocks: [0, 1, 0],
        ..PyramidConfig::for_channels(channels)
    };
    session(model::Config { family: Family::Pyramid(sizes), normalize: Normalize::Sample })
}

fn signals(channels: usize) -> Session {
    let sizes = SignalConfig {
        widths: [8, 8, 8],
        encoder_blocks: [1, 0, 1],
        decoder_blocks: [0, 1, 0],
        ..SignalConfig::for_channels(channels)
    };
    session(model::Config { family: Family::Signal(sizes), normalize: Normalize::Sample })
}

fn signal(channels: usize, length: usize) -> Sample {
    let mut rng = Rng::new(9, Purpose::Evaluate, length as u64);
    let shape = Shape::Signal { channels, length };
    Sample::new(shape, (0..shape.numbers()).map(|_| rng.uniform()).collect()).unwrap()
}

fn image(channels: usize, height: usize, width: usize) -> Sample {
    let mut rng = Rng::new(9, Purpose::Evaluate, (height * 10_000 + width) as u64);
    let shape = Shape::image(channels, height, width);
    Sample::new(shape, (0..shape.numbers()).map(|_| rng.uniform()).collect()).unwrap()
}

const STRICT: Options = Options { mode: Mode::Strict, strength: 1.0, ratio: None, ensemble: 1 };

#[test]
fn any_size_works_and_strict_is_the_latent_alone() {
    for channels in [1, 3] {
        let session = pyramid(channels);
        for (height, width) in [(1, 1), (1, 5), (7, 3), (16, 16), (17, 33), (40, 24)] {
            let sample = image(channels, height, width);
            let latent = session.encode(&sample, None).unwrap();
            let decoded = session.decode(&latent).unwrap();
            assert_eq!(decoded, session.denoise(&sample, &STRICT).unwrap().sample);
            let full = session.denoise(&sample, &Options::default()).unwrap().sample;
            assert_eq!(full.shape(), sample.shape());
            // A single gray pixel is its own mean: nothing is left for the network.
            assert!(full != decoded || sample.data().len() == 1, "the refiner does nothing");
        }
    }
}

/// The image spans two tiles each way. Every pixel is computed from the same numbers, in an order that
/// may differ at the borders of the planes, hence the tolerance: about ten units in the last place.
#[test]
fn tiles_give_what_the_whole_gives() {
    let session = pyramid(1);
    let sample = image(1, tile::CORE + 72, tile::CORE + 40);
    let tiled = session.denoise(&sample, &Options::default()).unwrap().sample;

    let prepared = session.prepare(&sample).unwrap();
    let whole = Area::whole(prepared.map.height, prepared.map.width);
    let code = session.encode_tile(&prepared, &whole).unwrap();
    let rebuilt = session.model.decode(&code.planes).unwrap();
    let full = session.model.refine(&rebuilt, code.detail.as_ref()).unwrap();
    let (_, _, _, padded_width) = full.dims4().unwrap();
    let mut full = full.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    prepared.stats.restore(&mut full);

    let Shape::Image { height, width, .. } = sample.shape() else { unreachable!() };
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let (a, b) = (tiled.data()[y * width + x], full[y * padded_width + x]);
        assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "({y}, {x}): {a} tiled, {b} whole");
    }
}

#[test]
fn signals_of_any_length_work_and_strict_is_the_latent_alone() {
    for (channels, length) in [(1, 1), (1, 2), (1, 15), (2, 16), (3, 17), (1, 1000)] {
        let session = signals(channels);
        let sample = signal(channels, length);
        let latent = session.encode(&sample, None).unwrap();
        let decoded = session.decode(&latent).unwrap();
        assert_eq!(decoded, session.denoise(&sample, &STRICT).unwrap().sample);
        let full = session.denoise(&sample, &Options::default()).unwrap().sample;
        assert_eq!(full.shape(), sample.shape());
        assert!(full != decoded || sample.data().len() == 1, "the refiner does nothing");
    }
    let whole = signals(2).encode(&signal(2, 1000), None).unwrap();
    let half = signals(2).encode(&signal(2, 1000), Some(4.0)).unwrap();
    assert!(half.numbers() <= 500 && half.numbers() < whole.numbers());
}

/// A signal of three windows against one pass over all of it.
#[test]
fn windows_of_a_signal_give_what_the_whole_gives() {
    let session = signals(1);
    let sample = signal(1, 2 * tile::CORE_OF_LINE + 1008);
    let tiled = session.denoise(&sample, &Options::default()).unwrap().sample;

    let prepared = session.prepare(&sample).unwrap();
    let code = session.encode_tile(&prepared, &Area::whole(1, prepared.map.width)).unwrap();
    let rebuilt = session.model.decode(&code.planes).unwrap();
    let full = session.model.refine(&rebuilt, code.detail.as_ref()).unwrap();
    let mut full = full.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    prepared.stats.restore(&mut full);
    for (i, (a, b)) in tiled.data().iter().zip(&full).enumerate() {
        assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{i}: {a} in windows, {b} whole");
    }
}

/// Scale and offset of the input do not matter, up to rounding.
#[test]
fn the_result_follows_scale_and_offset() {
    let session = pyramid(1);
    let sample = image(1, 24, 24);
    let scaled =
        Sample::new(sample.shape(), sample.data().iter().map(|v| v * 1000.0 + 50.0).collect()).unwrap();
    let a = session.denoise(&sample, &Options::default()).unwrap().sample;
    let b = session.denoise(&scaled, &Options::default()).unwrap().sample;
    for (a, b) in a.data().iter().zip(b.data()) {
        assert!((a * 1000.0 + 50.0 - b).abs() < 0.05, "{a} {b}");
    }
}

#[test]
fn a_ratio_keeps_the_latent_that_small_or_is_refused() {
    let session = pyramid(1);
    let sample = image(1, 64, 64);
    for ratio in [2.0, 4.0, 7.5, 20.0] {
        let latent = session.encode(&sample, Some(ratio)).unwrap();
        assert!(latent.numbers() as f32 * ratio <= 4096.0, "{ratio}: {}", latent.numbers());
        assert_eq!(session.decode(&latent).unwrap().shape(), sample.shape());
    }
    for ratio in [1e6, 0.0, -1.0, f32::NAN] {
        assert!(session.encode(&sample, Some(ratio)).is_err(), "{ratio}");
    }
}

#[test]
fn strength_blends_and_zero_gives_the_input_back() {
    let session = pyramid(1);
    let sample = image(1, 16, 16);
    let run = |strength| session.denoise(&sample, &Options { strength, ..Options::default() });
    assert_eq!(run(0.0).unwrap().sample, sample);
    let (half, full) = (run(0.5).unwrap().sample, run(1.0).unwrap().sample);
    for ((h, f), x) in half.data().iter().zip(full.data()).zip(sample.data()) {
        assert!((h - (f + x) / 2.0).abs() < 1e-5);
    }
    assert!(run(1.5).is_err() && run(f32::NAN).is_err());
}

#[test]
fn the_ensemble_commutes_with_turning_the_image() {
    let session = pyramid(1);
    let sample = image(1, 16, 24);
    let options = Options { ensemble: 8, ..Options::default() };
    let straight = session.denoise(&sample, &options).unwrap().sample;
    let turned = session.denoise(&dihedral::apply(&sample, 5), &options).unwrap().sample;
    let back = dihedral::undo(&turned, 5);
    for (a, b) in straight.data().iter().zip(back.data()) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    assert!(session.denoise(&sample, &Options { ensemble: 3, ..Options::default() }).is_err());
}

#[test]
fn a_latent_of_another_shape_is_refused() {
    let session = pyramid(1);
    let latent = session.encode(&image(1, 16, 16), None).unwrap();
    let wrong = |change: fn(&mut Latent)| {
        let mut latent = latent.clone();
        change(&mut latent);
        session.decode(&latent).unwrap_err().to_string()
    };
    assert!(wrong(|l| l.stats = None).contains("statistics"));
    assert!(wrong(|l| l.shape = Shape::image(1, 32, 16)).contains("expected maps"));
    assert!(wrong(|l| l.planes[0].dims[0] = 9).contains("expected maps"));
    assert!(wrong(|l| l.shape = Shape::image(3, 16, 16)).contains("takes"));
}

#[test]
fn a_model_of_one_shape_takes_that_shape_only_and_its_latent_is_a_vector() {
    let family = Family::Compact(CompactConfig { widths: [8, 8], ..CompactConfig::new(1, 10, 14, 6) });
    let normalize = Normalize::Fixed(Stats { mean: 0.4, std: 0.3 });
    let session = session(model::Config { family, normalize });
    let sample = image(1, 10, 14);
    let latent = session.encode(&sample, None).unwrap();
    assert_eq!((latent.numbers(), latent.planes[0].dims.clone()), (6, vec![6]));
    assert_eq!(session.decode(&latent).unwrap(), session.denoise(&sample, &STRICT).unwrap().sample);
    assert!(
        session.encode(&image(1, 14, 10), None).unwrap_err().to_string().contains("takes one image 14x10")
    );
}
