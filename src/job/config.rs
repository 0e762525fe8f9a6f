//! How much training may be asked for, and how it is run.

use serde::{Deserialize, Serialize};

/// The jobs' part of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = JobSettings)]
pub struct Config {
    /// Training processes beside this one: 1, or 0 where `limpid worker` trains on another machine.
    pub workers: usize,
    /// Cores for a training process of this machine; when absent, all but a quarter, at least 1.
    pub threads: Option<usize>,
    /// Niceness of training, 0 (as urgent as serving) to 19, which on Linux means that it has what nobody else
    /// wants; of no effect outside Unix.
    pub nice: u8,
    /// Jobs that may wait beside the one that runs; one more is refused with 429.
    pub queue: usize,
    /// Bytes of samples that all unfinished jobs may hold together.
    pub queue_bytes: usize,
    /// Finished jobs that are remembered; the oldest are forgotten first.
    pub keep: usize,
    /// Seconds that samples stay after the last job that needs them.
    pub keep_samples_seconds: u64,
    /// Events that are remembered of each job.
    pub keep_events: usize,
    /// A job is taken from a worker that was not heard of for so many seconds.
    pub lease_seconds: f64,
    /// Attempts in a row that may end without a new checkpoint; then the job has failed.
    pub attempts: u32,
    /// Seconds between two checkpoints.
    pub checkpoint_seconds: f64,
    /// Hosts that a job's `webhook` may name, with commas between them: `ci.example.org,10.0.0.7:9000`.
    pub webhook_hosts: String,
    /// Signs what is sent to webhooks: HMAC-SHA256 of the body, hexadecimal, in `X-Limpid-Signature`.
    pub webhook_secret: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 1,
            threads: None,
            nice: 19,
            queue: 16,
            queue_bytes: 4 << 30,
            keep: 1000,
            keep_samples_seconds: 3600,
            keep_events: 1000,
            lease_seconds: 20.0,
            attempts: 3,
            checkpoint_seconds: 30.0,
            webhook_hosts: String::new(),
            webhook_secret: String::new(),
        }
    }
}

impl Config {
    /// Milliseconds a worker has a job for, until it says again that it is there.
    pub(super) fn lease_ms(&self) -> i64 {
        (self.lease_seconds.clamp(0.1, 3600.0) * 1000.0) as i64
    }

    /// Cores for a training process beside the service.
    pub fn threads_beside(&self, cores: usize) -> usize {
        self.threads.unwrap_or(cores - cores.div_ceil(4).min(cores)).clamp(1, cores.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_cores_is_kept_for_serving() {
        let threads = |cores| Config::default().threads_beside(cores);
        assert_eq!([1, 2, 4, 16].map(threads), [1, 1, 3, 12]);
        assert_eq!(Config { threads: Some(99), ..Config::default() }.threads_beside(4), 4);
    }
}
