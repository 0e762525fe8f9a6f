//! Training machines: workers elsewhere, which share a service's data folder and database, do its jobs.

use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use crate::support::process::signal;
use crate::support::program::Program;

/// A Postgres of this test's own; a reason where it is not installed.
fn postgres() -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres");
    let out = Command::new(script).arg(std::process::id().to_string()).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    match out.status.code() {
        Some(0) => Ok(format!("postgres://limpid@localhost/postgres?host={}", text(&out.stdout))),
        Some(3) => Err(text(&out.stderr)),
        _ => panic!("{script}: {}", text(&out.stderr)),
    }
}

/// Workers that are ended with the test.
struct Workers(Vec<Child>);

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

/// Two workers share the jobs of a service that has none; one is killed at work, and the other goes on with
/// what it left, to the weights that the service's own worker would have given.
#[cfg(unix)]
#[test]
fn workers_elsewhere_share_the_jobs_of_a_service() {
    let calm = Program::start();
    let submit = |service: &Program, seed| service.submit(&format!("seed-{seed}"), seed);
    let ids: Vec<String> = (0..3).map(|seed| submit(&calm, seed)).collect();
    calm.wait_for(&ids);
    let expected = calm.digests();
    drop(calm);

    let url = postgres().inspect_err(|reason| eprintln!("on SQLite only: {reason}"));
    let database = url.iter().map(|url| ("DATABASE__URL", url.as_str()));
    let service = Program::with(&database.chain([("JOBS__WORKERS", "0")]).collect::<Vec<_>>());
    let ids: Vec<String> = (0..3).map(|seed| submit(&service, seed)).collect();
    sleep(Duration::from_millis(500));
    assert!(ids.iter().all(|id| service.status(id).as_deref() == Some("queued")), "nobody trains yet");

    let mut workers = Workers(vec![service.spawn_worker(), service.spawn_worker()]);
    let are_running = || ids.iter().filter(|id| service.status(id).as_deref() == Some("running")).count();
    while are_running() < 2 {
        sleep(Duration::from_millis(20));
    }
    assert!(signal(workers.0[0].id(), "-KILL"));
    let _ = workers.0[0].wait();
    service.wait_for(&ids);
    assert_eq!(service.digests(), expected);

    // Told to stop, a worker ends well.
    assert!(signal(workers.0[1].id(), "-TERM"));
    assert_eq!(workers.0[1].wait().unwrap().code(), Some(0));
}

/// A training process that hangs does not renew the lease of its job: the service ends it, and the next one finishes the job.
#[cfg(unix)]
#[test]
fn a_worker_that_hangs_is_replaced() {
    let service = Program::with(&[("JOBS__STOP_SECONDS", "1")]);
    let id = service.submit("hung", 0);
    while service.status(&id).as_deref() != Some("running") {
        sleep(Duration::from_millis(20));
    }
    assert!(service.signal_worker("-STOP"));
    service.wait_for(std::slice::from_ref(&id));
    let job = service.get(&format!("/train/{id}")).unwrap();
    assert_eq!(job["attempt"], 2, "{job}");
}
