//! Hosts and pages: which requests of a browser are answered.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use limpid::api::keys::Scope;
use reqwest::blocking::RequestBuilder;
use serde_json::json;

use super::train::{config, submit_with};
use crate::support::*;

/// The reply to a head with these lines; the connection is closed after it.
fn reply(service: &Service, line: &str, headers: &[&str]) -> String {
    let mut socket = TcpStream::connect(service.address()).unwrap();
    let head = format!("{line}\r\nconnection: close\r\n{}\r\n\r\n", headers.join("\r\n"));
    socket.write_all(head.as_bytes()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    reply
}

fn status(service: &Service, line: &str, headers: &[&str]) -> u16 {
    reply(service, line, headers)["HTTP/1.1 ".len()..][..3].parse().unwrap()
}

#[test]
fn a_name_that_a_page_could_own_is_not_served() {
    let mut setup = Setup::default();
    setup.config.allowed_hosts = vec!["lab.example".into()];
    let service = Service::with(setup);
    let get = |host: &str| status(&service, "GET /models HTTP/1.1", &[&format!("host: {host}")]);
    for host in ["localhost", "127.0.0.1:8080", "[::1]:1", "lab.example", "LAB.example:80"] {
        assert_eq!(get(host), 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8080", "192.168.1.7", "lab.example.evil"] {
        assert_eq!(get(host), 421, "{host}");
    }
    let refused = reply(&service, "GET /models HTTP/1.1", &["host: evil.example"]);
    for part in ["application/problem+json", "host_not_served", "evil.example", "server.allowed_hosts"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(status(&service, "GET http://evil.example/models HTTP/1.1", &["host: localhost"]), 421);
    assert_eq!(status(&service, "DELETE /models/photo-gray/1 HTTP/1.1", &["host: evil.example"]), 421);
    assert_eq!(status(&service, "GET /livez HTTP/1.1", &["host: probe.example"]), 204);
}

#[test]
fn a_host_is_stated_once() {
    let service = Service::start();
    let get = |headers: &[&str]| status(&service, "GET /livez HTTP/1.1", headers);
    assert_eq!(get(&[]), 400);
    assert_eq!(get(&["host: localhost", "host: localhost"]), 400);
    assert_eq!(get(&["host: a@localhost"]), 400);
    assert_eq!(get(&["host: localhost"]), 204);
    let old = reply(&service, "GET /livez HTTP/1.0", &["accept: */*"]);
    assert!(old.starts_with("HTTP/1.0 204"), "{old}");
}

#[test]
fn with_keys_any_name_is_served() {
    let service = Service::with(Setup { keys: vec![("root", vec![Scope::Admin])], ..Setup::default() });
    let key = format!("x-api-key: {}", service.keys[0]);
    assert_eq!(status(&service, "GET /models HTTP/1.1", &["host: any.example", &key]), 200);
    assert_eq!(status(&service, "GET /models HTTP/1.1", &["host: any.example"]), 401);
}

/// A request as a form of a page sends it, without a preflight.
fn post(service: &Service, headers: &[(&str, &str)]) -> RequestBuilder {
    let request = service.request("POST", "/denoise").header("content-type", "text/plain");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(png(8, 8))
}

#[test]
fn pages_of_other_origins_change_nothing() {
    let mut setup = Setup::default();
    setup.config.cors_origins = vec!["https://lab.example".into()];
    let service = Service::with(setup);
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "http://localhost:3000")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", &service.url)],
    ] {
        let problem = refused(post(&service, headers).send().unwrap(), "cross_origin");
        assert!(problem["detail"].as_str().unwrap().contains("server.cors_origins"), "{problem}");
    }
    for headers in [
        &[][..],
        &[("origin", service.url.as_str())],
        &[("origin", "https://lab.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://proxy.example"), ("sec-fetch-site", "same-origin")],
    ] {
        let request = post(&service, headers).header("x-request-id", "own");
        assert_ne!(request.send().unwrap().status(), 403, "{headers:?}");
    }
    let read = service.request("GET", "/models").header("origin", "https://evil.example");
    assert_eq!(read.send().unwrap().status(), 200);
    let train = service.request("POST", "/train").header("origin", "https://evil.example").json(&json!({}));
    refused(train.send().unwrap(), "cross_origin");
}

#[test]
fn what_serves_everyone_is_trained_by_admins_alone() {
    let keys = vec![("trainer", vec![Scope::Train]), ("root", vec![Scope::Admin])];
    let service = Service::with(Setup { keys, is_bundled: true, ..Setup::default() });
    let ask = |key: usize, config| submit_with(&service, &config, Some(&service.keys[key]));
    let bundled = config("photo-gray", 5);
    let problem = refused(ask(0, bundled.clone()), "forbidden");
    assert_eq!(pointers(&problem), ["/config/name"]);
    assert_eq!(ask(1, bundled).status(), 202);
    assert_eq!(ask(0, config("mine", 5)).status(), 202, "nothing serves under this name yet");
}

#[test]
fn a_default_is_replaced_by_admins_alone() {
    let keys = vec![("trainer", vec![Scope::Train]), ("root", vec![Scope::Admin])];
    let service = Service::with(Setup { keys, ..Setup::default() });
    let ask = |key: usize, config| submit_with(&service, &config, Some(&service.keys[key]));
    // `table` serves already; `config` promotes always.
    let problem = refused(ask(0, config("table", 5)), "forbidden");
    assert_eq!(pointers(&problem), ["/config/promote"]);
    assert_eq!(ask(1, config("table", 5)).status(), 202);
    let mut earned = config("table", 5);
    earned["promote"] = json!("if_better");
    assert_eq!(ask(0, earned).status(), 202);
}
