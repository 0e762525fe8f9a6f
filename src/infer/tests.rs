//! Tests of sessions: strict mode uses the latent alone, any size works, streaming inference is exact.

mod outliers;
mod probing;
mod signals;
mod stages;
mod streams;

use std::collections::HashMap;

use candle_core::Device;

use super::*;
use crate::kernel::parallel;
use crate::nn::model::{self, CompactConfig, Family, Normalize, PyramidConfig, SignalConfig};
use crate::rng::{Purpose, Rng};
use crate::sample::Stats;

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
    session(model::Config { family: Family::Pyramid(sizes), normalize: Normalize::Sample, rate: None })
}

fn signals(channels: usize) -> Session {
    let sizes = SignalConfig {
        widths: [8, 8, 8],
        encoder_blocks: [1, 0, 1],
        decoder_blocks: [0, 1, 0],
        ..SignalConfig::for_channels(channels)
    };
    session(model::Config { family: Family::Signal(sizes), normalize: Normalize::Sample, rate: None })
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
            // A single gray pixel equals its own mean, so the network has no effect.
            assert!(full != decoded || sample.data().len() == 1, "the refiner does nothing");
        }
    }
}

/// Denoises the sample in one piece, for any size.
fn in_one_piece(session: &Session, sample: &Sample) -> Vec<f32> {
    let keep = session.manifest.model.latent_channels();
    session.pass_whole::<f32>(&[sample], &Options::default(), keep).unwrap().remove(0).0
}

#[track_caller]
fn assert_close(in_strips: &[f32], whole: &[f32]) {
    for (i, (a, b)) in in_strips.iter().zip(whole).enumerate() {
        assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{i}: {a} in strips, {b} in one piece");
    }
}

/// Streamed rows are identical to those of the whole sample, bit for bit, for any size and depth of the network.
#[test]
fn an_image_that_passes_by_is_the_whole_exactly() {
    let deep = PyramidConfig {
        widths: [16, 24, 32],
        encoder_blocks: [2, 0, 3],
        decoder_blocks: [1, 2, 0],
        refiner_blocks: 2,
        ..PyramidConfig::for_channels(3)
    };
    let deep =
        session(model::Config { family: Family::Pyramid(deep), normalize: Normalize::Sample, rate: None });
    for (session, channels) in [(pyramid(1), 1), (deep, 3)] {
        for (height, width) in [(1301, 1250), (9001, 37), (1100, 253), (33, 9001), (9, 32_001)] {
            let sample = image(channels, height, width);
            assert!(!session.is_whole(sample.shape()), "{height} x {width}");
            for mode in [Mode::Full, Mode::Strict] {
                let options = Options { mode, ratio: Some(3.0), ..Options::default() };
                let keep = session.keep(sample.shape(), options.ratio).unwrap();
                let whole = session.pass_whole::<f32>(&[&sample], &options, keep).unwrap().remove(0);
                let (passed, familiarity) = session.pass::<f32>(&sample, &options, keep, &Steady).unwrap();
                assert!(passed == whole.0, "{channels} x {height} x {width}, {mode:?}");
                assert_eq!(familiarity, whole.1);
            }
        }
    }
}

/// Every pixel is computed from the same numbers. A 4x4 tile of Winograd's algorithm rounds all of its pixels together,
/// so pixels at the rim of the receptive field affect the last digits: hence the tolerance, about a hundred units in
/// the last place of 1, 1/400 of an 8-bit step.
#[test]
fn strips_give_what_the_whole_gives() {
    let session = pyramid(1);
    for (height, width) in [(40, 60_001), (3, 400_000)] {
        let sample = image(1, height, width);
        let in_strips = session.denoise(&sample, &Options::default()).unwrap().sample;
        assert_close(in_strips.data(), &in_one_piece(&session, &sample));
    }
}

#[test]
fn the_strict_path_of_large_images_is_the_latent_alone() {
    let session = pyramid(3);
    let sample = image(3, 1400, 800);
    assert!(!session.is_whole(sample.shape()));
    let latent = session.encode(&sample, Some(4.0)).unwrap();
    let strict = session.denoise(&sample, &Options { ratio: Some(4.0), ..STRICT }).unwrap().sample;
    assert_eq!(session.decode(&latent).unwrap(), strict);
}

