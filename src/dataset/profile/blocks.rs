//! Blocks: noise of ordinary samples, measured in the flattest blocks of each level of brightness.

use super::line::{self, Line, Point};
use super::{Covariance, Result, between, fault, median, stripes_of_steps};
use crate::corruption::{Autocorrelation, Marginal, Method, NoiseProfile, Source, Strength};
use crate::sample::{Kind, Sample};

/// Side of a block of an image, in pixels.
const SIDE: usize = 16;

/// Length of a block of a signal, in steps.
const LENGTH: usize = 64;

/// Share of the blocks of a level that are taken, the flattest first.
const SHARE: f64 = 0.1;

/// Normal score of that share.
const SCORE: f64 = -1.281_551_6;

/// Levels of brightness, and fewest blocks of one.
const LEVELS: usize = 24;
const FEWEST: usize = 20;

/// Rounds in which what the plane takes from correlated noise is computed.
const ROUNDS: usize = 8;

/// Standard error of a median of normal numbers, in those of their mean.
const MEDIAN: f64 = 1.253;

/// A block without its plane: all channels, one after the other.
struct Block {
    levels: Vec<f32>,
    variances: Vec<f64>,
    noise: Vec<f32>,
}

pub(super) fn measure(samples: &[&Sample]) -> Result<NoiseProfile> {
    let shape = samples[0].shape();
    let (kind, channels) = (shape.kind(), shape.channels());
    let (rows, columns) = if kind == Kind::Image { (SIDE, SIDE) } else { (1, LENGTH) };
    let stripes: Vec<[f64; 2]> = (0..channels).map(|c| stripes(samples, c)).collect();
    let plane =
        Plane::new((rows, columns), [0, 1].map(|axis| stripes.iter().any(|stripes| stripes[axis] > 0.0)));
    let mut blocks: Vec<Block> = samples.iter().flat_map(|sample| plane.blocks(sample)).collect();
    // Clipped blocks show no noise.
    blocks.retain(|block| block.variances.iter().all(|v| *v > 0.0));
    if blocks.len() < 10 * FEWEST {
        return fault(format!(
            "{} blocks of {columns}x{rows} are too few; send more samples, or larger ones",
            blocks.len()
        ));
    }
    blocks.sort_by(|a, b| a.levels[0].total_cmp(&b.levels[0]));
    let flat = flattest(&blocks);
    let mut covariance = Covariance::new(kind);
    let mut products = vec![0.0; channels * channels];
    for block in &flat {
        let planes: Vec<&[f32]> = block.noise.chunks_exact(rows * columns).collect();
        planes.iter().for_each(|noise| covariance.add(noise, columns));
        for (at, product) in products.iter_mut().enumerate() {
            let both = planes[at / channels].iter().zip(planes[at % channels]);
            *product += both.map(|(a, b)| f64::from(a * b)).sum::<f64>();
        }
    }
    let own = plane.restored(&covariance);
    let freedom = freedom(&own, &covariance, (rows, columns)) * plane.share();
    let correlation = covariance.correlation(&own);
    let kept = plane.kept(&correlation_of(&own, &covariance));
    let lines: Vec<Line> = (0..channels).map(|c| by_level(&blocks, c, freedom, kept)).collect();
    let strength = |(line, [rows, columns]): (&Line, &[f64; 2])| Strength {
        shot: line.slope as f32,
        read: line.offset as f32,
        least: line.least as f32,
        rows: rows.sqrt() as f32,
        columns: columns.sqrt() as f32,
    };
    let strengths = lines.iter().zip(&stripes).map(strength).collect();
    let numbers = flat.iter().flat_map(|block| {
        let spread = (block.variances.iter().sum::<f64>() / channels as f64).sqrt() as f32;
        block.noise.iter().map(move |v| v / spread)
    });
    let marginal = Marginal::of_numbers(numbers.collect());
    let source = Source { method: Method::Noisy, samples: samples.len(), notes: Vec::new() };
    Ok(NoiseProfile::new((kind, source), strengths, correlation, between(&products, channels), marginal))
}

