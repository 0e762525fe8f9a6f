//! Requests: forms and JSON that are nearly right, sent to every route that takes samples.

use serde_json::{Map, Value, json};

use super::choices::Choices;
use super::house::House;

const ROUTES: [&str; 11] = [
    "/denoise",
    "/encode",
    "/decode",
    "/evaluate",
    "/compare",
    "/train",
    "/train?plan=1",
    "/models?name=a",
    "/noise-profiles?name=a",
    "/models/a/nearest",
    "/v2/models/a/infer",
];
const FILES: [&[u8]; 10] = [
    b"P5\n4 4\n255\n0123456789abcdef",
    b"P6\n2 1\n255\n012345",
    b"1,2\n3,4\n",
    b"{\"data\":[[1,2],[3,4]]}",
    b"PK\x03\x04",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x24\0\0\0WAVEfmt ",
    b"II*\0\x08\0\0\0\0\0",
    b"\x93NUMPY\x01\0",
    b"",
];
const TYPES: [&str; 9] = [
    "",
    "image/png",
    "image/x-portable-anymap",
    "text/csv",
    "application/json",
    "application/octet-stream",
    "application/x-npy",
    "application/vnd.limpid.latent",
    "application/zip",
];
const NAMES: [&str; 16] = [
    "file", "config", "samples", "noisy", "clean", "pairs", "image", "data", "tensor", "latent", "shape",
    "dtype", "base64", "model", "strength", "inputs",
];
const NUMBERS: [f64; 8] = [0.0, 1.0, -1.0, 0.5, 255.0, 1e9, 1e308, 1.8e19];
const BREAKS: [&[u8]; 5] = [b"\r\n", b"\n", b"", b" \t\r\n", b"\r\n\r\n"];

/// Sends one request. Whatever it is, it is answered, a refusal in the form of the contract, and never by a failure.
pub fn request(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let route = choices.pick(&ROUTES);
    let (media_type, mut body) = match choices.below(2) {
        0 => ("multipart/form-data; boundary=B", form(&mut choices)),
        _ => ("application/json", value(&mut choices, 6).to_string().into_bytes()),
    };
    if choices.byte() > 200 {
        body.truncate(choices.byte().into());
    }
    let headers = [
        ("content-type", media_type),
        ("accept", choices.pick(&["*/*", "application/json", "image/png", "multipart/form-data"])),
    ];
    let (status, reply) = House::get().ask("POST", route, &headers, body);
    assert!(status < 500 || [503, 504, 507].contains(&status), "{route}: {status} {reply}");
    if status >= 400 {
        assert!(reply["code"].is_string() || reply["error"].is_string(), "{route}: {status} {reply}");
    }
}

fn form(choices: &mut Choices) -> Vec<u8> {
    let mut body = choices.pick(&[&b""[..], b"preamble\r\n"]).to_vec();
    for _ in 0..choices.below(6) {
        let line = if choices.byte() > 240 { choices.pick(&BREAKS) } else { b"\r\n" };
        body.extend_from_slice(b"--B");
        body.extend_from_slice(line);
        let (name, file, kind) = (choices.pick(&NAMES), choices.below(4), choices.pick(&TYPES));
        let disposition = match file {
            0 => format!("Content-Disposition: form-data; name=\"{name}\""),
            1 => format!("Content-Disposition: form-data; name={name}; filename=a.png"),
            2 => format!("content-disposition: form-data; filename=\"a;\\\"b.csv\"; name=\"{name}\""),
            _ => format!(
                "Content-Disposition: form-data; name=\"{}\"",
                String::from_utf8_lossy(choices.slice())
            ),
        };
        let kind = if kind.is_empty() { String::new() } else { format!("\r\nContent-Type: {kind}") };
        body.extend_from_slice(format!("{disposition}{kind}\r\n").as_bytes());
        body.extend_from_slice(line);
        match choices.below(4) {
            0 => body.extend_from_slice(choices.slice()),
            1 => body.extend_from_slice(value(choices, 4).to_string().as_bytes()),
            _ => body.extend_from_slice(choices.pick(&FILES)),
        }
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(choices.pick(&[&b"--B--\r\n"[..], b"--B--", b"--B\r\n", b"", b"--B-- epilogue"]));
    body
}

fn value(choices: &mut Choices, depth: usize) -> Value {
    match if depth == 0 { choices.below(5) } else { choices.below(10) } {
        0 => json!(choices.pick(&NUMBERS)),
        1 => Value::Null,
        2 => json!(choices.byte() > 127),
        3 => json!(String::from_utf8_lossy(choices.slice())),
        4 => json!(base64(choices.pick(&FILES))),
        5 => json!([[choices.byte(), 2], [3, choices.pick(&NUMBERS)]]),
        6 => {
            json!({"shape": [choices.byte(), choices.pick(&NUMBERS)], "dtype": choices.pick(&["float32", "uint8", "FP32"]), "base64": base64(choices.slice())})
        }
        7 => (0..choices.below(5)).map(|_| value(choices, depth - 1)).collect(),
        _ => {
            let names = (0..choices.below(5)).map(|_| choices.pick(&NAMES).to_owned()).collect::<Vec<_>>();
            Value::Object(
                names.into_iter().map(|name| (name, value(choices, depth - 1))).collect::<Map<_, _>>(),
            )
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}
