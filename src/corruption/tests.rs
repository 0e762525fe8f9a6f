//! Tests of corruptions as JSON, and of their draws.

use super::*;
use crate::rng::Purpose;

fn read(json: &str) -> Corruption {
    serde_json::from_str(json).unwrap()
}

fn noisy(json: &str, clean: &[f32], shape: Shape, index: u64) -> Vec<f32> {
    let (mut data, mut target) = (clean.to_vec(), clean.to_vec());
    read(json).corrupt(&mut data, &mut target, shape, &mut Rng::new(1, Purpose::Corrupt, index));
    data
}

const EACH: [&str; 20] = [
    r#"{"none":{}}"#,
    r#"{"gaussian":{"sigma":[10.0,30.0]}}"#,
    r#"{"gaussian":{"sigma":25.0,"blur":[0.5,1.5]}}"#,
    r#"{"poisson":{"peak":[10.0,200.0]}}"#,
    r#"{"poisson_gaussian":{"peak":[10.0,200.0],"sigma":[1.0,5.0]}}"#,
    r#"{"salt_pepper":{"amount":[0.05,0.1]}}"#,
    r#"{"speckle":{"spread":[0.1,0.3]}}"#,
    r#"{"quantize":{"bits":[2.0,4.0]}}"#,
    r#"{"jpeg":{"quality":[10.0,50.0]}}"#,
    r#"{"masking":{"pixels":[0.1,0.5],"rectangles":[1.0,3.0]}}"#,
    r#"{"banding":{"rows":[5.0,20.0],"columns":[5.0,20.0]}}"#,
    r#"{"shading":{"strength":[0.2,0.5],"stains":[1.0,3.0]}}"#,
    r#"[{"gaussian":{"sigma":60.0}},{"clip":{}}]"#,
    r#"{"gaussian":{"sigma":25.0,"shared":[0.1,0.9]}}"#,
    r#"{"jpeg":{"quality":[10.0,50.0],"sampling":["4:2:0","4:2:2","4:4:4"],"tables":["standard","image_magick","psnr_hvs"]}}"#,
    r#"{"camera":{"shot":[0.0001,0.01],"demosaic":["bilinear","malvar"]}}"#,
    r#"{"camera_rgb":{"shot":[0.01,0.1],"read":[0.01,0.05]}}"#,
    r#"[{"gaussian":{"sigma":20.0}},{"resize":{"factor":[1.2,2.0]}}]"#,
    r#"{"sharpen":{"amount":[0.3,1.0],"radius":[0.5,1.5]}}"#,
    r#"{"random":[{"gaussian":{"sigma":20.0}},{"speckle":{"spread":0.2}}]}"#,
];

#[test]
fn each_kind_is_read_and_written_alike() {
    for json in EACH {
        let corruption = read(json);
        assert_eq!(corruption.check(Kind::Image), Ok(()), "{json}");
        let written = serde_json::to_string(&corruption).unwrap();
        assert_eq!(read(&written), corruption, "{json} became {written}");
    }
}

#[test]
fn each_kind_is_a_function_of_its_stream() {
    let shape = Shape::image(3, 19, 23);
    let clean: Vec<f32> = (0..shape.numbers()).map(|i| 0.2 + 0.6 * ((i * 37 % 101) as f32) / 101.0).collect();
    for json in &EACH[1..] {
        let first = noisy(json, &clean, shape, 0);
        assert_eq!(first, noisy(json, &clean, shape, 0), "{json}");
        assert_ne!(first, noisy(json, &clean, shape, 1), "{json}");
        assert_ne!(first, clean, "{json}");
        assert!(first.iter().all(|v| v.is_finite()), "{json}");
    }
}

#[test]
fn each_kind_bears_the_smallest_images() {
    for json in EACH {
        for shape in [Shape::image(1, 1, 1), Shape::image(3, 1, 5), Shape::image(4, 2, 1)] {
            let data = noisy(json, &vec![0.5; shape.numbers()], shape, 3);
            assert!(data.iter().all(|v| v.is_finite()), "{json} on {shape}");
        }
    }
}

#[test]
fn signals_and_vectors_take_all_that_are_not_about_images() {
    for shape in [Shape::Signal { channels: 2, length: 40 }, Shape::Vector { features: 7 }] {
        let clean: Vec<f32> = (0..shape.numbers()).map(|i| 100.0 + (i as f32).sin()).collect();
        for json in EACH {
            let corruption = read(json);
            let image_only = ["jpeg", "banding", "clip", "camera", "resize", "sharpen"]
                .iter()
                .any(|kind| json.contains(kind));
            assert_eq!(corruption.check(shape.kind()).is_err(), image_only, "{json}");
            if !image_only {
                assert!(noisy(json, &clean, shape, 0).iter().all(|v| v.is_finite()), "{json}");
            }
        }
    }
}

#[test]
fn mistakes_are_named_with_field_limit_and_value() {
    let wrong = |json: &str| read(json).check(Kind::Image).unwrap_err().to_string();
    assert_eq!(
        wrong(r#"{"gaussian":{"sigma":[0,-5]}}"#),
        "gaussian.sigma is [0, -5], its first number must not be above its second"
    );
    assert_eq!(wrong(r#"{"jpeg":{"quality":[0,95]}}"#), "jpeg.quality is [0, 95], must lie within [1, 100]");
    assert_eq!(wrong(r#"{"random":[]}"#), "random has 0 entries, must have 1 to 32");
    assert_eq!(wrong("[]"), "the list of corruptions has 0 entries, must have 1 to 32");
    let nested = format!("{}{}{}", "[".repeat(20), r#"{"none":{}}"#, "]".repeat(20));
    assert_eq!(wrong(&nested), "lists are nested more than 8 deep");
}

#[test]
fn unknown_kinds_and_members_are_refused() {
    for json in [
        r#"{"gausian":{"sigma":25}}"#,
        r#"{"gaussian":{"sigmas":25}}"#,
        r#"{"gaussian":{}}"#,
        r#"{"gaussian":{"sigma":[1,2,3]}}"#,
        r#"{"gaussian":{"sigma":"25"}}"#,
        r#"{"gaussian":{"sigma":25},"clip":{}}"#,
        r#"{"none":{"sigma":25}}"#,
        "{}",
        "25",
    ] {
        assert!(serde_json::from_str::<Corruption>(json).is_err(), "{json}");
    }
}

#[test]
fn random_takes_each_of_its_entries_about_as_often() {
    let json = r#"{"random":[{"none":{}},{"gaussian":{"sigma":9}}]}"#;
    let untouched = (0..400).filter(|&i| noisy(json, &[0.5; 4], Shape::image(1, 2, 2), i) == [0.5; 4]);
    assert!((150..250).contains(&untouched.count()));
}