fn correlation_of(means: &[f64], covariance: &Covariance) -> Autocorrelation {
    let middle = means[covariance.index(0, 0)].max(f64::MIN_POSITIVE);
    let values = means.iter().map(|v| (v / middle).clamp(-1.0, 1.0) as f32).collect();
    Autocorrelation { down: covariance.down, across: covariance.across, values }
}

/// Returns the degrees of freedom of the variance of a block: its numbers count less if they are correlated.
fn freedom(means: &[f64], covariance: &Covariance, (rows, columns): (usize, usize)) -> f64 {
    let middle = means[covariance.index(0, 0)].max(f64::MIN_POSITIVE);
    let mut sum = 0.0;
    for dy in -(covariance.down as isize)..=covariance.down as isize {
        for dx in -(covariance.across as isize)..=covariance.across as isize {
            let pairs = rows.saturating_sub(dy.unsigned_abs()) * columns.saturating_sub(dx.unsigned_abs());
            sum += pairs as f64 * (means[covariance.index(dy, dx)] / middle).powi(2);
        }
    }
    let numbers = (rows * columns) as f64;
    (numbers * numbers / sum.max(numbers)).max(4.0)
}

/// Returns the flattest of blocks in the order of their levels, at each level.
fn flattest(blocks: &[Block]) -> Vec<&Block> {
    let each = blocks.len().div_ceil(LEVELS).max(FEWEST);
    let mut flat = Vec::new();
    for group in blocks.chunks(each) {
        let mut group: Vec<&Block> = group.iter().collect();
        let power = |block: &Block| block.variances.iter().sum::<f64>();
        group.sort_by(|a, b| power(a).total_cmp(&power(b)));
        group.truncate((group.len() as f64 * SHARE).ceil() as usize);
        flat.extend(group);
    }
    flat
}

/// Fits the variance of a channel by level: in each group of similar brightness, the variance that a tenth of the blocks of
/// pure noise lie below.
fn by_level(blocks: &[Block], channel: usize, freedom: f64, kept: f64) -> Line {
    let mut all: Vec<(f32, f64)> = blocks.iter().map(|b| (b.levels[channel], b.variances[channel])).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let each = all.len().div_ceil(LEVELS).max(FEWEST);
    // Quantile of chi-squared by its cube root, which is nearly normal (E. B. Wilson and M. M. Hilferty, 1931).
    let part = 2.0 / (9.0 * freedom);
    let quantile = (1.0 - part + SCORE * part.sqrt()).powi(3).max(0.05);
    let points: Vec<Point> = all
        .chunks_mut(each)
        .filter(|group| group.len() >= FEWEST)
        .map(|group| {
            let level = group.iter().map(|(level, _)| f64::from(*level)).sum::<f64>() / group.len() as f64;
            let place = (group.len() as f64 * SHARE) as usize;
            let variance = group.select_nth_unstable_by(place, |a, b| a.1.total_cmp(&b.1)).1.1;
            Point {
                level,
                variance: variance / quantile / kept,
                weight: group.len() as f64 * SHARE * freedom,
            }
        })
        .collect();
    line::fit(&points)
}

/// Returns the variances of the offsets of rows and of columns in a channel, by the medians of the differences of adjacent
/// ones: content differs in few places of a row, a stripe in all.
fn stripes(samples: &[&Sample], channel: usize) -> [f64; 2] {
    if samples[0].shape().kind() != Kind::Image {
        return [0.0; 2];
    }
    let mut found = [(0.0, 0.0); 2];
    for sample in samples {
        let (_, height, width) = sample.shape().extents();
        let known = sample.known();
        let plane = &known[channel * height * width..][..height * width];
        for (axis, (lines, length)) in [(height, width), (width, height)].into_iter().enumerate() {
            let at = |line: usize, i: usize| {
                if axis == 0 { plane[line * width + i] } else { plane[i * width + line] }
            };
            let (mut steps, mut spreads) = (Vec::new(), Vec::new());
            for line in 1..lines {
                let mut apart: Vec<f32> =
                    (0..length).map(|i| at(line, i) - at(line - 1, i)).filter(|v| !v.is_nan()).collect();
                if apart.len() < 8 {
                    continue;
                }
                let middle = median(&mut apart);
                steps.push(middle);
                apart.iter_mut().for_each(|v| *v = (*v - middle).abs());
                spreads.push(median(&mut apart) / 0.674_489_75);
            }
            if steps.is_empty() {
                continue;
            }
            let spread = f64::from(median(&mut spreads));
            // Twice the variance of an offset is that of a step, less the error of its median.
            let own = 0.5 * (MEDIAN * spread).powi(2) / length as f64;
            let (sum, weight) = &mut found[axis];
            *sum += stripes_of_steps(&mut steps, own) * lines as f64;
            *weight += lines as f64;
        }
    }
    found.map(|(sum, weight)| if weight > 0.0 { sum / weight } else { 0.0 })
}

