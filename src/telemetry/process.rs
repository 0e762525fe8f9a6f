//! Metrics of the process: its memory, time and files, read on each scrape.

use std::fmt::Error;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::Metric;

/// Memory of the process.
const MEMORY: Row = ("process_resident_memory", Some(Unit::Bytes), "Memory of this process that is in use");
/// Time that it computed.
const CPU: Row = ("process_cpu", Some(Unit::Seconds), "Time that all threads computed");
/// Files that it holds open.
const FILES: Row = ("process_open_fds", None, "Open files and connections");

/// Name, unit and help of a metric.
type Row = (&'static str, Option<Unit>, &'static str);

/// Standard process metrics of Prometheus clients, as far as the system provides them.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut put = |(name, unit, help): Row, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), metric.metric_type())?)
        };
        if let Some(bytes) = resident_bytes() {
            put(MEMORY, &ConstGauge::new(bytes as f64))?;
        }
        if let Some(seconds) = cpu_seconds() {
            put(CPU, &ConstCounter::new(seconds))?;
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            put(FILES, &ConstGauge::new(files.count() as f64))?;
        }
        Ok(())
    }
}

/// The metrics of the process, for the documentation.
pub(super) fn table() -> [Metric; 3] {
    [("gauge", "", MEMORY), ("counter", "_total", CPU), ("gauge", "", FILES)].map(|(kind, end, row)| {
        let (name, unit, help) = row;
        let unit = unit.map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        Metric { name: format!("{name}{unit}{end}"), kind, labels: &[], help }
    })
}

fn resident_bytes() -> Option<usize> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Fields 14 and 15 of `stat`, after the name in parentheses, in hundredths of a second (proc(5)).
fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / 100.0)
}
