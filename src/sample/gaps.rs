//! Gaps: missing numbers of a sample. They are filled in for the network, and left out of all statistics.

use std::borrow::Cow;
use std::sync::Arc;

use super::stats::Running;
use super::{Error, Kind, Moments, Numbers, Sample, Shape};

/// Handling of missing numbers.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[schema(as = MissingNumbers)]
pub enum Missing {
    /// Missing numbers stay missing in the result.
    #[default]
    Keep,
    /// The result holds the values of the model in their place.
    Fill,
    /// An input with missing numbers is an error.
    Refuse,
}

/// Rule for the missing numbers of an input.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GapRule {
    /// Handling of missing numbers.
    pub missing: Missing,
    /// Number that stands for a missing one, such as -9999, besides NaN, infinity and empty fields.
    pub sentinel: Option<f32>,
}

/// Positions of the missing numbers of a sample; its numbers there are filled in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gaps {
    is_missing: Arc<[bool]>,
    is_kept: bool,
    /// Number that stands for a missing one in the input, if not NaN.
    sentinel: Option<f32>,
}

impl Sample {
    /// Creates a sample of `shape`, in which numbers that are not finite are missing and are filled in: in signals by
    /// linear interpolation in time (the nearest number at the ends), in images by the mean of the nearest numbers. A
    /// vector has no neighbours, see [`Sample::vectors_with_gaps`].
    ///
    /// # Errors
    /// As [`Sample::new`]; [`Error::AllMissing`] for a channel without any number, [`Error::NonFinite`] for a vector.
    pub fn with_gaps(shape: Shape, mut data: Vec<f32>) -> Result<Self, Error> {
        super::check(shape, data.len())?;
        if shape.kind() == Kind::Vector || data.iter().all(|v| v.is_finite()) {
            return Self::new(shape, data);
        }
        let is_missing: Arc<[bool]> = data.iter().map(|v| !v.is_finite()).collect();
        let numbers = shape.numbers() / shape.channels();
        if let Some(channel) = is_missing.chunks(numbers).position(|part| part.iter().all(|m| *m)) {
            return Err(Error::AllMissing { what: "channel", at: channel });
        }
        fill(&mut data, shape, &is_missing);
        let gaps = Gaps { is_missing, is_kept: true, sentinel: None };
        Ok(Self { gaps: Some(gaps), ..Self::new(shape, data)? })
    }

    /// Creates vectors of `features` numbers each from `rows`, one after the other. Numbers that are not finite are
    /// missing, and are filled in with the median of their column.
    ///
    /// # Errors
    /// As [`Sample::new`]; [`Error::AllMissing`] for a column without any number in which one is missing.
    pub fn vectors_with_gaps(features: usize, mut rows: Vec<f32>) -> Result<Vec<Self>, Error> {
        let shape = Shape::Vector { features };
        if features == 0 || !rows.len().is_multiple_of(features) {
            return Err(Error::Length { shape, expected: features, got: rows.len() });
        }
        let is_missing: Vec<bool> = rows.iter().map(|v| !v.is_finite()).collect();
        for column in (0..features).filter(|at| is_missing.iter().skip(*at).step_by(features).any(|m| *m)) {
            let mut known: Vec<f32> =
                rows.iter().skip(column).step_by(features).copied().filter(|v| v.is_finite()).collect();
            if known.is_empty() {
                return Err(Error::AllMissing { what: "column", at: column });
            }
            let median = median(&mut known);
            let column = rows.iter_mut().skip(column).step_by(features);
            column.filter(|v| !v.is_finite()).for_each(|v| *v = median);
        }
        let one = |(row, is_missing): (&[f32], &[bool])| {
            let sample = Self::new(shape, row.to_vec())?;
            Ok(if is_missing.contains(&true) { sample.masked(is_missing.into()) } else { sample })
        };
        rows.chunks_exact(features).zip(is_missing.chunks_exact(features)).map(one).collect()
    }

    /// Positions of the missing numbers, `true` where one is missing; `None` if none is.
    pub fn missing(&self) -> Option<&[bool]> {
        self.gaps.as_ref().map(|gaps| &*gaps.is_missing)
    }

    /// Number of missing numbers.
    pub fn missing_count(&self) -> usize {
        self.missing().map_or(0, |missing| missing.iter().filter(|m| **m).count())
    }

    /// Returns `true` if missing numbers are written as missing, not as the numbers filled in.
    pub fn keeps_gaps(&self) -> bool {
        self.gaps.as_ref().is_some_and(|gaps| gaps.is_kept)
    }

