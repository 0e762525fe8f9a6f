//! Tests of attempts at jobs.

use super::super::File;
use super::*;
use crate::db::{self, testing::on_each};

/// Runs `test` on an attempt at a job, and on the path of its checkpoint.
fn on_an_attempt(test: impl Fn(&Attempt<'_>, &std::path::Path)) {
    on_each(|db| {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let registry = Registry::open(None, None).unwrap();
        let worker = Worker::new(Config::default(), Limits::default(), db, store, registry, "a".to_owned());
        let config = train::Config::new("a".parse().unwrap());
        let taken = Taken { id: "job".into(), config, files: vec![], fence: 1 };
        let path = worker.store.checkpoint(&taken.id);
        fs::write(&path, "x").unwrap();
        test(&Attempt::new(&worker, &taken, &AtomicBool::new(false)), &path);
    });
}

#[test]
fn who_lost_the_job_stops_without_a_checkpoint() {
    on_an_attempt(|attempt, _| {
        for (wanted, control) in [
            (Wanted::Work, Control::Continue),
            (Wanted::Pause, Control::Cancel),
            (Wanted::Cancel, Control::Cancel),
            (Wanted::Nothing, Control::Abandon),
        ] {
            *lock(&attempt.wanted) = wanted;
            assert_eq!(attempt.control(), control, "{wanted:?}");
        }
    });
}

#[test]
fn only_a_checkpoint_that_is_damaged_is_forgotten() {
    on_an_attempt(|attempt, path| {
        let source = std::io::Error::from_raw_os_error(5);
        let unread = train::Error::Io { path: "x".into(), source };
        assert!(matches!(attempt.end(unread.into()), Some(End::Fault(_))) && path.exists());
        let damaged = train::Error::Checkpoint { path: "x".into(), reason: "is cut".into() };
        assert!(matches!(attempt.end(damaged.into()), Some(End::Fault(_))) && !path.exists());
    });
}

#[test]
fn a_job_whose_samples_are_not_here_is_left_to_another_worker() {
    on_an_attempt(|attempt, path| {
        fs::remove_file(path).unwrap();
        let end = attempt.end(Stopped::Samples("a.csv is missing".into()));
        assert!(matches!(end, Some(End::Fault(_))));
        let file = File { name: "a.csv".into(), sha256: "0".repeat(64), bytes: 1 };
        let taken = Taken { files: vec![file], ..attempt.taken.clone() };
        let attempt = Attempt::new(attempt.worker, &taken, attempt.stop);
        assert!(!attempt.worker.passes_over("job"));
        assert!(matches!(attempt.read(), Err(Stopped::Samples(_))));
        assert!(attempt.worker.passes_over("job") && !attempt.worker.passes_over("another"));
    });
}

#[test]
fn bad_samples_are_the_callers_fault() {
    let bad = train::Error::Invalid { field: "samples".into(), reason: "there is none".into() };
    assert_eq!(describe(&bad).code, "invalid_input");
}

#[test]
fn a_full_disk_is_told_from_other_errors() {
    // ENOSPC, EDQUOT, EIO.
    for (code, is_full) in [(28, true), (122, true), (5, false)] {
        let source = std::io::Error::from_raw_os_error(code);
        assert_eq!(is_disk_full(&train::Error::Io { path: "x".into(), source }), is_full, "{code}");
    }
    let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert!(is_disk_full(&registry::Error::Io { path: "x".into(), source }.into()));
    assert!(is_disk_full(&registry::Error::Db(db::Error::Full).into()));
}
