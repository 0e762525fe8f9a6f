//! Tests with pages drawn from bars: their measurements, and that no stroke is lost for any output of a model.

use super::*;
use crate::rng::{Purpose, Rng};
use crate::sample::{Depth, Shape};

/// Bars of the digits of a seven-segment display: upper, upper left, upper right, middle, lower left, lower right,
/// lower.
const BARS: [[u8; 7]; 10] = [
    [1, 1, 1, 0, 1, 1, 1],
    [0, 0, 1, 0, 0, 1, 0],
    [1, 0, 1, 1, 1, 0, 1],
    [1, 0, 1, 1, 0, 1, 1],
    [0, 1, 1, 1, 0, 1, 0],
    [1, 1, 0, 1, 0, 1, 1],
    [1, 1, 0, 1, 1, 1, 1],
    [1, 0, 1, 0, 0, 1, 0],
    [1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 0, 1, 1],
];

const SIDE: usize = 420;

/// Draws rows of digits with strokes of `thick` pixels, as dark as `ink` on white.
fn digits(thick: usize, ink: f32) -> Vec<f32> {
    let mut page = vec![1.0; SIDE * SIDE];
    let mut bar = |y: usize, x: usize, height: usize, width: usize| {
        for y in y..y + height {
            page[y * SIDE + x..][..width].fill(ink);
        }
    };
    let (wide, high, mut digit) = (6 * thick, 5 * thick, 0);
    for y in (2 * thick..SIDE - 14 * thick).step_by(16 * thick) {
        for x in (2 * thick..SIDE - 9 * thick).step_by(10 * thick) {
            let bars = BARS[digit % 10];
            digit += 3;
            let places = [
                (0, 0, thick, wide),
                (0, 0, high, thick),
                (0, wide - thick, high, thick),
                (high - thick, 0, thick, wide),
                (high - thick, 0, high, thick),
                (high - thick, wide - thick, high, thick),
                (2 * high - 2 * thick, 0, thick, wide),
            ];
            for (place, _) in places.into_iter().zip(bars).filter(|(_, is_on)| *is_on == 1) {
                bar(y + place.0, x + place.1, place.2, place.3);
            }
        }
    }
    page
}

fn gray(numbers: Vec<f32>) -> Sample {
    let bytes = numbers.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect();
    Sample::from_bytes(Shape::image(1, SIDE, SIDE), bytes).unwrap()
}

/// Darkens a page to the right, on grained paper.
fn worn(clean: &[f32], falloff: f32) -> Sample {
    let mut rng = Rng::new(5, Purpose::Evaluate, 0);
    let of =
        |(i, v): (usize, &f32)| v * (0.95 - falloff * (i % SIDE) as f32 / SIDE as f32) + 0.01 * rng.normal();
    gray(clean.iter().enumerate().map(of).collect())
}

/// A model that erases: white everywhere.
fn eraser(input: &Sample) -> Sample {
    Sample::new(input.shape(), vec![1.0; input.shape().numbers()]).unwrap()
}

fn passage(sample: &Sample) -> Result<Passage, Unchanged> {
    Passage::of(sample, Look::of(sample).unwrap(), [2.1, 3.6])
}

/// Returns the fraction of the ink of the clean page that is darker than half in a result.
fn ink(clean: &[f32], result: &Sample) -> f32 {
    let result = result.data();
    let all: Vec<bool> = clean.iter().zip(result).filter(|(c, _)| **c < 0.5).map(|(_, r)| *r < 0.5).collect();
    all.iter().filter(|kept| **kept).count() as f32 / all.len() as f32
}

#[test]
fn strokes_are_as_thick_as_they_were_drawn() {
    for thick in [2, 3, 5, 8] {
        let look = Look::of(&worn(&digits(thick, 0.1), 0.0)).unwrap();
        assert!((look.stroke / thick as f32 - 1.0).abs() < 0.15, "{thick}: {}", look.stroke);
        assert!(look.black < 0.2 && !look.is_inverted && look.is_page(), "{look:?}");
    }
}

