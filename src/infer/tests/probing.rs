//! Tests of the response of a session to a probe.

use super::*;

fn respond(session: &Session, sample: &Sample, options: &Options) -> crate::quality::Response {
    let result = session.denoise(sample, options).unwrap().sample;
    session.respond_at(sample, &result, options, Probe::of_noise(0.1), &Steady).unwrap()
}

/// Divergence by the difference of two stored results, each with its own statistics.
fn divergence(session: &Session, sample: &Sample, options: &Options) -> f64 {
    let probe = Probe::of_noise(0.1);
    let moved = sample.data().iter().enumerate().map(|(i, v)| v + probe.at(i)).collect();
    let moved = Sample::new(sample.shape(), moved).unwrap();
    let [before, after] = [sample, &moved].map(|sample| session.denoise(sample, options).unwrap().sample);
    let changes = before.data().iter().zip(after.data()).enumerate();
    let sum: f64 = changes.map(|(i, (a, b))| f64::from(probe.at(i)) * f64::from(b - a)).sum();
    sum / f64::from(probe.at(0)).powi(2) / before.data().len() as f64
}

#[test]
fn rows_that_pass_by_respond_as_stored_ones_do() {
    let session = pyramid(1);
    for (height, width) in [(60, 70), (700, 500), (1100, 253)] {
        let sample = image(1, height, width);
        for mode in [Mode::Full, Mode::Strict] {
            for strength in [1.0, 0.4] {
                let options = Options { mode, strength, ..Options::default() };
                let (seen, right) =
                    (respond(&session, &sample, &options), divergence(&session, &sample, &options));
                let apart = (seen.divergence - right).abs();
                assert!(apart < 2e-3, "{height} x {width}, {mode:?}, {strength}: {seen:?}, {right}");
                assert_eq!(seen.numbers, height * width);
                let result = session.denoise(&sample, &options).unwrap().sample;
                let residual = crate::quality::mse(sample.data(), result.data());
                assert!((seen.residual - residual).abs() < 1e-6 * residual);
            }
        }
    }
}

#[test]
fn the_identity_lets_everything_through() {
    let options = Options { strength: 0.0, ..Options::default() };
    for (height, width) in [(30, 40), (700, 500)] {
        let seen = respond(&pyramid(1), &image(1, height, width), &options);
        // The rounding of floats, over steps of a hundredth.
        assert!((seen.divergence - 1.0).abs() < 1e-4 && seen.residual == 0.0, "{seen:?}");
    }
}

#[test]
fn turns_respond_as_their_average_does() {
    let session = pyramid(1);
    let sample = image(1, 64, 64);
    let turned = Options { ensemble: 8, ..Options::default() };
    let (seen, right) = (respond(&session, &sample, &turned), divergence(&session, &sample, &turned));
    assert!((seen.divergence - right).abs() < 1e-3, "{seen:?}, {right}");
}
