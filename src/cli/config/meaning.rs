//! Meaning of each setting, from the doc comments of the structs that are read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::Config;

/// The meaning of each setting by its key with dots.
pub fn meanings() -> BTreeMap<String, String> {
    let mut found = vec![(Config::name().into_owned(), Config::schema())];
    Config::schemas(&mut found);
    let json = |schema| serde_json::to_value(schema).unwrap_or_default();
    let schemas = found.into_iter().map(|(name, schema)| (name, json(schema))).collect();
    let mut meanings = BTreeMap::new();
    collect("", &schemas, &Config::name(), &mut meanings);
    meanings
}

/// Adds the settings of the section `path`, whose schema is `name`.
fn collect(path: &str, schemas: &Map<String, Value>, name: &str, meanings: &mut BTreeMap<String, String>) {
    let members = schemas.get(name).and_then(|schema| schema["properties"].as_object());
    for (member, schema) in members.into_iter().flatten() {
        let key = if path.is_empty() { member.clone() } else { format!("{path}.{member}") };
        let section = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        match section.filter(|section| schemas.get(*section).is_some_and(|it| it["properties"].is_object())) {
            Some(section) => collect(&key, schemas, section, meanings),
            None => {
                let description =
                    schema["description"].as_str().or(schema["oneOf"][0]["description"].as_str());
                meanings.insert(key, description.unwrap_or_default().replace('\n', " "));
            }
        }
    }
}
