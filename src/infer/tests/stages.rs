//! Tests of the stages: one pass gives the numbers of encoding, decoding and denoising.

use super::*;

#[track_caller]
fn assert_same(session: &Session, sample: &Sample, options: &Options) {
    let stages = session.stages(sample, options).unwrap();
    let latent = session.encode(sample, options.ratio).unwrap();
    assert_eq!(stages.strict, session.decode(&latent).unwrap().with_gaps_of(sample), "{:?}", sample.shape());
    assert_eq!(stages.latent, latent, "{:?}", sample.shape());
    let full = session.denoise(sample, options).unwrap();
    assert_eq!(stages.full.sample, full.sample, "{:?}", sample.shape());
    assert_eq!(stages.full.familiarity, full.familiarity);
}

#[test]
fn stages_of_an_image_are_those_of_the_calls_in_one_piece_and_in_rows() {
    let session = pyramid(3);
    for (height, width) in [(7, 3), (40, 24), (1301, 1250), (33, 9001)] {
        assert_same(&session, &image(3, height, width), &Options::default());
    }
    let options = Options { ratio: Some(4.0), strength: 0.5, ..Options::default() };
    for (height, width) in [(40, 24), (1100, 1253)] {
        assert_same(&session, &image(3, height, width), &options);
    }
    assert_same(&session, &image(3, 24, 40), &Options { ensemble: 8, ..Options::default() });
}

#[test]
fn stages_of_a_signal_with_gaps_are_those_of_the_calls() {
    let sample = outliers::with_gaps(&signal(2, 500), |at| (30..40).contains(&at));
    assert_same(&signals(2), &sample, &Options::default());
}

#[test]
fn stages_of_a_model_without_refiner_are_those_of_the_calls() {
    let sizes =
        CompactConfig { channels: 1, height: 12, width: 8, widths: [8, 8], blocks: [1, 1], latent: 5 };
    let model = model::Config { family: Family::Compact(sizes), normalize: Normalize::Sample, rate: None };
    assert_same(&session(model), &image(1, 12, 8), &Options { strength: 0.5, ..Options::default() });
}
