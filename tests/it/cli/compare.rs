//! `limpid compare`, `limpid nearest`, and predictions on the command line.

use serde_json::Value;

use super::*;

/// The bundled models, to read.
const BUNDLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");

/// `noisy/` and `clean/`, with four float images under white noise of sigma 25.
fn pairs(desk: &Desk) {
    for i in 0..4 {
        let clean = image(i, 72, 80);
        let mut noise = vec![0.0; 72 * 80];
        limpid::rng::Rng::new(9, limpid::rng::Purpose::Evaluate, i as u64).fill_normal(&mut noise);
        let noisy = clean.data().iter().zip(&noise).map(|(v, n)| v + 25.0 / 255.0 * n).collect();
        desk.write(&format!("pairs/clean/{i}.npy"), npy(&[72, 80], clean.data().to_vec(), DType::F32));
        desk.write(&format!("pairs/noisy/{i}.npy"), npy(&[72, 80], noisy, DType::F32));
    }
}

#[test]
fn models_are_ranked_over_a_folder() {
    let desk = Desk::new();
    pairs(&desk);
    let line = format!("--models {BUNDLED} --model photo-gray --model document --strength 0.5,1 --json");
    for (paths, by) in [("pairs", "truth"), ("pairs/noisy --sigma 25", "prediction")] {
        let said = desk.ok(&format!("compare {paths} {line}"));
        let report: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(report["ranked_by"], by);
        let all = report["candidates"].as_array().unwrap();
        assert_eq!(
            (all.len(), &all[0]["model"], &all[0]["strength"]),
            (5, &"photo-gray@6".into(), &1.0.into())
        );
        assert_eq!(all[0]["best_of"], 4, "{said}");
        let input = all.iter().find(|one| one["model"].is_null()).unwrap()["db"].as_f64().unwrap();
        assert!((input - 20.17).abs() < 0.2, "sigma 25 is 20.17 dB: {input}");
        assert_eq!(report["samples"].as_array().unwrap().len(), 4);
    }
    let table = desk.ok(&format!("compare pairs/noisy/0.npy --models {BUNDLED} --model photo-gray"));
    assert!(table.contains("the input as it is") && table.contains("predicted dB"), "{table}");
    let said = desk.run(&format!("compare pairs --models {BUNDLED} --model photo-gray --strength 2"));
    assert!(said.code == 2 && said.err.contains("expected 0 to 1"), "{}", said.err);
}

#[test]
fn a_prediction_is_printed_and_known_noise_needs_it() {
    let desk = Desk::new();
    pairs(&desk);
    let line = format!("denoise pairs/noisy/0.npy -o out.npy --models {BUNDLED} --model photo-gray");
    let said = desk.run(&format!("{line} --predict --sigma 25 -v"));
    assert!(said.err.contains("predicted PSNR") && said.err.contains("residual correlation"), "{}", said.err);
    let said = desk.run(&format!("{line} --sigma 25"));
    assert!(said.code == 2 && said.err.contains("--predict"), "{}", said.err);
}

#[test]
fn a_model_of_yours_is_calibrated_and_a_bundled_one_is_not() {
    let desk = Desk::new();
    desk.model();
    let table = desk.ok("models calibrate tiny --samples clean --sigma 15,40 --models models");
    assert_eq!(table.lines().count(), 4, "{table}");
    let config: Value = serde_json::from_str(&desk.ok("models show tiny --json --models models")).unwrap();
    assert_eq!(config["prediction"]["sigmas"], serde_json::json!([15.0, 40.0]));
    let noisy = image(3, 64, 64);
    let mut noise = vec![0.0; 64 * 64];
    limpid::rng::Rng::new(9, limpid::rng::Purpose::Evaluate, 1).fill_normal(&mut noise);
    let noisy = noisy.data().iter().zip(&noise).map(|(v, n)| v + 0.1 * n).collect();
    desk.write("noisy.npy", npy(&[64, 64], noisy, DType::F32));
    let said = desk.run("denoise noisy.npy -o out.npy --model tiny --models models --predict -v");
    assert!(said.err.contains("in four of five images"), "{}", said.err);
    let said = desk.run("models calibrate tiny --samples clean/01.png --models models");
    assert!(said.code == 1 && said.err.contains("at least 10"), "{}", said.err);
    let said = desk.run(&format!("models calibrate photo-gray --samples clean --models {BUNDLED}"));
    assert!(said.code == 1 && said.err.contains("bundled"), "{}", said.err);
}

#[test]
fn the_nearest_of_a_folder_and_of_an_index() {
    let desk = Desk::new();
    desk.model();
    let line = "--model tiny";
    assert_eq!(desk.run(&format!("nearest {line}")).code, 2);
    let found = desk.ok(
        "nearest tiny clean/07.png --among clean -k 2 --models models --data-dir kept --index all --json",
    );
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(
        (&found["searched"], &found["results"][0]["neighbors"][0]["name"]),
        (&12.into(), &"07".into())
    );
    assert_eq!(found["results"][0]["neighbors"][0]["distance"], 0.0);
    let table = desk.ok("nearest tiny clean/03.png --index all -k 1 --models models --data-dir kept");
    assert!(table.contains("0.0000  03"), "{table}");
    desk.ok("train --training-config tiny.json --samples clean --models models --seed 5");
    let said = desk.run("nearest tiny@2 clean/03.png --index all --models models --data-dir kept");
    assert!(said.code == 1 && said.err.contains("was made by weights of SHA-256"), "{}", said.err);
    let said = desk.run("nearest tiny clean/03.png --index none --models models --data-dir kept");
    assert!(said.code == 1 && said.err.contains("has no index none"), "{}", said.err);
}
