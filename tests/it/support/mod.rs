//! A service in this process, on a port of its own, with tiny models made on the fly.

mod models;
pub mod process;
pub mod program;
mod samples;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use limpid::api::keys::{self, Keys, Scope, Source};
use limpid::api::{App, Config, serve_on};
use limpid::db::{self, Db};
use limpid::engine::{self, Engine};
use limpid::job::{self, Jobs, Program};
use limpid::limits::Limits;
use limpid::registry::Registry;
use limpid::store::Store;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

pub use samples::*;

/// How a service is to differ from the default one.
pub struct Setup {
    /// The HTTP face.
    pub config: Config,
    /// The limits.
    pub limits: Limits,
    /// The engine.
    pub engine: engine::Config,
    /// Keys to make, by name.
    pub keys: Vec<(&'static str, Vec<Scope>)>,
    /// Whether the models are loaded before the first request.
    pub is_preloaded: bool,
    /// The jobs.
    pub jobs: job::Config,
    /// Whether it has the bundled models, and not the untrained ones.
    pub is_bundled: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: Config { bind: ([127, 0, 0, 1], 0).into(), drain_seconds: 5, ..Config::default() },
            limits: Limits {
                image_pixels: 1 << 20,
                array_numbers: 1 << 20,
                body_bytes: 8 << 20,
                ..Limits::default()
            },
            engine: engine::Config {
                workers: Some(2),
                memory_bytes: Some(1 << 30),
                ..engine::Config::default()
            },
            keys: Vec::new(),
            is_preloaded: true,
            // A process for each service would cost what few tests need.
            jobs: job::Config { workers: 0, ..job::Config::default() },
            is_bundled: false,
        }
    }
}

/// A running service; stops when dropped.
pub struct Service {
    /// `http://127.0.0.1:port`.
    pub url: String,
    /// The keys that were made, in their order.
    pub keys: Vec<String>,
    /// The scheduler inside.
    pub engine: Engine,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl Service {
    /// The default service: `photo-gray` in two versions, `photo-color`, `table` for vectors of 12.
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    /// The default service, with a training process beside it.
    pub fn that_trains() -> Self {
        // Not behind everything else this machine does, so that tests end in their time.
        Self::with(Setup { jobs: job::Config { nice: 0, ..job::Config::default() }, ..Setup::default() })
    }

    /// A service that differs from the default one.
    pub fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let db =
            Db::open(&db::Config::default(), &folder.path().join("limpid.db"), || false).expect("a database");
        let store = Arc::new(Store::open(folder.path()).expect("a store"));
        let models = folder.path().join("models");
        let bundled = setup.is_bundled.then(|| concat!(env!("CARGO_MANIFEST_DIR"), "/models").into());
        let registry = Arc::new(Registry::open_with(bundled, models, db.clone()).expect("a registry"));
        if !setup.is_bundled {
            models::publish_all(&registry);
        }
        let key_file = folder.path().join("keys");
        let mut made = Vec::new();
        for (name, scopes) in setup.keys {
            made.push(keys::add(&key_file, name.parse().unwrap(), scopes).expect("a key"));
        }
        let trainer = trainer(folder.path(), &setup.limits, &setup.jobs);
        let listener = TcpListener::bind(setup.config.bind).expect("a free port");
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let engine = Engine::start(setup.engine, registry);
                let jobs = Jobs::start(setup.jobs, engine.clone(), Some((db, store)), Some(trainer));
                let keys = Keys::open(Source::optional(key_file)).expect("a key file");
                let app = App::new(setup.config, setup.limits, engine.clone(), jobs.clone(), keys);
                if setup.is_preloaded {
                    engine.preload(&["photo-gray".parse().unwrap()]).await;
                }
                ready.send(engine.clone()).unwrap();
                let until = async {
                    let _ = stopped.await;
                };
                serve_on(listener, app, until).await.expect("the service serves");
                jobs.shutdown(Duration::from_secs(5)).await;
                engine.shutdown(Duration::from_secs(5)).await;
            });
        });
        let engine = is_ready.recv().expect("the service starts");
        let client = Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        Self { url, keys: made, engine, client, stop: Some(stop), thread: Some(thread), folder }
    }

    /// A request to come.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path).send().expect("an answer")
    }

    /// `POST` of a body of a media type.
    pub fn post(&self, path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Response {
        let request = self.request("POST", path).header("content-type", media_type);
        request.body(body.into()).send().expect("an answer")
    }

    /// `POST` of JSON.
    pub fn post_json(&self, path: &str, body: &Value) -> Response {
        self.post(path, "application/json", body.to_string())
    }

    /// The port.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tells it to stop, without waiting.
    pub fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits for its end, and tells how long that took.
    pub fn wait(&mut self) -> Duration {
        let begun = Instant::now();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the service ends in order");
        }
        begun.elapsed()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.begin_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The training process of a service in this process: the real program, with what it needs of the setup.
fn trainer(folder: &Path, limits: &Limits, jobs: &job::Config) -> Program {
    let mut config = limpid::cli::Config::default();
    config.models.dir = folder.join("none");
    config.models.data_dir = folder.to_owned();
    (config.threads, config.limits, config.jobs) = (Some(1), limits.clone(), jobs.clone());
    let hello = serde_json::to_string(&config).unwrap();
    Program { path: env!("CARGO_BIN_EXE_limpid").into(), hello, threads: 1 }
}

/// A header as text; empty where it is missing.
pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The body of a reply that must have been a success.
pub fn ok(response: Response) -> Vec<u8> {
    let status = response.status();
    let body = response.bytes().expect("a body").to_vec();
    assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    body
}

/// The JSON of a reply that must have been a success.
pub fn ok_json(response: Response) -> Value {
    serde_json::from_slice(&ok(response)).expect("JSON")
}

/// The problem of a reply, checked to be of the contract's form.
pub fn problem(response: Response) -> Value {
    let status = response.status().as_u16();
    let id = header(&response, "x-request-id").to_owned();
    assert_eq!(header(&response, "content-type"), "application/problem+json", "status {status}");
    let problem: Value = response.json().expect("a problem is JSON");
    assert_eq!(problem["status"], status, "{problem}");
    assert_eq!(problem["request_id"], id.as_str(), "{problem}");
    assert_eq!(problem["instance"], format!("urn:limpid:request:{id}"), "{problem}");
    let code = problem["code"].as_str().expect("a code");
    assert_eq!(problem["type"], format!("urn:limpid:problem:{code}"), "{problem}");
    let is_known = limpid::api::Code::ALL.iter().any(|c| c.name() == code && c.status() == status);
    assert!(is_known, "{problem}");
    for member in ["title", "detail"] {
        let text = problem[member].as_str().expect("text");
        assert!(!text.is_empty() && !text.contains('\n'), "{problem}");
    }
    problem
}

/// Asserts that a reply is the problem `code`, and gives it.
#[track_caller]
pub fn refused(response: Response, code: &str) -> Value {
    let problem = problem(response);
    assert_eq!(problem["code"], code, "{problem}");
    problem
}

/// The pointers of a problem.
pub fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}
