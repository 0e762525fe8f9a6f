//! Tests of the precedence of sources and of invalid settings.

use std::path::PathBuf;

use super::*;

fn env(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn load_all(flags: &[Flag], variables: &[(&str, &str)], text: &str) -> Result<Loaded, Error> {
    let (_folder, path) = file(text);
    load(flags, env(variables), Some(&path))
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let flag = ("--queue", "engine.queue", "4".to_owned());
    let variable = ("LIMPID_ENGINE__QUEUE", "3");
    let text = "[engine]\nqueue = 2\n";
    let queue = |loaded: Result<Loaded, Error>| loaded.unwrap().config.engine.queue;
    assert_eq!(queue(load_all(&[flag], &[variable], text)), 4);
    assert_eq!(queue(load_all(&[], &[variable], text)), 3);
    assert_eq!(queue(load_all(&[], &[], text)), 2);
    assert_eq!(queue(load_all(&[], &[], "")), engine::Config::default().queue);
}

#[test]
fn each_value_is_printed_with_its_origin() {
    let flag = ("--bind", "server.bind", "0.0.0.0:80".to_owned());
    let loaded = load_all(&[flag], &[("LIMPID_LOG__FORMAT", "json")], "[engine]\nqueue = 2\n").unwrap();
    let text = print(&loaded, true);
    let line =
        |name: &str| text.lines().find(|line| line.starts_with(&format!("{name} ="))).unwrap().to_owned();
    assert!(line("bind").ends_with("# --bind"), "{text}");
    assert!(line("format").ends_with("# LIMPID_LOG__FORMAT"), "{text}");
    assert!(line("queue").contains("some.toml"), "{text}");
    assert!(line("body_bytes").ends_with("# default"), "{text}");
}

#[test]
fn each_setting_has_a_meaning_and_is_printed_with_it() {
    for Setting { key, meaning, .. } in settings() {
        assert!(meaning.len() > 4, "{key} has no meaning");
    }
    let text = print(&load_all(&[], &[], "").unwrap(), false);
    let (above, _) = text.split_once("\nbind = ").unwrap();
    assert!(above.ends_with("# Address and port; port 0 lets the system choose one."), "{text}");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let loaded =
        load_all(&[], &[("LIMPID_SERVER__CORS_ORIGINS", "https://a.example,https://b.example")], "").unwrap();
    assert_eq!(loaded.config.server.cors_origins.len(), 2);
    assert_eq!(load_all(&[], &[], &print(&loaded, true)).unwrap().config, loaded.config);
}

#[test]
fn sizes_and_durations_are_read_from_every_source() {
    let text = "[limits]\nbody_bytes = \"2MiB\"\n[engine]\nmemory_bytes = 4096\n";
    let variables = [("LIMPID_LIMITS__UPLOAD_BYTES", "1GiB"), ("LIMPID_ENGINE__STUCK_AFTER_SECONDS", "2m")];
    let config = load_all(&[], &variables, text).unwrap().config;
    assert_eq!((config.limits.body_bytes, config.limits.upload_bytes), (2 << 20, 1 << 30));
    assert_eq!((config.engine.memory_bytes, config.engine.stuck_after_seconds), (Some(4096), 120.0));
}

#[test]
fn an_unknown_key_names_itself_its_file_and_its_neighbour() {
    let message = load_all(&[], &[], "[server]\nbindd = \"127.0.0.1:1\"\n").unwrap_err().to_string();
    let has_all = ["some.toml", "server.bindd", "server.bind"].iter().all(|part| message.contains(part));
    assert!(has_all, "{message}");
}

#[test]
fn an_unknown_variable_is_an_error_that_names_the_right_one() {
    let message = load_all(&[], &[("LIMPID_ENGINE__QUEU", "3")], "").unwrap_err().to_string();
    assert!(
        message.contains("LIMPID_ENGINE__QUEU:") && message.contains("LIMPID_ENGINE__QUEUE"),
        "{message}"
    );
}

#[test]
fn variables_of_others_do_not_count() {
    assert!(load_all(&[], &[("LIMPIDITY", "3"), ("PORT", "80")], "").is_ok());
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_of_the_name_are_passed_over() {
    let links = [
        ("LIMPID_SERVICE_HOST", "10.96.0.5"),
        ("LIMPID_SERVICE_PORT", "80"),
        ("LIMPID_SERVICE_PORT_HTTP", "80"),
        ("LIMPID_PORT", "tcp://10.96.0.5:80"),
        ("LIMPID_PORT_80_TCP", "tcp://10.96.0.5:80"),
        ("LIMPID_PORT_80_TCP_PROTO", "tcp"),
        ("LIMPID_PORT_80_TCP_PORT", "80"),
        ("LIMPID_PORT_80_TCP_ADDR", "10.96.0.5"),
        ("LIMPID_WEB_SERVICE_HOST", "10.96.0.6"),
        ("LIMPID_WEB_PORT_443_UDP_ADDR", "10.96.0.6"),
    ];
    assert_eq!(load_all(&[], &links, "").unwrap().config, Config::default());
    for (name, text) in [("LIMPID_PORTS", "80"), ("LIMPID_SERVER__PORT", "80"), ("LIMPID_PORT_X_TCP", "80")] {
        assert!(load_all(&[], &[(name, text)], "").is_err(), "{name}");
    }
}

#[test]
fn a_section_is_not_a_setting() {
    assert!(matches!(load_all(&[], &[("LIMPID_ENGINE", "3")], ""), Err(Error::Unknown { .. })));
}

#[test]
fn a_value_of_the_wrong_type_names_its_origin() {
    let message = load_all(&[], &[("LIMPID_ENGINE__QUEUE", "many")], "").unwrap_err().to_string();
    assert!(message.contains("LIMPID_ENGINE__QUEUE") && message.contains("engine.queue"), "{message}");
    let message = load_all(&[], &[], "[limits]\nbody_bytes = \"big\"\n").unwrap_err().to_string();
    assert!(message.contains("some.toml") && message.contains("64MiB"), "{message}");
}

#[test]
fn a_named_file_must_be_there() {
    assert!(matches!(load(&[], [], Some(Path::new("/no/such.toml"))), Err(Error::File { .. })));
}

#[test]
fn an_empty_data_dir_keeps_nothing() {
    let config = load_all(&[], &[("LIMPID_MODELS__DATA_DIR", "")], "").unwrap().config;
    assert_eq!((config.trained(), config.keys().file), (None, None));
}
