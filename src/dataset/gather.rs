//! Reading folders and uploads into items, and matching pairs by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::read::{File, bytes_of};
use super::twins::{Hint, Role, hint};
use super::{Dataset, Error, Item, Skipped, Wanted, archive, unify};
use crate::limits::Limits;
use crate::sample::Sample;

/// Files read at a time if memory allows it: enough to keep all threads busy.
const FILES_AT_A_TIME: usize = 64;

/// See [`Dataset::from_folder_as`].
pub(super) fn folder(path: &Path, limits: &Limits, wanted: Wanted) -> Result<Dataset, Error> {
    let open = |reason: String| Error::Open { path: path.display().to_string(), reason };
    let about = fs::metadata(path).map_err(|e| open(e.to_string()))?;
    let mut gathering = Gathering::default();
    if !about.is_dir() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = read_file(path, limits).map_err(open)?;
        return Ok(uploads(vec![(name, bytes)], limits, wanted));
    }
    // Links are followed, because data are often stored elsewhere; a loop of links is an error of its entry.
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                let below = entry.path().strip_prefix(path).unwrap_or(entry.path());
                files.push((below.to_string_lossy().replace('\\', "/"), entry.into_path()));
            }
            Ok(_) => {}
            Err(error) => gathering.skip(error.path().unwrap_or(path).display(), error.to_string()),
        }
    }
    files.retain(|(name, _)| !is_hidden(name));
    let files = files.into_iter().map(|(name, path): (String, PathBuf)| (name, read_file(&path, limits)));
    gathering.read(files, limits, wanted);
    Ok(gathering.finish())
}

/// See [`Dataset::from_uploads_as`].
pub(super) fn uploads(files: Vec<(String, Vec<u8>)>, limits: &Limits, wanted: Wanted) -> Dataset {
    let mut gathering = Gathering::default();
    let several = files.len() > 1;
    for (name, bytes) in files {
        let entries = match archive::entries(&bytes, limits) {
            None => vec![(name, bytes)],
            // The archive's own name counts as a folder: the files of `noisy.zip` and `clean.zip` form pairs.
            Some(Ok(entries)) if several => {
                let folder = stem(&name);
                entries.into_iter().map(|(path, b)| (format!("{folder}/{path}"), b)).collect()
            }
            Some(Ok(entries)) => entries,
            Some(Err(reason)) => {
                gathering.skip(name, reason);
                continue;
            }
        };
        let files = entries.into_iter().filter(|(name, _)| !is_hidden(name));
        gathering.read(files.map(|(name, bytes)| (name, Ok(bytes))), limits, wanted);
    }
    gathering.finish()
}

fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > limits.upload_bytes as u64 {
        return Err(format!("has {size} bytes, over the limit of {}", limits.upload_bytes));
    }
    fs::read(path).map_err(|e| e.to_string())
}

/// Returns `true` for files left by operating systems: dot files and the Mac's resource forks.
fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX" || part == "Thumbs.db")
}

/// Returns a path without its file extension.
fn stem(path: &str) -> &str {
    let path = path.strip_suffix(".gz").or_else(|| path.strip_suffix(".tgz")).unwrap_or(path);
    let file = path.rfind('/').map_or(0, |slash| slash + 1);
    path[file..].rfind('.').filter(|&dot| dot > 0).map_or(path, |dot| &path[..file + dot])
}

/// Samples read so far, by name.
#[derive(Default)]
struct Gathering {
    alone: BTreeMap<String, Sample>,
    /// Roles suggested by the names of samples in `alone`.
    hints: Vec<(String, Hint)>,
    clean: BTreeMap<String, Sample>,
    noisy: BTreeMap<String, Sample>,
    skipped: Vec<Skipped>,
    bytes: usize,
}

impl Gathering {
    fn skip(&mut self, name: impl ToString, reason: String) {
        self.skipped.push(Skipped { name: name.to_string(), reason });
    }

    /// Reads files in parallel, in groups that fit the memory limit by their stated sizes.
    fn read(
        &mut self,
        files: impl Iterator<Item = (String, Result<Vec<u8>, String>)>,
        limits: &Limits,
        wanted: Wanted,
    ) {
        let (mut some, mut held) = (Vec::new(), 0);
        for (name, bytes) in files {
            let file = match bytes.and_then(|bytes| File::open(&name, bytes, limits, wanted)) {
                Ok(file) => file,
                Err(reason) => {
                    self.skip(name, reason);
                    continue;
                }
            };
            let stated = file.stated;
            if some.len() == FILES_AT_A_TIME || stated > self.room(limits).saturating_sub(held) {
                self.take(&std::mem::take(&mut some), limits, wanted);
                held = 0;
            }
            let room = self.room(limits);
            if stated > room {
                let limit = limits.archive_bytes;
                let left = format!("{room} of archive_bytes ({limit}) are left");
                self.skip(name, format!("its samples take {stated} bytes, {left}; send less"));
                continue;
            }
            held += stated.max(file.bytes.len());
            some.push((name, file));
        }
        self.take(&some, limits, wanted);
    }

