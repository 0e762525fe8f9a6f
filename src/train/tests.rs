//! Tests of runs: they learn, can be stopped and resumed exactly, and never replace a better model.

mod faults;
mod own_units;
mod promotion;
mod schemes;

use super::*;
use crate::corruption::Corruption;
use crate::kernel;
use crate::nn::{Device, Tensor, tsne};
use crate::rng::{Purpose, Rng};
use crate::sample::{Sample, Shape};

/// Returns smooth images, each of a few waves, in which noise is clearly visible.
fn waves(count: usize) -> Dataset {
    let image = |i: usize| {
        let (fx, fy, phase) = (0.2 + 0.03 * (i % 7) as f32, 0.1 + 0.05 * (i % 5) as f32, i as f32);
        let pixel = |j: usize| {
            let (y, x) = ((j / 40) as f32, (j % 40) as f32);
            0.5 + 0.3 * (fx * x + phase).sin() + 0.2 * (fy * y - phase).cos()
        };
        let clean = Sample::new(Shape::image(1, 36, 40), (0..36 * 40).map(pixel).collect()).unwrap();
        crate::dataset::Item { name: format!("wave-{i}"), clean, noisy: None }
    };
    Dataset { items: (0..count).map(image).collect(), skipped: Vec::new() }
}

fn tiny(steps: u64) -> Config {
    let json = serde_json::json!({
        "name": "tiny", "steps": steps, "seed": 3, "batch": 4, "crop": 32, "learning_rate": 4e-3,
        "corruption": {"gaussian": {"sigma": 40}},
        "family": {"pyramid": {
            "channels": 1, "widths": [16, 16, 16], "encoder_blocks": [1, 0, 0], "decoder_blocks": [0, 0, 0],
            "refiner_blocks": 0, "latent": [1, 2, 8],
        }},
    });
    serde_json::from_value(json).unwrap()
}

/// Folder with a registry and a checkpoint.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn registry(&self) -> Registry {
        Registry::open(None, Some(self.0.path().join("models"))).unwrap()
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(self.0.path().join("run.checkpoint"), true)
    }

    fn weights(&self, version: u32) -> Vec<u8> {
        let folder = self.0.path().join("models/tiny").join(version.to_string());
        std::fs::read(folder.join("model.safetensors")).unwrap()
    }
}

fn train(config: &Config, data: &Dataset, registry: &Registry) -> Result<Outcome, Error> {
    run(config, data, registry, None, &mut |_| Control::Continue)
}

fn run(
    config: &Config,
    dataset: &Dataset,
    registry: &Registry,
    checkpoint: Option<Checkpoint>,
    listen: &mut dyn FnMut(&Progress) -> Control,
) -> Result<Outcome, Error> {
    let (data, recipe) = ("waves".to_owned(), "a test".to_owned());
    Run { config, dataset, registry, checkpoint, data, recipe, labels: Vec::new() }.run(listen)
}

#[test]
fn a_tiny_model_learns_to_beat_the_noisy_input_by_3_db_on_samples_it_never_saw() {
    let place = Place::new();
    let outcome = train(&tiny(250), &waves(24), &place.registry()).unwrap();
    let score = |key: &str| outcome.scores["held_out"][key].as_f64().unwrap();
    assert!(score("full_db") > score("noisy_db") + 3.0, "{}", outcome.scores);
    assert!(outcome.promoted);
    let card = std::fs::read_to_string(place.0.path().join("models/tiny/1/README.md")).unwrap();
    assert!(card.starts_with("# tiny, version 1") && card.contains("| noisy input |"), "{card}");
}

