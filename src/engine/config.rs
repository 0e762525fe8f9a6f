//! Limits of the engine's memory and concurrency.

use serde::{Deserialize, Serialize};

/// Engine section of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Worker threads; one per usable core when absent, at least 2. Large work uses at most half of them.
    pub workers: Option<usize>,
    /// Maximum number of queued requests, in addition to running ones; further requests are rejected with 429.
    pub queue: usize,
    /// Bytes of working memory that running samples may use together; half of the memory this process may use when
    /// absent. A sample that needs more than all of it is rejected with 413.
    pub memory_bytes: Option<usize>,
    /// Bytes of working memory that queued work may need together; four times `memory_bytes` when absent.
    pub queue_bytes: Option<usize>,
    /// Samples of this many numbers or more count as large: at most half of the workers process them.
    pub wide_numbers: usize,
    /// Bytes of weights of loaded models; beyond it the least recently used models are unloaded. An eighth of the
    /// memory this process may use when absent.
    pub models_bytes: Option<usize>,
    /// Maximum number of small samples in a batch; 1 computes each sample alone.
    pub batch: usize,
    /// Largest sample, in numbers, that counts as small.
    pub batch_numbers: usize,
    /// Seconds after which a worker busy with one sample counts as stuck; the service is not ready when all workers
    /// are stuck.
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
    // If neither can be read, a figure small enough for any machine.
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
