//! A source of settings, checked against the known keys.

use figment::value::{Dict, Map, Num, Tag, Value};
use figment::{Metadata, Profile, Provider};

use super::{Error, PREFIX};
use crate::cli::size;

/// Settings of one source.
#[derive(Debug)]
pub(super) struct Layer {
    /// Path of a file, or name of a variable or flag.
    pub origin: String,
    pub dict: Dict,
}

impl Layer {
    /// Creates a layer of one setting from text; `key` is dotted, as in `server.bind`.
    ///
    /// # Errors
    /// The key is unknown, or the text does not fit it.
    pub(super) fn one(origin: String, key: &str, text: &str, known: &Dict) -> Result<Self, Error> {
        let Some(default) = find(known, key).filter(|value| value.as_dict().is_none()) else {
            let nearest = nearest(key, known).map(|near| show_as(&origin, &near));
            return Err(Error::Unknown { origin, key: key.to_owned(), nearest });
        };
        let value = parse(key, text, default).map_err(|reason| wrong(&origin, key, reason))?;
        let dict = key.rsplit('.').fold(value, |inner, part| Dict::from([(part.to_owned(), inner)]).into());
        Ok(Self { origin, dict: dict.into_dict().unwrap_or_default() })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Checks the keys of a file's settings, and converts sizes and durations to numbers.
///
/// # Errors
/// A key is unknown, or a size or duration is malformed.
pub(super) fn typed(origin: &str, section: &str, dict: Dict, known: &Dict) -> Result<Dict, Error> {
    typed_in(origin, section, dict, known, known)
}

fn typed_in(origin: &str, section: &str, dict: Dict, here: &Dict, all: &Dict) -> Result<Dict, Error> {
    let mut out = Dict::new();
    for (name, value) in dict {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let value = match (here.get(&name), value) {
            (None, _) => {
                let nearest = nearest(&key, all);
                return Err(Error::Unknown { origin: origin.to_owned(), key, nearest });
            }
            (Some(Value::Dict(_, inner)), Value::Dict(tag, dict)) => {
                Value::Dict(tag, typed_in(origin, &key, dict, inner, all)?)
            }
            (Some(_), Value::String(tag, text)) => match unit_of(&key) {
                Some(unit) => unit(&text).map_err(|reason| wrong(origin, &key, reason))?,
                None => Value::String(tag, text),
            },
            (Some(_), value) => value,
        };
        out.insert(name, value);
    }
    Ok(out)
}

/// Parses the text of a variable or flag as the type of the default.
fn parse(key: &str, text: &str, default: &Value) -> Result<Value, String> {
    if let Some(unit) = unit_of(key) {
        return unit(text);
    }
    Ok(match default {
        Value::String(..) | Value::Char(..) => text.into(),
        Value::Array(..) if !text.trim_start().starts_with('[') => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect::<Vec<_>>().into()
        }
        // A setting without a default may be a number or a text.
        Value::Empty(..) => match guess(text) {
            number @ Value::Num(..) => number,
            _ => text.into(),
        },
        _ => guess(text),
    })
}

fn guess(text: &str) -> Value {
    text.parse().unwrap_or_else(|never| match never {})
}

type Unit = fn(&str) -> Result<Value, String>;

/// Returns the parser of sizes or durations for this key, chosen by the suffix of its name.
fn unit_of(key: &str) -> Option<Unit> {
    let size: Unit = |text| number(size::bytes(text), text, "a size such as 64MiB or a number of bytes");
    let time: Unit =
        |text| number(size::seconds(text), text, "a duration such as 30s or a number of seconds");
    match key {
        _ if key.ends_with("_bytes") => Some(size),
        _ if key.ends_with("_seconds") => Some(time),
        _ => None,
    }
}

fn number(read: Option<f64>, text: &str, expected: &str) -> Result<Value, String> {
    let value = read.ok_or_else(|| format!("expected {expected}, got {text:?}"))?;
    let is_whole = value.fract() == 0.0 && value <= u64::MAX as f64;
    let number = if is_whole { Num::U64(value as u64) } else { Num::F64(value) };
    Ok(Value::Num(Tag::Default, number))
}

/// The value of a key with dots.
pub(super) fn find<'a>(known: &'a Dict, key: &str) -> Option<&'a Value> {
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    match (known.get(first)?, rest) {
        (value, None) => Some(value),
        (Value::Dict(_, inner), Some(rest)) => find(inner, rest),
        _ => None,
    }
}

/// Returns all dotted keys, in order.
pub(super) fn keys(known: &Dict) -> Vec<String> {
    let of = |(name, value): (&String, &Value)| match value {
        Value::Dict(_, inner) => keys(inner).into_iter().map(|key| format!("{name}.{key}")).collect(),
        _ => vec![name.clone()],
    };
    known.iter().flat_map(of).collect()
}

/// Returns the most similar known key, if any is similar enough.
fn nearest(key: &str, known: &Dict) -> Option<String> {
    let likeness = |known: &String| {
        // A key with a wrong or missing section is nearly as similar as its last part.
        let last = |text: &str| text.rsplit('.').next().unwrap_or_default().to_owned();
        strsim::jaro_winkler(key, known).max(strsim::jaro_winkler(&last(key), &last(known)) * 0.99)
    };
    let scored = keys(known).into_iter().map(|known| (likeness(&known), known));
    scored.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, key)| key)
}

/// Formats a key as this kind of source writes it.
fn show_as(origin: &str, key: &str) -> String {
    if origin.starts_with(PREFIX) {
        format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
    } else {
        key.to_owned()
    }
}

fn wrong(origin: &str, key: &str, reason: String) -> Error {
    Error::Value { origin: origin.to_owned(), key: key.to_owned(), reason }
}
