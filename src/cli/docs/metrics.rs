//! The page of metrics.

use super::{head, row};
use crate::telemetry::{self, Metric};

/// Every metric with its kind, its labels and its meaning.
pub fn page() -> String {
    let mut text = "\
# Metrics

Metrics of `GET /metrics`, in the OpenMetrics text format that Prometheus reads. A histogram has the samples `_bucket`, `_count`
and `_sum`. Names that begin with `process_` are those of Prometheus' own clients. Written by `limpid docs metrics`.

"
    .to_owned();
    text += &head(["name", "kind", "labels", "meaning"]);
    for Metric { name, kind, labels, help } in telemetry::table() {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        text += &row([&format!("`{name}`"), kind, &labels.join(", "), help]);
    }
    text
}
