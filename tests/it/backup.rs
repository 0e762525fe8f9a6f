//! Backups: what a service holds comes back elsewhere, byte for byte.

use std::fs;
use std::path::Path;
use std::process::Output;

use reqwest::blocking::{Client, RequestBuilder};
use serde_json::Value;

use crate::support::process::{Process, limpid};
use crate::support::{ok, ok_json, png};

fn run(folder: &Path, args: &[&str]) -> Output {
    limpid(folder).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A service on `folder/DATA`, and requests with its key.
struct Served {
    process: Process,
    key: String,
}

impl Served {
    fn new(folder: &Path, data: &str, key: &str) -> Self {
        let mut command = limpid(folder);
        command.env("LIMPID_MODELS__DATA_DIR", data).env("LIMPID_JOBS__WORKERS", "0");
        Self { process: Process::serve(&mut command), key: key.to_owned() }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        Client::new().request(method.parse().unwrap(), self.process.url(path)).bearer_auth(&self.key)
    }

    fn denoise(&self) -> Vec<u8> {
        let request = self.request("POST", "/denoise?model=mine").header("content-type", "image/png");
        ok(request.body(png(28, 28)).send().unwrap())
    }

    fn job(&self) -> Value {
        ok_json(self.request("GET", "/train").send().unwrap())["jobs"][0].clone()
    }
}

#[test]
fn a_service_comes_back_from_the_backup_of_one_that_ran() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = run(folder, &["keys", "add", "root", "--scope", "admin"]);
    let key = text(&made.stdout).trim().to_owned();
    let first = Served::new(folder, "data", &key);
    // A model of its own: what is bundled needs no backup. One version is imported, a job waits with its samples.
    let artifact = ok(first.request("GET", "/models/digits/4/artifact").send().unwrap());
    let import = first.request("POST", "/models?name=mine").header("content-type", "application/x-tar");
    ok(import.body(artifact).send().unwrap());
    let sample = serde_json::json!({"data": [[1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]]});
    let order = serde_json::json!({"config": {"name": "waits", "family": "dense"}, "samples": [sample]});
    ok(first.request("POST", "/train").json(&order).send().unwrap());
    let (denoised, job) = (first.denoise(), first.job());

    let backup = run(folder, &["backup", "kept.tar"]);
    assert!(backup.status.success(), "{}", text(&backup.stderr));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(folder.join("kept.tar")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = run(folder, &["backup", "kept.tar"]);
    assert!(text(&again.stderr).contains("exists already"), "{}", text(&again.stderr));
    drop(first);
    fs::remove_dir_all(folder.join("data")).unwrap();

    let restored = run(folder, &["restore", "kept.tar", "--data-dir", "elsewhere"]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let second = Served::new(folder, "elsewhere", &key);
    assert_eq!(second.denoise(), denoised);
    assert_eq!(second.job(), job);
    let anyone = Client::new().get(second.process.url("/models")).send().unwrap();
    assert_eq!(anyone.status(), 401);
    let samples = fs::read_dir(folder.join("elsewhere/samples")).unwrap().count();
    assert_eq!(samples, 1);

    let occupied = run(folder, &["restore", "kept.tar", "--data-dir", "elsewhere"]);
    assert!(text(&occupied.stderr).contains("not empty"), "{}", text(&occupied.stderr));
}

#[test]
fn the_database_of_a_service_that_ended_in_order_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let service = Served::new(folder, "data", "");
    let put = service.request("PUT", "/models/digits/default").json(&serde_json::json!({"version": 4}));
    ok(put.send().unwrap());
    let log = folder.join("data/limpid.db-wal");
    assert!(log.metadata().unwrap().len() > 0, "what was written is in the log");
    assert_eq!(service.process.end("-TERM").0, Some(0));
    assert!(log.metadata().is_ok_and(|log| log.len() == 0) || !log.exists());
    let backup = run(folder, &["backup", "cold.tar"]);
    assert!(backup.status.success(), "{}", text(&backup.stderr));
}

#[test]
fn what_cannot_be_backed_up_or_restored_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let message = |args: &[&str]| {
        let refused = run(folder, args);
        assert!(!refused.status.success());
        text(&refused.stderr)
    };
    assert!(message(&["backup", "x.tar"]).contains("--data-dir"));
    fs::write(folder.join("x.tar"), "no tar").unwrap();
    assert!(message(&["restore", "x.tar"]).contains("no whole backup"));
    assert!(!folder.join("data/limpid.db").exists());
    let mut command = limpid(folder);
    command.args(["backup", "y.tar"]).env("LIMPID_DATABASE__URL", "postgres://x@localhost/y");
    let refused = text(&command.output().unwrap().stderr);
    assert!(refused.contains("pg_dump"), "{refused}");
}
