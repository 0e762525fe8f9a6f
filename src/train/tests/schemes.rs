//! Tests of each scheme: it learns to remove noise from samples of which it never saw a clean version.

use super::*;
use crate::corruption::{Gaussian, Span, Speckle};
use crate::infer::Session;
use crate::name::ModelRef;
use crate::quality::psnr;

/// Returns noisy waves, with `repeats` of each scene in a folder.
fn noisy(scenes: usize, repeats: usize, noise: &Corruption) -> Dataset {
    let mut items = Vec::new();
    for (i, item) in waves(scenes).items.into_iter().enumerate() {
        for k in 0..repeats {
            let clean = item.corrupted(noise, 5, (i * 100 + k) as u64).0;
            let name = if repeats == 1 { format!("{i:02}") } else { format!("scene{i:02}/{k}") };
            items.push(crate::dataset::Item { name, clean, noisy: None });
        }
    }
    Dataset { items, skipped: Vec::new() }
}

fn session(place: &Place, name: &str) -> Session {
    let reference = ModelRef { name: name.parse().unwrap(), version: None };
    Session::load(place.registry().read(&reference).unwrap()).unwrap()
}

/// Returns the true gain in dB of a model over the noisy input, on other waves.
fn gain(place: &Place, name: &str, noise: &Corruption) -> f32 {
    let session = session(place, name);
    let items = waves(30).items;
    let one = |(i, item): (usize, &crate::dataset::Item)| {
        let noisy = item.corrupted(noise, 99, i as u64).0;
        let denoised = session.denoise(&noisy, &Default::default()).unwrap().sample;
        psnr(item.clean.data(), denoised.data()) - psnr(item.clean.data(), noisy.data())
    };
    items.iter().enumerate().skip(24).map(one).sum::<f32>() / 6.0
}

fn scheme(steps: u64, scheme: Scheme) -> Config {
    Config { scheme, corruption: None, ..tiny(steps) }
}

fn blurred() -> Corruption {
    Corruption::Gaussian(Gaussian {
        sigma: Span::at(40.0),
        blur: Span::at(0.8),
        ..crate::corruption::Gaussian::default()
    })
}

fn pairs(count: usize, noise: &Corruption) -> Dataset {
    let mut data = waves(count);
    for (i, item) in data.items.iter_mut().enumerate() {
        item.noisy = Some(item.corrupted(noise, 5, i as u64).0);
    }
    data
}

#[test]
fn pairs_teach_3_db() {
    let (place, noise) = (Place::new(), Corruption::white(40.0));
    let outcome = train(&scheme(250, Scheme::Auto), &pairs(24, &noise), &place.registry()).unwrap();
    assert_eq!(outcome.scores["estimated"], false);
    let gain = gain(&place, "tiny", &noise);
    assert!(gain > 3.0, "{gain} dB; {}", outcome.scores);
}

#[test]
fn repeats_teach_3_db_and_are_judged_by_each_other() {
    let (place, noise) = (Place::new(), Corruption::white(40.0));
    let outcome = train(&scheme(300, Scheme::Auto), &noisy(16, 4, &noise), &place.registry()).unwrap();
    assert_eq!(outcome.scores["estimated"], true);
    let gain = gain(&place, "tiny", &noise);
    assert!(gain > 3.0, "{gain} dB; {}", outcome.scores);
}

#[test]
fn noisy_samples_alone_teach_3_db() {
    let (place, noise) = (Place::new(), Corruption::white(40.0));
    let outcome = train(&scheme(300, Scheme::Auto), &noisy(24, 1, &noise), &place.registry()).unwrap();
    let gain = gain(&place, "tiny", &noise);
    assert!(gain > 3.0, "{gain} dB; {}", outcome.scores);
    assert_told(&place, "Recorrupted2Recorrupted");
}

