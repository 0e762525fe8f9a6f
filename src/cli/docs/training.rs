//! The page of the training config, from its part of the contract.

use serde_json::Value;

use super::{head, row};
use crate::api;

/// Sections of words that a training config takes, with the schema of each.
const CHOICES: [(&str, &str); 5] = [
    ("Schemes", "Scheme"),
    ("Families", "FamilyName"),
    ("Losses", "Loss"),
    ("Promotion", "Promote"),
    ("Devices", "DeviceName"),
];

/// Sections of sizes that a training config takes, with the schema of each.
const SIZES: [(&str, &str); 5] = [
    ("Latent", "LatentSizes"),
    ("Sizes of `pyramid`", "PyramidSizes"),
    ("Sizes of `compact`", "CompactSizes"),
    ("Sizes of `signal`", "SignalSizes"),
    ("Sizes of `dense`", "DenseSizes"),
];

/// Every member of the config, every word it takes, and every corruption with its parameters.
pub fn page() -> String {
    let contract = serde_json::to_value(api::openapi()).unwrap_or_default();
    let schemas = &contract["components"]["schemas"];
    let mut text = "\
# Training config

The `config` of `POST /train` and the file of `limpid train --training-config`; most members have a flag of `limpid train`. Ranges
include both ends unless they say otherwise. Written by `limpid docs training`.

"
    .to_owned();
    text += &members(&schemas["TrainingConfig"], schemas);
    text += &example(&schemas["TrainingConfig"]["example"]);
    for (title, name) in CHOICES {
        text += &format!("\n## {title}\n\n{}\n", description(&schemas[name]));
    }
    for (title, name) in SIZES {
        text += &format!("\n## {title}\n\n{}\n\n", description(&schemas[name]));
        text += &members(&schemas[name], schemas);
    }
    text += "
## Corruptions

A corruption makes clean samples noisy: an object keyed by its kind, or a list of them, applied in order. A range is a pair, from which
each crop draws its own value, or a single number. Images lie on 0..1, and their `sigma` counts on the 0..255 scale; for signals and
vectors `sigma` counts in standard deviations of the sample.
";
    for kind in schemas["Corruption"]["oneOf"].as_array().into_iter().flatten() {
        text += &corruption(kind, schemas);
    }
    text
}

/// One kind of corruption.
fn corruption(kind: &Value, schemas: &Value) -> String {
    let meaning = description(kind);
    let Some((name, schema)) = kind["properties"].as_object().and_then(|members| members.iter().next())
    else {
        return format!("\n### A list\n\n{meaning} 1 to {} entries.\n", kind["maxItems"]);
    };
    let schema = resolved(schema, schemas);
    let mut text = format!("\n### `{name}`\n\n{meaning}\n");
    if schema["description"].is_string() && schema["type"] == "object" && description(schema) != meaning {
        text += &format!("\n{}\n", description(schema));
    }
    if schema["properties"].is_object() {
        text += &format!("\n{}", members(schema, schemas));
        text += &example(&serde_json::json!({ name: schema["example"] }));
    }
    text
}

/// A table of the members of an object.
fn members(schema: &Value, schemas: &Value) -> String {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|list| list.iter().any(|required| required == name))
    };
    let mut text = head(["member", "values", "default", "meaning"]);
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let default = match &member["default"] {
            Value::Null if required(name) => "required".to_owned(),
            Value::Null => String::new(),
            default => format!("`{default}`"),
        };
        text += &row([&format!("`{name}`"), &values(member, schemas), &default, &description(member)]);
    }
    text
}

fn example(example: &Value) -> String {
    format!("\n```json\n{example}\n```\n")
}

/// The values that a schema takes, in words.
fn values(schema: &Value, schemas: &Value) -> String {
    let own = resolved(schema, schemas);
    if let Some(words) = own["enum"].as_array() {
        return words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(choices) = own["oneOf"].as_array() {
        let first = &choices[0];
        let is_range = first["type"] == "number";
        // A link to the section of the choices; null stands for a member left out.
        let name = first["$ref"].as_str().or(schema["$ref"].as_str()).map(section);
        return match name {
            _ if is_range => format!("range in {}", interval(first)),
            Some(name) => name,
            None => values(first, schemas),
        };
    }
    let kind = own["type"][0].as_str().or(own["type"].as_str()).unwrap_or_default();
    match (kind, interval(own)) {
        ("array", _) => {
            let ends = (&own["minItems"], &own["maxItems"]);
            let count = match ends {
                (Value::Null, _) | (_, Value::Null) => String::new(),
                (low, high) if low == high => format!("{low} "),
                (low, high) => format!("{low} to {high} "),
            };
            let items = resolved(&own["items"], schemas);
            match items["type"] == "integer" {
                true => format!("list of {count}whole numbers"),
                false => format!("list of {count}{}", values(items, schemas)),
            }
        }
        ("string", _) => "text".to_owned(),
        ("integer", interval) => format!("whole number {interval}").trim_end().to_owned(),
        ("number", interval) => format!("number {interval}").trim_end().to_owned(),
        (kind, _) => kind.to_owned(),
    }
}

/// The name of a schema as a link to its section.
fn section(reference: &str) -> String {
    match reference.rsplit('/').next().unwrap_or_default() {
        "Corruption" => "[a corruption](#corruptions)".to_owned(),
        "FamilyChoice" => "[a family](#families), or its sizes keyed by its name".to_owned(),
        "LatentSizes" => "[sizes](#latent)".to_owned(),
        other => other.to_owned(),
    }
}

/// The interval of a number: `1..=1024`.
fn interval(schema: &Value) -> String {
    let step = schema["multipleOf"].as_f64().map(|step| format!(", multiples of {step}")).unwrap_or_default();
    let high = &schema["maximum"];
    match (&schema["minimum"], &schema["exclusiveMinimum"], high) {
        (Value::Null, Value::Null, _) => String::new(),
        (Value::Null, low, high) => format!("above {low}, at most {high}{step}"),
        (low, _, Value::Null) => format!("from {low} up{step}"),
        (low, _, high) => format!("{low}..={high}{step}"),
    }
}

/// The schema that `schema` refers to, or itself; of one that may be null, the other.
fn resolved<'a>(schema: &'a Value, schemas: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => &schemas[reference.rsplit('/').next().unwrap_or_default()],
        None => schema,
    }
}

/// The description, its source as a sentence.
fn description(schema: &Value) -> String {
    let own = schema["description"].as_str().or(schema["oneOf"][0]["description"].as_str());
    own.unwrap_or_default().replace("# Source\n", "Source: ")
}