    /// Returns the number of bytes left for further samples.
    fn room(&self, limits: &Limits) -> usize {
        limits.archive_bytes.saturating_sub(self.bytes)
    }

    fn take(&mut self, files: &[(String, File)], limits: &Limits, wanted: Wanted) {
        let read: Vec<_> = files.par_iter().map(|(_, file)| file.read(limits, wanted)).collect();
        for ((path, _), samples) in files.iter().zip(read) {
            let samples = match samples {
                Ok(samples) => samples,
                Err(reason) => {
                    self.skip(path, reason);
                    continue;
                }
            };
            let numbers = samples.iter().map(|sample| sample.shape().numbers()).sum();
            self.bytes += bytes_of(samples.len(), numbers);
            let single = samples.len() == 1;
            for (number, sample) in samples.into_iter().enumerate() {
                let behind = if single { String::new() } else { format!("#{number:06}") };
                self.insert(path, &behind, sample);
            }
        }
    }

    /// Adds a sample under its name without the extension, or with it if another file has that name.
    fn insert(&mut self, path: &str, behind: &str, sample: Sample) {
        let short = format!("{}{behind}", stem(path));
        let hint = hint(&short);
        let map = match &hint {
            Some(Hint { role: Role::Clean, is_certain: true, .. }) => &mut self.clean,
            Some(Hint { role: Role::Noisy, is_certain: true, .. }) => &mut self.noisy,
            _ => &mut self.alone,
        };
        let ending = &path[stem(path).len()..];
        let short = hint.as_ref().filter(|hint| hint.is_certain).map_or(short, |hint| hint.key.clone());
        let name = match map.contains_key(&short) {
            true => format!("{}{ending}{behind}", short.strip_suffix(behind).unwrap_or(&short)),
            false => short,
        };
        if map.contains_key(&name) {
            return self.skip(path, format!("another file is named {name}"));
        }
        self.hints.extend(hint.filter(|hint| !hint.is_certain).map(|hint| (name.clone(), hint)));
        map.insert(name, sample);
    }

    /// Matches pairs in `alone` by the roles that names suggest, if at least half of these files have a counterpart: otherwise
    /// `raw`, `input` or `low` are names like any other.
    fn pair_by_names(&mut self) {
        let mut twins: BTreeMap<&str, [Vec<&str>; 2]> = BTreeMap::new();
        for (name, hint) in &self.hints {
            twins.entry(&hint.key).or_default()[usize::from(hint.role == Role::Clean)].push(name);
        }
        let is_pair = |[noisy, clean]: &[Vec<&str>; 2]| noisy.len() == 1 && clean.len() == 1;
        let pairs = twins.values().filter(|twins| is_pair(twins)).count();
        if pairs == 0 || 4 * pairs < self.hints.len() {
            return;
        }
        for (name, hint) in std::mem::take(&mut self.hints) {
            let Some(sample) = self.alone.remove(&name) else { continue };
            let map = if hint.role == Role::Clean { &mut self.clean } else { &mut self.noisy };
            if map.contains_key(&hint.key) {
                self.skip(name, format!("another file is named {} without the word for its half", hint.key));
                continue;
            }
            map.insert(hint.key, sample);
        }
    }