#[test]
fn a_run_stopped_anywhere_and_resumed_ends_with_the_same_weights_bit_for_bit() {
    let (straight, stopped) = (Place::new(), Place::new());
    let (config, data) = (tiny(12), waves(6));
    train(&config, &data, &straight.registry()).unwrap();

    for stop in [1, 7, 11] {
        let mut listen = |p: &Progress| if p.step == stop { Control::Cancel } else { Control::Continue };
        let outcome = run(&config, &data, &stopped.registry(), Some(stopped.checkpoint()), &mut listen);
        assert!(matches!(outcome, Err(Error::Cancelled)), "stopped at {stop}");
        assert!(stopped.registry().list().is_empty(), "nothing is published");
    }
    let mut first = None;
    let mut listen = |p: &Progress| {
        first.get_or_insert(p.step);
        Control::Continue
    };
    run(&config, &data, &stopped.registry(), Some(stopped.checkpoint()), &mut listen).unwrap();
    assert_eq!(first, Some(12), "only the last step was left");
    assert!(straight.weights(1) == stopped.weights(1));
    assert!(!stopped.checkpoint().path.exists());
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let trained = |threads| {
        let place = Place::new();
        kernel::with_threads(threads, || train(&tiny(5), &waves(6), &place.registry()).unwrap());
        place.weights(1)
    };
    assert!(trained(1) == trained(2));
}

#[test]
fn a_checkpoint_of_another_config_is_refused() {
    let place = Place::new();
    let stop = &mut |_: &Progress| Control::Cancel;
    let data = waves(4);
    run(&tiny(5), &data, &place.registry(), Some(place.checkpoint()), stop).unwrap_err();
    let error = run(&tiny(6), &data, &place.registry(), Some(place.checkpoint()), stop).unwrap_err();
    assert!(error.to_string().contains("another config"), "{error}");
}

#[test]
fn a_result_that_is_worse_is_kept_but_does_not_serve() {
    let place = Place::new();
    let (registry, data) = (place.registry(), waves(12));
    assert!(train(&tiny(60), &data, &registry).unwrap().promoted);
    // One step from random weights is worse than sixty.
    let worse = train(&tiny(1), &data, &registry).unwrap();
    assert_eq!((worse.version, worse.promoted), (2, false));
    assert_eq!(registry.get(&worse.model).unwrap().default, Some(1));
    assert_eq!(place.registry().get(&worse.model).unwrap().default, Some(1), "after a restart, too");

    let forced = train(&Config { promote: Promote::Always, ..tiny(1) }, &data, &registry).unwrap();
    assert_eq!((forced.version, forced.promoted), (3, true));
    assert_eq!(registry.get(&forced.model).unwrap().default, Some(3));
}

#[test]
fn a_base_is_where_a_run_begins() {
    let place = Place::new();
    let (registry, data) = (place.registry(), waves(12));
    let first = train(&tiny(60), &data, &registry).unwrap();
    let config = Config {
        name: "tuned".parse().unwrap(),
        base: Some("tiny@1".into()),
        family: None,
        learning_rate: Some(1e-5),
        ..tiny(1)
    };
    let tuned = train(&config, &data, &registry).unwrap();
    let db = |o: &Outcome| o.scores["held_out"]["full_db"].as_f64().unwrap();
    assert!((db(&first) - db(&tuned)).abs() < 0.5, "{} {}", first.scores, tuned.scores);
    assert_eq!(tuned.scores["before"]["model"], "tiny@1");
}

#[test]
fn a_listener_is_shown_a_held_out_sample_at_each_validation() {
    let place = Place::new();
    let mut seen = Vec::new();
    let mut listen = |p: &Progress| {
        seen.push(p.preview.clone());
        Control::Continue
    };
    run(&tiny(60), &waves(6), &place.registry(), None, &mut listen).unwrap();
    assert!(seen[48].is_none());
    let (first, last) = (seen[49].clone().unwrap(), seen[59].clone().unwrap());
    assert_eq!(first.noisy, last.noisy);
    assert_ne!(first.denoised, last.denoised);
    assert_eq!(first.clean.as_ref().unwrap().shape(), first.denoised.shape());
}

/// Returns vectors in twelve clusters.
fn groups(count: usize) -> Dataset {
    let vector = |i: usize| {
        let mut rng = Rng::new(7, Purpose::Evaluate, (i % 12) as u64);
        let centre: Vec<f32> = (0..16).map(|_| rng.normal()).collect();
        let mut rng = Rng::new(8, Purpose::Evaluate, i as u64);
        let data = centre.iter().map(|c| c + 0.2 * rng.normal()).collect();
        let clean = Sample::new(Shape::Vector { features: 16 }, data).unwrap();
        crate::dataset::Item { name: format!("vector-{i}"), clean, noisy: None }
    };
    Dataset { items: (0..count).map(vector).collect(), skipped: Vec::new() }
}

