//! Bad input: each kind has its code, and is answered within a second.

use std::time::{Duration, Instant};

use image::ImageFormat;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::support::*;

/// Sends, and asserts that the answer took less than a second.
fn quick(send: impl FnOnce() -> Response) -> Response {
    let begun = Instant::now();
    let response = send();
    assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    response
}

fn post(service: &Service, media_type: &str, body: Vec<u8>, code: &str) -> Value {
    refused(quick(|| service.post("/denoise", media_type, body)), code)
}

#[test]
fn an_empty_body() {
    let service = Service::start();
    for media_type in ["image/png", "application/x-npy", "application/octet-stream", "application/json"] {
        post(&service, media_type, Vec::new(), "invalid_input");
    }
}

#[test]
fn a_wrong_content_type_is_no_obstacle_where_the_bytes_tell() {
    let service = Service::start();
    for media_type in ["text/plain", "image/gif", "image/*", "image/jpeg", "application/json", "nonsense"] {
        let response = quick(|| service.post("/denoise", media_type, png(8, 8)));
        assert_eq!(header(&response, "content-type"), "image/png", "{media_type}");
        ok(response);
    }
    for media_type in ["text/plain", "image/gif", "application/xml", "video/mp4", "nonsense"] {
        post(&service, media_type, b"hello".to_vec(), "unsupported_media_type");
    }
    let stripped: Vec<u8> = png(8, 8).into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let problem = post(&service, "image/png", stripped, "invalid_input");
    assert!(problem["detail"].as_str().unwrap().contains("--data-binary"), "{problem}");
}

#[test]
fn a_table_without_a_model_is_a_question() {
    let service = Service::start();
    let table: Vec<u8> = (0..300).flat_map(|t| format!("{}\n", t % 7).into_bytes()).collect();
    let problem = post(&service, "text/csv", table, "model_not_found");
    assert!(problem["detail"].as_str().unwrap().contains("signal of length 300"), "{problem}");
    let rows: Vec<u8> = (0..300).flat_map(|t| format!("{},{}\n", t % 7, t % 5).into_bytes()).collect();
    let problem = post(&service, "text/csv", rows, "invalid_input");
    assert_eq!(pointers(&problem), ["/model"], "{problem}");
    // Its length is that of the one model for vectors.
    let row = b"1,2,3,4,5,6,7,8,9,10,11,12\n".to_vec();
    assert_eq!(header(&service.post("/denoise", "text/csv", row), "x-model"), "table@1");
}

#[test]
fn an_option_that_the_format_cannot_hold_is_refused() {
    let service = Service::start();
    for (query, code, pointer) in [
        ("format=jpg&depth=16", "invalid_input", Some("/depth")),
        ("format=png&depth=float", "invalid_input", Some("/depth")),
        ("format=csv", "not_acceptable", None),
    ] {
        let problem = refused(service.post(&format!("/denoise?{query}"), "image/png", png(8, 8)), code);
        assert_eq!(pointers(&problem).first().copied(), pointer, "{problem}");
    }
    let wide = npy("<f4", &[2, 2], &floats([0.0, 17.0, 255.0, 3.0]));
    let problem = refused(service.post("/denoise?format=png", "application/x-npy", wide), "invalid_input");
    assert!(problem["detail"].as_str().unwrap().contains("from 0 to 255"), "{problem}");
}

#[test]
fn a_compressed_body() {
    let service = Service::start();
    let request = service.request("POST", "/denoise").header("content-encoding", "gzip");
    let request = request.header("content-type", "image/png").body(png(8, 8));
    refused(quick(|| request.send().unwrap()), "unsupported_media_type");
}

#[test]
fn truncated_files() {
    let service = Service::start();
    let image = gray(48, 40);
    for (media_type, format) in [
        ("image/png", ImageFormat::Png),
        ("image/jpeg", ImageFormat::Jpeg),
        ("image/tiff", ImageFormat::Tiff),
        ("image/webp", ImageFormat::WebP),
        ("image/x-portable-anymap", ImageFormat::Pnm),
    ] {
        let whole = file(&image, format);
        for part in [1, 2, 8, 20, whole.len() / 2, whole.len() * 9 / 10] {
            post(&service, media_type, whole[..part].to_vec(), "invalid_input");
        }
    }
}

#[test]
fn tiny_thin_and_odd_images_work() {
    let service = Service::start();
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (2, 3), (7, 5), (15, 17), (31, 9)] {
        let back = ok(quick(|| service.post("/denoise", "image/png", png(width, height))));
        let back = read(&back, ImageFormat::Png);
        assert_eq!((back.width(), back.height()), (width, height));
    }
}

