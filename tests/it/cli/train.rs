//! `limpid train`.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use serde_json::Value;

use super::*;

#[test]
fn a_trained_model_is_published_with_its_card() {
    let desk = Desk::new();
    desk.samples();
    desk.write("tiny.json", tiny("tiny", 8));
    desk.write("clean/broken.png", "no image");
    let mut command =
        desk.command("train --training-config tiny.json --samples clean --models models --json");
    let said: Said = command.args(["--data", "waves, drawn for this test, CC0"]).output().unwrap().into();
    assert_eq!(said.code, 0, "{}", said.err);

    let outcome: Value = serde_json::from_slice(&said.out).unwrap();
    assert_eq!(
        (&outcome["model"], &outcome["version"], &outcome["promoted"]),
        (&"tiny".into(), &1.into(), &true.into())
    );
    assert_eq!(outcome["folder"], "models/tiny/1");
    let card = String::from_utf8(desk.read("models/tiny/1/README.md")).unwrap();
    assert!(card.contains("waves, drawn for this test, CC0"), "{card}");
    assert!(
        card.contains(
            "`limpid train --training-config tiny.json --samples clean --models models --json --data 'waves,"
        ),
        "{card}"
    );
    assert!(said.err.contains("broken.png"), "{}", said.err);
    assert!(!desk.path("data/checkpoints/tiny.safetensors").exists(), "a finished run leaves no checkpoint");
}

#[test]
fn progress_is_json_where_standard_error_is_no_terminal() {
    let desk = Desk::new();
    desk.samples();
    desk.write("tiny.json", tiny("tiny", 8));
    let said = desk.run("train --training-config tiny.json --samples clean --models models");
    let mut lines = said.err.lines().filter(|line| line.starts_with('{'));
    let last: Value = serde_json::from_str(lines.next_back().unwrap()).unwrap();
    assert_eq!((&last["step"], &last["total_steps"]), (&8.into(), &8.into()));
    assert!(last["psnr_db"].as_f64().is_some_and(|db| db > 0.0), "{last}");
}

#[test]
fn without_a_folder_of_models_the_result_goes_to_the_data_folder() {
    let desk = Desk::new();
    desk.samples();
    desk.write("tiny.json", tiny("tiny", 2));
    desk.ok("train --training-config tiny.json --samples clean --data-dir kept");
    assert!(desk.path("kept/models/tiny/1/model.safetensors").exists());
    desk.ok("models show tiny --data-dir kept");
}

#[test]
fn a_plan_says_what_would_be_done_and_writes_nothing() {
    let desk = Desk::new();
    desk.samples();
    for flag in ["--plan", "--dry-run"] {
        let said = desk.ok(&format!("train --name mine --samples clean --steps 40 {flag} --data-dir kept"));
        for part in [
            "would train mine",
            "12 image(s) of 1 channel(s)",
            "scheme: clean",
            "40 steps of 16 crops",
            "better: ",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!desk.path("kept").exists() && !desk.path("models").exists());
    }
    let said = desk.ok("train --name mine --samples clean --minutes 3 --plan --json --data-dir kept");
    let plan: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&plan["scheme"], &plan["minutes"]), (&"clean".into(), &3.0.into()));
    assert!(plan["steps"].as_u64().is_some_and(|steps| steps > 10), "{plan}");
    assert!(plan["noise"]["level"].as_f64().is_some_and(|level| level < 5.0), "{plan}");
}

#[test]
fn the_folder_of_the_bundled_models_is_not_written_to() {
    let desk = Desk::new();
    desk.samples();
    for name in ["photo-gray", "photo-color"] {
        std::fs::create_dir_all(desk.path("shipped").join(name)).unwrap();
    }
    desk.write("tiny.json", tiny("tiny", 2));
    let said = desk.ok("train --training-config tiny.json --samples clean --models shipped --data-dir kept");
    assert!(said.contains("tiny@1 is in kept/models/tiny/1"), "{said}");
    assert!(!desk.path("shipped/tiny").exists());
}

