//! Tests of jobs from their samples to the version they publish, on SQLite and on Postgres, with real training of a
//! small model and workers on threads of this process.

mod healing;
mod queueing;

use std::thread::JoinHandle;
use std::time::Instant;

use super::queue::Taken;
use super::*;
use crate::db::testing::on_each;
use crate::limits::Limits;
use crate::registry::Registry;

fn config(steps: u64) -> train::Config {
    let json =
        serde_json::json!({"name": "sines", "steps": steps, "family": "dense", "latent": {"numbers": 4}});
    serde_json::from_value(json).unwrap()
}

/// Returns a table of twenty vectors of eight numbers.
fn vectors() -> String {
    let row =
        |i: usize| (0..8).map(|j| format!("{:.3}", ((i * 3 + j) as f32 * 0.7).sin())).collect::<Vec<_>>();
    (0..20).map(|i| row(i).join(",") + "\n").collect()
}

/// Jobs with a folder and a database of their own.
struct Site {
    folder: tempfile::TempDir,
    db: Db,
    store: Arc<Store>,
    registry: Registry,
    jobs: Jobs,
    config: Config,
}

impl Site {
    fn new(db: &Db, config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let registry = Registry::open_with(None, folder.path().join("models"), db.clone()).unwrap();
        let engine = Engine::start(crate::engine::Config::default(), Arc::new(registry.clone()));
        let jobs = Jobs::start(config.clone(), engine, Some((db.clone(), Arc::clone(&store))), None);
        Self { folder, db: db.clone(), store, registry, jobs, config }
    }

    fn order(&self, steps: u64) -> Order {
        self.order_of(steps, "sines.csv", vectors().as_bytes())
    }

    fn order_of(&self, steps: u64, name: &str, bytes: &[u8]) -> Order {
        let blob = self.store.put::<_, std::io::Error>([Ok(bytes)]).unwrap();
        let file = File { name: name.into(), sha256: blob.sha256, bytes: blob.bytes };
        Order {
            config: config(steps),
            webhook: None,
            files: vec![file],
            idempotency_key: None,
            owner: String::new(),
        }
    }

    fn submit(&self, steps: u64) -> String {
        self.jobs.submit(&self.order(steps)).unwrap().0.id
    }

    fn queue(&self) -> Queue {
        Queue { db: self.db.clone(), config: self.config.clone() }
    }

    fn take(&self, worker: &str) -> Option<Taken> {
        self.queue().take(worker, &|_| true, &|_| 0).unwrap()
    }

    fn status(&self, id: &str) -> Status {
        self.jobs.get(id).unwrap().status
    }

