//! Every class of failure has the form of RFC 9457.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::*;

#[test]
fn an_unknown_route() {
    let service = Service::start();
    for path in ["/nowhere", "/denoise/", "/models/a/b/c", "/%2e%2e/x"] {
        refused(service.get(path), "not_found");
    }
}

#[test]
fn a_wrong_method() {
    let service = Service::start();
    for (method, path, allow) in
        [("GET", "/denoise", "POST"), ("DELETE", "/limits", "GET"), ("PATCH", "/train", "GET")]
    {
        let response = service.request(method, path).send().unwrap();
        assert!(header(&response, "allow").contains(allow), "{path}: {:?}", response.headers());
        refused(response, "method_not_allowed");
    }
}

#[test]
fn malformed_json_says_where() {
    let service = Service::start();
    for path in ["/denoise", "/encode", "/decode", "/evaluate", "/train"] {
        let problem = refused(service.post(path, "application/json", "{\"data\": [1,}"), "invalid_input");
        assert!(problem["detail"].as_str().unwrap().contains("line 1 column"), "{path}: {problem}");
    }
}

#[test]
fn a_body_over_the_limit() {
    let mut setup = Setup::default();
    setup.limits.body_bytes = 1000;
    let service = Service::with(setup);
    let problem = refused(service.post("/denoise", "image/png", vec![0; 2000]), "payload_too_large");
    assert_eq!((&problem["limit"], &problem["actual"]), (&json!(1000), &json!(2000)));
    // Without a stated length it is counted as it comes.
    let body = reqwest::blocking::Body::new(std::io::Cursor::new(vec![0; 2000]));
    let request = service.request("POST", "/denoise").header("content-type", "image/png").body(body);
    refused(request.send().unwrap(), "payload_too_large");
}

#[test]
fn a_body_that_does_not_come() {
    let mut setup = Setup::default();
    setup.config.body_seconds = 1;
    let service = Service::with(setup);
    let mut socket = TcpStream::connect(service.address()).unwrap();
    let head =
        "POST /denoise HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 100\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut reply = String::new();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = socket.read_to_string(&mut reply);
    assert!(reply.starts_with("HTTP/1.1 504") && reply.contains("\"deadline_exceeded\""), "{reply}");
    assert!(reply.contains("application/problem+json"), "{reply}");
}

#[test]
fn a_request_that_takes_too_long() {
    let mut setup = Setup::default();
    setup.config.request_seconds = 0;
    let service = Service::with(setup);
    refused(service.post("/denoise", "image/png", png(512, 512)), "deadline_exceeded");
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let mut setup = Setup::default();
    setup.engine.workers = Some(1);
    setup.engine.queue = 0;
    let service = Service::with(setup);
    let image = png(1000, 1000);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| service.post("/denoise", "image/png", image.clone()));
        let all: Vec<_> = (0..6).map(|_| ask()).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut refusals = 0;
    for response in answers {
        if response.status().is_success() {
            continue;
        }
        assert!((1..=60).contains(&header(&response, "retry-after").parse::<u64>().unwrap()));
        let problem = refused(response, "queue_full");
        assert!(problem["retry_after_ms"].as_u64().unwrap() >= 1000, "{problem}");
        refusals += 1;
    }
    assert!(refusals > 0, "six at once fit into no queue at all");
}

#[test]
fn a_sample_that_needs_more_memory_than_there_is() {
    let mut setup = Setup::default();
    setup.engine.memory_bytes = Some(1 << 20);
    let service = Service::with(setup);
    let problem = refused(service.post("/denoise", "image/png", png(900, 900)), "payload_too_large");
    assert!(problem["limit"].as_u64() < problem["actual"].as_u64(), "{problem}");
}

#[test]
fn an_unknown_parameter() {
    let service = Service::start();
    let problem =
        refused(service.post("/denoise?sgima=3&model=a@b", "image/png", png(8, 8)), "invalid_input");
    assert_eq!(pointers(&problem), ["/sgima", "/model"]);
    refused(service.get("/models?x=1"), "invalid_input");
}

#[test]
fn request_ids_are_taken_over_if_they_are_safe() {
    let service = Service::start();
    let ask = |id: &str| service.request("GET", "/version").header("x-request-id", id).send().unwrap();
    assert_eq!(header(&ask("trace-1.2"), "x-request-id"), "trace-1.2");
    let made = ask("not safe");
    assert_ne!(header(&made, "x-request-id"), "not safe");
    assert_eq!(header(&made, "x-request-id").len(), 36);
    let problem = service.request("GET", "/nowhere").header("x-request-id", "mine").send().unwrap();
    assert_eq!(refused(problem, "not_found")["request_id"], "mine");
}

#[test]
fn bytes_that_are_no_http_end_no_service() {
    let service = Service::start();
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", b"\0\0\0\0", b"GET / HTTP/9.9\r\n\r\n"]
    {
        let mut socket = TcpStream::connect(service.address()).unwrap();
        socket.write_all(bytes).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let begun = Instant::now();
        let _ = socket.read_to_end(&mut Vec::new());
        assert!(begun.elapsed() < Duration::from_secs(4));
    }
    ok(service.get("/version"));
}
