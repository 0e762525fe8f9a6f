//! Data as people send them by mistake: each is refused, or said, before any training.

use limpid::codec::Wave;

use super::*;

/// What the plan of a training says of the samples in `folder`.
fn plan(desk: &Desk, config: &str, folder: &str) -> Said {
    desk.write("config.json", config);
    let said = desk.run(&format!(
        "train --training-config config.json --samples {folder} --steps 1 --plan --data-dir kept"
    ));
    assert!(!desk.path("kept").exists(), "a plan leaves nothing behind");
    said
}

#[track_caller]
fn assert_said(desk: &Desk, config: &str, folder: &str, note: &str) {
    let said = plan(desk, config, folder);
    assert!(said.code == 0 && said.text().contains(note), "{folder}: {} {}", said.text(), said.err);
}

#[track_caller]
fn assert_refused(desk: &Desk, config: &str, folder: &str, reason: &str) {
    let said = plan(desk, config, folder);
    assert!(said.code == 1 && said.err.contains(reason), "{folder}: {} {}", said.text(), said.err);
}

fn lines(of: impl Fn(usize) -> String) -> String {
    (0..200).map(|t| of(t) + "\n").collect()
}

#[test]
fn images_that_teach_nothing_or_the_wrong_thing_are_said() {
    let (desk, config) = (Desk::new(), tiny("t", 1));
    (0..2).for_each(|i| desk.image(&format!("two/{i}.png"), i, 40, 48));
    assert_said(&desk, &config, "two", "only 2 sample(s)");
    for i in 0..6 {
        let flat = Sample::new(Shape::image(1, 40, 48), vec![0.2 + 0.1 * i as f32; 1920]).unwrap();
        desk.write(&format!("flat/{i}.png"), image_file("a.png", &flat));
    }
    assert_refused(&desk, &config, "flat", "all 6 are constant");
    (0..9).for_each(|i| desk.image(&format!("doubles/{i}.png"), i.min(5), 40, 48));
    assert_said(&desk, &config, "doubles", "3 clean sample(s) occur more than once");
    for i in 0..8 {
        let (clean, length) = (image(i, 80, 80), 80 * 80);
        let below = |at: usize| clean.data()[(at + length - 80) % length];
        let moved = Sample::new(clean.shape(), (0..length).map(below).collect()).unwrap();
        desk.write(&format!("apart/clean/{i}.png"), image_file("a.png", &clean));
        desk.write(&format!("apart/noisy/{i}.png"), image_file("a.png", &moved));
    }
    assert_said(
        &desk,
        &config,
        "apart",
        "8 of 8 pairs looked at lie apart: that of 0 by 1 down and 0 to the right",
    );
    desk.write("digits/labels-idx1-ubyte", [&[0, 0, 8, 1, 0, 0, 0, 9][..], &[7; 9]].concat());
    assert_refused(&desk, &config, "digits", "an idx file of labels, which are not samples");
}

#[test]
fn tables_that_are_not_what_they_seem_are_refused_or_said() {
    let desk = Desk::new();
    let family = serde_json::json!({ "signal": {
        "channels": 1, "widths": [8, 8, 8], "encoder_blocks": [0, 0, 0], "decoder_blocks": [0, 0, 0],
        "refiner_blocks": 0, "latent": [1, 1, 4],
    }});
    let config = serde_json::json!({"name": "t", "batch": 2, "crop": 64, "family": family}).to_string();
    let wave = |t: usize| 20.0 + (t as f32 / 7.0).sin();
    desk.write("ragged/a.csv", lines(|t| if t == 4 { "1;2;3".into() } else { format!("{t};{}", wave(t)) }));
    assert_refused(&desk, &config, "ragged", "line 5 has 3 fields, the rows before it 2");
    let comma = |t: usize| format!("{:.3}", wave(t)).replace('.', ",");
    desk.write("comma/a.csv", "zeit;temp\n".to_owned() + &lines(|t| format!("{t};{}", comma(t))));
    assert_said(&desk, &config, "comma", "signal of length 200 with 1 channel(s)");
    desk.write("unclear/a.csv", lines(|t| format!("{},{}", comma(t), comma(t + 9))));
    assert_refused(&desk, &config, "unclear", "commas seem to be both decimal commas and separators");
    let holed = |t: usize| if (50..60).contains(&t) { String::new() } else { wave(t).to_string() };
    desk.write("gaps/a.csv", "t;x\n".to_owned() + &lines(|t| format!("{t};{}", holed(t))));
    assert_said(&desk, &config, "gaps", "10 numbers are missing, in 1 sample(s)");
    let label = |t: usize| ((t * t * 40503) >> 7) % 10;
    desk.write("labels/y.csv", "label\n".to_owned() + &lines(|t| label(t).to_string()));
    assert_said(
        &desk,
        &config,
        "labels",
        "1 of 1 samples look like labels, as y: whole numbers of 10 values",
    );
    for (name, rate) in [("a", 8000), ("b", 16000), ("c", 8000)] {
        let sound = (0..4000).map(|t| 0.4 * (t as f32 * 700.0 / rate as f32).sin()).collect();
        let sound = Sample::new(Shape::Signal { channels: 1, length: 4000 }, sound).unwrap();
        let wave = Wave { rate, bits: 16, float: false };
        desk.write(&format!("rates/{name}.wav"), codec::write_wav(&sound, wave).unwrap());
    }
    assert_said(&desk, &config, "rates", "2 sampling rates (8000, 16000 Hz)");
}
