//! `POST /compare`.

use limpid::rng::{Purpose, Rng};
use serde_json::{Value, json};

use crate::support::*;

/// A picture under white noise of sigma 40, as nested numbers, and the clean one.
fn pair() -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut noise = vec![0.0; 96 * 96];
    Rng::new(6, Purpose::Evaluate, 0).fill_normal(&mut noise);
    let clean = |x: usize, y: usize| 0.5 + 0.3 * (x as f32 * 0.1).sin() * (y as f32 * 0.06).cos();
    let rows = |noise: &dyn Fn(usize) -> f32| {
        (0..96).map(|y| (0..96).map(|x| clean(x, y) + noise(y * 96 + x)).collect()).collect()
    };
    (rows(&|i| 40.0 / 255.0 * noise[i]), rows(&|_| 0.0))
}

fn names(reply: &Value) -> Vec<String> {
    let name = |one: &Value| format!("{} {}", one["model"].as_str().unwrap_or("input"), one["strength"]);
    reply["candidates"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn candidates_are_ranked_by_the_truth_and_by_the_prediction_alike() {
    let service = Service::with(Setup { is_bundled: true, ..Setup::default() });
    let (noisy, clean) = pair();
    let body = json!({
        "pairs": [{"noisy": {"data": noisy}, "clean": {"data": clean}}], "models": "photo-gray", "strengths": "0.3,1",
    });
    let reply = ok_json(service.post_json("/compare", &body));
    assert_eq!((&reply["ranked_by"], &reply["reason"]), (&json!("truth"), &Value::Null));
    assert_eq!(names(&reply), ["photo-gray@6 1.0", "photo-gray@6 0.3", "input 0.0"]);
    assert_eq!(reply["best"], json!({"model": "photo-gray@6", "strength": 1.0}));
    let db = |at: usize, member: &str| reply["candidates"][at][member].as_f64().unwrap();
    // Noise of sigma 40 of 255 is 16.09 dB.
    assert!((db(2, "db") - 16.09).abs() < 0.2 && (db(2, "psnr_predicted") - 16.09).abs() < 0.6, "{reply}");
    assert!(db(0, "db") > db(2, "db") + 10.0 && db(0, "ssim") > db(2, "ssim"), "{reply}");
    assert!(db(0, "residual_correlation").abs() < 0.1, "{reply}");

    let blind = json!({"data": noisy, "models": "photo-gray", "strengths": "0.3,1", "sigma": 40});
    let reply = ok_json(service.post_json("/compare", &blind));
    assert_eq!(reply["ranked_by"], "prediction");
    assert_eq!(names(&reply), ["photo-gray@6 1.0", "photo-gray@6 0.3", "input 0.0"]);
    assert!(reply["candidates"][0]["db"].is_null() && reply["candidates"][2]["psnr_predicted"] == 16.09);
}

#[test]
fn all_models_that_fit_are_compared_and_where_nothing_helps_the_input_is_best() {
    let service = Service::start();
    let (_, clean) = pair();
    // The models of this service are untrained: they spoil a clean picture.
    let body = json!({"pairs": [{"noisy": {"data": clean}, "clean": {"data": clean}}]});
    let reply = ok_json(service.post_json("/compare", &body));
    assert_eq!(names(&reply), ["input 0.0", "photo-gray@1 1.0"]);
    assert_eq!(reply["best"], json!({"model": null, "strength": 0.0}));
    assert!(reply["candidates"][0]["db"].is_null(), "equal has no decibels: {reply}");

    let alone = ok_json(service.post_json("/compare", &json!({"data": clean})));
    assert_eq!((&alone["ranked_by"], &alone["best"]["strength"]), (&json!("nothing"), &json!(0.0)));
    assert!(alone["reason"].as_str().unwrap().starts_with("there is no noise to remove"), "{alone}");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let service = Service::start();
    let image = json!({"image": base64(&png(24, 24))});
    let refused_at = |body: Value, code: &str| refused(service.post_json("/compare", &body), code);
    refused_at(json!({"samples": [image, image]}), "invalid_input");
    let pair = |clean: u32| json!([{"noisy": image, "clean": {"image": base64(&png(clean, 24))}}]);
    refused_at(json!({"pairs": pair(25)}), "shape_mismatch");
    refused_at(json!({"image": image["image"], "models": "nowhere"}), "model_not_found");
    refused_at(json!({"image": image["image"], "models": "photo-color"}), "shape_mismatch");
    for (member, value) in [("models", json!("a b")), ("strengths", json!("1,2")), ("sigma", json!(-1))] {
        let mut body = image.clone();
        body[member] = value;
        assert_eq!(pointers(&refused_at(body, "invalid_input")), [format!("/{member}")]);
    }
    let strengths = (1..=33).map(|i| format!("{}", f64::from(i) / 64.0)).collect::<Vec<_>>().join(",");
    let many = refused_at(json!({"image": image["image"], "strengths": strengths}), "invalid_input");
    assert_eq!((&many["limit"], &many["actual"]), (&json!(33), &json!(34)));
    let text =
        service.request("POST", "/compare").header("content-type", "image/png").header("accept", "text/html");
    refused(text.body(png(24, 24)).send().unwrap(), "not_acceptable");
}
