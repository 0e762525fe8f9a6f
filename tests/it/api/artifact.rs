//! Artifacts: a version taken away, spoiled, and brought back.

use std::fs;

use serde_json::json;

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
