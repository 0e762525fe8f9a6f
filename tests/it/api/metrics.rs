//! What the service counts of itself.

use limpid::job;

use super::train::{config, finish, submit};
use crate::support::*;

#[test]
fn requests_samples_and_times_are_counted() {
    let service = Service::start();
    ok(service.post("/denoise", "image/png", png(30, 30)));
    refused(service.post("/denoise", "image/png", *b"no image"), "invalid_input");
    let response = service.get("/metrics");
    assert!(header(&response, "content-type").starts_with("application/openmetrics-text"));
    let text = String::from_utf8(ok(response)).unwrap();
    for name in [
        "limpid_http_server_request_duration_seconds_bucket{",
        r#"http_request_method="POST",http_route="/denoise",http_response_status_code="200""#,
        r#"http_response_status_code="400""#,
        "limpid_http_server_active_requests ",
        r#"limpid_infer_requests_total{model="photo-gray",version="1",op="denoise",outcome="ok"}"#,
        "limpid_infer_queue_duration_seconds_count{",
        "limpid_infer_compute_duration_seconds_count{",
        "limpid_infer_batch_size_count{",
        "limpid_queue_depth ",
        "limpid_queue_limit_bytes ",
        "limpid_model_info{",
        r#"limpid_model_memory_bytes{model="photo-gray@1"}"#,
        r#"limpid_train_jobs{status="running"} 0"#,
        r#"limpid_model_loads_total{model="photo-gray",outcome="ok"}"#,
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "limpid_build_info{",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
}

#[test]
fn what_a_caller_writes_becomes_no_label() {
    let service = Service::start();
    service.get("/no/such/route-of-mine");
    service.request("BREW", "/denoise").send().unwrap();
    let text = String::from_utf8(ok(service.get("/metrics"))).unwrap();
    assert!(!text.contains("route-of-mine") && !text.contains("BREW"), "{text}");
}

#[test]
fn a_job_at_work_is_told_of_until_it_is_over() {
    let jobs = job::Config { nice: 0, checkpoint_seconds: 0.2, ..job::Config::default() };
    let service = Service::with(Setup { jobs, ..Setup::default() });
    let job = ok_json(submit(&service, &config("long", 1_000_000)));
    let id = job["id"].as_str().unwrap();
    let text = || String::from_utf8(ok(service.get("/metrics"))).unwrap();
    let names = [
        "limpid_train_loss",
        "limpid_train_step_duration_seconds",
        "limpid_train_unsaved_steps",
        "limpid_train_checkpoint_duration_seconds",
    ];
    let begun = std::time::Instant::now();
    while !names.iter().all(|name| text().contains(&format!("{name}{{job=\"{id}\"}}"))) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{}", text());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(text().contains("limpid_train_resumes_total 0"), "{}", text());
    assert!(text().contains("limpid_train_lost_steps_total 0"), "{}", text());
    ok(service.request("POST", &format!("/train/{id}/cancel")).send().unwrap());
    finish(&service, id);
    assert!(!text().contains(id), "{}", text());
}
