//! Telemetry: what the service counts of itself, as text for Prometheus. Beside the floors: it imports none of them, and
//! those from the engine up move its numbers.
//!
//! Labels come from closed sets (routes, operations, outcomes) or from the registry, never from a caller, so that their
//! number is bounded.

mod process;
mod table;

use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use table::{Metric, table};

use table::{BUILD, Http, Job, Load, Metrics, ModelInfo, Operation, Outcome, Place, Reason, Status};

/// Media type of [`text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

static ALL: LazyLock<(Metrics, Registry)> = LazyLock::new(|| {
    let (metrics, mut registry) = Metrics::new();
    let version = ("version", env!("CARGO_PKG_VERSION"));
    let features = ("features", if cfg!(feature = "otel") { "otel" } else { "" });
    let build = Info::new(vec![version, features]);
    registry.sub_registry_with_prefix(table::PREFIX).register(BUILD.0, BUILD.1, build);
    registry.register_collector(Box::new(process::Process));
    (metrics, registry)
});

/// The metrics, made on first use.
fn metrics() -> &'static Metrics {
    &ALL.0
}

/// Everything that is counted, as text.
pub fn text() -> String {
    let mut text = String::new();
    // Writing to a string fails only where memory ends.
    let _ = encode(&mut text, &ALL.1);
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
    /// The operation `op` of a model of the registry.
    pub fn new(model: &str, version: u32, op: &'static str) -> Self {
        Self { model: model.to_owned(), version, op }
    }

    /// It was done.
    pub fn done(&self, queued: Duration, ran: Duration) {
        metrics().queued.get_or_create(&self.labels()).observe(queued.as_secs_f64());
        metrics().computed.get_or_create(&self.labels()).observe(ran.as_secs_f64());
        self.failed("ok");
    }

    /// It came to another end: `rejected`, `cancelled`, `deadline` or `error`.
    pub fn failed(&self, outcome: &'static str) {
        let Self { model, version, op } = self.clone();
        metrics().infer.get_or_create(&Outcome { model, version, op, outcome }).inc();
    }

    /// So many samples were computed together.
    pub fn batch(&self, size: usize) {
        metrics().batch.get_or_create(&self.labels()).observe(size as f64);
    }

    fn labels(&self) -> Operation {
        let Self { model, version, op } = self.clone();
        Operation { model, version, op }
    }
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub struct Active(());

impl Active {
    /// Counts it.
    pub fn begin() -> Self {
        metrics().active.inc();
        Self(())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        metrics().active.dec();
    }
}

/// A request was answered; `route` is its template.
pub fn answered(method: &str, route: &str, status: u16, took: Duration) {
    // Methods are the caller's word: only those of routes are told apart.
    let known = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    let method = known.into_iter().find(|known| *known == method).unwrap_or("_OTHER");
    let labels = Http {
        http_request_method: method.to_owned(),
        http_route: route.to_owned(),
        http_response_status_code: status,
    };
    metrics().http.get_or_create(&labels).observe(took.as_secs_f64());
}

/// A request was refused before any work, by the code of its answer.
pub fn refused(reason: &'static str) {
    metrics().refused.get_or_create(&Reason { reason }).inc();
}

/// A panic was caught.
pub fn panicked(place: &'static str) {
    metrics().panics.get_or_create(&Place { place }).inc();
}

/// A model of the registry was loaded, or could not be.
pub fn model_loaded(model: &str, is_loaded: bool) {
    let outcome = if is_loaded { "ok" } else { "error" };
    metrics().loads.get_or_create(&Load { model: model.to_owned(), outcome }).inc();
}

/// What is inside now, and what may be.
pub fn set_load(requests: usize, bytes: usize, limit: usize) {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    metrics().depth.set(number(requests));
    metrics().bytes.set(number(bytes));
    metrics().limit.set(number(limit));
}

/// The models that are loaded now, as `name@version`, with the bytes of their weights.
pub fn set_models(models: &[(String, usize)]) {
    metrics().models.clear();
    metrics().weights.clear();
    for (model, bytes) in models {
        let labels = ModelInfo { model: model.clone() };
        metrics().models.get_or_create(&labels).set(1);
        metrics().weights.get_or_create(&labels).set(i64::try_from(*bytes).unwrap_or(i64::MAX));
    }
}

/// A training job at work.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// Its id.
    pub job: String,
    /// Its loss over the last steps.
    pub loss: f64,
    /// Seconds that a step takes.
    pub step_seconds: f64,
    /// Steps since its checkpoint.
    pub unsaved_steps: i64,
    /// Seconds that it took to write that; none where this attempt has written none yet.
    pub checkpoint_seconds: Option<f64>,
}

