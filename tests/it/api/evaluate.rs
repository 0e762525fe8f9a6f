//! `POST /evaluate`: what a report holds.

use serde_json::json;

use crate::support::*;

#[test]
fn a_sample_alone_is_compared_with_its_output_and_its_baselines() {
    let service = Service::start();
    let report = ok_json(service.post("/evaluate", "image/png", png(96, 96)));
    let entry = &report["samples"][0];
    assert_eq!(entry["model"], "photo-gray@1");
    assert_eq!(entry["shape"], json!([1, 96, 96]));
    assert!(entry["output_to_input"]["db"].is_number() && entry["output_to_input"]["ssim"].is_number());
    assert!(entry["latent"]["numbers"].as_u64() < entry["latent"]["sample_numbers"].as_u64(), "{entry}");
    assert!(entry["jpeg"]["bytes"].as_u64() <= entry["latent"]["bytes"].as_u64(), "{entry}");
    assert!(entry["pca"]["numbers"].as_u64() <= entry["latent"]["numbers"].as_u64(), "{entry}");
    assert!(entry["gain_db"].is_null() && entry["noisy_to_clean"].is_null(), "{entry}");
}

#[test]
fn a_pair_is_judged_by_its_clean_twin() {
    let service = Service::start();
    let clean = vec![vec![0.5; 32]; 32];
    let noisy: Vec<Vec<f64>> =
        (0..32).map(|y| (0..32).map(|x| 0.5 + f64::from((x * 7 + y * 5) % 11) / 50.0).collect()).collect();
    let pair = json!({"noisy": {"data": noisy}, "clean": {"data": clean}});
    let report = ok_json(service.post_json("/evaluate", &json!({"pairs": [pair], "strength": 0.5})));
    let entry = &report["samples"][0];
    let number = |name: &str, member: &str| entry[name][member].as_f64().unwrap();
    let gain = number("output_to_clean", "db") - number("noisy_to_clean", "db");
    assert!((entry["gain_db"].as_f64().unwrap() - gain).abs() < 1e-9, "{entry}");
}

#[test]
fn what_goes_unchanged_is_alike_without_end() {
    let service = Service::start();
    let report = ok_json(service.post("/evaluate?strength=0", "image/png", png(32, 32)));
    let likeness = &report["samples"][0]["output_to_input"];
    assert!(likeness["db"].is_null() && likeness["ssim"] == 1.0, "{likeness}");
}

#[test]
fn pairs_come_as_form_files_too() {
    use reqwest::blocking::multipart::{Form, Part};
    let service = Service::start();
    let part = |bytes: Vec<u8>| Part::bytes(bytes).file_name("a.png");
    let form = Form::new().part("noisy", part(png(16, 16))).part("clean", part(png(16, 16)));
    let report = ok_json(service.request("POST", "/evaluate").multipart(form).send().unwrap());
    assert_eq!(report["samples"].as_array().unwrap().len(), 1);

    let form = Form::new().part("noisy", part(png(16, 16)));
    refused(service.request("POST", "/evaluate").multipart(form).send().unwrap(), "invalid_input");
    let form = Form::new().part("noisy", part(png(16, 16))).part("clean", part(png(16, 17)));
    refused(service.request("POST", "/evaluate").multipart(form).send().unwrap(), "shape_mismatch");
}

#[test]
fn the_output_that_is_scored_is_that_of_denoise() {
    let service = Service::start();
    let value =
        |c: usize, y: usize, x: usize| 0.3 + 0.1 * c as f64 + ((x * 7 + y * 5 + c) % 11) as f64 / 40.0;
    let picture = |of: &dyn Fn(usize, usize, usize) -> f64| -> Vec<Vec<Vec<f64>>> {
        let row = |c, y| (0..48).map(|x| of(c, y, x)).collect();
        (0..3).map(|c| (0..40).map(|y| row(c, y)).collect()).collect()
    };
    let (noisy, clean) = (picture(&value), picture(&|_, _, _| 0.5));
    // A gray model takes a colour picture channel by channel.
    let body = json!({"model": "photo-gray", "layout": "CHW", "data": noisy});
    let output = ok_json(service.post_json("/denoise", &body));
    let output: Vec<Vec<Vec<f64>>> = serde_json::from_value(output["data"].clone()).unwrap();
    let squares: f64 = output.iter().flatten().flatten().map(|v| (v - 0.5).powi(2)).sum();
    let db = -10.0 * (squares / (3.0 * 40.0 * 48.0)).log10();
    let pair = json!({"noisy": {"data": noisy}, "clean": {"data": clean}});
    let body = json!({"pairs": [pair], "model": "photo-gray", "layout": "CHW"});
    let report = ok_json(service.post_json("/evaluate", &body));
    let entry = &report["samples"][0];
    let scored = entry["output_to_clean"]["db"].as_f64().unwrap();
    assert!((scored - db).abs() < 1e-3, "{scored} {db}");
    // Three latents, one for each channel.
    let body = json!({"data": noisy[0], "model": "photo-gray"});
    let one = ok_json(service.post_json("/evaluate", &body));
    let numbers = |entry: &serde_json::Value| entry["latent"]["numbers"].as_u64().unwrap();
    assert_eq!(numbers(entry), 3 * numbers(&one["samples"][0]));
}
