//! Tests of indexes.

use super::*;
use crate::rng::{Purpose, Rng};

fn index(count: usize, numbers: usize) -> Index {
    let mut rng = Rng::new(1, Purpose::Evaluate, 0);
    let mut index = Index::new([7; 32], numbers);
    for i in 0..count {
        let vector: Vec<f32> = (0..numbers).map(|_| rng.normal()).collect();
        index.add(&format!("sample {i}"), &vector).unwrap();
    }
    index
}

#[test]
fn the_nearest_are_those_of_a_full_sort() {
    // Lengths below, at and beyond the lanes.
    for numbers in [1, 15, 16, 37] {
        let index = index(300, numbers);
        let query: Vec<f32> = (0..numbers).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut all: Vec<(f64, usize)> = (0..300)
            .map(|i| {
                let vector = &index.data[i * numbers..][..numbers];
                let apart = query.iter().zip(vector).map(|(a, b)| f64::from(a - b).powi(2));
                (apart.sum::<f64>().sqrt(), i)
            })
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let found = index.nearest(&query, 10).unwrap();
        assert_eq!(found.len(), 10);
        for (neighbor, (distance, i)) in found.iter().zip(all) {
            assert_eq!((neighbor.position, &neighbor.name), (i, &format!("sample {i}")));
            assert!((f64::from(neighbor.distance) - distance).abs() < 1e-5);
        }
    }
}

#[test]
fn equally_near_ones_come_in_order_and_there_are_no_more_than_there_are() {
    let mut index = Index::new([0; 32], 2);
    for name in ["a", "b", "c"] {
        index.add(name, &[1.0, 1.0]).unwrap();
    }
    let names: Vec<String> = index.nearest(&[0.0, 0.0], 9).unwrap().into_iter().map(|n| n.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(index.nearest(&[0.0, 0.0], 2).unwrap().len(), 2);
    assert_eq!(Index::new([0; 32], 2).nearest(&[0.0, 0.0], 3).unwrap(), []);
    assert_eq!(index.nearest(&[0.0], 3), Err(Error::Numbers { expected: 2, got: 1 }));
    assert_eq!(index.add("d", &[0.0; 3]), Err(Error::Numbers { expected: 2, got: 3 }));
    let mut open = Index::new([0; 32], 0);
    assert_eq!(open.add("e", &[]), Err(Error::Numbers { expected: 0, got: 0 }));
    open.append(&index).unwrap();
    assert_eq!((open.len(), open.numbers()), (3, 2));
    assert!(matches!(open.append(&Index::new([1; 32], 2)), Err(Error::Digest { .. })));
}

#[test]
fn a_file_is_read_back_and_every_damage_is_noticed() {
    let index = index(20, 3);
    let mut bytes = Vec::new();
    index.write(&mut bytes).unwrap();
    assert_eq!(Index::parse(&bytes).unwrap(), index);
    for at in 0..bytes.len() {
        let mut spoiled = bytes.clone();
        spoiled[at] ^= 1;
        assert!(matches!(Index::parse(&spoiled), Err(Error::Damaged(_))), "byte {at}");
        assert!(matches!(Index::parse(&bytes[..at]), Err(Error::Damaged(_))), "cut at {at}");
    }
}

#[test]
fn a_head_that_lies_is_refused_even_with_the_right_checksum() {
    let mut bytes = Vec::new();
    index(4, 3).write(&mut bytes).unwrap();
    for (at, word) in [(44, u32::MAX), (44, 0), (48, u32::MAX), (52, u32::MAX), (48, 3), (8, 2)] {
        let mut lying = bytes.clone();
        lying[at..at + 4].copy_from_slice(&word.to_le_bytes());
        let body = lying.len() - 4;
        let checksum = crc32fast::hash(&lying[..body]).to_le_bytes();
        lying[body..].copy_from_slice(&checksum);
        assert!(matches!(Index::parse(&lying), Err(Error::Damaged(_))), "{at}: {word}");
    }
}

#[test]
fn an_index_of_other_weights_is_refused() {
    let index = index(1, 1);
    assert_eq!(index.check([7; 32]), Ok(()));
    let error = index.check([8; 32]).unwrap_err().to_string();
    assert!(error.contains(&"07".repeat(32)) && error.contains(&"08".repeat(32)), "{error}");
}
