//! `limpid evaluate`.

use serde_json::Value;

use super::*;

#[test]
fn scores_are_the_same_in_every_run_and_follow_the_protocol() {
    let desk = Desk::new();
    desk.model();
    let line = "evaluate clean --model tiny --models models --sigma 25.5,10 --json --csv";
    let first: Value = serde_json::from_str(&desk.ok(&format!("{line} a.csv"))).unwrap();
    desk.ok(&format!("{line} b.csv"));
    assert_eq!(desk.read("a.csv"), desk.read("b.csv"));

    assert_eq!((&first["model"], &first["samples"]), (&"tiny@1".into(), &12.into()));
    assert_eq!(first["full"], "as served");
    let noise = &first["noises"][0];
    // sigma 25.5 on the 0..255 scale, neither clipped nor rounded, is 20 dB.
    let noisy = noise["summary"]["noisy"]["db"]["mean"].as_f64().unwrap();
    assert!((noisy - 20.0).abs() < 0.1, "{noisy}");
    for way in ["dct", "strict", "full"] {
        assert!(noise["summary"][way]["db"]["mean"].is_f64(), "{way}: {noise}");
    }
    assert!(noise["latent_numbers"].as_u64() < noise["numbers"].as_u64());
    assert_eq!(desk.read("a.csv").iter().filter(|b| **b == b'\n').count(), 1 + 2 * 12);
}

#[test]
fn the_noise_of_a_sample_does_not_depend_on_the_others() {
    let desk = Desk::new();
    desk.model();
    desk.ok("evaluate clean --model tiny --models models --sigma 25 --no-baseline --csv all.csv");
    desk.ok("evaluate clean/07.png --model tiny --models models --sigma 25 --no-baseline --csv one.csv");
    let line = |file: &str| {
        let text = String::from_utf8(desk.read(file)).unwrap();
        text.lines().find(|line| line.contains(",07,")).unwrap().to_owned()
    };
    assert_eq!(line("all.csv"), line("one.csv"));
}

#[test]
fn pairs_are_scored_with_their_own_noise() {
    let desk = Desk::new();
    desk.model();
    for i in 0..3 {
        let clean = image(i, 32, 32);
        let noisy = clean.data().iter().enumerate().map(|(i, v)| v + if i % 2 == 0 { 0.1 } else { -0.1 });
        let noisy = Sample::new(clean.shape(), noisy.collect()).unwrap();
        desk.write(&format!("pairs/clean/{i}.png"), image_file("a.png", &clean));
        desk.write(&format!("pairs/noisy/{i}.png"), image_file("a.png", &noisy));
    }
    let table = desk.ok("evaluate pairs --model tiny --models models --beside");
    let noisy = table.lines().find(|line| line.contains("noisy input")).unwrap();
    assert!(noisy.contains(" 20.0") || noisy.contains(" 19.9"), "{table}");
    assert!(table.contains("PCA, as many numbers") && table.contains("DCT baseline"), "{table}");
    let said = desk.run("evaluate pairs --model tiny --models models --sigma 25");
    assert!(said.code == 2 && said.err.contains("pairs"), "{}", said.err);
}

#[test]
fn samples_that_do_not_fit_are_named() {
    let desk = Desk::new();
    desk.model();
    desk.write("empty/notes.txt", "nothing");
    let said = desk.run("evaluate empty --model tiny --models models");
    assert!(said.code == 1 && said.err.contains("no sample that can be used"), "{}", said.err);
    let said = desk.run("evaluate clean --model tiny --models models --sigma -1");
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn labels_and_a_sheet_of_pictures() {
    let desk = Desk::new();
    desk.model();
    desk.ok("evaluate clean --model tiny --models models --sigma 25 --no-baseline --sheet sheet.png");
    let sheet = limpid::codec::read_image(&desk.read("sheet.png"), None, &Default::default()).unwrap();
    // Four pictures of 160 pixels side by side, six below each other, 4 pixels between.
    assert_eq!(sheet.sample.shape(), limpid::sample::Shape::image(1, 980, 652));
    desk.write("labels.txt", "1\n2\n");
    let said = desk.run("evaluate clean --model tiny --models models --labels labels.txt");
    assert!(said.code == 2 && said.err.contains("2 labels for 12 samples"), "{}", said.err);
}
