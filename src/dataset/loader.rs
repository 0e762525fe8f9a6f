//! The loader: batches of (noisy, clean) crops, each a pure function of the seed and the step.

use rayon::prelude::*;

use super::{Error, Item, turn};
use crate::corruption::Corruption;
use crate::rng::{Purpose, Rng};
use crate::sample::{Kind, Sample, Shape};

/// Most numbers in one batch: beyond it a step would not fit a small machine's memory.
const MOST_NUMBERS: usize = 1 << 28;

/// How batches are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Rows and columns of a crop (for signals the columns are steps in time and rows are ignored);
    /// none for whole samples, which must then all have one shape.
    pub crop: Option<(usize, usize)>,
    /// Crops in a batch.
    pub batch: usize,
    /// What makes the noisy twin of a clean crop. Pairs keep their own twin; without a corruption and
    /// without twins noisy and clean are equal, which is what noisy-only schemes start from.
    pub corruption: Option<Corruption>,
    /// Whether images are flipped and turned.
    pub augment: bool,
    /// Where all chance comes from.
    pub seed: u64,
}

/// One batch, channels first.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What goes into the model.
    pub noisy: Vec<f32>,
    /// What should come out.
    pub clean: Vec<f32>,
    /// Extents of both: `(B, C, H, W)`, `(B, C, L)` or `(B, D)`.
    pub dims: Vec<usize>,
}

/// Draws batches from items. Nothing is kept between batches, so a resumed run draws the same ones.
#[derive(Debug)]
pub struct Loader<'a> {
    items: Vec<&'a Item>,
    /// Numbers up to and including each item: the larger a sample, the more crops are drawn from it.
    ends: Vec<usize>,
    shape: Shape,
    plan: Plan,
}

impl<'a> Loader<'a> {
    /// A loader of `items`, which are of one kind and one count of channels (see [`super::Dataset`]).
    ///
    /// # Errors
    /// There are no items; an extent of the crop or the batch is 0 or the batch too large; whole samples
    /// are asked for and differ in shape, or crops are and channels differ; the corruption does not fit the kind.
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
        if let Some(corruption) = &plan.corruption {
            corruption.check(shape.kind())?;
        }
        let mut end = 0;
        let ends = items.iter().map(|item| {
            end += item.clean.data().len();
            end
        });
        Ok(Self { ends: ends.collect(), items, shape, plan })
    }

    /// The shape of one crop.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The batch of step `step`, the same on any machine with any number of threads.
    pub fn batch(&self, step: u64) -> Batch {
        let (one, count) = (self.shape.numbers(), self.plan.batch);
        let (mut noisy, mut clean) = (vec![0.0; one * count], vec![0.0; one * count]);
        let crops = noisy.par_chunks_exact_mut(one).zip(clean.par_chunks_exact_mut(one)).enumerate();
        crops.for_each(|(i, (noisy, clean))| self.fill(step * count as u64 + i as u64, noisy, clean));
        let dims = [vec![count], self.shape.dims()].concat();
        Batch { noisy, clean, dims }
    }

    /// Crop number `index` of the whole run.
    fn fill(&self, index: u64, noisy: &mut [f32], clean: &mut [f32]) {
        let mut rng = Rng::new(self.plan.seed, Purpose::Crop, index);
        let drawn = rng.below(*self.ends.last().expect("a loader has items"));
        let item = self.items[self.ends.partition_point(|&end| end <= drawn)];
        let window = Window::draw(item.clean.shape(), self.shape, &mut rng);
        window.copy(item.clean.data(), clean);
        match &item.noisy {
            Some(twin) => window.copy(twin.data(), noisy),
            None => noisy.copy_from_slice(clean),
        }
        if let (true, Shape::Image { height, width, .. }) = (self.plan.augment, self.shape) {
            let mut rng = Rng::new(self.plan.seed, Purpose::Augment, index);
            let which = rng.below(if height == width { 8 } else { 4 });
            turn(clean, height, width, which);
            turn(noisy, height, width, which);
        }
        if let (None, Some(corruption)) = (&item.noisy, &self.plan.corruption) {
            corruption.apply(noisy, self.shape, &mut Rng::new(self.plan.seed, Purpose::Corrupt, index));
        }
    }
}

fn crop_shape(sample: Shape, crop: Option<(usize, usize)>) -> Shape {
    match (sample, crop) {
        (Shape::Image { channels, .. }, Some((height, width))) => Shape::image(channels, height, width),
        (Shape::Signal { channels, .. }, Some((_, length))) => Shape::Signal { channels, length },
        (whole, _) => whole,
    }
}