    /// Starts a worker on a thread; it stops on drop.
    fn worker(&self) -> Working {
        let registry = Registry::open_with(None, self.folder.path().join("models"), self.db.clone()).unwrap();
        let id = format!("worker-{}", uuid::Uuid::now_v7());
        let (db, store) = (self.db.clone(), Arc::clone(&self.store));
        let worker = Worker::new(self.config.clone(), Limits::default(), db, store, registry, id);
        let stop = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&stop);
        Working { stop, thread: Some(std::thread::spawn(move || worker.run(&own))) }
    }

    /// Waits until `is_there` holds for the job.
    fn when(&self, id: &str, is_there: impl Fn(&Job) -> bool) -> Job {
        let begun = Instant::now();
        loop {
            let job = self.jobs.get(id).unwrap();
            if is_there(&job) {
                return job;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{job:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn over(&self, id: &str) -> Job {
        self.when(id, |job| job.status.is_final())
    }

    fn kinds(&self, id: &str) -> Vec<String> {
        self.jobs.events(id, 0).unwrap().into_iter().map(|event| event.kind).collect()
    }
}

struct Working {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn on_sites(config: Config, test: impl Fn(Site)) {
    on_each(|db| test(Site::new(&db, config.clone())));
}

#[test]
fn a_job_ends_in_a_version_that_serves_at_once() {
    on_sites(Config::default(), |site| {
        let _worker = site.worker();
        let id = site.submit(30);
        let job = site.over(&id);
        assert_eq!((job.status, job.error), (Status::Succeeded, None));
        assert_eq!((job.samples.unwrap().used, job.scheme.unwrap().name.as_str()), (20, "clean"));
        let progress = job.progress.unwrap();
        assert_eq!((progress.step, progress.total_steps), (30, Some(30)));
        let [point] = job.curve[..] else { panic!("{:?}", job.curve) };
        assert_eq!((point.step, Some(point.psnr_db)), (30, progress.psnr_db));
        assert!(point.loss.is_some_and(|loss| loss > 0.0));
        assert_eq!((job.result.map(|r| r.version), job.attempt), (Some(1), 1));
        assert!(job.created_at <= job.started_at.unwrap() && job.started_at <= job.finished_at);
        assert_eq!(site.registry.get(&"sines".parse().unwrap()).unwrap().versions, [1]);
        let kinds = site.kinds(&id);
        assert_eq!((kinds.first().unwrap().as_str(), kinds.last().unwrap().as_str()), ("status", "done"));
        let later = site.jobs.events(&id, kinds.len() as i64 - 1).unwrap();
        assert_eq!((later.len(), later[0].id, later[0].kind.as_str()), (1, kinds.len() as i64, "done"));
    });
}

#[test]
fn a_running_job_is_cancelled_and_publishes_nothing() {
    on_sites(Config::default(), |site| {
        let _worker = site.worker();
        let id = site.submit(10_000_000);
        site.when(&id, |job| job.progress.is_some());
        site.jobs.cancel(&id).unwrap();
        assert_eq!(site.over(&id).status, Status::Cancelled);
        assert!(site.registry.list().is_empty());
        assert_eq!(site.jobs.cancel(&id).unwrap().status, Status::Cancelled);
        assert!(matches!(site.jobs.pause(&id), Err(Error::State { wanted: "paused", .. })));
    });
}

#[test]
fn a_job_rests_and_goes_on_with_the_weights_it_would_have_had() {
    on_sites(Config::default(), |site| {
        let _worker = site.worker();
        let steps = 6000;
        let undisturbed = site.submit(steps);
        site.over(&undisturbed);
        let id = site.submit(steps);
        site.when(&id, |job| job.status == Status::Running);
        site.jobs.pause(&id).unwrap();
        let job = site.when(&id, |job| job.status == Status::Paused || job.status.is_final());
        assert_eq!(job.status, Status::Paused);
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(site.status(&id), Status::Paused);
        site.jobs.resume(&id).unwrap();
        let job = site.over(&id);
        assert_eq!((job.status, job.attempt), (Status::Succeeded, 2));
        let digest =
            |version| site.registry.read(&format!("sines@{version}").parse().unwrap()).unwrap().id.digest;
        assert_eq!(digest(1), digest(2));
    });
}

#[test]
fn a_worker_that_is_told_to_stop_puts_its_job_back() {
    on_sites(Config::default(), |site| {
        let id = site.submit(10_000_000);
        let worker = site.worker();
        site.when(&id, |job| job.progress.is_some());
        drop(worker);
        assert_eq!(site.status(&id), Status::Queued);
        assert!(site.store.checkpoint(&id).exists());
        site.jobs.cancel(&id).unwrap();
        keeper::sweep(&site.jobs.0, site.jobs.0.place().unwrap()).unwrap();
        assert!(!site.store.checkpoint(&id).exists());
    });
}

#[test]
fn the_same_key_is_the_same_job() {
    on_sites(Config::default(), |site| {
        let mut order = site.order(5);
        order.idempotency_key = Some("k".into());
        let (job, is_new) = site.jobs.submit(&order).unwrap();
        assert!(is_new);
        assert_eq!(site.jobs.submit(&order).unwrap(), (job, false));
        order.config.seed = 9;
        assert!(matches!(site.jobs.submit(&order), Err(Error::Idempotency(_))));
        order.idempotency_key = Some("other".into());
        assert!(site.jobs.submit(&order).unwrap().1);
    });
}

#[test]
fn jobs_are_listed_newest_first_page_by_page_and_by_state_and_name() {
    on_sites(Config::default(), |site| {
        let mut ids: Vec<String> = (0..5).map(|_| site.submit(1)).collect();
        ids.reverse();
        site.jobs.cancel(&ids[1]).unwrap();
        let list = |limit, filter: Filter| {
            let page = site.jobs.list(limit, &filter).unwrap();
            (page.jobs.into_iter().map(|job| job.id).collect::<Vec<_>>(), page.has_more)
        };
        assert_eq!(list(2, Filter::default()), (ids[..2].to_vec(), true));
        let after = Filter { after: Some(ids[1].clone()), ..Filter::default() };
        assert_eq!(list(9, after), (ids[2..].to_vec(), false));
        let cancelled = Filter { status: Some(Status::Cancelled), ..Filter::default() };
        assert_eq!(list(9, cancelled).0, [ids[1].clone()]);
        let name = |name: &str| Filter { name: Some(name.parse().unwrap()), ..Filter::default() };
        assert_eq!((list(9, name("sines")).0.len(), list(9, name("other")).0.len()), (5, 0));
        let unknown = Filter { after: Some("none".into()), ..Filter::default() };
        assert!(matches!(site.jobs.list(9, &unknown), Err(Error::NotFound(_))));
    });
}

#[test]
fn jobs_and_bytes_beyond_the_queue_are_refused() {
    on_sites(Config { queue: 0, queue_bytes: 3000, ..Config::default() }, |site| {
        let id = site.submit(1);
        assert!(matches!(site.jobs.submit(&site.order(1)), Err(Error::QueueFull { .. })));
        site.jobs.cancel(&id).unwrap();
        let large = site.order_of(1, "large.csv", &[b'1'; 3001]);
        assert!(matches!(site.jobs.submit(&large), Err(Error::TooLarge { limit: 3000, actual: 3001 })));
        site.submit(1);
    });
}

#[test]
fn old_jobs_and_the_files_nobody_needs_go() {
    on_sites(Config { keep: 1, keep_samples_seconds: 0, ..Config::default() }, |site| {
        let ids: Vec<String> = (0..3).map(|_| site.submit(1)).collect();
        let other = site.jobs.submit(&site.order_of(1, "other.csv", b"1,2\n")).unwrap().0.id;
        let sweep = || keeper::sweep(&site.jobs.0, site.jobs.0.place().unwrap()).unwrap();
        let files = || std::fs::read_dir(site.folder.path().join("samples")).unwrap().count();
        sweep();
        assert_eq!(files(), 2);
        ids.iter().for_each(|id| drop(site.jobs.cancel(id).unwrap()));
        sweep();
        assert_eq!(files(), 1);
        assert!(site.jobs.get(&ids[1]).is_err() && site.jobs.get(&ids[2]).is_ok());
        assert_eq!(site.status(&other), Status::Queued);
    });
}

#[test]
fn samples_that_cannot_be_used_fail_the_job_with_a_reason() {
    on_sites(Config::default(), |site| {
        let _worker = site.worker();
        let id = site.jobs.submit(&site.order_of(30, "a.png", b"not a picture")).unwrap().0.id;
        let job = site.over(&id);
        assert_eq!((job.status, job.attempt), (Status::Failed, 1));
        let error = job.error.unwrap();
        assert!(error.code == "invalid_input" && error.detail.contains("a.png"), "{error:?}");
    });
}

#[test]
fn a_damaged_checkpoint_is_given_up_and_the_job_begins_anew() {
    on_sites(Config::default(), |site| {
        let id = site.submit(20);
        std::fs::write(site.store.checkpoint(&id), b"no checkpoint").unwrap();
        let _worker = site.worker();
        let job = site.over(&id);
        assert_eq!((job.status, job.attempt), (Status::Succeeded, 2));
    });
}

#[test]
fn what_cannot_end_well_is_refused_at_once() {
    on_sites(Config::default(), |site| {
        let refused = |edit: &dyn Fn(&mut Order)| {
            let mut order = site.order(30);
            edit(&mut order);
            site.jobs.submit(&order).unwrap_err()
        };
        let base = refused(&|order| order.config.base = Some("no-such".into()));
        assert!(matches!(base, Error::Train(train::Error::Registry(_))));
        let steps = refused(&|order| order.config.steps = Some(0));
        assert!(matches!(steps, Error::Train(train::Error::Invalid { .. })));
        let webhook = refused(&|order| order.webhook = Some("http://169.254.169.254/".into()));
        assert!(webhook.to_string().contains("169.254.169.254"), "{webhook}");
        site.jobs.begin_shutdown();
        assert!(matches!(refused(&|_| ()), Error::Draining));
    });
    let engine =
        Engine::start(crate::engine::Config::default(), Arc::new(Registry::open(None, None).unwrap()));
    let jobs = Jobs::start(Config::default(), engine, None, None);
    let refused = jobs.check(&config(30), None).unwrap_err();
    assert!(refused.to_string().contains("--data-dir"), "{refused}");
}
