//! `POST /denoise`: every representation in and out, parameters, headers.

use image::ImageFormat;
use serde_json::json;

use crate::support::*;

const FILES: [(&str, ImageFormat); 5] = [
    ("image/png", ImageFormat::Png),
    ("image/jpeg", ImageFormat::Jpeg),
    ("image/tiff", ImageFormat::Tiff),
    ("image/webp", ImageFormat::WebP),
    ("image/x-portable-anymap", ImageFormat::Pnm),
];

#[test]
fn every_image_format_comes_back_in_its_own() {
    let service = Service::start();
    for (media_type, format) in FILES {
        for image in [gray(40, 24), color(40, 24)] {
            let response = service.post("/denoise", media_type, file(&image, format));
            assert_eq!(header(&response, "content-type"), media_type);
            let back = read(&ok(response), format);
            assert_eq!((back.width(), back.height()), (40, 24), "{media_type}");
        }
    }
}

#[test]
fn the_reply_says_who_answered_and_how_long_it_took() {
    let service = Service::start();
    let response = service.post("/denoise", "image/png", png(16, 16));
    assert_eq!(header(&response, "x-model"), "photo-gray@1");
    assert!(header(&response, "x-noise-sigma").parse::<f32>().unwrap() >= 0.0);
    let timing = header(&response, "server-timing");
    for stage in ["queue;dur=", "read;dur=", "infer;dur=", "write;dur="] {
        assert!(timing.contains(stage), "{timing}");
    }
    assert_eq!(header(&response, "vary"), "accept");
}

#[test]
fn every_header_of_a_reply_is_in_the_contract() {
    let contract = serde_json::to_value(limpid::api::openapi()).unwrap();
    let described = contract["paths"]["/denoise"]["post"]["responses"]["200"]["headers"].as_object().unwrap();
    let described: Vec<String> = described.keys().map(|name| name.to_lowercase()).collect();
    let service = Service::start();
    let response = service.post("/denoise", "image/png", png(16, 16));
    let written: Vec<&str> = response.headers().keys().map(|name| name.as_str()).collect();
    let own = |name: &&&str| name.starts_with("x-") && **name != "x-content-type-options";
    let own: Vec<_> = written.iter().filter(own).collect();
    assert!(own.len() >= 5, "{written:?}");
    for name in own {
        assert!(described.iter().any(|described| *described == **name), "{name} is not described");
    }
}

#[test]
fn colour_goes_to_the_colour_model() {
    let service = Service::start();
    let response = service.post("/denoise", "image/png", file(&color(16, 16), ImageFormat::Png));
    assert_eq!(header(&response, "x-model"), "photo-color@1");
    let image = read(&ok(response), ImageFormat::Png);
    assert_eq!(image.color().channel_count(), 3);
}

#[test]
fn an_array_comes_back_as_an_array_of_the_same_axes() {
    let service = Service::start();
    for shape in [&[8, 8][..], &[8, 8, 1], &[1, 8, 8], &[2, 8, 8]] {
        let path = "/denoise?model=photo-gray";
        let response = service.post(path, "application/x-npy", npy_floats(shape));
        assert_eq!(header(&response, "content-type"), "application/x-npy");
        let (head, numbers) = read_npy(&ok(response));
        let extents = head.split(['(', ')']).nth(1).unwrap();
        let extents: Vec<usize> =
            extents.split(',').filter_map(|extent| extent.trim().parse().ok()).collect();
        assert_eq!(extents, shape);
        assert_eq!(numbers.len(), shape.iter().product::<usize>());
    }
}

#[test]
fn a_raw_tensor_comes_back_as_one() {
    let service = Service::start();
    let body = floats((0..64).map(|i| i as f32 / 64.0));
    let request = service.request("POST", "/denoise?model=photo-gray").body(body);
    let request =
        request.header("content-type", "application/octet-stream").header("x-tensor-shape", "1,8,8");
    let response = request.header("x-tensor-dtype", "float32").send().unwrap();
    assert_eq!(header(&response, "x-tensor-shape"), "1,8,8");
    assert_eq!(header(&response, "x-tensor-dtype"), "float32");
    assert_eq!(to_floats(&ok(response)).len(), 64);
}

