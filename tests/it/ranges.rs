//! Ranges: the contract describes the numbers and words that the readers of training configs and corruptions take.

use limpid::corruption::Corruption;
use limpid::sample::Kind;
use limpid::train::Config;
use serde_json::{Value, json};

fn schemas() -> Value {
    serde_json::to_value(limpid::api::openapi()).unwrap()["components"]["schemas"].take()
}

/// The schema that `schema` refers to, or itself.
fn resolved<'a>(schema: &'a Value, schemas: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => &schemas[reference.rsplit('/').next().unwrap()],
        None => schema,
    }
}

/// Numbers that a schema describes, its ends, and numbers just out of it; none for what is no number.
fn ends(schema: &Value) -> Option<(Vec<f64>, Vec<f64>)> {
    let step = schema["multipleOf"].as_f64().or((schema["type"][0] == "integer").then_some(1.0));
    let by = |at: f64| step.unwrap_or(f64::max(at.abs() * 1e-3, 1e-9));
    let high = schema["maximum"].as_f64()?;
    let (within, out) = match (schema["minimum"].as_f64(), schema["exclusiveMinimum"].as_f64()) {
        (Some(low), _) => (low, low - by(low)),
        (_, Some(low)) => (low + by(low), low),
        _ => panic!("{schema} has no lower end"),
    };
    Some((vec![within, high], vec![out, high + by(high)]))
}

/// A whole number as JSON writes it.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

#[test]
fn a_training_config_takes_what_is_described_and_nothing_else() {
    let read = |member: &str, value: Value| {
        let config = serde_json::from_value::<Config>(json!({"name": "a", member: value}));
        config.map_err(|e| e.to_string()).and_then(|config| config.validate().map_err(|e| e.to_string()))
    };
    let schemas = schemas();
    let config = &schemas["TrainingConfig"];
    let (mut numbers, mut words) = (Vec::new(), Vec::new());
    for (name, schema) in config["properties"].as_object().unwrap() {
        let schema = if schema["oneOf"].is_array() { &schema["oneOf"][0] } else { schema };
        assert!(schema["description"].is_string(), "{name} has no description");
        if let Some((within, out)) = ends(schema) {
            within.into_iter().for_each(|v| assert_eq!(read(name, number(v)), Ok(()), "{name} {v}"));
            out.into_iter().for_each(|v| assert!(read(name, number(v)).is_err(), "{name} {v}"));
            numbers.push(name.as_str());
        }
        if let Some(choices) = resolved(schema, &schemas)["enum"].as_array() {
            let is_described = resolved(schema, &schemas)["description"].as_str().unwrap();
            for choice in choices {
                assert_eq!(read(name, choice.clone()), Ok(()), "{name} {choice}");
                assert!(is_described.contains(&format!("- `{}`: ", choice.as_str().unwrap())), "{choice}");
            }
            assert!(read(name, json!("nonsense")).is_err(), "{name}");
            words.push(name.as_str());
        }
    }
    assert_eq!(
        numbers,
        [
            "batch",
            "crop",
            "ink_weight",
            "keep_neighbors",
            "learning_rate",
            "minutes",
            "missing_value",
            "steps"
        ]
    );
    assert_eq!(words, ["device", "loss", "missing", "promote", "scheme"]);
    let example: Config = serde_json::from_value(config["example"].clone()).unwrap();
    assert!(example.validate().is_ok());
    assert!(read("no_such_member", json!(1)).is_err());
    assert_eq!(schemas["LatentSizes"]["properties"]["numbers"]["minimum"], 1);
    assert!(read("latent", json!({"numbers": 0})).is_err() && read("latent", json!({"numbers": 1})).is_ok());
}

#[test]
fn a_corruption_takes_what_is_described_and_nothing_else() {
    let read = |json: Value| {
        let read = serde_json::from_value::<Corruption>(json).map_err(|e| e.to_string());
        read.and_then(|corruption| corruption.check(Kind::Image).map_err(|e| e.to_string()))
    };
    let schemas = schemas();
    assert_eq!(read(schemas["Corruption"]["example"].clone()), Ok(()));
    let (mut kinds, mut ranges) = (0, 0);
    for kind in schemas["Corruption"]["oneOf"].as_array().unwrap() {
        let Some((name, schema)) = kind["properties"].as_object().and_then(|it| it.iter().next()) else {
            continue;
        };
        let schema = resolved(schema, &schemas);
        if schema["type"] != "object" {
            continue;
        }
        kinds += 1;
        let example = if name == "none" { json!({}) } else { schema["example"].clone() };
        assert_eq!(read(json!({name: example.clone()})), Ok(()), "{name} {example}");
        for (member, range) in schema["properties"].as_object().into_iter().flatten() {
            // A member that may be absent is a choice between its type and null.
            let range = if range["oneOf"][1]["type"] == "null" { &range["oneOf"][0] } else { range };
            assert!(range["description"].is_string(), "{name}.{member} has no description");
            let with = |value: Value| {
                let mut changed = example.clone();
                changed[member] = value;
                read(json!({name: changed}))
            };
            assert!(with(json!("No Sense")).is_err(), "{name}.{member}");
            if range["$ref"].is_string() {
                continue;
            }
            let Some((within, out)) = range["oneOf"][0].as_object().and_then(|_| ends(&range["oneOf"][0]))
            else {
                assert_eq!(range["type"], "array", "{name}.{member} is neither a range nor a list");
                let choices = resolved(&range["items"], &schemas)["enum"].as_array().unwrap();
                choices.iter().for_each(|c| assert_eq!(with(json!([c])), Ok(()), "{name}.{member} {c}"));
                assert!(with(json!([])).is_err() && with(json!(vec![&choices[0]; 33])).is_err());
                assert_eq!((&range["minItems"], &range["maxItems"]), (&json!(1), &json!(32)));
                continue;
            };
            ranges += 1;
            assert_eq!(with(json!([within[0], within[1]])), Ok(()), "{name}.{member} {within:?}");
            for (inside, outside) in within.iter().zip(&out) {
                assert!(with(json!(outside)).is_err(), "{name}.{member} {outside}");
                assert!(with(json!([f64::min(*inside, *outside), f64::max(*inside, *outside)])).is_err());
            }
        }
        assert!(read(json!({name: {"no_such_member": 1}})).is_err(), "{name}");
    }
    assert_eq!((kinds, ranges), (17, 27));
    let list = schemas["Corruption"]["oneOf"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&list["type"], &list["minItems"], &list["maxItems"]),
        (&json!("array"), &json!(1), &json!(32))
    );
    let none = json!({"none": {}});
    assert_eq!(read(json!([none])), Ok(()));
    assert!(read(json!([])).is_err() && read(json!(vec![none; 33])).is_err());
}
