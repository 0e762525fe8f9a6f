//! `POST /decode`: samples from latents alone.

use std::time::{Duration, Instant};

use image::ImageFormat;
use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::*;

const LATENT: &str = "application/vnd.limpid.latent";

/// A service and the latent file of a gray image there.
fn latent(width: u32, height: u32) -> (Service, Vec<u8>) {
    let service = Service::start();
    let file = ok(service.post("/encode", "image/png", png(width, height)));
    (service, file)
}

#[test]
fn images_come_as_png_unless_told_otherwise() {
    let (service, file) = latent(21, 17);
    let response = service.post("/decode", LATENT, file.clone());
    assert_eq!(header(&response, "x-model"), "photo-gray@1");
    assert_eq!(read(&ok(response), ImageFormat::Png).width(), 21);
    let tiff = ok(service.post("/decode?format=tif&depth=16", LATENT, file));
    assert_eq!(read(&tiff, ImageFormat::Tiff).color(), image::ColorType::L16);
}

#[test]
fn vectors_come_as_npy() {
    let service = Service::start();
    let file = ok(service.post("/encode?model=table", "application/x-npy", npy_floats(&[12])));
    let response = service.post("/decode", LATENT, file);
    assert_eq!(header(&response, "content-type"), "application/x-npy");
    assert_eq!(read_npy(&ok(response)).1.len(), 12);
}

#[test]
fn decoding_the_encoded_is_denoising_by_the_strict_path_bit_for_bit() {
    let service = Service::start();
    for (width, height) in [(1, 1), (7, 3), (16, 16), (33, 50)] {
        let image = png(width, height);
        let file = ok(service.post("/encode", "image/png", image.clone()));
        let decoded = ok(service.post("/decode?format=npy&depth=float", LATENT, file));
        let strict = ok(service.post("/denoise?mode=strict&format=npy&depth=float", "image/png", image));
        assert_eq!(decoded, strict, "{width}x{height}");
    }
}

/// Rows hold the numbers of the latents in JSON; latents of two sizes make no array.
#[test]
fn latents_are_rows_of_one_array_where_npy_is_accepted() {
    let service = Service::start();
    let post = |files: &[(&str, Vec<u8>)], accept: &str| {
        let form = files.iter().fold(Form::new(), |form, (name, bytes)| {
            form.part("file", Part::bytes(bytes.clone()).file_name((*name).to_owned()))
        });
        service.request("POST", "/encode").header("accept", accept).multipart(form).send().unwrap()
    };
    let two = [("a.png", png(16, 16)), ("b.png", png(16, 16))];
    let (dims, rows) = read_npy(&ok(post(&two, "application/x-npy")));
    let samples = ok_json(post(&two, "application/json"));
    let latent = &samples["samples"][1]["latent"]["planes"];
    let of = |plane: &Value| to_floats(&from_base64(&plane["data"]));
    let planes: Vec<f32> = latent.as_array().unwrap().iter().flat_map(of).collect();
    assert!(dims.contains(&format!("(2, {},", planes.len())), "{dims}");
    assert_eq!(rows[planes.len()..], planes);
    let (dims, _) = read_npy(&ok(post(&two[..1], "application/x-npy")));
    assert!(dims.contains(&format!("(1, {},", planes.len())), "{dims}");
    let unequal = [two[0].clone(), ("c.png", png(32, 16))];
    refused(post(&unequal, "application/x-npy"), "not_acceptable");
}

#[test]
fn json_forms_of_a_latent_decode_alike() {
    let (service, file) = latent(16, 16);
    let request = service.request("POST", "/encode").header("accept", "application/json");
    let encoded = ok_json(request.header("content-type", "image/png").body(png(16, 16)).send().unwrap());
    let by_file = ok_json(service.post_json("/decode", &json!({"latent": base64(&file), "format": "raw"})));
    let by_json =
        ok_json(service.post_json("/decode", &json!({"latent": encoded["latent"], "format": "raw"})));
    assert_eq!(by_file["tensor"], by_json["tensor"]);
    let list = json!({"samples": [{"latent": base64(&file)}, {"latent": encoded["latent"]}]});
    assert_eq!(ok_json(service.post_json("/decode", &list))["samples"].as_array().unwrap().len(), 2);
}

#[test]
fn a_latent_cut_at_any_byte_is_refused() {
    let (service, file) = latent(4, 4);
    for end in 1..file.len() {
        let begun = Instant::now();
        refused(service.post("/decode", LATENT, &file[..end]), "invalid_input");
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn a_latent_with_any_byte_flipped_is_refused() {
    let (service, file) = latent(4, 4);
    for position in 0..file.len() {
        let mut bytes = file.clone();
        bytes[position] ^= 0x55;
        let begun = Instant::now();
        let status = service.post("/decode", LATENT, bytes).status().as_u16();
        assert!([400, 415].contains(&status), "byte {position}: {status}");
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn a_latent_of_another_model_or_version_is_refused() {
    let (service, file) = latent(16, 16);
    for model in ["photo-color", "photo-gray@2"] {
        let response = service.post(&format!("/decode?model={model}"), LATENT, file.clone());
        refused(response, "latent_model_mismatch");
    }
    ok(service.post("/decode?model=photo-gray@1", LATENT, file));
}

#[test]
fn a_latent_of_other_weights_is_refused() {
    let (service, _) = latent(16, 16);
    let request = service.request("POST", "/encode").header("accept", "application/json");
    let encoded = ok_json(request.header("content-type", "image/png").body(png(16, 16)).send().unwrap());
    for (member, value, code) in [
        ("digest", json!("00".repeat(32)), "latent_model_mismatch"),
        ("model", json!("nowhere"), "model_not_found"),
        ("version", json!(77), "version_not_found"),
    ] {
        let mut latent = encoded["latent"].clone();
        latent[member] = value;
        refused(service.post_json("/decode", &json!({"latent": latent})), code);
    }
}

#[test]
fn a_latent_that_does_not_fit_its_model_is_refused() {
    let (service, _) = latent(16, 16);
    let request = service.request("POST", "/encode").header("accept", "application/json");
    let encoded = ok_json(request.header("content-type", "image/png").body(png(16, 16)).send().unwrap());
    let mut latent = encoded["latent"].clone();
    latent["shape"] = json!({"image": {"channels": 1, "height": 160, "width": 16}});
    let problem = problem(service.post_json("/decode", &json!({"latent": latent})));
    assert!(
        ["latent_model_mismatch", "shape_mismatch"].contains(&problem["code"].as_str().unwrap()),
        "{problem}"
    );
}

#[test]
fn a_sample_is_no_latent() {
    let service = Service::start();
    refused(service.post("/decode", "image/png", png(8, 8)), "invalid_input");
    refused(service.post_json("/decode", &json!({"data": [1]})), "invalid_input");
}
