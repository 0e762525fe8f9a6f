//! Members: JSON as a typed value, each member that does not fit named by its pointer.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::Problem;
use crate::pointer::{self, Misfit, escape};

/// Reads `object` as `T`.
///
/// # Errors
/// 400 with the pointer of each member that is unknown or does not fit; where all fit, of one that is missing.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    let whole = match pointer::read(value.clone()) {
        Ok(read) => return Ok(read),
        Err(misfit) => misfit,
    };
    let Value::Object(object) = value else { return Err(whole.into()) };
    // Each member alone, since serde stops at the first that is wrong.
    let faults = object.into_iter().filter_map(|(name, member)| {
        let own = format!("/{}", escape(&name));
        let misfit = pointer::read::<T>(Value::Object(Map::from_iter([(name, member)]))).err()?;
        let is_other = misfit.reason == "missing" && !misfit.pointer.starts_with(&own);
        (!is_other).then(|| Problem::from(misfit))
    });
    Err(faults.reduce(Problem::and).unwrap_or_else(|| whole.into()))
}

impl From<Misfit> for Problem {
    fn from(Misfit { pointer, reason }: Misfit) -> Self {
        Problem::invalid_at(pointer, reason)
    }
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
        let missing = json!({"name": "a", "corruption": {"gaussian": {}}});
        assert_eq!(pointers(missing), ["/corruption/gaussian/sigma"]);
    }

    #[test]
    fn a_missing_member_is_named_where_all_others_fit() {
        assert_eq!(pointers(json!({"steps": "x"})), ["/steps"]);
        assert_eq!(pointers(json!({"steps": 5})), ["/name"]);
        assert!(read::<Config>(json!(7)).is_err());
        assert_eq!(read::<Config>(json!({"name": "a"})).unwrap(), Config::new("a".parse().unwrap()));
    }
}
