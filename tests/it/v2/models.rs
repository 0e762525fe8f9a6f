//! Routes about server and models.

use limpid::api::keys::Scope;
use serde_json::json;

use super::*;

#[test]
fn health_says_what_both_kinds_of_client_read() {
    let service = Service::start();
    assert_eq!(ok(service.get("/v2/health/live")), br#"{"live":true}"#);
    assert_eq!(ok(service.get("/v2/health/ready")), br#"{"live":true,"ready":true}"#);
    let service = Service::with(Setup { is_preloaded: false, ..Setup::default() });
    ok(service.get("/v2/health/live"));
    failed(service.get("/v2/health/ready"), "not_ready");
    failed(service.get("/v2/models/photo-gray/ready"), "not_ready");
}

#[test]
fn the_server_names_its_extensions() {
    let reply = ok_json(Service::start().get("/v2"));
    let extensions = json!(["binary_tensor_data", "model_repository", "statistics", "schedule_policy"]);
    assert_eq!((&reply["name"], &reply["extensions"]), (&json!("limpid"), &extensions));
    assert!(reply["version"].is_string());
}

#[test]
fn metadata_states_inputs_and_outputs() {
    let service = Service::start();
    let image = json!({"name": "image", "datatype": "FP32", "shape": [-1, 1, -1, -1]});
    let latent = json!({"name": "latent", "datatype": "BYTES", "shape": [-1]});
    let denoised = json!({"name": "denoised", "datatype": "FP32", "shape": [-1, 1, -1, -1]});
    let whole = json!({
        "name": "photo-gray", "versions": ["1", "2"], "platform": "candle_safetensors",
        "inputs": [image], "outputs": [denoised, latent],
    });
    assert_eq!(ok_json(service.get("/v2/models/photo-gray")), whole);
    assert_eq!(ok_json(service.get("/v2/models/photo-gray/versions/2")), whole);
    let decoder = ok_json(service.get("/v2/models/photo-gray.decoder"));
    assert_eq!(
        (&decoder["name"], &decoder["inputs"], &decoder["outputs"]),
        (&json!("photo-gray.decoder"), &json!([latent]), &json!([denoised]))
    );
    let table = ok_json(service.get("/v2/models/table"));
    assert_eq!(
        (&table["inputs"][0]["name"], &table["inputs"][0]["shape"]),
        (&json!("vector"), &json!([-1, 12]))
    );
    assert_eq!(
        ok_json(service.get("/v2/models/table.decoder/versions/1/ready")),
        json!({"name": "table.decoder", "ready": true})
    );
    let all = json!({"models": ["photo-color", "photo-color.decoder", "photo-gray", "photo-gray.decoder", "table", "table.decoder"]});
    assert_eq!(ok_json(service.get("/v2/models")), all);
}

#[test]
fn the_config_is_without_the_axis_of_samples() {
    let service = Service::start();
    let config = ok_json(service.get("/v2/models/photo-color/config"));
    assert_eq!(
        config,
        json!({
            "name": "photo-color", "platform": "candle_safetensors", "max_batch_size": 256,
            "input": [{"name": "image", "data_type": "TYPE_FP32", "dims": [3, -1, -1]}],
            "output": [
                {"name": "denoised", "data_type": "TYPE_FP32", "dims": [3, -1, -1]},
                {"name": "latent", "data_type": "TYPE_STRING", "dims": []},
            ],
            "dynamic_batching": {},
        })
    );
    assert_eq!(ok_json(service.get("/v2/models/photo-color/versions/1/config")), config);
}

#[test]
fn what_is_not_there_is_not_found() {
    let service = Service::start();
    for path in ["", "/ready", "/config", "/stats"] {
        failed(service.get(&format!("/v2/models/nowhere{path}")), "model_not_found");
        failed(service.get(&format!("/v2/models/nowhere.decoder{path}")), "model_not_found");
        failed(service.get(&format!("/v2/models/table/versions/9{path}")), "version_not_found");
        failed(service.get(&format!("/v2/models/table/versions/latest{path}")), "version_not_found");
    }
    for path in [
        "/v2/systemsharedmemory/status",
        "/v2/cudasharedmemory/status",
        "/v2/trace/setting",
        "/v2/logging",
        "/v2/",
    ] {
        failed(service.get(path), "not_found");
    }
    failed(service.request("DELETE", "/v2/models").send().unwrap(), "method_not_allowed");
    refused(service.get("/v2x"), "not_found");
}

#[test]
fn statistics_count_each_operation() {
    let service = Service::start();
    let stats = |path: &str| ok_json(service.get(path))["model_stats"].clone();
    let path = "/v2/models/photo-color/versions/1/stats";
    let before = stats(path);
    let image = floats(numbers(2 * 3 * 64));
    ok(ask(&service, "photo-color", &head("image", &[2, 3, 8, 8], "FP32", image.len(), "denoised"), &image));
    let after = stats(path);
    let count = |stats: &Value, name: &str| stats[0]["inference_stats"][name]["count"].as_u64().unwrap();
    let time = |stats: &Value, name: &str| stats[0]["inference_stats"][name]["ns"].as_u64().unwrap();
    // Other tests of this process count too.
    assert!(count(&after, "success") >= count(&before, "success") + 2, "{after}");
    assert!(time(&after, "compute_infer") > time(&before, "compute_infer"), "{after}");
    assert!(after[0]["inference_count"].as_u64() >= after[0]["execution_count"].as_u64());
    for name in ["success", "fail", "queue", "compute_input", "compute_infer", "compute_output"] {
        assert!(time(&after, name) >= time(&before, name), "{name}");
    }
    assert_eq!(stats("/v2/models/photo-gray/stats").as_array().unwrap().len(), 2);
    assert_eq!(stats("/v2/models/photo-gray.decoder/stats")[1]["name"], "photo-gray.decoder");
    // Four versions, each with its decoder.
    assert_eq!(stats("/v2/models/stats").as_array().unwrap().len(), 8);
}

#[test]
fn the_repository_lists_loads_and_unloads() {
    let service = Service::start();
    let post = |path: &str, body: &str| service.request("POST", path).body(body.to_owned()).send().unwrap();
    let index = ok_json(post("/v2/repository/index", ""));
    assert_eq!(index.as_array().unwrap().len(), 8);
    assert_eq!(index[0], json!({"name": "photo-color", "version": "1", "state": "READY", "reason": ""}));
    assert_eq!(ok_json(post("/v2/repository/index", r#"{"ready":true}"#)), index);
    failed(post("/v2/repository/index", r#"{"redy":true}"#), "invalid_input");
    failed(post("/v2/repository/index", &" ".repeat(70_000)), "payload_too_large");

    let is_loaded = || service.engine.health().models.contains(&"table@1".to_owned());
    assert!(!is_loaded());
    assert_eq!(ok(post("/v2/repository/models/table/load", "{}")), b"{}");
    assert!(is_loaded());
    ok(post("/v2/repository/models/table/unload", r#"{"parameters":{"unload_dependents":false}}"#));
    assert!(!is_loaded());
    ok(post("/v2/repository/models/table.decoder/load", ""));
    assert!(is_loaded());
    failed(post("/v2/repository/models/nowhere/load", "{}"), "model_not_found");
    for parameters in [r#"{"config":"{}"}"#, r#"{"file:1/model":"AA=="}"#] {
        let body = format!(r#"{{"parameters":{parameters}}}"#);
        failed(post("/v2/repository/models/table/load", &body), "invalid_input");
    }
}

#[test]
fn keys_are_asked_for_and_unloading_is_for_admins() {
    let keys =
        vec![("reader", vec![Scope::Infer]), ("trainer", vec![Scope::Train]), ("root", vec![Scope::Admin])];
    let service = Service::with(Setup { keys, ..Setup::default() });
    ok(service.get("/v2/health/live"));
    for path in ["/v2", "/v2/models", "/v2/models/table", "/v2/models/stats"] {
        let response = service.get(path);
        assert_eq!(header(&response, "www-authenticate"), "Bearer realm=\"limpid\"");
        failed(response, "unauthorized");
    }
    let post = |path: &str, key: usize| {
        service.request("POST", path).bearer_auth(&service.keys[key]).send().unwrap()
    };
    failed(post("/v2/models/table/infer", 1), "forbidden");
    failed(post("/v2/models/table/infer", 0), "invalid_input");
    ok(post("/v2/repository/models/table/load", 0));
    failed(post("/v2/repository/models/table/unload", 0), "forbidden");
    ok(post("/v2/repository/models/table/unload", 2));
}
