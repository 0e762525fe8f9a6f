//! Tests of failures: bad configs, bad samples, too high learning rates, a full disk.

use super::*;

#[test]
fn what_cannot_be_trained_on_is_refused_by_name() {
    let place = Place::new();
    let refused = |change: &dyn Fn(&mut Config), data: &Dataset| {
        let mut config = tiny(1);
        change(&mut config);
        train(&config, data, &place.registry()).unwrap_err().to_string()
    };
    let data = waves(4);
    assert!(refused(&|_| (), &Dataset::default()).starts_with("samples: there is none"));
    assert!(refused(&|c| c.steps = Some(0), &data).starts_with("steps: expected 1..="));
    assert!(refused(&|c| c.minutes = Some(1.0), &data).starts_with("minutes: expected either"));
    assert!(refused(&|c| c.crop = Some(20), &data).starts_with("crop: expected a multiple of 8"));
    let pairs = refused(&|c| c.scheme = Scheme::Pairs, &data);
    assert!(pairs.starts_with("samples: 0 of 4 samples have a noisy twin"));
    assert!(refused(&|c| c.base = Some("none".into()), &data).contains("there is no model none"));
    assert!(refused(&|c| c.base = Some("No!".into()), &data).starts_with("base: "));
    let dense = FamilyChoice::Name(FamilyName::Dense);
    assert!(refused(&|c| c.family = Some(dense.clone()), &data).starts_with("family: "));
    assert!(refused(&|c| c.keep_neighbors = Some(1.0), &data).starts_with("keep_neighbors: only a latent"));
    assert!(
        refused(&|c| c.ink_weight = Some(0.5), &data).starts_with("ink_weight: expected 1..=100, got 0.5")
    );
    let noisy = |c: &mut Config| (c.ink_weight, c.scheme) = (Some(4.0), Scheme::Noisy);
    assert!(refused(&noisy, &data).starts_with("ink_weight: only a clean image"));
    let not_smaller = |c: &mut Config| {
        c.family = Some(FamilyChoice::Name(FamilyName::Pyramid));
        c.latent = Some(LatentChoice { numbers: None, channels: Some([4, 4, 16]) });
    };
    assert!(refused(&not_smaller, &data).contains("latent must hold fewer numbers"));
    assert!(place.registry().list().is_empty());
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_with_the_reason() {
    let place = Place::new();
    let mut data = waves(4);
    for item in &mut data.items {
        // The values are finite, but their squares are not.
        let huge = item.clean.data().iter().map(|v| v * 1e25).collect();
        item.clean = Sample::new(item.clean.shape(), huge).unwrap();
    }
    let error = train(&tiny(3), &data, &place.registry()).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
    assert!(place.registry().list().is_empty());
}

/// Finds a learning rate at which the run returns to earlier weights at least once and still succeeds.
fn rough() -> (Config, Outcome) {
    for rate in [0.1, 0.2, 0.3, 0.5, 0.7, 1.0] {
        let config = Config { learning_rate: Some(rate), ..tiny(12) };
        if let Ok(outcome) = train(&config, &waves(6), &Place::new().registry())
            && outcome.notes.iter().any(|note| note.contains("went back to step"))
        {
            return (config, outcome);
        }
    }
    panic!("no rate goes back and ends well");
}

#[test]
fn a_rate_that_is_too_high_is_halved_from_the_last_good_weights_and_said() {
    let (_, outcome) = rough();
    let note = outcome.notes.iter().find(|note| note.contains("went back")).unwrap();
    assert!(note.contains("halved the rate, for the 1. time"), "{note}");
    assert!(outcome.scores["held_out"]["full_db"].as_f64().unwrap().is_finite());
}

#[test]
fn a_run_that_went_back_is_as_exact_when_stopped_and_resumed() {
    let (config, _) = rough();
    let (straight, stopped) = (Place::new(), Place::new());
    let data = waves(6);
    train(&config, &data, &straight.registry()).unwrap();
    let mut listened = 0;
    loop {
        // Stopped after every second step.
        let mut steps = 0;
        let mut listen = |_: &Progress| {
            steps += 1;
            if steps == 2 { Control::Cancel } else { Control::Continue }
        };
        match run(&config, &data, &stopped.registry(), Some(stopped.checkpoint()), &mut listen) {
            Err(Error::Cancelled) => listened += 1,
            other => {
                other.unwrap();
                break;
            }
        }
        assert!(listened < 100);
    }
    assert!(listened >= 5, "{listened}");
    assert!(straight.weights(1) == stopped.weights(1));
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_one_before_and_the_run_goes_on() {
    let place = Place::new();
    let data = waves(6);
    let (folder, away) = (place.0.path().join("kept"), place.0.path().join("away"));
    let path = folder.join("run.checkpoint");
    let eager = Checkpoint { every: std::time::Duration::ZERO, ..Checkpoint::new(path.clone(), true) };
    let stop_at =
        |stop: u64| move |p: &Progress| if p.step == stop { Control::Cancel } else { Control::Continue };
    let run = |listen: &mut dyn FnMut(&Progress) -> Control| {
        super::run(&tiny(12), &data, &place.registry(), Some(eager.clone()), listen)
    };
    run(&mut stop_at(3)).unwrap_err();
    let kept = std::fs::read(&path).unwrap();

    // A file in place of the folder makes writes fail, as on a full disk.
    let mut begun = false;
    let error = run(&mut |p| {
        if !std::mem::replace(&mut begun, true) {
            std::fs::rename(&folder, &away).unwrap();
            std::fs::write(&folder, "").unwrap();
        }
        stop_at(6)(p)
    });
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "to stop without a checkpoint is an error: {error}");
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    assert!(std::fs::read(&path).unwrap() == kept);
    let outcome = run(&mut |_| Control::Continue).unwrap();
    assert_eq!(outcome.version, 1, "the run continues from the checkpoint before");
}

#[test]
fn a_run_that_is_abandoned_leaves_the_checkpoint_as_it_was() {
    let place = Place::new();
    let stop_with = |control| {
        run(&tiny(5), &waves(4), &place.registry(), Some(place.checkpoint()), &mut |_| control).unwrap_err()
    };
    assert!(matches!(stop_with(Control::Abandon), Error::Cancelled));
    assert!(!place.checkpoint().path.exists());
    stop_with(Control::Cancel);
    stop_with(Control::Abandon);
    assert_eq!(place.checkpoint().step(), Some(1));
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_not_taken_for_a_damaged_one() {
    let place = Place::new();
    std::fs::create_dir(place.checkpoint().path).unwrap();
    let error =
        run(&tiny(5), &waves(4), &place.registry(), Some(place.checkpoint()), &mut |_| Control::Continue);
    assert!(matches!(error.unwrap_err(), Error::Io { .. }));
}

#[test]
fn a_checkpoint_of_other_samples_or_a_damaged_one_is_refused() {
    let place = Place::new();
    let stop = &mut |_: &Progress| Control::Cancel;
    run(&tiny(5), &waves(4), &place.registry(), Some(place.checkpoint()), stop).unwrap_err();
    let error = run(&tiny(5), &waves(5), &place.registry(), Some(place.checkpoint()), stop).unwrap_err();
    assert!(error.to_string().contains("other samples"), "{error}");
    let mut bytes = std::fs::read(place.checkpoint().path).unwrap();
    bytes.truncate(bytes.len() / 2);
    assert_eq!(place.checkpoint().step(), Some(1));
    std::fs::write(place.checkpoint().path, bytes).unwrap();
    assert_eq!(place.checkpoint().step(), None);
    let error = run(&tiny(5), &waves(4), &place.registry(), Some(place.checkpoint()), stop).unwrap_err();
    assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
}

#[test]
fn one_to_five_samples_and_constant_ones_are_trained_on_and_said() {
    let place = Place::new();
    for count in [1, 2, 5] {
        let outcome = train(&tiny(2), &waves(count), &place.registry()).unwrap();
        let notes = outcome.notes.join("\n");
        assert!(notes.contains(&format!("only {count} sample(s)")), "{notes}");
        assert_eq!(notes.contains("there is only one sample"), count == 1, "{notes}");
    }
    let mut data = waves(6);
    for item in &mut data.items[..3] {
        item.clean = Sample::new(item.clean.shape(), vec![0.5; item.clean.data().len()]).unwrap();
    }
    let outcome = train(&tiny(4), &data, &place.registry()).unwrap();
    let notes = outcome.notes.join("\n");
    assert!(notes.contains("3 sample(s) are constant") && notes.contains("occur more than once"), "{notes}");
    assert!(outcome.scores["held_out"]["full_db"].as_f64().unwrap().is_finite(), "{}", outcome.scores);
}
