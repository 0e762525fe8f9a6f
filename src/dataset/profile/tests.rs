//! Tests of profiles: each part of known noise is recovered, and noise drawn from a profile has the same covariances.

use super::*;
use crate::corruption::{Corruption, Strength};
use crate::rng::{Purpose, Rng};

const SIDE: usize = 192;

/// Known noise: `shot * x + read`, a correlation of one half to the right, and offsets of rows.
const SHOT: f32 = 0.004;
const READ: f32 = 0.001;
const ROWS: f32 = 0.03;

/// Draws noise with a correlation of 0.5 to the right and none down, of variance `variance(x)`, and offsets of rows.
fn noisy(clean: &[f32], draw: u64, rows: f32, outliers: bool) -> Sample {
    let mut rng = Rng::new(5, Purpose::Evaluate, draw);
    let mut white = vec![0.0; SIDE * (SIDE + 1)];
    rng.fill_normal(&mut white);
    let mut offsets = vec![0.0; SIDE];
    rng.fill_normal(&mut offsets);
    let value = |i: usize| {
        let (y, x) = (i / SIDE, i % SIDE);
        let at = y * (SIDE + 1) + x;
        let n = if outliers {
            white[i].powi(3) / 15f32.sqrt()
        } else {
            (white[at] + white[at + 1]) / 2f32.sqrt()
        };
        clean[i] + (SHOT * clean[i] + READ).sqrt() * n + rows * offsets[y]
    };
    Sample::new(Shape::image(1, SIDE, SIDE), (0..SIDE * SIDE).map(value).collect()).unwrap()
}

fn scene(seed: usize) -> Vec<f32> {
    let pixel = |i: usize| {
        let (y, x) = ((i / SIDE) as f32, (i % SIDE) as f32);
        let wave = 0.5 + 0.35 * (0.02 * x + seed as f32).sin() * (0.015 * y + 0.7 * seed as f32).cos();
        if (y as usize + 31 * seed) % 64 > 40 && (x as usize) % 50 > 30 { wave * 0.6 } else { wave }
    };
    (0..SIDE * SIDE).map(pixel).collect()
}

fn measure(samples: &[Sample], method: Option<Method>) -> NoiseProfile {
    let profile = measure_profile(&samples.iter().collect::<Vec<_>>(), method).unwrap();
    profile.check().unwrap();
    profile
}

#[track_caller]
fn assert_near(what: &str, seen: f32, expected: f32, tolerance: f32) {
    assert!((seen - expected).abs() <= tolerance, "{what}: {seen} for {expected}");
}

#[test]
fn repeats_give_back_every_part_of_the_noise() {
    let clean = scene(1);
    let samples: Vec<Sample> = (0..6).map(|draw| noisy(&clean, draw, ROWS, false)).collect();
    let profile = measure(&samples, None);
    assert_eq!((profile.source.method, profile.source.samples), (Method::Repeats, 6));
    let Strength { shot, read, rows, columns, .. } = profile.channels[0];
    assert_near("shot", shot, SHOT, 0.06 * SHOT);
    assert_near("read", read, READ, 0.15 * READ);
    assert_near("rows", rows, ROWS, 0.08 * ROWS);
    assert_near("columns", columns, 0.0, 0.002);
    assert_near("right", profile.correlation.at(0, 1), 0.5, 0.02);
    assert_near("down", profile.correlation.at(1, 0), 0.0, 0.02);
    assert!(profile.marginal.values.is_empty(), "{:?}", profile.marginal);
}

