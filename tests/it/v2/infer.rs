//! Inference: the bytes of requests and replies, and the numbers of the other routes.

use serde_json::json;

use super::*;

/// Strength 0 gives the input back, so that the whole reply is known.
#[test]
fn a_reply_in_json_is_this_text() {
    let service = Service::start();
    let request = r#"{"id":"7","model_name":"photo-gray","parameters":{"strength":0},"inputs":[{"name":"image","shape":[1,1,2,2],"datatype":"FP32","data":[[[[0.1,0.25],[0.3,1]]]]}],"outputs":[{"name":"denoised"}]}"#;
    let response = ask_json(&service, "photo-gray", request);
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, LENGTH), "");
    let reply = r#"{"model_name":"photo-gray","model_version":"1","id":"7","outputs":[{"name":"denoised","datatype":"FP32","shape":[1,1,2,2],"data":[0.1,0.25,0.3,1.0]}]}"#;
    assert_eq!(String::from_utf8(ok(response)).unwrap(), reply);
    let flat = request.replace("[[[[0.1,0.25],[0.3,1]]]]", "[0.1,0.25,0.3,1]");
    assert_eq!(ok(ask_json(&service, "photo-gray", &flat)), reply.as_bytes());
}

#[test]
fn a_reply_in_binary_form_is_these_bytes() {
    let service = Service::start();
    let request = r#"{"inputs":[{"name":"image","shape":[2,1,1,2],"datatype":"FP32","parameters":{"binary_data_size":16}}],"outputs":[{"name":"denoised"}],"parameters":{"binary_data_output":true,"strength":0}}"#;
    // 0.5, 1, 0.25 and 0, little-endian.
    let tensor = b"\0\0\0\x3f\0\0\x80\x3f\0\0\x80\x3e\0\0\0\0";
    let response = ask(&service, "photo-gray", request, tensor);
    let reply = r#"{"model_name":"photo-gray","model_version":"1","outputs":[{"name":"denoised","datatype":"FP32","shape":[2,1,1,2],"parameters":{"binary_data_size":16}}]}"#;
    assert_eq!(header(&response, LENGTH), reply.len().to_string());
    assert_eq!(header(&response, "content-type"), "application/octet-stream");
    assert_eq!(ok(response), [reply.as_bytes(), tensor].concat());
}

#[test]
fn denoised_is_what_the_native_route_gives() {
    let service = Service::start();
    let image = numbers(33 * 21);
    let request = service.request("POST", "/denoise?model=photo-gray").header("x-tensor-shape", "1,33,21");
    let request = request.header("content-type", "application/octet-stream");
    let native = ok(request.body(floats(image.iter().copied())).send().unwrap());
    let bytes = floats(image);
    let json = head("image", &[1, 1, 33, 21], "FP32", bytes.len(), "denoised");
    assert_eq!(binary_output(ask(&service, "photo-gray", &json, &bytes)), native);
    let path = "photo-gray/versions/2";
    assert_ne!(binary_output(ask(&service, path, &json, &bytes)), native);
    assert_eq!(divided(ask(&service, path, &json, &bytes)).0["model_version"], "2");
}

#[test]
fn a_batch_gives_the_bytes_of_its_samples_alone() {
    let service = Service::start();
    let batch = floats(numbers(3 * 16 * 12));
    let json = head("image", &[3, 1, 16, 12], "FP32", batch.len(), "denoised");
    let together = binary_output(ask(&service, "photo-gray", &json, &batch));
    let each = batch.len() / 3;
    let json = head("image", &[1, 1, 16, 12], "FP32", each, "denoised");
    let alone = batch.chunks(each).map(|one| binary_output(ask(&service, "photo-gray", &json, one)));
    assert_eq!(together, alone.collect::<Vec<_>>().concat());
}

