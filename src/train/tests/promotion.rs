//! Tests of promotion: a version, even the first, becomes the default only if it beats the noisy input, the default version,
//! the base and a method without learning.

use super::*;
use crate::name::ModelRef;
use crate::registry;

fn name() -> crate::name::Name {
    "tiny".parse().unwrap()
}

#[test]
fn a_first_version_that_is_worse_than_its_input_serves_only_by_its_number() {
    let place = Place::new();
    let registry = place.registry();
    // With little noise and one step, the latent loses more than denoising can gain.
    let config = Config { corruption: Some(Corruption::white(0.5)), ..tiny(1) };
    let outcome = train(&config, &waves(12), &registry).unwrap();
    assert!(!outcome.promoted);
    let reason = outcome.kept_back.unwrap();
    assert!(reason.starts_with("it does not beat the noisy input on the held-out samples ("), "{reason}");
    for registry in [registry, place.registry()] {
        assert_eq!(registry.get(&name()).unwrap().default, None);
        let error = registry.read(&ModelRef { name: name(), version: None }).unwrap_err();
        assert!(matches!(error, registry::Error::NoDefault { version: 1, .. }), "{error}");
        assert!(error.to_string().contains("ask for tiny@1"), "{error}");
        assert!(registry.read(&ModelRef { name: name(), version: Some(1) }).is_ok());
    }
    let card = std::fs::read_to_string(place.0.path().join("models/tiny/1/README.md")).unwrap();
    assert!(card.contains("This version was kept back because it does not beat the noisy input"), "{card}");

    place.registry().set_default(&name(), 1, None).unwrap();
    assert_eq!(place.registry().get(&name()).unwrap().default, Some(1));
}

#[test]
fn a_version_asked_never_to_be_promoted_serves_where_it_is_the_only_one() {
    let place = Place::new();
    let registry = place.registry();
    let config = Config { promote: Promote::Never, ..tiny(1) };
    let first = train(&config, &waves(12), &registry).unwrap();
    assert_eq!((first.version, first.promoted, first.kept_back), (1, true, None));
    assert!(!train(&config, &waves(12), &registry).unwrap().promoted);
}

#[test]
fn a_base_that_is_removed_during_the_run_is_still_what_the_result_must_beat() {
    let place = Place::new();
    let (registry, data) = (place.registry(), waves(12));
    train(&tiny(60), &data, &registry).unwrap();
    let config = Config {
        name: "tuned".parse().unwrap(),
        base: Some("tiny@1".into()),
        family: None,
        learning_rate: Some(1e-5),
        ..tiny(6)
    };
    // Stopped halfway; the base is removed before the run resumes.
    let mut stop = |p: &Progress| if p.step == 3 { Control::Cancel } else { Control::Continue };
    run(&config, &data, &registry, Some(place.checkpoint()), &mut stop).unwrap_err();
    registry.remove(&name(), 1).unwrap();
    let wanted = config.wanted_to_resume(&registry, &place.checkpoint()).unwrap();
    assert_eq!(wanted.channels, Some(1));
    let outcome =
        run(&config, &data, &registry, Some(place.checkpoint()), &mut |_| Control::Continue).unwrap();
    assert_eq!(outcome.scores["before"]["model"], "tiny@1");

    // The default version is removed during the run.
    train(&tiny(60), &data, &registry).unwrap();
    let mut remove = |p: &Progress| {
        if p.step == 2 {
            registry.remove(&name(), 1).unwrap();
        }
        Control::Continue
    };
    let outcome = run(&tiny(60), &data, &registry, None, &mut remove).unwrap();
    assert_eq!(
        (outcome.version, outcome.promoted, &outcome.scores["before"]),
        (1, true, &serde_json::Value::Null)
    );
}

#[test]
fn of_two_runs_of_one_name_each_is_compared_with_what_serves_when_it_ends() {
    let place = Place::new();
    let first = place.registry();
    let data = waves(12);
    // The second run ends while the first is in progress.
    let mut nested = None;
    let mut listen = |p: &Progress| {
        if p.step == 30 {
            nested = Some(train(&tiny(60), &data, &first).unwrap());
        }
        Control::Continue
    };
    let outcome = run(&tiny(60), &data, &first, None, &mut listen).unwrap();
    assert!(nested.unwrap().promoted);
    // The same seed: not better.
    assert_eq!((outcome.version, outcome.promoted), (2, false));
    assert_eq!(outcome.scores["before"]["model"], "tiny@1");
    assert!(outcome.kept_back.unwrap().contains("does not beat tiny@1"));
}
