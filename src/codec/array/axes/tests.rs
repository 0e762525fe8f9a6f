//! Tests of the orders of axes.

use super::*;

fn known(kind: Option<Kind>, channels: usize) -> Known {
    Known { kind, channels: (channels > 0).then_some(channels), ..Known::default() }
}

fn found(known: Known, dims: &[usize]) -> String {
    match known.settle(dims) {
        Ok((order, _)) => order.to_string(),
        Err(Error::Unsure { options, .. }) => {
            let names: Vec<&str> = options.iter().filter_map(|option| option.split(' ').next()).collect();
            format!("? {}", names.join(" "))
        }
        Err(error) => {
            assert!(matches!(error, Error::Shape { .. }), "{error}");
            String::new()
        }
    }
}

#[test]
fn axes_are_found_by_what_is_known_and_by_their_extents() {
    let (any, image, signal) = (known(None, 0), known(Some(Kind::Image), 0), known(Some(Kind::Signal), 0));
    let (gray, color) = (known(Some(Kind::Image), 1), known(Some(Kind::Image), 3));
    let (one, two, vector) =
        (known(Some(Kind::Signal), 1), known(Some(Kind::Signal), 2), known(Some(Kind::Vector), 0));
    for (known, dims, expected) in [
        (any, &[9][..], "D"),
        (any, &[40, 50], "HW"),
        (any, &[2, 1000], "CL"),
        (any, &[1000, 2], "LC"),
        (any, &[1000, 20], "? HW LC ND"),
        (any, &[20, 1000], "? HW CL ND"),
        (any, &[40, 50, 3], "HWC"),
        (any, &[3, 40, 50], "? CHW NHW"),
        (any, &[7, 40, 50], "NHW"),
        (any, &[40, 50, 4], ""),
        (any, &[900, 8, 8], "NHW"),
        (any, &[100, 2, 1000], "NCL"),
        (any, &[100, 1000, 2], "NLC"),
        (any, &[2, 40, 50, 3], "NHWC"),
        (any, &[2, 3, 40, 50], "NCHW"),
        (any, &[2, 3, 50, 3], "? NHWC NCHW"),
        (any, &[2, 2, 2, 2, 2], ""),
        (image, &[2, 1000], "HW"),
        (image, &[3, 40, 50], "? CHW NHW"),
        (gray, &[3, 40, 50], "NHW"),
        (gray, &[40, 50, 1], "HWC"),
        (gray, &[40, 50, 3], "? HWC NHW"),
        (gray, &[2, 40, 50, 1], "NHWC"),
        (gray, &[2, 1, 40, 50], "NCHW"),
        (color, &[3, 40, 50], "CHW"),
        (color, &[3, 40, 3], "HWC"),
        (color, &[40, 50], ""),
        (signal, &[50], "L"),
        (signal, &[2, 50], "CL"),
        (signal, &[50, 2], "LC"),
        (signal, &[50, 100], "? CL NL"),
        (signal, &[100, 50], "? LC NL"),
        (signal, &[100, 200], "NL"),
        (signal, &[9, 2, 500], "NCL"),
        (signal, &[9, 500, 2], "NLC"),
        (one, &[1, 7], "CL"),
        (one, &[2, 7], "NL"),
        (one, &[7, 1], "LC"),
        (one, &[100, 50], "NL"),
        (one, &[1000, 2], "LC"),
        (one, &[1000, 32], "? NL LC"),
        (two, &[2, 50], "CL"),
        (two, &[50, 2], "LC"),
        (two, &[2, 2], "? CL LC"),
        (two, &[3, 2, 50], "NCL"),
        (two, &[3, 50, 2], "NLC"),
        (two, &[3, 50], ""),
        (vector, &[50, 2], "ND"),
        (vector, &[50], "D"),
        (gray, &[0, 5], ""),
    ] {
        assert_eq!(found(known, dims), expected, "{known:?} {dims:?}");
    }
}

#[test]
fn a_stated_order_decides_and_must_be_possible() {
    let state = |text: &str| Known { order: Some(text.parse().unwrap()), ..Known::default() };
    for (text, dims, expected) in [
        ("LC", &[20, 30][..], Shape::Signal { channels: 30, length: 20 }),
        ("(T, C)", &[20, 30], Shape::Signal { channels: 30, length: 20 }),
        ("cl", &[20, 30], Shape::Signal { channels: 20, length: 30 }),
        ("TYX", &[3, 20, 30], Shape::image(1, 20, 30)),
        ("CYX", &[3, 20, 30], Shape::image(3, 20, 30)),
        ("NHWC", &[2, 20, 30, 3], Shape::image(3, 20, 30)),
        ("BLC", &[2, 20, 30], Shape::Signal { channels: 30, length: 20 }),
        ("NT", &[20, 30], Shape::Signal { channels: 1, length: 30 }),
        ("ND", &[20, 30], Shape::Vector { features: 30 }),
    ] {
        assert_eq!(state(text).settle(dims).unwrap().1, expected, "{text}");
    }
    for (text, dims) in [("LC", &[3, 20, 30][..]), ("HWC", &[3, 20, 30]), ("D", &[2, 3])] {
        assert!(matches!(state(text).settle(dims), Err(Error::Shape { .. })), "{text}");
    }
    for text in ["", "HWCN", "WH", "CC", "auto"] {
        assert!(text.parse::<Order>().is_err(), "{text}");
    }
    assert_eq!("tyx".parse::<Order>().unwrap().to_string(), "NHW");
}

#[test]
fn a_question_lists_what_each_order_means() {
    let error = Known::default().settle(&[3, 40, 50]).unwrap_err().to_string();
    assert!(
        error.contains("CHW (1 image 50x40 with 3 channel(s))") && error.contains("NHW (3 image"),
        "{error}"
    );
}
