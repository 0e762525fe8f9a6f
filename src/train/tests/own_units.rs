//! Tests of channels and columns with units of their own, and of images with outliers or an unused value range.

use super::*;
use crate::dataset::Item;
use crate::infer::Session;
use crate::name::ModelRef;

fn session(place: &Place) -> Session {
    let reference = ModelRef { name: "tiny".parse().unwrap(), version: None };
    Session::load(place.registry().read(&reference).unwrap()).unwrap()
}

fn normal(count: usize, index: u64) -> Vec<f32> {
    let mut noise = vec![0.0; count];
    Rng::new(11, Purpose::Evaluate, index).fill_normal(&mut noise);
    noise
}

/// Returns temperature, humidity, pressure and the state of an unused switch, one value per minute.
fn weather(length: usize, start: usize) -> Sample {
    let value = |c: usize, t: f32| match c {
        0 => 20.0 + 5.0 * (0.013 * t).sin() + (0.031 * t).cos(),
        1 => 50.0 - 9.0 * (0.013 * t).sin(),
        2 => 1013.0 + 6.0 * (0.004 * t).cos(),
        _ => 3.5,
    };
    let data = (0..4 * length).map(|i| value(i / length, (start + i % length) as f32)).collect();
    Sample::new(Shape::Signal { channels: 4, length }, data).unwrap()
}

/// Standard deviation of the noise of each sensor.
const NOISE: [f32; 4] = [0.4, 1.5, 0.8, 0.0];

fn with_noise(clean: &Sample, draw: u64) -> Sample {
    let length = clean.shape().numbers() / 4;
    let noise = normal(4 * length, draw);
    let data = clean.data().iter().zip(noise).enumerate().map(|(i, (v, n))| v + NOISE[i / length] * n);
    Sample::new(clean.shape(), data.collect()).unwrap()
}

fn rmse(a: &[f32], b: &[f32]) -> f32 {
    (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.len() as f32).sqrt()
}

#[test]
fn every_sensor_gains_in_its_own_unit_and_one_that_is_constant_stays_as_it_is() {
    let items = |noisy: bool| {
        let one = |i: usize| {
            let clean = weather(900, 997 * i);
            let noisy = noisy.then(|| with_noise(&clean, i as u64));
            Item { name: format!("day-{i}"), clean, noisy }
        };
        Dataset { items: (0..12).map(one).collect(), skipped: Vec::new() }
    };
    let alone = {
        let mut data = items(true);
        data.items.iter_mut().for_each(|item| item.clean = item.noisy.take().unwrap());
        data
    };
    for (scheme, data) in
        [(Scheme::Pairs, items(true)), (Scheme::Clean, items(false)), (Scheme::Noisy, alone)]
    {
        let place = Place::new();
        let json = serde_json::json!({
            "name": "tiny", "steps": 300, "batch": 4, "crop": 256, "learning_rate": 4e-3,
            "corruption": {"gaussian": {"sigma": [0.05, 0.3]}},
            "family": {"signal": {
                "channels": 4, "widths": [24, 24, 24], "encoder_blocks": [1, 0, 0], "decoder_blocks": [0, 0, 0],
                "refiner_blocks": 0, "latent": [4, 4, 8],
            }},
        });
        let config = Config { scheme, ..serde_json::from_value(json).unwrap() };
        let outcome = train(&config, &data, &place.registry()).unwrap();
        assert!(outcome.promoted, "{scheme:?}: {:?}", outcome.kept_back);
        let session = session(&place);
        let (clean, length) = (weather(2000, 50_000), 2000);
        let noisy = with_noise(&clean, 99);
        let denoised = session.denoise(&noisy, &Default::default()).unwrap().sample;
        let of = |sample: &Sample, c: usize| sample.data()[c * length..(c + 1) * length].to_vec();
        for c in 0..3 {
            let (before, after) =
                (rmse(&of(&noisy, c), &of(&clean, c)), rmse(&of(&denoised, c), &of(&clean, c)));
            assert!(after < 0.75 * before, "{scheme:?}, sensor {c}: {before} -> {after}");
        }
        assert_eq!(of(&denoised, 3), of(&clean, 3));
        // The latent includes the statistics of each channel: strict decoding needs nothing else.
        let latent = session.encode(&noisy, None).unwrap();
        assert_eq!((latent.stats.len(), latent.stats[3].std), (4, 0.0));
        let strict = crate::infer::Options { mode: crate::infer::Mode::Strict, ..Default::default() };
        assert_eq!(session.decode(&latent).unwrap(), session.denoise(&noisy, &strict).unwrap().sample);
    }
}

