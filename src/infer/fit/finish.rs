//! Finish: post-processing of the result of a model.

use super::restraint::Restraint;
use super::unclip::Unclip;
use super::{Traits, plane_of};
use crate::infer::{Mode, Options, Session};
use crate::quality::GrainKind;
use crate::sample::{Depth, Kind, LUMA, Number, Sample};

/// Noise below this standard deviation moves no mean by one level of 255.
const FEELABLE: f32 = 2.5 / 255.0;

/// Returns the share of the declipping curve that gives the best result. A network trained on clipped noise estimates
/// some shadows correctly from their surroundings, but not if most of the picture is clipped.
///
/// Measured on 12 photographs of the Berkeley training set with photo-gray@6 and photo-color@4, 8-bit files: at sigma
/// 25 and 50 in colour three quarters give +0.24 and +0.74 dB, the whole curve +0.22 and +0.64; in gray the whole curve
/// loses 0.09 and 0.41.
fn share_of(channels: usize, clipped: f32) -> f32 {
    let most = ((clipped - 0.05) / 0.2).clamp(0.0, 1.0);
    let least = if channels == 3 { 0.75 } else { 0.0 };
    least + (1.0 - least) * most
}

/// Client options for post-processing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wishes {
    /// Strength for chroma, 0 to 1; the common strength if `None`.
    pub strength_chroma: Option<f32>,
    /// Fraction of the fine residual that is restored where the result has structure, 0 to 1.
    pub detail: f32,
}

/// Post-processing of the result of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    /// Declipping curve per channel, if noise was clipped.
    unclip: Option<Vec<Unclip>>,
    /// Bounds on the change of a signal.
    restraint: Option<Restraint>,
    strength: f32,
    strength_chroma: f32,
    detail: f32,
    /// Noise of each channel.
    sigmas: Vec<f32>,
}

impl Finish {
    /// Returns the post-processing of the result of `session` for a sample with `traits`; `None` if it needs none.
    pub fn of(
        session: &Session,
        sample: &Sample,
        traits: &Traits,
        options: &Options,
        wishes: Wishes,
    ) -> Option<Self> {
        match (options.mode, sample.shape().kind()) {
            (Mode::Strict, _) | (_, Kind::Vector) => None,
            (Mode::Full, Kind::Signal) => {
                let restraint = Some(Restraint::of(session, sample)?);
                let Options { strength, .. } = *options;
                let (unclip, sigmas) = (None, Vec::new());
                Some(Self { unclip, restraint, strength, strength_chroma: strength, detail: 0.0, sigmas })
            }
            (Mode::Full, Kind::Image) => Self::of_image(sample, traits, options, wishes),
        }
    }

    fn of_image(sample: &Sample, traits: &Traits, options: &Options, wishes: Wishes) -> Option<Self> {
        let kind = if traits.is_gray { traits.grain.kind_of_gray() } else { traits.grain.kind() };
        let is_even = matches!(kind, GrainKind::White | GrainKind::Shared);
        let is_clipped = is_even && traits.is_clipped() && traits.grain.sigma() > FEELABLE;
        let chroma = wishes.strength_chroma.unwrap_or(options.strength);
        let is_plain = chroma == options.strength && wishes.detail == 0.0;
        if is_plain && !is_clipped || options.strength == 0.0 && chroma == 0.0 {
            return None;
        }
        let sigmas = traits.grain.sigmas.clone();
        let share = share_of(sample.shape().channels(), traits.clipped);
        let unclip =
            is_clipped.then(|| sigmas.iter().map(|sigma| Unclip::new(sigma.max(1e-4), share)).collect());
        Some(Self {
            unclip,
            restraint: None,
            strength: options.strength,
            strength_chroma: chroma,
            detail: wishes.detail,
            sigmas,
        })
    }

    /// Returns options and depth to request from the model before post-processing: full strength, and at least 16 bits.
    pub fn ask(options: &Options, depth: Depth) -> (Options, Depth) {
        let depth = if depth == Depth::U8 { Depth::U16 } else { depth };
        (Options { strength: 1.0, ..*options }, depth)
    }

