//! Members: JSON as a typed value, each member that does not fit named by its pointer.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Error, Path, Segment};

use super::error::Problem;
use super::params::escape;

/// Reads `value` as `T`.
///
/// # Errors
/// 400 with the pointer of each member that is unknown or does not fit, else of the first that is missing.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    let error = match serde_path_to_error::deserialize(&value) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let Value::Object(object) = value else { return Err(problem(&error, "")) };
    // Each member alone, since serde stops at the first that is wrong.
    let faults = object.into_iter().filter_map(|(name, member)| {
        let alone = Value::Object(Map::from_iter([(name.clone(), member)]));
        let error =
            serde_path_to_error::deserialize::<_, T>(&alone).err().filter(|error| !is_other(error))?;
        Some(problem(&error, &name))
    });
    Err(faults.reduce(Problem::and).unwrap_or_else(|| problem(&error, "")))
}

/// Returns `true` for the error that another member is missing.
fn is_other(error: &Error<serde_json::Error>) -> bool {
    error.path().iter().next().is_none() && error.inner().to_string().starts_with("missing field")
}

/// The problem of an error at its path, or at the member `name` where the error has no path.
fn problem(error: &Error<serde_json::Error>, name: &str) -> Problem {
    let mut pointer = pointer(error.path());
    if pointer.is_empty() && !name.is_empty() {
        pointer = format!("/{}", escape(name));
    }
    Problem::invalid_at(pointer, error.inner().to_string())
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
    use crate::train::Config;

    fn pointers(value: Value) -> Vec<String> {
        let problem = read::<Config>(value).unwrap_err();
        problem.faults().iter().map(|fault| fault.pointer.clone()).collect()
    }

    #[test]
    fn each_member_that_does_not_fit_is_named() {
        let corruption = json!([{"gaussian": {"sigma": 5}}, {"jpeg": {"quality": "x"}}]);
        let config = json!({"name": "A", "stepz": 5, "seed": -1, "corruption": corruption, "batch": 4});
        assert_eq!(pointers(config), ["/corruption/1/jpeg/quality", "/name", "/seed", "/stepz"]);
        assert_eq!(pointers(json!({"name": "a", "corruption": {"gaussian": {}}})), ["/corruption/gaussian"]);
    }

    #[test]
    fn a_missing_member_is_told_only_where_all_others_fit() {
        assert_eq!(pointers(json!({"steps": "x"})), ["/steps"]);
        let problem = read::<Config>(json!({"steps": 5})).unwrap_err();
        assert!(problem.detail().contains("missing field `name`"), "{problem}");
        assert!(read::<Config>(json!(7)).is_err());
        assert_eq!(read::<Config>(json!({"name": "a"})).unwrap(), Config::new("a".parse().unwrap()));
    }
}
