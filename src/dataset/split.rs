//! Split of a dataset into training items and held-out items.

use std::collections::BTreeMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Item;

/// Dataset in two parts, each in order of names.
#[derive(Debug)]
pub struct Split<'a> {
    /// Training items.
    pub train: Vec<&'a Item>,
    /// Held-out items for evaluation.
    pub held_out: Vec<&'a Item>,
    /// Note for the user on the split, for example if few items are held out.
    pub note: Option<String>,
}

/// Prefix of the hashed data. A different one would evaluate models on samples their bases were trained on.
const SALT: [u8; 8] = [0; 8];

/// See [`super::Dataset::split`].
pub(super) fn by_content(items: &[Item], fraction: f32) -> Split<'_> {
    let place = |item: &Item| place(digest(&SALT, &[&item.clean]));
    split(items, &items.par_iter().map(place).collect::<Vec<_>>(), fraction)
}

/// See [`super::Dataset::split_by_scene`].
pub(super) fn by_scene(items: &[Item], fraction: f32) -> Split<'_> {
    let place = |item: &Item| {
        let hasher = Sha256::new_with_prefix(SALT);
        place(hasher.chain_update(item.scene()).finalize().into())
    };
    split(items, &items.iter().map(place).collect::<Vec<_>>(), fraction)
}

/// Returns the first 8 bytes of a digest as a number, uniformly distributed over `u64`.
fn place(digest: [u8; 32]) -> u64 {
    u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| digest[i]))
}

/// Splits items by their places; items with equal places stay together.
fn split<'a>(items: &'a [Item], places: &[u64], fraction: f32) -> Split<'a> {
    // Duplicates share a place, so whole groups are moved, not items.
    let mut groups: BTreeMap<u64, usize> = BTreeMap::new();
    places.iter().for_each(|&place| *groups.entry(place).or_default() += 1);
    let (Some((&first, _)), Some((&last, _))) = (groups.first_key_value(), groups.last_key_value()) else {
        return Split { train: vec![], held_out: vec![], note: Some("there are no samples".to_owned()) };
    };
    if groups.len() == 1 {
        let all: Vec<&Item> = items.iter().collect();
        let note = "there is only one sample or scene, so the scores are on what was trained on; \
                    add others to learn how well the model does on new ones";
        return Split { train: all.clone(), held_out: all, note: Some(note.to_owned()) };
    }
    let edge = (f64::from(fraction.clamp(0.0, 1.0)) * u64::MAX as f64) as u64;
    // The lowest place is always held out, the highest never: neither side is empty.
    let is_held_out = |place: u64| place == first || (place < edge && place != last);
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for (item, &place) in items.iter().zip(places) {
        if is_held_out(place) { held_out.push(item) } else { train.push(item) }
    }
    let note = (held_out.len() < 4).then(|| {
        format!("only {} of {} samples are held out, so the scores are rough", held_out.len(), items.len())
    });
    Split { train, held_out, note }
}

/// Returns a digest of `salt` and of the shapes and numbers of samples.
pub(super) fn digest(salt: &[u8], samples: &[&crate::sample::Sample]) -> [u8; 32] {
    let mut hasher = Sha256::new_with_prefix(salt);
    let mut bytes = Vec::new();
    for sample in samples {
        hasher.update(sample.shape().to_string());
        for part in sample.data().chunks(1 << 14) {
            bytes.clear();
            part.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes()));
            hasher.update(&bytes);
        }
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Sample, Shape};

    fn items(count: usize) -> Vec<Item> {
        let vector = |i: usize| Sample::new(Shape::Vector { features: 2 }, vec![i as f32, 1.0]).unwrap();
        (0..count).map(|i| Item { name: format!("{i:04}"), clean: vector(i), noisy: None }).collect()
    }

    fn names<'a>(side: &[&'a Item]) -> Vec<&'a str> {
        side.iter().map(|item| item.name.as_str()).collect()
    }

    #[test]
    fn about_the_stated_fraction_is_held_out() {
        let items = items(2000);
        let split = by_content(&items, 0.1);
        assert!((150..250).contains(&split.held_out.len()), "{}", split.held_out.len());
        assert_eq!(split.train.len() + split.held_out.len(), 2000);
        assert_eq!(split.note, None);
    }

    #[test]
    fn adding_files_moves_no_other_file() {
        let many = items(400);
        let before = by_content(&many[..300], 0.2);
        let after = by_content(&many, 0.2);
        let kept: Vec<_> = names(&after.held_out).into_iter().filter(|name| *name < "0300").collect();
        assert_eq!(names(&before.held_out), kept);
    }

    #[test]
    fn doubles_fall_on_one_side() {
        let mut many = items(50);
        let doubles = items(50).into_iter().map(|item| Item { name: format!("x{}", item.name), ..item });
        many.extend(doubles);
        let split = by_content(&many, 0.3);
        for item in &split.held_out {
            assert!(!split.train.iter().any(|other| other.clean == item.clean), "{}", item.name);
        }
    }

    #[test]
    fn two_items_stand_one_on_each_side_whatever_the_fraction() {
        let items = items(21);
        for pair in items.windows(2) {
            for fraction in [0.0, 0.5, 1.0] {
                let split = by_content(pair, fraction);
                assert_eq!((split.train.len(), split.held_out.len()), (1, 1));
            }
        }
    }

    #[test]
    fn repeats_of_a_scene_fall_on_one_side() {
        let mut many = items(200);
        many.iter_mut().enumerate().for_each(|(i, item)| item.name = format!("scene{}/{i}", i % 20));
        let split = by_scene(&many, 0.3);
        assert!(!split.held_out.is_empty() && !split.train.is_empty());
        for item in &split.held_out {
            assert!(!split.train.iter().any(|other| other.scene() == item.scene()), "{}", item.name);
        }
    }

    #[test]
    fn a_single_item_stands_on_both_sides_and_the_note_says_so() {
        let items = items(1);
        let split = by_content(&items, 0.1);
        assert_eq!((split.train.len(), split.held_out.len()), (1, 1));
        assert!(split.note.unwrap().contains("only one sample"));
    }
}
