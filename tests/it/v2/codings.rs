//! Content codings of requests and replies.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn request() -> (String, Vec<u8>) {
    let image = floats(numbers(24 * 24));
    (head("image", &[1, 1, 24, 24], "FP32", image.len(), "denoised"), image)
}

fn ask_packed(service: &Service, coding: &str, length: usize, body: Vec<u8>) -> Response {
    let request = service.request("POST", "/v2/models/photo-gray/infer").header("content-encoding", coding);
    request.header(LENGTH, length).body(body).send().unwrap()
}

#[test]
fn a_packed_request_is_divided_once_it_is_unpacked() {
    let service = Service::start();
    let (json, image) = request();
    let plain = ok(ask(&service, "photo-gray", &json, &image));
    let whole = [json.as_bytes(), &image].concat();
    for (coding, body) in [
        ("gzip", gzip(&whole)),
        ("x-gzip", gzip(&whole)),
        ("deflate", zlib(&whole)),
        ("identity", whole.clone()),
    ] {
        assert_eq!(ok(ask_packed(&service, coding, json.len(), body)), plain, "{coding}");
    }
    // A gzip file may have several members.
    let members = [gzip(&whole[..100]), gzip(&whole[100..])].concat();
    assert_eq!(ok(ask_packed(&service, "gzip", json.len(), members)), plain);
}

#[test]
fn what_is_not_whole_is_refused() {
    let service = Service::start();
    let (json, image) = request();
    let whole = [json.as_bytes(), &image].concat();
    for (coding, packed) in [("gzip", gzip(&whole)), ("deflate", zlib(&whole))] {
        for end in [1, 10, packed.len() / 2, packed.len() - 1] {
            failed(ask_packed(&service, coding, json.len(), packed[..end].to_vec()), "invalid_input");
        }
        let mut flipped = packed.clone();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        failed(ask_packed(&service, coding, json.len(), flipped), "invalid_input");
        failed(ask_packed(&service, coding, json.len(), [packed, vec![7]].concat()), "invalid_input");
    }
    for coding in ["br", "zstd", "gzip, deflate", "deflate, gzip"] {
        failed(ask_packed(&service, coding, json.len(), whole.clone()), "unsupported_media_type");
    }
}

#[test]
fn the_limit_holds_for_what_is_unpacked() {
    let mut setup = Setup::default();
    setup.limits.body_bytes = 1 << 20;
    let service = Service::with(setup);
    for (coding, packed) in [("gzip", gzip(&vec![b' '; 2 << 20])), ("deflate", zlib(&vec![b' '; 2 << 20]))] {
        assert!(packed.len() < 10_000);
        failed(ask_packed(&service, coding, 10, packed), "payload_too_large");
    }
    assert_eq!((service.engine.health().requests, service.engine.health().bytes), (0, 0));
}

#[test]
fn the_reply_is_packed_as_the_client_asks() {
    let service = Service::start();
    let (json, image) = request();
    let plain = ok(ask(&service, "photo-gray", &json, &image));
    let whole = [json.as_bytes(), &image].concat();
    for coding in ["gzip", "deflate"] {
        let request =
            service.request("POST", "/v2/models/photo-gray/infer").header("accept-encoding", coding);
        let response = request.header(LENGTH, json.len()).body(whole.clone()).send().unwrap();
        assert_eq!(
            (header(&response, "content-encoding"), header(&response, "vary")),
            (coding, "accept-encoding")
        );
        let length: usize = header(&response, LENGTH).parse().unwrap();
        let (packed, mut body) = (ok(response), Vec::new());
        match coding {
            "gzip" => GzDecoder::new(&packed[..]).read_to_end(&mut body).unwrap(),
            _ => ZlibDecoder::new(&packed[..]).read_to_end(&mut body).unwrap(),
        };
        assert_eq!((&body, body[length - 1]), (&plain, b'}'));
    }
}
