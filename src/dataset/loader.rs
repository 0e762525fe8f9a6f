//! Batch loader: batches of (noisy, clean) crops, each a pure function of seed and step.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::recorrupt::{recorrupt, recorrupt_like, strengths};
use super::units::corrupt;
use super::{Error, Item, Neighbors, hide, turn};
use crate::corruption::{Corruption, NoiseProfile};
use crate::nn::model::Normalize;
use crate::rng::{Purpose, Rng};
use crate::sample::{Kind, Moments, Sample, Shape, Stats, gaps};

/// Largest number of values in a batch; a larger one would not fit a small machine's memory.
const MOST_NUMBERS: usize = 1 << 28;

/// One crop in this many is scaled by its own statistics, because the model will also be given small samples.
const ALONE: usize = 8;

/// Settings of a [`Loader`].
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Rows and columns of a crop (for signals the columns are time steps and the rows are ignored); none for whole samples,
    /// which must then have equal shapes.
    pub crop: Option<(usize, usize)>,
    /// Number of crops in a batch.
    pub batch: usize,
    /// Training scheme: source of inputs and targets.
    pub learn: Learn,
    /// Normalisation of the model; the strength of noise is in its units.
    pub normalize: Normalize,
    /// `true` to augment images with dihedral transforms.
    pub augment: bool,
    /// Seed of all random draws.
    pub seed: u64,
}

/// Inputs and targets of the model in training.
#[derive(Debug, Clone, PartialEq)]
pub enum Learn {
    /// Samples with added corruption, and the samples themselves.
    Clean(Corruption),
    /// Noisy samples and their clean counterparts.
    Pairs,
    /// Two repeats of a scene: noise of mean 0 averages out over many such pairs (J. Lehtinen et al., "Noise2Noise: learning
    /// image restoration without clean data", ICML 2018).
    Repeats,
    /// A noisy sample with more noise added, and the same sample with scaled noise subtracted; see T. Pang et al.,
    /// "Recorrupted-to-Recorrupted", CVPR 2021.
    Recorrupted,
    /// [`Learn::Recorrupted`] with noise of a profile instead of white noise.
    Profiled(Box<NoiseProfile>),
    /// A subsampled noisy sample, and the adjacent pixels; see [`Neighbors`].
    Neighbors,
    /// A noisy sample with masked positions, and the sample; see [`hide`]. The numbers are the correlation lengths of the
    /// noise, down and to the right.
    Hidden(usize, usize),
}

/// Batch, channels first.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Input of the model.
    pub noisy: Vec<f32>,
    /// Target of the model.
    pub clean: Vec<f32>,
    /// Extents of both: `(B, C, H, W)`, `(B, C, L)` or `(B, D)`.
    pub dims: Vec<usize>,
    /// Statistics by which each crop is normalised, in most crops those of the whole sample. One per crop, or one per channel
    /// of each crop, according to [`Plan::normalize`].
    pub stats: Vec<Stats>,
    /// Loss weight of each number of the target: 0 where it is missing, or not to be predicted; none if all count equally.
    pub weights: Option<Vec<f32>>,
    /// Additional data of some schemes.
    pub beside: Beside,
}

/// Additional data of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Beside {
    /// None.
    Nothing,
    /// Whole crops from which the neighbours are taken, their dimensions, and the choices of neighbours.
    Whole(Vec<f32>, Vec<usize>, Vec<Neighbors>),
}

/// Draws batches from items. Batches share no state, so that a resumed run draws the same ones.
#[derive(Debug)]
pub struct Loader<'a> {
    items: Vec<&'a Item>,
    /// Cumulative number of values per item: an item is drawn in proportion to its size.
    ends: Vec<usize>,
    /// Other repeats of each item's scene; empty except for [`Learn::Repeats`].
    others: Vec<Vec<usize>>,
    /// Standard deviation of each item's noise per channel; empty except for [`Learn::Recorrupted`].
    noise: Vec<Vec<f32>>,
    /// Moments of each item's input, or of each of its channels if channels are scaled separately.
    moments: Vec<Vec<Moments>>,
    /// `true` if a number is missing in any item.
    has_gaps: bool,
    shape: Shape,
    plan: Plan,
}

