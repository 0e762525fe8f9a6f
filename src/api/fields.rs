//! Fields: the texts of a query, a form, headers or JSON members as a typed struct, each faulty one named.

use std::fmt::{self, Display};

use axum::http::HeaderMap;
use serde::de::value::MapDeserializer;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::error::Problem;
use crate::pointer::escape;

/// Fields that are looked at; more than any struct has, so that each faulty one can be named.
const MOST: usize = 32;

/// Reads `fields` as `T`, a struct with optional members only.
///
/// # Errors
/// 400 with a pointer to each field that is unknown, given twice or out of its range.
pub(super) fn read<T: DeserializeOwned>(fields: &[(String, String)]) -> Result<T, Problem> {
    let known = names::<T>();
    if fields.len() > MOST {
        let (count, known) = (fields.len(), known.join(", "));
        return Err(Problem::invalid(format!("{count} parameters, where there are only {known}")));
    }
    let faults = fields.iter().enumerate().filter_map(|(at, (name, value))| {
        let reason = if !known.contains(&name.as_str()) {
            Some(format!("not a parameter here; there are {}", known.join(", ")))
        } else if fields[..at].iter().any(|(earlier, _)| earlier == name) {
            Some("given twice".to_owned())
        } else {
            // Each alone, since serde stops at the first that is wrong.
            parse::<T>([(name, value)]).err().map(|refusal| refusal.0)
        };
        Some(Problem::invalid_at(format!("/{}", escape(name)), reason?))
    });
    match faults.reduce(Problem::and) {
        Some(problem) => Err(problem),
        None => parse(fields.iter().map(|(name, value)| (name, value)))
            .map_err(|Refusal(reason)| Problem::invalid(reason)),
    }
}

/// Reads as `T` the headers that have the names of its members.
///
/// # Errors
/// 400 with the name of the first header that does not fit.
pub(super) fn read_headers<T: DeserializeOwned>(headers: &HeaderMap) -> Result<T, Problem> {
    let given = names::<T>().iter().filter_map(|name| Some((*name, headers.get(*name)?)));
    let given: Vec<(String, String)> = given
        .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    for (name, value) in &given {
        if let Err(Refusal(reason)) = parse::<T>([(name, value)]) {
            return Err(Problem::invalid(format!("{name}: {reason}")));
        }
    }
    parse(given.iter().map(|(name, value)| (name, value))).map_err(|Refusal(reason)| Problem::invalid(reason))
}

/// A text of a request, quoted and never longer than a line.
pub(super) fn shown(value: &str) -> String {
    format!("{:?}", value.chars().take(40).collect::<String>())
}

/// Names of the members of `T`, in order.
pub(super) fn names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // Fails on purpose: a derived struct asks for its members before anything else.
    let _ = T::deserialize(Names(&mut names));
    names
}

fn parse<'a, T: Deserialize<'a>>(
    fields: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<T, Refusal> {
    let fields = fields.into_iter().map(|(name, value)| (name.as_str(), Text(value.trim())));
    T::deserialize(MapDeserializer::new(fields))
}

/// The reason for which a text is no value of its member.
#[derive(Debug)]
struct Refusal(String);

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: Display>(reason: T) -> Self {
        Self(reason.to_string())
    }

    fn unknown_variant(seen: &str, known: &'static [&'static str]) -> Self {
        let known = match known {
            [firsts @ .., last] if !firsts.is_empty() => format!("{} or {last}", firsts.join(", ")),
            _ => known.join(", "),
        };
        Self(format!("expected {known}, got {}", shown(seen)))
    }
}

/// One text. Words are matched with the variants of an enum; numbers are parsed by the types that know their range.
struct Text<'a>(&'a str);

impl<'de> IntoDeserializer<'de, Refusal> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// Writes down the members that a struct asks for, and has none of them.
struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refusal> {
        Err(Refusal("not a struct".to_owned()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        members: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Refusal> {
        *self.0 = members;
        Err(Refusal("only its members were asked for".to_owned()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map option newtype_struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::params::Denoise;

    fn read_all(fields: &[(&str, &str)]) -> Result<Denoise, Problem> {
        let fields: Vec<_> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        read(&fields)
    }

    #[test]
    fn a_flood_of_fields_is_refused_as_one() {
        let problem = read_all(&[("a", "1"); MOST + 1]).unwrap_err();
        assert!(problem.detail().contains("33 parameters") && problem.detail().len() < 200, "{problem}");
        assert!(read_all(&[("a", "1"); MOST]).unwrap_err().detail().contains("/a"));
    }

    #[test]
    fn every_fault_is_named() {
        let fields = [("strength", "3"), ("a/b", "1"), ("mode", "Full"), ("ratio", "2"), ("ratio", "2")];
        let problem = read_all(&fields).unwrap_err();
        let faults: Vec<_> =
            problem.faults().iter().map(|f| (f.pointer.as_str(), f.detail.as_str())).collect();
        let unknown = "not a parameter here; there are model, mode, strength, strength_chroma, detail, ratio, \
                       ensemble, predict, sigma, depth, format, layout, missing, missing_value";
        assert_eq!(
            faults,
            [
                ("/strength", "expected 0..=1, got \"3\""),
                ("/a~1b", unknown),
                ("/mode", "expected full or strict, got \"Full\""),
                ("/ratio", "given twice"),
            ]
        );
    }
}