#[test]
fn training_goes_on_from_a_base() {
    let desk = Desk::new();
    desk.model();
    let line = "train --name mine --base tiny --samples clean --samples clean/01.png --steps 2 --batch 2 --crop 32 --models models";
    let said = desk.ok(line);
    assert!(said.contains("mine@1 is in models/mine/1"), "{said}");
}

#[test]
fn a_run_that_was_stopped_and_resumed_gives_the_weights_of_one_that_was_not() {
    let desk = Desk::new();
    desk.samples();
    // Some seconds: the signal must come before the end, also on a fast machine that is busy.
    desk.write("tiny.json", tiny("tiny", 5000));
    desk.ok("train --training-config tiny.json --samples clean --models straight");

    let line = "train --training-config tiny.json --samples clean --models resumed --checkpoint state/run.safetensors";
    let mut child = desk.command(line).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    err.find(|line| line.as_ref().unwrap().contains("\"step\"")).expect("a first step").unwrap();
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let rest: Vec<String> = err.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let last = rest.last().unwrap();
    assert!(last.contains("--resume") && last.contains("state/run.safetensors"), "{last}");
    assert!(!desk.path("resumed/tiny/1").exists(), "a stopped run publishes nothing");

    desk.ok(&format!("{line} --resume"));
    let weights = |models: &str| desk.read(&format!("{models}/tiny/1/model.safetensors"));
    assert_eq!(weights("straight"), weights("resumed"));
}

#[test]
fn a_checkpoint_of_another_run_is_not_gone_on_from() {
    let desk = Desk::new();
    desk.samples();
    desk.write("tiny.json", tiny("tiny", 2));
    desk.write("other.safetensors", "no checkpoint");
    let said = desk.run("train --training-config tiny.json --samples clean --models m --checkpoint other.safetensors --resume");
    assert_eq!(said.code, 1);
    assert!(said.err.lines().last().unwrap().contains("other.safetensors"), "{}", said.err);
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    let desk = Desk::new();
    desk.samples();
    desk.write("unreadable/a.png", "no image");
    desk.image("uneven/noisy/a.png", 1, 40, 40);
    desk.image("uneven/clean/a.png", 1, 40, 48);
    for (line, code, hint) in [
        ("train --samples clean", 2, "--name"),
        ("train --name A --samples clean", 2, "not a model name"),
        ("train --name a --samples clean --steps 0", 2, "steps: expected 1..=10000000, got 0"),
        ("train --name a --samples clean --crop 20", 2, "crop: expected a multiple of 8"),
        ("train --name a --samples none", 1, "none"),
        ("train --name a --samples clean --base none --models m", 1, "there is no model none"),
        ("train --name a --samples clean --family dense --steps 1", 1, "family: "),
        ("train --name a --samples clean --scheme pairs --models m", 1, "0 of 12 samples have a noisy twin"),
        ("train --name a --samples unreadable --models m", 1, "a.png"),
        ("train --name a --samples uneven --models m --steps 2", 1, "both must have one shape"),
    ] {
        let said = desk.run(line);
        assert_eq!(said.code, code, "{line}: {}", said.err);
        assert!(said.err.contains(hint), "{line}: {}", said.err);
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_was_not_built_in_is_refused_by_its_feature() {
    let desk = Desk::new();
    desk.samples();
    let said = desk.run("train --name a --samples clean --steps 2 --device cuda --models m");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("cargo feature `cuda`"), "{}", said.err);
}

#[test]
fn the_scheme_is_said_with_its_reason_before_the_first_step() {
    let desk = Desk::new();
    desk.samples();
    desk.write("tiny.json", tiny("tiny", 2));
    let said = desk.run("train --training-config tiny.json --samples clean --models models");
    let scheme = said.err.lines().position(|line| line.starts_with("scheme clean: 12 samples")).unwrap();
    let step = said.err.lines().position(|line| line.contains("\"step\"")).unwrap();
    assert!(scheme < step, "{}", said.err);
}
