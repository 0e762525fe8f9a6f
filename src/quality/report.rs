//! Summaries of a score over many samples.

use serde::Serialize;

/// Summary of a score over many samples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Number of samples.
    pub count: usize,
    /// Number of samples with an infinite score (output equals clean); they are excluded from the rest.
    pub exact: usize,
    /// Mean of the finite scores; `None` if there are none.
    pub mean: Option<f32>,
    /// Standard deviation of the finite scores.
    pub spread: Option<f32>,
    /// Lowest finite score.
    pub lowest: Option<f32>,
    /// Index of the sample with the lowest score.
    pub lowest_at: Option<usize>,
    /// Highest finite score.
    pub highest: Option<f32>,
}

impl Summary {
    /// Summarizes scores in dB or SSIM, one per sample. The mean is of per-sample values, as in the literature. NaN
    /// scores count as infinite: they come from dividing 0 by 0.
    pub fn of(scores: &[f32]) -> Self {
        let finite: Vec<(usize, f32)> =
            scores.iter().copied().enumerate().filter(|(_, score)| score.is_finite()).collect();
        let n = finite.len() as f64;
        let some = |value: f64| (!finite.is_empty()).then_some(value as f32);
        let mean = finite.iter().map(|&(_, score)| f64::from(score)).sum::<f64>() / n;
        let variance = finite.iter().map(|&(_, score)| (f64::from(score) - mean).powi(2)).sum::<f64>() / n;
        let lowest = finite.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        Self {
            count: scores.len(),
            exact: scores.len() - finite.len(),
            mean: some(mean),
            spread: some(variance.sqrt()),
            lowest: lowest.map(|&(_, score)| score),
            lowest_at: lowest.map(|&(at, _)| at),
            highest: finite.iter().map(|&(_, score)| score).max_by(f32::total_cmp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_spread_and_worst_are_of_the_finite_scores() {
        let summary = Summary::of(&[30.0, f32::INFINITY, 26.0]);
        assert_eq!((summary.count, summary.exact), (3, 1));
        assert_eq!((summary.mean, summary.spread), (Some(28.0), Some(2.0)));
        assert_eq!((summary.lowest, summary.lowest_at, summary.highest), (Some(26.0), Some(2), Some(30.0)));
    }

    #[test]
    fn nothing_has_no_mean_and_is_written_as_null() {
        let json = serde_json::to_value(Summary::of(&[])).unwrap();
        assert_eq!(json["mean"], serde_json::Value::Null);
        assert_eq!(json["count"], 0);
    }
}
