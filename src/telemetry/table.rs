//! Table: every metric by name, kind, labels and help, each in one line; the exporter and the documentation read it.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::process;

/// Prefix of the names of all metrics but those of the process, which have the names that all programs give them.
pub(super) const PREFIX: &str = "limpid";

/// Histograms by label, made on first use.
pub(super) type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Gauge of a number with a fraction.
pub(super) type FloatGauge = Gauge<f64, AtomicU64>;

/// A metric, for the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Name of its samples, as `GET /metrics` writes it.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// Meaning.
    pub help: &'static str,
}

/// Defines sets of labels, each with the names of its labels.
macro_rules! labels {
    ($($name:ident { $($label:ident: $type:ty),* })*) => {$(
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(super) struct $name { $(pub(super) $label: $type),* }

        impl Labels for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($label)),*];
        }
    )*};
}

/// Defines the metrics: field, type, constructor, name, unit, help.
macro_rules! metrics {
    ($($field:ident: $type:ty = $new:expr, $name:literal, $unit:expr, $help:literal;)*) => {
        /// The metrics of the service.
        pub(super) struct Metrics { $(pub(super) $field: $type),* }

        impl Metrics {
            /// All metrics at zero, and a registry that holds them.
            pub(super) fn new() -> (Self, Registry) {
                let metrics = Self { $($field: $new),* };
                let mut registry = Registry::default();
                let own = registry.sub_registry_with_prefix(PREFIX);
                $(register(own, $name, $unit, $help, metrics.$field.clone());)*
                (metrics, registry)
            }
        }

        /// Every metric of the service and of its process, in the order of `GET /metrics`.
        pub fn table() -> Vec<Metric> {
            let mut table = vec![$(Metric {
                name: full_name($name, &$unit, <$type>::KIND),
                kind: <$type>::KIND,
                labels: <$type>::LABELS,
                help: $help,
            }),*];
            table.push(Metric {
                name: format!("{PREFIX}_{}_info", BUILD.0),
                kind: "info",
                labels: &["version", "features"],
                help: BUILD.1,
            });
            table.extend(process::table());
            table
        }
    };
}

/// Name and help of the metric that names the program.
pub(super) const BUILD: (&str, &str) = ("build", "Version of the program and the features it was built with");

labels! {
    Http { http_request_method: String, http_route: String, http_response_status_code: u16 }
    Operation { model: String, version: u32, op: &'static str }
    Outcome { model: String, version: u32, op: &'static str, outcome: &'static str }
    ModelInfo { model: String }
    Load { model: String, outcome: &'static str }
    Reason { reason: &'static str }
    Place { place: &'static str }
    Job { job: String }
    Status { status: String }
}

#[rustfmt::skip]
metrics! {
    http: Histograms<Http> = times(), "http_server_request_duration", Some(Unit::Seconds), "Time from the head of a request to the head of its reply";
    active: Gauge = Gauge::default(), "http_server_active_requests", None, "Requests that are being answered";
    infer: Family<Outcome, Counter> = Family::default(), "infer_requests", None, "Samples that models were asked to compute, by outcome: ok, rejected, cancelled, deadline, error";
    queued: Histograms<Operation> = times(), "infer_queue_duration", Some(Unit::Seconds), "Time that a sample waited for a worker";
    computed: Histograms<Operation> = times(), "infer_compute_duration", Some(Unit::Seconds), "Time of computing, that of a batch counted for each of its samples";
    batch: Histograms<Operation> = sizes(), "infer_batch_size", None, "Samples computed together";
    depth: Gauge = Gauge::default(), "queue_depth", None, "Admitted requests, queued or running";
    bytes: Gauge = Gauge::default(), "queue", Some(Unit::Bytes), "Memory that admitted requests hold or need";
    limit: Gauge = Gauge::default(), "queue_limit", Some(Unit::Bytes), "Memory that running work may hold together";
    models: Family<ModelInfo, Gauge> = Family::default(), "model_info", None, "1 for each loaded model, as name@version";
    weights: Family<ModelInfo, Gauge> = Family::default(), "model_memory", Some(Unit::Bytes), "Weights of loaded models";
    loads: Family<Load, Counter> = Family::default(), "model_loads", None, "Models that were loaded, by outcome: ok, error";
    refused: Family<Reason, Counter> = Family::default(), "refused", None, "Requests refused before any work, by the code of the error";
    panics: Family<Place, Counter> = Family::default(), "panics", None, "Panics that were caught";
    jobs: Family<Status, Gauge> = Family::default(), "train_jobs", None, "Training jobs by status";
    resumes: Counter = Counter::default(), "train_resumes", None, "Resumes of jobs after a pause or a crash";
    lost: Counter = Counter::default(), "train_lost_steps", None, "Training steps repeated after a resume";
    loss: Family<Job, FloatGauge> = Family::default(), "train_loss", None, "Loss of running jobs, averaged over their last steps";
    step: Family<Job, FloatGauge> = Family::default(), "train_step_duration", Some(Unit::Seconds), "Time per step of running jobs, averaged over the last seconds";
    unsaved: Family<Job, Gauge> = Family::default(), "train_unsaved_steps", None, "Steps of running jobs since their last checkpoint, which a crash would repeat";
    checkpoint: Family<Job, FloatGauge> = Family::default(), "train_checkpoint_duration", Some(Unit::Seconds), "Time that running jobs took to write their last checkpoint";
    restarts: Family<Reason, Counter> = Family::default(), "worker_restarts", None, "Unexpected ends of the training process, by reason: signal, exit, start, hung";
    reached: Gauge = Gauge::default(), "database_up", None, "1 while the database is reached, 0 while it does not answer; the training metrics are the last ones read";
    writable: Gauge = Gauge::default(), "database_writable", None, "1 while the database can be written, 0 after a failed write";
}

/// Set of labels.
trait Labels {
    /// Names of the labels.
    const NAMES: &'static [&'static str];
}

/// Type of a metric.
trait Kind {
    /// Its kind in the OpenMetrics text.
    const KIND: &'static str;
    /// Names of its labels.
    const LABELS: &'static [&'static str] = &[];
}

impl Kind for Counter {
    const KIND: &'static str = "counter";
}

impl Kind for Histogram {
    const KIND: &'static str = "histogram";
}

impl<N, A> Kind for Gauge<N, A> {
    const KIND: &'static str = "gauge";
}

impl<L: Labels, M: Kind, C> Kind for Family<L, M, C> {
    const KIND: &'static str = M::KIND;
    const LABELS: &'static [&'static str] = L::NAMES;
}

/// Histograms of times from half a millisecond to a minute, in factors of about 1.7.
fn times<L: Clone + std::hash::Hash + Eq>() -> Histograms<L> {
    Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 1.7, 23)))
}

/// Histograms of sizes of batches from 1 to 128, in factors of 2.
fn sizes<L: Clone + std::hash::Hash + Eq>() -> Histograms<L> {
    Family::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 2.0, 8)))
}

fn register(
    registry: &mut Registry,
    name: &str,
    unit: Option<Unit>,
    help: &str,
    metric: impl prometheus_client::registry::Metric,
) {
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, metric),
        None => registry.register(name, help, metric),
    }
}

/// The name of a metric's samples: prefix, name, unit, and `total` for counters.
fn full_name(name: &str, unit: &Option<Unit>, kind: &str) -> String {
    let unit = unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
    let total = if kind == "counter" { "_total" } else { "" };
    format!("{PREFIX}_{name}{unit}{total}")
}