#[test]
fn noise_that_grows_with_the_signal_is_found_and_neighbours_teach_2_db() {
    let noise = Corruption::Speckle(Speckle { spread: Span::at(0.25) });
    let place = Place::new();
    let outcome = train(&scheme(300, Scheme::Auto), &noisy(24, 1, &noise), &place.registry()).unwrap();
    let gain = gain(&place, "tiny", &noise);
    assert!(gain > 2.0, "{gain} dB; {}", outcome.scores);
    assert_told(&place, "Neighbor2Neighbor");
}

fn assert_told(place: &Place, scheme: &str) {
    let card = std::fs::read_to_string(place.0.path().join("models/tiny/1/README.md")).unwrap();
    assert!(card.contains(scheme) && card.contains("estimated without clean samples"), "{card}");
}

#[test]
fn noisy_signals_alone_teach_3_db() {
    let (place, noise) = (Place::new(), Corruption::white(0.7));
    let mut data = beats(20);
    for (i, item) in data.items.iter_mut().enumerate() {
        item.clean = item.corrupted(&noise, 5, i as u64).0;
    }
    let family = serde_json::json!({"signal": {
        "channels": 2, "widths": [16, 16, 16], "encoder_blocks": [1, 0, 0], "decoder_blocks": [0, 0, 0],
        "refiner_blocks": 0, "latent": [1, 1, 2],
    }});
    let config = Config {
        family: serde_json::from_value(family).unwrap(),
        crop: Some(256),
        ..scheme(250, Scheme::Auto)
    };
    let outcome = train(&config, &data, &place.registry()).unwrap();
    assert_eq!(outcome.scores["estimated"], true, "taken for noisy");
    let session = session(&place, "tiny");
    let item = beats(30).items.remove(29);
    let noisy = item.corrupted(&noise, 99, 0).0;
    let denoised = session.denoise(&noisy, &Default::default()).unwrap().sample;
    let gain = psnr(item.clean.data(), denoised.data()) - psnr(item.clean.data(), noisy.data());
    assert!(gain > 3.0, "{gain} dB; {}", outcome.scores);
}

#[test]
fn correlated_noise_is_found_and_places_are_hidden_with_their_neighbours() {
    let place = Place::new();
    let outcome = train(&scheme(300, Scheme::Noisy), &noisy(24, 1, &blurred()), &place.registry()).unwrap();
    let card = std::fs::read_to_string(place.0.path().join("models/tiny/1/README.md")).unwrap();
    assert!(card.contains("structured Noise2Void"), "{card}");
    let gain = gain(&place, "tiny", &blurred());
    assert!(gain > 1.0, "{gain} dB; {}", outcome.scores);
}

