//! Tracking of validations: best weights, collapse and early stopping.

/// Scores within this distance of the best, dB, count as equal to it.
const MARGIN: f32 = 0.05;

/// Distance below the best, dB, beyond which a score means a collapsed run rather than overfitting.
const COLLAPSE: f32 = 6.0;

/// Smallest number of validations without improvement that can stop a run.
const FEWEST: usize = 5;

/// Validation history of a run; part of a checkpoint.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Watch {
    /// Step and score of the best weights.
    best: Option<(u64, f32)>,
    /// Scores since the best one.
    since: Vec<f32>,
}

/// Result of a validation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// Best score yet.
    Best,
    /// Continue.
    GoOn,
    /// The weights have diverged.
    Collapsed,
    /// Stop early: further training would not improve the result.
    Stop(String),
}

impl Watch {
    /// Records the score after `step` of `total` steps, one of about `planned` validations.
    ///
    /// A cosine learning-rate schedule gains most at the end, and fine-tuning is worse than its base while the rate is high. A
    /// run is therefore stopped only after three fifths of its steps (the rate is then a third of its peak), and only if for a
    /// quarter of its validations, and at least 5, every score is clearly below the best and the last is the lowest.
    pub(super) fn see(&mut self, step: u64, total: u64, planned: usize, db: f32) -> Verdict {
        let best = self.best.map_or(f32::NEG_INFINITY, |(_, best)| best);
        if !db.is_finite() || db < best - COLLAPSE {
            return Verdict::Collapsed;
        }
        if db > best {
            *self = Self { best: Some((step, db)), since: Vec::new() };
            return Verdict::Best;
        }
        self.since.push(db);
        let patience = (planned / 4).max(FEWEST);
        if step * 5 < total * 3 || self.since.len() < patience {
            return Verdict::GoOn;
        }
        let recent = &self.since[self.since.len() - patience..];
        if recent.iter().any(|score| *score >= best - MARGIN || *score < db) {
            return Verdict::GoOn;
        }
        let at = self.best.map_or(0, |(step, _)| step);
        Verdict::Stop(format!(
            "stopped early, after {step} of {total} steps: {patience} validations in a row were more than \
             {MARGIN} dB below the {best:.2} dB of step {at} and falling"
        ))
    }

    /// Returns step and score of the best weights.
    pub(super) fn best(&self) -> Option<(u64, f32)> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the verdicts of 20 validations, one every 100 steps.
    fn watch(score: impl Fn(usize) -> f32) -> (Vec<Verdict>, Watch) {
        let mut watch = Watch::default();
        let mut verdicts = Vec::new();
        for i in 1..=20 {
            verdicts.push(watch.see(100 * i as u64, 2000, 20, score(i)));
            if matches!(verdicts.last(), Some(Verdict::Stop(_))) {
                break;
            }
        }
        (verdicts, watch)
    }

    fn stops(score: impl Fn(usize) -> f32) -> bool {
        watch(score).0.iter().any(|verdict| matches!(verdict, Verdict::Stop(_)))
    }

    #[test]
    fn a_run_that_gets_ever_worse_is_stopped_late() {
        let (verdicts, watch) = watch(|i| if i < 5 { 28.0 + i as f32 } else { 33.0 - 0.1 * i as f32 });
        let Some(Verdict::Stop(reason)) = verdicts.last() else { panic!("{verdicts:?}") };
        assert!(reason.contains("after 1200 of 2000 steps") && reason.contains("step 500"), "{reason}");
        assert_eq!(watch.best(), Some((500, 32.5)));
    }

    #[test]
    fn neither_slow_gain_nor_a_plateau_nor_the_dip_of_a_fine_tuning_is_stopped() {
        assert!(!stops(|i| 28.0 + 0.01 * i as f32));
        assert!(!stops(|i| 28.0 + 0.02 * (i % 3) as f32));
        // Fine-tuning: good initial weights, worse while the rate is high, better at the end.
        assert!(!stops(|i| 27.5 + 0.06 * (i as f32 - 10.0).abs()));
        assert!(!stops(|i| 27.5 + 0.06 * (i as f32 - 6.0).abs()));
        assert!(!stops(|i| if i == 1 { 28.3 } else { 28.0 + 0.02 * (i as f32 - 2.0) }));
    }

    #[test]
    fn a_collapse_is_told_from_a_dip_and_leaves_the_best_alone() {
        let (verdicts, watch) = watch(|i| if i == 7 { 20.0 } else { 28.0 + i as f32 * 0.1 });
        assert_eq!((&verdicts[6], &verdicts[7]), (&Verdict::Collapsed, &Verdict::Best));
        assert_eq!(watch.best(), Some((2000, 30.0)));
        assert_eq!(Watch::default().see(1, 2, 1, f32::NAN), Verdict::Collapsed);
    }
}
