//! Tests of file arguments, on folders made for them.

use std::fs;

use super::output::put;
use super::*;

fn args(inputs: &[&Path], output: Option<&Path>) -> Args {
    Args {
        inputs: inputs.iter().map(|p| p.to_path_buf()).collect(),
        output: output.map(Path::to_path_buf),
        ..Args::default()
    }
}

fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        put(&folder.path().join(file), file.as_bytes()).unwrap();
    }
    folder
}

/// Work that copies every file, and counts them.
#[derive(Default)]
struct Copy(std::sync::atomic::AtomicUsize);

impl Work for Copy {
    fn extension(&self, _: &[u8]) -> Option<&'static str> {
        Some("png")
    }

    fn run(&self, bytes: &[u8], _: &Cores) -> Result<Made, String> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Made { bytes: bytes.to_vec(), extension: "png", about: String::new() })
    }
}

fn copy(args: &Args) -> Result<(), Error> {
    copied(args).0
}

/// Copies; returns also the number of files that were computed.
fn copied(args: &Args) -> (Result<(), Error>, usize) {
    let work = Copy::default();
    let result = args.each(1000, |e| e == "png" || e == "jpg", &work);
    (result, work.0.into_inner())
}

fn found(root: &Path) -> Vec<String> {
    let files = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().map(Result::unwrap);
    let below = |e: walkdir::DirEntry| e.path().strip_prefix(root).unwrap().display().to_string();
    files.filter(|e| e.file_type().is_file()).map(below).collect()
}

#[test]
fn folders_keep_their_paths_and_leave_other_files_alone() {
    let from = folder(&["a.png", "b/c.jpg", "notes.txt", ".hidden.png"]);
    let to = tempfile::tempdir().unwrap();
    let out = to.path().join("new");
    copy(&args(&[from.path()], Some(&out))).unwrap();
    assert_eq!(found(&out), ["a.png", "b/c.png"]);
}

#[test]
fn files_of_one_stem_do_not_replace_each_other() {
    let from = folder(&["a.png", "a.jpg"]);
    let to = tempfile::tempdir().unwrap();
    copy(&args(&[from.path()], Some(to.path()))).unwrap();
    assert_eq!(found(to.path()), ["a.jpg.png", "a.png"]);
    assert_eq!(fs::read(to.path().join("a.jpg.png")).unwrap(), b"a.jpg");
}

#[test]
fn files_of_one_name_from_two_folders_are_numbered() {
    let (one, two, to) = (folder(&["a.b.png"]), folder(&["a.b.png"]), tempfile::tempdir().unwrap());
    copy(&args(&[one.path(), two.path()], Some(to.path()))).unwrap();
    assert_eq!(found(to.path()), ["a.b-2.png", "a.b.png"]);
}

#[test]
fn numbers_are_none_that_another_input_has() {
    let (one, two) = (folder(&["a.png", "a-2.png"]), folder(&["a.png", "a-3.png"]));
    let to = tempfile::tempdir().unwrap();
    copy(&args(&[one.path(), two.path()], Some(to.path()))).unwrap();
    assert_eq!(found(to.path()), ["a-2.png", "a-3.png", "a-4.png", "a.png"]);
    assert_eq!(fs::read(to.path().join("a-2.png")).unwrap(), b"a-2.png");
}

#[test]
fn endings_and_times_are_kept() {
    let from = folder(&["Scan.PNG"]);
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = fs::File::options().write(true).open(from.path().join("Scan.PNG")).unwrap();
    file.set_modified(time).unwrap();
    let to = tempfile::tempdir().unwrap();
    copy(&args(&[from.path()], Some(to.path()))).unwrap();
    assert_eq!(found(to.path()), ["Scan.PNG"]);
    assert_eq!(fs::metadata(to.path().join("Scan.PNG")).unwrap().modified().unwrap(), time);
}

#[test]
fn a_result_never_replaces_an_input() {
    let from = folder(&["a.png"]);
    let file = from.path().join("a.png");
    assert!(copy(&args(&[&file], Some(&file))).is_err());
    let mut into = args(&[from.path()], Some(from.path()));
    into.overwrite = true;
    assert!(copy(&into).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"a.png");
}

#[test]
fn a_result_that_is_there_is_kept_replaced_or_refused_as_asked() {
    let (from, to) = (folder(&["a.png"]), tempfile::tempdir().unwrap());
    let there = to.path().join("a.png");
    fs::write(&there, "old").unwrap();
    let with = |existing| Args { existing, ..args(&[&from.path().join("a.png")], Some(to.path())) };
    for existing in [None, Some(Existing::Skip)] {
        assert!(matches!(copied(&with(existing)), (Ok(()), 0)), "kept before it is computed");
    }
    let (refused, computed) = copied(&with(Some(Existing::Fail)));
    assert!(refused.is_err() && computed == 0);
    assert_eq!(fs::read(&there).unwrap(), b"old");
    copy(&with(Some(Existing::Overwrite))).unwrap();
    assert_eq!(fs::read(&there).unwrap(), b"a.png");
}

