//! Twins: which file is the noisy and which the clean half of a pair, told by the names of folders and files.

/// Which half of a pair a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The clean half.
    Clean,
    /// The noisy half.
    Noisy,
}

/// The role that the name of a file or its folder suggests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    /// Which half.
    pub role: Role,
    /// The path without the words that say so; twins share it.
    pub key: String,
    /// `clean` and `noisy` as folders are meant so even where a twin is missing; other words only where twins are
    /// found, for `raw`, `input` or `low` may be names like any other.
    pub is_certain: bool,
}

/// Words for the noisy half, as sets are laid out in practice.
const NOISY: [&str; 9] = ["noisy", "noise", "input", "inputs", "low", "lq", "raw", "degraded", "real"];

/// Words for the clean half.
const CLEAN: [&str; 13] = [
    "clean",
    "gt",
    "groundtruth",
    "high",
    "hq",
    "target",
    "targets",
    "avg",
    "average",
    "averaged",
    "mean",
    "reference",
    "ref",
];

/// Words beside them that say nothing: `gt_imgs`, `noisy-frames`.
const GENERIC: [&str; 12] = [
    "img", "imgs", "image", "images", "file", "files", "frame", "frames", "patch", "patches", "sample",
    "samples",
];

/// What the path of a file, without its ending, says of it; none where it says nothing.
pub(super) fn hint(path: &str) -> Option<Hint> {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    let folders: Vec<&str> = folders.split('/').filter(|folder| !folder.is_empty()).collect();
    // The last one counts: the one that the file lies in, or nearest to that.
    let by_folder = folders.iter().rposition(|folder| of_folder(folder).is_some());
    let by_file = of_file(file);
    let (role, is_certain) = match (by_folder, &by_file) {
        (Some(at), _) => (of_folder(folders[at])?, is_plain(folders[at])),
        (None, Some((role, _))) => (*role, false),
        (None, None) => return None,
    };
    let mut kept: Vec<&str> =
        folders.iter().enumerate().filter(|(at, _)| Some(*at) != by_folder).map(|(_, f)| *f).collect();
    // A file may say what its folder says once more: gt/a_gt.
    let file = by_file.filter(|(own, _)| *own == role).map_or(file.to_owned(), |(_, rest)| rest);
    kept.push(&file);
    Some(Hint { role, key: kept.join("/"), is_certain })
}

/// The role that the folders of a path suggest.
pub(super) fn folder_role(path: &str) -> Option<Role> {
    path.rsplit_once('/')?.0.rsplit('/').find_map(of_folder)
}

/// `clean` and `noisy` themselves.
fn is_plain(folder: &str) -> bool {
    matches!(folder.to_ascii_lowercase().as_str(), "clean" | "noisy")
}

/// The role of a word.
fn of_word(word: &str) -> Option<Role> {
    let word = word.to_ascii_lowercase();
    if NOISY.contains(&word.as_str()) {
        return Some(Role::Noisy);
    }
    CLEAN.contains(&word.as_str()).then_some(Role::Clean)
}

fn words(name: &str) -> Vec<&str> {
    name.split(['_', '-', '.', ' ']).filter(|word| !word.is_empty()).collect()
}

/// The role of a folder whose name is one such word, with words beside it that say nothing.
fn of_folder(folder: &str) -> Option<Role> {
    let lower = folder.to_ascii_lowercase();
    if matches!(lower.as_str(), "ground_truth" | "ground-truth" | "ground truth") {
        return Some(Role::Clean);
    }
    let mut role = None;
    for word in words(&lower) {
        match of_word(word) {
            Some(found) if role.is_none() => role = Some(found),
            Some(_) => return None,
            None if GENERIC.contains(&word) => {}
            None => return None,
        }
    }
    role
}

/// The role that the last or the first word of a file's name gives, and the name without it.
fn of_file(file: &str) -> Option<(Role, String)> {
    let (base, number) =
        file.split_once('#').map_or((file, String::new()), |(base, n)| (base, format!("#{n}")));
    let is_between = |c: char| ['_', '-', '.', ' '].contains(&c);
    if let Some(at) = base.rfind(is_between)
        && let Some(role) = of_word(&base[at + 1..])
        && at > 0
    {
        return Some((role, base[..at].to_owned() + &number));
    }
    let at = base.find(is_between)?;
    let role = of_word(&base[..at])?;
    (at + 1 < base.len()).then(|| (role, base[at + 1..].to_owned() + &number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str) -> Option<(Role, String)> {
        hint(path).map(|hint| (hint.role, hint.key))
    }

    #[test]
    fn halves_are_told_by_folders_and_by_names() {
        use Role::{Clean, Noisy};
        for (path, role, key) in [
            ("noisy/a", Noisy, "a"),
            ("set/Clean/x/a", Clean, "set/x/a"),
            ("input/a", Noisy, "a"),
            ("gt/a", Clean, "a"),
            ("gt_imgs/a", Clean, "a"),
            ("noisy_imgs/7", Noisy, "7"),
            ("low/b", Noisy, "b"),
            ("train/GT/b", Clean, "train/b"),
            ("lq/c", Noisy, "c"),
            ("hq/c", Clean, "c"),
            ("raw/d", Noisy, "d"),
            ("avg/d", Clean, "d"),
            ("Ground_Truth/d", Clean, "d"),
            ("target/e#000002", Clean, "e#000002"),
            ("a_noisy", Noisy, "a"),
            ("a_clean", Clean, "a"),
            ("x/5dmark3_iso3200_1_real", Noisy, "x/5dmark3_iso3200_1"),
            ("x/5dmark3_iso3200_1_mean", Clean, "x/5dmark3_iso3200_1"),
            ("noisy-7", Noisy, "7"),
            ("s_gt#000001", Clean, "s#000001"),
            ("gt/a_gt", Clean, "a"),
        ] {
            assert_eq!(told(path), Some((role, key.to_owned())), "{path}");
        }
        for path in
            ["a", "pictures/a", "cleaning/a", "low_light_street/a", "rawhide", "input", "x/clean", "gt"]
        {
            assert_eq!(told(path), None, "{path}");
        }
        assert!(hint("noisy/a").unwrap().is_certain && !hint("input/a").unwrap().is_certain);
    }
}
