//! Backups come back whole or not at all, and write nowhere else.

use super::*;

/// A data folder with some of each, and its backup.
fn backup(folder: &Path) -> Vec<u8> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for (name, text) in [
        ("snapshot", "rows"),
        ("keys.jsonl", "hashes"),
        ("keys.required", "yes"),
        ("models/a/1/config.json", "{}"),
        ("models/.2-x/config.json", "staged"),
        ("samples/ab", "sample"),
        ("samples/.part", "half"),
        ("checkpoints/jobs/job-1.safetensors", "step"),
        ("reserve", "room"),
    ] {
        put(name, text);
    }
    let mut tar = Vec::new();
    let keys = folder.join("keys.jsonl");
    let summary = write(folder, &folder.join("snapshot"), Some(&keys), &mut tar).unwrap();
    assert_eq!(summary.files, 7);
    tar
}

fn names(root: &Path) -> Vec<String> {
    let files = WalkDir::new(root).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    files.map(|entry| entry.path().strip_prefix(root).unwrap().display().to_string()).collect()
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tar = backup(from.path());
    let root = to.path().join("new");
    read(tar.as_slice(), &root).unwrap();
    assert_eq!(
        names(&root),
        [
            "checkpoints/jobs/job-1.safetensors",
            "keys.jsonl",
            "keys.required",
            "limpid.db",
            "models/.2-x/config.json",
            "models/a/1/config.json",
            "samples/ab",
        ]
    );
    assert_eq!(fs::read_to_string(root.join("limpid.db")).unwrap(), "rows");
    assert!(matches!(read(tar.as_slice(), &root), Err(Error::NotEmpty(_))));
}

#[test]
fn a_backup_that_was_cut_leaves_nothing_behind() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tar = backup(from.path());
    for cut in (0..tar.len() - 1024).step_by(512) {
        let failed = read(&tar[..cut], to.path());
        assert!(matches!(failed, Err(Error::Invalid(_) | Error::Io { .. })), "{cut}: {failed:?}");
        assert_eq!(names(to.path()), Vec::<String>::new(), "{cut}");
    }
    read(tar.as_slice(), to.path()).unwrap();
}

#[test]
fn files_outside_of_the_folder_are_not_written() {
    let to = tempfile::tempdir().unwrap();
    for name in ["/etc/evil", "models/../../evil", "reserve", "limpid.db/x", "models", "evil/x"] {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = header(1);
        // `set_path` refuses some of them itself.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, &b"x"[..]).unwrap();
        let failed = read(tar.into_inner().unwrap().as_slice(), to.path());
        assert!(matches!(failed, Err(Error::Invalid(_))), "{name}: {failed:?}");
        assert_eq!(names(to.path()), Vec::<String>::new(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn what_a_tar_cannot_hold_is_named() {
    let from = tempfile::tempdir().unwrap();
    backup(from.path());
    std::os::unix::fs::symlink("/etc/passwd", from.path().join("models/link")).unwrap();
    let failed = write(from.path(), &from.path().join("snapshot"), None, Vec::new()).unwrap_err();
    assert!(failed.to_string().contains("models/link"), "{failed}");
}