    /// Returns `true` if NaN is written to files.
    pub fn writes_nan(&self) -> bool {
        self.gaps.as_ref().is_some_and(|gaps| gaps.is_kept && gaps.sentinel.is_none())
    }

    /// Sets the rule for missing numbers in results; [`Missing::Refuse`] is checked by the reader.
    #[must_use]
    pub fn ruled(mut self, rule: GapRule) -> Self {
        if let Some(gaps) = &mut self.gaps {
            (gaps.is_kept, gaps.sentinel) = (rule.missing != Missing::Fill, rule.sentinel);
        }
        self
    }

    /// Marks the numbers that are missing in `other` as missing here too. `other` must have as many numbers.
    #[must_use]
    pub fn with_gaps_of(self, other: &Sample) -> Self {
        debug_assert_eq!(self.shape.numbers(), other.shape.numbers());
        Self { gaps: other.gaps.clone(), ..self }
    }

    /// [`Sample::with_gaps_of`] of samples whose numbers this one holds one after the other.
    #[must_use]
    pub fn with_gaps_of_parts(self, parts: &[Sample]) -> Self {
        let Some(first) = parts.iter().find_map(|part| part.gaps.clone()) else { return self };
        let of = |part: &Sample| {
            part.missing().map_or_else(|| vec![false; part.shape.numbers()], <[bool]>::to_vec)
        };
        let gaps = Gaps { is_missing: parts.iter().flat_map(of).collect(), ..first };
        Self { gaps: Some(gaps), ..self }
    }

    /// Marks numbers as missing; none if none is `true`.
    ///
    /// # Panics
    /// There are not as many marks as numbers.
    #[must_use]
    pub fn masked(self, is_missing: Vec<bool>) -> Self {
        assert!(is_missing.len() == self.shape.numbers(), "{} marks do not fit", is_missing.len());
        let gaps = Gaps { is_missing: is_missing.into(), is_kept: true, sentinel: None };
        Self { gaps: gaps.is_missing.contains(&true).then_some(gaps), ..self }
    }

    /// Numbers to write to a file: those of [`Sample::data`], and NaN, or the number that stood for it in the input, where
    /// one is missing and stays so.
    pub fn written(&self) -> Cow<'_, [f32]> {
        match &self.gaps {
            Some(gaps) if gaps.is_kept => {
                let missing = gaps.sentinel.unwrap_or(f32::NAN);
                let one = |(v, is_missing): (&f32, &bool)| if *is_missing { missing } else { *v };
                self.data().iter().zip(&*gaps.is_missing).map(one).collect()
            }
            _ => self.data().into(),
        }
    }

    /// Numbers for estimates that leave out missing ones: those of [`Sample::data`], and NaN where one is missing.
    pub fn known(&self) -> Cow<'_, [f32]> {
        let Some(missing) = self.missing() else { return self.data().into() };
        let one = |(v, is_missing): (&f32, &bool)| if *is_missing { f32::NAN } else { *v };
        self.data().iter().zip(missing).map(one).collect()
    }

    /// [`Sample::read`] of the numbers of [`Sample::known`].
    ///
    /// # Panics
    /// There are fewer numbers.
    pub fn read_known(&self, start: usize, out: &mut [f32]) {
        self.read(start, out);
        if let Some(missing) = self.missing() {
            out.iter_mut().zip(&missing[start..]).filter(|(_, m)| **m).for_each(|(v, _)| *v = f32::NAN);
        }
    }

    /// Moments of `count` numbers from `start` on, without the missing ones unless all are missing.
    pub(super) fn moments_of(&self, start: usize, count: usize) -> Moments {
        let all = || Moments::of_parts(count, |at, out| self.read(start + at, out));
        let (Some(missing), Numbers::F32(data)) = (self.missing(), &self.numbers) else { return all() };
        moments_without(&data[start..start + count], &missing[start..start + count])
    }
}

/// Places at which samples are compared: those of numbers that are missing in none of them.
#[derive(Debug, Clone)]
pub struct Compared {
    is_missing: Option<Vec<bool>>,
}

impl Compared {
    /// Returns the places at which `samples`, of one shape, are compared.
    pub fn of(samples: &[&Sample]) -> Self {
        let masks: Vec<&[bool]> = samples.iter().filter_map(|sample| sample.missing()).collect();
        let is_missing =
            masks.first().map(|first| (0..first.len()).map(|at| masks.iter().any(|m| m[at])).collect());
        Self { is_missing }
    }

