//! `POST /encode`: latents as files and as JSON.

use serde_json::json;

use crate::support::*;

const LATENT: &str = "application/vnd.limpid.latent";

#[test]
fn the_reply_is_a_latent_file_unless_json_is_asked_for() {
    let service = Service::start();
    let response = service.post("/encode", "image/png", png(32, 32));
    assert_eq!(header(&response, "content-type"), LATENT);
    assert_eq!(header(&response, "x-model"), "photo-gray@1");
    assert!(ok(response).starts_with(b"\x89LIMPID\n"));

    let request = service.request("POST", "/encode").header("accept", "application/json");
    let reply = ok_json(request.header("content-type", "image/png").body(png(32, 32)).send().unwrap());
    assert_eq!(reply["latent"]["model"], "photo-gray");
    assert!(reply["numbers"].as_u64() < reply["sample_numbers"].as_u64(), "{reply}");
}

#[test]
fn a_latent_has_fewer_numbers_than_its_image_from_16_pixels_up() {
    let service = Service::start();
    for (width, height) in [(16, 16), (17, 16), (16, 31), (33, 47)] {
        let body = json!({"samples": [{"image": base64(&png(width, height))}]});
        let reply = ok_json(service.post_json("/encode", &body));
        let item = &reply["samples"][0];
        assert_eq!(item["sample_numbers"], width * height);
        assert!(item["numbers"].as_u64() < item["sample_numbers"].as_u64(), "{width}x{height}: {item}");
    }
}

#[test]
fn a_larger_ratio_gives_a_smaller_latent() {
    let service = Service::start();
    let size = |path: &str| ok(service.post(path, "image/png", png(64, 64))).len();
    assert!(size("/encode?ratio=8") < size("/encode?ratio=2"));
    let problem = refused(service.post("/encode?ratio=100000", "image/png", png(64, 64)), "invalid_input");
    assert_eq!(pointers(&problem), ["/ratio"]);
}

#[test]
fn several_come_as_an_archive_where_asked() {
    let service = Service::start();
    let request = service.request("POST", "/encode").header("accept", "application/zip");
    let body = json!({"samples": [{"image": base64(&png(8, 8))}, {"image": base64(&png(9, 8))}]});
    let request = request.header("content-type", "application/json").body(body.to_string());
    let files =
        limpid::codec::read_zip(&ok(request.send().unwrap()), &limpid::limits::Limits::default()).unwrap();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["1.latent", "2.latent"]);
}

#[test]
fn parameters_of_denoising_are_unknown_here() {
    let service = Service::start();
    let problem = refused(service.post("/encode?strength=1", "image/png", png(8, 8)), "invalid_input");
    assert_eq!(pointers(&problem), ["/strength"]);
}
