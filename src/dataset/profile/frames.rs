//! Frames: noise of even frames and of repeats, of which every number is measured.

use super::line::{self, Line};
use super::{Covariance, Result, between};
use crate::corruption::{Marginal, Method, NoiseProfile, Source, Strength};
use crate::sample::{Kind, Sample};

/// Largest number of values that the distribution is measured from.
const ENOUGH: usize = 1 << 19;

/// Noise of a frame and the level that it stands on, channels first; NaN where a number is missing.
struct Frame {
    noise: Vec<f32>,
    level: Vec<f32>,
}

/// Offsets of rows and columns in a channel, as variances.
#[derive(Default, Clone, Copy)]
struct Stripes {
    rows: f64,
    columns: f64,
}

pub(super) fn measure(samples: &[&Sample], method: Method) -> Result<NoiseProfile> {
    let shape = samples[0].shape();
    let (kind, channels) = (shape.kind(), shape.channels());
    let mut frames: Vec<Frame> = match method {
        Method::Repeats => repeats(samples),
        Method::Flat | Method::Noisy => samples.iter().map(|sample| even(sample)).collect(),
    };
    let extents: Vec<(usize, usize)> =
        samples.iter().map(|s| s.shape().extents()).map(|(_, h, w)| (h, w)).collect();
    // Repeats lose a part of their noise with the mean; frames of one surface only what the surface takes.
    let mut stripes = vec![Stripes::default(); channels];
    let mut raw = vec![Vec::new(); channels];
    for (frame, (height, width)) in frames.iter_mut().zip(&extents) {
        let area = height * width;
        for (plane, raw) in frame.noise.chunks_exact_mut(area).zip(&mut raw) {
            raw.push(if kind == Kind::Image {
                take_stripes(plane, *width)
            } else {
                [Vec::new(), Vec::new()]
            });
        }
    }
    let lines: Vec<Line> = (0..channels).map(|c| by_level(&frames, &extents, c)).collect();
    let (mut covariance, mut products, mut numbers) =
        (Covariance::new(kind), vec![0.0; channels * channels], Vec::new());
    for (frame, (height, width)) in frames.iter_mut().zip(&extents) {
        let area = height * width;
        for (i, (n, level)) in frame.noise.iter_mut().zip(&frame.level).enumerate() {
            let Line { slope, offset, least } = lines[i / area];
            *n /= (slope * f64::from(*level) + offset).max(least).sqrt().max(f64::MIN_POSITIVE) as f32;
        }
        frame.noise.chunks_exact(area).for_each(|plane| covariance.add(plane, *width));
        for (at, product) in products.iter_mut().enumerate() {
            let (a, b) =
                (&frame.noise[at / channels * area..][..area], &frame.noise[at % channels * area..][..area]);
            *product += a.iter().zip(b).map(|(a, b)| f64::from(a * b)).filter(|v| !v.is_nan()).sum::<f64>();
        }
        let step = (frames_numbers(&extents) * channels).div_ceil(ENOUGH).max(1) | 1;
        numbers.extend(frame.noise.iter().step_by(step).copied());
    }
    let means = covariance.means();
    let correlation = covariance.correlation(&means);
    for (c, stripe) in stripes.iter_mut().enumerate() {
        let typical = lines[c].slope * mean_level(&frames, &extents, c) + lines[c].offset;
        *stripe = stripes_of(&raw[c], typical, &correlation, &extents);
    }
    let strength = |(line, stripes): (&Line, &Stripes)| Strength {
        shot: line.slope as f32,
        read: line.offset as f32,
        least: line.least as f32,
        rows: stripes.rows.sqrt() as f32,
        columns: stripes.columns.sqrt() as f32,
    };
    let strengths = lines.iter().zip(&stripes).map(strength).collect();
    let mut notes = Vec::new();
    if method == Method::Flat && lines.iter().all(|line| line.slope == 0.0) {
        notes.push(
            "the frames have one level, so the noise counts as equally strong at every brightness; add frames of other \
             levels, or measure repeats of a scene"
                .to_owned(),
        );
    }
    let source = Source { method, samples: samples.len(), notes };
    let between = between(&products, channels);
    Ok(NoiseProfile::new((kind, source), strengths, correlation, between, Marginal::of_numbers(numbers)))
}

fn frames_numbers(extents: &[(usize, usize)]) -> usize {
    extents.iter().map(|(height, width)| height * width).sum()
}

fn mean_level(frames: &[Frame], extents: &[(usize, usize)], channel: usize) -> f64 {
    let all = frames.iter().zip(extents).flat_map(|(frame, (h, w))| &frame.level[channel * h * w..][..h * w]);
    all.map(|v| f64::from(*v)).sum::<f64>() / frames_numbers(extents) as f64
}

/// Takes the mean of repeats as level, and what is left, scaled to full variance, as noise.
fn repeats(samples: &[&Sample]) -> Vec<Frame> {
    let known: Vec<_> = samples.iter().map(|sample| sample.known()).collect();
    let (count, numbers) = (samples.len() as f32, known[0].len());
    let level: Vec<f32> =
        (0..numbers).map(|i| known.iter().map(|data| data[i]).sum::<f32>() / count).collect();
    let scale = (count / (count - 1.0)).sqrt();
    let frame = |data: &std::borrow::Cow<'_, [f32]>| Frame {
        noise: data.iter().zip(&level).map(|(v, level)| scale * (v - level)).collect(),
        level: level.clone(),
    };
    known.iter().map(frame).collect()
}

