//! Signals over HTTP: trained on a table, denoised as WAV, CSV, npy and JSON.

use std::time::{Duration, Instant};

use limpid::codec::{self, Wave};
use limpid::limits::Limits;
use limpid::sample::{Sample, Shape};
use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::*;

fn value(t: usize) -> f32 {
    0.5 * (0.1 * t as f32).sin()
}

fn table(steps: usize) -> Vec<u8> {
    let rows: Vec<[f32; 1]> = (0..steps).map(|t| [value(t)]).collect();
    codec::write_csv(rows.iter().map(|row| &row[..]))
}

/// The columns of a table.
fn rows(bytes: &[u8]) -> Vec<Vec<f32>> {
    codec::read_csv(bytes, &Limits::default()).unwrap().select(None).unwrap().0
}

#[test]
fn a_signal_model_is_trained_and_serves_every_form_of_signal() {
    let service = Service::that_trains();
    let family =
        json!({"signal": {"widths": [8, 8, 8], "encoder_blocks": [0, 0, 0], "decoder_blocks": [0, 0, 0]}});
    let config = json!({"name": "pulse", "family": family, "steps": 4, "crop": 64, "promote": "always"});
    let mut form =
        Form::new().part("config", Part::text(config.to_string()).mime_str("application/json").unwrap());
    for i in 0..3 {
        form = form.part("samples", Part::bytes(table(200 + i)).file_name(format!("{i}.csv")));
    }
    let job = ok_json(service.request("POST", "/train").multipart(form).send().unwrap());
    let path = format!("/train/{}", job["id"].as_str().unwrap());
    let begun = Instant::now();
    let job = loop {
        let job = ok_json(service.get(&path));
        if ["succeeded", "failed", "cancelled"].contains(&job["status"].as_str().unwrap()) {
            break job;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{job}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(job["status"], "succeeded", "{job}");

    let denoise = "/denoise?model=pulse";
    let response = service.post(denoise, "text/csv", table(50));
    assert_eq!((header(&response, "content-type"), header(&response, "x-model")), ("text/csv", "pulse@1"));
    let columns = rows(&ok(response));
    assert_eq!((columns[0].len(), columns.len()), (50, 1));

    let shape = Shape::Signal { channels: 1, length: 50 };
    let signal = Sample::new(shape, (0..50).map(value).collect()).unwrap();
    let wave = Wave { rate: 8000, bits: 16, float: false };
    let response = service.post(denoise, "audio/wav", codec::write_wav(&signal, wave).unwrap());
    assert_eq!(header(&response, "content-type"), "audio/wav");
    let (back, kept) = codec::read_wav(&ok(response), &Limits::default()).unwrap();
    assert_eq!((back.shape(), kept), (shape, wave));

    let (head, numbers) = read_npy(&ok(service.post(denoise, "application/x-npy", npy_floats(&[1, 50]))));
    assert!(head.contains("(1, 50") && numbers.len() == 50, "{head}");
    let body = json!({"data": (0..50).map(value).collect::<Vec<f32>>()});
    assert_eq!(ok_json(service.post_json(denoise, &body))["data"].as_array().unwrap().len(), 50);

    let holed = String::from_utf8(table(50)).unwrap();
    let holed: Vec<&str> =
        holed.lines().enumerate().map(|(t, line)| if (20..23).contains(&t) { "" } else { line }).collect();
    let holed = holed.join("\n").into_bytes();
    let response = service.post(denoise, "text/csv", holed.clone());
    assert_eq!(header(&response, "x-missing"), "3");
    let column = rows(&ok(response)).remove(0);
    let missing: Vec<usize> = (0..column.len()).filter(|t| column[*t].is_nan()).collect();
    assert_eq!((column.len(), missing), (50, vec![20, 21, 22]));
    let strict =
        rows(&ok(service.post("/denoise?model=pulse&mode=strict&missing=fill", "text/csv", holed.clone())));
    let latent = ok(service.post("/encode?model=pulse", "text/csv", holed.clone()));
    assert_eq!(
        strict,
        rows(&ok(service.post("/decode?format=csv", "application/vnd.limpid.latent", latent)))
    );
    refused(service.post("/denoise?model=pulse&missing=refuse", "text/csv", holed), "non_finite_input");
    let body = json!({"data": (0..50).map(|t| (t != 7).then(|| value(t))).collect::<Vec<_>>()});
    let reply = ok_json(service.post_json(denoise, &body));
    assert!(reply["missing"] == 1 && reply["data"][7].is_null() && reply["data"][8].is_f64(), "{reply}");

    let latent = ok(service.post("/encode?model=pulse", "text/csv", table(50)));
    let response = service.post("/decode?format=csv", "application/vnd.limpid.latent", latent);
    let decoded = rows(&ok(response));
    let strict = ok(service.post("/denoise?model=pulse&mode=strict", "text/csv", table(50)));
    assert_eq!(decoded, rows(&strict));
    streams(&service);
    profiles(&service);
}

/// Lines of a reply.
fn lines(response: reqwest::blocking::Response) -> Vec<Value> {
    let text = String::from_utf8(ok(response)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The numbers of the lines of a reply, in order.
fn joined(lines: &[Value]) -> Vec<Value> {
    lines.iter().filter_map(|line| line["data"].as_array()).flatten().cloned().collect()
}

/// A stream gives the same numbers however it is divided, and comes back before it is over.
fn streams(service: &Service) {
    const NDJSON: &str = "application/x-ndjson";
    let numbers: Vec<f32> = (0..4000).map(value).collect();
    let head = json!({"model": "pulse", "stats": {"mean": 0.01, "std": 0.3}}).to_string();
    let body = |length: usize| {
        let chunks = numbers.chunks(length).map(|chunk| format!("{}\n", json!({ "data": chunk })));
        format!("{head}\n{}", chunks.collect::<String>())
    };
    let whole = lines(service.post("/denoise", NDJSON, body(4000)));
    assert_eq!(
        (whole[0]["model"].as_str(), whole.last().unwrap()["steps"].as_u64()),
        (Some("pulse@1"), Some(4000))
    );
    assert!(whole[0]["latency"].as_u64().unwrap() > 512, "{}", whole[0]);
    assert_eq!(joined(&whole).len(), 4000);
    for length in [100, 999] {
        let parts = lines(service.post("/denoise", NDJSON, body(length)));
        assert_eq!(joined(&parts), joined(&whole), "chunks of {length}");
        assert!(parts.len() > 4, "steps come back as they become certain");
    }
    // Without statistics these are those of the first window; gaps stay gaps.
    let holed: Vec<Option<f32>> =
        numbers.iter().enumerate().map(|(t, v)| (t % 100 != 7).then_some(*v)).collect();
    let body = format!("{}\n{}\n", json!({"model": "pulse", "window": 300}), json!({ "data": holed }));
    let reply = lines(service.post("/denoise", NDJSON, body));
    let data = joined(&reply);
    assert!(data.len() == 4000 && (0..4000).all(|t| data[t].is_null() == (t % 100 == 7)));
    assert_eq!(reply.last().unwrap()["missing"], 40);
    // Faults: in the first line as any other, later ones as the last line.
    for body in
        ["", "{", "[1]\n", "{\"model\": \"pulse\", \"x\": 1}\n", "{\"model\": \"pulse\", \"window\": 0}\n"]
    {
        refused(service.post("/denoise", NDJSON, body), "invalid_input");
    }
    let late = lines(service.post(
        "/denoise",
        NDJSON,
        format!("{head}\n{{\"data\": [1]}}\n{{\"data\": [[1], [2]]}}\n"),
    ));
    assert_eq!(late.last().unwrap()["error"]["code"], "shape_mismatch", "{late:?}");

    early(service, &head, &numbers);
}

/// Reads results while the body is still being sent.
fn early(service: &Service, head: &str, numbers: &[f32]) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let address = service.address().trim_start_matches("http://").to_owned();
    let mut connection = std::net::TcpStream::connect(&address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = format!(
        "POST /denoise HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut send = |text: String| write!(connection, "{:x}\r\n{text}\r\n", text.len()).unwrap();
    send(format!("{head}\n"));
    numbers[..2000].chunks(500).for_each(|part| send(format!("{}\n", json!({ "data": part }))));
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut line = String::new();
    while !line.contains("\"start\":0") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the reply ended before any result");
    }
    connection.write_all(b"0\r\n\r\n").unwrap();
    while !line.contains("\"is_end\":true") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the reply has no end");
    }
    assert!(line.contains("\"steps\":2000"), "{line}");
}

/// The noise of a sensor is measured, kept, used and removed.
fn profiles(service: &Service) {
    let noisy = |t: usize| 3.0 + 0.2 * ((t as f32 * 12.9898).sin() * 43758.547).fract();
    let rows: Vec<[f32; 1]> = (0..4000).map(|t| [noisy(t)]).collect();
    let table = codec::write_csv(rows.iter().map(|row| &row[..]));
    let made = service.post("/noise-profiles?name=sensor&method=flat", "text/csv", table.clone());
    assert_eq!((made.status().as_u16(), header(&made, "location")), (201, "/noise-profiles/sensor"));
    let made: Value = made.json().unwrap();
    assert_eq!(
        (made["noise"]["kind"].as_str(), made["noise"]["source"]["method"].as_str()),
        (Some("signal"), Some("flat"))
    );
    assert_eq!(service.post("/noise-profiles?name=sensor", "text/csv", table.clone()).status().as_u16(), 200);
    assert_eq!(ok_json(service.get("/noise-profiles"))["profiles"], json!(["sensor"]));
    assert_eq!(ok_json(service.get("/noise-profiles/sensor"))["noise"]["format"], 1);
    let train = |profile: &str| {
        let config = json!({"name": "pulse", "base": "pulse", "steps": 2, "corruption": {"profile": {"name": profile}}});
        let config = Part::text(config.to_string()).mime_str("application/json").unwrap();
        let form = Form::new()
            .part("config", config)
            .part("samples", Part::bytes(self::table(300)).file_name("a.csv"));
        service.request("POST", "/train?plan=1").multipart(form).send().unwrap()
    };
    assert_eq!(ok_json(train("sensor"))["scheme"], "clean");
    let problem = refused(train("nowhere"), "invalid_input");
    assert!(problem["detail"].as_str().unwrap().contains("no noise profile nowhere"), "{problem}");
    refused(service.post("/noise-profiles", "text/csv", table), "invalid_input");
    let gone = service.request("DELETE", "/noise-profiles/sensor").send().unwrap();
    assert_eq!(gone.status().as_u16(), 204);
    refused(service.get("/noise-profiles/sensor"), "not_found");
}