/// Correlated noise with stripes, measured on the noisy samples themselves, is added to one copy and taken off another.
#[test]
fn noisy_samples_with_a_profile_teach_3_db() {
    let noise =
        Corruption::Sequence(vec![blurred(), serde_json::from_str(r#"{"banding": {"rows": 15}}"#).unwrap()]);
    let data = noisy(60, 1, &noise);
    let samples: Vec<&Sample> = data.items.iter().map(|item| &item.clean).collect();
    let profile = crate::dataset::measure_profile(&samples, None).unwrap();
    let corruption = crate::corruption::Profile { name: None, noise: Some(profile), strength: Span::at(1.0) };
    let config =
        Config { corruption: Some(Corruption::Profile(Box::new(corruption))), ..scheme(200, Scheme::Noisy) };
    let place = Place::new();
    let outcome = train(&config, &data, &place.registry()).unwrap();
    let gain = gain(&place, "tiny", &noise);
    assert!(gain > 3.0, "{gain} dB, {:?}", outcome.scores);
}

#[test]
fn a_profile_of_another_kind_is_refused_before_training() {
    let shape = Shape::Signal { channels: 1, length: 4000 };
    let mut data = vec![0.0; 4000];
    Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut data);
    let profile = crate::dataset::measure_profile(&[&Sample::new(shape, data).unwrap()], None).unwrap();
    let corruption = crate::corruption::Profile { name: None, noise: Some(profile), strength: Span::at(1.0) };
    for scheme in [Scheme::Clean, Scheme::Noisy] {
        let corruption = Some(Corruption::Profile(Box::new(corruption.clone())));
        let config = Config { scheme, corruption, ..tiny(2) };
        let error = train(&config, &waves(6), &Place::new().registry()).unwrap_err().to_string();
        assert!(error.contains("measured on signals, the samples are images"), "{error}");
    }
}

#[test]
fn one_noisy_sample_adapts_a_base_and_never_makes_it_worse() {
    let (place, noise) = (Place::new(), Corruption::white(40.0));
    train(&tiny(250), &waves(24), &place.registry()).unwrap();
    // Large enough that its last quarter can be held out.
    let pixel = |i: usize| {
        let (y, x) = ((i / 128) as f32, (i % 128) as f32);
        0.5 + 0.3 * (0.25 * x + 1.0).sin() + 0.2 * (0.2 * y - 1.0).cos()
    };
    let clean = Sample::new(Shape::image(1, 96, 128), (0..96 * 128).map(pixel).collect()).unwrap();
    let item = crate::dataset::Item { name: "only".into(), clean: clean.clone(), noisy: None };
    let seen = crate::dataset::Item { clean: item.corrupted(&noise, 5, 0).0, ..item };
    let data = Dataset { items: vec![seen], skipped: Vec::new() };
    let own = |name: &str| {
        let session = session(&place, name);
        let denoised = session.denoise(&data.items[0].clean, &Default::default()).unwrap().sample;
        psnr(clean.data(), denoised.data())
    };
    let before = own("tiny");
    let config = Config {
        name: "tuned".parse().unwrap(),
        base: Some("tiny".into()),
        family: None,
        steps: None,
        learning_rate: None,
        ..scheme(1, Scheme::Noisy)
    };
    let outcome = train(&config, &data, &place.registry()).unwrap();
    let after = own("tuned");
    assert!(after > before - 0.1, "{after} after {before}; {:?}", outcome.notes);
    assert!(
        outcome.notes.iter().any(|note| note.contains("its last quarter is held out")),
        "{:?}",
        outcome.notes
    );
}

/// Returns one dataset for each scheme.
fn every_scheme() -> Vec<(Config, Dataset)> {
    let white = Corruption::white(40.0);
    vec![
        (Config { corruption: Some(white.clone()), ..scheme(5, Scheme::Clean) }, waves(6)),
        (scheme(5, Scheme::Pairs), pairs(6, &white)),
        (scheme(5, Scheme::Repeats), noisy(3, 3, &white)),
        (scheme(5, Scheme::Noisy), noisy(6, 1, &white)),
        (scheme(5, Scheme::Noisy), noisy(6, 1, &blurred())),
    ]
}

#[test]
fn under_every_scheme_the_number_of_threads_does_not_change_a_bit() {
    for (config, data) in every_scheme() {
        let trained = |threads| {
            let place = Place::new();
            kernel::with_threads(threads, || train(&config, &data, &place.registry()).unwrap());
            place.weights(1)
        };
        assert!(trained(1) == trained(2), "{:?}", config.scheme);
    }
}

#[test]
fn under_every_scheme_a_stopped_run_goes_on_bit_for_bit() {
    for (config, data) in every_scheme() {
        let (straight, stopped) = (Place::new(), Place::new());
        train(&config, &data, &straight.registry()).unwrap();
        let mut listen = |p: &Progress| if p.step == 2 { Control::Cancel } else { Control::Continue };
        run(&config, &data, &stopped.registry(), Some(stopped.checkpoint()), &mut listen).unwrap_err();
        run(&config, &data, &stopped.registry(), Some(stopped.checkpoint()), &mut |_| Control::Continue)
            .unwrap();
        assert!(straight.weights(1) == stopped.weights(1), "{:?}", config.scheme);
    }
}
