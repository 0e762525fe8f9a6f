//! The service as a process: how it starts, whom it refuses, how it ends.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::support::process::{Process, limpid};

fn output(folder: &Path, args: &[&str]) -> Output {
    limpid(folder).args(args).output().unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn serve(folder: &Path) -> Process {
    Process::serve(&mut limpid(folder))
}

#[test]
fn told_to_stop_it_ends_well_and_soon() {
    for signal in ["-TERM", "-INT"] {
        let folder = folder();
        let (code, took) = serve(folder.path()).end(signal);
        assert!(code == Some(0) && took < Duration::from_secs(25), "{signal}: {code:?} after {took:?}");
    }
}

#[test]
fn a_key_made_on_the_command_line_opens_the_door() {
    let folder = folder();
    let made = output(folder.path(), &["keys", "add", "lab"]);
    let key = String::from_utf8(made.stdout).unwrap();
    let service = serve(folder.path());
    assert!(output(folder.path(), &["health", "--bind", &service.address]).status.success());
    let get = |path: &str| reqwest::blocking::Client::new().get(service.url(path));
    assert_eq!(get("/models").send().unwrap().status(), 401);
    assert_eq!(get("/models").bearer_auth(key.trim()).send().unwrap().status(), 200);
    assert_eq!(get("/readyz").send().unwrap().status(), 204);
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
fn keys_that_are_lost_keep_the_service_from_starting() {
    let folder = folder();
    let message = |args: &[&str]| {
        let refused = output(folder.path(), args);
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{message}");
        message
    };
    let bind = ["serve", "--bind", "127.0.0.1:0"];
    let missing = message(&[&bind[..], &["--keys-file", "no/such/keys"]].concat());
    assert!(missing.contains("no/such/keys") && missing.contains("server.keys_file"), "{missing}");

    assert!(output(folder.path(), &["keys", "add", "lab"]).status.success());
    serve(folder.path()).end("-TERM");
    std::fs::remove_file(folder.path().join("data/keys.jsonl")).unwrap();
    let locked = message(&bind);
    assert!(locked.contains("limpid keys unlock"), "{locked}");
    assert!(output(folder.path(), &["keys", "unlock"]).status.success());
    let service = serve(folder.path());
    assert_eq!(reqwest::blocking::get(service.url("/models")).unwrap().status(), 200);
}

#[test]
fn an_unknown_setting_is_refused_by_its_name() {
    let folder = folder();
    let mut command = limpid(folder.path());
    let refused =
        command.args(["config", "check"]).env("LIMPID_SERVER__BINDD", "127.0.0.1:1").output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(
        message.contains("LIMPID_SERVER__BINDD") && message.contains("LIMPID_SERVER__BIND\""),
        "{message}"
    );
}

#[test]
fn secrets_are_printed_only_where_that_is_asked_for() {
    let folder = folder();
    let print = |args: &[&str]| {
        let mut command = limpid(folder.path());
        command.env("LIMPID_DATABASE__URL", "postgres://limpid:hush@db/limpid");
        command.env("LIMPID_JOBS__WEBHOOK_SECRET", "whisper");
        let printed = command.args(["config", "print"]).args(args).output().unwrap();
        String::from_utf8(printed.stdout).unwrap()
    };
    let (hidden, shown) = (print(&[]), print(&["--secrets"]));
    assert!(!hidden.contains("hush") && !hidden.contains("whisper"), "{hidden}");
    assert!(hidden.contains("postgres://limpid:***@db/limpid\""), "{hidden}");
    assert!(hidden.contains("# LIMPID_JOBS__WEBHOOK_SECRET"), "the origin is shown: {hidden}");
    assert!(shown.contains("limpid:hush@db") && shown.contains("\"whisper\""), "{shown}");
}

#[cfg(unix)]
#[test]
fn a_new_data_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    serve(folder.path()).end("-TERM");
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
}

#[test]
fn settings_are_printed_with_where_they_come_from() {
    let folder = folder();
    std::fs::write(folder.path().join("limpid.toml"), "[limits]\nbody_bytes = \"1MiB\"\n").unwrap();
    let mut command = limpid(folder.path());
    let printed = command
        .args(["config", "print", "--threads", "3"])
        .env("LIMPID_LOG__LEVEL", "warn")
        .output()
        .unwrap();
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