/// The plane that is fitted to a block and taken off, with the means of rows and columns if there are stripes.
struct Plane {
    rows: usize,
    columns: usize,
    /// Orthonormal vectors over a block.
    basis: Vec<Vec<f64>>,
}

impl Plane {
    fn new((rows, columns): (usize, usize), [of_rows, of_columns]: [bool; 2]) -> Self {
        let numbers = rows * columns;
        let middle = |n: usize| (n as f64 - 1.0) / 2.0;
        let all = |of: &dyn Fn(usize) -> f64| (0..numbers).map(of).collect::<Vec<f64>>();
        let mut raw = vec![
            all(&|_| 1.0),
            all(&|i| (i % columns) as f64 - middle(columns)),
            all(&|i| (i / columns) as f64 - middle(rows)),
        ];
        let is = |holds: bool| f64::from(u8::from(holds));
        raw.extend((0..if of_rows { rows } else { 0 }).map(|row| all(&|i| is(i / columns == row))));
        raw.extend(
            (0..if of_columns { columns } else { 0 }).map(|column| all(&|i| is(i % columns == column))),
        );
        let mut basis: Vec<Vec<f64>> = Vec::new();
        for mut vector in raw {
            let before = vector.iter().map(|v| v * v).sum::<f64>();
            for other in &basis {
                let share: f64 = vector.iter().zip(other).map(|(v, u)| v * u).sum();
                vector.iter_mut().zip(other).for_each(|(v, u)| *v -= share * u);
            }
            let square = vector.iter().map(|v| v * v).sum::<f64>();
            if square > 1e-9 * before {
                basis.push(vector.into_iter().map(|v| v / square.sqrt()).collect());
            }
        }
        Self { rows, columns, basis }
    }

    /// Returns the share of the degrees of freedom that is left.
    fn share(&self) -> f64 {
        1.0 - self.basis.len() as f64 / (self.rows * self.columns) as f64
    }

    /// Returns all blocks of a sample without missing numbers.
    fn blocks(&self, sample: &Sample) -> Vec<Block> {
        let (channels, height, width) = sample.shape().extents();
        let (known, mut blocks) = (sample.known(), Vec::new());
        for top in (0..=height - self.rows).step_by(self.rows) {
            for left in (0..=width - self.columns).step_by(self.columns) {
                let mut block = Block { levels: Vec::new(), variances: Vec::new(), noise: Vec::new() };
                for c in 0..channels {
                    let rows = (top..top + self.rows)
                        .flat_map(|y| &known[(c * height + y) * width + left..][..self.columns]);
                    self.take(rows.copied().collect(), &mut block);
                }
                if block.noise.iter().all(|v| v.is_finite()) {
                    blocks.push(block);
                }
            }
        }
        blocks
    }

    fn take(&self, mut numbers: Vec<f32>, block: &mut Block) {
        let count = numbers.len() as f64;
        block.levels.push((numbers.iter().map(|v| f64::from(*v)).sum::<f64>() / count) as f32);
        for vector in &self.basis {
            let share = numbers.iter().zip(vector).map(|(v, u)| f64::from(*v) * u).sum::<f64>();
            numbers.iter_mut().zip(vector).for_each(|(v, u)| *v -= (share * u) as f32);
        }
        block.variances.push(numbers.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / count);
        block.noise.extend(numbers);
    }

