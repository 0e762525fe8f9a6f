//! Verdict: decision on whether a trained version becomes the default, with the reason.

use serde_json::json;

use super::{Promote, Scores};

/// Difference of estimated scores, dB, up to which they count as equal. Chosen on one set: with 0.05 a version of microscopy that
/// was 1.1 dB better by the truth was kept back for 0.01 dB. The variance of the estimates has not been measured.
const SCATTER: f32 = 0.02;

/// Scores of a model and of the models it is compared with, on the same held-out samples.
pub(super) struct Compared {
    /// Scores of the model itself.
    pub(super) scores: Scores,
    /// Name and scores of the default version so far.
    pub(super) before: Option<(String, Scores)>,
    /// Name and scores of the base, unless it is that version.
    pub(super) base: Option<(String, Scores)>,
    /// Name of the classical method.
    pub(super) classical: &'static str,
    /// `true` if the scores are estimates, because there are no clean samples.
    pub(super) is_estimated: bool,
}

/// Decision after a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// `true` if the version becomes the default in any case.
    pub(super) promotes: bool,
    /// Reason why the version must not become the default by itself, with advice.
    pub(super) kept_back: Option<String>,
}

impl Compared {
    /// Decides according to `promote`.
    pub(super) fn verdict(&self, promote: Promote) -> Verdict {
        match promote {
            Promote::Always => Verdict { promotes: true, kept_back: None },
            Promote::Never => Verdict { promotes: false, kept_back: None },
            Promote::IfBetter => {
                let kept_back = self.shortfall();
                Verdict { promotes: kept_back.is_none(), kept_back }
            }
        }
    }

    /// Returns the reason of the first comparison that the model does not win: with the noisy input, the default version and the
    /// base. The classical method counts only if the current model beats it, because it cannot be served instead.
    fn shortfall(&self) -> Option<String> {
        let Scores { full_db, noisy_db, judged_db, baseline_db, .. } = self.scores;
        let margin = if self.is_estimated { SCATTER } else { 0.0 };
        let beats = |other: f32| full_db > other + margin;
        if !beats(noisy_db) {
            return Some(told(
                "the noisy input",
                full_db,
                noisy_db,
                "the noise it was trained on may not be that of the samples: look at the scheme and the corruption, \
                 train for longer, or send more samples",
            ));
        }
        for (rival, advice) in [
            (&self.before, "train for longer or on more samples; the version before continues to serve"),
            (
                &self.base,
                "the base does better on these samples: use it as it is, or train for longer or on more",
            ),
        ] {
            if let Some((name, scores)) = rival
                && (judged_db <= scores.judged_db || self.is_estimated && !beats(scores.full_db))
            {
                let reason = told(name, full_db, scores.full_db, advice);
                let weighed = full_db > scores.full_db + margin;
                let how = if weighed { " with errors weighed as in training" } else { "" };
                return Some(reason.replacen(
                    " on the held-out samples",
                    &format!("{how} on the held-out samples"),
                    1,
                ));
            }
            if let Some((name, scores)) = rival
                && self.scores.is_rougher_than(scores)
            {
                return Some(format!(
                    "what it takes out is less like the noise of the samples than what {name} takes out (correlation \
                     {:.2} off against {:.2}): content may go with it; train on pairs or on repeats, where there are any",
                    self.scores.residual.unwrap_or_default(),
                    scores.residual.unwrap_or_default(),
                ));
            }
        }
        let served = self.before.as_ref().or(self.base.as_ref());
        let classical = baseline_db.filter(|db| served.is_some_and(|(_, served)| served.full_db > *db));
        classical.filter(|db| !beats(*db)).map(|db| {
            let advice = "train for longer, on more samples, or from a base";
            told(&format!("{}, a method without learning,", self.classical), full_db, db, advice)
        })
    }

    /// Returns the scores as model cards and jobs show them.
    pub(super) fn json(&self) -> serde_json::Value {
        let mut json = json!({ "held_out": self.scores, "estimated": self.is_estimated });
        if self.scores.baseline_db.is_some() {
            json["baseline"] = self.classical.into();
        }
        // `before` is the model to beat: the base if there was no default version.
        let before = self.before.as_ref().or(self.base.as_ref());
        for (key, scored) in [("before", before), ("base", self.base.as_ref())] {
            if let Some((name, scores)) = scored {
                json[key] = json!({ "model": name, "held_out": scores });
            }
        }
        json
    }
}

fn told(rival: &str, own: f32, other: f32, advice: &str) -> String {
    format!("it does not beat {rival} on the held-out samples ({own:.2} dB against {other:.2} dB); {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(full_db: f32) -> Scores {
        Scores {
            samples: 4,
            noisy_db: 20.0,
            strict_db: full_db,
            full_db,
            judged_db: full_db,
            baseline_db: Some(24.0),
            residual: None,
        }
    }

    fn kept_back(own: f32, before: Option<f32>, base: Option<f32>) -> Option<String> {
        let named = |name: &str, db: Option<f32>| db.map(|db| (name.to_owned(), scores(db)));
        let (before, base) = (named("a@1", before), named("photo-gray@3", base));
        let compared =
            Compared { scores: scores(own), before, base, classical: "sliding DCT", is_estimated: false };
        compared.verdict(Promote::IfBetter).kept_back
    }

    #[test]
    fn a_version_serves_only_if_it_beats_everything_it_is_compared_with() {
        assert_eq!(kept_back(30.0, None, None), None);
        assert_eq!(kept_back(30.0, Some(29.0), Some(28.0)), None);
        let refused = |own, before, base, rival: &str| {
            let reason = kept_back(own, before, base).unwrap();
            assert!(reason.contains(rival), "{reason}");
        };
        refused(19.0, None, None, "the noisy input on the held-out samples (19.00 dB against 20.00 dB)");
        refused(19.0, Some(18.0), None, "the noisy input");
        refused(30.0, Some(30.0), None, "a@1 on the held-out samples");
        refused(30.0, Some(29.0), Some(33.3), "photo-gray@3");
        refused(30.0, None, Some(33.3), "photo-gray@3");
        // The default version was also below the classical method, or there was none.
        assert_eq!(kept_back(23.0, Some(22.0), None), None);
        assert_eq!(kept_back(23.0, None, None), None);
    }

    #[test]
    fn estimates_must_differ_by_more_than_they_scatter() {
        let at = |own: f32, is_estimated| {
            let base = Some(("photo-gray@3".to_owned(), scores(30.0)));
            let compared =
                Compared { scores: scores(own), before: None, base, classical: "sliding DCT", is_estimated };
            compared.verdict(Promote::IfBetter).promotes
        };
        assert_eq!([at(30.01, false), at(30.01, true), at(30.1, true)], [true, false, true]);
    }

    #[test]
    fn what_is_asked_for_stands_whatever_the_scores() {
        let compared = Compared {
            scores: scores(10.0),
            before: None,
            base: None,
            classical: "sliding DCT",
            is_estimated: false,
        };
        assert!(compared.verdict(Promote::Always).promotes);
        assert_eq!(compared.verdict(Promote::Never), Verdict { promotes: false, kept_back: None });
    }
}
