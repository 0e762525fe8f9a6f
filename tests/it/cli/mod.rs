//! The commands, run as processes of their own on tiny data made on the fly.

mod bad_data;
mod compare;
mod denoise;
mod evaluate;
mod latents;
mod map;
mod models;
mod signals;
mod train;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use limpid::codec::{self, Array, Carrier, DType, Depth, Format};
use limpid::sample::{Sample, Shape};
use tempfile::TempDir;

/// A folder to work in.
struct Desk {
    folder: TempDir,
}

/// What a command said and how it ended.
struct Said {
    code: i32,
    out: Vec<u8>,
    err: String,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A command that runs here, words divided by spaces.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_limpid"));
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        // What the machine has set must not reach the tests.
        for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("LIMPID_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, line: &str) -> Said {
        self.command(line).output().expect("the program starts").into()
    }

    /// Runs a command that must do well; gives its standard output.
    fn ok(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!(said.code, 0, "{line}: {}", said.err);
        said.text()
    }

    /// A gray image under `name`, of its format by the ending.
    fn image(&self, name: &str, seed: usize, height: usize, width: usize) {
        self.write(name, image_file(name, &image(seed, height, width)));
    }

    /// `clean/`, with a dozen images.
    fn samples(&self) {
        for i in 0..12 {
            self.image(&format!("clean/{i:02}.png"), i, 40, 48);
        }
    }

    /// A tiny model `tiny` in `models/`, trained for a few steps on `clean/`.
    fn model(&self) {
        self.samples();
        self.write("tiny.json", tiny("tiny", 8));
        self.ok("train --training-config tiny.json --samples clean --models models");
    }
}

impl Said {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: output.stdout, err }
    }
}

/// The training config of a pyramid that takes milliseconds.
fn tiny(name: &str, steps: u64) -> String {
    let family = serde_json::json!({ "pyramid": {
        "channels": 1, "widths": [8, 8, 8], "encoder_blocks": [0, 0, 0], "decoder_blocks": [0, 0, 0],
        "refiner_blocks": 0, "latent": [1, 2, 8],
    }});
    serde_json::json!({
        "name": name, "steps": steps, "seed": 1, "batch": 4, "crop": 32, "family": family, "promote": "always",
    })
    .to_string()
}

/// A gray image of smooth shapes that differ by `seed`.
fn image(seed: usize, height: usize, width: usize) -> Sample {
    let value = |i: usize| {
        let (y, x) = ((i / width) as f32, (i % width) as f32);
        let wave = (x * (0.1 + 0.02 * seed as f32)).sin() * (y * 0.15 + seed as f32).cos();
        0.5 + 0.4 * wave
    };
    Sample::new(Shape::image(1, height, width), (0..height * width).map(value).collect()).unwrap()
}

fn image_file(name: &str, sample: &Sample) -> Vec<u8> {
    let ending = Path::new(name).extension().unwrap().to_str().unwrap();
    let format = Format::from_extension(ending).unwrap();
    codec::write_image(sample, &Carrier::plain(format, Depth::U8), format, None).unwrap()
}

fn npy(dims: &[usize], data: Vec<f32>, dtype: DType) -> Vec<u8> {
    codec::write_npy(&Array { dims: dims.to_vec(), data, dtype }, dtype).unwrap()
}