    /// Returns the numbers at these places.
    pub fn known<'a>(&self, data: &'a [f32]) -> Cow<'a, [f32]> {
        let Some(missing) = &self.is_missing else { return data.into() };
        data.iter().zip(missing).filter(|(_, is_missing)| !**is_missing).map(|(v, _)| *v).collect()
    }

    /// Returns the numbers at these places, and those of `reference` elsewhere, for measures that take whole images.
    pub fn over<'a>(&self, data: &'a [f32], reference: &[f32]) -> Cow<'a, [f32]> {
        let Some(missing) = &self.is_missing else { return data.into() };
        let all = data.iter().zip(reference).zip(missing);
        all.map(|((v, reference), is_missing)| if *is_missing { *reference } else { *v }).collect()
    }
}

/// Returns the moments of the numbers that are not missing, or of all if all are missing.
pub fn moments_without(data: &[f32], is_missing: &[bool]) -> Moments {
    let (mut all, mut known) = (Running::default(), Vec::with_capacity(4096));
    for (data, is_missing) in data.chunks(4096).zip(is_missing.chunks(4096)) {
        known.clear();
        known.extend(data.iter().zip(is_missing).filter(|(_, is_missing)| !**is_missing).map(|(v, _)| *v));
        all.add(&known);
    }
    if is_missing.iter().all(|m| *m) { Moments::of(data) } else { all.moments() }
}

/// Fills in the missing numbers of a signal or an image of `shape`, whatever they hold; a channel in which all are
/// missing, and a vector, are left as they are.
pub fn fill(data: &mut [f32], shape: Shape, is_missing: &[bool]) {
    let (_, height, width) = shape.extents();
    let planes = data.chunks_exact_mut(height * width).zip(is_missing.chunks_exact(height * width));
    for (plane, is_missing) in planes.filter(|(_, is_missing)| is_missing.contains(&true)) {
        match shape.kind() {
            Kind::Signal => interpolate(plane, is_missing),
            Kind::Image => spread(plane, is_missing, width),
            Kind::Vector => {}
        }
    }
}

/// Fills in missing numbers after a change of the others, for example by noise, as a reader would fill them in. A vector,
/// whose column is not known here, gets those it had `before` the change.
pub fn refill(data: &mut [f32], before: &[f32], shape: Shape, is_missing: &[bool]) {
    if shape.kind() == Kind::Vector {
        let known = data.iter_mut().zip(before).zip(is_missing);
        return known.filter(|(_, m)| **m).for_each(|((v, before), _)| *v = *before);
    }
    fill(data, shape, is_missing);
}

/// Fills in gaps by straight lines between the numbers at their ends.
fn interpolate(line: &mut [f32], is_missing: &[bool]) {
    let mut before: Option<usize> = None;
    for at in 0..line.len() {
        if is_missing[at] {
            continue;
        }
        let first = before.map_or(0, |before| before + 1);
        let (right, left) = (line[at], line[before.unwrap_or(at)]);
        for (gap, number) in line[first..at].iter_mut().enumerate().map(|(i, number)| (first + i, number)) {
            let span = (at - before.unwrap_or(gap)) as f32;
            let share = before.map_or(1.0, |before| (gap - before) as f32 / span);
            *number = left + (right - left) * share;
        }
        before = Some(at);
    }
    if let Some(last) = before {
        let value = line[last];
        line[last + 1..].fill(value);
    }
}

/// Fills in gaps ring by ring from their borders: each number is the mean of its up to eight neighbours that are known
/// or of an earlier ring, so that the order within a ring does not matter.
fn spread(plane: &mut [f32], is_missing: &[bool], width: usize) {
    let height = plane.len() / width;
    let around = |at: usize| {
        let (y, x) = (at / width, at % width);
        let columns = x.saturating_sub(1)..(x + 2).min(width);
        let rows = y.saturating_sub(1)..(y + 2).min(height);
        rows.flat_map(move |row| columns.clone().map(move |column| row * width + column))
            .filter(move |other| *other != at)
    };
    let mut is_open = is_missing.to_vec();
    let is_at_border =
        |at: &usize, is_open: &[bool]| is_open[*at] && around(*at).any(|other| !is_open[other]);
    let mut ring: Vec<usize> = (0..plane.len()).filter(|at| is_at_border(at, &is_open)).collect();
    while !ring.is_empty() {
        let mean = |at: usize| {
            let known = around(at).filter(|other| !is_open[*other]);
            let (sum, count) =
                known.fold((0.0f64, 0u32), |(sum, n), other| (sum + f64::from(plane[other]), n + 1));
            (sum / f64::from(count.max(1))) as f32
        };
        let values: Vec<f32> = ring.iter().map(|at| mean(*at)).collect();
        ring.iter().zip(values).for_each(|(at, value)| plane[*at] = value);
        ring.iter().for_each(|at| is_open[*at] = false);
        let mut next: Vec<usize> = ring.iter().flat_map(|at| around(*at)).filter(|at| is_open[*at]).collect();
        next.sort_unstable();
        next.dedup();
        ring = next;
    }
}

