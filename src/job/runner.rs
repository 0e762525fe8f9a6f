//! The runner: the thread that trains, one job after another.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;

use super::table::Begun;
use super::{Failure, Inner, Scheme, Status};
use crate::registry;
use crate::train::{self, Control, Run};

/// Starts the thread; it ends when the service stops.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start(inner: Arc<Inner>) -> io::Result<()> {
    let run = move || {
        be_nice(inner.config.nice);
        while let Some(begun) = next(&inner) {
            work(&inner, begun, train);
        }
        inner.has_ended.send_replace(true);
    };
    thread::Builder::new().name("train".to_owned()).spawn(run).map(drop)
}

/// The next job; sleeps until there is one, none when the service stops.
fn next(inner: &Inner) -> Option<Begun> {
    let mut table = inner.lock();
    loop {
        if table.is_stopping {
            return None;
        }
        if let Some(begun) = table.begin() {
            return Some(begun);
        }
        table = inner.bell.wait(table).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Runs one job to its end, whatever that is.
fn work(inner: &Inner, begun: Begun, train: impl FnOnce(&Inner, Begun) -> Result<train::Outcome, Failed>) {
    let (id, name) = (begun.id.clone(), begun.config.name.clone());
    tracing::info!(job = %id, model = %name, "training begins");
    // A panic costs this job only: it works on its own data, and what it shares is published whole.
    let result = catch_unwind(AssertUnwindSafe(|| train(inner, begun)));
    let result = result.unwrap_or_else(|_| Err(Failed::Panicked));
    match result {
        Ok(outcome) => {
            // The next request for the model is served by the new version.
            inner.engine.reload(&name);
            tracing::info!(job = %id, model = %name, version = outcome.version, "training succeeded");
            inner.lock().change(&id, Status::Succeeded, |job| job.result = Some(outcome.into()));
        }
        Err(Failed::Train(train::Error::Cancelled)) => {
            tracing::info!(job = %id, model = %name, "training cancelled");
            inner.lock().change(&id, Status::Cancelled, |_| ());
        }
        Err(failed) => {
            let failure = failed.describe();
            tracing::warn!(job = %id, model = %name, error = %failure.detail, "training failed");
            inner.lock().change(&id, Status::Failed, |job| job.error = Some(failure));
        }
    }
}

/// Samples, then training, then a new version.
fn train(inner: &Inner, begun: Begun) -> Result<train::Outcome, Failed> {
    let Begun { id, config, source, stop } = begun;
    let control = || if stop.load(Ordering::Acquire) { Control::Cancel } else { Control::Continue };
    let registry = inner.engine.registry();

    let dataset = source.read(&config, registry, &inner.limits)?;
    inner.lock().note(&id, |job| job.samples = Some((&dataset).into()));
    if control() == Control::Cancel {
        return Err(train::Error::Cancelled.into());
    }
    if !dataset.items.is_empty() {
        let (scheme, reason) = config.choose_scheme(&dataset)?;
        let name = if scheme == train::Scheme::Pairs { "pairs" } else { "clean" }.to_owned();
        inner.lock().note(&id, |job| job.scheme = Some(Scheme { name, reason }));
    }

    inner.lock().change(&id, Status::Running, |_| ());
    let recipe = serde_json::to_string(&config).unwrap_or_default();
    let run = Run {
        config: &config,
        dataset: &dataset,
        registry,
        checkpoint: None,
        data: format!("{} uploaded samples", dataset.items.len()),
        recipe: format!("POST /train with the config {recipe}"),
    };
    Ok(run.run(&mut |progress| {
        inner.lock().note(&id, |job| job.progress = Some(progress.into()));
        control()
    })?)
}

/// Why a job came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Train(#[from] train::Error),
    #[error("training failed unexpectedly; the log of the service has the place")]
    Panicked,
}

impl Failed {
    /// With the contract's error code.
    fn describe(&self) -> Failure {
        use train::Error::{Dataset, Diverged, Invalid, Registry};
        let code = match self {
            Failed::Train(Invalid { .. } | Dataset(_) | Diverged { .. }) => "invalid_input",
            Failed::Train(Registry(registry::Error::ModelNotFound(_))) => "model_not_found",
            Failed::Train(Registry(registry::Error::VersionNotFound { .. })) => "version_not_found",
            Failed::Train(Registry(registry::Error::Io { source, .. }))
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                "disk_full"
            }
            Failed::Train(_) | Failed::Panicked => "internal",
        };
        Failure { code: code.to_owned(), detail: self.to_string() }
    }
}

/// Makes this thread yield to those that serve.
#[cfg(target_os = "linux")]
fn be_nice(nice: u8) {
    // On Linux `None` means the calling thread, not the process.
    if let Err(error) = rustix::process::setpriority_process(None, nice.min(19).into()) {
        tracing::warn!(%error, "training keeps the priority of serving");
    }
}

#[cfg(not(target_os = "linux"))]
fn be_nice(_nice: u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_samples_are_the_callers_fault_and_a_panic_is_ours() {
        let bad = train::Error::Invalid { field: "samples".into(), reason: "there is none".into() };
        assert_eq!(Failed::from(bad).describe().code, "invalid_input");
        assert_eq!(Failed::Panicked.describe().code, "internal");
    }

    #[test]
    fn a_panic_fails_one_job_and_the_next_one_runs() {
        let registry = Arc::new(registry::Registry::open(None, None).unwrap());
        let engine = crate::engine::Engine::start(Default::default(), registry);
        let (has_ended, _) = tokio::sync::watch::channel(false);
        let (table, bell) = Default::default();
        let inner =
            Inner { config: Default::default(), limits: Default::default(), engine, table, bell, has_ended };
        let mut ids = Vec::new();
        for _ in 0..2 {
            let config = train::Config::new("a".parse().unwrap());
            let entry = super::super::table::Entry::new(config, super::super::Source::Uploads(vec![]), 0);
            ids.push(entry.job().id);
            inner.lock().add(entry, 9);
        }
        let (first, second) = (next(&inner).unwrap(), next(&inner).unwrap());
        work(&inner, first, |_, _| panic!("deep in the tensor code"));
        work(&inner, second, |inner, begun| {
            inner.lock().change(&begun.id, Status::Running, |_| ());
            let scores = serde_json::json!({});
            Ok(train::Outcome { model: begun.config.name, version: 1, promoted: true, scores })
        });
        let job = |id: &String| inner.lock().find(id).unwrap().job();
        assert_eq!((job(&ids[0]).status, job(&ids[1]).status), (Status::Failed, Status::Succeeded));
        assert_eq!(job(&ids[0]).error.unwrap().code, "internal");
    }

    #[test]
    fn a_full_disk_has_its_own_code() {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        let error = registry::Error::Io { path: "x".into(), source };
        assert_eq!(Failed::Train(error.into()).describe().code, "disk_full");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn niceness_is_of_one_thread_only() {
        let niceness = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // Behind the name in parentheses, which may hold spaces: state is word 0, niceness word 16.
            let words = stat.rsplit(") ").next().unwrap();
            words.split_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = niceness();
        let other = thread::spawn(move || {
            be_nice(12);
            niceness()
        });
        assert_eq!((other.join().unwrap(), niceness()), (12, before));
    }
}
