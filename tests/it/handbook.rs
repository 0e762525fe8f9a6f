//! Documentation: its commands run as they are written, in a folder with files of the names that they use.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use image::ImageFormat;

use crate::support::process::{Process, limpid};
use crate::support::*;

/// Pages with commands.
const PAGES: [&str; 4] = ["README.md", "docs/api.md", "docs/train.md", "docs/operations.md"];

/// Parts of commands that are not run, and the reason.
const LEFT_OUT: [(&str, &str); 14] = [
    ("cargo ", "builds"),
    ("docker ", "needs a daemon"),
    ("limpid serve", "does not end"),
    ("limpid worker", "does not end"),
    ("--watch", "does not end"),
    ("numactl", "needs a machine with several nodes"),
    ("limpid keys", "closes the service to the commands that follow"),
    ("...", "has a placeholder"),
    ("other:8080", "needs another machine"),
    ("/train", "is run by the tests of training, which wait for the job"),
    ("model=my-scans", "needs the job before it to have ended"),
    ("models/my-scans", "needs the job before it to have ended"),
    ("my-scans-2.tar", "needs the job before it to have ended"),
    ("--resume", "needs an interrupted run"),
];

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Blocks of a page in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
}

/// Commands of a page, without those that are left out.
fn commands(text: &str) -> Vec<String> {
    let lines = blocks(text, "sh").join("\n").replace("\\\n", " ");
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_run = |line: &&str| LEFT_OUT.iter().all(|(part, _)| !line.contains(part));
    lines.filter(is_run).map(str::to_owned).collect()
}

/// A folder with the files that the commands name.
fn desk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: Vec<u8>| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let scene = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/noisy/scene.png")).unwrap();
    for name in ["tests/data/noisy/scene.png", "photo.png", "scan.png", "a.png", "scans/1.png", "scans/2.png"]
    {
        put(name, scene.clone());
    }
    put("b.png", png(40, 30));
    put("clean-photos/c.png", png(96, 80));
    put("clean-photos/d.png", png(80, 96));
    let grain = |x: u32, y: u32| image::Luma([100 + ((x * 37 + y * 91 + x * y * 13) % 11) as u8]);
    put("dark.tif", file(&image::GrayImage::from_fn(96, 96, grain).into(), ImageFormat::Tiff));
    let line = |t: u16| format!("{:.3}\n", (f32::from(t) * 0.05).sin() + f32::from(t * 37 % 11) * 0.01);
    let signal: String = (0..1500).map(line).collect();
    let row = |t: u16| {
        format!(
            "{t},{:.2},{:.1}\n",
            20.0 + (f32::from(t) * 0.02).sin(),
            1013.0 + f32::from(t * 37 % 11) * 0.1
        )
    };
    let rows: String = (0..600).map(row).collect();
    put("sensors.csv", format!("time,temperature,pressure\n{rows}").into_bytes());
    put("ecg.csv", signal.clone().into_bytes());
    put("recordings/a.csv", signal.into_bytes());
    put("photo.jpg", file(&color(64, 48), ImageFormat::Jpeg));
    put("stack.npy", npy_floats(&[2, 24, 32]));
    folder
}

/// Runs a command of a page by the shell, against `address`.
fn run(command: &str, folder: &Path, address: &str) -> Output {
    let command = command
        .replace("localhost:8080", address)
        .replace("curl ", "curl -sS --fail ")
        .replace("--minutes 10", "--steps 2");
    let program = Path::new(env!("CARGO_BIN_EXE_limpid")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).current_dir(folder).env("PATH", path).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIMPID_")) {
        shell.env_remove(name);
    }
    shell.output().unwrap()
}

#[test]
fn every_command_of_the_documentation_does_what_it_says() {
    let folder = desk();
    let service = Process::serve(&mut limpid(folder.path()));
    let mut count = 0;
    for name in PAGES {
        for command in commands(&page(name)) {
            let done = run(&command, folder.path(), &service.address);
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{name}: {command}\n{said}");
            count += 1;
        }
    }
    assert!(count > 12, "only {count} commands were found");
}

#[test]
fn the_reply_that_the_readme_shows_is_the_reply() {
    let readme = page("README.md");
    let shown = blocks(&readme, "text").into_iter().find(|block| block.starts_with("x-model:")).unwrap();
    let folder = desk();
    let service = Process::serve(&mut limpid(folder.path()));
    let first = commands(&readme).into_iter().find(|command| command.contains("tests/data/noisy/scene.png"));
    let reply = run(&format!("{} -D head", first.unwrap()), folder.path(), &service.address);
    assert!(reply.status.success());
    let head = fs::read_to_string(folder.path().join("head")).unwrap().to_ascii_lowercase();
    for line in shown.lines().filter(|line| !line.starts_with("server-timing")) {
        let (name, value) = line.split_once(": ").unwrap();
        let seen = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default();
        let value = value.split("  ").next().unwrap().trim();
        match (value.parse::<f64>(), seen.parse::<f64>()) {
            // The last digit may depend on the instruction set.
            (Ok(value), Ok(seen)) => {
                assert!((value - seen).abs() <= 0.01 * value.abs() + 1e-9, "{line}: {seen}")
            }
            _ => assert_eq!(value, seen, "{line}"),
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|e| e == "md"));
    let mut broken = Vec::new();
    for path in pages.chain([root.join("README.md"), root.join("CONTRIBUTING.md")]) {
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let local = target.split('#').next().unwrap();
            let is_there = local.is_empty() || path.parent().unwrap().join(local).exists();
            if !target.contains("://") && !is_there {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
