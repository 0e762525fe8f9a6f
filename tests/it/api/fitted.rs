//! `POST /denoise`: samples in another form than the model's, the choice of a model, and the finish.

use image::{DynamicImage, ImageFormat};

use crate::support::*;

/// A gray picture in three channels.
fn gray_as_color(width: u32, height: u32) -> DynamicImage {
    gray(width, height).into_rgb8().into()
}

fn post(service: &Service, query: &str, image: &DynamicImage) -> reqwest::blocking::Response {
    service.post(&format!("/denoise{query}"), "image/png", file(image, ImageFormat::Png))
}

fn pixels(response: reqwest::blocking::Response) -> DynamicImage {
    read(&ok(response), ImageFormat::Png)
}

#[test]
fn a_gray_picture_in_colour_channels_goes_through_the_gray_model() {
    let service = Service::start();
    let response = post(&service, "", &gray_as_color(70, 50));
    assert_eq!(header(&response, "x-model"), "photo-gray@1");
    let reason = header(&response, "x-model-reason");
    assert!(reason.contains("gray picture in colour channels"), "{reason}");
    let alone = pixels(post(&service, "", &gray(70, 50)));
    assert_eq!(pixels(response), DynamicImage::from(alone.into_rgb8()));
}

#[test]
fn a_gray_model_takes_a_colour_picture_channel_by_channel() {
    let service = Service::start();
    let picture = color(48, 40);
    let seen = pixels(post(&service, "?model=photo-gray", &picture)).into_rgb8();
    for c in 0..3 {
        let plane = |of: &image::RgbImage| {
            image::GrayImage::from_fn(48, 40, |x, y| image::Luma([of.get_pixel(x, y).0[c]]))
        };
        let alone = pixels(post(&service, "", &plane(&picture.to_rgb8()).into())).into_luma8();
        assert_eq!(plane(&seen), alone, "channel {c}");
    }
}

#[test]
fn strict_mode_is_the_latent_alone_and_keeps_the_channels() {
    let service = Service::start();
    let response = post(&service, "?mode=strict", &gray_as_color(32, 32));
    assert_eq!(header(&response, "x-model"), "photo-color@1");
    let colored = file(&color(32, 32), ImageFormat::Png);
    let refusal = service.post("/denoise?mode=strict&model=photo-gray", "image/png", colored);
    refused(refusal, "shape_mismatch");
}

#[test]
fn brightness_and_colour_have_strengths_of_their_own() {
    let service = Service::start();
    let picture = color(40, 40);
    let same = pixels(post(&service, "?strength=0&strength_chroma=0", &picture));
    assert_eq!(same, picture);
    let luma = |p: &image::Rgb<u8>| {
        0.299 * f32::from(p.0[0]) + 0.587 * f32::from(p.0[1]) + 0.114 * f32::from(p.0[2])
    };
    let seen = pixels(post(&service, "?strength=0&strength_chroma=1", &picture)).into_rgb8();
    let before = picture.to_rgb8();
    // Where no channel was cut off, brightness is what it was, to rounding.
    let inside = |p: &image::Rgb<u8>| p.0.iter().all(|v| (1..255).contains(v));
    let apart =
        seen.pixels().zip(before.pixels()).filter(|(a, _)| inside(a)).map(|(a, b)| (luma(a) - luma(b)).abs());
    assert!(apart.fold(0.0, f32::max) < 1.0);
    assert_ne!(seen, before);
}

#[test]
fn wishes_out_of_range_are_refused_by_name() {
    let service = Service::start();
    let wrong = [
        ("?detail=2", "/detail"),
        ("?strength_chroma=-1", "/strength_chroma"),
        ("?mode=strict&detail=0.5", "/detail"),
        ("?mode=strict&strength_chroma=0.5", "/strength_chroma"),
    ];
    for (query, pointer) in wrong {
        let problem = refused(post(&service, query, &gray(8, 8)), "invalid_input");
        assert_eq!(pointers(&problem), [pointer]);
    }
}

#[test]
fn noise_is_told_with_its_correlation() {
    let service = Service::start();
    let response = post(&service, "", &gray(128, 128));
    let correlation: f32 = header(&response, "x-noise-correlation").parse().unwrap();
    assert!((0.0..=1.0).contains(&correlation));
}

/// A colour picture with slopes and an edge.
fn scene() -> DynamicImage {
    image::RgbImage::from_fn(200, 160, |x, y| {
        let edge = if (x / 37 + y / 29) % 2 == 0 { 45.0 } else { 0.0 };
        let wave = 30.0 * (x as f32 / 9.0).sin() * (y as f32 / 7.0).cos() + edge;
        image::Rgb([0, 1, 2].map(|c| (70.0 + 25.0 * c as f32 + wave) as u8))
    })
    .into()
}

fn jpeg(picture: &DynamicImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality);
    picture.write_with_encoder(encoder).unwrap();
    bytes
}

#[test]
fn pictures_that_were_jpeg_files_go_to_the_model_of_those_whatever_their_container() {
    let mut setup = Setup::default();
    setup.config.jpeg_model = "photo-gray".parse().unwrap();
    let service = Service::with(setup);
    let file = jpeg(&scene(), 50);
    let decoded = read(&file, ImageFormat::Jpeg);
    let gray = jpeg(&scene().to_luma8().into(), 50);
    for (picture, media_type, content) in [
        (file.clone(), "image/jpeg", "colour picture of a JPEG file"),
        (self::file(&decoded, ImageFormat::Png), "image/png", "colour picture of a JPEG file"),
        (gray, "image/jpeg", "gray picture of a JPEG file"),
    ] {
        let response = service.post("/denoise?format=png", media_type, picture);
        let reason = header(&response, "x-model-reason");
        assert!(reason.contains(content), "{reason}");
        assert_eq!(header(&response, "x-model"), "photo-gray@1");
        ok(response);
    }
    // Never stored so, and stored without loss worth a model.
    for picture in [scene(), read(&jpeg(&scene(), 98), ImageFormat::Jpeg)] {
        let response = post(&service, "", &picture);
        assert_eq!(header(&response, "x-model"), "photo-color@1");
    }
}
