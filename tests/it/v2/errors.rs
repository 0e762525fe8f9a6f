//! Requests that the protocol or a model does not allow.

use super::*;

/// A request for `denoised` of an input with these members.
fn of(input: &str) -> String {
    format!(r#"{{"inputs":[{{{input}}}],"outputs":[{{"name":"denoised"}}]}}"#)
}

#[test]
fn each_fault_of_the_json_is_named() {
    let service = Service::start();
    let good = r#""name":"image","shape":[1,1,1,2],"datatype":"FP32","data":[0.5,1]"#;
    ok(ask_json(&service, "photo-gray", &of(good)));
    let change = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        of(&good.replace(from, to))
    };
    let whole = |extra: &str| of(good).replacen('{', &format!("{{{extra},"), 1);
    let outputs = |list: &str| of(good).replace(r#"[{"name":"denoised"}]"#, list);
    for (request, code, part) in [
        (String::new(), "invalid_input", "empty"),
        ("{".to_owned(), "invalid_input", "malformed JSON"),
        ("[]".to_owned(), "invalid_input", "struct"),
        (r#"{"inputs":[]}"#.to_owned(), "invalid_input", "expected the one input image, got 0"),
        (
            of(good).replacen(r#"}],"outputs""#, &format!(r#"}},{{{good}}}],"outputs""#), 1),
            "invalid_input",
            "got 2",
        ),
        (change("image", "signal"), "invalid_input", "expected image"),
        (change("FP32", "BOOL"), "invalid_input", "BOOL"),
        (change("FP32", "FP16"), "invalid_input", "binary form"),
        (change("FP32", "BF16"), "invalid_input", "binary form"),
        (change("FP32", "UINT8"), "invalid_input", "number 0 is 0.5"),
        (change("FP32", "INT32"), "invalid_input", "number 0 is 0.5"),
        (change("[0.5,1]", "[0.5]"), "shape_mismatch", "expected 2 numbers"),
        (change("[0.5,1]", "[[0.5,1]]"), "shape_mismatch", "expected 2 numbers"),
        (change("[0.5,1]", "[0.5,null]"), "non_finite_input", "not finite"),
        (change("[0.5,1]", "[0.5,1e39]"), "non_finite_input", "not finite"),
        (change("[0.5,1]", r#"["a","b"]"#), "invalid_input", "a string where a number belongs"),
        (change("[1,1,1,2]", "[1,3,1,2]"), "shape_mismatch", "[-1, 1, -1, -1]"),
        (change("[1,1,1,2]", "[1,1,2]"), "shape_mismatch", "[-1, 1, -1, -1]"),
        (change("[1,1,1,2]", "[0,1,1,2]"), "shape_mismatch", "extents of 1 or more"),
        (change("[1,1,1,2]", "[1,1,-1,2]"), "invalid_input", "-1"),
        (change("[1,1,1,2]", "[257,1,1,2]"), "payload_too_large", "256"),
        (
            change("[1,1,1,2]", "[1,1,9223372036854775807,2]"),
            "shape_mismatch",
            "expected 18446744073709551614 numbers",
        ),
        (change(r#","data":[0.5,1]"#, ""), "invalid_input", "missing"),
        (change("\"data\"", "\"dta\""), "invalid_input", "dta"),
        (
            change("\"data\"", r#""parameters":{"shared_memory_region":"a"},"data""#),
            "invalid_input",
            "shared_memory_region",
        ),
        (
            change("\"data\"", r#""parameters":{"binary_data_size":8},"data""#),
            "invalid_input",
            "data and binary_data_size",
        ),
        (outputs("[]"), "invalid_input", "1 to 2 outputs"),
        (outputs(r#"[{"name":"clean"}]"#), "invalid_input", "denoised, latent"),
        (outputs(r#"[{"name":"latent"},{"name":"latent"}]"#), "invalid_input", "at most once"),
        (
            outputs(r#"[{"name":"latent"},{"name":"denoised"},{"name":"latent"}]"#),
            "invalid_input",
            "1 to 2 outputs",
        ),
        (
            outputs(r#"[{"name":"latent","parameters":{"classification":2}}]"#),
            "invalid_input",
            "classification",
        ),
        (whole(r#""parameters":{"strength":2}"#), "invalid_input", "/parameters/strength: expected 0..=1"),
        (whole(r#""parameters":{"sequence_id":2}"#), "invalid_input", "sequence_id"),
        (whole(r#""parameters":{"timeout":-1}"#), "invalid_input", "expected a whole number"),
        (whole(r#""parameters":{"mode":"strict","detail":0.5}"#), "invalid_input", "mode full alone"),
        (whole(r#""parameters":{"ensemble":3}"#), "invalid_input", "ensemble"),
        (whole(r#""stream":true"#), "invalid_input", "stream"),
    ] {
        let line = failed(ask_json(&service, "photo-gray", &request), code);
        assert!(line.contains(part), "{request}: {line}");
    }
}

#[test]
fn sizes_of_binary_tensors_are_checked() {
    let service = Service::start();
    let infer = |length: &str, body: Vec<u8>| {
        let request = service.request("POST", "/v2/models/photo-gray/infer").header(LENGTH, length);
        request.body(body).send().unwrap()
    };
    for length in ["-1", "x", "", "18446744073709551616", "99999"] {
        let line = failed(infer(length, b"{}".to_vec()), "invalid_input");
        assert!(line.contains("Inference-Header-Content-Length"), "{line}");
    }
    let head = |shape: &[usize], bytes| head("image", shape, "FP32", bytes, "denoised");
    for (json, bytes, code, part) in [
        (head(&[1, 1, 2, 2], 16), 15, "invalid_input", "16 bytes are stated, 15 follow"),
        (head(&[1, 1, 2, 2], 16), 17, "invalid_input", "17 follow"),
        (head(&[1, 1, 2, 2], 12), 12, "invalid_input", "takes 16 bytes, got 12"),
        (head(&[1, 1, 2, 2], usize::MAX), 12, "invalid_input", "12 follow"),
        (head(&[1, 1, 4_000_000_000, 4_000_000_000], 16), 16, "invalid_input", "bytes, got 16"),
        (head(&[256, 1, 1 << 31, 1 << 31], 0), 0, "invalid_input", "takes 18446744073709551615 bytes, got 0"),
        (
            head(&[1, 1, 1025, 1024], 1_049_600).replace("FP32", "UINT8"),
            1_049_600,
            "payload_too_large",
            "array numbers",
        ),
        (head(&[300, 1, 2, 2], 4800), 4800, "payload_too_large", "256"),
        (head(&[1, 1, 2, 2], 16).replace("FP32", "BF16"), 16, "invalid_input", "takes 8 bytes, got 16"),
        (head(&[1, 1, 1, 1], 3).replace("FP32", "BF16"), 3, "invalid_input", "takes 2 bytes, got 3"),
    ] {
        let line = failed(ask(&service, "photo-gray", &json, &vec![0; bytes]), code);
        assert!(line.contains(part), "{json}: {line}");
    }
    let line = failed(infer("0", vec![0; 64]), "invalid_input");
    assert!(line.contains("one -1 at most"), "{line}");
    let request = service.request("POST", "/v2/models/table/infer").header(LENGTH, 0).body(vec![0; 50]);
    assert!(failed(request.send().unwrap(), "invalid_input").contains("48 bytes"));
    let json = of(r#""name":"image","shape":[1,1,1,1],"datatype":"FP32","data":[1]"#);
    assert!(failed(ask(&service, "photo-gray", &json, b"abcd"), "invalid_input").contains("4 bytes follow"));
}

#[test]
fn files_that_are_no_sample_of_the_model_are_refused() {
    let service = Service::start();
    let bytes = |elements: &[u8], count: usize| {
        let json = head("image", &[count], "BYTES", elements.len(), "denoised");
        ask(&service, "photo-gray", &json, elements)
    };
    let gray = element(&png(8, 8));
    ok(bytes(&gray, 1));
    let [colour, opaque] = [color(8, 8), image::DynamicImage::from(image::GrayAlphaImage::new(8, 8))]
        .map(|image| element(&file(&image, image::ImageFormat::Png)));
    for (elements, count, code, part) in [
        (gray.clone(), 2, "invalid_input", "1 files, the shape states 2"),
        ([gray.clone(), gray.clone()].concat(), 1, "invalid_input", "element 1 of the 1"),
        (gray[..40].to_vec(), 1, "invalid_input", "not whole"),
        (vec![0xff; 7], 1, "invalid_input", "not whole"),
        (vec![0; 2000], 300, "payload_too_large", "256"),
        (element(b""), 1, "unsupported_media_type", ""),
        (element(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"), 1, "unsupported_media_type", "GIF"),
        (element(&png(8, 8)[..50]), 1, "invalid_input", ""),
        (colour, 1, "shape_mismatch", "[-1, 1, -1, -1]"),
        (opaque, 1, "not_acceptable", "opacity"),
        ([gray.clone(), element(&png(9, 8))].concat(), 2, "shape_mismatch", "one shape"),
        (element(&npy_floats(&[2, 8, 8])), 1, "shape_mismatch", "2 samples"),
    ] {
        let line = failed(bytes(&elements, count), code);
        assert!(line.contains(part), "{count}: {line}");
    }
    // Latents may differ in size: each is a file of its own.
    let two = [gray, element(&png(9, 8))].concat();
    ok(ask(&service, "photo-gray", &head("image", &[2], "BYTES", two.len(), "latent"), &two));
    let no_latent = element(&png(8, 8));
    let json = head("latent", &[1], "BYTES", no_latent.len(), "denoised");
    failed(ask(&service, "photo-gray.decoder", &json, &no_latent), "invalid_input");
    let numbers = head("latent", &[1], "FP32", 4, "denoised");
    assert!(
        failed(ask(&service, "photo-gray.decoder", &numbers, &[0; 4]), "invalid_input")
            .contains("expected BYTES")
    );
    let strict = json.replacen('{', r#"{"parameters":{"mode":"strict"},"#, 1);
    assert!(
        failed(ask(&service, "photo-gray.decoder", &strict, &no_latent), "invalid_input").contains("alone")
    );
}

#[test]
fn a_timeout_in_microseconds_is_kept() {
    let service = Service::start();
    let image = floats(numbers(512 * 512));
    let json = head("image", &[1, 1, 512, 512], "FP32", image.len(), "denoised");
    let with = |timeout: &str| {
        json.replacen('{', &format!(r#"{{"parameters":{{"timeout":{timeout},"priority":1}},"#), 1)
    };
    failed(ask(&service, "photo-gray", &with("1"), &image), "deadline_exceeded");
    for timeout in ["0", "60000000", "18446744073709551615"] {
        ok(ask(&service, "photo-gray", &with(timeout), &image));
    }
}

#[test]
fn a_body_over_the_limit_and_a_full_queue() {
    let mut setup = Setup::default();
    setup.limits.body_bytes = 1000;
    setup.engine.queue = 0;
    setup.engine.workers = Some(1);
    let service = Service::with(setup);
    failed(ask_json(&service, "table", &" ".repeat(2000)), "payload_too_large");
    // An occupied engine, held by a ticket of its own.
    let ticket = service.engine.admit(None).unwrap();
    let response = ask_json(&service, "table", "{}");
    assert!(header(&response, "retry-after").parse::<u64>().unwrap() >= 1);
    failed(response, "queue_full");
    drop(ticket);
    failed(ask_json(&service, "table", "{}"), "invalid_input");
}