/// What rests and crashes of training jobs came to, over all jobs there ever were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interruptions {
    /// Times that a job went on.
    pub resumes: u64,
    /// Steps that had to be done again.
    pub lost_steps: u64,
}

/// How many training jobs have each status now, how often jobs went on, and those at work.
pub fn set_jobs(counts: &[(&'static str, i64)], interruptions: &Interruptions, running: &[Training]) {
    for (status, count) in counts {
        metrics().jobs.get_or_create(&Status { status: (*status).to_owned() }).set(*count);
    }
    metrics().resumes.inner().store(interruptions.resumes, Ordering::Relaxed);
    metrics().lost.inner().store(interruptions.lost_steps, Ordering::Relaxed);
    metrics().loss.clear();
    metrics().step.clear();
    metrics().unsaved.clear();
    metrics().checkpoint.clear();
    for Training { job, loss, step_seconds, unsaved_steps, checkpoint_seconds } in running {
        let labels = Job { job: job.clone() };
        metrics().loss.get_or_create(&labels).set(*loss);
        metrics().step.get_or_create(&labels).set(*step_seconds);
        metrics().unsaved.get_or_create(&labels).set(*unsaved_steps);
        if let Some(seconds) = checkpoint_seconds {
            metrics().checkpoint.get_or_create(&labels).set(*seconds);
        }
    }
}

/// The training process ended though nobody asked for it: by a `signal`, by `exit`, or at its `start`.
pub fn worker_restarted(reason: &'static str) {
    metrics().restarts.get_or_create(&Reason { reason }).inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table has what the exporter describes, once everything was counted.
    fn check_table(text: &str) {
        let described = |line: &str| line.strip_prefix("# TYPE ").map(str::to_owned);
        let mut described: Vec<String> = text.lines().filter_map(described).collect();
        let line = |metric: &Metric| {
            let end = if metric.kind == "info" { "_info" } else { "_total" };
            format!("{} {}", metric.name.trim_end_matches(end), metric.kind)
        };
        let mut table: Vec<String> = table().iter().map(line).collect();
        described.sort();
        table.sort();
        assert_eq!(described, table);
        for Metric { name, help, labels, .. } in super::table() {
            let is_own = name.starts_with("limpid_") || name.starts_with("process_");
            assert!(is_own && text.contains(&format!(" {help}")), "{name}: {help}");
            let of = |line: &&str| line.starts_with(name.trim_end_matches("_total")) && line.contains('{');
            let sample = text.lines().find(of).unwrap_or_default();
            labels
                .iter()
                .for_each(|label| assert!(sample.contains(&format!("{label}=")), "{sample}: {label}"));
        }
    }

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
        model_loaded("some-model", true);
        refused("queue_full");
        panicked("engine");
        let text = text();
        check_table(&text);
        for line in [
            r#"limpid_infer_requests_total{model="some-model",version="3",op="denoise",outcome="ok"} 1"#,
            r#"limpid_infer_requests_total{model="some-model",version="3",op="denoise",outcome="cancelled"} 1"#,
            r#"limpid_infer_compute_duration_seconds_count{model="some-model",version="3",op="denoise"} 1"#,
            r#"limpid_infer_batch_size_sum{model="some-model",version="3",op="denoise"} 5.0"#,
            r#"http_request_method="_OTHER",http_route="/denoise",http_response_status_code="405""#,
            r#"limpid_model_info{model="some-model@3"} 1"#,
            r#"limpid_model_memory_bytes{model="some-model@3"} 1234"#,
            r#"limpid_train_jobs{status="failed"} 2"#,
            "limpid_train_resumes_total 3",
            "limpid_train_lost_steps_total 40",
            r#"limpid_train_loss{job="job-1"} 0.5"#,
            r#"limpid_train_step_duration_seconds{job="job-1"} 0.25"#,
            r#"limpid_train_unsaved_steps{job="job-1"} 7"#,
            r#"limpid_train_checkpoint_duration_seconds{job="job-1"} 0.125"#,
            r#"limpid_worker_restarts_total{reason="signal"} 1"#,
            "# TYPE process_resident_memory_bytes gauge",
            "limpid_build_info{",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains(r#"limpid_train_checkpoint_duration_seconds{job="job-2"}"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
