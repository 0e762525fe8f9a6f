//! Predicted quality: `predict=1` of `POST /denoise`.

use limpid::rng::{Purpose, Rng};
use serde_json::{Value, json};

use crate::support::*;

/// Clean values of a picture, 0 to 1.
fn clean(x: usize, y: usize) -> f32 {
    0.5 + 0.25 * (x as f32 * 0.11).sin() * (y as f32 * 0.07).cos()
}

/// A float picture of `side` under white noise of `sigma` of 255, as npy, and its clean values.
fn noisy(side: usize, sigma: f32) -> (Vec<u8>, Vec<f32>) {
    let mut noise = vec![0.0; side * side];
    Rng::new(5, Purpose::Evaluate, 0).fill_normal(&mut noise);
    let clean: Vec<f32> = (0..side * side).map(|i| clean(i % side, i / side)).collect();
    let data = clean.iter().zip(&noise).map(|(v, n)| v + sigma / 255.0 * n);
    (npy("<f4", &[side, side], &floats(data)), clean)
}

fn psnr(clean: &[f32], result: &[f32]) -> f64 {
    let error: f64 = clean.iter().zip(result).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    -10.0 * (error / clean.len() as f64).log10()
}

/// The mean squared error at a PSNR.
fn mse(db: f64) -> f64 {
    10f64.powf(-db / 10.0)
}

/// The variance of noise of sigma 25.
fn variance() -> f64 {
    (25f64 / 255.0).powi(2)
}

/// Four standard deviations of the mean square of noise of sigma 25 over an image, on which Stein's estimate rests.
fn sampling(side: usize) -> f64 {
    4.0 * variance() * (2.0 / (side * side) as f64).sqrt()
}

fn bundled() -> Service {
    Service::with(Setup { is_bundled: true, ..Setup::default() })
}

/// The prediction of a header: its value, and the ends of its interval.
fn numbers(text: &str) -> Vec<f64> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|part| part.parse().ok()).collect()
}

#[test]
fn the_prediction_is_near_the_truth_in_one_piece_and_streamed() {
    let service = bundled();
    // 700 x 700 is streamed in rows, 300 x 300 is not.
    for side in [300, 700] {
        let (body, clean) = noisy(side, 25.0);
        for (sigma, most) in [("&sigma=25", sampling(side)), ("", 0.05 * variance())] {
            let path = format!("/denoise?model=photo-gray&predict=1{sigma}");
            let reply = service.post(&path, "application/x-npy", body.clone());
            let predicted = numbers(header(&reply, "x-psnr-predicted"));
            let correlation: f64 = header(&reply, "x-residual-correlation").parse().unwrap();
            let true_db = psnr(&clean, &read_npy(&ok(reply)).1);
            assert!(
                (mse(predicted[0]) - mse(true_db)).abs() < most,
                "{side}{sigma}: {predicted:?}, {true_db}"
            );
            // Models that were calibrated have an interval, too.
            if let [db, low, high] = predicted[..] {
                assert!(low <= db && db <= high, "{predicted:?}");
            }
            assert!(correlation.abs() < 0.1, "{correlation}");
        }
    }
}

#[test]
fn a_prediction_changes_no_result_and_comes_in_json_too() {
    let service = bundled();
    let (body, _) = noisy(64, 30.0);
    let plain = ok(service.post("/denoise?model=photo-gray", "application/x-npy", body.clone()));
    let predicted =
        ok(service.post("/denoise?model=photo-gray&predict=1", "application/x-npy", body.clone()));
    assert_eq!(plain, predicted);
    let (_, values) = read_npy(&body);
    let rows: Vec<&[f32]> = values.chunks(64).collect();
    let request = json!({"data": rows, "model": "photo-gray", "predict": 1, "sigma": 30});
    let reply = ok_json(service.post_json("/denoise", &request));
    assert!(reply["psnr_predicted"].is_number() && reply["psnr_interval"].is_array(), "{reply}");
    assert!(reply["psnr_unknown"].is_null(), "{reply}");
    assert!(reply["residual_correlation"].is_number(), "{reply}");
    let plain = ok_json(service.post_json("/denoise", &json!({"image": base64(&png(40, 40))})));
    assert!(plain.get("psnr_predicted").is_none() && plain.get("residual_correlation").is_none(), "{plain}");
}

