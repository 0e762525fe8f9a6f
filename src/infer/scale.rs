//! Scale: normalisation of a sample before the network, and its inverse after it.

use crate::sample::{Bounds, Sample, Stats};

/// Statistics of a sample, and the bounds of its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    each: Each,
    /// Numbers outside these bounds are hidden from the network, and are copied to the result unchanged.
    pub bounds: Option<Bounds>,
}

#[derive(Debug, Clone, PartialEq)]
enum Each {
    /// One for all numbers.
    All(Stats),
    /// One per channel.
    Channel(Vec<Stats>),
    /// One per column of a vector.
    Column(Vec<Stats>),
}

impl Scale {
    /// Creates a scale with the same statistics for all numbers.
    pub fn all(stats: Stats) -> Self {
        Self { each: Each::All(stats), bounds: None }
    }

    /// Creates a scale with statistics per channel.
    pub fn channels(stats: Vec<Stats>) -> Self {
        Self { each: Each::Channel(stats), bounds: None }
    }

    /// Creates a scale with statistics per column of a vector.
    pub fn columns(stats: Vec<Stats>) -> Self {
        Self { each: Each::Column(stats), bounds: None }
    }

    /// Returns the statistics: one for all numbers, or one per channel or column.
    pub fn stats(&self) -> Vec<Stats> {
        match &self.each {
            Each::All(stats) => vec![*stats],
            Each::Channel(stats) | Each::Column(stats) => stats.clone(),
        }
    }

    /// Sets the bounds of the content.
    #[must_use]
    pub fn within(self, bounds: Option<Bounds>) -> Self {
        Self { bounds, ..self }
    }

    /// Normalises a row of a channel, from column `first`.
    pub fn normalize(&self, channel: usize, first: usize, row: &mut [f32]) {
        self.each(channel, first, row, Stats::normalize);
    }

    /// Inverts the normalisation.
    pub fn restore(&self, channel: usize, first: usize, row: &mut [f32]) {
        self.each(channel, first, row, Stats::restore);
    }

    /// Divides by the standard deviations; constant channels and columns become 0.
    pub fn divide(&self, channel: usize, first: usize, row: &mut [f32]) {
        self.each(channel, first, row, |stats, row| {
            let share = if stats.std > 0.0 { 1.0 / stats.std } else { 0.0 };
            row.iter_mut().for_each(|v| *v *= share);
        });
    }

    /// Returns the standard deviation of all numbers; `None` if there are several.
    pub fn deviation(&self) -> Option<f32> {
        if let Each::All(stats) = &self.each { Some(stats.std) } else { None }
    }

    /// Returns `true` if all numbers of the channel or column are equal, so that the network cannot contribute.
    pub fn is_constant(&self, channel: usize, column: usize) -> bool {
        match &self.each {
            Each::All(_) => false,
            Each::Channel(stats) => stats[channel].std == 0.0,
            Each::Column(stats) => stats.get(column).is_some_and(|stats| stats.std == 0.0),
        }
    }

    /// Returns `true` if no channel or column is constant.
    pub fn varies(&self) -> bool {
        match &self.each {
            Each::All(_) => true,
            Each::Channel(stats) | Each::Column(stats) => stats.iter().all(|stats| stats.std > 0.0),
        }
    }

    fn each(&self, channel: usize, first: usize, row: &mut [f32], apply: impl Fn(&Stats, &mut [f32])) {
        match &self.each {
            Each::All(stats) => apply(stats, row),
            Each::Channel(stats) => apply(&stats[channel], row),
            // Columns beyond the last one are padding, which has no statistics.
            Each::Column(stats) => row
                .iter_mut()
                .zip(stats[first.min(stats.len())..].iter())
                .for_each(|(v, stats)| apply(stats, std::slice::from_mut(v))),
        }
    }
}

/// Returns the sample as the network sees it, with outliers filled in; `None` if it has no outliers.
pub fn without_outliers(sample: &Sample) -> Option<Sample> {
    let (stats, bounds) = sample.robust_stats();
    let bounds = bounds?;
    let scale = Scale::all(stats);
    let (_, height, width) = sample.shape().extents();
    let fill = |(i, v): (usize, &f32)| match bounds.exclude(*v) {
        true => filled(sample, &scale, &bounds, (i / (height * width), i / width % height, i % width)),
        false => *v,
    };
    let data = sample.data().iter().enumerate().map(fill).collect();
    let filled = Sample::new(sample.shape(), data).expect("means of finite numbers are finite");
    Some(filled.with_gaps_of(sample))
}

/// Returns the replacement for an outlier of an image: the mean of its neighbours that are not outliers, or the mean of
/// all numbers.
pub fn filled(sample: &Sample, scale: &Scale, bounds: &Bounds, at: (usize, usize, usize)) -> f32 {
    let (_, height, width) = sample.shape().extents();
    let (channel, y, x) = at;
    let (top, bottom) = (y.saturating_sub(1), (y + 1).min(height - 1));
    let (left, right) = (x.saturating_sub(1), (x + 1).min(width - 1));
    let (mut sum, mut count, mut near) = (0.0, 0.0, [0.0; 3]);
    for y in top..=bottom {
        let near = &mut near[..=right - left];
        sample.read((channel * height + y) * width + left, near);
        for v in near.iter().filter(|v| !bounds.exclude(**v)) {
            sum += v;
            count += 1.0;
        }
    }
    if count > 0.0 {
        return sum / count;
    }
    let mut mean = [0.0];
    scale.restore(channel, x, &mut mean);
    mean[0]
}
