//! Tests of batches: each is a function of seed, step and scheme.

use super::*;

fn image(channels: usize, height: usize, width: usize) -> Item {
    let shape = Shape::image(channels, height, width);
    let data = (0..shape.numbers()).map(|i| i as f32 / 1000.0).collect();
    Item { name: "a".to_owned(), clean: Sample::new(shape, data).unwrap(), noisy: None }
}

fn plan(crop: Option<(usize, usize)>) -> Plan {
    let (learn, normalize) = (Learn::Clean(Corruption::white(25.0)), Normalize::Sample);
    Plan { crop, batch: 4, learn, normalize, augment: true, seed: 1 }
}

const QUIET: Learn = Learn::Clean(Corruption::None {});

#[test]
fn a_repeat_is_learnt_from_another_of_its_scene() {
    let mut items: Vec<Item> = (0..6).map(|_| image(1, 9, 9)).collect();
    for (i, item) in items.iter_mut().enumerate() {
        item.name = format!("scene{}/{i}", i / 3);
        let data = item.clean.data().iter().map(|v| v + i as f32).collect();
        item.clean = Sample::new(item.clean.shape(), data).unwrap();
    }
    let repeats = Plan { learn: Learn::Repeats, ..plan(Some((8, 8))) };
    let loader = Loader::new(items.iter().collect(), repeats.clone()).unwrap();
    for step in 0..20 {
        let batch = loader.batch(step);
        for (noisy, clean) in batch.noisy.chunks(64).zip(batch.clean.chunks(64)) {
            let (a, b) = (noisy[0] as usize, clean[0] as usize);
            assert!(a != b && a / 3 == b / 3, "{a} {b}");
            assert!(noisy.iter().zip(clean).all(|(n, c)| (n - c - a as f32 + b as f32).abs() < 1e-5));
        }
    }
    let alone = Loader::new(vec![&items[0], &items[3]], repeats).unwrap_err();
    assert!(alone.to_string().contains("scene0/0 has no repeat"), "{alone}");
}

#[test]
fn neighbours_and_hidden_places_come_of_one_noisy_crop() {
    let items = [image(1, 40, 40)];
    let batch =
        |learn| Loader::new(items.iter().collect(), Plan { learn, ..plan(Some((16, 16))) }).unwrap().batch(3);
    let halves = batch(Learn::Neighbors);
    assert_eq!(halves.dims, [4, 1, 8, 8]);
    let Beside::Whole(whole, dims, choices) = &halves.beside else { panic!("no whole crops") };
    assert_eq!((dims.as_slice(), choices.len()), ([4, 1, 16, 16].as_slice(), 4));
    let [first, second] = choices[1].pick(&whole[256..512]);
    assert_eq!((first.as_slice(), second.as_slice()), (&halves.noisy[64..128], &halves.clean[64..128]));
    let hidden = batch(Learn::Hidden(0, 1));
    let weights = hidden.weights.as_ref().unwrap();
    let differ = hidden.noisy.iter().zip(&hidden.clean).zip(weights).filter(|((n, c), _)| n != c);
    assert!(differ.count() > 40);
    assert_eq!(hidden, batch(Learn::Hidden(0, 1)));
    // The noise added and the noise subtracted differ by 2.1 to 3.6 times the noise of the sample.
    let noisy = [Item { clean: items[0].corrupted(&Corruption::white(25.0), 1, 0).0, ..items[0].clone() }];
    let plan = Plan { learn: Learn::Recorrupted, ..plan(Some((16, 16))) };
    let recorrupted = Loader::new(noisy.iter().collect(), plan).unwrap().batch(3);
    assert_eq!(recorrupted.dims, [4, 1, 16, 16]);
    let apart =
        recorrupted.noisy.iter().zip(&recorrupted.clean).map(|(n, c)| (n - c).abs()).sum::<f32>() / 1024.0;
    assert!((0.13..0.32).contains(&apart), "{apart}");
}

#[test]
fn a_batch_is_a_function_of_seed_and_step() {
    let items = [image(1, 20, 30), image(1, 9, 40)];
    let loader = Loader::new(items.iter().collect(), plan(Some((8, 8)))).unwrap();
    let other = Loader::new(items.iter().collect(), Plan { seed: 2, ..plan(Some((8, 8))) }).unwrap();
    assert_eq!(loader.batch(5), loader.batch(5));
    assert_ne!(loader.batch(5), loader.batch(6));
    assert_ne!(loader.batch(5), other.batch(5));
    assert_eq!(loader.batch(5).dims, [4, 1, 8, 8]);
}

