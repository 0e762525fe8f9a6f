//! Telemetry: metrics of the service, as text for Prometheus. Outside of the module layers: it imports none of them,
//! and modules from the engine up record metrics.
//!
//! Labels come from closed sets (routes, operations, outcomes) or from the registry, never from a client, so that
//! their number is bounded.

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

/// Returns all metrics as text.
pub fn text() -> String {
    let mut text = String::new();
    // Writing to a string fails only when memory is exhausted.
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
    /// Creates the labels of operation `op` of a model of the registry.
    pub fn new(model: &str, version: u32, op: &'static str) -> Self {
        Self { model: model.to_owned(), version, op }
    }

    /// Counts a completed operation.
    pub fn done(&self, queued: Duration, ran: Duration) {
        metrics().queued.get_or_create(&self.labels()).observe(queued.as_secs_f64());
        metrics().computed.get_or_create(&self.labels()).observe(ran.as_secs_f64());
        self.failed("ok");
    }

    /// Counts an operation with another outcome: `rejected`, `cancelled`, `deadline` or `error`.
    pub fn failed(&self, outcome: &'static str) {
        let Self { model, version, op } = self.clone();
        metrics().infer.get_or_create(&Outcome { model, version, op, outcome }).inc();
    }

    /// Counts a batch of `size` samples.
    pub fn batch(&self, size: usize) {
        metrics().batch.get_or_create(&self.labels()).observe(size as f64);
    }

    /// Returns the totals since the start of the program; zeros for an operation that never ran.
    pub fn totals(&self) -> Totals {
        let labels = self.labels();
        let of = |histograms: &table::Histograms<Operation>| {
            let histogram = histograms.get(&labels);
            histogram.map_or((0, 0.0), |histogram| (histogram.count(), histogram.sum()))
        };
        let Self { model, version, op } = self.clone();
        let outcome = |outcome: &'static str| {
            let counter = metrics().infer.get(&Outcome { model: model.clone(), version, op, outcome });
            counter.map_or(0, |counter| counter.get())
        };
        let (batches, batched) = of(&metrics().batch);
        Totals {
            done: outcome("ok"),
            failed: ["rejected", "cancelled", "deadline", "error"].map(outcome).iter().sum(),
            queued: Duration::try_from_secs_f64(of(&metrics().queued).1).unwrap_or_default(),
            computed: Duration::try_from_secs_f64(of(&metrics().computed).1).unwrap_or_default(),
            batches,
            batched: batched as u64,
        }
    }

    fn labels(&self) -> Operation {
        let Self { model, version, op } = self.clone();
        Operation { model, version, op }
    }
}

/// Totals of an operation of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Number of samples computed.
    pub done: u64,
    /// Number of samples with another outcome.
    pub failed: u64,
    /// Time that computed samples waited for a worker.
    pub queued: Duration,
    /// Time of their computing, that of a batch counted for each of its samples.
    pub computed: Duration,
    /// Number of batches.
    pub batches: u64,
    /// Number of samples in them.
    pub batched: u64,
}

/// Guard of a request that is being answered.
#[derive(Debug)]
pub struct Active(());

impl Active {
    /// Counts the request as active.
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
    metrics().http.get_or_create(&labels).observe(took.as_secs_f64());
}

/// Counts a request that was rejected before any work, by the code of its reply.
pub fn refused(reason: &'static str) {
    metrics().refused.get_or_create(&Reason { reason }).inc();
}

/// Counts a caught panic.
pub fn panicked(place: &'static str) {
    metrics().panics.get_or_create(&Place { place }).inc();
}

/// Counts a successful or failed load of a model of the registry.
pub fn model_loaded(model: &str, is_loaded: bool) {
    let outcome = if is_loaded { "ok" } else { "error" };
    metrics().loads.get_or_create(&Load { model: model.to_owned(), outcome }).inc();
}

/// Sets the gauges that are 1 while the database is reached, and while it can be written.
pub fn set_database(is_reached: bool, is_writable: bool) {
    metrics().reached.set(is_reached.into());
    metrics().writable.set(is_writable.into());
}

/// Sets the current load and its limit.
pub fn set_load(requests: usize, bytes: usize, limit: usize) {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    metrics().depth.set(number(requests));
    metrics().bytes.set(number(bytes));
    metrics().limit.set(number(limit));
}

/// Sets the loaded models, as `name@version`, with the bytes of their weights.
pub fn set_models(models: &[(String, usize)]) {
    metrics().models.clear();
    metrics().weights.clear();
    for (model, bytes) in models {
        let labels = ModelInfo { model: model.clone() };
        metrics().models.get_or_create(&labels).set(1);
        metrics().weights.get_or_create(&labels).set(i64::try_from(*bytes).unwrap_or(i64::MAX));
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

/// Counts an unexpected end of the training process: by a `signal`, by `exit`, or at its `start`.
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
        let totals = infer.totals();
        assert_eq!((totals.done, totals.failed, totals.batches, totals.batched), (1, 1, 1, 5));
        assert_eq!((totals.queued, totals.computed), (Duration::from_millis(1), Duration::from_millis(20)));
        assert_eq!(Infer::new("other-model", 3, "denoise").totals(), Totals::default());
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
