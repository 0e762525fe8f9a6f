//! Ranking: results of several models and strengths for one sample, and the sample as it is, by true or predicted quality.

use serde::Serialize;
use utoipa::ToSchema;

use super::Prediction;

/// Largest number of candidates of one comparison, the input included.
pub const MOST_CANDIDATES: usize = 33;

/// Result of a model, or the input as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// `name@version`; `None` for the input as it is.
    pub model: Option<String>,
    /// Blend of the input, 0, and the result, 1.
    pub strength: f32,
    /// PSNR of images, SNR of other kinds, against the clean sample, if there is one, dB; infinite if equal.
    pub true_db: Option<f32>,
    /// Predicted PSNR.
    pub prediction: Prediction,
    /// Correlation of adjacent pixels of what was removed.
    pub residual_correlation: Option<f32>,
    /// Likeness of the input to the training data, 0..1.
    pub familiarity: Option<f32>,
}

/// Measure that candidates are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RankedBy {
    /// Quality against the clean sample.
    Truth,
    /// Predicted quality.
    Prediction,
    /// None: there is no clean sample, and no quality can be predicted.
    Nothing,
}

/// Candidates in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Candidates, the best first; in the order given where they are ranked by nothing.
    pub candidates: Vec<Candidate>,
    /// Measure of the order.
    pub by: RankedBy,
}

impl Candidate {
    /// Returns its predicted PSNR, dB.
    pub fn predicted_db(&self) -> Option<f32> {
        match &self.prediction {
            Prediction::Known(known) => Some(known.db),
            Prediction::Unknown(_) => None,
        }
    }

    /// Returns its quality by this measure, dB.
    pub fn score(&self, by: RankedBy) -> Option<f32> {
        match by {
            RankedBy::Truth => self.true_db,
            RankedBy::Prediction => self.predicted_db(),
            RankedBy::Nothing => None,
        }
    }
}

impl Ranking {
    /// Ranks candidates: by the truth if all have one, else by the prediction if that of the input is known. Candidates
    /// without a prediction come last. Among equal ones the input is first: a result that is no better than it is not worth having.
    pub fn of(mut candidates: Vec<Candidate>) -> Self {
        let by = measure(&candidates);
        if by != RankedBy::Nothing {
            let key = |candidate: &Candidate| {
                (candidate.score(by).unwrap_or(f32::NEG_INFINITY), candidate.model.is_none())
            };
            candidates.sort_by(|a, b| {
                let (a, b) = (key(a), key(b));
                b.0.total_cmp(&a.0).then(b.1.cmp(&a.1))
            });
        }
        Self { candidates, by }
    }

    /// Returns the best candidate; `None` if they are ranked by nothing.
    pub fn best(&self) -> Option<&Candidate> {
        (self.by != RankedBy::Nothing).then(|| self.candidates.first()).flatten()
    }
}

/// Returns the measure that candidates can be ranked by.
pub fn measure(candidates: &[Candidate]) -> RankedBy {
    let input = candidates.iter().find(|candidate| candidate.model.is_none());
    match input.and_then(Candidate::predicted_db) {
        _ if candidates.iter().all(|candidate| candidate.true_db.is_some()) => RankedBy::Truth,
        Some(_) => RankedBy::Prediction,
        None => RankedBy::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Predicted;

    fn candidate(model: Option<&str>, true_db: Option<f32>, predicted: Option<f32>) -> Candidate {
        let prediction = match predicted {
            Some(db) => Prediction::Known(Predicted { db, interval: None }),
            None => Prediction::Unknown("it is a page".into()),
        };
        let model = model.map(str::to_owned);
        Candidate { model, strength: 1.0, true_db, prediction, residual_correlation: None, familiarity: None }
    }

    fn order(ranking: &Ranking) -> Vec<&str> {
        ranking.candidates.iter().map(|candidate| candidate.model.as_deref().unwrap_or("input")).collect()
    }

    #[test]
    fn the_truth_counts_more_than_a_prediction() {
        let all = vec![
            candidate(Some("a"), Some(28.0), Some(31.0)),
            candidate(Some("b"), Some(29.0), Some(27.0)),
            candidate(None, Some(20.0), Some(20.0)),
        ];
        let ranking = Ranking::of(all.clone());
        assert_eq!((ranking.by, order(&ranking)), (RankedBy::Truth, vec!["b", "a", "input"]));
        let blind = all.into_iter().map(|one| Candidate { true_db: None, ..one }).collect();
        let ranking = Ranking::of(blind);
        assert_eq!((ranking.by, order(&ranking)), (RankedBy::Prediction, vec!["a", "b", "input"]));
    }

    #[test]
    fn where_nothing_helps_the_input_is_best() {
        let ranking = Ranking::of(vec![
            candidate(Some("a"), Some(f32::INFINITY), None),
            candidate(Some("b"), Some(35.0), None),
            candidate(None, Some(f32::INFINITY), None),
        ]);
        assert_eq!(order(&ranking), ["input", "a", "b"]);
        assert_eq!(ranking.best().unwrap().model, None);
    }

    #[test]
    fn unknown_predictions_come_last_and_an_unknown_input_ranks_nothing() {
        let ranking = Ranking::of(vec![
            candidate(Some("page"), None, None),
            candidate(None, None, Some(20.0)),
            candidate(Some("a"), None, Some(25.0)),
        ]);
        assert_eq!(order(&ranking), ["a", "input", "page"]);
        let ranking = Ranking::of(vec![candidate(Some("a"), None, Some(25.0)), candidate(None, None, None)]);
        assert_eq!(
            (ranking.by, ranking.best(), order(&ranking)),
            (RankedBy::Nothing, None, vec!["a", "input"])
        );
    }
}