#[test]
fn a_batch_does_not_depend_on_the_number_of_threads() {
    let items = [image(3, 20, 30)];
    let loader = Loader::new(items.iter().collect(), plan(Some((8, 8)))).unwrap();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| loader.batch(3))
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn noise_is_added_to_the_clean_crop() {
    let items = [image(1, 64, 64)];
    let loader = Loader::new(items.iter().collect(), plan(Some((64, 64)))).unwrap();
    let batch = loader.batch(0);
    let residual: Vec<f32> = batch.noisy.iter().zip(&batch.clean).map(|(a, b)| a - b).collect();
    assert!((crate::sample::Stats::of(&residual).std * 255.0 - 25.0).abs() < 0.7);
}

#[test]
fn pairs_are_cropped_and_turned_alike_and_not_corrupted() {
    let mut item = image(2, 20, 30);
    let twin = item.clean.data().iter().map(|v| v + 7.0).collect();
    item.noisy = Some(Sample::new(item.clean.shape(), twin).unwrap());
    let pairs = Plan { learn: Learn::Pairs, ..plan(Some((8, 8))) };
    let batch = Loader::new(vec![&item], pairs).unwrap().batch(0);
    assert!(batch.noisy.iter().zip(&batch.clean).all(|(n, c)| *n == c + 7.0));
}

#[test]
fn crops_come_from_all_over_and_are_contiguous() {
    let items = [image(1, 5, 6)];
    let plan = Plan { augment: false, learn: QUIET, batch: 200, ..plan(Some((2, 3))) };
    let batch = Loader::new(items.iter().collect(), plan).unwrap().batch(0);
    let mut corners: Vec<i32> = Vec::new();
    for crop in batch.clean.chunks(6) {
        let at = |i: usize| (crop[i] * 1000.0).round() as i32;
        assert_eq!([at(1), at(2), at(3), at(5)], [at(0) + 1, at(0) + 2, at(0) + 6, at(0) + 8]);
        corners.push(at(0));
    }
    corners.sort_unstable();
    corners.dedup();
    assert_eq!(corners.len(), 4 * 4);
}

#[test]
fn small_images_are_continued_by_reflection() {
    let items = [image(1, 1, 3)];
    let plan = Plan { augment: false, learn: QUIET, batch: 1, ..plan(Some((2, 7))) };
    let batch = Loader::new(items.iter().collect(), plan).unwrap().batch(0);
    let row = [0.0, 0.001, 0.002, 0.001, 0.0, 0.001, 0.002];
    assert_eq!(batch.clean, [row, row].concat());
}

#[test]
fn larger_samples_give_more_crops() {
    let items = [image(1, 10, 10), image(1, 10, 30)];
    let plan = Plan { augment: false, learn: QUIET, batch: 1000, ..plan(Some((1, 1))) };
    let batch = Loader::new(items.iter().collect(), plan).unwrap().batch(0);
    // Only the second image has values from 0.1 on, in two thirds of its pixels.
    let large = batch.clean.iter().filter(|&&v| v >= 0.0995).count();
    assert!((450..550).contains(&large), "{large}");
}

#[test]
fn whole_samples_must_have_one_shape() {
    let items = [image(1, 4, 4), image(1, 4, 5)];
    let error = Loader::new(items.iter().collect(), plan(None)).unwrap_err();
    assert!(error.to_string().contains("4x4") && error.to_string().contains("5x4"));
    assert!(Loader::new(items[..1].iter().collect(), plan(None)).is_ok());
}

#[test]
fn vectors_are_whole_and_signals_are_windows() {
    let sample = |shape: Shape| Sample::new(shape, (0..shape.numbers()).map(|i| i as f32).collect()).unwrap();
    let item = |shape| Item { name: "a".to_owned(), clean: sample(shape), noisy: None };
    let vector = item(Shape::Vector { features: 5 });
    assert_eq!(Loader::new(vec![&vector], plan(None)).unwrap().batch(0).dims, [4, 5]);
    let signal = item(Shape::Signal { channels: 2, length: 50 });
    let batch = Loader::new(vec![&signal], Plan { learn: QUIET, ..plan(Some((1, 8))) }).unwrap().batch(0);
    assert_eq!(batch.dims, [4, 2, 8]);
    assert_eq!(batch.clean[8], batch.clean[0] + 50.0);
}

