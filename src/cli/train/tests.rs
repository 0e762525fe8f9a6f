//! Tests of the flags of training.

use clap::Parser as _;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn config(line: &[&str]) -> train::Config {
    let line = ["limpid"].iter().chain(line);
    Line::try_parse_from(line).unwrap().args.config().unwrap()
}

#[test]
fn flags_become_members_of_the_config() {
    let config = config(&[
        "--name",
        "a",
        "--samples",
        "s",
        "--steps",
        "7",
        "--seed",
        "3",
        "--family",
        "compact",
        "--latent-numbers",
        "9",
        "--corruption",
        r#"{"gaussian":{"sigma":25}}"#,
        "--promote",
        "never",
    ]);
    assert_eq!((config.steps, config.seed, config.promote), (Some(7), 3, Promote::Never));
    assert_eq!(config.family, Some(FamilyChoice::Name(FamilyName::Compact)));
    assert_eq!(config.latent.unwrap().numbers, Some(9));
    assert_eq!(config.corruption, Some(Corruption::white(25.0)));
}

#[test]
fn values_out_of_range_are_faults_of_the_command_line_and_a_place_to_write_is_looked_for_first() {
    let run = |line: &[&str]| {
        let line = ["limpid", "--name", "a", "--samples", "none"].iter().chain(line);
        let mut config = Config::default();
        config.models.data_dir = "".into();
        super::run(Line::try_parse_from(line).unwrap().args, &config).unwrap_err()
    };
    assert!(matches!(run(&["--steps", "0"]), Error::Usage(_)));
    assert!(matches!(run(&["--steps", "1"]), Error::Registry(Missing::ReadOnly)));
}

#[test]
fn why_a_version_does_not_serve_is_said() {
    let said = |promote, promoted, kept_back: Option<&str>| {
        let (model, notes, scores) = ("a".parse().unwrap(), vec![], serde_json::Value::Null);
        let kept_back = kept_back.map(str::to_owned);
        verdict(&Outcome { model, version: 2, promoted, kept_back, scores, notes }, promote)
    };
    assert!(said(Promote::Never, false, None).contains("not promoted, as asked"));
    assert!(said(Promote::IfBetter, true, None).contains("a now means version 2"));
    let refused = said(Promote::IfBetter, false, Some("it does not beat a@1"));
    assert!(refused.starts_with("kept back because it does not beat a@1\n"), "{refused}");
    assert!(refused.contains("limpid models default a 2"), "{refused}");
}

#[test]
fn flags_win_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    fs::write(&file, r#"{"name": "from-file", "steps": 5, "seed": 8, "batch": 4}"#).unwrap();
    let file = file.to_str().unwrap();
    let config = config(&["--training-config", file, "--samples", "s", "--minutes", "2", "--batch", "2"]);
    assert_eq!((config.name.as_str(), config.steps, config.minutes), ("from-file", None, Some(2.0)));
    assert_eq!((config.seed, config.batch), (8, Some(2)));
}

#[test]
fn flags_that_exclude_each_other_or_are_not_known_are_refused() {
    let refused = |line: &[&str]| {
        let line = ["limpid", "--samples", "s", "--name", "a"].iter().chain(line);
        Line::try_parse_from(line).unwrap_err().to_string()
    };
    assert!(refused(&["--steps", "1", "--minutes", "1"]).contains("cannot be used with"));
    assert!(refused(&["--family", "pyramids"]).contains("pyramid"));
    assert!(refused(&["--channels", "2"]).contains("possible values: 1, 3"));
    assert!(refused(&["--latent-channels", "1,2"]).contains("1,2,8"));
    assert!(refused(&["--corruption", "{"]).contains("EOF"));
}