/// Property: a result does not depend on threads, on the rest of the batch, or on the number type of the sample.
#[test]
fn the_same_numbers_come_out_whatever_is_around() {
    let mut rng = Rng::new(3, Purpose::Evaluate, 0);
    let mut draw = |n: usize| 1 + (rng.uniform() * n as f32) as usize;
    for round in 0..12 {
        let session = pyramid(if round % 2 == 0 { 1 } else { 3 });
        let channels = session.input.channels;
        let (height, width, count) = (draw(70), draw(70), 1 + draw(5));
        let options =
            Options { mode: if round % 3 == 0 { Mode::Strict } else { Mode::Full }, ..Options::default() };
        let samples: Vec<Sample> = (0..count)
            .map(|i| {
                let data = image(channels, height, width).into_data();
                let data = data.iter().map(|v| ((v * (i + 1) as f32).fract() * 255.0) as u8).collect();
                Sample::from_bytes(Shape::image(channels, height, width), data).unwrap()
            })
            .collect();
        let batch = session.denoise_batch(&samples.iter().collect::<Vec<_>>(), &options).unwrap();
        for (together, sample) in batch.iter().zip(&samples) {
            let floats = sample.clone().into_float();
            for threads in [1, 2, 3] {
                let alone = parallel::with_threads(threads, || session.denoise(&floats, &options)).unwrap();
                assert_eq!(
                    alone.sample, together.sample,
                    "{channels} x {height} x {width}, batch of {count}"
                );
                assert_eq!(alone.familiarity, together.familiarity);
            }
        }
    }
}

#[test]
fn threads_change_nothing_in_a_large_image_or_in_other_families() {
    let family = Family::Compact(CompactConfig { widths: [8, 8], ..CompactConfig::new(1, 28, 28, 6) });
    let compact = session(model::Config { family, normalize: Normalize::Sample, rate: None });
    let family = Family::Dense(model::DenseConfig::new(40, 5));
    let dense = session(model::Config { family, normalize: Normalize::Sample, rate: None });
    let vector = |i: usize| {
        let data = signal(1, 40 + i).into_data()[i..].to_vec();
        Sample::new(Shape::Vector { features: 40 }, data).unwrap()
    };
    let digit = |i: usize| {
        Sample::new(Shape::image(1, 28, 28), signal(1, 784 + i).into_data()[i..].to_vec()).unwrap()
    };
    let lead = |i: usize| {
        Sample::new(Shape::Signal { channels: 1, length: 500 }, signal(1, 500 + i).into_data()[i..].to_vec())
            .unwrap()
    };
    let sets: [(Session, Vec<Sample>); 4] = [
        (compact, (0..9).map(digit).collect()),
        (dense, (0..9).map(vector).collect()),
        (signals(1), (0..9).map(lead).collect()),
        (pyramid(1), vec![image(1, 1400, 800)]),
    ];
    for (session, samples) in &sets {
        let run = |threads, samples: &[Sample]| {
            let samples: Vec<&Sample> = samples.iter().collect();
            let all = parallel::with_threads(threads, || match samples.as_slice() {
                [one] => session.denoise(one, &Options::default()).map(|one| vec![one]),
                all => session.denoise_batch(all, &Options::default()),
            });
            all.unwrap().into_iter().map(|denoised| denoised.sample).collect::<Vec<_>>()
        };
        let together = run(1, samples);
        assert_eq!(together, run(3, samples));
        for (sample, together) in samples.iter().zip(&together) {
            assert_eq!(run(2, std::slice::from_ref(sample)), std::slice::from_ref(together));
        }
    }
}

#[test]
fn a_depth_rounds_the_result_and_nothing_else() {
    let session = pyramid(1);
    for (height, width) in [(30, 21), (1400, 800)] {
        let sample = image(1, height, width);
        let at = |depth| session.denoise_at(&sample, &Options::default(), depth, &Steady).unwrap().sample;
        let float = at(Depth::F32);
        let rounded: Vec<u8> = float.data().iter().map(|v| u8::from_f32(*v)).collect();
        assert_eq!(u8::of(&at(Depth::U8)).unwrap(), rounded);
        assert_eq!(at(Depth::U16).depth(), Depth::U16);
    }
    assert_eq!(
        signals(1).denoise_at(&signal(1, 9), &Options::default(), Depth::U8, &Steady).unwrap().sample.depth(),
        Depth::F32
    );
}

/// Token that cancels after a number of pieces.
struct Patience(std::cell::Cell<usize>);

impl Pace for Patience {
    fn next(&self) -> bool {
        let left = self.0.get().checked_sub(1);
        left.into_iter().for_each(|left| self.0.set(left));
        left.is_some()
    }
}

#[test]
fn work_is_given_up_between_two_pieces() {
    let session = pyramid(1);
    let sample = image(1, 1400, 800);
    let run = |options, pieces| {
        let patience = Patience(std::cell::Cell::new(pieces));
        let result = session.denoise_at(&sample, &options, Depth::F32, &patience);
        (result.map(|_| patience.0.get()), patience.0.get())
    };
    let (done, left) = run(Options::default(), 1000);
    let pieces = 1000 - left;
    assert!(done.is_ok() && pieces >= 2, "{pieces}");
    for few in 0..pieces {
        assert!(matches!(run(Options::default(), few), (Err(Error::Abandoned), 0)), "{few} of {pieces}");
    }
    assert!(matches!(run(STRICT, pieces), (Err(Error::Abandoned), 0)));
    assert!(matches!(run(Options { ensemble: 8, ..Options::default() }, pieces), (Err(Error::Abandoned), 0)));
}