impl<'a> Loader<'a> {
    /// Creates a loader of `items`, which share kind and number of channels (see [`super::Dataset`]).
    ///
    /// # Errors
    /// There are no items; an extent of the crop or the batch is 0, or the batch is too large; whole samples differ in shape, or
    /// the samples of crops in channels; the scheme or the corruption does not fit the samples.
    pub fn new(items: Vec<&'a Item>, plan: Plan) -> Result<Self, Error> {
        let fail = |field, reason: String| Err(Error::Plan { field, reason });
        let Some(first) = items.first().map(|item| item.clean.shape()) else {
            return fail("samples", "there are none to train on".to_owned());
        };
        let shape = crop_shape(first, plan.crop);
        for item in &items {
            let (clean, noisy) = (item.clean.shape(), item.noisy.as_ref().map(Sample::shape));
            if crop_shape(clean, plan.crop) != shape {
                return fail(
                    "samples",
                    format!("one is {first}, another {clean}; train on crops, or on one make"),
                );
            }
            if noisy.is_some_and(|noisy| noisy != clean) {
                return fail("samples", format!("{} and its noisy twin differ in shape", item.name));
            }
        }
        let numbers = shape.numbers().saturating_mul(plan.batch);
        if numbers == 0 || numbers > MOST_NUMBERS {
            let reason =
                format!("{} times {shape} is {numbers} numbers, must be 1 to {MOST_NUMBERS}", plan.batch);
            return fail("batch", reason);
        }
        match &plan.learn {
            Learn::Clean(corruption) => corruption.check(shape.kind())?,
            Learn::Neighbors if Neighbors::half(shape).is_none() => {
                return fail("scheme", format!("a {shape} has no neighbours to compare"));
            }
            Learn::Pairs => {
                if let Some(item) = items.iter().find(|item| item.noisy.is_none()) {
                    return fail("samples", format!("{} has no noisy twin", item.name));
                }
            }
            _ => {}
        }
        let others = if plan.learn == Learn::Repeats { repeats(&items) } else { Vec::new() };
        if let Some(at) = others.iter().position(Vec::is_empty) {
            return fail("samples", format!("{} has no repeat of its shape in its folder", items[at].name));
        }
        let noise = if plan.learn == Learn::Recorrupted { strengths(&items) } else { Vec::new() };
        let moments = |item: &&Item| {
            let sample = input(&plan.learn, item);
            if plan.normalize == Normalize::Channel {
                sample.channel_moments()
            } else {
                vec![sample.moments()]
            }
        };
        let moments = items.par_iter().map(moments).collect();
        let halves = |item: &&'a Item| [Some(&item.clean), item.noisy.as_ref()];
        let has_gaps = items.iter().flat_map(halves).flatten().any(|half| half.missing().is_some());
        let mut end = 0;
        let ends = items.iter().map(|item| {
            end += item.clean.data().len();
            end
        });
        Ok(Self { ends: ends.collect(), items, others, noise, moments, has_gaps, shape, plan })
    }

    /// Returns the number of crops in a batch.
    pub fn batch_size(&self) -> usize {
        self.plan.batch
    }

    /// Returns the batch of step `step`; it does not depend on the machine or the number of threads.
    pub fn batch(&self, step: u64) -> Batch {
        let (one, count) = (self.shape.numbers(), self.plan.batch);
        let (mut noisy, mut clean) = (vec![0.0; one * count], vec![0.0; one * count]);
        let first = step * count as u64;
        let mut weights = vec![1.0; one * count];
        let crops = noisy.par_chunks_exact_mut(one).zip(clean.par_chunks_exact_mut(one));
        let crops = crops.zip(weights.par_chunks_exact_mut(one)).enumerate();
        let stats = crops
            .map(|(i, ((noisy, clean), weights))| self.fill(first + i as u64, noisy, clean, weights))
            .collect::<Vec<_>>();
        let stats = stats.concat();
        let dims = [vec![count], self.shape.dims()].concat();
        if let Learn::Hidden(down, right) = self.plan.learn {
            let crops = noisy.par_chunks_exact_mut(one).zip(weights.par_chunks_exact_mut(one));
            crops.enumerate().for_each(|(i, (noisy, weights))| {
                let mut rng = Rng::new(self.plan.seed, Purpose::Conceal, first + i as u64);
                let hidden = hide(noisy, self.shape, (down, right), &mut rng);
                weights.iter_mut().zip(hidden).for_each(|(weight, hidden)| *weight *= hidden);
            });
        }
        let weights = (self.has_gaps || matches!(self.plan.learn, Learn::Hidden(..))).then_some(weights);
        let batch = Batch { noisy, clean, dims, stats, weights, beside: Beside::Nothing };
        if self.plan.learn == Learn::Neighbors { self.neighbors(batch, first) } else { batch }
    }