#[test]
fn photographs_and_noise_are_no_pages() {
    let mut rng = Rng::new(1, Purpose::Evaluate, 0);
    let waves = (0..SIDE * SIDE).map(|i| {
        let (y, x) = ((i / SIDE) as f32, (i % SIDE) as f32);
        0.5 + 0.2 * (x / 31.0).sin() + 0.2 * (y / 47.0 + x / 90.0).cos() + 0.05 * rng.normal()
    });
    assert!(!Look::of(&gray(waves.collect())).unwrap().is_page());
    let noise = (0..SIDE * SIDE).map(|_| rng.uniform()).collect();
    assert!(!Look::of(&gray(noise)).unwrap().is_page());
}

#[test]
fn no_stroke_is_lost_to_a_model_that_erases() {
    for (thick, ink_level, falloff) in
        [(2, 0.1, 0.0), (3, 0.3, 0.4), (5, 0.1, 0.4), (8, 0.2, 0.2), (12, 0.1, 0.0)]
    {
        let clean = digits(thick, ink_level);
        let sample = worn(&clean, falloff);
        let passage = passage(&sample).unwrap();
        let input = passage.input();
        let (result, report) = passage.restore(&sample, &eraser(&input), 1.0, Depth::U8);
        let kept = ink(&clean, &result);
        assert!(kept > 0.97, "{thick} {ink_level} {falloff}: {kept}, {report:?}");
        assert!(report.put_back > 0.9 && report.kept > 0.97, "{report:?}");
    }
}

#[test]
fn thick_strokes_are_brought_to_what_the_model_knows() {
    let sample = worn(&digits(8, 0.1), 0.0);
    let input = passage(&sample).unwrap().input();
    let (_, height, _) = input.shape().extents();
    assert!((SIDE / 5..SIDE / 3).contains(&height), "{height}");
    let thin = worn(&digits(3, 0.1), 0.0);
    assert_eq!(passage(&thin).unwrap().input().shape(), thin.shape());
}

#[test]
fn a_model_that_changes_nothing_gives_white_paper_and_sharp_strokes() {
    let clean = digits(8, 0.1);
    let sample = worn(&clean, 0.4);
    let passage = passage(&sample).unwrap();
    let input = passage.input();
    let (result, _) = passage.restore(&sample, &input, 1.0, Depth::U8);
    let error =
        result.data().iter().zip(&clean).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / clean.len() as f32;
    assert!(error.sqrt() < 0.06, "{}", error.sqrt());
    // The edge stays as steep: one pixel from ink to paper.
    let row = 8 * 2 + 10;
    let steps =
        (20..SIDE - 20).map(|x| (result.data()[row * SIDE + x + 1] - result.data()[row * SIDE + x]).abs());
    assert!(steps.fold(0.0, f32::max) > 0.7);
}

#[test]
fn what_needs_no_cleaning_is_left_alone() {
    assert_eq!(passage(&gray(digits(3, 0.1))).unwrap_err(), Unchanged::Clean);
    let yellowed = digits(3, 0.1).iter().map(|v| 0.8 * v).collect();
    assert_eq!(passage(&gray(yellowed)).unwrap_err(), Unchanged::Clean);
    for level in [0.0, 0.5, 1.0] {
        assert_eq!(passage(&gray(vec![level; SIDE * SIDE])).unwrap_err(), Unchanged::Empty, "{level}");
    }
    let mut rng = Rng::new(2, Purpose::Evaluate, 0);
    let noise = gray((0..SIDE * SIDE).map(|_| rng.uniform()).collect());
    assert_eq!(passage(&noise).unwrap_err(), Unchanged::NoPage);
}

#[test]
fn one_stroke_on_a_page_stays() {
    let mut clean = vec![1.0; SIDE * SIDE];
    (100..104).for_each(|y| clean[y * SIDE + 50..][..200].fill(0.1));
    let sample = worn(&clean, 0.2);
    match passage(&sample) {
        Ok(passage) => {
            let input = passage.input();
            let (result, _) = passage.restore(&sample, &eraser(&input), 1.0, Depth::U8);
            assert!(ink(&clean, &result) > 0.97);
        }
        Err(reason) => assert!(matches!(reason, Unchanged::Empty | Unchanged::NoPage), "{reason:?}"),
    }
}

