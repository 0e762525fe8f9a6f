//! `POST /denoise` of pages: chosen by themselves, cleaned by the bundled model, with all of their strokes.

use image::{DynamicImage, GrayImage, ImageFormat, Luma};

use crate::support::*;

/// Combs of bars as thick as `thick` on paper that is darker to the right, with a little grain.
fn page(side: u32, thick: u32) -> GrayImage {
    GrayImage::from_fn(side, side, |x, y| {
        let grain = (x * 7919 + y * 104_729 + x * y * 31) % 9;
        let paper = 230 - x * 60 / side - grain;
        Luma([if is_ink(x, y, side, thick) { 30 } else { paper as u8 }])
    })
}

fn is_ink(x: u32, y: u32, side: u32, thick: u32) -> bool {
    let (column, row) = (x % (10 * thick), y % (16 * thick));
    let is_inside = x < side - 10 * thick && y < side - 16 * thick;
    is_inside
        && (column < thick && row < 9 * thick
            || (column < 6 * thick && (row < thick || (4 * thick..5 * thick).contains(&row))))
}

fn service() -> Service {
    Service::with(Setup { is_bundled: true, is_preloaded: false, ..Setup::default() })
}

#[test]
fn a_page_goes_to_the_model_of_pages_and_keeps_its_ink_at_any_size() {
    let service = service();
    for thick in [2, 4, 9] {
        let side = 400;
        let seen = DynamicImage::from(page(side, thick));
        let response = service.post("/denoise", "image/png", file(&seen, ImageFormat::Png));
        assert!(header(&response, "x-model").starts_with("document@"), "{thick}: {:?}", response.headers());
        assert!(header(&response, "x-model-reason").starts_with("page, "), "{:?}", response.headers());
        let kept: f32 = header(&response, "x-ink-kept").parse().unwrap();
        assert!(kept >= 0.98, "{thick}: {kept}");
        let clean = read(&ok(response), ImageFormat::Png).into_luma8();
        let (mut ink, mut lost, mut paper, mut papers) = (0, 0, 0u64, 0u64);
        for (x, y, pixel) in clean.enumerate_pixels() {
            if is_ink(x, y, side, thick) {
                ink += 1;
                lost += u32::from(pixel.0[0] >= 128);
            } else {
                paper += u64::from(pixel.0[0]);
                papers += 1;
            }
        }
        assert!(lost * 50 < ink, "{thick}: {lost} of {ink} pixels of ink are gone");
        assert!(paper / papers > 240, "{thick}: paper of {}", paper / papers);
    }
}

#[test]
fn pages_in_colour_and_pages_with_nothing_to_clean_are_told() {
    let service = service();
    let color = DynamicImage::from(DynamicImage::from(page(400, 4)).into_rgb8());
    let response = service.post("/denoise?model=document", "image/png", file(&color, ImageFormat::Png));
    assert!(header(&response, "x-page-note").starts_with("cleaned "), "{:?}", response.headers());
    assert_eq!(read(&ok(response), ImageFormat::Png).color(), image::ColorType::Rgb8);

    let even = DynamicImage::from(GrayImage::from_fn(300, 300, |x, y| {
        Luma([if is_ink(x, y, 300, 3) { 20 } else { 220 }])
    }));
    let bytes = file(&even, ImageFormat::Png);
    let response = service.post("/denoise?model=document", "image/png", bytes);
    assert_eq!(header(&response, "x-page-note"), "unchanged: the paper is even");
    assert_eq!(read(&ok(response), ImageFormat::Png), even);

    let picture = gray(300, 300);
    let response = service.post("/denoise?model=document", "image/png", file(&picture, ImageFormat::Png));
    assert!(header(&response, "x-page-note").starts_with("unchanged: "), "{:?}", response.headers());
    assert_eq!(read(&ok(response), ImageFormat::Png), picture);
}

#[test]
fn strict_mode_knows_no_pages() {
    let service = service();
    let bytes = file(&DynamicImage::from(page(400, 4)), ImageFormat::Png);
    let response = service.post("/denoise?model=document&mode=strict", "image/png", bytes);
    assert_eq!(header(&response, "x-ink-kept"), "");
    ok(response);
}
