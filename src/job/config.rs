//! How much training may be asked for.

use serde::{Deserialize, Serialize};

/// The jobs' part of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Jobs that may wait beside the one that runs; one more is refused with 429.
    pub queue: usize,
    /// Bytes of samples that all unfinished jobs may hold together.
    pub queue_bytes: usize,
    /// Finished jobs that are remembered; the oldest are forgotten first.
    pub keep: usize,
    /// Niceness of the training thread, 0 (as urgent as serving) to 19; of no effect outside Linux.
    pub nice: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self { queue: 16, queue_bytes: 4 << 30, keep: 1000, nice: 10 }
    }
}