#[test]
fn the_latent_is_the_file_of_the_encoder_and_runs_it_alone() {
    let service = Service::start();
    let image = png(40, 30);
    let json = head("image", &[1], "BYTES", image.len() + 4, "latent");
    let steps = |work: &dyn Fn() -> Vec<u8>| {
        let before = service.engine.pieces();
        (work(), service.engine.pieces() - before)
    };
    let (native, of_encode) =
        steps(&|| ok(service.post("/encode?model=photo-gray", "image/png", image.clone())));
    let (latent, of_latent) = steps(&|| binary_output(ask(&service, "photo-gray", &json, &element(&image))));
    assert_eq!((latent, of_latent), (element(&native), of_encode));
    let all = json.replace(r#","outputs":[{"name":"latent","parameters":{"binary_data":true}}]"#, "");
    let (_, of_all) = steps(&|| ok(ask(&service, "photo-gray", &all, &element(&image))));
    assert!(of_all > of_latent, "{of_all} {of_latent}");
}

#[test]
fn a_decoder_decodes_from_the_latent_alone() {
    let service = Service::start();
    let latent = ok(service.post("/encode?model=photo-gray", "image/png", png(21, 17)));
    let native =
        service.post("/decode?format=npy&depth=float", "application/vnd.limpid.latent", latent.clone());
    let native = floats(read_npy(&ok(native)).1);
    let json = head("latent", &[2], "BYTES", 2 * (latent.len() + 4), "denoised");
    let twice = [element(&latent), element(&latent)].concat();
    let (reply, decoded) = divided(ask(&service, "photo-gray.decoder", &json, &twice));
    assert_eq!(decoded, [native.clone(), native.clone()].concat());
    assert_eq!(
        (&reply["model_name"], &reply["outputs"][0]["shape"]),
        (&json!("photo-gray.decoder"), &json!([2, 1, 17, 21]))
    );
    // The file alone, without JSON.
    let request = service.request("POST", "/v2/models/photo-gray.decoder/infer").header(LENGTH, 0);
    assert_eq!(binary_output(request.body(latent.clone()).send().unwrap()), native);
    // In JSON, a file is base64, both ways.
    let input = json!({"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64(&png(21, 17))]});
    let asked = json!({"inputs": [input], "outputs": [{"name": "latent"}]}).to_string();
    let reply = ok_json(ask_json(&service, "photo-gray", &asked));
    assert_eq!(reply["outputs"][0]["data"], json!([base64(&latent)]));
    let other = head("latent", &[1], "BYTES", latent.len() + 4, "denoised");
    failed(ask(&service, "photo-color.decoder", &other, &element(&latent)), "latent_model_mismatch");
    failed(
        ask(&service, "photo-gray.decoder/versions/2", &other, &element(&latent)),
        "latent_model_mismatch",
    );
}

#[test]
fn all_outputs_come_where_none_is_named_in_their_order() {
    let service = Service::start();
    let bytes = floats(numbers(64));
    let input = r#"{"inputs":[{"name":"image","shape":[1,1,8,8],"datatype":"FP32","parameters":{"binary_data_size":256}}]"#;
    let (json, binary) = divided(ask(
        &service,
        "photo-gray",
        &format!(r#"{input},"parameters":{{"binary_data_output":true}}}}"#),
        &bytes,
    ));
    let sizes: Vec<_> = json["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["parameters"]["binary_data_size"].as_u64().unwrap())
        .collect();
    assert_eq!((sizes[0], sizes[0] + sizes[1]), (256, binary.len() as u64));
    // An output's own choice comes first; JSON and binary may stand side by side.
    let mixed = format!(
        r#"{input},"outputs":[{{"name":"latent"}},{{"name":"denoised","parameters":{{"binary_data":false}}}}],"parameters":{{"binary_data_output":true}}}}"#
    );
    let (json, latent) = divided(ask(&service, "photo-gray", &mixed, &bytes));
    assert_eq!((&json["outputs"][0]["name"], latent), (&json!("latent"), binary[256..].to_vec()));
    assert_eq!(json["outputs"][1]["data"].as_array().unwrap().len(), 64);
}

#[test]
fn every_type_holds_the_same_numbers() {
    let service = Service::start();
    let numbers = [0.0f32, 1.0, 2.0, 0.0, 2.0, 1.0];
    // Halves and doubles of these are exact.
    let types: [(&str, Vec<u8>); 7] = [
        ("FP32", floats(numbers)),
        ("FP64", numbers.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect()),
        ("FP16", [0u16, 0x3c00, 0x4000, 0, 0x4000, 0x3c00].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("BF16", [0u16, 0x3f80, 0x4000, 0, 0x4000, 0x3f80].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("INT32", [0i32, 1, 2, 0, 2, 1].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("INT64", [0i64, 1, 2, 0, 2, 1].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("UINT8", vec![0, 51, 102, 0, 102, 51]),
    ];
    for (name, bytes) in types {
        let json = head("image", &[1, 1, 2, 3], name, bytes.len(), "denoised");
        let json = json.replacen('{', r#"{"parameters":{"strength":0},"#, 1);
        let back = to_floats(&binary_output(ask(&service, "photo-gray", &json, &bytes)));
        let scale = if name == "UINT8" { 5.0 } else { 1.0 };
        assert!(back.iter().zip(numbers).all(|(a, b)| (a * scale - b).abs() < 1e-6), "{name}: {back:?}");
    }
    for (name, data) in
        [("INT64", "[0,1,2,0,2,1]"), ("UINT8", "[0,51,102,0,102,51]"), ("FP64", "[0,1,2,0,2,1]")]
    {
        let json = format!(
            r#"{{"parameters":{{"strength":0}},"inputs":[{{"name":"image","shape":[1,1,2,3],"datatype":"{name}","data":{data}}}],"outputs":[{{"name":"denoised"}}]}}"#
        );
        assert_eq!(
            ok_json(ask_json(&service, "photo-gray", &json))["outputs"][0]["data"].as_array().unwrap().len(),
            6
        );
    }
}

#[test]
fn a_tensor_alone_needs_no_json() {
    let service = Service::start();
    let rows = floats(numbers(24));
    let request = service.request("POST", "/v2/models/table/infer").header(LENGTH, 0);
    let (json, binary) = divided(request.body(rows.clone()).send().unwrap());
    assert_eq!(json["outputs"][0]["shape"], json!([2, 12]));
    let asked = head("vector", &[2, 12], "FP32", rows.len(), "denoised");
    assert_eq!(binary_output(ask(&service, "table", &asked, &rows)), &binary[..96]);
}

#[test]
fn missing_numbers_are_refused_unless_they_are_to_be_kept() {
    let service = Service::start();
    let mut image = numbers(64);
    image[9] = f32::NAN;
    let (bytes, json) = (floats(image), head("image", &[1, 1, 8, 8], "FP32", 256, "denoised"));
    assert!(failed(ask(&service, "photo-gray", &json, &bytes), "non_finite_input").contains("(0, 0, 1, 1)"));
    let keep = json.replacen('{', r#"{"parameters":{"missing":"keep"},"#, 1);
    let back = to_floats(&binary_output(ask(&service, "photo-gray", &keep, &bytes)));
    assert!(back[9].is_nan() && back.iter().filter(|v| v.is_nan()).count() == 1);
    let in_json = keep.replace(r#""binary_data":true"#, r#""binary_data":false"#);
    let reply = ok_json(ask(&service, "photo-gray", &in_json, &bytes));
    assert!(reply["outputs"][0]["data"][9].is_null() && reply["outputs"][0]["data"][8].is_number());
    let fill = json.replacen('{', r#"{"parameters":{"missing":"fill"},"#, 1);
    assert!(
        to_floats(&binary_output(ask(&service, "photo-gray", &fill, &bytes))).iter().all(|v| v.is_finite())
    );
}
