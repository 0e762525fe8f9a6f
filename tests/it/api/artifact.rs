//! Artifacts: a version taken away, spoiled, and brought back.

use std::fs;
use std::io::Read as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::*;

fn export(service: &Service, path: &str) -> Vec<u8> {
    let response = service.get(path);
    assert_eq!(header(&response, "content-type"), "application/x-tar");
    ok(response)
}

fn import(service: &Service, query: &str, tar: &[u8]) -> reqwest::blocking::Response {
    service.post(&format!("/models{query}"), "application/x-tar", tar)
}

#[test]
fn a_version_is_brought_to_another_service_and_gives_the_same_numbers() {
    let (here, there) = (Service::start(), Service::start());
    let tar = export(&here, "/models/table/1/artifact");
    let response = import(&there, "?name=moved", &tar);
    assert_eq!((response.status().as_u16(), header(&response, "location")), (201, "/models/moved/1"));
    let model = ok_json(response);
    assert_eq!((&model["default"], &model["versions"]), (&json!(1), &json!([1])));
    let sample = npy_floats(&[12]);
    let denoised = |service: &Service, model: &str| {
        ok(service.post(&format!("/denoise?model={model}"), "application/x-npy", sample.clone()))
    };
    assert_eq!(denoised(&here, "table"), denoised(&there, "moved"));
    // The same artifact again is the version that it is already.
    let again = import(&there, "?name=moved", &tar);
    assert_eq!((again.status().as_u16(), ok_json(again)["versions"].clone()), (200, json!([1])));
}

#[test]
fn an_imported_version_serves_only_if_it_is_to() {
    let service = Service::start();
    let tar = export(&service, "/models/photo-gray/2/artifact");
    ok(service.request("DELETE", "/models/photo-gray/2").send().unwrap());
    let model = ok_json(import(&service, "", &tar));
    assert_eq!((&model["default"], &model["versions"]), (&json!(1), &json!([1, 3])));
    let model = ok_json(import(&service, "?promote=always", &tar));
    assert_eq!(model["default"], 3);
}

#[test]
fn what_is_no_artifact_is_refused() {
    let service = Service::start();
    let tar = export(&service, "/models/table/1/artifact");
    let mut spoiled = tar.clone();
    let weights = tar.windows(8).rposition(|bytes| bytes == b"decoder.").unwrap_or(tar.len() / 2);
    spoiled[weights] ^= 1;
    for bad in [&b"no tar"[..], &tar[..tar.len() / 2], &spoiled] {
        refused(import(&service, "?name=x", bad), "invalid_input");
    }
    refused(import(&service, "?name=../x", &tar), "invalid_input");
    refused(import(&service, "?promote=maybe", &tar), "invalid_input");
    refused(service.post("/models", "application/json", "{}"), "unsupported_media_type");
    refused(service.get("/models/table/9/artifact"), "version_not_found");
    assert_eq!(ok_json(service.get("/models"))["models"].as_array().unwrap().len(), 3);
}

/// The artifact with weights that are finite one by one, and so large that nothing is that they give.
fn overflowing(tar: &[u8]) -> Vec<u8> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let (name, mut bytes) = (entry.path().unwrap().display().to_string(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        files.push((name, bytes));
    }
    let weights = &mut files.iter_mut().find(|(name, _)| name == "model.safetensors").unwrap().1;
    let head = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    for number in weights[head..].chunks_exact_mut(4) {
        let value = f32::from_le_bytes(number.try_into().unwrap()).signum() * 1e15;
        number.copy_from_slice(&value.to_le_bytes());
    }
    let digest: String = Sha256::digest(&*weights).iter().map(|b| format!("{b:02x}")).collect();
    let config = &mut files.iter_mut().find(|(name, _)| name == "config.json").unwrap().1;
    let mut json: serde_json::Value = serde_json::from_slice(config).unwrap();
    json["weights"]["sha256"] = digest.into();
    *config = json.to_string().into_bytes();
    let mut out = tar::Builder::new(Vec::new());
    for (name, bytes) in &files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        out.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    out.into_inner().unwrap()
}

#[test]
fn a_model_whose_numbers_are_not_finite_is_neither_taken_in_nor_served() {
    let service = Service::start();
    let tar = overflowing(&export(&service, "/models/photo-gray/2/artifact"));
    let problem = refused(import(&service, "?name=wild&promote=always", &tar), "invalid_input");
    assert!(problem["detail"].as_str().unwrap().contains("not finite"), "{problem}");
    refused(service.get("/models/wild"), "model_not_found");

    // Put into the folder by hand, past the import: found when it is loaded.
    let folder = service.folder().join("models/photo-gray/2");
    for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = folder.join(entry.path().unwrap());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        fs::write(path, bytes).unwrap();
    }
    refused(service.post("/denoise?model=photo-gray@2", "image/png", png(8, 8)), "internal");
    let model = ok_json(service.get("/models/photo-gray"));
    assert!(model["quarantined"][0]["reason"].as_str().unwrap().contains("not finite"), "{model}");
    ok(service.post("/denoise?model=photo-gray", "image/png", png(8, 8)));
}

#[test]
fn a_version_spoiled_while_the_service_runs_is_quarantined_and_the_one_before_it_serves() {
    let service = Service::start();
    let body = json!({"version": 2});
    let request =
        service.request("PUT", "/models/photo-gray/default").header("content-type", "application/json");
    ok(request.body(body.to_string()).send().unwrap());
    let file = service.folder().join("models/photo-gray/2/model.safetensors");
    let mut weights = fs::read(&file).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    fs::write(&file, weights).unwrap();

    let response = service.post("/denoise", "image/png", png(8, 8));
    assert_eq!(header(&response, "x-model"), "photo-gray@1");
    ok(response);
    let model = ok_json(service.get("/models/photo-gray"));
    assert_eq!((&model["default"], &model["versions"]), (&json!(1), &json!([1])));
    assert!(model["quarantined"][0]["reason"].as_str().unwrap().contains("SHA-256"), "{model}");
    refused(service.post("/denoise?model=photo-gray@2", "image/png", png(8, 8)), "internal");
}
