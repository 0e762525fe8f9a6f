//! Grain: noise of a sample, white or not, estimated from the sample alone.

use super::flat::{Flat, flattest};
use super::history::jpeg_step;
use super::noise::sigma_of_plane;
use crate::sample::{Kind, LUMA, Sample};

/// Lag-1 correlation from which noise counts as correlated, and from which the estimate for white noise is not used at
/// all.
const CORRELATED: [f32; 2] = [0.12, 0.3];
/// Correlation of two channels from which their noise does not count as independent.
const SHARED: f32 = 0.35;
/// Ratio of steps across the borders of blocks of 8 pixels to steps elsewhere, from which a picture counts as blocked
/// by JPEG.
const BLOCKED: f32 = 1.25;
/// Fraction of isolated black or white pixels from which they count as noise.
const IMPULSES: f32 = 0.003;
/// Minimum difference of an isolated pixel from the median of its neighbours, on [0, 1] and in standard deviations of
/// the noise.
const APART: [f32; 2] = [0.15, 4.5];
/// Side of the window at the middle of a picture in which blocking and impulses are measured, in pixels.
const SIDE: usize = 512;
/// Maximum noise that counts as none, on [0, 1]: rounding to 8 bits is 0.0011.
const NONE: f32 = 0.0025;
/// Maximum noise that is too weak to be distinguished from texture by its correlation, on [0, 1].
const WEAK: f32 = 1.8 / 255.0;

/// Noise of a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Grain {
    /// Standard deviation of each channel, on the scale of the sample.
    pub sigmas: Vec<f32>,
    /// Correlation of adjacent pixels, the largest of all channels and of the differences of channels; 0 for white
    /// noise.
    pub correlation: f32,
    /// Correlation of channels, -1 to 1; 0 for a single channel or without noise.
    pub between_channels: f32,
    /// Ratio of steps across the borders of JPEG blocks to steps elsewhere; about 1 without blocks.
    pub blocking: f32,
    /// Quantisation step of a picture that was a JPEG file, with or without noise before, in levels of 255; `None` if it shows
    /// none.
    pub jpeg_step: Option<f32>,
    /// Fraction of isolated black or white pixels, 0 to 1.
    pub impulses: f32,
}

/// Kind of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrainKind {
    /// White in space and independent between channels, or none.
    White,
    /// Correlated between adjacent pixels: cameras, enlarged pictures.
    Correlated,
    /// Correlated between channels: pictures with colours that a file stores coarsely.
    Shared,
    /// Blocks of a JPEG file.
    Blocked,
    /// Dead and hot pixels.
    Impulses,
}

impl Grain {
    /// Measures the noise of `sample`.
    ///
    /// The strength of white noise is [`super::estimate_sigma`]; that of correlated noise is the variance of the
    /// flattest blocks; between the two it is interpolated.
    pub fn of(sample: &Sample) -> Self {
        let shape = sample.shape();
        let (channels, height, width) = shape.extents();
        let area = height * width;
        let white = |c: usize| sigma_of_plane(|at, out| sample.read_known(c * area + at, out), height, width);
        if shape.kind() != Kind::Image {
            let sigmas = (0..channels).map(white).collect();
            return Self {
                sigmas,
                correlation: 0.0,
                between_channels: 0.0,
                blocking: 1.0,
                jpeg_step: None,
                impulses: 0.0,
            };
        }
        let flats: Vec<Option<Flat>> = (0..channels)
            .map(|c| flattest(|at, out| sample.read_known(c * area + at, out), height, width))
            .collect();
        let sigmas: Vec<f32> = flats.iter().enumerate().map(|(c, flat)| strength(white(c), *flat)).collect();
        let mut correlation = flats.iter().flatten().map(correlation_of).fold(0.0, f32::max);
        let mut between_channels = 0.0;
        if channels == 3 {
            let [red, blue] = [0, 2].map(|c| difference(sample, c, area, height, width));
            for (flat, c) in [(red, 0), (blue, 2)] {
                let (Some(flat), a, g) = (flat, sigmas[c], sigmas[1]) else { continue };
                if a.min(g) > NONE {
                    let shared = (a * a + g * g - flat.sigma.powi(2)) / (2.0 * a * g);
                    between_channels = f32::max(between_channels, shared.clamp(-1.0, 1.0));
                    correlation = correlation.max(correlation_of(&flat));
                }
            }
        }
        let window = Window::of(sample);
        let sigma = sigmas[channels / 2];
        let (blocking, grid) = window.blocking();
        let impulses = window.impulses(sigma);
        let jpeg_step = window.jpeg_step(sample, grid);
        Self { sigmas, correlation, between_channels, blocking, jpeg_step, impulses }
    }

    /// Returns the mean standard deviation of all channels.
    pub fn sigma(&self) -> f32 {
        self.sigmas.iter().sum::<f32>() / self.sigmas.len().max(1) as f32
    }

    /// Returns the kind of noise, the most significant first, if all channels hold one gray picture.
    pub fn kind_of_gray(&self) -> GrainKind {
        Self { between_channels: 0.0, ..self.clone() }.kind()
    }

