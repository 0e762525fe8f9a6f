//! The service as a process: how it starts, whom it refuses, how it ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// `limpid` in a folder of its own, with no settings of this machine.
fn limpid(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limpid"));
    command.current_dir(folder).args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIMPID_")) {
        command.env_remove(name);
    }
    command
}

fn output(folder: &Path, args: &[&str]) -> Output {
    limpid(folder, args).output().unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A service on a free port of this machine.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(folder: &Path) -> Self {
        let args = ["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
        let mut child = limpid(folder, &args).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).ok()?;
            line["address"].as_str().map(str::to_owned)
        });
        // Read on, so that the service never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let service = Self { child, address: address.expect("the log names the address") };
        let begun = Instant::now();
        while !output(folder, &["health", "--bind", &service.address]).status.success() {
            assert!(begun.elapsed() < Duration::from_secs(60), "not ready within a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
        service
    }

    fn get(&self, path: &str, key: Option<&str>) -> u16 {
        let mut request = reqwest::blocking::Client::new().get(format!("http://{}{path}", self.address));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request.send().unwrap().status().as_u16()
    }

    /// Sends a signal; the exit code and the time it took.
    fn end(mut self, signal: &str) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        (self.child.wait().unwrap().code(), begun.elapsed())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn told_to_stop_it_ends_well_and_soon() {
    for signal in ["-TERM", "-INT"] {
        let folder = folder();
        let (code, took) = Service::start(folder.path()).end(signal);
        assert!(code == Some(0) && took < Duration::from_secs(25), "{signal}: {code:?} after {took:?}");
    }
}

#[test]
fn a_key_made_on_the_command_line_opens_the_door() {
    let folder = folder();
    let made = output(folder.path(), &["keys", "add", "lab"]);
    let key = String::from_utf8(made.stdout).unwrap();
    let service = Service::start(folder.path());
    assert_eq!(service.get("/models", None), 401);
    assert_eq!(service.get("/models", Some(key.trim())), 200);
    assert_eq!(service.get("/readyz", None), 204);
}

#[test]
fn others_are_not_served_without_keys_unless_it_is_said() {
    let folder = folder();
    let refused = output(folder.path(), &["serve", "--bind", "0.0.0.0:0"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains("--allow-anonymous") && message.contains("limpid keys add"), "{message}");
}

#[test]
fn an_unknown_setting_is_refused_by_its_name() {
    let folder = folder();
    let mut command = limpid(folder.path(), &["config", "check"]);
    let refused = command.env("LIMPID_SERVER__BINDD", "127.0.0.1:1").output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(
        message.contains("LIMPID_SERVER__BINDD") && message.contains("LIMPID_SERVER__BIND\""),
        "{message}"
    );
}

#[test]
fn settings_are_printed_with_where_they_come_from() {
    let folder = folder();
    std::fs::write(folder.path().join("limpid.toml"), "[limits]\nbody_bytes = \"1MiB\"\n").unwrap();
    let mut command = limpid(folder.path(), &["config", "print", "--threads", "3"]);
    let printed = command.env("LIMPID_LOG__LEVEL", "warn").output().unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert!(line("threads = 3").ends_with("# --threads"), "{text}");
    assert!(line("level = \"warn\"").ends_with("# LIMPID_LOG__LEVEL"), "{text}");
    assert!(line("body_bytes = 1048576").ends_with("# limpid.toml"), "{text}");
    assert!(line("bind = ").ends_with("# default"), "{text}");
}

#[test]
fn nothing_that_listens_is_not_healthy() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let checked = output(folder().path(), &["health", "--bind", &free.to_string()]);
    assert_eq!(checked.status.code(), Some(1));
}