#[test]
fn columns_of_a_table_are_scaled_one_by_one_where_they_have_units_of_their_own() {
    let row = |i: usize| {
        let mut rng = Rng::new(5, Purpose::Evaluate, i as u64);
        let (a, b) = (rng.normal(), rng.normal());
        vec![
            20.0 + 5.0 * a,
            50.0 - 9.0 * a + 2.0 * b,
            1013.0 + 6.0 * b,
            40_000.0 + 900.0 * (a + b),
            7.0,
            0.01 * (a - b),
        ]
    };
    let vector = |i: usize| Item {
        name: format!("{i:04}"),
        clean: Sample::new(Shape::Vector { features: 6 }, row(i)).unwrap(),
        noisy: None,
    };
    let data = Dataset { items: (0..400).map(vector).collect(), skipped: Vec::new() };
    let place = Place::new();
    let json = serde_json::json!({
        "name": "tiny", "steps": 500, "batch": 64, "learning_rate": 3e-3, "promote": "always",
        "corruption": {"gaussian": {"sigma": 0.4}}, "family": "dense", "latent": {"numbers": 2},
    });
    train(&serde_json::from_value(json).unwrap(), &data, &place.registry()).unwrap();
    let session = session(&place);
    let noise = [2.0, 3.6, 2.4, 500.0, 0.0, 0.006];
    let (mut before, mut after) = ([0.0; 6], [0.0; 6]);
    for i in 1000..1200 {
        let clean = row(i);
        let noisy = clean.iter().zip(normal(6, i as u64)).zip(noise).map(|((v, n), s)| v + s * n).collect();
        let noisy = Sample::new(Shape::Vector { features: 6 }, noisy).unwrap();
        let denoised = session.denoise(&noisy, &Default::default()).unwrap().sample;
        assert_eq!(denoised.data()[4], 7.0);
        for d in 0..6 {
            before[d] += (noisy.data()[d] - clean[d]).powi(2);
            after[d] += (denoised.data()[d] - clean[d]).powi(2);
        }
    }
    for d in [0, 1, 2, 3, 5] {
        assert!(after[d] < 0.8 * before[d], "column {d}: {before:?} -> {after:?}");
    }
}

/// 12-bit camera frames in 16-bit files, with and without a hot pixel.
#[test]
fn frames_of_12_bits_in_files_of_16_are_noisy_by_their_own_range_and_hot_pixels_teach_nothing() {
    let frame = |i: usize, is_hot: bool| {
        let clean = &waves(i + 1).items[i].clean;
        let noise = normal(clean.data().len(), i as u64);
        let value = |(v, n): (&f32, f32)| ((400.0 + 1500.0 * v + 150.0 * n) as u16).min(4095);
        let mut words: Vec<u16> = clean.data().iter().zip(noise).map(value).collect();
        if is_hot {
            words[700] = 65_535;
        }
        // One range for both, so that they differ only in that pixel.
        let clean = Sample::from_words(clean.shape(), words).unwrap().into_float();
        Item { name: format!("{i}"), clean, noisy: None }
    };
    for is_hot in [false, true] {
        let data =
            Dataset { items: (0..8).map(|i| frame(i, is_hot && i % 2 == 0)).collect(), skipped: Vec::new() };
        let (scheme, reason) = Config::new("a".parse().unwrap()).choose_scheme(&data).unwrap();
        assert_eq!(scheme, Scheme::Noisy, "{reason}");
        let place = Place::new();
        let config = Config { corruption: None, promote: Promote::Always, ..tiny(150) };
        let outcome = train(&config, &data, &place.registry()).unwrap();
        let score = |key: &str| outcome.scores["held_out"][key].as_f64().unwrap();
        assert!(score("full_db") > score("noisy_db") + 3.0, "{is_hot}: {}", outcome.scores);
    }
}
