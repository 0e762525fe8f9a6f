//! Samples of `train` and `evaluate`: one dataset from all paths of a command.

use std::path::{Path, PathBuf};

use super::Error;
use crate::dataset::{Dataset, Wanted, read_labels};
use crate::limits::Limits;

/// Number of skipped files that are named.
const NAMED: usize = 10;

/// Reads all samples in `paths` as one dataset. With several paths, the names of samples begin with their path.
///
/// # Errors
/// A path cannot be opened.
pub fn gather(paths: &[PathBuf], limits: &Limits, wanted: Wanted) -> Result<Dataset, Error> {
    if let [one] = paths {
        return Ok(Dataset::from_folder_as(one, limits, wanted)?);
    }
    let mut all = Dataset::default();
    for path in paths {
        let part = Dataset::from_folder_as(path, limits, wanted)?;
        let named = |name: String| prefixed(path, &name);
        all.items.extend(part.items.into_iter().map(|mut item| {
            item.name = named(item.name);
            item
        }));
        all.skipped.extend(part.skipped.into_iter().map(|mut one| {
            one.name = named(one.name);
            one
        }));
    }
    all.items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Reads the labels of the samples of `dataset` from a file, if one is given; empty otherwise.
///
/// # Errors
/// The file cannot be read, or does not have one label for each sample.
pub fn labels(path: Option<&Path>, dataset: &Dataset, limits: &Limits) -> Result<Vec<String>, Error> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let labels = read_labels(path, limits)?;
    let (seen, wanted) = (labels.len(), dataset.items.len());
    if seen != wanted {
        return Err(Error::Usage(format!("{}: {seen} labels for {wanted} samples", path.display())));
    }
    Ok(labels.iter().map(u32::to_string).collect())
}

/// Calls `tell` with each note on the data, and with the skipped files, one line each.
pub fn describe(dataset: &Dataset, mut tell: impl FnMut(String)) {
    for note in dataset.notes() {
        tell(format!("note: {note}"));
    }
    // The notes already name the first one.
    for skipped in dataset.skipped.iter().skip(1).take(NAMED) {
        tell(format!("left out: {}: {}", skipped.name, skipped.reason));
    }
    if let Some(more) = dataset.skipped.len().checked_sub(NAMED + 1).filter(|more| *more > 0) {
        tell(format!("left out: {more} more"));
    }
}

fn prefixed(path: &Path, name: &str) -> String {
    let folder = path.display().to_string();
    format!("{}/{name}", folder.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Item, Skipped};
    use crate::sample::{Sample, Shape};

    #[test]
    fn a_list_of_files_left_out_is_bounded() {
        let sample = Sample::new(Shape::image(1, 1, 2), vec![0.0, 1.0]).unwrap();
        let items = (0..9).map(|i| Item { name: i.to_string(), clean: sample.clone(), noisy: None });
        let skipped = (0..50).map(|i| Skipped { name: format!("f{i}"), reason: "is odd".into() });
        let dataset = Dataset { items: items.collect(), skipped: skipped.collect() };
        let mut lines = Vec::new();
        describe(&dataset, |line| lines.push(line));
        assert!(lines[0].contains("50 of 59") && lines[0].contains("f0: is odd"), "{lines:?}");
        assert_eq!(lines.iter().filter(|l| l.starts_with("left out: f")).count(), 10);
        assert_eq!(lines.last().unwrap(), "left out: 39 more");
    }

    #[test]
    fn samples_of_several_folders_keep_their_folder_in_the_name() {
        assert_eq!(prefixed(Path::new("a/b/"), "x"), "a/b/x");
    }
}
