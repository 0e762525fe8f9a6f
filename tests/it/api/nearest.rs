//! Search by latent: `POST /models/{name}/nearest` and indexes.

use limpid::api::keys::Scope;
use reqwest::blocking::Response;
use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::*;

const INDEX: &str = "/models/table/indexes/rows";

/// Vectors of 12, each with one place of its own.
fn vectors(from: usize, to: usize) -> Vec<u8> {
    let value = |i: usize, j: usize| if j == i % 12 { 3.0 + (i / 12) as f32 } else { (j as f32 * 0.9).sin() };
    npy("<f4", &[to - from, 12], &floats((from..to).flat_map(|i| (0..12).map(move |j| value(i, j)))))
}

fn put(service: &Service, path: &str, body: Vec<u8>) -> Response {
    service.request("PUT", path).header("content-type", "application/x-npy").body(body).send().unwrap()
}

fn positions(reply: &Value, at: usize) -> Vec<u64> {
    let neighbors = reply["results"][at]["neighbors"].as_array().unwrap();
    neighbors.iter().map(|neighbor| neighbor["position"].as_u64().unwrap()).collect()
}

#[test]
fn an_index_is_made_searched_added_to_and_removed_while_serving() {
    let service = Service::start();
    let made = put(&service, INDEX, vectors(0, 8));
    assert_eq!((made.status().as_u16(), header(&made, "location")), (201, INDEX));
    assert_eq!(ok_json(made), json!({"model": "table@1", "index": "rows", "samples": 8, "numbers": 3}));
    let find = || {
        let path = "/models/table/nearest?index=rows&k=3";
        ok_json(service.post(path, "application/x-npy", vectors(5, 7)))
    };
    let found = find();
    assert_eq!(
        (&found["model"], &found["index"], &found["searched"]),
        (&json!("table@1"), &json!("rows"), &json!(8))
    );
    for (at, own) in [(0, 5), (1, 6)] {
        assert_eq!((positions(&found, at).len(), positions(&found, at)[0]), (3, own));
        assert_eq!(found["results"][at]["neighbors"][0]["distance"], 0.0);
        assert!(found["results"][at]["neighbors"][1]["distance"].as_f64().unwrap() > 0.0);
    }
    let added = put(&service, &format!("{INDEX}?add=1"), vectors(5, 9));
    assert_eq!((added.status().as_u16(), ok_json(added)["samples"].clone()), (200, json!(12)));
    // Sample 5 is there twice now, the first of both first.
    assert_eq!(positions(&find(), 0)[..2], [5, 8]);
    assert_eq!(ok_json(put(&service, INDEX, vectors(0, 2)))["samples"], 2);
    assert_eq!(find()["results"][0]["neighbors"].as_array().unwrap().len(), 2);

    assert_eq!(service.request("DELETE", INDEX).send().unwrap().status().as_u16(), 204);
    refused(service.request("DELETE", INDEX).send().unwrap(), "not_found");
    let path = "/models/table/nearest?index=rows";
    let problem = refused(service.post(path, "application/x-npy", vectors(0, 1)), "not_found");
    assert!(problem["detail"].as_str().unwrap().contains("PUT /models/table/indexes/rows"), "{problem}");
}

#[test]
fn an_uploaded_set_is_searched_and_latents_of_maps_are_pooled() {
    let service = Service::start();
    let part = |bytes: Vec<u8>, name: &str| Part::bytes(bytes).file_name(name.to_owned());
    let form = Form::new()
        .part("file", part(png(40, 40), "mine.png"))
        .part("among", part(png(64, 30), "wide.png"))
        .part("among", part(png(40, 40), "same.png"));
    let path = "/models/photo-gray/nearest?k=2";
    let found = ok_json(service.request("POST", path).multipart(form).send().unwrap());
    let nearest = &found["results"][0]["neighbors"][0];
    assert_eq!(
        (&nearest["name"], &nearest["distance"], &found["searched"]),
        (&json!("same.png"), &json!(0.0), &json!(2))
    );
    assert!(found["index"].is_null(), "{found}");
}

#[test]
fn an_index_of_another_version_is_refused() {
    let service = Service::start();
    let image = |path: &str, method: &str| {
        service.request(method, path).header("content-type", "image/png").body(png(24, 24)).send().unwrap()
    };
    ok(image("/models/photo-gray/indexes/one?version=1", "PUT"));
    ok(image("/models/photo-gray/nearest?index=one", "POST"));
    let problem =
        refused(image("/models/photo-gray/nearest?index=one&version=2", "POST"), "latent_model_mismatch");
    assert!(problem["detail"].as_str().unwrap().contains("put the samples again"), "{problem}");
    refused(image("/models/photo-gray/indexes/one?version=2&add=1", "PUT"), "latent_model_mismatch");
    // The index of one model is none of another.
    let path = "/models/table/nearest?index=one";
    refused(service.post(path, "application/x-npy", vectors(0, 1)), "not_found");
}

#[test]
fn a_damaged_file_fails_and_bad_requests_are_refused() {
    let service = Service::start();
    ok(put(&service, INDEX, vectors(0, 4)));
    let query = |path: &str| service.post(path, "application/x-npy", vectors(0, 1));
    for (path, pointer) in [
        ("/models/table/nearest", "/index"),
        ("/models/table/nearest?index=rows&k=0", "/k"),
        ("/models/table/nearest?index=../x", "/index"),
        ("/models/table/nearest?index=rows&version=0", "/version"),
        ("/models/table/nearest?index=rows&add=1", "/add"),
    ] {
        assert_eq!(pointers(&refused(query(path), "invalid_input")), [pointer], "{path}");
    }
    refused(query("/models/nowhere/nearest?index=rows"), "model_not_found");
    refused(query("/models/table/nearest?index=rows&version=9"), "version_not_found");
    refused(put(&service, "/models/table/indexes/A", vectors(0, 1)), "invalid_input");
    refused(put(&service, INDEX, npy_floats(&[2, 11])), "shape_mismatch");
    let file = service.folder().join("indexes/table/rows.index");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    bytes.push(0);
    std::fs::write(&file, bytes).unwrap();
    refused(query("/models/table/nearest?index=rows"), "internal");
}

#[test]
fn indexes_are_for_those_who_train_and_searches_for_those_who_infer() {
    let keys = vec![
        ("reader", vec![Scope::Infer]),
        ("both", vec![Scope::Infer, Scope::Train]),
        ("trainer", vec![Scope::Train]),
    ];
    let service = Service::with(Setup { keys, ..Setup::default() });
    let send = |method: &str, path: &str, key: usize| {
        let request = service.request(method, path).header("x-api-key", &service.keys[key]);
        request.header("content-type", "application/x-npy").body(vectors(0, 3)).send().unwrap()
    };
    refused(send("PUT", INDEX, 0), "forbidden");
    // It trained no model of this name.
    refused(send("PUT", INDEX, 2), "model_not_found");
    ok(send("PUT", INDEX, 1));
    ok(send("POST", "/models/table/nearest?index=rows", 0));
    refused(send("POST", "/models/table/nearest?index=rows", 2), "forbidden");
    refused(send("DELETE", INDEX, 2), "model_not_found");
}