    /// Post-processes the result `clean` of the model for `sample`, to `depth`.
    pub fn apply(&self, sample: &Sample, clean: &Sample, depth: Depth) -> Sample {
        match depth {
            Depth::U8 => self.rows::<u8>(sample, clean),
            Depth::U16 => self.rows::<u16>(sample, clean),
            Depth::F32 => self.rows::<f32>(sample, clean),
        }
    }

    fn rows<T: Number>(&self, sample: &Sample, clean: &Sample) -> Sample {
        let (channels, height, width) = sample.shape().extents();
        let (_, area) = plane_of(sample.shape());
        let mut numbers = vec![T::from_f32(0.0); sample.shape().numbers()];
        let mut before = vec![vec![0.0; width]; channels];
        let mut after = before.clone();
        for y in 0..height {
            for c in 0..channels {
                sample.read(c * area + y * width, &mut before[c]);
                clean.read(c * area + y * width, &mut after[c]);
                if self.detail > 0.0 {
                    self.give_back(sample, clean, c, y, &mut after[c]);
                }
                if let Some(unclip) = self.unclip.as_ref().and_then(|all| all.get(c)) {
                    after[c].iter_mut().for_each(|v| *v = unclip.level(*v));
                }
            }
            if let Some(restraint) = &self.restraint {
                (0..channels).for_each(|c| restraint.apply(c, &before[c], &mut after[c]));
            }
            self.blend(&before, &mut after);
            for (c, row) in after.iter().enumerate() {
                let to = &mut numbers[c * area + y * width..][..width];
                to.iter_mut().zip(row).for_each(|(to, v)| *to = T::from_f32(*v));
            }
        }
        T::sample(sample.shape(), numbers).unwrap_or_else(|_| clean.clone())
    }

    /// Applies the given strengths to the change of luma and to the rest of the change.
    fn blend(&self, before: &[Vec<f32>], after: &mut [Vec<f32>]) {
        let Self { strength, strength_chroma, .. } = *self;
        if strength == 1.0 && strength_chroma == 1.0 {
            return;
        }
        for x in 0..before[0].len() {
            let change = |c: usize, after: &[Vec<f32>]| after[c][x] - before[c][x];
            let luma = match before.len() {
                3 => (0..3).map(|c| LUMA[c] * change(c, after)).sum(),
                _ => change(0, after),
            };
            for c in 0..before.len() {
                let rest = change(c, after) - luma;
                after[c][x] = before[c][x] + strength * luma + strength_chroma * rest;
            }
        }
    }

