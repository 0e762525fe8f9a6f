//! Tests of signals: lengths, windows, channels and sample rates.

use super::*;

#[test]
fn signals_of_any_length_work_and_strict_is_the_latent_alone() {
    for (channels, length) in [(1, 1), (1, 2), (1, 15), (2, 16), (3, 17), (1, 1000)] {
        let session = signals(channels);
        let sample = signal(channels, length);
        let latent = session.encode(&sample, None).unwrap();
        let decoded = session.decode(&latent).unwrap();
        assert_eq!(decoded, session.denoise(&sample, &STRICT).unwrap().sample);
        let full = session.denoise(&sample, &Options::default()).unwrap().sample;
        assert_eq!(full.shape(), sample.shape());
        assert!(full != decoded || sample.data().len() == 1, "the refiner does nothing");
    }
    let whole = signals(2).encode(&signal(2, 1000), None).unwrap();
    let half = signals(2).encode(&signal(2, 1000), Some(4.0)).unwrap();
    assert!(half.numbers() <= 500 && half.numbers() < whole.numbers());
}

/// Compares a signal of three windows with the same signal in one piece.
#[test]
fn windows_of_a_signal_give_what_the_whole_gives() {
    let session = signals(1);
    let sample = signal(1, 132_080);
    assert!(!session.is_whole(sample.shape()));
    let in_strips = session.denoise(&sample, &Options::default()).unwrap().sample;
    assert_close(in_strips.data(), &in_one_piece(&session, &sample));
}

/// Each channel of a signal has its own scale, in one piece and in windows.
#[test]
fn channels_of_a_signal_do_not_share_a_scale() {
    let shared = signals(2);
    let mut manifest = shared.manifest.clone();
    manifest.model.normalize = Normalize::Channel;
    let session = Session { manifest, ..shared };
    for length in [1000, 132_080] {
        let sample = signal(2, length);
        let stretch = |(i, v): (usize, &f32)| if i < length { *v } else { 1013.0 + 250.0 * v };
        let data = sample.data().iter().enumerate().map(stretch).collect();
        let stretched = Sample::new(sample.shape(), data).unwrap();
        let run = |sample| session.denoise(sample, &Options::default()).unwrap().sample;
        let (a, b) = (run(&sample), run(&stretched));
        for (i, (a, b)) in a.data().iter().zip(b.data()).enumerate() {
            assert!((stretch((i, a)) - b).abs() < if i < length { 1e-4 } else { 0.05 }, "{i}: {a} {b}");
        }
        let latent = session.encode(&stretched, None).unwrap();
        assert_eq!(latent.numbers(), session.manifest.model.latent_numbers(sample.shape(), 8));
        assert_eq!(session.decode(&latent).unwrap(), session.denoise(&stretched, &STRICT).unwrap().sample);
        let mut few = latent.clone();
        few.stats.pop();
        assert!(session.decode(&few).unwrap_err().to_string().contains("statistics"));
    }
}

/// A signal of another rate is resampled to the rate of the model and back in full mode; a latent holds only the rate
/// of the model.
#[test]
fn a_signal_of_another_rate_is_resampled_or_refused() {
    let plain = signals(1);
    let mut manifest = plain.manifest.clone();
    manifest.model.rate = Some(360.0);
    let session = Session { manifest, ..plain };
    let value = |i: usize| 5.0 + (0.03 * i as f32).sin();
    let shape = Shape::Signal { channels: 1, length: 3000 };
    let at = |rate: f32| Sample::new(shape, (0..3000).map(value).collect()).unwrap().with_rate(Some(rate));
    let run = |sample: &Sample, options: &Options| session.denoise(sample, options).map(|done| done.sample);

    let sample = at(1000.0);
    let denoised = run(&sample, &Options::default()).unwrap();
    assert_eq!((denoised.shape(), denoised.rate()), (shape, Some(1000.0)));
    let change = session.resampling(&sample).unwrap().unwrap();
    let there = session.denoise(&change.forth(&sample).unwrap(), &Options::default()).unwrap().sample;
    assert_eq!(change.back(&there, 3000).unwrap(), denoised);
    assert_eq!(run(&sample, &Options { strength: 0.0, ..Options::default() }).unwrap(), sample);
    let batch = session.denoise_batch(&[&sample, &sample], &Options::default()).unwrap();
    assert_eq!(batch[1].sample, denoised);

    // The rate of the model, and no rate, leave the signal unchanged.
    let own = run(&at(360.0), &Options::default()).unwrap();
    assert_eq!(own, run(&at(360.0).with_rate(None), &Options::default()).unwrap());
    assert_ne!(own.data(), denoised.data());
    for (rate, options) in [(44_100.0, Options::default()), (20.0, Options::default()), (1000.0, STRICT)] {
        let error = run(&at(rate), &options).unwrap_err().to_string();
        assert!(error.starts_with("rate: ") && error.contains("360 Hz"), "{error}");
    }
    assert!(session.encode(&sample, None).is_err() && session.encode(&at(360.0), None).is_ok());
}
