//! Long work beside short, callers who leave, deadlines, and more requests than the service takes.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use limpid::engine;
use limpid::limits::Limits;

use crate::support::*;

/// A service that takes large images.
fn service(engine: engine::Config) -> Service {
    let limits = Limits::default();
    Service::with(Setup { limits, engine, ..Setup::default() })
}

fn default() -> engine::Config {
    engine::Config { memory_bytes: Some(4 << 30), ..engine::Config::default() }
}

/// An image of many pieces, done eight times over: seconds of work.
fn large() -> Vec<u8> {
    png(4000, 3000)
}

const LONG: &str = "/denoise?ensemble=8";

/// A service with memory for little.
fn cramped() -> Service {
    let engine = engine::Config { memory_bytes: Some(16 << 20), queue_bytes: Some(16 << 20), ..default() };
    Service::with(Setup { engine, is_preloaded: false, ..Setup::default() })
}

/// Sends long work and does not wait for its answer.
fn begin(service: &Service, body: &[u8]) -> TcpStream {
    begin_at(service, LONG, body)
}

fn begin_at(service: &Service, path: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(service.address()).unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

fn wait_until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never became so");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Pieces computed between now and the time when nothing is inside any more.
fn pieces_until_idle(service: &Service) -> usize {
    let before = service.engine.pieces();
    wait_until(|| service.engine.health().requests == 0);
    std::thread::sleep(Duration::from_millis(300));
    service.engine.pieces() - before
}

#[test]
fn after_a_client_leaves_at_most_one_more_piece_is_computed() {
    let service = service(default());
    let stream = begin(&service, &large());
    wait_until(|| service.engine.pieces() >= 3);
    drop(stream);
    // The service learns of it within moments; a piece may begin before that.
    std::thread::sleep(Duration::from_millis(20));
    assert!(pieces_until_idle(&service) <= 1);
    let text = String::from_utf8(ok(service.get("/metrics"))).unwrap();
    let line = r#"model="photo-gray",version="1",op="denoise",outcome="cancelled""#;
    assert!(text.contains(line), "{text}");
}

#[test]
fn a_deadline_ends_queue_and_work() {
    let service = service(default());
    let body = large();
    let ask = |ms: &str, body: Vec<u8>| {
        let request = service.request("POST", LONG).header("x-request-timeout-ms", ms);
        request.header("content-type", "image/png").body(body).send().unwrap()
    };
    let problem = refused(ask("200", body.clone()), "deadline_exceeded");
    assert!(problem["detail"].as_str().unwrap().contains("200 ms"), "{problem}");
    assert!(pieces_until_idle(&service) <= 1);
    for bad in ["0", "-1", "soon", "1.5"] {
        let problem = refused(ask(bad, png(9, 9)), "invalid_input");
        assert!(problem["detail"].as_str().unwrap().contains(&format!("got \"{bad}\"")), "{problem}");
    }
    let small = service.request("POST", "/denoise").header("x-request-timeout-ms", "60000");
    ok(small.header("content-type", "image/png").body(png(20, 20)).send().unwrap());
}

#[test]
fn small_requests_do_not_wait_for_large_ones() {
    let service = service(default());
    let large: Vec<TcpStream> = (0..3).map(|_| begin(&service, &large())).collect();
    wait_until(|| service.engine.pieces() >= 2);
    for _ in 0..20 {
        ok(service.post("/denoise", "image/png", png(28, 28)));
    }
    assert_eq!(service.engine.health().requests, large.len(), "a large one was done first");
}

#[test]
fn more_than_may_wait_are_refused_with_the_time_to_come_back() {
    let service = service(engine::Config { workers: Some(1), queue: 0, ..default() });
    let stream = begin(&service, &large());
    wait_until(|| service.engine.pieces() >= 2);
    let response = service.post("/denoise", "image/png", png(20, 20));
    let seconds: u64 = header(&response, "retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let problem = refused(response, "queue_full");
    assert!(problem["retry_after_ms"].as_u64().unwrap() >= 1000, "{problem}");
    drop(stream);
    wait_until(|| service.engine.health().requests == 0);
    ok(service.post("/denoise", "image/png", png(20, 20)));
}

#[test]
fn many_at_once_all_get_their_own_answer() {
    let service = service(default());
    let alone: Vec<Vec<u8>> =
        (0..12).map(|i| ok(service.post("/denoise", "image/png", png(20 + i % 3, 24)))).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (i, alone) in (0..).zip(&alone) {
                    assert_eq!(&ok(service.post("/denoise", "image/png", png(20 + i % 3, 24))), alone);
                }
            });
        }
    });
    // The last reply counts until the connection has let go of it, a moment after it was read.
    wait_until(|| (service.engine.health().requests, service.engine.health().bytes) == (0, 0));
}

/// Many images in few bytes: what they unpack to is counted before any is decoded, in every form of request.
#[test]
fn images_that_would_unpack_beyond_the_memory_are_refused_by_what_their_heads_say() {
    let service = cramped();
    let flat = file(&image::DynamicImage::new_luma8(1000, 1000), image::ImageFormat::Png);
    let image = serde_json::json!({ "image": base64(&flat) });
    let body = serde_json::json!({ "samples": vec![image; 20] });
    let problem = refused(service.post_json("/encode?model=photo-gray", &body), "payload_too_large");
    assert!(problem["actual"].as_u64().unwrap() >= 20 * 2_000_000, "{problem}");
    let mut form = reqwest::blocking::multipart::Form::new();
    for _ in 0..20 {
        let part = reqwest::blocking::multipart::Part::bytes(flat.clone()).mime_str("image/png").unwrap();
        form = form.part("file", part);
    }
    let request = service.request("POST", "/encode?model=photo-gray").multipart(form);
    refused(request.send().unwrap(), "payload_too_large");
}

#[test]
fn json_that_would_grow_beyond_the_memory_is_refused_before_it_is_parsed() {
    let service = cramped();
    let flood = format!(r#"{{"samples":[{}{{"":1}}]}}"#, r#"{"":1},"#.repeat(100_000));
    assert!(flood.len() < 1 << 20);
    refused(service.post("/denoise", "application/json", flood), "payload_too_large");
    assert_eq!(service.engine.health().bytes, 0);
}

#[test]
fn a_reply_counts_until_the_caller_has_read_it() {
    let service = service(default());
    let body = file(&color(1500, 1500), image::ImageFormat::Png);
    let stream = begin_at(&service, "/denoise?format=npy&depth=float", &body);
    // More than the buffers of the connection hold is left, and nobody reads it.
    wait_until(|| service.engine.pieces() > 0);
    let reply = 1500 * 1500 * 3 * 4;
    let is_reply_alone =
        |health: engine::Health| health.requests == 0 && (reply..reply + 4096).contains(&health.bytes);
    wait_until(|| is_reply_alone(service.engine.health()));
    drop(stream);
    wait_until(|| service.engine.health().bytes == 0);
}