    /// Adds the residual of row `y`, minus its mean over 3x3 pixels, where the gradient of the result exceeds the
    /// noise.
    fn give_back(&self, sample: &Sample, clean: &Sample, c: usize, y: usize, row: &mut [f32]) {
        let (_, height, width) = sample.shape().extents();
        let read = |from: &Sample, y: usize| {
            let mut row = vec![0.0; width];
            from.read((c * height + y) * width, &mut row);
            row
        };
        let around = [y.saturating_sub(1), y, (y + 1).min(height - 1)];
        let result = around.map(|y| read(clean, y));
        let residual = around.map(|y| read(sample, y)).into_iter().zip(&result);
        let residual: Vec<Vec<f32>> =
            residual.map(|(seen, clean)| seen.iter().zip(clean).map(|(a, b)| a - b).collect()).collect();
        let noise = self.sigmas.get(c).copied().unwrap_or_default().max(1e-4).powi(2);
        for x in 0..width {
            let [left, right] = [x.saturating_sub(1), (x + 1).min(width - 1)];
            let low = residual.iter().map(|r| r[left] + r[x] + r[right]).sum::<f32>() / 9.0;
            let rise = (result[1][right] - result[1][left]).powi(2) + (result[2][x] - result[0][x]).powi(2);
            row[x] += self.detail * rise / (rise + noise) * (residual[1][x] - low);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Shape;

    fn traits(sample: &Sample) -> Traits {
        Traits::of(sample)
    }

    fn gradient(channels: usize) -> Sample {
        let shape = Shape::image(channels, 64, 64);
        let bytes = (0..shape.numbers()).map(|i| (60 + i % 64 + i / 4096 * 30) as u8).collect();
        Sample::from_bytes(shape, bytes).unwrap()
    }

    #[test]
    fn plain_requests_have_no_finish() {
        let sample = gradient(3);
        let none = Finish::of_image(&sample, &traits(&sample), &Options::default(), Wishes::default());
        assert_eq!(none, None);
        let half = Options { strength: 0.5, ..Options::default() };
        assert_eq!(Finish::of_image(&sample, &traits(&sample), &half, Wishes::default()), None);
    }

    #[test]
    fn brightness_and_colour_change_by_their_own_shares() {
        let sample = gradient(3);
        let options = Options { strength: 0.0, ..Options::default() };
        let wishes = Wishes { strength_chroma: Some(1.0), detail: 0.0 };
        let finish = Finish::of_image(&sample, &traits(&sample), &options, wishes).unwrap();
        // A model that makes everything gray and darker.
        let clean = Sample::new(sample.shape(), vec![0.2; sample.shape().numbers()]).unwrap();
        let out = finish.apply(&sample, &clean, Depth::F32);
        let luma = |s: &Sample, i: usize| (0..3).map(|c| LUMA[c] * s.data()[c * 4096 + i]).sum::<f32>();
        for i in [0, 63, 2000] {
            assert!((luma(&out, i) - luma(&sample, i)).abs() < 1e-5);
            assert!((out.data()[i] - out.data()[8192 + i]).abs() < 1e-5);
        }
    }

    #[test]
    fn detail_comes_back_on_edges_and_not_on_flat_places() {
        let shape = Shape::image(1, 64, 64);
        let edge: Vec<f32> = (0..4096).map(|i| if i % 64 < 32 { 0.2 } else { 0.8 }).collect();
        let noise = |i: usize| if i * 2654435761 % 5 < 2 { 0.01 } else { -0.01 };
        let sample = Sample::new(shape, (0..4096).map(|i| edge[i] + noise(i)).collect()).unwrap();
        let clean = Sample::new(shape, edge).unwrap();
        let wishes = Wishes { strength_chroma: None, detail: 1.0 };
        let finish = Finish::of_image(&sample, &traits(&sample), &Options::default(), wishes).unwrap();
        let out = finish.apply(&sample, &clean, Depth::F32);
        let change = |x: usize| {
            (8..56).map(|y| (out.data()[y * 64 + x] - clean.data()[y * 64 + x]).abs()).sum::<f32>() / 48.0
        };
        assert!(change(31) > 0.004 && change(10) < 1e-4, "{} {}", change(31), change(10));
    }

    #[test]
    fn shadows_of_clipped_noise_become_dark_again() {
        let shape = Shape::image(1, 128, 128);
        let mut noise = vec![0.0; 16_384];
        crate::rng::Rng::new(1, crate::rng::Purpose::Evaluate, 0).fill_normal(&mut noise);
        let level = 5.0 / 255.0;
        let bytes = noise.iter().map(|n| ((level + 0.1 * n).clamp(0.0, 1.0) * 255.0).round() as u8).collect();
        let sample = Sample::from_bytes(shape, bytes).unwrap();
        let mean = sample.stats().mean;
        assert!(mean > 2.0 * level);
        let finish =
            Finish::of_image(&sample, &traits(&sample), &Options::default(), Wishes::default()).unwrap();
        // A perfect denoiser of clipped noise returns its mean.
        let clean = Sample::new(shape, vec![mean; 16_384]).unwrap();
        let out = finish.apply(&sample, &clean, Depth::F32).stats().mean;
        assert!((out - level).abs() < 1.2 / 255.0, "{out} for {level}");
    }
}
