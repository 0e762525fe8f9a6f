//! Risk: error of a denoised sample, estimated from the noisy sample and from the response of the denoiser, without the clean one.

/// Response of a denoiser at one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Response {
    /// Mean square of noisy minus denoised numbers.
    pub residual: f64,
    /// Mean derivative of each denoised number with respect to the noisy one in its place: 1 for the identity, 0 for a constant.
    pub divergence: f64,
    /// Count of numbers.
    pub numbers: usize,
}

impl Response {
    /// Estimates the mean squared error for white noise of variance `variance`, without bias for any denoiser. Its standard
    /// deviation is about `variance * sqrt(2 / n)`, as that of the power of the noise, see [`Response::sampling`].
    ///
    /// # Source
    /// C. Stein, "Estimation of the mean of a multivariate normal distribution", Annals of Statistics, 1981; S. Ramani, T. Blu and
    /// M. Unser, "Monte-Carlo SURE", IEEE Transactions on Image Processing, 2008.
    pub fn stein(&self, variance: f64) -> f64 {
        self.residual - variance + 2.0 * variance * self.divergence
    }

    /// Estimates the mean squared error of the blend `strength` of a denoiser that gives about the mean of all clean samples that
    /// may be under the noise: `variance * divergence` for the denoiser alone. The power of the noise does not enter, so
    /// that an error of `variance` changes it by as much, and no more.
    ///
    /// # Source
    /// Second-order Tweedie formula (B. Efron, "Tweedie's formula and selection bias", JASA, 2011).
    pub fn tweedie(&self, variance: f64, strength: f64) -> f64 {
        let rest = 1.0 - strength;
        let own = if strength > 0.0 { (self.divergence - rest) / strength } else { 0.0 };
        variance * (strength * strength * own + rest * rest + 2.0 * strength * rest * own)
    }

    /// Returns the response of the blend `strength` of the denoiser and the identity.
    #[must_use]
    pub fn blended(&self, strength: f64) -> Self {
        let residual = strength * strength * self.residual;
        let divergence = strength * self.divergence + 1.0 - strength;
        Self { residual, divergence, numbers: self.numbers }
    }

    /// Standard deviation of the power of white noise in a sample of this size.
    pub fn sampling(&self, variance: f64) -> f64 {
        variance * (2.0 / self.numbers.max(1) as f64).sqrt()
    }
}

/// Returns the mean response over several samples.
pub fn mean_response(parts: &[Response]) -> Response {
    let numbers: usize = parts.iter().map(|part| part.numbers).sum();
    let mean = |of: fn(&Response) -> f64| {
        parts.iter().map(|part| of(part) * part.numbers as f64).sum::<f64>() / numbers.max(1) as f64
    };
    Response { residual: mean(|part| part.residual), divergence: mean(|part| part.divergence), numbers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    /// Clean numbers of deviation 2, noise of deviation 1, and the best linear denoiser, `0.8 y`: its error is `0.8` in the mean.
    fn shrunk(strength: f64) -> (Response, f64) {
        let mut rng = Rng::new(3, Purpose::Evaluate, 0);
        let n = 200_000;
        let gain = 1.0 - strength + strength * 0.8;
        let (mut residual, mut error) = (0.0, 0.0);
        for _ in 0..n {
            let clean = 2.0 * f64::from(rng.normal());
            let noisy = clean + f64::from(rng.normal());
            residual += (noisy - gain * noisy).powi(2);
            error += (gain * noisy - clean).powi(2);
        }
        let response = Response { residual: residual / n as f64, divergence: gain, numbers: n };
        (response, error / n as f64)
    }

    #[test]
    fn both_estimates_are_the_error_of_the_best_denoiser_and_of_its_blends() {
        for strength in [1.0, 0.6, 0.0] {
            let (response, error) = shrunk(strength);
            let blended = shrunk(1.0).0.blended(strength);
            assert!((blended.residual - response.residual).abs() < 1e-9);
            assert!((blended.divergence - response.divergence).abs() < 1e-12);
            let (stein, tweedie) = (response.stein(1.0), response.tweedie(1.0, strength));
            assert!((stein - error).abs() < 5.0 * response.sampling(1.0), "{strength}: {stein}, {error}");
            assert!((tweedie - error).abs() < 0.01, "{strength}: {tweedie}, {error}");
        }
        assert!((shrunk(1.0).0.tweedie(1.0, 1.0) - 0.8).abs() < 1e-12);
    }

    #[test]
    fn a_mean_counts_each_part_by_its_size() {
        let part = |residual, divergence, numbers| Response { residual, divergence, numbers };
        let mean = mean_response(&[part(1.0, 0.5, 100), part(4.0, 0.2, 300)]);
        assert_eq!((mean.residual, mean.numbers), (3.25, 400));
        assert!((mean.divergence - 0.275).abs() < 1e-12);
    }
}