    /// Splits every crop of a batch into two halves of neighbours.
    fn neighbors(&self, batch: Batch, first: u64) -> Batch {
        let Batch { clean: whole, dims: whole_dims, stats, weights: whole_weights, .. } = batch;
        let draw = |(i, crop): (usize, &[f32])| {
            let mut rng = Rng::new(self.plan.seed, Purpose::Conceal, first + i as u64);
            let drawn = Neighbors::draw(self.shape, &mut rng).expect("checked when the loader was made");
            let [noisy, clean] = drawn.pick(crop);
            (drawn, noisy, clean)
        };
        let crops = whole.par_chunks_exact(self.shape.numbers()).enumerate();
        let drawn: Vec<_> = crops.map(draw).collect();
        let half = Neighbors::half(self.shape).unwrap_or(self.shape);
        let dims = [vec![drawn.len()], half.dims()].concat();
        let (mut noisy, mut clean, mut choices) = (Vec::new(), Vec::new(), Vec::new());
        for (choice, a, b) in drawn {
            choices.push(choice);
            noisy.extend(a);
            clean.extend(b);
        }
        let weights = whole_weights.map(|weights| {
            let crops = weights.chunks_exact(self.shape.numbers()).zip(&choices);
            let both = |(crop, choice): (&[f32], &Neighbors)| {
                let [a, b] = choice.pick(crop);
                a.iter().zip(&b).map(|(a, b)| a * b).collect::<Vec<f32>>()
            };
            crops.flat_map(both).collect()
        });
        Batch { noisy, clean, dims, stats, weights, beside: Beside::Whole(whole, whole_dims, choices) }
    }

    /// Draws crop number `index` of the run, sets the weights of missing numbers to 0, and returns the statistics to
    /// normalise it by.
    fn fill(&self, index: u64, noisy: &mut [f32], clean: &mut [f32], weights: &mut [f32]) -> Vec<Stats> {
        let mut rng = Rng::new(self.plan.seed, Purpose::Crop, index);
        let drawn = rng.below(*self.ends.last().expect("a loader has items"));
        let at = self.ends.partition_point(|&end| end <= drawn);
        let item = self.items[at];
        let window = Window::draw(item.clean.shape(), self.shape, &mut rng);
        window.copy(item.clean.data(), clean);
        let from = match self.others.get(at) {
            Some(others) => others[rng.below(others.len())],
            None => at,
        };
        let from_sample = input(&self.plan.learn, self.items[from]);
        window.copy(from_sample.data(), noisy);
        for missing in [&item.clean, from_sample].into_iter().filter_map(Sample::missing) {
            window.mark(missing, weights);
        }
        let mut is_missing = vec![false; if from_sample.missing().is_some() { noisy.len() } else { 0 }];
        if let Some(missing) = from_sample.missing() {
            window.copy(missing, &mut is_missing);
        }
        if let (true, Shape::Image { height, width, .. }) = (self.plan.augment, self.shape) {
            let mut rng = Rng::new(self.plan.seed, Purpose::Augment, index);
            let which = rng.below(if height == width { 8 } else { 4 });
            turn(clean, height, width, which);
            turn(noisy, height, width, which);
            if self.has_gaps {
                turn(weights, height, width, which);
                turn(&mut is_missing, height, width, which);
            }
        }
        let normalize = &self.plan.normalize;
        let before = moments(noisy, self.shape, normalize, &is_missing);
        let unchanged = if is_missing.is_empty() { Vec::new() } else { noisy.to_vec() };
        let chance = |purpose| Rng::new(self.plan.seed, purpose, index);
        match &self.plan.learn {
            Learn::Clean(corruption) => {
                let units = match normalize {
                    Normalize::Channel => self.moments[at].iter().map(|m| m.of_one()).collect(),
                    other => other.units(&item.clean),
                };
                corrupt(corruption, noisy, clean, self.shape, &units, &mut chance(Purpose::Corrupt));
            }
            Learn::Recorrupted => recorrupt(noisy, clean, &self.noise[at], &mut chance(Purpose::Conceal)),
            Learn::Profiled(profile) => {
                recorrupt_like(profile, noisy, clean, self.shape, &mut chance(Purpose::Conceal));
            }
            _ => {}
        }
        if !is_missing.is_empty() {
            gaps::refill(noisy, &unchanged, self.shape, &is_missing);
        }
        let after = moments(noisy, self.shape, normalize, &is_missing);
        let alone = rng.below(ALONE) == 0;
        let stats = |((whole, before), after): ((&Moments, &Moments), &Moments)| {
            let moments = if alone { *after } else { whole.moved(*before, *after) };
            if *normalize == Normalize::Channel { moments.of_one() } else { moments.into() }
        };
        self.moments[from].iter().zip(&before).zip(&after).map(stats).collect()
    }
}

