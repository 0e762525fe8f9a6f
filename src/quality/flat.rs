//! Flattest blocks: strength and correlation of noise in the parts of a plane without content.

/// Side of a block, in pixels.
const SIDE: usize = 8;
/// Number of values of a block.
const AREA: f32 = (SIDE * SIDE) as f32;
/// Approximate number of blocks examined.
const ENOUGH: usize = 2048;
/// Minimum number of blocks for an estimate.
const FEWEST: usize = 48;
/// Number of groups of blocks by brightness: noise that grows with the light has its middle strength in the middle
/// group.
const GROUPS: usize = 3;
/// Fractions of the blocks of a group that may count as flat, each with that quantile of the variance of blocks of
/// white noise of variance 1: chi-squared over 61, because the plane takes three degrees of freedom.
const FLATTEST: [(f32, f32); 4] = [(0.1, 0.776), (0.05, 0.723), (0.02, 0.665), (0.01, 0.628)];
/// Quantiles for blocks with a variance computed from clipped noise, simulated at a level of 0.3 standard deviations:
/// between 0.65 and 0.75 at levels of 0 to 1 for the tenth.
const CLIPPED: [f32; 4] = [0.695, 0.623, 0.558, 0.515];
/// Maximum ratio of the variance at each fraction to that at the smallest fraction, if all these blocks hold only
/// noise: chi-squared over 25 for correlated noise, and a quarter more for noise that varies.
const SPREAD: [f32; 4] = [1.79, 1.58, 1.30, 1.0];
/// A group with at least this many times the variation of the least varying one holds content. The latter must be noise: its
/// correlation below `EDGES`, and its strength above `FAINT`, on [0, 1].
const CONTENT: f32 = 2.5;
const EDGES: f32 = 0.3;
const FAINT: f32 = 2.0 / 255.0;
/// Lag-1 correlation that the fit of a plane removes from white noise in a block.
const PLANE: f32 = 0.04;

/// Noise of a plane, measured in its flattest blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flat {
    /// Standard deviation, for white and for correlated noise.
    pub sigma: f32,
    /// Correlation of adjacent pixels, the mean of both directions; 0 for white noise.
    pub correlation: f32,
    /// `true` if the blocks are partly clipped, so that only their unclipped variance gives the strength.
    pub is_clipped: bool,
}

/// Measures the noise of a plane on [0, 1], any part of which `read` writes out; `None` if there are too few blocks.
///
/// A fitted plane is subtracted from each block of 8x8; of each third by brightness the tenth of least variance counts.
/// Blocks that are partly clipped at 0 or 1 count with the variance of the noise before clipping, computed from their
/// mean and variance.
pub fn flattest(read: impl Fn(usize, &mut [f32]), height: usize, width: usize) -> Option<Flat> {
    let mut blocks = blocks(read, height, width);
    if blocks.len() < FEWEST {
        return None;
    }
    blocks.sort_unstable_by(|a, b| a.mean.total_cmp(&b.mean));
    let each = blocks.len().div_ceil(GROUPS);
    let mut groups: Vec<Flat> = blocks.chunks_mut(each).map(flat_of).collect();
    // A group without any flat block shows its content: on a page only the paper is flat.
    let white = groups.iter().filter(|group| group.correlation < EDGES && group.sigma > FAINT);
    let least = white.map(|group| group.sigma).fold(f32::INFINITY, f32::min);
    groups.retain(|group| group.sigma < CONTENT * least);
    // Unclipped groups give a more reliable estimate.
    let is_clipped = groups.iter().all(|group| group.is_clipped);
    groups.retain(|group| is_clipped || !group.is_clipped);
    let mut middle = |of: fn(&Flat) -> f32| {
        groups.sort_unstable_by(|a, b| of(a).total_cmp(&of(b)));
        of(&groups[groups.len() / 2])
    };
    Some(Flat { sigma: middle(|f| f.sigma), correlation: middle(|f| f.correlation), is_clipped })
}

