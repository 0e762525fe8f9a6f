//! Keys are found, reloaded and required.

use super::live::CHECK_EVERY;
use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn a_key_is_found_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let key = add(&path, name("lab"), vec![Scope::Infer]).unwrap();
    assert!(key.starts_with("limpid_") && key.len() == 50, "{key}");
    let keys = Keys::open(Source::optional(path.clone())).unwrap();
    assert_eq!(keys.find(&key).unwrap().name, name("lab"));
    assert!(keys.find("limpid_x").is_none() && !keys.is_open());

    remove(&path, &name("lab")).unwrap();
    std::thread::sleep(CHECK_EVERY);
    assert!(keys.find(&key).is_none());
    assert!(!keys.is_open(), "removing the last key must not open the door");
    assert!(matches!(Keys::open(Source::optional(path)), Err(Error::Locked(_))));
}

#[test]
fn the_file_never_holds_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let key = add(&path, name("lab"), vec![Scope::Train]).unwrap();
    assert!(!fs::read_to_string(path).unwrap().contains(&key["limpid_".len()..]));
}

#[test]
fn admin_includes_the_other_scopes() {
    let entry = |scopes| Entry {
        name: name("x"),
        scopes,
        sha256: String::new(),
        created_at: Timestamp::now(),
        rate: None,
    };
    assert!(entry(vec![Scope::Admin]).allows(Scope::Infer));
    assert!(!entry(vec![Scope::Infer]).allows(Scope::Train));
}

#[test]
fn names_are_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    add(&path, name("a"), vec![Scope::Infer]).unwrap();
    assert!(matches!(add(&path, name("a"), vec![]), Err(Error::Exists(_))));
    assert!(matches!(remove(&path, &name("b")), Err(Error::Unknown(_))));
}

#[test]
fn a_broken_line_is_named_at_the_start_and_ignored_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let key = add(&path, name("a"), vec![Scope::Infer]).unwrap();
    let keys = Keys::open(Source::optional(path.clone())).unwrap();
    fs::write(&path, "\n{\"name\": \"a\"}\n").unwrap();
    std::thread::sleep(CHECK_EVERY);
    assert!(keys.find(&key).is_some(), "the keys read before stay");
    assert!(matches!(Keys::open(Source::optional(path)), Err(Error::Line { line: 2, .. })));
}

/// A service with a data folder; `is_configured` as by `server.keys_file`.
fn source(folder: &Path, is_configured: bool) -> Source {
    Source {
        file: Some(folder.join("keys.jsonl")),
        is_configured,
        lock: Lock::new(Some(folder.join("keys.required"))),
    }
}

#[test]
fn a_configured_file_must_be_there_and_hold_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let open = |is_configured| Keys::open(source(folder.path(), is_configured));
    assert!(open(false).unwrap().is_open());
    let message = open(true).unwrap_err().to_string();
    assert!(message.contains("keys.jsonl") && message.contains("server.keys_file"), "{message}");
    fs::write(folder.path().join("keys.jsonl"), "\n").unwrap();
    assert!(matches!(open(true), Err(Error::Locked(_))));
}

#[test]
fn a_service_that_had_keys_stays_locked_until_it_is_unlocked() {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = (source(folder.path(), false), folder.path().join("keys.jsonl"));
    add(&path, name("lab"), vec![Scope::Infer]).unwrap();
    assert!(!Keys::open(source.clone()).unwrap().is_open());
    assert!(matches!(source.unlock(), Err(Error::InUse { count: 1, .. })));

    fs::remove_file(&path).unwrap();
    let message = Keys::open(source.clone()).unwrap_err().to_string();
    assert!(message.contains("limpid keys unlock"), "{message}");
    source.unlock().unwrap();
    assert!(Keys::open(source.clone()).unwrap().is_open());

    add(&path, name("lab"), vec![Scope::Infer]).unwrap();
    remove(&path, &name("lab")).unwrap();
    assert!(matches!(Keys::open(source.clone()), Err(Error::Locked(_))));
    source.unlock().unwrap();
    assert!(Keys::open(source).unwrap().is_open());
}

#[test]
fn keys_that_come_while_it_runs_lock_later_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = (source(folder.path(), false), folder.path().join("keys.jsonl"));
    let keys = Keys::open(source.clone()).unwrap();
    assert!(keys.is_open());
    add(&path, name("lab"), vec![Scope::Infer]).unwrap();
    std::thread::sleep(CHECK_EVERY);
    assert!(!keys.is_open());
    fs::remove_file(&path).unwrap();
    assert!(matches!(Keys::open(source), Err(Error::Locked(_))));
}

#[test]
fn keys_added_at_the_same_time_are_all_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.jsonl");
    std::thread::scope(|scope| {
        for i in 0..16 {
            let path = &path;
            scope.spawn(move || add(path, format!("k{i}").parse().unwrap(), vec![Scope::Infer]).unwrap());
        }
    });
    let mut names: Vec<String> = list(&path).unwrap().iter().map(|entry| entry.name.to_string()).collect();
    names.sort();
    let mut wanted: Vec<String> = (0..16).map(|i| format!("k{i}")).collect();
    wanted.sort();
    assert_eq!(names, wanted);
}
