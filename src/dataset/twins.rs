//! Roles of files as noisy or clean halves of pairs, according to the names of folders and files.

/// Half of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The clean half.
    Clean,
    /// The noisy half.
    Noisy,
}

/// Role suggested by the name of a file or its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    /// Suggested role.
    pub role: Role,
    /// Path without the words that name the role; both halves of a pair share it.
    pub key: String,
    /// `true` for folders named `clean` and `noisy`, which state the role even without a counterpart; other words count only if
    /// counterparts are found, because `raw`, `input` or `low` may be names like any other.
    pub is_certain: bool,
}

/// Words for the noisy half in common data sets.
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

/// Additional words without meaning for the role: `gt_imgs`, `noisy-frames`.
const GENERIC: [&str; 12] = [
    "img", "imgs", "image", "images", "file", "files", "frame", "frames", "patch", "patches", "sample",
    "samples",
];

/// Returns the role that a path without extension suggests; `None` if it suggests none.
pub(super) fn hint(path: &str) -> Option<Hint> {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    let folders: Vec<&str> = folders.split('/').filter(|folder| !folder.is_empty()).collect();
    // The innermost folder with a role takes precedence.
    let by_folder = folders.iter().rposition(|folder| of_folder(folder).is_some());
    let by_file = of_file(file);
    let (role, is_certain) = match (by_folder, &by_file) {
        (Some(at), _) => (of_folder(folders[at])?, is_plain(folders[at])),
        (None, Some((role, _))) => (*role, false),
        (None, None) => return None,
    };
    let mut kept: Vec<&str> =
        folders.iter().enumerate().filter(|(at, _)| Some(*at) != by_folder).map(|(_, f)| *f).collect();
    // A file may repeat the role of its folder: gt/a_gt.
    let file = by_file.filter(|(own, _)| *own == role).map_or(file.to_owned(), |(_, rest)| rest);
    kept.push(&file);
    Some(Hint { role, key: kept.join("/"), is_certain })
}

/// Returns the role that the folders of a path suggest.
pub(super) fn folder_role(path: &str) -> Option<Role> {
    path.rsplit_once('/')?.0.rsplit('/').find_map(of_folder)
}

/// Returns `true` for `clean` and `noisy` themselves.
fn is_plain(folder: &str) -> bool {
    matches!(folder.to_ascii_lowercase().as_str(), "clean" | "noisy")
}

/// Returns the role of a word.
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

/// Returns the role of a folder named by one role word, with only generic words added.
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

/// Returns the role that the last or the first word of a file's name suggests, and the name without it.
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