/// Measures the flattest of blocks of similar brightness: the largest fraction of them that varies no more than noise.
/// If there is texture everywhere these are few.
fn flat_of(blocks: &mut [Block]) -> Flat {
    blocks.sort_unstable_by(|a, b| a.variance.total_cmp(&b.variance));
    let at = |share: f32| ((blocks.len() as f32 * share) as usize).min(blocks.len() - 1);
    let least = blocks[at(FLATTEST[3].0)].variance;
    let even = |i: &usize| blocks[at(FLATTEST[*i].0)].variance <= SPREAD[*i] * least;
    let which = (0..3).find(even).unwrap_or(3);
    let (share, quantile) = FLATTEST[which];
    let last = at(share);
    let flat = &blocks[..=last];
    let sum = |of: fn(&Block) -> f32| flat.iter().map(of).sum::<f32>();
    let seen = sum(|b| b.seen);
    let correlation = if seen > 0.0 { (sum(|b| b.lag) / seen + PLANE).clamp(0.0, 1.0) } else { 0.0 };
    let is_clipped = sum(|b| f32::from(u8::from(b.is_clipped))) > 0.3 * flat.len() as f32;
    let quantile = if is_clipped { CLIPPED[which] } else { quantile };
    // Sums of correlated numbers vary more, so the smallest of them are lower.
    let sigma = (blocks[last].variance / quantile).sqrt() * (1.0 + 0.3 * correlation);
    Flat { sigma, correlation, is_clipped }
}

struct Block {
    mean: f32,
    /// Variance around the plane, before clipping.
    variance: f32,
    /// Variance around the plane, after clipping.
    seen: f32,
    /// Mean product of adjacent residuals.
    lag: f32,
    /// `true` if more than one number in twenty is black or more than one in twenty is white.
    is_clipped: bool,
}

fn blocks(read: impl Fn(usize, &mut [f32]), height: usize, width: usize) -> Vec<Block> {
    let (down, across) = (height / SIDE, width / SIDE);
    // Rows of blocks are skipped before columns. An odd step does not stay in phase with the grid of a file format.
    let step = |count: usize| count.div_ceil(ENOUGH) | 1;
    let step_down = step(down * across).min(down.max(1));
    let step_across = step(down.div_ceil(step_down) * across);
    let mut strip = vec![0.0; SIDE * width];
    let mut blocks = Vec::new();
    for row in (0..down).step_by(step_down) {
        read(row * SIDE * width, &mut strip);
        let starts = (0..across).step_by(step_across).map(|i| i * SIDE);
        blocks.extend(starts.filter_map(|start| Block::of(&strip, width, start)));
    }
    blocks
}

impl Block {
    /// Measures a block; `None` if most of it is clipped, or a number is missing (NaN).
    fn of(strip: &[f32], width: usize, start: usize) -> Option<Self> {
        let numbers: [[f32; SIDE]; SIDE] =
            std::array::from_fn(|y| std::array::from_fn(|x| strip[y * width + start + x]));
        let all = || numbers.iter().flatten();
        let (black, white) = (all().filter(|v| **v == 0.0).count(), all().filter(|v| **v == 1.0).count());
        let mean = all().sum::<f32>() / AREA;
        if mean.is_nan() {
            return None;
        }
        let residual = less_plane(&numbers, mean);
        let mut seen = 0.0;
        let mut lag = 0.0;
        for (y, row) in residual.iter().enumerate() {
            seen += row.iter().map(|v| v * v).sum::<f32>();
            lag += row.windows(2).map(|w| w[0] * w[1]).sum::<f32>();
            if let Some(next) = residual.get(y + 1) {
                lag += row.iter().zip(next).map(|(a, b)| a * b).sum::<f32>();
            }
        }
        let (seen, lag) = (seen / (AREA - 3.0), lag / (2.0 * AREA - 2.0 * SIDE as f32));
        let few = SIDE * SIDE / 20;
        let variance = match (black > few, white > few) {
            (false, false) => seen,
            (true, false) => unclipped(mean, seen)?,
            (false, true) => unclipped(1.0 - mean, seen)?,
            (true, true) => return None,
        };
        Some(Self { mean, variance, seen, lag, is_clipped: black > few || white > few })
    }
}

/// Subtracts the best-fitting plane from a block.
fn less_plane(numbers: &[[f32; SIDE]; SIDE], mean: f32) -> [[f32; SIDE]; SIDE] {
    let from_middle = |i: usize| i as f32 - (SIDE as f32 - 1.0) / 2.0;
    let (mut down, mut across, mut norm) = (0.0, 0.0, 0.0);
    for (y, row) in numbers.iter().enumerate() {
        for (x, v) in row.iter().enumerate() {
            down += (v - mean) * from_middle(y);
            across += (v - mean) * from_middle(x);
            norm += from_middle(x).powi(2);
        }
    }
    let (down, across) = (down / norm, across / norm);
    std::array::from_fn(|y| {
        std::array::from_fn(|x| numbers[y][x] - mean - down * from_middle(y) - across * from_middle(x))
    })
}

