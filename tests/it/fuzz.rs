//! A bounded fuzzing run on the stable toolchain: the targets of `fuzz/`, over its corpus and mutations of it.
//!
//! `benches/drills/fuzz.py` looks for new inputs, guided by coverage; those that failed join the corpus.

use std::fs;
use std::path::{Path, PathBuf};

use limpid::rng::{Purpose, Rng};

#[path = "../../fuzz/targets.rs"]
mod targets;

/// Mutations of each file of the corpus. `FUZZ_RUNS` sets another number, `FUZZ_TARGET` runs one target.
const RUNS: usize = 2000;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Changes 1 to 8 places of `bytes`: a bit, a byte, a number of the sizes that headers have, a cut, a repeat, a part of `other`.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    const EXTREMES: [u32; 8] = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff];
    for _ in 0..=rng.below(8) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.below(bytes.len());
        match rng.below(7) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.below(256) as u8,
            2 => {
                let value = EXTREMES[rng.below(EXTREMES.len())];
                let value = if rng.below(2) == 0 { value.to_le_bytes() } else { value.to_be_bytes() };
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
            3 => bytes.truncate(at),
            4 => {
                let end = (at + 1 + rng.below(64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            5 => drop(bytes.drain(at..(at + 1 + rng.below(16)).min(bytes.len()))),
            _ => {
                let from = rng.below(other.len().max(1));
                let part = &other[from.min(other.len())..(from + 32).min(other.len())];
                let end = (at + part.len()).min(bytes.len());
                bytes.splice(at..end, part.iter().copied());
            }
        }
    }
}

#[test]
fn no_reader_panics_on_the_corpus_or_its_mutations() {
    let runs = std::env::var("FUZZ_RUNS").ok().map_or(RUNS, |runs| runs.parse().unwrap());
    let only = std::env::var("FUZZ_TARGET").ok();
    for (name, target, cost) in targets::TARGETS {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let files: Vec<Vec<u8>> = corpus(name).iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        for (index, file) in files.iter().enumerate() {
            target(file);
            let mut rng = Rng::new(0, Purpose::Corrupt, index as u64);
            for run in 0..runs.div_ceil(cost) {
                let mut bytes = file.clone();
                mutate(&mut bytes, &files[rng.below(files.len())], &mut rng);
                let outcome = std::panic::catch_unwind(|| target(&bytes));
                if outcome.is_err() {
                    let path = std::env::temp_dir().join(format!("limpid-fuzz-{name}-{index}-{run}"));
                    fs::write(&path, &bytes).unwrap();
                    panic!("{name}: file {index}, run {run}; the bytes are in {}", path.display());
                }
            }
        }
    }
    targets::house::House::get().remove();
}