    /// Returns `true` if it shows the blocks of a JPEG file, possibly in addition to other noise.
    pub fn is_blocked(&self) -> bool {
        self.blocking > BLOCKED
    }

    /// Returns the kind of noise, the most significant first.
    pub fn kind(&self) -> GrainKind {
        match self {
            _ if self.impulses > IMPULSES => GrainKind::Impulses,
            _ if self.sigma() > WEAK && self.between_channels > SHARED => GrainKind::Shared,
            _ if self.sigma() > WEAK && self.correlation > CORRELATED[1] => GrainKind::Correlated,
            _ if self.is_blocked() => GrainKind::Blocked,
            _ => GrainKind::White,
        }
    }
}

/// Returns the correlation, or 0 if there is no noise to be correlated.
fn correlation_of(flat: &Flat) -> f32 {
    if flat.sigma > NONE { flat.correlation } else { 0.0 }
}

fn strength(white: f32, flat: Option<Flat>) -> f32 {
    let Some(flat) = flat else { return white };
    // Clipping weakens the noise in the wavelet coefficients.
    if flat.is_clipped {
        return flat.sigma;
    }
    let [from, to] = CORRELATED;
    let share = ((flat.correlation - from) / (to - from)).clamp(0.0, 1.0);
    // The estimate for white noise mistakes fine texture everywhere for noise, the other mistakes edges for flat
    // blocks: the lower one is closer.
    let least = white.min(flat.sigma);
    least + share * (flat.sigma - least)
}

/// Measures the noise of the difference between a channel and green.
fn difference(sample: &Sample, channel: usize, area: usize, height: usize, width: usize) -> Option<Flat> {
    let read = |at: usize, out: &mut [f32]| {
        let mut green = vec![0.0; out.len()];
        sample.read_known(area + at, &mut green);
        sample.read_known(channel * area + at, out);
        // Shifted to the middle of the scale, so that nothing counts as clipped.
        out.iter_mut().zip(green).for_each(|(v, g)| *v = 0.5 + 0.25 * (*v - g));
    };
    flattest(read, height, width).map(|flat| Flat { sigma: 4.0 * flat.sigma, ..flat })
}

/// Window at the middle of the green or only channel.
struct Window {
    numbers: Vec<f32>,
    top: usize,
    left: usize,
    rows: usize,
    columns: usize,
}

impl Window {
    fn of(sample: &Sample) -> Self {
        let (channels, height, width) = sample.shape().extents();
        let (rows, columns) = (height.min(SIDE), width.min(SIDE));
        // Blocks of a JPEG file begin at multiples of 8.
        let (top, left) = ((height - rows) / 16 * 8, (width - columns) / 16 * 8);
        let plane = if channels == 3 { height * width } else { 0 };
        let mut numbers = vec![0.0; rows * columns];
        for (y, row) in numbers.chunks_exact_mut(columns).enumerate() {
            sample.read(plane + (top + y) * width + left, row);
        }
        Self { numbers, top, left, rows, columns }
    }

    /// Returns the smaller blocking of both directions, because a pattern of vertical lines has no steps between rows, and
    /// the row and the column at which the blocks begin.
    fn blocking(&self) -> (f32, (usize, usize)) {
        let Self { numbers, rows, columns, .. } = self;
        let turned: Vec<f32> = (0..numbers.len()).map(|i| numbers[i % rows * columns + i / rows]).collect();
        let (across, column) = blocking(numbers, *columns);
        let (down, row) = blocking(&turned, *rows);
        (across.min(down), (row, column))
    }

    /// Returns the step of the JPEG file that the picture was, whole or with its borders cut so that blocks begin at `grid`.
    fn jpeg_step(&self, sample: &Sample, grid: (usize, usize)) -> Option<f32> {
        let luma = self.luma(sample);
        let plane = luma.as_ref().unwrap_or(&self.numbers);
        jpeg_step(plane, self.columns, (0, 0)).or_else(|| jpeg_step(plane, self.columns, grid))
    }

    /// Returns the luma of the window (ITU-R BT.601), which a JPEG file stores; `None` for a single channel.
    fn luma(&self, sample: &Sample) -> Option<Vec<f32>> {
        let (channels, height, width) = sample.shape().extents();
        if channels != 3 {
            return None;
        }
        let mut luma = self.numbers.iter().map(|green| LUMA[1] * green).collect::<Vec<_>>();
        let mut row = vec![0.0; self.columns];
        for (y, luma) in luma.chunks_exact_mut(self.columns).enumerate() {
            for c in [0, 2] {
                sample.read((c * height + self.top + y) * width + self.left, &mut row);
                luma.iter_mut().zip(&row).for_each(|(luma, v)| *luma += LUMA[c] * v);
            }
        }
        Some(luma)
    }