/// Returns the variance of normal noise before it was clipped at 0, from mean and variance after it; `None` if nearly
/// all of it was clipped.
///
/// The ratio of variance and squared mean determines the level in units of the standard deviation.
fn unclipped(mean: f32, variance: f32) -> Option<f32> {
    /// Level at which 93 % of the numbers are clipped.
    const LOWEST: f32 = -1.5;
    let ratio = variance / mean.powi(2).max(f32::MIN_POSITIVE);
    let (mut low, mut high) = (LOWEST, 4.0);
    let of = |level: f32| {
        let (mean, variance) = crate::quality::clipping::moments(level);
        variance / mean.powi(2)
    };
    if ratio > of(low) {
        return None;
    }
    for _ in 0..24 {
        let middle = 0.5 * (low + high);
        if of(middle) > ratio { low = middle } else { high = middle }
    }
    Some(variance / crate::quality::clipping::moments(low).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn flat(plane: &[f32], width: usize) -> Flat {
        let read = |at: usize, out: &mut [f32]| out.copy_from_slice(&plane[at..at + out.len()]);
        flattest(read, plane.len() / width, width).unwrap()
    }

    fn noise(count: usize) -> Vec<f32> {
        let mut noise = vec![0.0; count];
        Rng::new(7, Purpose::Evaluate, 0).fill_normal(&mut noise);
        noise
    }

    #[test]
    fn white_noise_on_slopes_and_edges_has_its_strength_and_no_correlation() {
        let clean = |i: usize| 0.2 + (i % 256) as f32 * 0.002 + if i / 256 % 64 > 40 { 0.1 } else { 0.0 };
        for sigma in [0.01, 0.1] {
            let plane: Vec<f32> =
                noise(65_536).iter().enumerate().map(|(i, n)| clean(i) + sigma * n).collect();
            let seen = flat(&plane, 256);
            assert!((seen.sigma / sigma - 1.0).abs() < 0.06, "{seen:?} for {sigma}");
            assert!(seen.correlation < 0.05, "{seen:?}");
        }
    }

    #[test]
    fn noise_that_is_blurred_keeps_its_strength_and_shows_its_correlation() {
        let shape = crate::sample::Shape::image(1, 256, 256);
        let kind: crate::corruption::Corruption =
            serde_json::from_str(r#"{"gaussian":{"sigma":10,"blur":0.8}}"#).unwrap();
        let (mut plane, mut target) = (vec![0.5; 65_536], vec![0.5; 65_536]);
        kind.corrupt(&mut plane, &mut target, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        let seen = flat(&plane, 256);
        assert!((seen.sigma * 255.0 / 10.0 - 1.0).abs() < 0.15, "{seen:?}");
        // exp(-1 / (4 * 0.8^2)) is 0.68; blocks of 8 pixels with a plane subtracted show less.
        assert!((0.4..0.7).contains(&seen.correlation), "{seen:?}");
    }

    #[test]
    fn noise_of_a_black_picture_is_that_before_clipping() {
        for level in [0.0, 0.02, 0.05] {
            let plane: Vec<f32> = noise(65_536).iter().map(|n| (level + 0.1 * n).clamp(0.0, 1.0)).collect();
            let seen = flat(&plane, 256);
            assert!((seen.sigma / 0.1 - 1.0).abs() < 0.12, "{seen:?} at {level}");
        }
    }

    #[test]
    fn noise_of_a_page_is_that_of_its_clipped_paper_and_not_its_strokes() {
        // Lines of strokes on white paper, most blocks with some; a margin on the left.
        let page = |i: usize| {
            let (y, x) = (i / 256, i % 256);
            let is_ink = x > 60 && y % 16 < 10 && (x * 7 + y / 16 * 13) % 9 < 3;
            if is_ink { 0.1 } else { 0.95 }
        };
        for sigma in [0.04, 0.09] {
            let numbers = noise(65_536);
            let plane: Vec<f32> =
                numbers.iter().enumerate().map(|(i, n)| (page(i) + sigma * n).clamp(0.0, 1.0)).collect();
            let seen = flat(&plane, 256);
            assert!((seen.sigma / sigma - 1.0).abs() < 0.15, "{seen:?} for {sigma}");
        }
    }

    #[test]
    fn planes_with_few_blocks_say_nothing() {
        assert_eq!(flattest(|_, out| out.fill(0.5), 16, 16), None);
        let constant = flattest(|_, out| out.fill(0.5), 256, 256).unwrap();
        assert_eq!(constant, Flat { sigma: 0.0, correlation: 0.0, is_clipped: false });
    }
}
