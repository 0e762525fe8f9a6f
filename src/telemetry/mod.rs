//! Telemetry: metrics of the service, as text for Prometheus. Outside of the module layers: it imports none of them,
//! and modules from the engine up record metrics.
//!
//! Labels come from closed sets (routes, operations, outcomes) or from the registry, never from a client, so that
//! their number is bounded.

mod process;

use std::fmt::Debug;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Media type of [`text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Histograms by label, created on first use.
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

struct Metrics {
    registry: Registry,
    http: Histograms<Http>,
    active: Gauge,
    infer: Family<Outcome, Counter>,
    queued: Histograms<Operation>,
    computed: Histograms<Operation>,
    batch: Histograms<Operation>,
    depth: Gauge,
    bytes: Gauge,
    limit: Gauge,
    models: Family<ModelInfo, Gauge>,
    weights: Family<ModelInfo, Gauge>,
    loads: Family<Load, Counter>,
    refused: Family<Reason, Counter>,
    panics: Family<Place, Counter>,
    jobs: Family<Status, Gauge>,
    resumes: Counter,
    lost: Counter,
    loss: Family<Job, Gauge<f64, AtomicU64>>,
    step: Family<Job, Gauge<f64, AtomicU64>>,
    unsaved: Family<Job, Gauge>,
    checkpoint: Family<Job, Gauge<f64, AtomicU64>>,
    restarts: Family<Reason, Counter>,
    writable: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Http {
    http_request_method: String,
    http_route: String,
    http_response_status_code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    model: String,
    version: u32,
    op: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    model: String,
    version: u32,
    op: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelInfo {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Load {
    model: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    r#where: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Job {
    job: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: String,
}

/// Histogram from half a millisecond to a minute, in factors of about 1.7.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 1.7, 23))
}

fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 8))
}

impl Metrics {
    fn new() -> Self {
        let times = || Family::new_with_constructor(seconds as fn() -> Histogram);
        let mut all = Self {
            registry: Registry::default(),
            http: Family::new_with_constructor(seconds as fn() -> Histogram),
            active: Gauge::default(),
            infer: Family::default(),
            queued: times(),
            computed: times(),
            batch: Family::new_with_constructor(sizes as fn() -> Histogram),
            depth: Gauge::default(),
            bytes: Gauge::default(),
            limit: Gauge::default(),
            models: Family::default(),
            weights: Family::default(),
            loads: Family::default(),
            refused: Family::default(),
            panics: Family::default(),
            jobs: Family::default(),
            resumes: Counter::default(),
            lost: Counter::default(),
            loss: Family::default(),
            step: Family::default(),
            unsaved: Family::default(),
            checkpoint: Family::default(),
            restarts: Family::default(),
            writable: Gauge::default(),
        };
        let mut r = std::mem::take(&mut all.registry);
        let time = Unit::Seconds;
        r.register_with_unit(
            "http_server_request_duration",
            "From the head of a request to that of its reply",
            time,
            all.http.clone(),
        );
        r.register("http_server_active_requests", "Requests that are being answered", all.active.clone());
        r.register("dae_infer_requests", "Samples that models were asked to compute", all.infer.clone());
        r.register_with_unit(
            "dae_infer_queue_duration",
            "Waiting for a worker",
            Unit::Seconds,
            all.queued.clone(),
        );
        r.register_with_unit(
            "dae_infer_compute_duration",
            "Computing, a batch counted for each of its samples",
            Unit::Seconds,
            all.computed.clone(),
        );
        r.register("dae_infer_batch_size", "Samples computed together", all.batch.clone());
        r.register("dae_queue_depth", "Requests inside, waiting or at work", all.depth.clone());
        r.register_with_unit("dae_queue", "Bytes that they hold or need", Unit::Bytes, all.bytes.clone());
        r.register_with_unit(
            "dae_queue_limit",
            "Bytes that work may hold at a time",
            Unit::Bytes,
            all.limit.clone(),
        );
        r.register(
            "dae_database_writable",
            "1, or 0 while the database cannot be written",
            all.writable.clone(),
        );
        r.register("dae_model_info", "Loaded models", all.models.clone());
        r.register_with_unit(
            "dae_model_memory",
            "Weights of loaded models",
            Unit::Bytes,
            all.weights.clone(),
        );
        r.register("dae_model_loads", "Models that were loaded", all.loads.clone());
        r.register("dae_refused", "Requests that were refused before any work", all.refused.clone());
        r.register("dae_panics", "Panics that were caught", all.panics.clone());
        r.register("dae_train_jobs", "Training jobs by status", all.jobs.clone());
        r.register(
            "dae_train_resumes",
            "Times that a job went on after a rest or a crash",
            all.resumes.clone(),
        );
        r.register(
            "dae_train_lost_steps",
            "Steps that jobs that went on had to do again: those that were told of and are in no checkpoint",
            all.lost.clone(),
        );
        r.register("dae_train_loss", "Loss of jobs at work, over their last steps", all.loss.clone());
        r.register_with_unit(
            "dae_train_step_duration",
            "Time of a step of jobs at work, over the last seconds",
            Unit::Seconds,
            all.step.clone(),
        );
        r.register(
            "dae_train_unsaved_steps",
            "Steps of jobs at work since their checkpoint: what a crash would cost now",
            all.unsaved.clone(),
        );
        r.register_with_unit(
            "dae_train_checkpoint_duration",
            "Time that jobs at work took to write their last checkpoint",
            Unit::Seconds,
            all.checkpoint.clone(),
        );
        r.register(
            "dae_worker_restarts",
            "Ends of the training process that nobody asked for",
            all.restarts.clone(),
        );
        let version = ("version", env!("CARGO_PKG_VERSION"));
        let features = ("features", if cfg!(feature = "otel") { "otel" } else { "" });
        r.register("build", "The program", Info::new(vec![version, features]));
        r.register_collector(Box::new(process::Process));
        all.registry = r;
        all
    }
}

/// Returns all metrics as text.
pub fn text() -> String {
    let mut text = String::new();
    // Writing to a string fails only when memory is exhausted.
    let _ = encode(&mut text, &METRICS.registry);
    text
}

/// One operation of a model, to be counted once.
#[derive(Debug, Clone)]
pub struct Infer {
    model: String,
    version: u32,
    op: &'static str,
}

impl Infer {
    /// Creates the labels of operation `op` of a model of the registry.
    pub fn new(model: &str, version: u32, op: &'static str) -> Self {
        Self { model: model.to_owned(), version, op }
    }

    /// Counts a completed operation.
    pub fn done(&self, queued: Duration, ran: Duration) {
        METRICS.queued.get_or_create(&self.labels()).observe(queued.as_secs_f64());
        METRICS.computed.get_or_create(&self.labels()).observe(ran.as_secs_f64());
        self.failed("ok");
    }

    /// Counts an operation with another outcome: `rejected`, `cancelled`, `deadline` or `error`.
    pub fn failed(&self, outcome: &'static str) {
        let Self { model, version, op } = self.clone();
        METRICS.infer.get_or_create(&Outcome { model, version, op, outcome }).inc();
    }

    /// Counts a batch of `size` samples.
    pub fn batch(&self, size: usize) {
        METRICS.batch.get_or_create(&self.labels()).observe(size as f64);
    }

    fn labels(&self) -> Operation {
        let Self { model, version, op } = self.clone();
        Operation { model, version, op }
    }
}

/// Guard of a request that is being answered.
#[derive(Debug)]
pub struct Active(());

impl Active {
    /// Counts the request as active.
    pub fn begin() -> Self {
        METRICS.active.inc();
        Self(())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        METRICS.active.dec();
    }
}

/// Counts an answered request; `route` is its template.
pub fn answered(method: &str, route: &str, status: u16, took: Duration) {
    // Methods come from the client: unknown ones share one label, so that the number of labels is bounded.
    let known = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    let method = known.into_iter().find(|known| *known == method).unwrap_or("_OTHER");
    let labels = Http {
        http_request_method: method.to_owned(),
        http_route: route.to_owned(),
        http_response_status_code: status,
    };
    METRICS.http.get_or_create(&labels).observe(took.as_secs_f64());
}

/// Counts a request that was rejected before any work, by the code of its reply.
pub fn refused(reason: &'static str) {
    METRICS.refused.get_or_create(&Reason { reason }).inc();
}

/// Counts a caught panic.
pub fn panicked(place: &'static str) {
    METRICS.panics.get_or_create(&Place { r#where: place }).inc();
}

/// Counts a successful or failed load of a model of the registry.
pub fn model_loaded(model: &str, is_loaded: bool) {
    let outcome = if is_loaded { "ok" } else { "error" };
    METRICS.loads.get_or_create(&Load { model: model.to_owned(), outcome }).inc();
}

/// Sets the gauge that is 1 while the database can be written.
pub fn set_writable(is_writable: bool) {
    METRICS.writable.set(is_writable.into());
}

/// Sets the current load and its limit.
pub fn set_load(requests: usize, bytes: usize, limit: usize) {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    METRICS.depth.set(number(requests));
    METRICS.bytes.set(number(bytes));
    METRICS.limit.set(number(limit));
}

/// Sets the loaded models, as `name@version`, with the bytes of their weights.
pub fn set_models(models: &[(String, usize)]) {
    METRICS.models.clear();
    METRICS.weights.clear();
    for (model, bytes) in models {
        let labels = ModelInfo { model: model.clone() };
        METRICS.models.get_or_create(&labels).set(1);
        METRICS.weights.get_or_create(&labels).set(i64::try_from(*bytes).unwrap_or(i64::MAX));
    }
}

/// Running training job.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// Id of the job.
    pub job: String,
    /// Loss over the last steps.
    pub loss: f64,
    /// Seconds per step.
    pub step_seconds: f64,
    /// Number of steps since its checkpoint.
    pub unsaved_steps: i64,
    /// Seconds that the checkpoint took to write; `None` if this attempt has written none yet.
    pub checkpoint_seconds: Option<f64>,
}

/// Totals of interruptions, over all training jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interruptions {
    /// Number of times that a job was resumed.
    pub resumes: u64,
    /// Number of steps repeated after a resume.
    pub lost_steps: u64,
}

/// Sets the number of training jobs by status, the totals of interruptions, and the running jobs.
pub fn set_jobs(counts: &[(&'static str, i64)], interruptions: &Interruptions, running: &[Training]) {
    for (status, count) in counts {
        METRICS.jobs.get_or_create(&Status { status: (*status).to_owned() }).set(*count);
    }
    METRICS.resumes.inner().store(interruptions.resumes, Ordering::Relaxed);
    METRICS.lost.inner().store(interruptions.lost_steps, Ordering::Relaxed);
    METRICS.loss.clear();
    METRICS.step.clear();
    METRICS.unsaved.clear();
    METRICS.checkpoint.clear();
    for Training { job, loss, step_seconds, unsaved_steps, checkpoint_seconds } in running {
        let labels = Job { job: job.clone() };
        METRICS.loss.get_or_create(&labels).set(*loss);
        METRICS.step.get_or_create(&labels).set(*step_seconds);
        METRICS.unsaved.get_or_create(&labels).set(*unsaved_steps);
        if let Some(seconds) = checkpoint_seconds {
            METRICS.checkpoint.get_or_create(&labels).set(*seconds);
        }
    }
}

/// Counts an unexpected end of the training process: by a `signal`, by `exit`, or at its `start`.
pub fn worker_restarted(reason: &'static str) {
    METRICS.restarts.get_or_create(&Reason { reason }).inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_what_was_counted() {
        let infer = Infer::new("some-model", 3, "denoise");
        infer.done(Duration::from_millis(1), Duration::from_millis(20));
        infer.failed("cancelled");
        infer.batch(5);
        answered("BREW", "/denoise", 405, Duration::from_millis(2));
        set_models(&[("some-model@3".to_owned(), 1234)]);
        let running = Training {
            job: "job-1".into(),
            loss: 0.5,
            step_seconds: 0.25,
            unsaved_steps: 7,
            checkpoint_seconds: Some(0.125),
        };
        let young = Training { job: "job-2".into(), checkpoint_seconds: None, ..running.clone() };
        let interruptions = Interruptions { resumes: 3, lost_steps: 40 };
        set_jobs(&[("running", 2), ("failed", 2)], &interruptions, &[running, young]);
        worker_restarted("signal");
        let text = text();
        for line in [
            r#"dae_infer_requests_total{model="some-model",version="3",op="denoise",outcome="ok"} 1"#,
            r#"dae_infer_requests_total{model="some-model",version="3",op="denoise",outcome="cancelled"} 1"#,
            r#"dae_infer_compute_duration_seconds_count{model="some-model",version="3",op="denoise"} 1"#,
            r#"dae_infer_batch_size_sum{model="some-model",version="3",op="denoise"} 5.0"#,
            r#"http_request_method="_OTHER",http_route="/denoise",http_response_status_code="405""#,
            r#"dae_model_info{model="some-model@3"} 1"#,
            r#"dae_model_memory_bytes{model="some-model@3"} 1234"#,
            r#"dae_train_jobs{status="failed"} 2"#,
            "dae_train_resumes_total 3",
            "dae_train_lost_steps_total 40",
            r#"dae_train_loss{job="job-1"} 0.5"#,
            r#"dae_train_step_duration_seconds{job="job-1"} 0.25"#,
            r#"dae_train_unsaved_steps{job="job-1"} 7"#,
            r#"dae_train_checkpoint_duration_seconds{job="job-1"} 0.125"#,
            r#"dae_worker_restarts_total{reason="signal"} 1"#,
            "# TYPE process_resident_memory_bytes gauge",
            "build_info{",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains(r#"dae_train_checkpoint_duration_seconds{job="job-2"}"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
