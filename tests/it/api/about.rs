//! What the service says of itself.

use crate::support::*;

#[test]
fn limits_are_those_it_keeps() {
    let service = Service::start();
    let limits = ok_json(service.get("/limits"));
    assert_eq!(limits["image_pixels"], 1 << 20);
    assert_eq!(limits["body_bytes"], 8 << 20);
    assert!(limits["request_seconds"].is_number(), "{limits}");
}

#[test]
fn the_version_is_the_programs() {
    let service = Service::start();
    assert_eq!(ok_json(service.get("/version"))["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_contract_is_served_in_both_forms() {
    let service = Service::start();
    let response = service.get("/openapi.yaml");
    assert_eq!(header(&response, "content-type"), "application/yaml");
    assert_eq!(ok(response), limpid::api::openapi_yaml().into_bytes());
    assert!(ok_json(service.get("/openapi.json"))["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[test]
fn pages_run_their_own_script_alone() {
    let service = Service::start();
    for path in ["/", "/docs"] {
        let response = service.get(path);
        assert!(header(&response, "content-type").starts_with("text/html"));
        let policy = header(&response, "content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"), "{policy}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert!(ok(response).starts_with(b"<!doctype html>"));
    }
}