#[test]
fn one_even_frame_gives_back_strength_spectrum_and_stripes() {
    // Darker towards the corners.
    let clean: Vec<f32> = (0..SIDE * SIDE)
        .map(|i| 0.5 - 2e-5 * ((i / SIDE) as f32 - 90.0).powi(2) - 1e-5 * ((i % SIDE) as f32 - 100.0).powi(2))
        .collect();
    let profile = measure(&[noisy(&clean, 1, ROWS, false)], None);
    assert_eq!(profile.source.method, Method::Flat);
    let own = profile.channels[0];
    let mean = clean.iter().sum::<f32>() / clean.len() as f32;
    assert_near("variance", own.variance(mean), SHOT * mean + READ, 0.06 * (SHOT * mean + READ));
    assert_near("rows", own.rows, ROWS, 0.15 * ROWS);
    assert_near("right", profile.correlation.at(0, 1), 0.5, 0.03);
    assert_near("down", profile.correlation.at(1, 0), 0.0, 0.03);
    // A dark frame and bright ones give the slope.
    let frames: Vec<Sample> = [0.02, 0.3, 0.6]
        .iter()
        .zip(0..)
        .map(|(level, draw)| noisy(&vec![*level; SIDE * SIDE], draw, 0.0, false))
        .collect();
    let profile = measure(&frames, Some(Method::Flat));
    assert_near("shot", profile.channels[0].shot, SHOT, 0.1 * SHOT);
    assert_near("read", profile.channels[0].read, READ, 0.1 * READ);
}

#[test]
fn ordinary_samples_give_back_the_noise_roughly() {
    let samples: Vec<Sample> = (0..6).map(|i| noisy(&scene(i), i as u64, ROWS, false)).collect();
    let profile = measure(&samples, None);
    assert_eq!(profile.source.method, Method::Noisy);
    let own = profile.channels[0];
    for level in [0.2, 0.5, 0.8] {
        let expected = SHOT * level + READ;
        assert_near("variance", own.variance(level), expected, 0.3 * expected);
    }
    assert_near("rows", own.rows, ROWS, 0.2 * ROWS);
    assert_near("right", profile.correlation.at(0, 1), 0.5, 0.12);
    assert_near("down", profile.correlation.at(1, 0), 0.0, 0.12);
}

/// Returns mean covariances at some lags, of noise around `level`.
fn covariances(samples: impl Iterator<Item = Vec<f32>>) -> [f64; 4] {
    let (mut sums, mut count) = ([0.0; 4], 0.0);
    for data in samples {
        let mean = data.iter().map(|v| f64::from(*v)).sum::<f64>() / data.len() as f64;
        let at = |y: usize, x: usize| f64::from(data[y * SIDE + x]) - mean;
        for y in 0..SIDE - 1 {
            for x in 0..SIDE - 9 {
                for (sum, (dy, dx)) in sums.iter_mut().zip([(0, 0), (0, 1), (1, 0), (0, 9)]) {
                    *sum += at(y, x) * at(y + dy, x + dx);
                }
                count += 1.0;
            }
        }
    }
    sums.map(|sum| sum / count)
}

