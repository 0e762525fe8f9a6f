//! A disk that takes no writes for a while: who may still be served is, and all is well again afterwards.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use serde_json::Value;

use crate::support::process::{self, Process};

/// A service whose files can be kept from growing: it gets an error in place of a signal.
fn service(folder: &std::path::Path) -> Process {
    let own = process::limpid(folder);
    let mut command = Command::new("sh");
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in own.get_envs() {
        command.env_remove(name);
    }
    command.env("LIMPID_JOBS__WORKERS", "0");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(own.get_program());
    Process::serve(&mut command)
}

/// Lets every write behind the first `bytes` of a file fail, as a disk that fails does: SQLite gets SQLITE_IOERR_WRITE.
fn limit_files(service: &Process, bytes: &str) {
    let pid = service.pid().to_string();
    let limited =
        Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status();
    assert!(limited.unwrap().success());
}

fn promote(client: &Client, service: &Process) -> Response {
    let put = client.put(service.url("/models/digits/default")).header("content-type", "application/json");
    put.body(r#"{"version": 4}"#).send().unwrap()
}

#[test]
fn writes_that_failed_work_again_once_the_disk_does() {
    let folder = tempfile::tempdir().unwrap();
    let (service, client) = (service(folder.path()), Client::new());
    let get = |path: &str| client.get(service.url(path)).send().unwrap();
    for _ in 0..4 {
        assert_eq!(promote(&client, &service).status(), 200);
    }
    assert!(get("/metrics").text().unwrap().contains("limpid_database_writable 1\n"));

    limit_files(&service, "64");
    // More than the pool has connections.
    for _ in 0..12 {
        let problem: Value = promote(&client, &service).json().unwrap();
        assert_eq!(problem["code"], "not_ready", "{problem}");
        assert!(!problem["detail"].as_str().unwrap().contains("full"), "{problem}");
    }
    let ready: Value = get("/readyz").json().unwrap();
    assert!(ready["detail"].as_str().unwrap().contains("nothing can be written"), "{ready}");
    assert!(get("/metrics").text().unwrap().contains("limpid_database_writable 0\n"));
    assert_eq!(get("/livez").status(), 204);
    assert_eq!(get("/models").status(), 200);
    assert!(folder.path().join("data/reserve").exists(), "the reserve is for full disks alone");

    limit_files(&service, "unlimited");
    for _ in 0..12 {
        let reply = promote(&client, &service);
        assert_eq!(reply.status(), 200, "{}", reply.text().unwrap());
    }
    let begun = Instant::now();
    while get("/readyz").status() != 204 {
        assert!(begun.elapsed() < Duration::from_secs(20), "not ready 20 s after the disk was well again");
        std::thread::sleep(Duration::from_millis(100));
    }
}