/// Where a crop lies within its sample; sides shorter than the crop are continued by reflection.
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

    fn copy(&self, from: &[f32], to: &mut [f32]) {
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

/// `(C, H, W)`; signals and vectors have one row.
fn extents(shape: Shape) -> (usize, usize, usize) {
    let columns = || *shape.dims().last().expect("every shape has an axis");
    match shape {
        Shape::Image { channels, height, width } => (channels, height, width),
        _ if shape.kind() == Kind::Signal => (shape.channels(), 1, columns()),
        _ => (1, 1, columns()),
    }
}

/// `i` brought into `0..n` by reflection at both ends, which are not repeated: 0 1 2 1 0 1 2 ...
fn reflect(i: usize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let i = i % (2 * (n - 1));
    i.min(2 * (n - 1) - i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(channels: usize, height: usize, width: usize) -> Item {
        let shape = Shape::image(channels, height, width);
        let data = (0..shape.numbers()).map(|i| i as f32 / 1000.0).collect();
        Item { name: "a".to_owned(), clean: Sample::new(shape, data).unwrap(), noisy: None }
    }

    fn plan(crop: Option<(usize, usize)>) -> Plan {
        Plan { crop, batch: 4, corruption: Some(Corruption::white(25.0)), augment: true, seed: 1 }
    }

    #[test]
    fn a_batch_is_a_function_of_seed_and_step() {
        let items = [image(1, 20, 30), image(1, 9, 40)];
        let loader = Loader::new(items.iter().collect(), plan(Some((8, 8)))).unwrap();
        let other = Loader::new(items.iter().collect(), Plan { seed: 2, ..plan(Some((8, 8))) }).unwrap();
        assert_eq!(loader.batch(5), loader.batch(5));
        assert_ne!(loader.batch(5), loader.batch(6));
        assert_ne!(loader.batch(5), other.batch(5));
        assert_eq!(loader.batch(5).dims, [4, 1, 8, 8]);
    }

    #[test]
    fn a_batch_does_not_depend_on_the_number_of_threads() {
        let items = [image(3, 20, 30)];
        let loader = Loader::new(items.iter().collect(), plan(Some((8, 8)))).unwrap();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| loader.batch(3))
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn noise_is_added_to_the_clean_crop() {
        let items = [image(1, 64, 64)];
        let loader = Loader::new(items.iter().collect(), plan(Some((64, 64)))).unwrap();
        let batch = loader.batch(0);
        let residual: Vec<f32> = batch.noisy.iter().zip(&batch.clean).map(|(a, b)| a - b).collect();
        assert!((crate::sample::Stats::of(&residual).std * 255.0 - 25.0).abs() < 0.7);
    }

    #[test]
    fn pairs_are_cropped_and_turned_alike_and_not_corrupted() {
        let mut item = image(2, 20, 30);
        let twin = item.clean.data().iter().map(|v| v + 7.0).collect();
        item.noisy = Some(Sample::new(item.clean.shape(), twin).unwrap());
        let loader = Loader::new(vec![&item], plan(Some((8, 8)))).unwrap();
        let batch = loader.batch(0);
        assert!(batch.noisy.iter().zip(&batch.clean).all(|(n, c)| *n == c + 7.0));
    }

    #[test]
    fn crops_come_from_all_over_and_are_contiguous() {
        let items = [image(1, 5, 6)];
        let plan = Plan { augment: false, corruption: None, batch: 200, ..plan(Some((2, 3))) };
        let batch = Loader::new(items.iter().collect(), plan).unwrap().batch(0);
        let mut corners: Vec<i32> = Vec::new();
        for crop in batch.clean.chunks(6) {
            let at = |i: usize| (crop[i] * 1000.0).round() as i32;
            assert_eq!([at(1), at(2), at(3), at(5)], [at(0) + 1, at(0) + 2, at(0) + 6, at(0) + 8]);
            corners.push(at(0));
        }
        corners.sort_unstable();
        corners.dedup();
        assert_eq!(corners.len(), 4 * 4);
    }

    #[test]
    fn small_images_are_continued_by_reflection() {
        let items = [image(1, 1, 3)];
        let plan = Plan { augment: false, corruption: None, batch: 1, ..plan(Some((2, 7))) };
        let batch = Loader::new(items.iter().collect(), plan).unwrap().batch(0);
        let row = [0.0, 0.001, 0.002, 0.001, 0.0, 0.001, 0.002];
        assert_eq!(batch.clean, [row, row].concat());
    }

    #[test]
    fn larger_samples_give_more_crops() {
        let items = [image(1, 10, 10), image(1, 10, 30)];
        let plan = Plan { augment: false, corruption: None, batch: 1000, ..plan(Some((1, 1))) };
        let batch = Loader::new(items.iter().collect(), plan).unwrap().batch(0);
        // Only the second image has values from 0.1 on, in two thirds of its pixels.
        let large = batch.clean.iter().filter(|&&v| v >= 0.0995).count();
        assert!((450..550).contains(&large), "{large}");
    }

    #[test]
    fn whole_samples_must_have_one_shape() {
        let items = [image(1, 4, 4), image(1, 4, 5)];
        let error = Loader::new(items.iter().collect(), plan(None)).unwrap_err();
        assert!(error.to_string().contains("4x4") && error.to_string().contains("5x4"));
        assert!(Loader::new(items[..1].iter().collect(), plan(None)).is_ok());
    }

    #[test]
    fn vectors_are_whole_and_signals_are_windows() {
        let sample =
            |shape: Shape| Sample::new(shape, (0..shape.numbers()).map(|i| i as f32).collect()).unwrap();
        let item = |shape| Item { name: "a".to_owned(), clean: sample(shape), noisy: None };
        let vector = item(Shape::Vector { features: 5 });
        assert_eq!(Loader::new(vec![&vector], plan(None)).unwrap().batch(0).dims, [4, 5]);
        let signal = item(Shape::Signal { channels: 2, length: 50 });
        let batch =
            Loader::new(vec![&signal], Plan { corruption: None, ..plan(Some((1, 8))) }).unwrap().batch(0);
        assert_eq!(batch.dims, [4, 2, 8]);
        assert_eq!(batch.clean[8], batch.clean[0] + 50.0);
    }

    #[test]
    fn what_cannot_be_loaded_is_refused() {
        let items = [image(1, 4, 4)];
        let refused = |items: Vec<&Item>, plan| Loader::new(items, plan).unwrap_err().to_string();
        assert!(refused(vec![], plan(None)).contains("there are none"));
        assert!(refused(vec![&items[0]], plan(Some((0, 8)))).starts_with("batch"));
        assert!(refused(vec![&items[0]], Plan { batch: usize::MAX, ..plan(None) }).starts_with("batch"));
        let wrong = Plan { corruption: Some(Corruption::white(-1.0)), ..plan(None) };
        assert!(refused(vec![&items[0]], wrong).contains("gaussian.sigma"));
    }
}
