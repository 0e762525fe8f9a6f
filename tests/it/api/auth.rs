//! Access: who may do what once there are keys.

use std::time::Duration;

use limpid::api::keys::{self, Scope};
use serde_json::json;

use super::train::{config, finish_with, submit_with};
use crate::support::*;

fn guarded() -> Service {
    Service::with(Setup {
        keys: vec![
            ("reader", vec![Scope::Infer]),
            ("trainer", vec![Scope::Train]),
            ("root", vec![Scope::Admin]),
        ],
        ..Setup::default()
    })
}

fn status(service: &Service, method: &str, path: &str, key: Option<&str>) -> u16 {
    let request = service.request(method, path);
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    request.send().unwrap().status().as_u16()
}

#[test]
fn without_a_key_only_health_and_pages_answer() {
    let service = guarded();
    for path in ["/livez", "/readyz", "/startupz"] {
        let response = service.get(path);
        assert_eq!((response.status().as_u16(), response.bytes().unwrap().len()), (204, 0), "{path}");
    }
    for path in
        ["/models", "/limits", "/version", "/openapi.yaml", "/openapi.json", "/train", "/models/photo-gray"]
    {
        let response = service.get(path);
        assert_eq!(header(&response, "www-authenticate"), "Bearer realm=\"limpid\"", "{path}");
        refused(response, "unauthorized");
    }
    refused(service.post("/denoise", "image/png", png(8, 8)), "unauthorized");
}

#[test]
fn a_wrong_key_is_no_key() {
    let service = guarded();
    for key in ["", "limpid_", "limpid_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x"] {
        assert_eq!(status(&service, "GET", "/models", Some(key)), 401, "{key}");
    }
}

#[test]
fn keys_come_in_either_header() {
    let service = guarded();
    assert_eq!(status(&service, "GET", "/models", Some(&service.keys[0])), 200);
    let by_header = service.request("GET", "/models").header("x-api-key", &service.keys[0]).send().unwrap();
    assert_eq!(by_header.status().as_u16(), 200);
}

#[test]
fn scopes_are_kept_apart_and_admin_has_all() {
    let service = guarded();
    let [reader, trainer, root] = [0, 1, 2].map(|at| service.keys[at].clone());
    for (method, path, allowed) in [
        ("GET", "/models", [true, true, true]),
        ("GET", "/metrics", [true, false, true]),
        ("GET", "/models/photo-gray/1/artifact", [true, false, true]),
        ("GET", "/train", [false, true, true]),
        ("DELETE", "/models/nowhere/1", [false, false, true]),
        ("POST", "/train/none/cancel", [false, true, true]),
    ] {
        for (key, allowed) in [&reader, &trainer, &root].into_iter().zip(allowed) {
            let status = status(&service, method, path, Some(key));
            assert_eq!(status != 403, allowed, "{method} {path}: {status}");
        }
    }
    let response = service.request("GET", "/train").bearer_auth(&reader).send().unwrap();
    let problem = refused(response, "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("train"), "{problem}");
}

#[test]
fn a_key_for_training_sees_the_models_that_it_trained() {
    let keys =
        vec![("trainer", vec![Scope::Train]), ("other", vec![Scope::Train]), ("root", vec![Scope::Admin])];
    let jobs = limpid::job::Config { nice: 0, ..limpid::job::Config::default() };
    let service = Service::with(Setup { keys, jobs, ..Setup::default() });
    let get =
        |key: usize, path: &str| service.request("GET", path).bearer_auth(&service.keys[key]).send().unwrap();
    let names = |key: usize| {
        let models = ok_json(get(key, "/models"))["models"].as_array().unwrap().clone();
        models.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names(0), names(2).len()), (vec![], 3));
    let job = ok_json(submit_with(&service, &config("mine", 5), Some(&service.keys[0])));
    finish_with(&service, job["id"].as_str().unwrap(), Some(&service.keys[0]));
    assert_eq!((names(0), names(1), names(2).len()), (vec!["mine".to_owned()], vec![], 4));
    for path in ["/models/mine", "/models/mine/1"] {
        assert_eq!(get(0, path).status(), 200, "{path}");
        refused(get(1, path), "model_not_found");
    }
    refused(get(0, "/models/photo-gray"), "model_not_found");
    refused(get(0, "/models/photo-gray/1"), "model_not_found");
}

#[test]
fn the_key_file_is_read_again_when_it_changes() {
    let service = guarded();
    let file = service.folder().join("keys");
    let new = keys::add(&file, "new".parse().unwrap(), vec![Scope::Infer]).unwrap();
    keys::remove(&file, &"reader".parse().unwrap()).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(status(&service, "GET", "/models", Some(&new)), 200);
    assert_eq!(status(&service, "GET", "/models", Some(&service.keys[0])), 401);
}

#[test]
fn an_unknown_route_tells_nothing_more_than_that() {
    let service = guarded();
    refused(service.get("/nowhere"), "not_found");
}

#[test]
fn a_body_is_not_read_before_the_key_is() {
    let service = guarded();
    let request = service.request("POST", "/train").json(&json!({"config": {"name": "x"}, "samples": []}));
    refused(request.bearer_auth(&service.keys[0]).send().unwrap(), "forbidden");
}
