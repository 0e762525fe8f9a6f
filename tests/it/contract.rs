//! The contract: `openapi.yaml` is what the code says, and the Postman collection calls what is there.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn contract() -> Value {
    serde_json::to_value(limpid::api::openapi()).unwrap()
}

/// `METHOD /path` of every route.
fn routes() -> BTreeSet<String> {
    let contract = contract();
    let paths = contract["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        methods.into_iter().map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn the_file_is_what_the_code_says() {
    let now = limpid::api::openapi_yaml();
    if std::env::var_os("LIMPID_UPDATE").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml"), &now).unwrap();
    }
    let is_fresh = file("openapi.yaml") == now;
    assert!(is_fresh, "openapi.yaml is stale: run `limpid openapi > openapi.yaml`");
}

#[test]
fn it_is_openapi_3_1() {
    assert!(contract()["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[test]
fn every_route_of_the_contract_page_is_there() {
    let routes = routes();
    for route in [
        "POST /denoise",
        "POST /encode",
        "POST /decode",
        "POST /evaluate",
        "POST /compare",
        "POST /models/{name}/nearest",
        "PUT /models/{name}/indexes/{index}",
        "DELETE /models/{name}/indexes/{index}",
        "POST /train",
        "GET /train",
        "GET /train/{id}",
        "POST /train/{id}/cancel",
        "POST /train/{id}/pause",
        "POST /train/{id}/resume",
        "GET /train/{id}/events",
        "POST /noise-profiles",
        "GET /noise-profiles",
        "GET /noise-profiles/{name}",
        "DELETE /noise-profiles/{name}",
        "GET /models",
        "GET /models/{name}",
        "GET /models/{name}/{version}",
        "POST /models",
        "GET /models/{name}/{version}/artifact",
        "GET /models/{name}/{version}/map",
        "PUT /models/{name}/default",
        "DELETE /models/{name}/{version}",
        "GET /livez",
        "GET /readyz",
        "GET /startupz",
        "GET /limits",
        "GET /version",
        "GET /openapi.yaml",
        "GET /openapi.json",
        "GET /docs",
        "GET /",
    ] {
        assert!(routes.contains(route), "{route} is missing");
    }
}

#[test]
fn every_operation_has_a_summary_and_its_failures() {
    let contract = contract();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            let is_open = operation["security"] == serde_json::json!([{}]);
            let has_failures = operation["responses"]["401"]["$ref"].is_string();
            assert!(is_open || has_failures, "{method} {path} has no failures");
        }
    }
}

#[test]
fn every_operation_has_an_id_of_its_own() {
    let contract = contract();
    let items = contract["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let ids: Vec<_> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

#[test]
fn operations_take_and_give_every_media_type() {
    let contract = contract();
    let samples = [
        "image/png",
        "image/jpeg",
        "image/tiff",
        "image/webp",
        "image/x-portable-anymap",
        "application/x-npy",
        "application/octet-stream",
        "application/json",
        "multipart/form-data",
    ];
    for path in ["/denoise", "/encode", "/evaluate", "/compare"] {
        let taken = &contract["paths"][path]["post"]["requestBody"]["content"];
        samples.iter().for_each(|kind| assert!(taken.get(kind).is_some(), "{path} takes {kind}"));
    }
    for path in ["/denoise", "/decode"] {
        let given = &contract["paths"][path]["post"]["responses"]["200"]["content"];
        samples.iter().for_each(|kind| assert!(given.get(kind).is_some(), "{path} gives {kind}"));
    }
    let latent = "application/vnd.limpid.latent";
    assert!(contract["paths"]["/decode"]["post"]["requestBody"]["content"].get(latent).is_some());
    assert!(contract["paths"]["/encode"]["post"]["responses"]["200"]["content"].get(latent).is_some());
}

#[test]
fn every_body_has_a_schema() {
    let contract = contract();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let replies = operation["responses"].as_object().unwrap().values();
            for body in replies.chain([&operation["requestBody"]]) {
                for (kind, content) in body["content"].as_object().into_iter().flatten() {
                    assert!(content["schema"].is_object(), "{kind} of {method} {path} has no schema");
                }
            }
        }
    }
}

#[test]
fn a_form_has_the_fields_of_the_query_and_files() {
    let contract = contract();
    let files = [
        ("denoise", &["file"][..]),
        ("encode", &["file"]),
        ("decode", &["file"]),
        ("noise-profiles", &["file"]),
    ];
    for (name, files) in
        files.into_iter().chain(["evaluate", "compare"].map(|name| (name, &["clean", "file", "noisy"][..])))
    {
        let operation = &contract["paths"][format!("/{name}")]["post"];
        let query = operation["parameters"].as_array().unwrap().iter();
        let query = query.filter(|parameter| parameter["in"] == "query");
        let query = query.map(|parameter| parameter["name"].as_str().unwrap());
        let expected: BTreeSet<&str> = query.chain(files.iter().copied()).collect();
        let form = &operation["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"];
        let form = contract.pointer(form.as_str().unwrap().trim_start_matches('#')).unwrap();
        let fields: BTreeSet<&str> =
            form["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, expected, "{name}");
    }
}

#[test]
fn choices_are_listed() {
    let contract = contract();
    let parameters = contract["paths"]["/denoise"]["post"]["parameters"].as_array().unwrap();
    let choices = |name: &str| {
        let parameter = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
        parameter["schema"]["enum"].clone()
    };
    assert_eq!(choices("mode"), serde_json::json!(["full", "strict"]));
    assert_eq!(choices("depth"), serde_json::json!(["same", "1", "8", "16", "float"]));
    assert_eq!(choices("ensemble"), serde_json::json!([1, 8]));
    assert_eq!(choices("format").as_array().unwrap().len(), 10);
    let sample = contract["components"]["schemas"]["Sample"]["oneOf"].as_array().unwrap();
    let forms: Vec<_> = sample.iter().map(|form| form["required"][0].as_str().unwrap()).collect();
    assert_eq!(forms, ["image", "data", "tensor", "latent"]);
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value, whole: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("a reference within the file");
                    assert!(whole.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                object.values().for_each(|value| check(value, whole));
            }
            Value::Array(list) => list.iter().for_each(|value| check(value, whole)),
            _ => {}
        }
    }
    let contract = contract();
    check(&contract, &contract);
}

