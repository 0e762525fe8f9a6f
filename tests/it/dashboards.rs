//! Dashboards and alerts: each metric that they name is one that the service has.

use std::collections::BTreeSet;
use std::path::Path;

/// Names of all time series of `GET /metrics`, with the endings of histograms.
fn series() -> BTreeSet<String> {
    let endings = |kind: &str| match kind {
        "histogram" => &["_bucket", "_count", "_sum"][..],
        _ => &[""],
    };
    let of = |metric: limpid::telemetry::Metric| {
        endings(metric.kind).iter().map(move |ending| format!("{}{ending}", metric.name)).collect::<Vec<_>>()
    };
    limpid::telemetry::table().into_iter().flat_map(of).collect()
}

/// Words of a text that are names of metrics of this program or of its process.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric = |word: &&str| word.starts_with("limpid_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

#[test]
fn dashboards_and_alerts_name_metrics_that_exist() {
    let series = series();
    for name in ["deploy/prometheus-alerts.yaml", "deploy/grafana-dashboard.json"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let named = named(&text);
        assert!(named.len() > 5, "{name}: {named:?}");
        let unknown: Vec<_> = named.difference(&series).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?} are none of {series:?}");
    }
}