#[test]
fn light_on_dark_is_cleaned_as_dark_on_light_and_comes_back_light_on_dark() {
    let clean = digits(3, 0.1);
    let turned = |sample: &Sample| gray(sample.data().iter().map(|v| 1.0 - v).collect());
    let sample = turned(&worn(&clean, 0.2));
    let look = Look::of(&sample).unwrap();
    assert!(look.is_inverted && look.is_page());
    let [erased, cleaned] = [true, false].map(|is_erased| {
        let passage = passage(&sample).unwrap();
        let input = passage.input();
        let clean = if is_erased { eraser(&input) } else { input };
        passage.restore(&sample, &clean, 1.0, Depth::U8).0
    });
    assert!(ink(&clean, &turned(&erased)) > 0.97);
    let result = cleaned;
    let dark = result.data()[SIDE * SIDE - 10];
    assert!(dark < 0.05, "{dark}");
}

#[test]
fn coloured_ink_keeps_its_colour_and_paper_becomes_white() {
    let clean = digits(5, 0.1);
    let mut rng = Rng::new(3, Purpose::Evaluate, 0);
    // Yellow paper, darker to the right; the lower half is written in blue.
    let mut planes = Vec::new();
    for (paper, blue) in [(0.95, 0.1), (0.9, 0.2), (0.7, 0.6)] {
        for (i, v) in clean.iter().enumerate() {
            let ink = if i < SIDE * SIDE / 2 { 0.1 } else { blue };
            let share = (1.0 - v) / 0.9;
            let light = 1.0 - 0.3 * (i % SIDE) as f32 / SIDE as f32;
            planes.push(light * (paper * (1.0 - share) + ink * share) + 0.01 * rng.normal());
        }
    }
    let bytes = planes.iter().map(|v: &f32| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect();
    let sample = Sample::from_bytes(Shape::image(3, SIDE, SIDE), bytes).unwrap();
    let passage = passage(&sample).unwrap();
    let input = passage.input();
    assert_eq!(input.shape().channels(), 1);
    let (result, _) = passage.restore(&sample, &input, 1.0, Depth::U8);
    let mean = |channel: usize, is_ink: bool| {
        let from = SIDE * SIDE / 2 + 20 * SIDE;
        let plane = &result.data()[channel * SIDE * SIDE..][..SIDE * SIDE];
        let of: Vec<f32> =
            (from..SIDE * SIDE).filter(|&i| (clean[i] < 0.5) == is_ink).map(|i| plane[i]).collect();
        of.iter().sum::<f32>() / of.len() as f32
    };
    assert!((0..3).all(|c| mean(c, false) > 0.97), "paper {:?}", [0, 1, 2].map(|c| mean(c, false)));
    assert!(mean(2, true) > mean(0, true) + 0.3, "ink {:?}", [0, 1, 2].map(|c| mean(c, true)));
}

#[test]
fn strength_blends_with_the_page() {
    let sample = worn(&digits(3, 0.1), 0.2);
    let passage = passage(&sample).unwrap();
    let input = passage.input();
    let (result, _) = passage.restore(&sample, &eraser(&input), 0.0, Depth::U8);
    assert_eq!(result, sample);
}

#[test]
fn a_picture_in_a_page_stays_as_it_is() {
    let mut rng = Rng::new(3, Purpose::Evaluate, 0);
    let mut page = digits(3, 0.1);
    // Grained waves of all tones, about the middle of the page.
    let (top, left, side) = (120, 144, 168);
    for (y, x) in (0..side * side).map(|i| (i / side, i % side)) {
        let tone = 0.35 + 0.2 * (x as f32 / 9.0).sin() + 0.15 * (y as f32 / 7.0).cos() + 0.03 * rng.normal();
        page[(top + y) * SIDE + left + x] = tone.clamp(0.0, 1.0);
    }
    let sample = worn(&page, 0.1);
    let passage = passage(&sample).unwrap();
    let input = passage.input();
    // Ink stays, all lighter becomes paper: the picture too.
    let ink = input.data().iter().map(|v| if *v < 0.3 { *v } else { 1.0 }).collect();
    let clean = Sample::new(input.shape(), ink).unwrap();
    let (result, report) = passage.restore(&sample, &clean, 1.0, Depth::U8);
    assert!((0.1..0.3).contains(&report.pictures), "{report:?}");
    let (before, after) = (sample.data(), result.data());
    for (y, x) in (24..side - 24).flat_map(|y| (24..side - 24).map(move |x| (top + y, left + x))) {
        assert_eq!(after[y * SIDE + x], before[y * SIDE + x], "{y}, {x}");
    }
    // The paper beside it is cleaned.
    assert!((0..SIDE).all(|y| after[y * SIDE + 2] > 0.97 || page[y * SIDE + 2] < 0.5));
}
