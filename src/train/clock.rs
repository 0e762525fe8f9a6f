//! The wall clock of a run: speed, time left, when a checkpoint is due.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Loss and speed are told as means over so many steps.
const RECENT: usize = 100;

/// Steps that a run with a time budget takes before it knows its speed.
const TIMED_STEPS: u64 = 20;

/// See the file's opening. Nothing of it flows into the weights but the number of steps a time budget holds.
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

    /// Takes note of a step and its loss.
    pub(super) fn tick(&mut self, loss: f32) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((Instant::now(), loss));
        self.taken += 1;
    }

    /// Whether enough steps were taken to know the speed.
    pub(super) fn knows_the_speed(&self) -> bool {
        self.taken >= TIMED_STEPS
    }

    /// How many steps fit into `seconds`, those taken so far included, where a validation takes so many seconds
    /// and comes as often as `every` says of the total.
    pub(super) fn steps_within(&self, seconds: f64, validation: f64, every: impl Fn(u64) -> u64) -> u64 {
        let one = (self.start.elapsed().as_secs_f64() - validation).max(1e-3) / self.taken.max(1) as f64;
        let cost = |steps: u64| steps as f64 * one + (steps / every(steps).max(1) + 1) as f64 * validation;
        // The cost grows with the steps, so halving the range finds the largest count that fits.
        let (mut fits, mut over) = (self.taken, (seconds / one) as u64 + 1);
        while over > fits + 1 {
            let middle = fits.midpoint(over);
            if cost(middle) <= seconds { fits = middle } else { over = middle }
        }
        fits.max(TIMED_STEPS)
    }

    /// Whether a checkpoint is due; if so, the next one is due after `every`.
    pub(super) fn checkpoint_is_due(&mut self, every: Duration) -> bool {
        let is_due = self.saved.elapsed() >= every;
        if is_due {
            self.saved = Instant::now();
        }
        is_due
    }

    /// The mean loss of the last steps.
    pub(super) fn loss(&self) -> f32 {
        self.recent.iter().map(|(_, loss)| loss).sum::<f32>() / self.recent.len().max(1) as f32
    }

    /// Steps a second over the last steps.
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
    fn a_budget_pays_for_its_validations_too() {
        // 20 steps in 2 s, of which one validation took 1 s.
        let start = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let clock = Clock { start, taken: 20, saved: start, recent: VecDeque::new() };
        let free = clock.steps_within(100.0, 0.0, |_| 100);
        let paid = clock.steps_within(100.0, 1.0, |_| 100);
        assert!((995..=1000).contains(&free), "{free}");
        // A step takes 0.05 s, a hundred of them and a validation 6 s.
        assert!((1500..=1700).contains(&paid), "{paid}");
        assert_eq!(clock.steps_within(0.1, 1.0, |_| 100), 20);
    }
}
