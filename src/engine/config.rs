//! Limits of the engine's memory and concurrency.

use serde::{Deserialize, Serialize};

/// Engine section of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = EngineSettings)]
pub struct Config {
    /// Worker threads; one per usable core when absent, at least 2. Large work uses at most half of them.
    pub workers: Option<usize>,
    /// Maximum number of queued requests, in addition to running ones; further requests are rejected with 429.
    pub queue: usize,
    /// Bytes of working memory that running samples may use together; 5/16 of the memory this process may use when
    /// absent. A sample that needs more than all of it is rejected with 413.
    pub memory_bytes: Option<usize>,
    /// Bytes of bodies, samples and replies that requests may hold together; a quarter of the memory this process may use
    /// when absent. Further bodies are rejected with 429.
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
