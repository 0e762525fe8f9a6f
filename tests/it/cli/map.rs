//! `limpid map`, and maps kept at training.

use serde_json::Value;

use super::*;

/// `small.npy`: 200 images of 16x16 pixels of two kinds; `labels.txt` names the kinds.
fn small(desk: &Desk) {
    let value = |at: usize| {
        let (i, y, x) = (at / 256, at / 16 % 16, at % 16);
        let across = if i.is_multiple_of(2) { x } else { y };
        0.5 + 0.4 * (across as f32 * 0.8 + i as f32 * 0.37).sin()
    };
    let data = (0..200 * 256).map(value).collect();
    desk.write("small.npy", npy(&[200, 16, 16], data, DType::F32));
    let labels: String = (0..200).map(|i| format!("{}\n", i % 2)).collect();
    desk.write("labels.txt", labels);
}

#[test]
fn one_command_trains_a_plane_and_keeps_its_map() {
    let desk = Desk::new();
    small(&desk);
    desk.ok("train --name plane --samples small.npy --labels labels.txt --latent-numbers 2 --map --steps 3 \
         --models models --promote always");
    let config: Value = serde_json::from_str(&desk.ok("models show plane --json --models models")).unwrap();
    assert_eq!(config["model"]["family"]["compact"]["latent"], 2);
    let table = desk.ok("map plane --models models");
    assert!(table.contains("latent plane") && table.contains("samples"), "{table}");
    assert!(table.contains("-NN accuracy") && table.contains("trustworthiness"), "{table}");
    desk.ok("map plane@1 --models models -o plane.json");
    let map: Value = serde_json::from_slice(&desk.read("plane.json")).unwrap();
    assert_eq!(map["projections"][0]["kind"], "latent");
    let first = &map["points"][0];
    let number: usize = first["name"].as_str().unwrap().rsplit_once('#').unwrap().1.parse().unwrap();
    assert_eq!(first["label"], (number % 2).to_string());
    assert_eq!(first["latent"], map["projections"][0]["places"][0]);
    assert_eq!(map["digest"], config["weights"]["sha256"]);

    desk.ok("map plane --models models -o plane.svg");
    desk.ok("map plane --models models -o plane.png");
    assert!(desk.read("plane.svg").starts_with(b"<svg "));
    assert!(limpid::codec::read_image(&desk.read("plane.png"), None, &Default::default()).is_ok());
}

#[test]
fn a_map_of_other_samples_is_made_and_kept() {
    let desk = Desk::new();
    desk.model();
    let said = desk.run("map tiny --models models");
    assert!(said.code == 1 && said.err.contains("limpid train --map"), "{}", said.err);
    for i in 0..5 {
        desk.image(&format!("kinds/a/{i}.png"), i, 24, 32);
        desk.image(&format!("kinds/b/{i}.png"), i + 20, 32, 24);
    }
    let table = desk.ok("map tiny --samples kinds --keep --models models");
    assert!(table.contains("10 points") && table.contains("principal components of the latents"), "{table}");
    assert!(!table.contains("of the samples"), "sizes differ: {table}");
    assert_eq!(desk.ok("map tiny --models models"), table);
    desk.ok("map tiny --samples kinds --models models -o again.json");
    assert_eq!(desk.read("again.json"), desk.read("models/tiny/1/map.json"));
    let map: Value = serde_json::from_slice(&desk.read("again.json")).unwrap();
    assert_eq!((&map["points"][0]["label"], &map["points"][9]["label"]), (&"a".into(), &"b".into()));
}

#[test]
fn too_few_samples_and_wrong_flags_are_refused() {
    let desk = Desk::new();
    desk.model();
    for (line, code, hint) in [
        (
            "train --name few --samples clean --steps 2 --map --models models",
            1,
            "map: a map shows 3 held-out",
        ),
        ("train --name few --samples clean --steps 2 --labels x --models models", 2, "--map"),
        ("map tiny --samples clean/01.png --models models", 1, "3 samples or more, got 1"),
        ("map tiny --samples clean --models models -o map.gif", 2, ".svg, .png or .json"),
        ("map other --models models", 1, "there is no model other"),
        ("map tiny --keep --models models", 2, "--samples"),
    ] {
        let said = desk.run(line);
        assert_eq!(said.code, code, "{line}: {}", said.err);
        assert!(said.err.contains(hint), "{line}: {}", said.err);
    }
}
