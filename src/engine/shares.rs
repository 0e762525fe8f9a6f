//! Shares: division of the memory that this process may use among the purposes that take it.
//!
//! Everything that grows with requests has a share, and the shares together are what there is, so that a request is rejected
//! with 429 before the memory is gone and the system ends the process.

use std::fmt;

use super::Config;

/// Bytes for each purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Memory that this process may use.
    pub total: usize,
    /// The program, its threads, and memory that its allocator keeps for reuse: 3/16.
    pub program: usize,
    /// Weights of loaded models (`engine.models_bytes`): 2/16.
    pub models: usize,
    /// Bodies, samples and replies that requests hold (`engine.queue_bytes`): 4/16.
    pub held: usize,
    /// Samples of large requests that run at the same time; one alone may have more, as running work: 2/16, or 2/5 of
    /// `engine.memory_bytes`.
    pub large: usize,
    /// Running work (`engine.memory_bytes`): 5/16.
    pub work: usize,
}

impl Shares {
    /// Divides `total` bytes; settings replace the shares that they name.
    pub(super) fn new(config: &Config, total: usize) -> Self {
        let part = total / 16;
        let work = config.memory_bytes.unwrap_or(5 * part);
        Self {
            total,
            program: 3 * part,
            models: config.models_bytes.unwrap_or(2 * part),
            held: config.queue_bytes.unwrap_or(4 * part),
            large: work / 5 * 2,
            work,
        }
    }

    /// Returns `true` if the shares are more than there is, which only settings can cause.
    pub fn is_over(&self) -> bool {
        let all = [self.program, self.models, self.held, self.large, self.work];
        all.into_iter().fold(0, usize::saturating_add) > self.total
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, program, models, held, large, work } = self.map(|bytes| bytes >> 20);
        write!(
            f,
            "{total} MiB: {program} program + {models} models + {held} bodies and replies + {large} samples of large requests + \
             {work} work"
        )
    }
}

impl Shares {
    fn map(self, to: impl Fn(usize) -> usize) -> Self {
        let Self { total, program, models, held, large, work } = self;
        let [total, program, models, held, large, work] = [total, program, models, held, large, work].map(to);
        Self { total, program, models, held, large, work }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_what_there_is() {
        let shares = Shares::new(&Config::default(), 1 << 30);
        let text = "1024 MiB: 192 program + 128 models + 256 bodies and replies + 128 samples of large requests + 320 work";
        assert_eq!(shares.to_string(), text);
        for total in [0, 1, 1 << 20, 300 << 20, 1 << 40, usize::MAX] {
            assert!(!Shares::new(&Config::default(), total).is_over(), "{total}");
        }
    }

    #[test]
    fn settings_may_ask_for_more_than_there_is() {
        let with = |memory_bytes| {
            let config =
                Config { memory_bytes: Some(memory_bytes), queue_bytes: Some(1000), ..Config::default() };
            Shares::new(&config, 1 << 20)
        };
        assert_eq!((with(5000).work, with(5000).large, with(5000).held), (5000, 2000, 1000));
        assert!(!with(5000).is_over() && with(1 << 20).is_over() && with(usize::MAX).is_over());
    }
}