#[test]
fn what_cannot_be_loaded_is_refused() {
    let items = [image(1, 4, 4)];
    let refused = |items: Vec<&Item>, plan| Loader::new(items, plan).unwrap_err().to_string();
    assert!(refused(vec![], plan(None)).contains("there are none"));
    assert!(refused(vec![&items[0]], plan(Some((0, 8)))).starts_with("batch"));
    assert!(refused(vec![&items[0]], Plan { batch: usize::MAX, ..plan(None) }).starts_with("batch"));
    let wrong = Plan { learn: Learn::Clean(Corruption::white(-1.0)), ..plan(None) };
    assert!(refused(vec![&items[0]], wrong).contains("gaussian.sigma"));
}

#[test]
fn a_crop_is_scaled_by_its_whole_sample_and_now_and_then_by_itself() {
    let mut item = image(1, 40, 60);
    let twin: Vec<f32> = item.clean.data().iter().map(|v| 2.0 * v + 7.0).collect();
    item.noisy = Some(Sample::new(item.clean.shape(), twin).unwrap());
    let whole = item.noisy.as_ref().unwrap().stats();
    let pairs = Plan { learn: Learn::Pairs, batch: 800, ..plan(Some((8, 8))) };
    let batch = Loader::new(vec![&item], pairs).unwrap().batch(0);
    let own = |crop: &[f32], stats: &Stats| *stats == Stats::of(crop);
    let alone = batch.noisy.chunks(64).zip(&batch.stats).filter(|(crop, stats)| own(crop, stats)).count();
    assert!((60..140).contains(&alone), "{alone}");
    assert_eq!(batch.stats.iter().filter(|stats| **stats == whole).count(), 800 - alone);
}

#[test]
fn noise_moves_the_statistics_of_the_whole_sample() {
    let items = [image(1, 40, 60)];
    let whole = Moments::of(items[0].clean.data()).variance;
    let near = |learn, variance: f64| {
        let plan = Plan { learn, batch: 64, ..plan(Some((32, 32))) };
        let batch = Loader::new(items.iter().collect(), plan).unwrap().batch(0);
        let is_near = |stats: &&Stats| (f64::from(stats.std) / variance.sqrt() - 1.0).abs() < 0.03;
        batch.stats.iter().filter(is_near).count()
    };
    assert!(near(QUIET, whole) > 48);
    assert!(near(Learn::Clean(Corruption::white(100.0)), whole + (100.0f64 / 255.0).powi(2)) > 48);
}

/// A signal of two channels, of which the first lacks steps 20 to 29.
fn holed(name: &str) -> Item {
    let shape = Shape::Signal { channels: 2, length: 100 };
    let value = |i: usize| if (20..30).contains(&i) { f32::NAN } else { (i as f32 * 0.3).sin() };
    let clean = Sample::with_gaps(shape, (0..200).map(value).collect()).unwrap();
    Item { name: name.to_owned(), clean, noisy: None }
}

#[test]
fn missing_numbers_have_no_weight_and_are_filled_in_after_the_noise() {
    let items = [holed("s/a"), holed("s/b")];
    for (learn, normalize) in [
        (Learn::Clean(Corruption::white(0.5)), Normalize::Sample),
        (Learn::Clean(Corruption::white(0.5)), Normalize::Channel),
        (Learn::Repeats, Normalize::Sample),
        (Learn::Recorrupted, Normalize::Sample),
        (Learn::Hidden(0, 0), Normalize::Sample),
    ] {
        let plan = Plan { learn, normalize, ..plan(Some((1, 100))) };
        let batch = Loader::new(items.iter().collect(), plan.clone()).unwrap().batch(0);
        let weights = batch.weights.unwrap();
        for (crop, noisy) in weights.chunks(200).zip(batch.noisy.chunks(200)) {
            assert!(crop[20..30].iter().all(|weight| *weight == 0.0), "{:?}", plan.learn);
            assert!(crop[30..].iter().any(|weight| *weight > 0.0));
            let step = (noisy[30] - noisy[19]) / 11.0;
            let is_line = (20..30).all(|i| (noisy[i] - noisy[19] - step * (i - 19) as f32).abs() < 1e-4);
            assert!(is_line || matches!(plan.learn, Learn::Hidden(..)), "{:?}", plan.learn);
        }
    }
    let halves = Plan { learn: Learn::Neighbors, ..plan(Some((1, 100))) };
    let weights = Loader::new(items.iter().collect(), halves).unwrap().batch(0).weights.unwrap();
    assert!(weights.chunks(100).all(|crop| crop[10..15].iter().all(|w| *w == 0.0) && crop[20] == 1.0));
}

