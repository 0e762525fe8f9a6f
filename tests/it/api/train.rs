//! `/train`: samples in, a job out, a version that serves.

use std::time::{Duration, Instant};

use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::*;

/// Waits for the end of a job.
pub fn finish(service: &Service, id: &str) -> Value {
    finish_with(service, id, None)
}

/// [`finish`], asked for with a key.
pub fn finish_with(service: &Service, id: &str, key: Option<&str>) -> Value {
    let begun = Instant::now();
    loop {
        let request = service.request("GET", &format!("/train/{id}"));
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let job = ok_json(request.send().unwrap());
        let status = job["status"].as_str().unwrap();
        if ["succeeded", "failed", "cancelled"].contains(&status) {
            return job;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{job}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A table of `rows` vectors of 12 numbers on two lines through space.
pub fn table(rows: usize) -> String {
    let row = |i: usize| {
        let (a, b) = ((i as f32 * 0.7).sin(), (i as f32 * 1.3).cos());
        let row: Vec<String> =
            (0..12).map(|j| (a * j as f32 / 12.0 + b * (j % 3) as f32).to_string()).collect();
        row.join(",")
    };
    (0..rows).map(row).collect::<Vec<_>>().join("\n")
}

pub fn config(name: &str, steps: usize) -> Value {
    json!({"name": name, "family": "dense", "steps": steps, "seed": 1, "promote": "always"})
}

pub fn submit(service: &Service, config: &Value) -> reqwest::blocking::Response {
    submit_with(service, config, None)
}

pub fn submit_with(service: &Service, config: &Value, key: Option<&str>) -> reqwest::blocking::Response {
    let form = Form::new()
        .part("config", Part::text(config.to_string()).mime_str("application/json").unwrap())
        .part("samples", Part::bytes(table(200).into_bytes()).file_name("rows.csv"));
    let request = service.request("POST", "/train").multipart(form);
    match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    }
    .send()
    .unwrap()
}

#[test]
fn a_plan_says_what_would_be_done_and_trains_nothing() {
    let service = Service::that_trains();
    let form = Form::new()
        .part("config", Part::text(config("mine", 20).to_string()).mime_str("application/json").unwrap())
        .part("samples", Part::bytes(table(200).into_bytes()).file_name("rows.csv"));
    let plan = ok_json(service.request("POST", "/train?plan=1").multipart(form).send().unwrap());
    assert_eq!(
        (&plan["samples"], &plan["kind"], &plan["scheme"]),
        (&json!(200), &json!("vector"), &json!("clean"))
    );
    assert_eq!((&plan["steps"], &plan["batch"]), (&json!(20), &json!(64)));
    assert!(plan["trained_on"].as_u64().unwrap() > 150 && plan["reason"].is_string(), "{plan}");
    assert_eq!(ok_json(service.get("/train"))["jobs"], json!([]));
    let form = Form::new().text("config", config("mine", 20).to_string());
    let refused = service.request("POST", "/train?plan=maybe").multipart(form).send().unwrap();
    assert_eq!(refused.status().as_u16(), 400);
}

#[test]
fn a_job_becomes_a_version_that_serves_without_a_restart() {
    let service = Service::that_trains();
    let response = submit(&service, &config("mine", 20));
    assert_eq!(response.status().as_u16(), 202);
    let location = header(&response, "location").to_owned();
    let job = ok_json(response);
    let id = job["id"].as_str().unwrap();
    assert_eq!(location, format!("/train/{id}"));

    let job = finish(&service, id);
    assert_eq!(job["status"], "succeeded", "{job}");
    assert_eq!((&job["result"]["model"], &job["result"]["version"]), (&json!("mine"), &json!(1)));
    let response = service.post("/denoise?model=mine", "application/x-npy", npy_floats(&[12]));
    assert_eq!(header(&response, "x-model"), "mine@1");
    ok(response);
}

#[test]
fn samples_may_come_as_json() {
    let service = Service::that_trains();
    let rows: Vec<Vec<f32>> =
        table(64).lines().map(|line| line.split(',').map(|n| n.parse().unwrap()).collect()).collect();
    let samples: Vec<Value> = rows.iter().map(|row| json!({"data": row})).collect();
    let body = json!({"config": config("as-json", 5), "samples": samples});
    let job = ok_json(service.post_json("/train", &body));
    let job = finish(&service, job["id"].as_str().unwrap());
    assert_eq!(job["status"], "succeeded", "{job}");
}

#[test]
fn jobs_are_listed_page_by_page_newest_first() {
    let service = Service::that_trains();
    let ids: Vec<String> = (0..3)
        .map(|_| ok_json(submit(&service, &config("mine", 2)))["id"].as_str().unwrap().to_owned())
        .collect();
    let page = ok_json(service.get("/train?limit=2"));
    let listed = |page: &Value| -> Vec<String> {
        page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&page), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(page["has_more"], true);
    let rest = ok_json(service.get(&format!("/train?after={}", ids[1])));
    assert_eq!((listed(&rest), &rest["has_more"]), (vec![ids[0].clone()], &json!(false)));
    for path in [
        "/train?limit=0",
        "/train?limit=101",
        "/train?status=done",
        "/train?name=A",
        "/train?limit=x",
        "/train?after=none",
        "/train?x=1",
    ] {
        refused(service.get(path), "invalid_input");
    }
}

#[test]
fn a_job_can_be_cancelled_until_it_is_over() {
    let service = Service::that_trains();
    let job = ok_json(submit(&service, &config("long", 1_000_000)));
    let cancel = format!("/train/{}/cancel", job["id"].as_str().unwrap());
    assert!(service.request("POST", &cancel).send().unwrap().status().is_success());
    assert_eq!(finish(&service, job["id"].as_str().unwrap())["status"], "cancelled");
    ok(service.request("POST", &cancel).send().unwrap());

    let job = ok_json(submit(&service, &config("short", 2)));
    let id = job["id"].as_str().unwrap();
    assert_eq!(finish(&service, id)["status"], "succeeded");
    refused(service.request("POST", &format!("/train/{id}/cancel")).send().unwrap(), "job_state_conflict");
}

#[test]
fn unknown_jobs_are_said_to_be() {
    let service = Service::start();
    refused(service.get("/train/none"), "job_not_found");
    refused(service.request("POST", "/train/none/cancel").send().unwrap(), "job_not_found");
}

#[test]
fn what_cannot_be_trained_on_is_refused_at_the_door() {
    let service = Service::start();
    for (config, pointer) in [
        (json!({}), "/config/name"),
        (json!({"name": "../x"}), "/config/name"),
        (json!({"name": "x", "stepz": 3}), "/config/stepz"),
        (json!({"name": "x", "steps": 0}), "/config/steps"),
    ] {
        let problem = refused(submit(&service, &config), "invalid_input");
        assert_eq!(pointers(&problem), [pointer], "{config}");
    }
    let problem = refused(submit(&service, &json!({"name": "x", "base": "nowhere"})), "model_not_found");
    assert!(problem["detail"].as_str().unwrap().contains("nowhere"));
    let no_samples = json!({"config": {"name": "x"}});
    assert_eq!(pointers(&refused(service.post_json("/train", &no_samples), "invalid_input")), ["/samples"]);
    let no_config = Form::new().part("samples", Part::bytes(table(9).into_bytes()).file_name("a.csv"));
    refused(service.request("POST", "/train").multipart(no_config).send().unwrap(), "invalid_input");
    let other = Form::new().text("confg", "{}");
    let problem =
        refused(service.request("POST", "/train").multipart(other).send().unwrap(), "invalid_input");
    assert_eq!(pointers(&problem), ["/confg"]);
    refused(service.post("/train", "image/png", png(8, 8)), "unsupported_media_type");
    let bad = json!({"config": {"name": "x"}, "samples": [{"data": [1]}, {"data": [[1], [2, 3]]}]});
    let problem = refused(service.post_json("/train", &bad), "invalid_input");
    assert_eq!(pointers(&problem), ["/samples/1/data/1"]);
}

#[test]
fn an_upload_over_the_limit_is_refused() {
    let mut setup = Setup::default();
    setup.limits.upload_bytes = 500;
    let service = Service::with(setup);
    refused(submit(&service, &config("mine", 2)), "payload_too_large");
}
