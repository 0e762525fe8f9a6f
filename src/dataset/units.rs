//! Corruption with noise strengths relative to the standard deviation of each channel or column.

use crate::corruption::Corruption;
use crate::rng::Rng;
use crate::sample::{Sample, Shape, Stats, gaps};

/// [`Corruption::corrupt`] with noise strengths in standard deviations of `units`: one for each channel of a signal, or each
/// column of a vector; empty if all numbers share one unit. Constant channels stay constant. A corruption with a noise profile
/// is applied on the scale of the samples.
pub(super) fn corrupt(
    corruption: &Corruption,
    noisy: &mut [f32],
    target: &mut [f32],
    shape: Shape,
    units: &[Stats],
    rng: &mut Rng,
) {
    if units.is_empty() || corruption.profile().is_some() {
        return corruption.corrupt(noisy, target, shape, rng);
    }
    let numbers = (shape.numbers() / units.len()).max(1);
    for data in [&mut *noisy, &mut *target] {
        data.chunks_mut(numbers).zip(units).for_each(|(part, unit)| unit.normalize(part));
    }
    corruption.corrupt(noisy, target, shape, rng);
    for data in [noisy, target] {
        data.chunks_mut(numbers).zip(units).for_each(|(part, unit)| unit.restore(part));
    }
}

/// [`Corruption::pair`] with noise strengths in `units`.
pub fn pair(corruption: &Corruption, clean: &Sample, units: &[Stats], rng: &mut Rng) -> (Sample, Sample) {
    if units.is_empty() {
        return corruption.pair(clean, rng);
    }
    let shape = clean.shape();
    let (mut noisy, mut target) = (clean.data().to_vec(), clean.data().to_vec());
    corrupt(corruption, &mut noisy, &mut target, shape, units, rng);
    if let Some(missing) = clean.missing() {
        gaps::refill(&mut noisy, clean.data(), shape, missing);
    }
    // A target that differs only by rounding is replaced by the clean sample itself.
    let target = Sample::new(shape, target).ok().filter(|t| !is_near(t, clean, units));
    match Sample::new(shape, noisy) {
        Ok(noisy) => {
            (noisy.with_gaps_of(clean), target.map_or_else(|| clean.clone(), |t| t.with_gaps_of(clean)))
        }
        Err(_) => (clean.clone(), clean.clone()),
    }
}

fn is_near(a: &Sample, b: &Sample, units: &[Stats]) -> bool {
    let numbers = (a.shape().numbers() / units.len()).max(1);
    let parts = a.data().chunks(numbers).zip(b.data().chunks(numbers)).zip(units);
    let is_near = |((a, b), unit): ((&[f32], &[f32]), &Stats)| {
        let most = 1e-5 * (unit.std + unit.mean.abs());
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= most)
    };
    parts.into_iter().all(is_near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn each_channel_gets_noise_in_its_own_unit() {
        let shape = Shape::Signal { channels: 3, length: 4000 };
        let value = |c: usize, t: usize| match c {
            0 => 20.0 + 5.0 * (t as f32 * 0.01).sin(),
            1 => 101_300.0 + 400.0 * (t as f32 * 0.003).cos(),
            _ => 7.0,
        };
        let clean = Sample::new(shape, (0..12_000).map(|i| value(i / 4000, i % 4000)).collect()).unwrap();
        let units = clean.channel_stats();
        let mut rng = Rng::new(1, Purpose::Corrupt, 0);
        let (noisy, target) = pair(&Corruption::white(0.5), &clean, &units, &mut rng);
        assert_eq!(target, clean);
        for (c, unit) in units.iter().enumerate() {
            let part = c * 4000..(c + 1) * 4000;
            let apart: Vec<f32> =
                noisy.data()[part.clone()].iter().zip(&clean.data()[part]).map(|(n, c)| n - c).collect();
            // Two of the three channels vary: white noise of 0.5 times the joint deviation of all three, on the normalised scale.
            let expected = 0.5 * (2.0f32 / 3.0).sqrt() * unit.std;
            let seen = Stats::of(&apart).std;
            let holds = if c == 2 { noisy.data()[8000] == 7.0 } else { (seen / expected - 1.0).abs() < 0.05 };
            assert!(holds, "channel {c}: {seen} for {expected}");
        }
    }
}
