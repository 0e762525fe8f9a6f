//! Configuration of the training queue and of its worker.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Jobs section of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = JobSettings)]
pub struct Config {
    /// Number of training processes on this machine: 1, or 0 if `limpid worker` trains on another one.
    pub workers: usize,
    /// Number of cores of a training process on this machine; by default all but a quarter, at least 1.
    pub threads: Option<usize>,
    /// Nice value of training, 0 (same priority as serving) to 19 (lowest: CPU time that nothing else needs, on Linux); no
    /// effect outside Unix.
    pub nice: u8,
    /// Number of jobs that may wait in the queue; further ones are rejected with 429.
    pub queue: usize,
    /// Number of unfinished jobs of one API key; further ones are rejected with 429. 0 is no limit of its own.
    pub queue_per_key: usize,
    /// Let keys take turns: of the jobs that wait, the next is one of the key that has had its turn longest ago. Otherwise the
    /// oldest job is next.
    pub fair: bool,
    /// Total size of the samples of all unfinished jobs, bytes.
    pub queue_bytes: usize,
    /// Number of finished jobs in the list; the oldest are deleted first.
    pub keep: usize,
    /// Seconds that samples are stored after the last job that needs them.
    pub keep_samples_seconds: u64,
    /// Number of events stored for each job.
    pub keep_events: usize,
    /// Seconds without a heartbeat after which a job is taken from its worker.
    pub lease_seconds: f64,
    /// Seconds that a training process has to end a step after its job was cancelled or paused, or to come back after its lease is
    /// over; then the process is ended and another one takes its place.
    pub stop_seconds: f64,
    /// Number of consecutive attempts without a new checkpoint after which a job fails.
    pub attempts: u32,
    /// Seconds between two checkpoints.
    pub checkpoint_seconds: f64,
    /// Hosts that a job's `webhook` may name, separated by commas: `ci.example.org,10.0.0.7:9000`.
    pub webhook_hosts: String,
    /// Call webhooks whose host is a name that resolves to a private address; a host that `webhook_hosts` states as an address is
    /// called in any case.
    pub webhook_private: bool,
    /// Key that signs webhook requests: HMAC-SHA256 of the body, hexadecimal, in `X-Limpid-Signature`.
    pub webhook_secret: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 1,
            threads: None,
            nice: 19,
            queue: 16,
            queue_per_key: 0,
            fair: false,
            queue_bytes: 4 << 30,
            keep: 1000,
            keep_samples_seconds: 3600,
            keep_events: 1000,
            lease_seconds: 20.0,
            stop_seconds: 10.0,
            attempts: 3,
            checkpoint_seconds: 30.0,
            webhook_hosts: String::new(),
            webhook_private: false,
            webhook_secret: String::new(),
        }
    }
}

impl Config {
    /// Longest lease that another program may give, whose `lease_seconds` is another, in milliseconds.
    pub(super) fn longest_lease_ms(&self) -> i64 {
        (4 * self.lease_ms()).max(60_000)
    }

    /// Duration of a lease in milliseconds; each heartbeat renews it.
    pub(super) fn lease_ms(&self) -> i64 {
        (self.lease_seconds.clamp(0.1, 3600.0) * 1000.0) as i64
    }

    /// Time that a training process has to stop.
    pub(super) fn stop_time(&self) -> Duration {
        Duration::from_secs_f64(self.stop_seconds.clamp(0.1, 3600.0))
    }

    /// Returns the number of cores for a training process on the same machine as the service.
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
