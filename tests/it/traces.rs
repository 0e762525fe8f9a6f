//! Traces: what a collector is sent of a request. Not among the tests that every change must pass, as the feature compiles
//! everything once more: `cargo test --features otel --test it traces`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::support::png;
use crate::support::process::{Process, limpid};

/// A span as it was received.
#[derive(Debug, Default)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    /// 2 is a server's.
    kind: u64,
    /// Who sent it.
    service: String,
    /// Texts as they are, numbers as text.
    attributes: BTreeMap<String, String>,
}

/// A field of a protobuf message (protobuf.dev, "Encoding"); fixed numbers are passed over.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// The fields of a message with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let number = key >> 3;
        let length = match key & 7 {
            0 => {
                fields.push((number, Field::Number(varint(&mut bytes))));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (field, rest) = bytes.split_at(length);
        if key & 7 == 2 {
            fields.push((number, Field::Bytes(field)));
        }
        bytes = rest;
    }
    fields
}

/// The messages of field `number` of a message.
fn parts(bytes: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(bytes).into_iter().filter_map(move |(found, field)| match field {
        Field::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    })
}

/// The spans of an `ExportTraceServiceRequest` (opentelemetry-proto, `trace/v1/trace.proto`).
fn spans(request: &[u8]) -> Vec<Span> {
    let of_resource = |resource| {
        let mut attributes = parts(resource, 1).flat_map(|resource| parts(resource, 1)).filter_map(attribute);
        let service = attributes.find(|(key, _)| key == "service.name").expect("who sent it").1;
        let spans = parts(resource, 2).flat_map(|scope| parts(scope, 2));
        spans.map(move |message| Span { service: service.clone(), ..span(message) })
    };
    parts(request, 1).flat_map(of_resource).collect()
}

fn span(message: &[u8]) -> Span {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut span = Span::default();
    for (number, field) in fields(message) {
        match (number, field) {
            (1, Field::Bytes(id)) => span.trace = hex(id),
            (2, Field::Bytes(id)) => span.id = hex(id),
            (4, Field::Bytes(id)) => span.parent = hex(id),
            (5, Field::Bytes(name)) => span.name = text(name),
            (6, Field::Number(kind)) => span.kind = kind,
            (9, Field::Bytes(pair)) => span.attributes.extend(attribute(pair)),
            _ => {}
        }
    }
    span
}

/// A `KeyValue` whose value is a text or a whole number.
fn attribute(pair: &[u8]) -> Option<(String, String)> {
    let key = text(parts(pair, 1).next()?);
    let value =
        fields(parts(pair, 2).next()?).into_iter().find_map(|(number, field)| match (number, field) {
            (1, Field::Bytes(value)) => Some(text(value)),
            (3, Field::Number(value)) => Some(value.to_string()),
            _ => None,
        })?;
    Some((key, value))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A collector that takes spans by HTTP.
fn collector() -> (String, Receiver<Span>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            std::thread::spawn(move || take(stream.unwrap(), &sender));
        }
    });
    (url, received)
}

/// Answers the requests of one connection.
fn take(stream: TcpStream, sender: &Sender<Span>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_lowercase();
        assert!(head.starts_with("post /v1/traces ") && head.contains("application/x-protobuf"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        for span in spans(&body) {
            // The test may have seen enough.
            let _ = sender.send(span);
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}

/// A service that sends its spans to a collector.
fn serve(folder: &Path, collector: &str) -> Process {
    let mut command = limpid(folder);
    command.env("LIMPID_MODELS__DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/models"));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector).env("OTEL_BSP_SCHEDULE_DELAY", "100");
    Process::serve(&mut command)
}

/// Denoises a square image as a part of the trace of a caller; the status.
fn denoise(service: &Process, side: u32, trace: &str, parent: &str) -> u16 {
    let url = service.url("/denoise?model=photo-gray");
    let request = reqwest::blocking::Client::new().post(url).header("content-type", "image/png");
    let request = request.header("traceparent", format!("00-{trace}-{parent}-01"));
    request.body(png(side, side)).send().unwrap().status().as_u16()
}

/// Small images go through a batch, large ones pass by.
#[test]
fn a_request_and_what_is_computed_for_it_are_spans_of_its_callers_trace() {
    let (url, received) = collector();
    let folder = tempfile::tempdir().unwrap();
    let service = serve(folder.path(), &url);
    for (side, trace, is_batch) in
        [(32, "0af7651916cd43dd8448eb211c80319c", true), (300, "1af7651916cd43dd8448eb211c80319d", false)]
    {
        let parent = "b7ad6b7169203331";
        assert_eq!(denoise(&service, side, trace, parent), 200);
        // The request ends last, and its spans are sent in that order.
        let mut spans: Vec<Span> = Vec::new();
        while spans.last().is_none_or(|span| span.parent != parent) {
            let span = received.recv_timeout(Duration::from_secs(60)).expect("the spans of a request");
            if span.trace == trace {
                spans.push(span);
            }
        }
        let request = spans.pop().unwrap();
        assert_eq!((request.name.as_str(), request.kind), ("POST /denoise", 2), "{request:?}");
        assert_eq!(request.service, "limpid");
        let wanted = [
            ("http.request.method", "POST"),
            ("http.route", "/denoise"),
            ("http.response.status_code", "200"),
        ];
        for (name, value) in wanted {
            assert_eq!(request.attributes.get(name).map(String::as_str), Some(value), "{request:?}");
        }
        assert!(spans.iter().all(|span| span.name == "compute" && span.parent == request.id), "{spans:?}");
        let denoise = spans.iter().find(|span| span.attributes["op"] == "denoise").expect("the model's span");
        assert!(denoise.attributes["thread.name"].starts_with("limpid-work-"), "{denoise:?}");
        assert!(!request.attributes["thread.name"].starts_with("limpid-work-"), "{request:?}");
        assert_eq!(denoise.attributes.contains_key("batch"), is_batch, "{denoise:?}");
    }
}