/// Fits a quadratic surface (a parabola in time) to each channel as level, and takes the rest as noise.
fn even(sample: &Sample) -> Frame {
    let (_, height, width) = sample.shape().extents();
    let known = sample.known();
    let (mut noise, mut level) = (Vec::with_capacity(known.len()), Vec::with_capacity(known.len()));
    for plane in known.chunks_exact(height * width) {
        let surface = surface(plane, width);
        noise.extend(plane.iter().zip(&surface).map(|(v, level)| v - level));
        level.extend(surface);
    }
    Frame { noise, level }
}

/// Returns the quadratic surface of least squares, by Gram-Schmidt on 1, x, y, x^2, xy, y^2 over the numbers that are known.
fn surface(plane: &[f32], width: usize) -> Vec<f32> {
    let height = plane.len() / width;
    let half = |n: usize| (n as f64 - 1.0) / 2.0;
    let axis = |at: usize, n: usize| if n > 1 { (at as f64 - half(n)) / half(n) } else { 0.0 };
    let place = |i: usize| (axis(i % width, width), axis(i / width, height));
    type Term = fn(f64, f64) -> f64;
    let terms: [Term; 6] = [|_, _| 1.0, |x, _| x, |_, y| y, |x, _| x * x, |x, y| x * y, |_, y| y * y];
    let known = |i: usize| !plane[i].is_nan();
    let dot = |a: &[f64], b: &dyn Fn(usize) -> f64| {
        (0..plane.len()).filter(|i| known(*i)).map(|i| a[i] * b(i)).sum::<f64>()
    };
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut fitted = vec![0.0f64; plane.len()];
    for term in terms {
        let mut vector: Vec<f64> = (0..plane.len()).map(place).map(|(x, y)| term(x, y)).collect();
        for other in &basis {
            let share = dot(other, &|i| vector[i]);
            vector.iter_mut().zip(other).for_each(|(v, o)| *v -= share * o);
        }
        let norm = dot(&vector, &|i| vector[i]).sqrt();
        if norm < 1e-6 * (plane.len() as f64).sqrt() {
            continue;
        }
        vector.iter_mut().for_each(|v| *v /= norm);
        let share = dot(&vector, &|i| f64::from(plane[i]));
        fitted.iter_mut().zip(&vector).for_each(|(to, v)| *to += share * v);
        basis.push(vector);
    }
    fitted.into_iter().map(|v| v as f32).collect()
}

/// Removes the means of rows, then of columns, from a plane of noise, and returns them.
fn take_stripes(plane: &mut [f32], width: usize) -> [Vec<f64>; 2] {
    let height = plane.len() / width;
    let mean = |numbers: &mut dyn Iterator<Item = f32>| {
        let (sum, count) =
            numbers.filter(|v| !v.is_nan()).fold((0.0f64, 0usize), |(s, n), v| (s + f64::from(v), n + 1));
        sum / count.max(1) as f64
    };
    let rows: Vec<f64> = plane.chunks_exact(width).map(|row| mean(&mut row.iter().copied())).collect();
    let columns: Vec<f64> =
        (0..width).map(|x| mean(&mut plane.iter().skip(x).step_by(width).copied())).collect();
    let all = rows.iter().sum::<f64>() / height as f64;
    for (i, v) in plane.iter_mut().enumerate() {
        *v -= (rows[i / width] + columns[i % width] - all) as f32;
    }
    [rows, columns]
}

/// Returns the variances of the offsets of rows and columns: those of the means, less the part of the other noise in them.
fn stripes_of(
    means: &[[Vec<f64>; 2]],
    variance: f64,
    correlation: &crate::corruption::Autocorrelation,
    extents: &[(usize, usize)],
) -> Stripes {
    let spread = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len().saturating_sub(1).max(1) as f64
    };
    // The mean of a row varies with the sum of the correlations along it.
    let along: f64 = (-(correlation.across as isize)..=correlation.across as isize)
        .map(|dx| f64::from(correlation.at(0, dx)))
        .sum();
    let across: f64 = (-(correlation.down as isize)..=correlation.down as isize)
        .map(|dy| f64::from(correlation.at(dy, 0)))
        .sum();
    let mut stripes = Stripes::default();
    for ([rows, columns], (height, width)) in
        means.iter().zip(extents).filter(|([rows, _], _)| !rows.is_empty())
    {
        let own = |sum: f64, count: usize| variance * sum.max(0.0) / count as f64;
        // What is smaller than the error of the spread of pure noise counts as none.
        let excess = |seen: f64, own: f64, count: usize| {
            if seen > own * (1.0 + 4.0 * (2.0 / count as f64).sqrt()) { seen - own } else { 0.0 }
        };
        stripes.rows += excess(spread(rows), own(along, *width), *height) / means.len() as f64;
        stripes.columns += excess(spread(columns), own(across, *height), *width) / means.len() as f64;
    }
    stripes
}

/// Fits the variance of a channel by level.
fn by_level(frames: &[Frame], extents: &[(usize, usize)], channel: usize) -> Line {
    let mut pairs = Vec::new();
    for (frame, (height, width)) in frames.iter().zip(extents) {
        let area = height * width;
        let part = channel * area..(channel + 1) * area;
        let both = frame.level[part.clone()].iter().zip(&frame.noise[part]);
        // Means of rows and columns were taken off: their degrees of freedom.
        let lost = if *height > 1 { (area as f32 / ((height - 1) * (width - 1)) as f32).sqrt() } else { 1.0 };
        pairs.extend(both.filter(|(_, n)| !n.is_nan()).map(|(level, n)| (*level, *n * lost)));
    }
    line::fit(&line::points(&pairs))
}