/// Returns the moments of all numbers that are not missing, or of those of each channel if channels are scaled separately.
/// `is_missing` is empty if none is.
fn moments(data: &[f32], shape: Shape, normalize: &Normalize, is_missing: &[bool]) -> Vec<Moments> {
    let channels = if *normalize == Normalize::Channel { shape.channels() } else { 1 };
    let parts = data.chunks(data.len() / channels);
    if is_missing.is_empty() {
        return parts.map(Moments::of).collect();
    }
    let known = parts.zip(is_missing.chunks(data.len() / channels));
    known.map(|(part, is_missing)| gaps::moments_without(part, is_missing)).collect()
}

/// Returns the sample to be denoised, or to be corrupted first.
fn input<'a>(learn: &Learn, item: &'a Item) -> &'a Sample {
    if *learn == Learn::Pairs { item.noisy.as_ref().unwrap_or(&item.clean) } else { &item.clean }
}

/// Returns for each item the others of its scene and shape.
fn repeats(items: &[&Item]) -> Vec<Vec<usize>> {
    let mut scenes: BTreeMap<(&str, Vec<usize>), Vec<usize>> = BTreeMap::new();
    let key = |item: &&'_ Item| item.clean.shape().dims();
    for (i, item) in items.iter().enumerate() {
        scenes.entry((item.scene(), key(item))).or_default().push(i);
    }
    let others = |(i, item): (usize, &&Item)| {
        let all = &scenes[&(item.scene(), key(item))];
        all.iter().copied().filter(|other| *other != i).collect()
    };
    items.iter().enumerate().map(others).collect()
}

fn crop_shape(sample: Shape, crop: Option<(usize, usize)>) -> Shape {
    match (sample, crop) {
        (Shape::Image { channels, .. }, Some((height, width))) => Shape::image(channels, height, width),
        (Shape::Signal { channels, .. }, Some((_, length))) => Shape::Signal { channels, length },
        (whole, _) => whole,
    }
}

/// Position of a crop within its sample; samples shorter than the crop are extended by reflection.
struct Window {
    sample: (usize, usize, usize),
    crop: (usize, usize),
    top: usize,
    left: usize,
}

impl Window {
    fn draw(sample: Shape, crop: Shape, rng: &mut Rng) -> Self {
        let (_, rows, columns) = extents(crop);
        let (channels, height, width) = extents(sample);
        let mut start = |axis: usize, crop: usize| rng.below((axis + 1).saturating_sub(crop).max(1));
        let (top, left) = (start(height, rows), start(width, columns));
        Self { sample: (channels, height, width), crop: (rows, columns), top, left }
    }

    /// Sets `weights` of a crop to 0 where a number is missing.
    fn mark(&self, missing: &[bool], weights: &mut [f32]) {
        let mut is_missing = vec![false; weights.len()];
        self.copy(missing, &mut is_missing);
        weights.iter_mut().zip(is_missing).filter(|(_, m)| *m).for_each(|(weight, _)| *weight = 0.0);
    }

    fn copy<T: Copy>(&self, from: &[T], to: &mut [T]) {
        let ((_, height, width), (rows, columns)) = (self.sample, self.crop);
        for (i, out) in to.chunks_exact_mut(columns).enumerate() {
            let (channel, y) = (i / rows, reflect(self.top + i % rows, height));
            let row = &from[(channel * height + y) * width..][..width];
            if self.left + columns <= width {
                out.copy_from_slice(&row[self.left..self.left + columns]);
            } else {
                let each = out.iter_mut().enumerate();
                each.for_each(|(x, value)| *value = row[reflect(self.left + x, width)]);
            }
        }
    }
}

/// Returns `(C, H, W)`; signals and vectors have one row.
fn extents(shape: Shape) -> (usize, usize, usize) {
    let columns = || *shape.dims().last().expect("every shape has an axis");
    match shape {
        Shape::Image { channels, height, width } => (channels, height, width),
        _ if shape.kind() == Kind::Signal => (shape.channels(), 1, columns()),
        _ => (1, 1, columns()),
    }
}

/// Maps `i` to `0..n` by reflection at both ends, which are not repeated: 0 1 2 1 0 1 2 ...
fn reflect(i: usize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let i = i % (2 * (n - 1));
    i.min(2 * (n - 1) - i)
}

#[cfg(test)]
mod tests;