#[test]
fn json_comes_back_as_json_of_the_same_form() {
    let service = Service::start();
    let reply = ok_json(service.post_json("/denoise", &json!({"image": base64(&png(9, 7))})));
    assert_eq!(read(&from_base64(&reply["image"]), ImageFormat::Png).width(), 9);
    assert_eq!(reply["model"], "photo-gray@1");
    assert!(reply["sigma"].is_number() && reply["timing"]["infer_ms"].is_number(), "{reply}");
    assert!(reply["request_id"].is_string());

    let reply = ok_json(service.post_json("/denoise", &json!({"data": [[0.1, 0.9], [0.5, 0.4]]})));
    let rows = reply["data"].as_array().unwrap();
    assert!(rows.len() == 2 && rows[0].as_array().unwrap().len() == 2, "{reply}");

    let tensor = json!({"shape": [4, 4], "dtype": "float32", "base64": base64(&floats([0.5; 16]))});
    let reply = ok_json(service.post_json("/denoise", &json!({"tensor": tensor})));
    assert_eq!(reply["tensor"]["shape"], json!([4, 4]));
    assert_eq!(to_floats(&from_base64(&reply["tensor"]["base64"])).len(), 16);
}

#[test]
fn several_in_json_come_back_as_a_list() {
    let service = Service::start();
    let body = json!({"samples": [{"image": base64(&png(8, 8))}, {"data": [[0.5, 0.25]]}], "strength": 0.5});
    let reply = ok_json(service.post_json("/denoise", &body));
    let list = reply["samples"].as_array().unwrap();
    assert!(list.len() == 2 && list[0]["image"].is_string() && list[1]["data"].is_array(), "{reply}");
    assert!(list.iter().all(|item| item["sigma"].is_number() && item["model"] == "photo-gray@1"), "{reply}");
}

fn form(files: &[(&str, Vec<u8>)]) -> reqwest::blocking::multipart::Form {
    let part = |(name, bytes): &(&str, Vec<u8>)| {
        reqwest::blocking::multipart::Part::bytes(bytes.clone()).file_name((*name).to_owned())
    };
    files.iter().fold(reqwest::blocking::multipart::Form::new(), |form, f| form.part("file", part(f)))
}

#[test]
fn one_file_of_a_form_comes_back_as_it_is() {
    let service = Service::start();
    let form = form(&[("a.png", png(8, 8))]).text("strength", "0.5").text("model", "photo-gray@2");
    let response = service.request("POST", "/denoise").multipart(form).send().unwrap();
    assert_eq!(header(&response, "content-type"), "image/png");
    assert_eq!(header(&response, "x-model"), "photo-gray@2");
    read(&ok(response), ImageFormat::Png);
}

#[test]
fn several_files_come_back_as_a_form_a_list_or_an_archive() {
    let service = Service::start();
    let ask = |accept: &str| {
        let form = form(&[("scan 1.png", png(8, 8)), ("b.jpg", file(&color(8, 9), ImageFormat::Jpeg))]);
        let request = service.request("POST", "/denoise").multipart(form).header("accept", accept);
        request.send().unwrap()
    };
    let response = ask("*/*");
    assert!(header(&response, "content-type").starts_with("multipart/form-data; boundary="));
    assert_eq!(header(&response, "x-model"), "photo-gray@1, photo-color@1");
    let body = ok(response);
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("filename=\"scan1.png\"") && text.contains("filename=\"b.jpg\""), "{text:.300}");

    assert_eq!(ok_json(ask("application/json"))["samples"].as_array().unwrap().len(), 2);

    let response = ask("application/zip");
    assert_eq!(header(&response, "content-type"), "application/zip");
    let files = limpid::codec::read_zip(&ok(response), &limpid::limits::Limits::default()).unwrap();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["scan1.png", "b.jpg"]);
    read(&files[1].1, ImageFormat::Jpeg);

    refused(ask("image/png"), "not_acceptable");
}

