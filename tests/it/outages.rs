//! A service without its Postgres: what it serves, what it says, and when it does not start.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::process::{Process, limpid};
use crate::support::{header, ok, png, refused};

/// The URL of a Postgres that is not there.
fn nowhere() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("postgres://limpid@127.0.0.1:{port}/limpid")
}

#[test]
fn models_are_served_without_the_database_and_readiness_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = limpid(folder.path());
    command.env("LIMPID_DATABASE__URL", nowhere()).env("LIMPID_JOBS__WORKERS", "0");
    let service = Process::serve(&mut command);
    let client = reqwest::blocking::Client::new();
    let request = client.post(service.url("/denoise?model=digits")).header("content-type", "image/png");
    ok(request.body(png(28, 28)).send().unwrap());
    let ready = client.get(service.url("/readyz")).send().unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(header(&ready, "content-type"), "application/json");
    let ready: Value = ready.json().unwrap();
    assert_eq!(ready["status"], "degraded");
    assert!(ready["detail"].as_str().unwrap().contains("the database has not been reached"), "{ready}");
    refused(client.get(service.url("/train")).send().unwrap(), "not_ready");
    let metrics = client.get(service.url("/metrics")).send().unwrap().text().unwrap();
    assert!(metrics.contains("limpid_database_up 0"), "{metrics}");
}

#[test]
fn a_service_that_requires_its_database_does_not_start_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = limpid(folder.path());
    command.env("LIMPID_DATABASE__URL", nowhere()).env("LIMPID_DATABASE__REQUIRED", "true");
    let ended = command.args(["serve", "--bind", "127.0.0.1:0"]).output().unwrap();
    let message = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{message}");
    assert!(message.contains("the database cannot be reached"), "{message}");
}

#[test]
fn models_are_served_beside_a_damaged_database() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("limpid.db"), "no database at all, but text of some length").unwrap();
    let mut command = limpid(folder.path());
    let service = Process::serve(command.env("LIMPID_JOBS__WORKERS", "0"));
    let client = reqwest::blocking::Client::new();
    let request = client.post(service.url("/denoise?model=digits")).header("content-type", "image/png");
    ok(request.body(png(28, 28)).send().unwrap());
}
