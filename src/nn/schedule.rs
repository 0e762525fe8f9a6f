//! Learning rate schedules as pure functions of the step.

/// Learning rate with linear warm-up over the first `warmup` steps, then half a cosine down to `floor` times the peak.
///
/// # Source
/// I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017,
/// equation 5, with one period.
pub fn warmup_cosine(step: u64, total: u64, peak: f32, warmup: u64, floor: f32) -> f32 {
    if step < warmup {
        return peak * (step + 1) as f32 / warmup as f32;
    }
    let done = (step - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
    peak * (f64::from(floor) + (1.0 - f64::from(floor)) * cosine) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_the_floor() {
        let rate = |step| warmup_cosine(step, 110, 1.0, 10, 0.1);
        assert_eq!(rate(0), 0.1);
        assert_eq!(rate(9), 1.0);
        assert!((rate(60) - 0.55).abs() < 1e-6);
        assert!((rate(110) - 0.1).abs() < 1e-6);
    }
}
