//! Pointers: JSON as a typed value, or the place where it does not fit (RFC 6901).

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// The first place of a JSON value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Pointer to it; empty for the whole value.
    pub pointer: String,
    /// The value expected there, and the one seen.
    pub reason: String,
}

/// Reads `value` as `T`.
///
/// # Errors
/// The first place that does not fit: a member that is missing, unknown, or of another type or range.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, Misfit> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (pointer, reason) = (pointer(error.path()), error.into_inner().to_string());
        match named(&reason) {
            // A member that is not there has no place; one that is unknown is named at the object around it.
            Some((name, "missing field")) => {
                Misfit { pointer: pointer + "/" + &escape(name), reason: "missing".to_owned() }
            }
            Some((name, _)) => {
                let place = "/".to_owned() + &escape(name);
                let pointer = if pointer.ends_with(&place) { pointer } else { pointer + &place };
                Misfit { pointer, reason }
            }
            None => Misfit { pointer, reason },
        }
    })
}

/// A name as a token of a pointer, never longer than a line.
pub fn escape(name: &str) -> String {
    name.chars().take(80).collect::<String>().replace('~', "~0").replace('/', "~1")
}

/// The name in an error of serde about a field or a variant, and the error's kind.
fn named(reason: &str) -> Option<(&str, &str)> {
    let (kind, rest) = reason.split_once(" `")?;
    let is_known = ["missing field", "unknown field", "unknown variant"].contains(&kind);
    // A variant is the key of its object only where its choices hold values; a plain word is no place.
    let name = rest.split('`').next().filter(|_| is_known && kind != "unknown variant")?;
    Some((name, kind))
}

fn pointer(path: &Path) -> String {
    let token = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", escape(key)),
        Segment::Enum { variant } => format!("/{}", escape(variant)),
        Segment::Unknown => String::new(),
    };
    path.iter().map(token).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::corruption::Corruption;

    fn misfit(value: Value) -> (String, String) {
        let Misfit { pointer, reason } = read::<Corruption>(value).unwrap_err();
        (pointer, reason)
    }

    #[test]
    fn the_place_is_pointed_at() {
        let at = |value| misfit(value).0;
        assert_eq!(at(json!([{"none": {}}, {"jpeg": {"quality": "x"}}])), "/1/jpeg/quality");
        assert_eq!(at(json!({"gaussian": {"sigma": 1, "sigmas": 2}})), "/gaussian/sigmas");
        assert_eq!(misfit(json!({"gaussian": {}})), ("/gaussian/sigma".into(), "missing".into()));
        assert_eq!(at(json!(7)), "");
        assert_eq!(read(json!({"none": {}})), Ok(Corruption::None {}));
    }

    #[test]
    fn names_are_escaped_and_cut() {
        assert_eq!(escape("a/b~c"), "a~1b~0c");
        assert_eq!(escape(&"x".repeat(200)).len(), 80);
    }
}
