//! Wall clock of a run: speed, remaining time, due checkpoints.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Number of steps over which loss and speed are averaged.
const RECENT: usize = 100;

/// Number of steps after which a run with a time budget knows its speed,
const TIMED_STEPS: u64 = 20;

/// unless they took this share of the remaining time.
const TIMED_SHARE: f64 = 0.1;

/// Wall clock of a run. Affects the weights only by the number of steps within a time budget.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    taken: u64,
    saved: Instant,
    recent: VecDeque<(Instant, f32)>,
}

impl Clock {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { start: now, taken: 0, saved: now, recent: VecDeque::new() }
    }

    /// Records a step and its loss.
    pub(super) fn tick(&mut self, loss: f32) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((Instant::now(), loss));
        self.taken += 1;
    }

    /// Returns the seconds since the start.
    pub(super) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Returns the number of steps in `seconds` at the recent speed, validations included; `None` until the speed is known.
    pub(super) fn steps_within(&self, seconds: f64) -> Option<u64> {
        let is_known = self.taken >= TIMED_STEPS || self.taken > 0 && self.seconds() >= TIMED_SHARE * seconds;
        is_known.then(|| (seconds.max(0.0) * f64::from(self.speed())) as u64)
    }

    /// Returns `true` if a checkpoint is due; then the next one is due after `every`.
    pub(super) fn checkpoint_is_due(&mut self, every: Duration) -> bool {
        let is_due = self.saved.elapsed() >= every;
        if is_due {
            self.saved = Instant::now();
        }
        is_due
    }

    /// Returns the mean loss of the recent steps.
    pub(super) fn loss(&self) -> f32 {
        self.recent.iter().map(|(_, loss)| loss).sum::<f32>() / self.recent.len().max(1) as f32
    }

    /// Returns the speed over the recent steps, steps/s.
    pub(super) fn speed(&self) -> f32 {
        let Some((then, _)) = self.recent.front() else { return 0.0 };
        let (since, steps) = match self.recent.len() {
            1 => (self.start, 1),
            n => (*then, n - 1),
        };
        steps as f32 / since.elapsed().as_secs_f32().max(1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_holds_as_many_steps_as_the_last_ones_say() {
        let at = |seconds: u64| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        // One step a second for eight seconds, then one in four.
        let recent = [20, 19, 18, 17, 16, 12, 8, 4, 0].map(|then| (at(then), 0.0)).into_iter().collect();
        let clock = Clock { start: at(21), taken: 9, saved: at(21), recent };
        assert_eq!(clock.steps_within(600.0), None, "too few steps, and hardly any time gone");
        // Eight steps took 20 seconds.
        assert!((39..=40).contains(&clock.steps_within(100.0).unwrap()));
        assert_eq!(clock.steps_within(-3.0), Some(0));
    }
}
