//! Jobs from their samples to the version they publish, with real training of a small model.

use std::sync::Arc;

use super::*;
use crate::registry::Registry;

/// Twenty vectors of eight numbers, as a table.
fn vectors() -> Source {
    let row =
        |i: usize| (0..8).map(|j| format!("{:.3}", ((i * 3 + j) as f32 * 0.7).sin())).collect::<Vec<_>>();
    let text: String = (0..20).map(|i| row(i).join(",") + "\n").collect();
    Source::Uploads(vec![("sines.csv".to_owned(), text.into_bytes())])
}

fn config(steps: u64) -> train::Config {
    let json =
        serde_json::json!({"name": "sines", "steps": steps, "family": "dense", "latent": {"numbers": 4}});
    serde_json::from_value(json).unwrap()
}

/// Jobs over a registry in a folder of their own.
struct Place {
    _folder: tempfile::TempDir,
    engine: Engine,
    jobs: Jobs,
}

impl Place {
    fn new(queue: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::open(None, Some(folder.path().join("models"))).unwrap());
        let engine = Engine::start(crate::engine::Config::default(), registry);
        let jobs = Jobs::start(Config { queue, ..Config::default() }, Limits::default(), engine.clone());
        Self { _folder: folder, engine, jobs }
    }

    /// The job when `is_there` holds for it.
    async fn when(&self, id: &str, is_there: impl FnMut(&Job) -> bool) -> Job {
        let mut watch = self.jobs.watch(id).unwrap();
        let wait = watch.wait_for(is_there);
        tokio::time::timeout(Duration::from_secs(120), wait)
            .await
            .expect("within two minutes")
            .unwrap()
            .clone()
    }

    async fn over(&self, id: &str) -> Job {
        self.when(id, |job| job.status.is_final()).await
    }
}

#[tokio::test]
async fn a_job_ends_in_a_version_that_serves_at_once() {
    let place = Place::new(4);
    let submitted = place.jobs.submit(config(30), vectors()).unwrap();
    assert_eq!((submitted.status, submitted.attempt), (Status::Queued, 0));
    let job = place.over(&submitted.id).await;
    assert_eq!((job.status, job.error), (Status::Succeeded, None));
    assert_eq!((job.samples.unwrap().used, job.scheme.unwrap().name.as_str()), (20, "clean"));
    let progress = job.progress.unwrap();
    assert_eq!((progress.step, progress.total_steps), (30, Some(30)));
    assert_eq!(job.result.map(|r| r.version), Some(1));
    assert!(job.started_at <= job.finished_at);
    let session = place.engine.session(&"sines".parse().unwrap()).await.unwrap();
    assert_eq!(session.id().version, 1);
}

#[tokio::test]
async fn a_running_job_is_cancelled_within_a_step_and_publishes_nothing() {
    let place = Place::new(4);
    let id = place.jobs.submit(config(10_000_000), vectors()).unwrap().id;
    place.when(&id, |job| job.progress.is_some()).await;
    place.jobs.cancel(&id).unwrap();
    assert_eq!(place.over(&id).await.status, Status::Cancelled);
    assert!(place.engine.registry().list().is_empty());
}

#[tokio::test]
async fn jobs_beyond_the_queue_are_refused_until_one_is_over() {
    let place = Place::new(0);
    let id = place.jobs.submit(config(10_000_000), vectors()).unwrap().id;
    assert!(matches!(place.jobs.submit(config(1), vectors()), Err(Error::QueueFull { .. })));
    place.jobs.cancel(&id).unwrap();
    place.over(&id).await;
    assert!(place.jobs.submit(config(1), vectors()).is_ok());
}

#[tokio::test]
async fn samples_that_cannot_be_used_fail_the_job_with_a_reason() {
    let place = Place::new(4);
    let nonsense = Source::Uploads(vec![("a.png".to_owned(), b"not a picture".to_vec())]);
    let id = place.jobs.submit(config(30), nonsense).unwrap().id;
    let job = place.over(&id).await;
    assert_eq!(job.status, Status::Failed);
    let error = job.error.unwrap();
    assert!(error.code == "invalid_input" && error.detail.contains("a.png"), "{error:?}");
}

#[tokio::test]
async fn what_cannot_end_well_is_refused_at_once() {
    let place = Place::new(4);
    let mut bad = config(30);
    bad.base = Some("no-such".into());
    assert!(matches!(place.jobs.submit(bad, vectors()), Err(Error::Train(train::Error::Registry(_)))));
    assert!(matches!(
        place.jobs.submit(config(0), vectors()),
        Err(Error::Train(train::Error::Invalid { .. }))
    ));

    let engine =
        Engine::start(crate::engine::Config::default(), Arc::new(Registry::open(None, None).unwrap()));
    let jobs = Jobs::start(Config::default(), Limits::default(), engine);
    let refused = jobs.submit(config(30), vectors()).unwrap_err();
    assert!(refused.to_string().contains("--data-dir"), "{refused}");
}

#[tokio::test]
async fn samples_beyond_the_budget_are_refused() {
    let place = Place::new(4);
    let tight = Config { queue_bytes: 10, ..Config::default() };
    let jobs = Jobs::start(tight, Limits::default(), place.engine.clone());
    assert!(matches!(jobs.submit(config(30), vectors()), Err(Error::TooLarge { limit: 10, .. })));
}

#[tokio::test]
async fn shutdown_stops_what_runs_and_what_waits() {
    let place = Place::new(4);
    let ids = [(); 2].map(|()| place.jobs.submit(config(10_000_000), vectors()).unwrap().id);
    assert!(place.jobs.shutdown(Duration::from_secs(60)).await);
    let status = |id: &String| place.jobs.get(id).unwrap().status;
    assert_eq!(ids.each_ref().map(status), [Status::Cancelled; 2]);
    assert!(matches!(place.jobs.submit(config(1), vectors()), Err(Error::Draining)));
}