#[test]
fn bytes_are_counted_at_the_widest_scale_and_for_vectors() {
    let sizes = PyramidConfig {
        widths: [8, 1024, 1024],
        encoder_blocks: [0; 3],
        decoder_blocks: [0; 3],
        ..PyramidConfig::default()
    };
    let wide =
        session(model::Config { family: Family::Pyramid(sizes), normalize: Normalize::Sample, rate: None });
    // From 1/8 to 1/4: the coarser map, the step before and after its unfold, and the detail at 1/2.
    let floats = 64 * 1024 + 2 * 256 * 1024 + 1024 * 8;
    assert!(wide.bytes_of_network(Shape::image(1, 64, 64)) >= 4 * floats);

    let sizes = model::DenseConfig { features: 1 << 16, latent: 4, hidden: vec![4] };
    let long =
        session(model::Config { family: Family::Dense(sizes), normalize: Normalize::Sample, rate: None });
    assert!(long.bytes_of_network(Shape::Vector { features: 1 << 16 }) >= 4 * (8 << 16));
}

#[test]
fn bytes_of_an_ensemble_are_those_of_the_larger_turn() {
    let session = pyramid(1);
    let bytes = |height, width| {
        let options = Options { ensemble: 8, ..Options::default() };
        session.bytes_to_denoise(Shape::image(1, height, width), Depth::U8, Depth::U8, &options)
    };
    assert_ne!(
        session.bytes_of_network(Shape::image(1, 64, 32_768)),
        session.bytes_of_network(Shape::image(1, 32_768, 64))
    );
    assert_eq!(bytes(64, 32_768), bytes(32_768, 64));
}

#[test]
fn numbers_that_are_too_large_are_told_from_a_fault() {
    let session = pyramid(1);
    // In one piece, and by streaming inference.
    for (height, width) in [(16, 16), (600, 600)] {
        let shape = Shape::image(1, height, width);
        let data = (0..shape.numbers()).map(|i| if i % 2 == 0 { -3.4e38 } else { 3.4e38 }).collect();
        let error = session.denoise(&Sample::new(shape, data).unwrap(), &Options::default()).unwrap_err();
        assert!(matches!(error, Error::Range { .. }), "{error}");
        // One number beyond the range of `f32` from the mean of the others.
        let mut data = vec![3.4e38; shape.numbers()];
        data[7] = -3.4e38;
        let error = session.encode(&Sample::new(shape, data).unwrap(), None).unwrap_err();
        assert!(matches!(error, Error::Range { .. }), "{error}");
        let mut latent = session.encode(&image(1, height, width), None).unwrap();
        latent.planes[0].data.fill(3e38);
        let error = session.decode(&latent).unwrap_err();
        assert!(matches!(error, Error::Range { .. }), "{error}");
    }
}

/// Scale and offset of the input have no effect, up to rounding.
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
    let mut back = vec![0.0; sample.data().len()];
    dihedral::add_back(&mut back, turned.data(), sample.shape(), 5);
    for (a, b) in straight.data().iter().zip(&back) {
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
    assert!(wrong(|l| l.stats.clear()).contains("statistics"));
    assert!(wrong(|l| l.shape = Shape::image(1, 32, 16)).contains("expected maps"));
    assert!(wrong(|l| l.planes[0].dims[0] = 9).contains("expected maps"));
    assert!(wrong(|l| l.shape = Shape::image(3, 16, 16)).contains("takes"));
}

#[test]
fn a_model_of_one_shape_takes_that_shape_only_and_its_latent_is_a_vector() {
    let family = Family::Compact(CompactConfig { widths: [8, 8], ..CompactConfig::new(1, 10, 14, 6) });
    let normalize = Normalize::Fixed(Stats { mean: 0.4, std: 0.3 });
    let session = session(model::Config { family, normalize, rate: None });
    let sample = image(1, 10, 14);
    let latent = session.encode(&sample, None).unwrap();
    assert_eq!((latent.numbers(), latent.planes[0].dims.clone()), (6, vec![6]));
    assert_eq!(session.decode(&latent).unwrap(), session.denoise(&sample, &STRICT).unwrap().sample);
    assert!(
        session.encode(&image(1, 14, 10), None).unwrap_err().to_string().contains("takes one image 14x10")
    );
}
