//! The configuration as a TOML file with the meaning of each value and the source of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use figment::value::{Dict, Value};

use super::Loaded;
use super::meaning::meanings;

/// Every setting, with its meaning above it and its origin behind it. The text can be used as a configuration file.
pub(super) fn print(loaded: &Loaded) -> String {
    let all: Dict = loaded.figment.extract().unwrap_or_default();
    let mut text = String::new();
    section(loaded, &meanings(), &all, "", &mut text);
    text
}

/// The plain settings of one section, then the sections within it.
fn section(loaded: &Loaded, meanings: &BTreeMap<String, String>, dict: &Dict, path: &str, text: &mut String) {
    let (inner, plain): (Vec<_>, Vec<_>) = dict.iter().partition(|(_, value)| value.as_dict().is_some());
    if !path.is_empty() && !plain.is_empty() {
        let _ = writeln!(text, "\n[{path}]");
    }
    for (name, value) in plain {
        let origin = loaded.figment.get_metadata(value.tag()).map_or("default", |m| m.name.as_ref());
        let origin = if origin == DEFAULTS { "default" } else { origin };
        let line = match written(value) {
            Some(value) => format!("{name} = {value}"),
            None => format!("# {name} is not set"),
        };
        let meaning = meanings.get(&key_of(path, name)).map(String::as_str).unwrap_or_default();
        wrapped(meaning).iter().for_each(|line| text.push_str(&format!("# {line}\n")));
        let _ = writeln!(text, "{line:<48} # {origin}");
    }
    for (name, value) in inner {
        let path = key_of(path, name);
        section(loaded, meanings, value.as_dict().expect("partitioned above"), &path, text);
    }
}

/// The key of a member of the section `path`.
fn key_of(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The lines of a text, each of at most [`WIDTH`] characters where its words allow it.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Characters of a line of comment.
const WIDTH: usize = 98;

/// What figment calls our defaults: the name of their type.
const DEFAULTS: &str = "limpid::cli::config::Config";

/// A value as TOML writes it; nothing for one that is not set.
pub(super) fn written(value: &Value) -> Option<String> {
    Some(match value {
        Value::Empty(..) => return None,
        Value::String(_, text) => toml::Value::from(text.as_str()).to_string(),
        Value::Char(_, c) => toml::Value::from(c.to_string()).to_string(),
        Value::Bool(_, is) => is.to_string(),
        Value::Num(_, number) => match (number.to_u128(), number.to_i128(), number.to_f64()) {
            (Some(n), ..) => n.to_string(),
            (_, Some(n), _) => n.to_string(),
            (.., n) => format!("{:?}", n.unwrap_or_default()),
        },
        Value::Array(_, items) => {
            format!("[{}]", items.iter().filter_map(written).collect::<Vec<_>>().join(", "))
        }
        Value::Dict(_, dict) => {
            let pairs = dict.iter().filter_map(|(key, value)| Some(format!("{key} = {}", written(value)?)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    })
}
