//! Formatting of the configuration as a TOML file with the origin of each value.

use std::fmt::Write as _;

use figment::value::{Dict, Value};

use super::Loaded;

/// Returns every setting with its origin as a comment. The text is a valid configuration file.
pub(super) fn print(loaded: &Loaded) -> String {
    let all: Dict = loaded.figment.extract().unwrap_or_default();
    let mut text = String::new();
    section(loaded, &all, "", &mut text);
    text
}

/// Writes the plain settings of one section, then its subsections.
fn section(loaded: &Loaded, dict: &Dict, path: &str, text: &mut String) {
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
        let _ = writeln!(text, "{line:<48} # {origin}");
    }
    for (name, value) in inner {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        section(loaded, value.as_dict().expect("partitioned above"), &path, text);
    }
}

/// Name that figment gives to our defaults: the name of their type.
const DEFAULTS: &str = "limpid::cli::config::Config";

/// Formats a value as TOML; `None` if it is not set.
fn written(value: &Value) -> Option<String> {
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