#[test]
fn the_error_codes_are_those_of_the_code() {
    let contract = contract();
    let listed: BTreeSet<_> = contract["components"]["schemas"]["Code"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    let known: BTreeSet<_> = limpid::api::Code::ALL.iter().map(|code| format!("{:?}", code.name())).collect();
    assert_eq!(listed, known);
}

/// `METHOD /path` of every call of the collection, folders included.
fn calls(items: &Value, found: &mut Vec<String>) {
    for item in items.as_array().unwrap() {
        if let Some(inner) = item.get("item") {
            calls(inner, found);
        } else {
            let request = &item["request"];
            let path: Vec<_> =
                request["url"]["path"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
            found.push(format!("{} /{}", request["method"].as_str().unwrap(), path.join("/")));
        }
    }
}

/// Whether a call such as `GET /models/:name` is the route `GET /models/{name}`.
fn is_call_of(call: &str, route: &str) -> bool {
    let (call, route): (Vec<_>, Vec<_>) = (call.split('/').collect(), route.split('/').collect());
    let is_same = |(a, b): (&&str, &&str)| a == b || (a.starts_with(':') && b.starts_with('{'));
    call.len() == route.len() && call.iter().zip(&route).all(is_same)
}

#[test]
fn the_postman_collection_calls_every_route_and_no_other() {
    let collection: Value = serde_json::from_str(&file("deploy/postman_collection.json")).unwrap();
    assert!(collection["info"]["schema"].as_str().unwrap().contains("v2.1"));
    let mut found = Vec::new();
    calls(&collection["item"], &mut found);
    let routes = routes();
    for call in &found {
        assert!(routes.iter().any(|route| is_call_of(call, route)), "{call} is no route");
    }
    for route in &routes {
        assert!(found.iter().any(|call| is_call_of(call, route)), "{route} has no call");
    }
}