    fn finish(mut self) -> Dataset {
        self.pair_by_names();
        let mut items = BTreeMap::new();
        // If there are no clean files, the files under `noisy` are plain samples.
        let has_clean = !self.clean.is_empty();
        for (name, noisy) in std::mem::take(&mut self.noisy) {
            let item = match self.clean.remove(&name) {
                Some(clean) if clean.shape() == noisy.shape() => Item { name, clean, noisy: Some(noisy) },
                Some(clean) => {
                    let (clean, noisy) = (clean.shape(), noisy.shape());
                    self.skip(name, format!("noisy is {noisy}, clean is {clean}; both must have one shape"));
                    continue;
                }
                None if has_clean => {
                    self.skip(format!("noisy/{name}"), "has no twin of this name under clean/".to_owned());
                    continue;
                }
                None => Item { name, clean: noisy, noisy: None },
            };
            items.insert(item.name.clone(), item);
        }
        for (name, clean) in
            std::mem::take(&mut self.clean).into_iter().chain(std::mem::take(&mut self.alone))
        {
            if items.contains_key(&name) {
                self.skip(name, "another sample has this name".to_owned());
                continue;
            }
            items.insert(name.clone(), Item { name, clean, noisy: None });
        }
        let items = items.into_values().collect();
        let mut dataset = unify::keep_most_common(Dataset { items, skipped: self.skipped });
        dataset.skipped.sort_by(|a, b| a.name.cmp(&b.name));
        dataset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{self, Array, DType};

    fn npy(dims: &[usize], value: f32) -> Vec<u8> {
        let data = vec![value; dims.iter().product()];
        codec::write_npy(&Array { dims: dims.to_vec(), data, dtype: DType::F32 }, DType::F32).unwrap()
    }

    fn gray(value: f32) -> Vec<u8> {
        npy(&[4, 5], value)
    }

    fn upload(files: &[(&str, Vec<u8>)]) -> Dataset {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect();
        uploads(files, &Limits::default(), Wanted::default())
    }

    fn names(dataset: &Dataset) -> Vec<&str> {
        dataset.items.iter().map(|item| item.name.as_str()).collect()
    }

    #[test]
    fn files_of_one_name_under_noisy_and_clean_are_pairs() {
        let dataset = upload(&[
            ("set/noisy/a.npy", gray(0.1)),
            ("set/clean/a.npy", gray(0.2)),
            ("set/clean/b.npy", gray(0.3)),
            ("set/noisy/c.npy", gray(0.4)),
        ]);
        assert_eq!(names(&dataset), ["set/a"]);
        assert_eq!(dataset.items[0].clean.data()[0], 0.2);
        assert_eq!(dataset.items[0].noisy.as_ref().unwrap().data()[0], 0.1);
        assert_eq!(dataset.skipped.len(), 2);
        assert!(dataset.skipped.iter().any(|s| s.name == "noisy/set/c" && s.reason.contains("no twin")));
    }

    #[test]
    fn halves_of_pairs_are_found_under_the_names_that_people_give_them() {
        for (noisy, clean, name) in [
            ("input/a.npy", "gt/a.npy", "a"),
            ("set/low/a.npy", "set/GT/a.npy", "set/a"),
            ("lq/x/a.npy", "hq/x/a.npy", "x/a"),
            ("raw/a.npy", "avg/a.npy", "a"),
            ("a_noisy.npy", "a_clean.npy", "a"),
            ("noisy_imgs/a.npy", "gt_imgs/a.npy", "a"),
            ("d/a_real.npy", "d/a_mean.npy", "d/a"),
            ("noisy/a_noisy.npy", "clean/a_clean.npy", "a"),
        ] {
            let dataset = upload(&[(noisy, gray(0.1)), (clean, gray(0.2))]);
            assert_eq!(names(&dataset), [name], "{noisy}: {:?}", dataset.skipped);
            assert_eq!(dataset.items[0].clean.data()[0], 0.2, "{noisy}");
            assert_eq!(dataset.items[0].noisy.as_ref().unwrap().data()[0], 0.1, "{noisy}");
        }
        // A half without a counterpart is reported; other names with these words are left as they are.
        let dataset =
            upload(&[("input/a.npy", gray(0.1)), ("gt/a.npy", gray(0.2)), ("input/b.npy", gray(0.3))]);
        assert_eq!((names(&dataset), dataset.skipped[0].name.as_str()), (vec!["a"], "noisy/b"));
        let dataset =
            upload(&[("raw/a.npy", gray(0.1)), ("raw/b.npy", gray(0.2)), ("low/a_2.npy", gray(0.3))]);
        assert_eq!(names(&dataset), ["low/a_2", "raw/a", "raw/b"]);
        assert!(!dataset.is_pairs());
    }

    #[test]
    fn pairs_of_different_shape_are_left_out() {
        let dataset = upload(&[("noisy/a.npy", gray(0.1)), ("clean/a.npy", npy(&[5, 4], 0.1))]);
        assert!(dataset.items.is_empty());
        assert!(dataset.skipped[0].reason.contains("5x4") && dataset.skipped[0].reason.contains("4x5"));
    }

    #[test]
    fn noisy_alone_is_all_there_is() {
        let dataset = upload(&[("noisy/a.npy", gray(0.1)), ("noisy/b.npy", gray(0.2))]);
        assert_eq!(names(&dataset), ["a", "b"]);
        assert!(!dataset.is_pairs());
    }

    #[test]
    fn archives_are_unpacked_and_their_names_count_as_folders() {
        let zip = |value| {
            codec::write_zip(&[("a.npy".to_owned(), gray(value)), (".hid".to_owned(), vec![])]).unwrap()
        };
        let dataset = upload(&[("noisy.zip", zip(0.1)), ("clean.zip", zip(0.2))]);
        assert_eq!(names(&dataset), ["a"]);
        assert!(dataset.is_pairs() && dataset.skipped.is_empty(), "{:?}", dataset.skipped);
        assert_eq!(names(&upload(&[("x.zip", zip(0.1))])), ["a"]);
    }

    #[test]
    fn stacks_become_numbered_samples() {
        let dataset = upload(&[("s.npy", npy(&[2, 4, 5], 0.5))]);
        assert_eq!(names(&dataset), ["s#000000", "s#000001"]);
    }

    #[test]
    fn equal_names_of_different_formats_stay_apart() {
        let table = b"1,2\n".to_vec();
        let dataset = upload(&[("a.csv", table.clone()), ("a.tsv", table), ("b.csv", b"5,6".to_vec())]);
        assert_eq!(names(&dataset), ["a", "a.tsv", "b"]);
    }

    #[test]
    fn what_cannot_be_read_is_listed_and_never_fatal() {
        let broken = codec::write_zip(&[("x.txt".to_owned(), b"no".to_vec())]).unwrap();
        let dataset =
            upload(&[("a.npy", gray(0.1)), ("b.png", vec![1, 2]), ("c.zip", broken[..20].to_vec())]);
        assert_eq!(names(&dataset), ["a"]);
        assert_eq!(dataset.skipped.len(), 2);
        assert!(upload(&[]).items.is_empty());
    }

    #[test]
    fn samples_beyond_the_limit_are_left_out_in_order() {
        let limits = Limits { archive_bytes: 2 * bytes_of(1, 20), ..Limits::default() };
        let files = ["a.npy", "b.npy", "c.npy"].map(|name| (name.to_owned(), gray(0.1))).to_vec();
        let dataset = uploads(files, &limits, Wanted::default());
        assert_eq!(names(&dataset), ["a", "b"]);
        assert!(dataset.skipped[0].reason.contains("archive_bytes (672)"), "{}", dataset.skipped[0].reason);
    }

    #[test]
    fn room_is_made_for_what_files_state_and_taken_by_what_they_hold() {
        let table = b"0.12345678,1\n".repeat(9);
        let files: Vec<_> = (0..9).map(|i| (format!("{i}.csv"), table.clone())).collect();
        let enough = 8 * bytes_of(9, 18) + bytes_of(10, table.len() / 2 + 1);
        for (archive_bytes, count) in [(enough, 9 * 9), (enough - 1, 8 * 9)] {
            let limits = Limits { archive_bytes, ..Limits::default() };
            assert_eq!(uploads(files.clone(), &limits, Wanted::default()).items.len(), count);
        }
    }

    #[test]
    fn a_stack_of_tiny_samples_counts_with_what_each_takes() {
        let limits = Limits { archive_bytes: 1 << 16, ..Limits::default() };
        let dataset = uploads(vec![("s.npy".to_owned(), npy(&[300, 1, 2], 0.5))], &limits, Wanted::default());
        assert!(
            dataset.items.is_empty() && dataset.skipped[0].reason.contains("its samples take 79200 bytes")
        );
    }

    #[test]
    fn a_folder_is_read_through_and_a_file_alone_too() {
        let dir = tempfile::tempdir().unwrap();
        for (name, value) in [("noisy/x/a.npy", 0.1), ("clean/x/a.npy", 0.2), (".git/a.npy", 0.3)] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, gray(value)).unwrap();
        }
        let limits = Limits::default();
        let dataset = folder(dir.path(), &limits, Wanted::default()).unwrap();
        assert_eq!(names(&dataset), ["x/a"]);
        assert!(dataset.is_pairs() && dataset.skipped.is_empty());
        let alone = folder(&dir.path().join("clean/x/a.npy"), &limits, Wanted::default()).unwrap();
        assert_eq!(names(&alone), ["a"]);
        assert!(matches!(
            folder(&dir.path().join("none"), &limits, Wanted::default()),
            Err(Error::Open { .. })
        ));
    }

    #[test]
    fn a_path_loses_its_ending_only() {
        for (path, expected) in
            [("a/b.c/d.png", "a/b.c/d"), ("a/b.c/d", "a/b.c/d"), ("x.csv.gz", "x"), (".x", ".x")]
        {
            assert_eq!(stem(path), expected);
        }
    }
}