#[test]
fn a_single_output_file_is_replaced_unless_told_otherwise() {
    let (from, to) = (folder(&["a.png"]), folder(&["b.png"]));
    let with =
        |existing| Args { existing, ..args(&[&from.path().join("a.png")], Some(&to.path().join("b.png"))) };
    assert!(copied(&with(Some(Existing::Fail))).0.is_err());
    assert!(matches!(copied(&with(Some(Existing::Skip))), (Ok(()), 0)));
    assert_eq!(fs::read(to.path().join("b.png")).unwrap(), b"b.png");
    copy(&with(None)).unwrap();
    assert_eq!(fs::read(to.path().join("b.png")).unwrap(), b"a.png");
}

#[test]
fn an_interrupted_folder_continues_where_it_was() {
    let (from, to) = (folder(&["a.png", "b.png", "c.png"]), folder(&["b.png"]));
    assert!(matches!(copied(&args(&[from.path()], Some(to.path()))), (Ok(()), 2)));
    assert_eq!(found(to.path()), ["a.png", "b.png", "c.png"]);
}

#[test]
fn a_dry_run_computes_and_writes_nothing() {
    let (from, to) = (folder(&["a.png", "b.png"]), folder(&["b.png"]));
    let dry = Args { dry_run: true, ..args(&[from.path()], Some(to.path())) };
    assert!(matches!(copied(&dry), (Ok(()), 0)));
    assert_eq!(found(to.path()), ["b.png"]);
}

#[test]
fn an_output_that_may_be_a_file_or_a_folder_is_refused() {
    let (from, to) = (folder(&["a.png"]), tempfile::tempdir().unwrap());
    let file = from.path().join("a.png");
    let to_clean = |inputs: &[&Path]| copy(&args(inputs, Some(&to.path().join("clean"))));
    let error = to_clean(&[&file]).unwrap_err().to_string();
    assert!(error.contains("clean/ for a folder") && error.contains("clean.png"), "{error}");
    to_clean(&[from.path()]).unwrap();
    to_clean(&[&file]).unwrap();
}

#[test]
fn files_that_are_passed_over_are_named() {
    let names: Vec<PathBuf> = (0..7).map(|i| PathBuf::from(format!("{i}.txt"))).collect();
    let note = passed_over(Path::new("in"), &names);
    assert_eq!(note, "7 file(s) of other kinds in in are left alone: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, ...");
}

#[test]
fn an_output_folder_within_the_input_is_not_read_again() {
    let from = folder(&["a.png"]);
    let out = from.path().join("clean");
    copy(&args(&[from.path()], Some(&out))).unwrap();
    assert!(matches!(copied(&args(&[from.path()], Some(&out))), (Ok(()), 0)));
    assert_eq!(found(from.path()), ["a.png", "clean/a.png"]);
}

#[test]
fn a_bad_file_does_not_stop_the_rest() {
    let (from, to) = (folder(&["b.png"]), tempfile::tempdir().unwrap());
    let args = args(&[&from.path().join("none.png"), &from.path().join("b.png")], Some(to.path()));
    assert!(matches!(copy(&args), Err(Error::Some { failed: 1, all: 2 })));
    assert_eq!(found(to.path()), ["b.png"]);
}

#[test]
fn what_cannot_be_walked_through_fails_and_the_rest_goes_on() {
    use std::os::unix::fs::symlink;
    let (from, to) = (folder(&["a.png", "b/c.png"]), tempfile::tempdir().unwrap());
    symlink("nowhere", from.path().join("gone.png")).unwrap();
    symlink("..", from.path().join("b/loop")).unwrap();
    symlink("nowhere", from.path().join(".#lock")).unwrap();
    let result = copy(&args(&[from.path()], Some(to.path())));
    assert!(matches!(result, Err(Error::Some { failed: 2, all: 4 })), "{result:?}");
    assert_eq!(found(to.path()), ["a.png", "b/c.png"]);
}

#[test]
fn several_files_do_not_go_to_one() {
    let from = folder(&["a.png", "b.png", "out.bin"]);
    let file = from.path().join("out.bin");
    for output in [Some(file.as_path()), Some(Path::new("-")), None] {
        assert!(matches!(copy(&args(&[from.path()], output)), Err(Error::Usage(_))), "{output:?}");
    }
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let from = folder(&["a.png"]);
    let source = Source::new(Some(from.path().join("a.png")), "a.png".into());
    assert_eq!(source.read(4).unwrap_err(), "has 5 bytes, over the limit of 4");
}