#[test]
fn accept_and_format_choose_the_reply() {
    let service = Service::start();
    let ask = |path: &str, accept: &str| {
        let request = service.request("POST", path).header("content-type", "image/png").body(png(8, 8));
        request.header("accept", accept).send().unwrap()
    };
    assert_eq!(header(&ask("/denoise", "image/tiff"), "content-type"), "image/tiff");
    assert_eq!(header(&ask("/denoise", "application/json"), "content-type"), "application/json");
    assert_eq!(header(&ask("/denoise", "image/png;q=0.1, image/webp"), "content-type"), "image/webp");
    assert_eq!(header(&ask("/denoise?format=npy", "*/*"), "content-type"), "application/x-npy");
    assert_eq!(header(&ask("/denoise?format=tif", "image/*"), "content-type"), "image/tiff");
    let problem = refused(ask("/denoise", "audio/ogg"), "not_acceptable");
    assert!(problem["detail"].as_str().unwrap().contains("image/png"), "{problem}");
    refused(ask("/denoise?format=tif", "image/png"), "not_acceptable");
}

#[test]
fn depth_is_kept_and_can_be_chosen() {
    let service = Service::start();
    let deep: image::DynamicImage =
        image::ImageBuffer::from_fn(8, 8, |x, y| image::Luma([(x * 8000 + y * 17) as u16])).into();
    let body = file(&deep, ImageFormat::Png);
    let same = read(&ok(service.post("/denoise", "image/png", body.clone())), ImageFormat::Png);
    assert_eq!(same.color(), image::ColorType::L16);
    let eight = read(&ok(service.post("/denoise?depth=8", "image/png", body)), ImageFormat::Png);
    assert_eq!(eight.color(), image::ColorType::L8);
}

#[test]
fn strength_0_gives_the_input_back() {
    let service = Service::start();
    let back = ok(service.post("/denoise?strength=0", "image/png", png(13, 9)));
    assert_eq!(read(&back, ImageFormat::Png), gray(13, 9));
}

#[test]
fn parameters_mean_the_same_in_all_three_places() {
    let service = Service::start();
    let body = npy_floats(&[8, 8]);
    let by_query = ok(service.post("/denoise?mode=strict&strength=0.5", "application/x-npy", body.clone()));
    let form = form(&[("a.npy", body.clone())]).text("mode", "strict").text("strength", "0.5");
    let by_form = ok(service.request("POST", "/denoise").multipart(form).send().unwrap());
    assert_eq!(by_query, by_form);
    let (_, numbers) = read_npy(&body);
    let tensor = json!({"shape": [8, 8], "base64": base64(&floats(numbers))});
    let reply =
        ok_json(service.post_json("/denoise", &json!({"tensor": tensor, "mode": "strict", "strength": 0.5})));
    assert_eq!(to_floats(&from_base64(&reply["tensor"]["base64"])), read_npy(&by_query).1);
}

#[test]
fn vectors_go_to_the_only_model_for_them() {
    let service = Service::start();
    let response = service.post_json("/denoise", &json!({"data": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}));
    assert_eq!(header(&response, "x-model"), "table@1");
    assert_eq!(ok_json(response)["data"].as_array().unwrap().len(), 12);
}

#[test]
fn a_batch_of_an_array_has_a_figure_for_each_sample() {
    let service = Service::start();
    let response = service.post("/denoise?model=table", "application/x-npy", npy_floats(&[3, 12]));
    assert_eq!(header(&response, "x-noise-sigma").split(", ").count(), 3);
    assert_eq!(read_npy(&ok(response)).1.len(), 36);
}

#[test]
fn a_body_that_says_nothing_of_itself_is_known_by_its_first_bytes() {
    let service = Service::start();
    for media_type in ["application/octet-stream", "application/x-www-form-urlencoded"] {
        let response = service.post("/denoise", media_type, png(8, 8));
        assert_eq!(header(&response, "content-type"), "image/png");
        ok(response);
    }
}
