//! Formatting of the configuration as a TOML file, with the meaning and the origin of each value.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use figment::value::{Dict, Value};

use super::Loaded;
use super::meaning::meanings;

/// Returns every setting with its meaning and its origin as comments. The text is a valid configuration file. Passwords and
/// secrets are hidden unless `with_secrets`.
pub(super) fn print(loaded: &Loaded, with_secrets: bool) -> String {
    let mut all: Dict = loaded.figment.extract().unwrap_or_default();
    if !with_secrets {
        hide(&mut all, "");
    }
    let mut text = String::new();
    section(loaded, &meanings(), &all, "", &mut text);
    text
}

/// Text in place of a secret.
const HIDDEN: &str = "***";

/// Replaces secrets by [`HIDDEN`]; the tags of values, which hold their origin, stay.
fn hide(dict: &mut Dict, path: &str) {
    for (name, value) in dict {
        let key = format!("{path}{name}");
        match value {
            Value::Dict(_, inner) => hide(inner, &format!("{key}.")),
            Value::String(_, text) if key.ends_with("_secret") && !text.is_empty() => *text = HIDDEN.into(),
            Value::String(_, text) if key == "database.url" => *text = without_password(text),
            _ => {}
        }
    }
}

/// Returns an address with hidden passwords: that of its user, and that among its parameters.
fn without_password(url: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let hidden = address.split_once("://").and_then(|(scheme, rest)| {
        let (user, host) = rest.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}:{HIDDEN}@{host}"))
    });
    let mut text = hidden.unwrap_or_else(|| address.to_owned());
    if let Some(query) = query {
        let one = |pair: &str| match pair.split_once('=') {
            Some((name, _)) if name.eq_ignore_ascii_case("password") => format!("{name}={HIDDEN}"),
            _ => pair.to_owned(),
        };
        text = format!("{text}?{}", query.split('&').map(one).collect::<Vec<_>>().join("&"));
    }
    text
}

/// Writes the plain settings of one section, then its subsections.
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

/// Name that figment gives to our defaults: the name of their type.
const DEFAULTS: &str = "limpid::cli::config::Config";

/// Formats a value as TOML; `None` if it is not set.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_hidden() {
        for (url, shown) in [
            ("", ""),
            ("postgres://limpid:pa@ss:w@db/limpid", "postgres://limpid:***@db/limpid"),
            ("postgres://limpid@db/limpid?host=/run", "postgres://limpid@db/limpid?host=/run"),
            (
                "postgres://db/limpid?user=a&password=secret&x=1",
                "postgres://db/limpid?user=a&password=***&x=1",
            ),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