#[test]
fn strength_blends_the_prediction_and_averages_keep_it() {
    let service = bundled();
    let (body, clean) = noisy(200, 25.0);
    for query in ["strength=0.5", "ensemble=8", "mode=strict", "strength=0"] {
        let path = format!("/denoise?model=photo-gray&predict=1&sigma=25&{query}");
        let reply = service.post(&path, "application/x-npy", body.clone());
        let predicted = numbers(header(&reply, "x-psnr-predicted"))[0];
        let true_db = psnr(&clean, &read_npy(&ok(reply)).1);
        assert!((mse(predicted) - mse(true_db)).abs() < sampling(200), "{query}: {predicted}, {true_db}");
    }
}

#[test]
fn what_cannot_be_predicted_is_said_with_the_reason() {
    let service = bundled();
    let said = |path: &str, kind: &str, body: Vec<u8>| {
        let reply = service.post(path, kind, body);
        header(&reply, "x-psnr-predicted").to_owned()
    };
    let (faint, _) = noisy(96, 0.4);
    let known = said("/denoise?model=photo-gray&predict=1", "application/x-npy", faint);
    assert!(known.starts_with("unknown: there is no noise to remove"), "{known}");
    let (body, _) = noisy(97, 25.0);
    let (_, values) = read_npy(&body);
    // Each pixel is the mean of four: their noise is correlated.
    let smooth = (0..96 * 96).map(|i| {
        let at = i / 96 * 97 + i % 96;
        (values[at] + values[at + 1] + values[at + 97] + values[at + 98]) / 4.0
    });
    let smooth = npy("<f4", &[96, 96], &floats(smooth));
    let known = said("/denoise?model=photo-gray&predict=1&sigma=12", "application/x-npy", smooth);
    assert!(known.starts_with("unknown: the noise of adjacent pixels is correlated"), "{known}");
    let (body, _) = noisy(96, 25.0);
    let (_, values) = read_npy(&body);
    let dark: String = values.iter().map(|v| format!("{} ", (255.0 * (v - 0.2)).round() as u8)).collect();
    let dark = format!("P2 96 96 255 {dark}").into_bytes();
    let known = said("/denoise?model=photo-gray&predict=1&sigma=25", "image/x-portable-anymap", dark.clone());
    assert!(known.starts_with("unknown: ") && known.ends_with("leave sigma out"), "{known}");
    let known = said("/denoise?model=photo-gray&predict=1", "image/x-portable-anymap", dark);
    assert!(!known.starts_with("unknown"), "{known}");
    let (faint, _) = noisy(96, 10.0);
    let known = said("/denoise?model=photo-gray&predict=1&sigma=40", "application/x-npy", faint);
    assert_eq!(known, "unknown: the noise is weaker than the stated sigma; leave it out");
    let known = said("/denoise?model=photo-gray&predict=1&detail=0.5", "application/x-npy", body.clone());
    assert!(known.starts_with("unknown: strength_chroma and detail"), "{known}");

    for (query, pointer) in
        [("sigma=25", "/sigma"), ("predict=1&sigma=0", "/sigma"), ("predict=2", "/predict")]
    {
        let reply = service.post(&format!("/denoise?{query}"), "application/x-npy", body.clone());
        assert_eq!(pointers(&refused(reply, "invalid_input")), [pointer], "{query}");
    }
    let signal = service.post_json(
        "/denoise?model=ecg",
        &json!({"data": (0..64).map(|i| (f64::from(i) * 0.2).sin()).collect::<Vec<_>>(), "predict": 1}),
    );
    assert_eq!(ok_json(signal)["psnr_predicted"], Value::Null);
}
