//! The Open Inference Protocol v2: requests and replies written by hand from the protocol, byte by byte.

mod codings;
mod errors;
mod infer;
mod models;

use reqwest::blocking::Response;
use serde_json::Value;

use crate::support::*;

const LENGTH: &str = "inference-header-content-length";

/// Sends an inference request: JSON, with its length in the header, and binary tensors behind it.
fn ask(service: &Service, model: &str, json: &str, binary: &[u8]) -> Response {
    let request = service.request("POST", &format!("/v2/models/{model}/infer"));
    request.header(LENGTH, json.len()).body([json.as_bytes(), binary].concat()).send().unwrap()
}

/// Sends an inference request of JSON alone, without any header.
fn ask_json(service: &Service, model: &str, json: &str) -> Response {
    let request = service.request("POST", &format!("/v2/models/{model}/infer"));
    request.body(json.to_owned()).send().unwrap()
}

/// JSON and binary tensors of a reply in binary form.
fn divided(response: Response) -> (Value, Vec<u8>) {
    assert_eq!(header(&response, "content-type"), "application/octet-stream");
    let length: usize = header(&response, LENGTH).parse().unwrap();
    let stated: usize = header(&response, "content-length").parse().unwrap();
    let mut body = ok(response);
    assert_eq!(body.len(), stated);
    let binary = body.split_off(length);
    (serde_json::from_slice(&body).unwrap(), binary)
}

/// The one output of a reply in binary form, checked to be as long as it states.
fn binary_output(response: Response) -> Vec<u8> {
    let (json, binary) = divided(response);
    let outputs = json["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 1, "{json}");
    assert_eq!(outputs[0]["parameters"]["binary_data_size"], binary.len(), "{json}");
    binary
}

/// Numbers that look like an image.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37) % 101) as f32 / 100.0).collect()
}

/// JSON of a request for one output in binary form, of a tensor behind it.
fn head(name: &str, shape: &[usize], datatype: &str, bytes: usize, output: &str) -> String {
    format!(
        r#"{{"inputs":[{{"name":"{name}","shape":{shape:?},"datatype":"{datatype}","parameters":{{"binary_data_size":{bytes}}}}}],"outputs":[{{"name":"{output}","parameters":{{"binary_data":true}}}}]}}"#
    )
}

/// An element of BYTES in binary form.
fn element(file: &[u8]) -> Vec<u8> {
    [&u32::try_from(file.len()).unwrap().to_le_bytes()[..], file].concat()
}

/// Asserts that a reply is the failure `code` in the form of the protocol, and gives its line.
#[track_caller]
fn failed(response: Response, code: &str) -> String {
    let status = response.status().as_u16();
    let id = header(&response, "x-request-id").to_owned();
    assert_eq!(header(&response, "content-type"), "application/json", "status {status}");
    let body: Value = response.json().unwrap();
    assert_eq!((&body["code"], &body["request_id"]), (&code.into(), &id.as_str().into()), "{body}");
    let known = limpid::api::Code::ALL.iter().find(|known| known.name() == code).unwrap();
    assert_eq!((known.status(), body.as_object().unwrap().len()), (status, 3), "{body}");
    let line = body["error"].as_str().unwrap();
    assert!(!line.is_empty() && !line.contains('\n'), "{body}");
    line.to_owned()
}