#[test]
fn missing_numbers_move_no_statistics() {
    let item = holed("a");
    let known: Vec<f32> = item
        .clean
        .data()
        .iter()
        .enumerate()
        .filter(|(i, _)| !(20..30).contains(i))
        .map(|(_, v)| *v)
        .collect();
    let quiet = Plan { learn: QUIET, batch: 8, ..plan(Some((1, 100))) };
    let batch = Loader::new(vec![&item], quiet).unwrap().batch(0);
    assert!(batch.stats.iter().all(|stats| *stats == Stats::of(&known)), "{:?}", batch.stats);
}

#[test]
fn marks_turn_with_the_image() {
    let mut item = image(1, 8, 8);
    let value = |i: usize| if i.is_multiple_of(8) { f32::NAN } else { i as f32 };
    item.clean = Sample::with_gaps(item.clean.shape(), (0..64).map(value).collect()).unwrap();
    let quiet = Plan { learn: QUIET, batch: 32, ..plan(Some((8, 8))) };
    let batch = Loader::new(vec![&item], quiet).unwrap().batch(0);
    for (weights, clean) in batch.weights.unwrap().chunks(64).zip(batch.clean.chunks(64)) {
        let known: Vec<f32> = clean.iter().zip(weights).filter(|(_, w)| **w > 0.0).map(|(v, _)| *v).collect();
        assert!(
            known.len() == 56 && known.iter().all(|v| v.fract() == 0.0 && !(*v as usize).is_multiple_of(8)),
            "{known:?}"
        );
    }
}

/// Noise like that of the sample, as strong and as correlated, does not correlate between input and target.
#[test]
fn noise_of_a_profile_recorrupts_correlated_noise() {
    let noise: Corruption =
        serde_json::from_str(r#"[{"gaussian": {"sigma": 20, "blur": 0.8}}, {"banding": {"rows": 20}}]"#)
            .unwrap();
    let shape = Shape::image(1, 128, 128);
    let flat =
        Item { name: "a".into(), clean: Sample::new(shape, vec![0.5; 128 * 128]).unwrap(), noisy: None };
    let frames: Vec<Sample> = (0..12).map(|i| flat.corrupted(&noise, 1, i).0).collect();
    let method = Some(crate::corruption::Method::Flat);
    let profile = super::super::measure_profile(&frames.iter().collect::<Vec<_>>(), method).unwrap();
    let items: Vec<Item> =
        frames.into_iter().map(|clean| Item { name: "b".into(), clean, noisy: None }).collect();
    let learn = Learn::Profiled(Box::new(profile));
    let plan = Plan { learn, batch: 16, augment: false, ..plan(Some((64, 64))) };
    let loader = Loader::new(items.iter().collect(), plan).unwrap();
    let (mut products, mut powers) = ([0.0; 3], [0.0; 2]);
    for step in 0..8 {
        let batch = loader.batch(step);
        for (noisy, clean) in batch.noisy.chunks(64).zip(batch.clean.chunks(64)) {
            for x in 0..62 {
                let [n, c] = [noisy, clean].map(|row| f64::from(row[x]) - 0.5);
                // At once, next to each other, and two apart.
                for (lag, product) in products.iter_mut().enumerate() {
                    *product += n * (f64::from(clean[x + lag]) - 0.5);
                }
                powers[0] += n * n;
                powers[1] += c * c;
            }
        }
    }
    let norm = (powers[0] * powers[1]).sqrt();
    assert!(products.iter().all(|product| (product / norm).abs() < 0.05), "{products:?} of {norm}");
}