#[test]
fn a_map_keeps_neighbours_that_rebuilding_alone_loses() {
    let data = groups(240);
    let lost = |keep_neighbors: Option<f64>| {
        let place = Place::new();
        let json = serde_json::json!({
            "name": "tiny", "steps": 250, "batch": 64, "learning_rate": 4e-3, "seed": 1,
            "corruption": {"gaussian": {"sigma": 0.1}}, "family": "dense", "latent": {"numbers": 2},
        });
        // Two of sixteen numbers are enough for a map, but not for a denoiser.
        let config =
            Config { keep_neighbors, promote: Promote::Always, ..serde_json::from_value(json).unwrap() };
        train(&config, &data, &place.registry()).unwrap();
        let reference = crate::name::ModelRef { name: "tiny".parse().unwrap(), version: None };
        let session = crate::infer::Session::load(place.registry().read(&reference).unwrap()).unwrap();
        let latent =
            |item: &crate::dataset::Item| session.encode(&item.clean, None).unwrap().planes[0].data.clone();
        let latents: Vec<f32> = data.items.iter().flat_map(latent).collect();
        let samples: Vec<f32> = data.items.iter().flat_map(|item| item.clean.data().to_vec()).collect();
        let latents = Tensor::from_vec(latents, (data.items.len(), 2), &Device::Cpu).unwrap();
        tsne::loss(&samples, &latents).unwrap().to_scalar::<f32>().unwrap()
    };
    let (kept, plain) = (lost(Some(1.0)), lost(None));
    assert!(kept + 0.3 < plain, "{kept} and {plain}");
}

#[test]
fn what_counts_more_when_it_is_lighter_comes_out_darker() {
    let page = |i: usize| {
        let pixel = |j: usize| if (j / 40 + i).is_multiple_of(6) { 0.2 } else { 1.0 };
        let clean = Sample::new(Shape::image(1, 36, 40), (0..36 * 40).map(pixel).collect()).unwrap();
        crate::dataset::Item { name: format!("page-{i}"), clean, noisy: None }
    };
    let data = Dataset { items: (0..6).map(page).collect(), skipped: Vec::new() };
    let ink = |ink_weight: Option<f64>| {
        let place = Place::new();
        let corruption = Some(Corruption::white(100.0));
        let config = Config { ink_weight, corruption, promote: Promote::Always, ..tiny(100) };
        train(&config, &data, &place.registry()).unwrap();
        let reference = crate::name::ModelRef { name: "tiny".parse().unwrap(), version: None };
        let session = crate::infer::Session::load(place.registry().read(&reference).unwrap()).unwrap();
        let noisy = data.items[0].corrupted(&Corruption::white(100.0), 5, 0).0;
        let clean = session.denoise(&noisy, &Default::default()).unwrap().sample;
        clean.data()[..40].iter().sum::<f32>() / 40.0
    };
    let (heavy, plain) = (ink(Some(20.0)), ink(None));
    assert!(heavy + 0.05 < plain, "{heavy} and {plain}");
}

/// Returns signals of several lengths with two channels, each a wave.
fn beats(count: usize) -> Dataset {
    let signal = |i: usize| {
        let length = 700 + 13 * i;
        let value = |c: usize, t: usize| 40.0 + 7.0 * (0.05 * (1 + c) as f32 * t as f32 + i as f32).sin();
        let data = (0..2 * length).map(|j| value(j / length, j % length)).collect();
        let clean = Sample::new(Shape::Signal { channels: 2, length }, data).unwrap();
        crate::dataset::Item { name: format!("beat-{i}"), clean, noisy: None }
    };
    Dataset { items: (0..count).map(signal).collect(), skipped: Vec::new() }
}

