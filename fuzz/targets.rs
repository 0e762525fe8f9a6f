//! Fuzz targets: each reader of untrusted bytes, the routes over them, and what must hold for all bytes.
//!
//! A reader returns samples or an error, and never panics. What it returns can be written in the format it came in, and read
//! again with the same shape. `fuzz_targets/` runs these under libFuzzer; `tests/it/fuzz.rs` runs them over `corpus/` and
//! over mutations of it, on the stable toolchain.

use limpid::codec::{self, Format};
use limpid::dataset::Dataset;
use limpid::index::Index;
use limpid::limits::Limits;
use limpid::map::Map;
use limpid::media::{self, Reading};
use limpid::sample::{Kind, Sample, Spec};

mod choices;
pub mod house;
mod jobs;
mod requests;

pub use jobs::jobs;
pub use requests::request;

/// A target: its name, which is that of its folder in `corpus/`, its function, and the runs of a reader that one of its runs costs.
pub type Target = (&'static str, fn(&[u8]), usize);

/// All targets.
pub const TARGETS: [Target; 14] = [
    ("picture", picture, 1),
    ("tiff", tiff, 1),
    ("npy", npy, 1),
    ("wav", wav, 1),
    ("csv", csv, 1),
    ("json", json, 1),
    ("latent", latent, 1),
    ("index", index, 1),
    ("map", map, 1),
    ("zip", zip, 1),
    ("tar", tar, 1),
    ("upload", upload, 1),
    ("request", request, 10),
    ("jobs", jobs, 100),
];

/// Limits that keep a single run short.
fn limits() -> Limits {
    Limits {
        image_pixels: 1 << 16,
        image_side: 1 << 12,
        array_numbers: 1 << 16,
        archive_entries: 64,
        archive_bytes: 1 << 20,
        upload_bytes: 1 << 20,
        ..Limits::default()
    }
}

/// Reads a file of any format, as the service does, and writes its samples to the format they came in.
pub fn picture(bytes: &[u8]) {
    if let Ok(format) = media::settle_format(bytes, None) {
        round_trip(bytes, format, None);
    }
}

/// Reads the pages of a TIFF.
pub fn tiff(bytes: &[u8]) {
    round_trip(bytes, Format::Tiff, None);
}

/// Reads an array as images, signals and vectors.
pub fn npy(bytes: &[u8]) {
    for kind in [None, Some(Kind::Image), Some(Kind::Signal), Some(Kind::Vector)] {
        let spec = kind.map(|kind| Spec { kind, channels: 1, fixed: None });
        round_trip(bytes, Format::Npy, spec);
    }
}

/// Reads sound.
pub fn wav(bytes: &[u8]) {
    round_trip(bytes, Format::Wav, None);
}

/// Reads a table as vectors and as a signal.
pub fn csv(bytes: &[u8]) {
    round_trip(bytes, Format::Csv, None);
    round_trip(bytes, Format::Csv, Some(Spec { kind: Kind::Signal, channels: 1, fixed: None }));
}

/// Reads numbers, tensors and latents in JSON.
pub fn json(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let limits = limits();
    if let Ok(array) = codec::array_from_json(&value, &limits) {
        let again =
            codec::array_from_json(&codec::array_to_json(&array), &limits).expect("it was written here");
        assert_eq!((&array.dims, bits(&array.data)), (&again.dims, bits(&again.data)));
    }
    if let Ok(tensor) = serde_json::from_value::<codec::JsonTensor>(value.clone()) {
        let _ = tensor.read(&limits);
    }
    let latent = serde_json::from_value::<codec::JsonLatent>(value);
    if let Ok((id, latent)) =
        latent.map_err(|e| e.to_string()).and_then(|l| l.read(&limits).map_err(|e| e.to_string()))
    {
        let again = codec::JsonLatent::of(&id, &latent).read(&limits);
        assert_eq!(again.expect("it was written here"), (id, latent));
    }
}

/// Reads a latent file.
pub fn latent(bytes: &[u8]) {
    if let Ok((id, latent)) = codec::read_latent(bytes, &limits()) {
        assert_eq!(codec::write_latent(&id, &latent), bytes, "a latent has one form");
    }
}

/// Reads an index, searches it and writes it again.
pub fn index(bytes: &[u8]) {
    if let Ok(index) = Index::parse(bytes) {
        let found = index.nearest(&vec![0.0; index.numbers()], 3).expect("the length is that of the index");
        assert_eq!(found.len(), index.len().min(3));
        let mut again = Vec::new();
        index.write(&mut again).expect("memory takes all");
        assert_eq!(again, bytes, "an index has one form");
    }
}

/// Reads the map of a version and draws it.
pub fn map(bytes: &[u8]) {
    if let Ok(map) = Map::parse(bytes, "ab") {
        Map::parse(&map.write(), "ab").expect("it was written here");
        assert!(!map.svg("map").is_empty() && !map.table().is_empty());
        let _ = map.png();
    }
}

/// Reads the entries of a zip archive; the check that reads no contents accepts what the reader accepts.
pub fn zip(bytes: &[u8]) {
    let limits = limits();
    if codec::read_zip(bytes, &limits).is_ok() {
        codec::check_zip(std::io::Cursor::new(bytes), &limits).expect("it was read");
    }
}

/// Reads the samples of an archive.
pub fn tar(bytes: &[u8]) {
    let _ = Dataset::from_uploads(vec![("samples.tar".to_owned(), bytes.to_vec())], &limits());
}

/// Reads training samples of any format; their names come from the first byte.
pub fn upload(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let ending = ["csv", "txt", "idx", "npy", "png", "gz"][usize::from(first % 6)];
    let files =
        vec![(format!("noisy/a.{ending}"), rest.to_vec()), (format!("clean/a.{ending}"), rest.to_vec())];
    let dataset = Dataset::from_uploads(files, &limits());
    let _ = (dataset.notes(), dataset.split(0.5));
}

fn round_trip(bytes: &[u8], format: Format, spec: Option<Spec>) {
    let limits = limits();
    let reading = Reading { spec: spec.as_ref(), ..Reading::default() };
    let Ok(content) = media::read(bytes, format, &reading, &limits) else { return };
    // A refusal is an answer; a file that is written must hold what was read.
    let Ok(file) = content.carrier.write(&content.samples, format, None) else { return };
    let again = media::read(&file.bytes, format, &reading, &limits);
    // The columns of a table are guessed from its text: `10,21.` under one name are two, but `10,21`, as it is written, could as
    // well be one number with a decimal comma.
    if format == Format::Csv {
        return;
    }
    let again = again.unwrap_or_else(|error| panic!("{format:?}: written, but not read again: {error}"));
    assert_eq!(shapes(&content.samples), shapes(&again.samples), "{format:?}");
}

fn shapes(samples: &[Sample]) -> Vec<limpid::sample::Shape> {
    samples.iter().map(Sample::shape).collect()
}

/// The bits of numbers, by which NaN equals itself.
fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}