    /// Returns the fraction of the pixels that are black or white and far from the median of their eight neighbours.
    fn impulses(&self, sigma: f32) -> f32 {
        let Self { numbers, rows, columns, .. } = self;
        if *rows < 3 || *columns < 3 {
            return 0.0;
        }
        let apart = APART[0].max(APART[1] * sigma);
        let mut count = 0;
        for y in 1..rows - 1 {
            for x in 1..columns - 1 {
                let at = y * columns + x;
                let v = numbers[at];
                if v != 0.0 && v != 1.0 {
                    continue;
                }
                let around = [at - columns - 1, at - columns, at - columns + 1, at - 1, at + 1];
                let below = [at + columns - 1, at + columns, at + columns + 1];
                let mut around =
                    [&around[..], &below[..]].concat().into_iter().map(|i| numbers[i]).collect::<Vec<_>>();
                count += usize::from((super::median(&mut around) - v).abs() > apart);
            }
        }
        count as f32 / ((rows - 2) * (columns - 2)) as f32
    }
}

/// Returns the ratio of the mean step at the most prominent of the eight phases of a grid of 8 columns to the median
/// phase, and the first column of a block at that phase; only steps larger than the mean of their neighbours count.
fn blocking(window: &[f32], columns: usize) -> (f32, usize) {
    let mut steps = [0.0f32; 8];
    for row in window.chunks_exact(columns) {
        for (x, v) in row.windows(4).enumerate() {
            let step = (v[2] - v[1]).abs() - 0.5 * ((v[1] - v[0]).abs() + (v[3] - v[2]).abs());
            let all = (v[2] - v[1]).abs();
            steps[x % 8] += if step > 0.0 { all } else { 0.0 };
        }
    }
    let highest = (0..8).max_by(|a, b| steps[*a].total_cmp(&steps[*b])).unwrap_or(0);
    let (most, middle) = (steps[highest], super::median(&mut steps));
    // The step lies before the third value of its four.
    let column = (highest + 2) % 8;
    (if middle > 0.0 { most / middle } else { 1.0 }, column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corruption::Corruption;
    use crate::rng::{Purpose, Rng};
    use crate::sample::Shape;

    /// A picture of slopes and edges under a corruption, as in an 8-bit file.
    fn seen(channels: usize, json: &str) -> Grain {
        let shape = Shape::image(channels, 256, 320);
        let clean: Vec<f32> = (0..shape.numbers())
            .map(|i| {
                let (c, y, x) = (i / 81_920, i / 320 % 256, i % 320);
                let edge = if (x / 70 + y / 90) % 2 == 0 { 0.15 } else { 0.0 };
                0.3 + edge + 0.001 * x as f32 + 0.0005 * y as f32 + 0.03 * c as f32
            })
            .collect();
        let (mut noisy, mut target) = (clean.clone(), clean);
        let kind: Corruption = serde_json::from_str(json).unwrap();
        kind.corrupt(&mut noisy, &mut target, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        let bytes = noisy.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
        Grain::of(&Sample::from_bytes(shape, bytes).unwrap())
    }

    #[test]
    fn white_noise_is_white_and_has_its_strength() {
        for channels in [1, 3] {
            for sigma in [2.0, 10.0, 25.0, 50.0] {
                let grain = seen(channels, &format!(r#"{{"gaussian":{{"sigma":{sigma}}}}}"#));
                assert_eq!(grain.kind(), GrainKind::White, "{sigma}: {grain:?}");
                assert!((grain.sigma() * 255.0 / sigma - 1.0).abs() < 0.1, "{sigma}: {grain:?}");
            }
        }
    }

    #[test]
    fn correlated_noise_is_told_with_its_strength() {
        for channels in [1, 3] {
            let grain = seen(channels, r#"{"gaussian":{"sigma":8,"blur":0.8}}"#);
            assert_eq!(grain.kind(), GrainKind::Correlated, "{grain:?}");
            assert!((grain.sigma() * 255.0 / 8.0 - 1.0).abs() < 0.2, "{grain:?}");
        }
    }

    #[test]
    fn noise_of_a_file_with_coarse_colours_is_shared_between_channels() {
        let json = r#"[{"gaussian":{"sigma":20}},{"jpeg":{"quality":90,"sampling":["4:2:0"]}}]"#;
        assert_eq!(seen(3, json).kind(), GrainKind::Shared, "{:?}", seen(3, json));
        let json = r#"[{"gaussian":{"sigma":20}},{"jpeg":{"quality":95,"sampling":["4:4:4"]}}]"#;
        assert_eq!(seen(3, json).kind(), GrainKind::White, "{:?}", seen(3, json));
    }

    #[test]
    fn blocks_and_dead_pixels_are_seen() {
        let blocked = seen(1, r#"{"jpeg":{"quality":10}}"#);
        assert_eq!(blocked.kind(), GrainKind::Blocked, "{blocked:?}");
        let dead = seen(1, r#"[{"gaussian":{"sigma":3}},{"salt_pepper":{"amount":0.05}}]"#);
        assert_eq!(dead.kind(), GrainKind::Impulses, "{dead:?}");
    }

    #[test]
    fn constant_and_tiny_samples_have_no_noise() {
        for shape in [Shape::image(3, 64, 64), Shape::image(1, 1, 1), Shape::Vector { features: 3 }] {
            let grain = Grain::of(&Sample::new(shape, vec![0.5; shape.numbers()]).unwrap());
            assert!(grain.sigma() < 1e-6 && grain.kind() == GrainKind::White, "{grain:?}");
        }
    }
}