#[test]
fn a_signal_model_learns_to_beat_the_noisy_input_by_6_db() {
    let place = Place::new();
    let json = serde_json::json!({
        "name": "tiny", "steps": 200, "batch": 4, "crop": 256, "learning_rate": 4e-3,
        "corruption": {"gaussian": {"sigma": 0.5}},
        "family": {"signal": {
            "channels": 2, "widths": [16, 16, 16], "encoder_blocks": [1, 0, 0], "decoder_blocks": [0, 0, 0],
            "refiner_blocks": 0, "latent": [1, 1, 2],
        }},
    });
    let outcome = train(&serde_json::from_value(json).unwrap(), &beats(16), &place.registry()).unwrap();
    let score = |key: &str| outcome.scores["held_out"][key].as_f64().unwrap();
    assert!(score("full_db") > score("noisy_db") + 6.0, "{}", outcome.scores);
    assert!(score("strict_db") > score("noisy_db") + 6.0, "{}", outcome.scores);
}

#[test]
fn a_time_budget_is_time_of_the_clock_whatever_else_the_machine_does() {
    let config = Config { steps: None, minutes: Some(0.05), ..tiny(1) };
    let data = waves(6);
    let place = Place::new();
    let begun = Instant::now();
    // Simulates a machine that becomes ten times slower during the run.
    let mut slow = |p: &Progress| {
        if p.step > 25 {
            std::thread::sleep(std::time::Duration::from_millis(60));
        }
        Control::Continue
    };
    run(&config, &data, &place.registry(), None, &mut slow).unwrap();
    let took = begun.elapsed().as_secs_f64();
    assert!((1.5..5.0).contains(&took), "{took} s for 3 s");
}

#[test]
fn a_resumed_run_takes_what_is_left_of_its_time() {
    let config = Config { steps: None, minutes: Some(0.05), ..tiny(1) };
    let data = waves(6);
    let place = Place::new();
    let begun = Instant::now();
    let mut stop =
        |_: &Progress| if begun.elapsed().as_secs_f64() > 2.0 { Control::Cancel } else { Control::Continue };
    run(&config, &data, &place.registry(), Some(place.checkpoint()), &mut stop).unwrap_err();
    let resumed = Instant::now();
    let mut steps = 0;
    let mut listen = |p: &Progress| {
        steps = p.step;
        assert!(p.total_steps < u64::MAX, "the plan is part of the checkpoint");
        Control::Continue
    };
    run(&config, &data, &place.registry(), Some(place.checkpoint()), &mut listen).unwrap();
    let took = resumed.elapsed().as_secs_f64();
    assert!(took < 2.5 && steps > 20, "{took} s for 1 s, {steps} steps");
}

/// The base removes noise; the training pairs have none, so that the model unlearns it step by step.
#[test]
fn a_run_that_only_gets_worse_stops_early_and_keeps_the_best_weights() {
    let place = Place::new();
    let registry = place.registry();
    let noise = Corruption::white(20.0);
    let base = Config { corruption: Some(noise.clone()), ..tiny(400) };
    train(&base, &waves(24), &registry).unwrap();

    let config = Config {
        name: "tuned".parse().unwrap(),
        base: Some("tiny".into()),
        family: None,
        corruption: None,
        scheme: Scheme::Pairs,
        // A low rate, so that the score falls until the end.
        learning_rate: Some(1e-4),
        ..tiny(1000)
    };
    let mut data = waves(24);
    let held_out: Vec<String> = data.split(0.05).held_out.iter().map(|item| item.name.clone()).collect();
    for (i, item) in data.items.iter_mut().enumerate() {
        let is_held_out = held_out.contains(&item.name);
        item.noisy =
            Some(if is_held_out { item.corrupted(&noise, 1, i as u64).0 } else { item.clean.clone() });
    }
    let mut last = 0;
    let mut listen = |p: &Progress| {
        last = p.step;
        Control::Continue
    };
    let outcome = run(&config, &data, &registry, None, &mut listen).unwrap();
    assert!((600..1000).contains(&last), "{last}: {:?}", outcome.notes);
    assert!(outcome.notes.iter().any(|note| note.starts_with("stopped early, after")), "{:?}", outcome.notes);
    let full = |key: &str| outcome.scores.pointer(key).unwrap().as_f64().unwrap();
    assert!(full("/held_out/full_db") >= full("/base/held_out/full_db") - 1e-4, "{}", outcome.scores);
    let card = std::fs::read_to_string(place.0.path().join("models/tuned/1/README.md")).unwrap();
    assert!(card.contains("stopped early, after") && card.contains("the base it started from"), "{card}");
}