#[test]
fn arrays_of_no_channels_or_five() {
    let service = Service::start();
    for shape in [&[8, 8, 0][..], &[0, 8], &[8, 8, 5], &[1, 1, 1, 1, 8]] {
        let problem = post(&service, "application/x-npy", npy_floats(shape), "shape_mismatch");
        assert!(problem["detail"].as_str().unwrap().contains("got"), "{problem}");
    }
}

#[test]
fn numbers_that_are_not_finite() {
    let service = Service::start();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let body = npy("<f4", &[2, 2], &floats([0.1, bad, 0.3, 0.4]));
        let refused = service.post("/denoise?missing=refuse", "application/x-npy", body.clone());
        let problem = self::refused(refused, "non_finite_input");
        assert!(problem["detail"].as_str().unwrap().contains("row 0, column 1"), "{problem}");
        let kept = service.post("/denoise", "application/x-npy", body.clone());
        assert_eq!(header(&kept, "x-missing"), "1");
        let (_, numbers) = read_npy(&ok(kept));
        assert_eq!(numbers.iter().map(|v| v.is_nan()).collect::<Vec<_>>(), [false, true, false, false]);
        let (_, numbers) = read_npy(&ok(service.post("/denoise?missing=fill", "application/x-npy", body)));
        assert!(numbers.iter().all(|v| v.is_finite()));
    }
    let none = npy("<f4", &[2, 2], &floats([f32::NAN; 4]));
    let problem = post(&service, "application/x-npy", none, "non_finite_input");
    assert!(problem["detail"].as_str().unwrap().contains("channel 0"), "{problem}");
    let problem =
        post(&service, "application/json", br#"{"data": [[1, 1e39]]}"#.to_vec(), "non_finite_input");
    assert_eq!(pointers(&problem), ["/data"]);
    post(&service, "application/json", br#"{"data": [[1, NaN]]}"#.to_vec(), "invalid_input");
    // Finite, but too far apart for any number in between.
    let body = br#"{"data": [[3.4e38, 3.4e38], [3.4e38, -3.4e38]]}"#.to_vec();
    let problem = post(&service, "application/json", body, "non_finite_input");
    assert!(problem["detail"].as_str().unwrap().contains("too large"), "{problem}");
}

#[test]
fn json_that_is_no_array_of_numbers() {
    let service = Service::start();
    for (body, pointer) in [
        (json!({"data": [[1, 2], [3]]}), "/data/1"),
        (json!({"data": [[1, 2], [3, true]]}), "/data/1/1"),
        (json!({"data": "x"}), "/data"),
        (json!({"data": []}), "/data"),
        (json!({"image": 7}), "/image"),
        (json!({"image": "*"}), "/image"),
        (json!({"samples": [{"data": [[1]]}, {"data": [[1], [2, 3]]}]}), "/samples/1/data/1"),
        (json!({"tensor": {"shape": [2], "base64": "AAAA"}}), "/tensor"),
        (json!({"tensor": {"shape": [2, -1], "base64": "AAAA"}}), "/tensor/shape/1"),
        (json!({"data": [[1]], "stength": 1}), "/stength"),
        (json!({"data": [[1]], "strength": 2}), "/strength"),
        (json!({"data": [[1]], "mode": ["full"]}), "/mode"),
    ] {
        let problem = refused(quick(|| service.post_json("/denoise", &body)), "invalid_input");
        assert_eq!(pointers(&problem), [pointer], "{body}");
    }
}

#[test]
fn unknown_models_and_versions() {
    let service = Service::start();
    for (model, code) in [
        ("nowhere", "model_not_found"),
        ("photo-gray@9", "version_not_found"),
        ("Photo", "invalid_input"),
        ("..%2F..%2Fetc", "invalid_input"),
        ("photo-gray@0", "invalid_input"),
        ("%00", "invalid_input"),
    ] {
        let path = format!("/denoise?model={model}");
        refused(quick(|| service.post(&path, "image/png", png(8, 8))), code);
    }
}

#[test]
fn shapes_that_are_not_the_models() {
    let service = Service::start();
    let gray = service.post("/denoise?model=photo-color", "image/png", png(8, 8));
    let problem = refused(gray, "shape_mismatch");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("photo-color@1") && detail.contains("leave `model` out"), "{detail}");
    for (model, shape) in [("photo-gray", &[4_usize][..]), ("table", &[11]), ("table", &[2, 2, 12])] {
        let path = format!("/denoise?model={model}");
        refused(quick(|| service.post(&path, "application/x-npy", npy_floats(shape))), "shape_mismatch");
    }
    post(&service, "application/x-npy", npy_floats(&[9, 8, 4]), "shape_mismatch");
}

