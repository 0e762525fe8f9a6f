//! `limpid models`, and the help of every command.

use serde_json::Value;

use super::*;

#[test]
fn versions_are_listed_promoted_and_removed() {
    let desk = Desk::new();
    desk.model();
    desk.ok("train --training-config tiny.json --samples clean --models models");
    let list = |desk: &Desk| -> Value {
        let json: Value = serde_json::from_str(&desk.ok("models list --json --models models")).unwrap();
        json["models"][0].clone()
    };
    assert_eq!((&list(&desk)["default"], &list(&desk)["versions"]), (&2.into(), &serde_json::json!([1, 2])));
    desk.ok("models default tiny 1 --models models");
    assert_eq!(list(&desk)["default"], 1);
    assert!(desk.ok("models list --models models").contains("1* 2"));
    desk.ok("models remove tiny@1 --models models");
    assert_eq!((&list(&desk)["default"], &list(&desk)["versions"]), (&2.into(), &serde_json::json!([2])));
}

#[test]
fn a_model_shows_its_card_and_its_config() {
    let desk = Desk::new();
    desk.model();
    assert!(desk.ok("models show tiny --models models").contains("# tiny, version 1"));
    let config: Value = serde_json::from_str(&desk.ok("models show tiny@1 --json --models models")).unwrap();
    assert_eq!(config["model"]["family"]["pyramid"]["widths"], serde_json::json!([8, 8, 8]));
}

#[test]
fn what_is_not_there_cannot_be_shown_promoted_or_removed() {
    let desk = Desk::new();
    desk.model();
    for (line, code, hint) in [
        ("models show other --models models", 1, "there is no model other; there are tiny"),
        ("models default tiny 9 --models models", 1, "no version 9"),
        ("models remove tiny --models models", 2, "tiny@VERSION"),
        ("models remove tiny@9 --models models", 1, "no version 9"),
    ] {
        let said = desk.run(line);
        assert_eq!(said.code, code, "{line}: {}", said.err);
        assert!(said.err.contains(hint), "{line}: {}", said.err);
    }
}

#[test]
fn the_help_of_every_command_teaches_by_example() {
    let desk = Desk::new();
    for command in ["train", "denoise", "encode", "decode", "evaluate", "models", "map", "compare", "nearest"]
    {
        let help = desk.ok(&format!("{command} --help"));
        let examples = help.split("Examples:").nth(1).unwrap_or_default();
        assert!(examples.matches(&format!("limpid {command}")).count() >= 2, "{command}: {help}");
    }
}
