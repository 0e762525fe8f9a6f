//! Statistics of a sample: removed before the network and restored after it.

/// Mean and standard deviation of a sample, removed before the network and restored after it, so that scale and
/// offset of the input do not matter.
///
/// # Source
/// "Normalization equivariance for arbitrary backbones", arXiv 2605.08193.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    /// Mean of all numbers.
    pub mean: f32,
    /// Standard deviation of all numbers; 1 for a constant sample, so that division is safe. 0 for a constant channel
    /// or column of several: the network sees only zeros in it, and the mean is restored.
    pub std: f32,
}

/// Mean and variance, in the precision in which they are accumulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Mean of all numbers.
    pub mean: f64,
    /// Mean squared deviation from it; 0 for a constant sample.
    pub variance: f64,
}

impl Stats {
    /// Computes the statistics of `data`.
    pub fn of(data: &[f32]) -> Self {
        Moments::of(data).into()
    }

    /// Removes the statistics from `data`.
    pub fn normalize(&self, data: &mut [f32]) {
        if self.std == 0.0 {
            return data.fill(0.0);
        }
        data.iter_mut().for_each(|v| *v = (*v - self.mean) / self.std);
    }

    /// Restores the statistics in `data`.
    pub fn restore(&self, data: &mut [f32]) {
        data.iter_mut().for_each(|v| *v = *v * self.std + self.mean);
    }
}

impl From<Moments> for Stats {
    fn from(Moments { mean, variance }: Moments) -> Self {
        let Stats { mean, std } = Moments { mean, variance }.of_one();
        Self { mean, std: if std > 0.0 { std } else { 1.0 } }
    }
}

impl Moments {
    /// Computes the moments of `data`.
    pub fn of(data: &[f32]) -> Self {
        Self::of_parts(data.len(), |start, out| out.copy_from_slice(&data[start..start + out.len()]))
    }

    /// Statistics of one channel or column of several: the deviation is 0 if it is constant.
    pub fn of_one(self) -> Stats {
        let std = self.variance.sqrt() as f32;
        // Smaller differences come from rounding of the mean.
        let floor = (self.mean.abs() as f32) * 1e-6 + f32::MIN_POSITIVE;
        Stats { mean: self.mean as f32, std: if std > floor { std } else { 0.0 } }
    }

    /// Computes the moments of `count` numbers, of which `read` writes any part, so that not all need to be in
    /// memory. The moments of the parts are combined in `f64` and in a fixed order.
    ///
    /// # Source
    /// T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    /// variances" (1979), equations 2.1.
    pub(super) fn of_parts(count: usize, read: impl Fn(usize, &mut [f32])) -> Self {
        let mut part = [0.0; 4096];
        let mut all = Running::default();
        for start in (0..count).step_by(part.len()) {
            let part = &mut part[..4096.min(count - start)];
            read(start, part);
            all.add(part);
        }
        all.moments()
    }

    /// Estimates the moments of a whole sample after noise, from those of a part `before` and `after` the noise.
    #[must_use]
    pub fn moved(self, before: Self, after: Self) -> Self {
        // Noise adds its variance; an operation that reduces variance (blur, fading) scales it.
        let variance = if after.variance < before.variance {
            self.variance * after.variance / before.variance
        } else {
            self.variance + after.variance - before.variance
        };
        Self { mean: self.mean + after.mean - before.mean, variance }
    }
}

/// Moments accumulated part by part.
#[derive(Debug, Default)]
pub(super) struct Running {
    count: usize,
    mean: f64,
    squares: f64,
}

impl Running {
    /// Adds numbers.
    pub(super) fn add(&mut self, part: &[f32]) {
        if part.is_empty() {
            return;
        }
        let (before, n) = (self.count as f64, part.len() as f64);
        let own = sum(part, |v| v) / n;
        let apart = own - self.mean;
        self.squares += sum(part, |v| (v - own) * (v - own)) + apart * apart * before * n / (before + n);
        self.mean += apart * n / (before + n);
        self.count += part.len();
    }

    /// Moments of all numbers added.
    pub(super) fn moments(&self) -> Moments {
        Moments { mean: self.mean, variance: self.squares / self.count.max(1) as f64 }
    }
}

/// Sum of `of` over all numbers, in `f64` and in a fixed order: in 8 independent chains, to hide the latency of additions.
pub fn sum(numbers: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let (eights, rest) = numbers.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        (0..8).for_each(|i| sums[i] += of(f64::from(eight[i])));
    }
    sums.iter().sum::<f64>() + rest.iter().map(|v| of(f64::from(*v))).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_parts_are_those_of_all() {
        let numbers: Vec<f32> =
            (0..10_003).map(|i| 1000.0 + (i * 7 % 101) as f32 + i as f32 / 100.0).collect();
        let of = |f: &dyn Fn(f64) -> f64| numbers.iter().map(|v| f(f64::from(*v))).sum::<f64>() / 10_003.0;
        let mean = of(&|v| v);
        let variance = of(&|v| (v - mean).powi(2));
        let seen = Moments::of(&numbers);
        assert!(
            (seen.mean / mean - 1.0).abs() < 1e-12 && (seen.variance / variance - 1.0).abs() < 1e-12,
            "{seen:?}"
        );
        assert_eq!(Moments::of(&[]), Moments { mean: 0.0, variance: 0.0 });
        assert_eq!(Moments::of(&[3.0; 9000]), Moments { mean: 3.0, variance: 0.0 });
    }

    #[test]
    fn a_constant_channel_comes_back_as_its_mean() {
        let stats = Moments::of(&[1013.25; 777]).of_one();
        assert_eq!(stats, Stats { mean: 1013.25, std: 0.0 });
        let mut data = [1013.25, 1013.25, 7.0];
        stats.normalize(&mut data);
        assert_eq!(data, [0.0; 3]);
        let mut data = [0.3, -9.0];
        stats.restore(&mut data);
        assert_eq!(data, [1013.25; 2]);
        assert_eq!(Stats::of(&[3.0; 5]).std, 1.0);
    }

    #[test]
    fn noise_adds_its_variance_and_fading_takes_a_share() {
        let moments = |mean, variance| Moments { mean, variance };
        let whole = moments(0.5, 4.0);
        assert_eq!(whole.moved(moments(0.25, 1.0), moments(0.125, 0.25)), moments(0.375, 1.0));
        assert_eq!(whole.moved(moments(0.25, 1.0), moments(0.25, 3.0)), moments(0.5, 6.0));
        assert_eq!(whole.moved(moments(0.25, 0.0), moments(0.25, 0.0)), whole);
    }
}