    /// Returns the mean covariances at each lag of noise with these covariances after the plane was taken off.
    fn taken(&self, covariance: &Covariance, of: &dyn Fn(isize, isize) -> f64) -> Vec<f64> {
        let (numbers, terms) = (self.rows * self.columns, self.basis.len());
        let place = |i: usize| ((i / self.columns) as isize, (i % self.columns) as isize);
        let lag = |i: usize, j: usize| {
            let ((y, x), (v, u)) = (place(i), place(j));
            of(v - y, u - x)
        };
        // With R the covariances and U the basis: (1 - UU')R(1 - UU') = R - U(U'R) - (RU)U' + U(U'RU)U'.
        let mut product = vec![vec![0.0; numbers]; terms];
        for (vector, out) in self.basis.iter().zip(&mut product) {
            for (i, out) in out.iter_mut().enumerate() {
                *out = (0..numbers).map(|j| lag(i, j) * vector[j]).sum();
            }
        }
        let inner =
            |a: usize, b: usize| self.basis[a].iter().zip(&product[b]).map(|(u, p)| u * p).sum::<f64>();
        let inner: Vec<Vec<f64>> = (0..terms).map(|a| (0..terms).map(|b| inner(a, b)).collect()).collect();
        let spread = |a: usize, j: usize| (0..terms).map(|b| inner[a][b] * self.basis[b][j]).sum::<f64>();
        let spread: Vec<Vec<f64>> =
            (0..terms).map(|a| (0..numbers).map(|j| spread(a, j)).collect()).collect();
        let after = |i: usize, j: usize| {
            let taken = |a: usize| {
                self.basis[a][i] * (product[a][j] - spread[a][j]) + product[a][i] * self.basis[a][j]
            };
            lag(i, j) - (0..terms).map(taken).sum::<f64>()
        };
        let mut means = vec![0.0; covariance.sums.len()];
        for dy in 0..=covariance.down as isize {
            for dx in -(covariance.across as isize)..=covariance.across as isize {
                let (mut sum, mut pairs) = (0.0, 0usize);
                for i in 0..numbers {
                    let (y, x) = place(i);
                    let (v, u) = (y + dy, x + dx);
                    if v < self.rows as isize && (0..self.columns as isize).contains(&u) {
                        sum += after(i, (v * self.columns as isize + u) as usize);
                        pairs += 1;
                    }
                }
                let mean = sum / pairs.max(1) as f64;
                means[covariance.index(dy, dx)] = mean;
                means[covariance.index(-dy, -dx)] = mean;
            }
        }
        means
    }

    /// Returns the covariances of the noise before the plane was taken off: those whose part that is left is what was seen.
    fn restored(&self, seen: &Covariance) -> Vec<f64> {
        let means = seen.means();
        let mut whole = means.clone();
        for _ in 0..ROUNDS {
            let of = |dy: isize, dx: isize| {
                let is_inside = dy.unsigned_abs() <= seen.down && dx.unsigned_abs() <= seen.across;
                if is_inside { whole[seen.index(dy, dx)] } else { 0.0 }
            };
            let left = self.taken(seen, &of);
            whole =
                whole.iter().zip(&means).zip(left).map(|((whole, seen), left)| whole + seen - left).collect();
        }
        whole
    }

    /// Returns the share of the variance of noise of this correlation that is left without the plane.
    fn kept(&self, whole: &Autocorrelation) -> f64 {
        let numbers = self.rows * self.columns;
        let place = |i: usize| ((i / self.columns) as isize, (i % self.columns) as isize);
        let mut lost = 0.0;
        for vector in &self.basis {
            for i in 0..numbers {
                let (y, x) = place(i);
                let sum = (0..numbers).map(|j| {
                    let (v, u) = place(j);
                    f64::from(whole.at(v - y, u - x)) * vector[j]
                });
                lost += vector[i] * sum.sum::<f64>();
            }
        }
        (1.0 - lost / numbers as f64).max(0.1)
    }
}
