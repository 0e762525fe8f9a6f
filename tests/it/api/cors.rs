//! Cross-origin access: off, unless origins are listed.

use reqwest::blocking::Response;

use crate::support::*;

fn preflight(service: &Service, origin: &str) -> Response {
    service
        .request("OPTIONS", "/denoise")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-tensor-shape")
        .send()
        .unwrap()
}

#[test]
fn off_by_default() {
    let service = Service::start();
    assert_eq!(header(&preflight(&service, "https://lab.example"), "access-control-allow-origin"), "");
    let response = service.request("GET", "/version").header("origin", "https://lab.example").send().unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), "");
    refused(service.request("OPTIONS", "/nowhere").send().unwrap(), "not_found");
}

#[test]
fn on_for_the_listed_origins_alone() {
    let mut setup = Setup::default();
    setup.config.cors_origins = vec!["https://lab.example".to_owned()];
    let service = Service::with(setup);
    let response = preflight(&service, "https://lab.example");
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(header(&response, "access-control-allow-origin"), "https://lab.example");
    let allowed = header(&response, "access-control-allow-headers").to_owned();
    assert!(allowed.contains("authorization") && allowed.contains("x-tensor-shape"), "{allowed}");
    assert!(allowed.contains("idempotency-key") && allowed.contains("last-event-id"), "{allowed}");
    assert_eq!(header(&preflight(&service, "https://other.example"), "access-control-allow-origin"), "");

    let request = service.request("POST", "/denoise").header("origin", "https://lab.example");
    let response = request.header("content-type", "image/png").body(png(8, 8)).send().unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), "https://lab.example");
    assert!(header(&response, "access-control-expose-headers").contains("x-noise-sigma"));
}

#[test]
fn failures_can_be_read_across_origins_too() {
    let mut setup = Setup::default();
    setup.config.cors_origins = vec!["https://lab.example".to_owned()];
    let service = Service::with(setup);
    let request = service.request("POST", "/denoise").header("origin", "https://lab.example");
    let response = request.header("content-type", "image/png").body("x").send().unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), "https://lab.example");
    refused(response, "invalid_input");
}
