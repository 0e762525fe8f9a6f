//! `/models`: lists, cards, the default, removal.

use serde_json::{Value, json};

use crate::support::*;

fn put(service: &Service, path: &str, body: &Value, if_match: Option<&str>) -> reqwest::blocking::Response {
    let request =
        service.request("PUT", path).header("content-type", "application/json").body(body.to_string());
    match if_match {
        Some(tag) => request.header("if-match", tag).send().unwrap(),
        None => request.send().unwrap(),
    }
}

#[test]
fn all_are_listed_with_what_they_take() {
    let service = Service::start();
    let list = ok_json(service.get("/models"));
    let names: Vec<_> =
        list["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["photo-color", "photo-gray", "table"]);
    let table = ok_json(service.get("/models/table"));
    assert_eq!(table["input"], json!({"kind": "vector", "channels": 1, "fixed": [12]}));
}

#[test]
fn a_version_has_its_card() {
    let service = Service::start();
    let card = ok_json(service.get("/models/photo-gray/2"));
    assert_eq!((&card["name"], &card["version"]), (&json!("photo-gray"), &json!(2)));
    assert!(card["card"].as_str().unwrap().starts_with("# photo-gray 2"), "{card}");
    assert_eq!(card["digest"].as_str().unwrap().len(), 64);
    assert_eq!(card["config"]["training"]["seed"], 2);
}

#[test]
fn what_is_not_there_is_said() {
    let service = Service::start();
    refused(service.get("/models/nowhere"), "model_not_found");
    refused(service.get("/models/..%2f..%2fetc"), "model_not_found");
    refused(service.get("/models/photo-gray/9"), "version_not_found");
    refused(service.get("/models/photo-gray/x"), "version_not_found");
    refused(service.get("/models/nowhere/1"), "model_not_found");
    refused(service.request("DELETE", "/models/photo-gray/9").send().unwrap(), "version_not_found");
}

#[test]
fn moving_the_default_moves_what_serves() {
    let service = Service::start();
    let served = || header(&service.post("/denoise", "image/png", png(8, 8)), "x-model").to_owned();
    assert_eq!(served(), "photo-gray@1");
    let before = header(&service.get("/models/photo-gray"), "etag").to_owned();
    let response = put(&service, "/models/photo-gray/default", &json!({"version": 2}), Some(&before));
    let after = header(&response, "etag").to_owned();
    assert_eq!(ok_json(response)["default"], 2);
    assert_ne!(before, after);
    assert_eq!(served(), "photo-gray@2");

    let stale = put(&service, "/models/photo-gray/default", &json!({"version": 1}), Some(&before));
    refused(stale, "precondition_failed");
    assert_eq!(served(), "photo-gray@2");
    let listed = format!("\"other\", {after}");
    ok(put(&service, "/models/photo-gray/default", &json!({"version": 1}), Some(&listed)));
    assert_eq!(served(), "photo-gray@1");
}

#[test]
fn a_default_must_be_a_version() {
    let service = Service::start();
    let path = "/models/photo-gray/default";
    refused(put(&service, path, &json!({"version": 9}), None), "version_not_found");
    for body in [json!({}), json!({"version": 0.5}), json!({"version": 1, "x": 2}), json!([])] {
        refused(put(&service, path, &body, None), "invalid_input");
    }
    refused(service.request("PUT", path).body("{}").send().unwrap(), "unsupported_media_type");
}

#[test]
fn a_removed_version_is_gone() {
    let service = Service::start();
    let file = ok(service.post("/encode?model=photo-gray@2", "image/png", png(8, 8)));
    let response = service.request("DELETE", "/models/photo-gray/2").send().unwrap();
    assert_eq!(response.status().as_u16(), 204);
    refused(service.get("/models/photo-gray/2"), "version_not_found");
    refused(service.post("/denoise?model=photo-gray@2", "image/png", png(8, 8)), "version_not_found");
    refused(service.post("/decode", "application/vnd.limpid.latent", file), "version_not_found");
}
