//! Tests of outliers and missing numbers: both pass, and change nothing around them.

use super::*;

/// Frames of a camera with hot pixels, stars and a strip without data, in one piece and streamed.
#[test]
fn outliers_pass_in_full_mode_and_touch_nothing_else() {
    for (session, channels) in [(pyramid(1), 1), (pyramid(3), 3)] {
        for (height, width) in [(40, 56), (600, 500)] {
            let plain = image(channels, height, width);
            let place = |i: usize| i % 997 == 13 || i < 3 * width;
            let data = plain.data().iter().enumerate();
            let data =
                data.map(|(i, v)| if i < 3 * width { -9999.0 } else { v + f32::from(place(i)) * 4000.0 });
            let sample = Sample::new(plain.shape(), data.collect()).unwrap();
            let bounds = sample.robust_stats().1.unwrap();
            let full = session.denoise(&sample, &Options::default()).unwrap().sample;
            let cleared = without_outliers(&sample).unwrap();
            let expected = session.denoise(&cleared, &Options::default()).unwrap().sample;
            for (i, (x, r)) in sample.data().iter().zip(full.data()).enumerate() {
                if bounds.exclude(*x) {
                    assert_eq!(x, r, "{i}");
                } else {
                    // Filled-in values are part of the statistics in one case only.
                    assert!((r - expected.data()[i]).abs() < 0.02, "{i}: {r} {}", expected.data()[i]);
                }
            }
            let keep = session.keep(sample.shape(), None).unwrap();
            let whole = session.pass_whole::<f32>(&[&sample], &Options::default(), keep).unwrap().remove(0);
            assert!(whole.0 == full.data(), "in one piece");
            let latent = session.encode(&sample, None).unwrap();
            let strict = session.denoise(&sample, &STRICT).unwrap();
            assert_eq!(session.decode(&latent).unwrap(), strict.sample);
            assert!(strict.sample.data().iter().all(|v| v.abs() < 100.0), "a latent holds no outliers");
            let eight =
                session.denoise(&sample, &Options { ensemble: 8, ..Options::default() }).unwrap().sample;
            let excluded = sample.data().iter().zip(eight.data()).filter(|(x, _)| bounds.exclude(**x));
            assert!(excluded.clone().count() > 3 * width && excluded.clone().all(|(x, r)| x == r));
        }
    }
}

/// Scale and offset of an image with outliers have no effect either, up to rounding.
#[test]
fn an_image_with_outliers_follows_scale_and_offset() {
    let session = pyramid(1);
    let mut data = image(1, 24, 24).into_data();
    data[100] = 2000.0;
    let at = |scale: f32, offset: f32| {
        let data = data.iter().map(|v| v * scale + offset).collect();
        let sample = Sample::new(Shape::image(1, 24, 24), data).unwrap();
        assert!(sample.robust_stats().1.is_some());
        session.denoise(&sample, &Options::default()).unwrap().sample
    };
    for (a, b) in at(1.0, 0.0).data().iter().zip(at(1000.0, 50.0).data()) {
        assert!((a * 1000.0 + 50.0 - b).abs() < 0.05, "{a} {b}");
    }
}

/// Takes numbers out of a sample.
pub(super) fn with_gaps(sample: &Sample, is_gap: impl Fn(usize) -> bool) -> Sample {
    let data = sample.data().iter().enumerate().map(|(i, v)| if is_gap(i) { f32::NAN } else { *v });
    Sample::with_gaps(sample.shape(), data.collect()).unwrap()
}

#[test]
fn gaps_stay_where_they_are_and_the_network_sees_them_filled_in() {
    let is_gap = |i: usize| i % 97 < 5 || (400..430).contains(&i);
    for (session, sample) in [
        (signals(1), signal(1, 1000)),
        (signals(2), signal(2, 700)),
        (pyramid(1), image(1, 40, 33)),
        (pyramid(3), image(3, 24, 40)),
    ] {
        let sample = with_gaps(&sample, is_gap);
        let plain = Sample::new(sample.shape(), sample.data().to_vec()).unwrap();
        for options in [STRICT, Options::default()] {
            let done = session.denoise(&sample, &options).unwrap().sample;
            assert_eq!(done.missing(), sample.missing());
            // Statistics without the gaps, and nothing else, set it apart from the sample filled in.
            assert_ne!(done.data(), session.denoise(&plain, &options).unwrap().sample.data());
        }
        let latent = session.encode(&sample, None).unwrap();
        let strict = session.denoise(&sample, &STRICT).unwrap().sample;
        assert_eq!(session.decode(&latent).unwrap().data(), strict.data());
        assert_eq!(latent.stats, [sample.stats()]);
        let known: Vec<f32> = sample.known().iter().copied().filter(|v| v.is_finite()).collect();
        assert_eq!(latent.stats, [Stats::of(&known)]);
    }
}

#[test]
fn gaps_do_not_move_a_signal_in_time_nor_the_familiarity_far() {
    let session = signals(1);
    let sample = signal(1, 2000);
    let holed = with_gaps(&sample, |i| (1000..1003).contains(&i));
    let [whole, gapped] =
        [&sample, &holed].map(|sample| session.denoise(sample, &Options::default()).unwrap().sample);
    let reach = 600;
    let far = |i: &usize| !(1000 - reach..1003 + reach).contains(i);
    let scale = holed.stats().std / sample.stats().std;
    for i in (0..2000).filter(far) {
        let apart = (whole.data()[i] - gapped.data()[i]).abs();
        assert!(apart < 10.0 * (scale - 1.0).abs() + 1e-3, "{i}: {apart}");
    }
}

#[test]
fn all_turns_of_an_image_have_its_gaps() {
    let session = pyramid(1);
    let sample = with_gaps(&image(1, 24, 24), |i| i % 24 < 3);
    let turned = dihedral::apply(&sample, 5);
    assert_eq!((turned.missing_count(), turned.stats().mean), (sample.missing_count(), sample.stats().mean));
    let ensemble = Options { ensemble: 8, ..Options::default() };
    let done = session.denoise(&sample, &ensemble).unwrap().sample;
    assert_eq!(done.missing(), sample.missing());
}