#[test]
fn axes_that_can_be_read_in_two_ways_are_asked_about() {
    let service = Service::start();
    let problem = post(&service, "application/x-npy", npy_floats(&[3, 20, 24]), "invalid_input");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        pointers(&problem) == ["/layout"] && detail.contains("CHW") && detail.contains("NHW"),
        "{problem}"
    );
    for (layout, model) in [("CHW", "photo-color@1"), ("TYX", "photo-gray@1")] {
        let path = format!("/denoise?layout={layout}");
        let response = service.post(&path, "application/x-npy", npy_floats(&[3, 20, 24]));
        let reason = header(&response, "x-model-reason");
        assert_eq!(header(&response, "x-model"), model, "{layout}: {reason}");
        assert!(read_npy(&ok(response)).0.contains("(3, 20, 24"), "{layout}");
    }
    for layout in ["HWC", "LC", "WH"] {
        let path = format!("/denoise?layout={layout}");
        let response = service.post(&path, "application/x-npy", npy_floats(&[3, 20, 24]));
        assert!(response.status().is_client_error(), "{layout}");
    }
}

/// The head of a PNG that says it has these extents, and nothing behind it.
fn png_head(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(1, 1);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes.truncate(60);
    bytes
}

#[test]
fn an_image_over_the_pixel_limit_is_refused_by_its_head() {
    let service = Service::start();
    let problem = post(&service, "image/png", png_head(2000, 2000), "image_too_large");
    assert_eq!((&problem["limit"], &problem["actual"]), (&json!(1 << 20), &json!(4_000_000)));
    post(&service, "image/png", png_head(60_000, 60_000), "image_too_large");
    post(&service, "image/x-portable-anymap", b"P5\n99999 99999\n255\n".to_vec(), "image_too_large");
}

#[test]
fn arrays_that_promise_more_than_they_hold() {
    let service = Service::start();
    post(&service, "application/x-npy", npy("<f4", &[1 << 40, 1 << 20], &[0; 16]), "payload_too_large");
    post(&service, "application/x-npy", npy("<f4", &[64, 64], &[0; 16]), "invalid_input");
    post(&service, "application/x-npy", npy("|O", &[2], &[0; 16]), "unsupported_media_type");
    let raw = |shape: &str| {
        let request = service.request("POST", "/denoise").body(vec![0; 16]);
        let request = request.header("content-type", "application/octet-stream");
        quick(|| request.header("x-tensor-shape", shape).send().unwrap())
    };
    refused(raw("1,18446744073709551615"), "payload_too_large");
    refused(raw("2,3"), "invalid_input");
    refused(raw("0,4"), "shape_mismatch");
    for shape in ["", "a", "-1,4", "1,,2", "99999999999999999999"] {
        refused(raw(shape), "invalid_input");
    }
}

#[test]
fn more_samples_than_the_limit() {
    let mut setup = Setup::default();
    setup.limits.samples = 2;
    let service = Service::with(setup);
    let samples = vec![json!({"data": [[0.5]]}); 3];
    let problem = refused(service.post_json("/denoise", &json!({"samples": samples})), "payload_too_large");
    assert_eq!((&problem["limit"], &problem["actual"]), (&json!(2), &json!(3)));
    let response = service.post("/denoise?model=table", "application/x-npy", npy_floats(&[3, 12]));
    refused(response, "payload_too_large");
}

#[test]
fn broken_forms() {
    let service = Service::start();
    let send = |body: &str| service.post("/denoise", "multipart/form-data; boundary=x", body);
    refused(send("nothing of a form"), "invalid_input");
    refused(send("--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nabc"), "invalid_input");
    refused(send("--x--\r\n"), "invalid_input");
    let no_file = "--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nphoto-gray\r\n--x--\r\n";
    refused(send(no_file), "invalid_input");
    refused(service.post("/denoise", "multipart/form-data", "--x--"), "invalid_input");
    let empty =
        "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n\r\n--x--\r\n";
    refused(send(empty), "invalid_input");
}

#[test]
fn deep_json_ends_no_thread() {
    let service = Service::start();
    let deep = format!("{{\"data\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    post(&service, "application/json", deep.into_bytes(), "invalid_input");
    ok(service.post("/denoise", "image/png", png(8, 8)));
}
