//! House: a service in this process for targets that send it requests. It has no port, no models and no training process.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use limpid::api::keys::{Keys, Source};
use limpid::api::{self, App};
use limpid::db::{self, Db};
use limpid::engine::{self, Engine};
use limpid::job::{self, Jobs};
use limpid::registry::Registry;
use limpid::store::Store;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower_service::Service as _;

/// The service.
pub struct House {
    runtime: Runtime,
    router: Router,
    folder: tempfile::TempDir,
}

impl House {
    /// The one of this process.
    pub fn get() -> &'static Self {
        static HOUSE: OnceLock<House> = OnceLock::new();
        HOUSE.get_or_init(Self::build)
    }

    fn build() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        let db = Db::open(&db::Config::default(), &path.join("limpid.db"), || false).expect("a database");
        let store = Arc::new(Store::open(path).expect("a store"));
        let registry = Registry::open_with(None, path.join("models"), db.clone()).expect("a registry");
        let keys = Keys::open(Source::optional(path.join("keys"))).expect("no keys");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let inside = runtime.enter();
        let engine = engine::Config {
            workers: Some(2),
            memory_bytes: Some(64 << 20),
            queue_bytes: Some(64 << 20),
            ..Default::default()
        };
        let engine = Engine::start(engine, Arc::new(registry));
        let jobs = job::Config { workers: 0, queue: 200, ..Default::default() };
        let jobs = Jobs::start(jobs, engine.clone(), Some((db, store)), None);
        let router = api::router(App::new(api::Config::default(), super::limits(), engine, jobs, keys));
        drop(inside);
        Self { runtime, router, folder }
    }

    /// Removes its files; it can answer no more then.
    pub fn remove(&self) {
        let _ = std::fs::remove_dir_all(self.folder.path());
    }

    /// Sends a request, and returns the status of the reply and its JSON, `null` for other replies.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        self.runtime.block_on(async {
            let response = self.router.clone().call(request).await.expect("a router answers");
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), 64 << 20).await.expect("a body");
            (status, serde_json::from_slice(&body).unwrap_or_default())
        })
    }
}