#[test]
fn noise_drawn_from_a_profile_has_the_covariances_of_the_noise_it_was_measured_on() {
    let level = 0.4;
    let clean = vec![level; SIDE * SIDE];
    let own = covariances((10..30).map(|draw| noisy(&clean, draw, ROWS, false).into_data()));
    let scene = scene(2);
    let samples: Vec<Sample> = (0..6).map(|draw| noisy(&scene, draw, ROWS, false)).collect();
    let profile = measure(&samples, None);
    let json = format!(r#"{{"profile": {{"noise": {}}}}}"#, serde_json::to_string(&profile).unwrap());
    let corruption: Corruption = serde_json::from_str(&json).unwrap();
    corruption.check(Kind::Image).unwrap();
    let draw = |index: u64| {
        let (mut data, mut target) = (clean.clone(), clean.clone());
        let mut rng = Rng::new(1, Purpose::Corrupt, index);
        corruption.corrupt(&mut data, &mut target, Shape::image(1, SIDE, SIDE), &mut rng);
        assert_eq!(target, clean);
        data
    };
    let made = covariances((0..20).map(draw));
    for (own, made) in own.iter().zip(made) {
        assert!((own - made).abs() < 0.08 * covariance_scale(), "{own} and {made}");
    }
    assert_eq!(draw(3), draw(3));
}

fn covariance_scale() -> f64 {
    f64::from(SHOT * 0.4 + READ + ROWS * ROWS)
}

#[test]
fn outliers_and_channels_come_back() {
    let clean = vec![0.5; SIDE * SIDE];
    let frames: Vec<Sample> = (0..2).map(|draw| noisy(&clean, draw, 0.0, true)).collect();
    let profile = measure(&frames, Some(Method::Flat));
    assert!(profile.marginal.kurtosis > 10.0, "{}", profile.marginal.kurtosis);
    let noise = profile.noise(&clean, Shape::image(1, SIDE, SIDE), &mut Rng::new(1, Purpose::Corrupt, 0));
    let power = |n: i32| noise.iter().map(|v| f64::from(*v).powi(n)).sum::<f64>() / noise.len() as f64;
    assert!(power(4) / power(2).powi(2) > 8.0, "{}", power(4) / power(2).powi(2));
    assert!((power(2) / f64::from(SHOT * 0.5 + READ) - 1.0).abs() < 0.2, "{}", power(2));

    // Three channels, the third of which shares 0.8 of its noise with the first.
    let mut rng = Rng::new(6, Purpose::Evaluate, 0);
    let mut white = vec![0.0; 3 * SIDE * SIDE];
    rng.fill_normal(&mut white);
    let area = SIDE * SIDE;
    let value = |i: usize| {
        let own = if i / area == 2 { 0.8 * white[i % area] + 0.6 * white[i] } else { white[i] };
        0.5 + 0.05 * own
    };
    let frame = Sample::new(Shape::image(3, SIDE, SIDE), (0..3 * area).map(value).collect()).unwrap();
    let profile = measure(&[frame], None);
    assert_near("shared", profile.between_channels[0][2], 0.8, 0.02);
    assert_near("independent", profile.between_channels[0][1], 0.0, 0.03);
    let noise = profile.noise(
        &vec![0.5; 3 * area],
        Shape::image(3, SIDE, SIDE),
        &mut Rng::new(1, Purpose::Corrupt, 0),
    );
    let product = |a: usize, b: usize| {
        (0..area).map(|i| f64::from(noise[a * area + i] * noise[b * area + i])).sum::<f64>() / area as f64
    };
    assert!((product(0, 2) / product(0, 0) - 0.8).abs() < 0.03, "{}", product(0, 2));
}

#[test]
fn noise_of_signals_is_measured_in_time() {
    let length = 20_000;
    let mut white = vec![0.0; length + 1];
    Rng::new(7, Purpose::Evaluate, 0).fill_normal(&mut white);
    let value = |t: usize| 100.0 + 0.001 * t as f32 + 5.0 * (0.8 * white[t] + 0.6 * white[t + 1]);
    let shape = Shape::Signal { channels: 1, length };
    let signal = Sample::new(shape, (0..length).map(value).collect()).unwrap();
    let profile = measure(&[signal], None);
    assert_near("variance", profile.channels[0].variance(100.0), 25.0, 1.0);
    assert_near("next", profile.correlation.at(0, 1), 0.48, 0.03);
    let noise = profile.noise(&vec![100.0; length], shape, &mut Rng::new(1, Purpose::Corrupt, 0));
    let at = |lag: usize| {
        noise.iter().zip(&noise[lag..]).map(|(a, b)| f64::from(a * b)).sum::<f64>() / length as f64
    };
    assert!((at(0) - 25.0).abs() < 1.5 && (at(1) / at(0) - 0.48).abs() < 0.04, "{} {}", at(0), at(1));
}

#[test]
fn what_cannot_be_measured_is_said() {
    let flat = |height: usize, value: f32| {
        Sample::new(Shape::image(1, height, SIDE), vec![value; height * SIDE]).unwrap()
    };
    let says = |samples: &[Sample], method: Option<Method>| {
        measure_profile(&samples.iter().collect::<Vec<_>>(), method).unwrap_err().to_string()
    };
    assert!(says(&[], None).contains("no sample"));
    assert!(says(&[flat(8, 0.5)], None).contains("too small"));
    let vector = Sample::new(Shape::Vector { features: 9 }, vec![0.5; 9]).unwrap();
    assert!(says(&[vector], None).contains("vector"));
    let two = [noisy(&scene(1), 0, 0.0, false), noisy(&scene(4), 1, 0.0, false)];
    assert!(says(&two, None).contains("no repeats of one scene"));
    assert!(says(&two, Some(Method::Noisy)).contains("at least 5"));
    assert!(says(&[flat(64, 0.5), flat(40, 0.5)], Some(Method::Repeats)).contains("one shape"));
}
