//! Times of a request, for `Server-Timing` and the `timing` member of JSON replies.

use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::writing::round;
use crate::engine::Done;

/// When a request is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

/// Header of the times of a request, with its meaning.
pub(super) const HEADER: (&str, &str) =
    ("Server-Timing", "Milliseconds that each stage took: queue, read, infer, write.");

/// Milliseconds that each stage of a request took.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Timing {
    /// Waiting for a worker.
    #[schema(example = 0.1)]
    queue_ms: f64,
    /// Reading the body and its samples.
    #[schema(example = 2.4)]
    read_ms: f64,
    /// Computing.
    #[schema(example = 31.0)]
    infer_ms: f64,
    /// Writing the reply.
    #[schema(example = 5.2)]
    write_ms: f64,
}

/// Times that the stages of a request took. Stages that run more than once are summed.
#[derive(Debug, Clone)]
pub(super) struct Times {
    last: Instant,
    stages: [(&'static str, Duration); 4],
}

impl Times {
    /// Starts the clock.
    pub(super) fn start() -> Self {
        let stages = ["queue", "read", "infer", "write"].map(|name| (name, Duration::ZERO));
        Self { last: Instant::now(), stages }
    }

    /// Counts the time since the last call to `stage`.
    pub(super) fn lap(&mut self, stage: &str) {
        let now = Instant::now();
        self.add(stage, now - self.last);
        self.last = now;
    }

    /// Takes a result of the engine out of its times, which are counted.
    pub(super) fn take<T>(&mut self, done: Done<T>) -> T {
        self.add("queue", done.queued);
        self.add("infer", done.ran);
        self.last = Instant::now();
        done.value
    }

    fn add(&mut self, stage: &str, time: Duration) {
        self.stages.iter_mut().filter(|(name, _)| *name == stage).for_each(|(_, sum)| *sum += time);
    }

    /// `Server-Timing: queue;dur=0.1, ...`, milliseconds (W3C Server Timing).
    pub(super) fn to_header(&self) -> (HeaderName, HeaderValue) {
        let stages: Vec<String> =
            self.stages.iter().map(|(name, time)| format!("{name};dur={}", milliseconds(*time))).collect();
        let value = HeaderValue::try_from(stages.join(", ")).expect("names and numbers");
        (HeaderName::try_from(HEADER.0).expect("a constant name"), value)
    }

    /// Times for a JSON reply.
    pub(super) fn timing(&self) -> Timing {
        let [queue_ms, read_ms, infer_ms, write_ms] = self.stages.map(|(_, time)| milliseconds(time));
        Timing { queue_ms, read_ms, infer_ms, write_ms }
    }
}

fn milliseconds(time: Duration) -> f64 {
    round(time.as_secs_f32() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_times_are_counted() {
        let mut times = Times::start();
        let ms = Duration::from_millis;
        assert_eq!(times.take(Done { value: 7, queued: ms(2), ran: ms(5) }), 7);
        times.take(Done { value: (), queued: ms(1), ran: ms(5) });
        let header = times.to_header().1;
        assert!(header.to_str().unwrap().starts_with("queue;dur=3, read;dur=0, infer;dur=10"), "{header:?}");
    }
}