/// Median of at least one number; the mean of the two in the middle if there are two.
fn median(numbers: &mut [f32]) -> f32 {
    numbers.sort_unstable_by(f32::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len().is_multiple_of(2) {
        0.5 * (numbers[middle - 1] + numbers[middle])
    } else {
        numbers[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Stats;

    const GAP: f32 = f32::NAN;

    fn signal(channels: usize, data: &[f32]) -> Result<Sample, Error> {
        Sample::with_gaps(Shape::Signal { channels, length: data.len() / channels }, data.to_vec())
    }

    #[test]
    fn gaps_of_a_signal_are_bridged_in_their_own_channel() {
        let sample =
            signal(2, &[GAP, 1.0, GAP, GAP, 4.0, f32::INFINITY, 9.0, 9.0, GAP, 9.0, 9.0, 9.0]).unwrap();
        assert_eq!(sample.data(), [1.0, 1.0, 2.0, 3.0, 4.0, 4.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]);
        assert_eq!((sample.missing_count(), sample.keeps_gaps()), (5, true));
        let written = sample.written();
        assert!(written[0].is_nan() && written[5].is_nan() && written[8].is_nan() && written[4] == 4.0);
        let filled = sample.clone().ruled(GapRule { missing: Missing::Fill, sentinel: None });
        assert_eq!(*filled.written(), [1.0, 1.0, 2.0, 3.0, 4.0, 4.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]);
        let marked = sample.ruled(GapRule { sentinel: Some(-9999.0), ..GapRule::default() });
        assert_eq!((marked.written()[2], marked.writes_nan()), (-9999.0, false));
    }

    #[test]
    fn statistics_leave_out_what_is_missing() {
        let sample = signal(2, &[1.0, GAP, GAP, GAP, 3.0, 7.0, 7.0, GAP, 7.0, 7.0]).unwrap();
        let stats = sample.channel_stats();
        assert_eq!(stats, [Stats { mean: 2.0, std: 1.0 }, Stats { mean: 7.0, std: 0.0 }]);
        let all = [1.0, 3.0, 7.0, 7.0, 7.0, 7.0];
        assert_eq!(sample.stats(), Stats::of(&all));
        assert_eq!(sample.robust_stats().0, Stats::of(&all));
    }

    #[test]
    fn gaps_of_an_image_are_filled_from_their_border_inwards() {
        let mut data = vec![2.0; 35];
        // A hole of 3 x 3 with 2 around it, beside a column of 4.
        (0..5).for_each(|y| data[y * 7 + 6] = 4.0);
        (1..4).for_each(|y| (1..4).for_each(|x| data[y * 7 + x] = GAP));
        data[6] = f32::NEG_INFINITY;
        let sample = Sample::with_gaps(Shape::image(1, 5, 7), data).unwrap();
        assert_eq!(sample.missing_count(), 10);
        assert!((1..4).all(|y| (1..4).all(|x| sample.data()[y * 7 + x] == 2.0)));
        assert_eq!(sample.data()[6], (2.0 + 2.0 + 4.0) / 3.0);
    }

    #[test]
    fn gaps_of_vectors_take_the_median_of_their_column() {
        let rows = vec![1.0, 10.0, GAP, 20.0, 3.0, GAP, 8.0, 60.0];
        let all = Sample::vectors_with_gaps(2, rows).unwrap();
        let data: Vec<&[f32]> = all.iter().map(Sample::data).collect();
        assert_eq!(data, [[1.0, 10.0], [3.0, 20.0], [3.0, 20.0], [8.0, 60.0]]);
        let counts: Vec<usize> = all.iter().map(Sample::missing_count).collect();
        assert_eq!(counts, [0, 1, 1, 0]);
    }

    #[test]
    fn what_is_missing_altogether_is_refused() {
        let error = signal(2, &[1.0, 2.0, GAP, GAP]).unwrap_err();
        assert_eq!(error, Error::AllMissing { what: "channel", at: 1 });
        let error = Sample::vectors_with_gaps(2, vec![1.0, GAP]).unwrap_err();
        assert_eq!(error, Error::AllMissing { what: "column", at: 1 });
    }
}
