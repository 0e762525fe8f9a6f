//! How much the engine may hold and compute at once.

use serde::{Deserialize, Serialize};

/// The engine's part of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = EngineSettings)]
pub struct Config {
    /// Worker threads; one per usable core when absent, at least 2: large work leaves half of them to small work.
    pub workers: Option<usize>,
    /// Requests that may wait beside those at work; one more is refused with 429.
    pub queue: usize,
    /// Bytes of working memory that samples at work may hold together; half of the memory this process
    /// may use when absent. A sample that needs more than all of it is refused with 413.
    pub memory_bytes: Option<usize>,
    /// Bytes that the work waiting in the queue may need together; four times `memory_bytes` when absent.
    pub queue_bytes: Option<usize>,
    /// Samples of this many numbers or more count as large: no more than half of the workers are at them.
    pub wide_numbers: usize,
    /// Bytes of weights of loaded models that are kept; beyond it those unused for longest go. An eighth of the
    /// memory this process may use when absent.
    pub models_bytes: Option<usize>,
    /// Small samples that go through a model together, at most; 1 computes each alone.
    pub batch: usize,
    /// Samples of more numbers are not small.
    pub batch_numbers: usize,
    /// A worker busy with one sample for longer counts as stuck, and the service as not ready.
    pub stuck_after_seconds: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: None,
            queue: 256,
            memory_bytes: None,
            queue_bytes: None,
            wide_numbers: 1 << 20,
            models_bytes: None,
            batch: 16,
            batch_numbers: 1 << 14,
            stuck_after_seconds: 600.0,
        }
    }
}

/// Bytes of memory this process may use: the machine's, capped by the limit of its cgroup (v2 or v1).
pub(super) fn memory() -> usize {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").as_deref().and_then(total_of_meminfo);
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = groups.into_iter().find_map(|path| read(path)?.trim().parse::<usize>().ok());
    // Where neither can be read, a figure small enough for any machine this runs on.
    machine.into_iter().chain(group).min().unwrap_or(2 << 30)
}

fn total_of_meminfo(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(total_of_meminfo("MemTotal:   2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert!(memory() > 1 << 20);
    }
}
