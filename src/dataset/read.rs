//! Reading one file as one or more samples, and estimating their memory beforehand.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::{Wanted, idx, unify};
use crate::codec::{self, Format, Known, Order};
use crate::limits::Limits;
use crate::media::{self, Reading};
use crate::sample::{Kind, Sample, Shape, Spec};

/// Bytes that a sample takes in addition to its numbers: shape, name, entries in lists.
const SAMPLE_BYTES: usize = 256;

/// File, decompressed if it was gzipped.
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    form: Form,
    /// Upper bound in bytes on the memory of its samples, estimated before they are read.
    pub(super) stated: usize,
}

enum Form {
    Idx,
    Wave,
    Picture,
    Array,
    Table,
}

impl File {
    /// Detects the format of a file by its first bytes or, for tables, by its extension.
    ///
    /// # Errors
    /// One line to append to the file's name.
    pub(super) fn open(
        name: &str,
        mut bytes: Vec<u8>,
        limits: &Limits,
        wanted: Wanted,
    ) -> Result<Self, String> {
        let mut name = name;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            bytes = gunzip(&bytes, limits)?;
            name = name.strip_suffix(".gz").unwrap_or(name);
        }
        let form = match Format::sniff(&bytes) {
            _ if idx::is_idx(&bytes) => Form::Idx,
            Some(Format::Wav) => Form::Wave,
            Some(Format::Npy) => Form::Array,
            Some(format) if format.is_image() => Form::Picture,
            _ if bytes.starts_with(&[0x1f, 0x8b]) => return Err("is gzipped twice".to_owned()),
            _ if is_table(name) => Form::Table,
            _ if bytes.starts_with(b"PK\x03\x04") => {
                return Err("is an archive within a folder or an archive; unpack it first".to_owned());
            }
            _ if codec::is_foreign(&bytes) => return Err(codec::unknown(&bytes, None).to_string()),
            _ => return Err("is no image, npy array, wav, idx or csv file".to_owned()),
        };
        let stated = form.stated_bytes(&bytes, limits, wanted)?;
        Ok(Self { bytes, form, stated })
    }

    /// Reads the samples of the file.
    pub(super) fn read(&self, limits: &Limits, wanted: Wanted) -> Result<Vec<Sample>, String> {
        let bytes = self.bytes.as_slice();
        let reading = Reading { gaps: wanted.gaps, ..Reading::default() };
        let samples = match self.form {
            Form::Idx => idx::read_idx(bytes, limits)?,
            Form::Wave => {
                let (sample, _) = codec::read_wav(bytes, limits).map_err(|e| e.to_string())?;
                vec![reading.wave(sample).map_err(|e| e.to_string())?]
            }
            Form::Picture => {
                let pictures = codec::read_images(bytes, None, limits).map_err(|e| e.to_string())?;
                // Training reads the numbers repeatedly: convert them to floats once.
                let picture =
                    |picture| Ok(reading.picture(picture).map_err(|e| e.to_string())?.1.into_float());
                pictures.into_iter().map(picture).collect::<Result<_, String>>()?
            }
            Form::Array => read_array(bytes, limits, wanted)?,
            Form::Table => from_table(bytes, limits, wanted)?,
        };
        let channels = |sample| match wanted.channels {
            Some(channels) => unify::with_channels(sample, channels),
            None => Ok(sample),
        };
        samples.into_iter().map(channels).collect()
    }
}

impl Form {
    fn stated_bytes(&self, bytes: &[u8], limits: &Limits, wanted: Wanted) -> Result<usize, String> {
        let (samples, numbers) = match self {
            Form::Idx => {
                let (count, height, width) = idx::extents(bytes, limits)?;
                (count, count * height * width)
            }
            Form::Wave => (1, bytes.len().min(limits.array_numbers)),
            // Each number takes at least one byte.
            Form::Picture => (1, codec::decoded_bytes(bytes, None, limits).map_err(|e| e.to_string())?),
            Form::Array => array_extents(bytes, limits, wanted).map_err(|e| e.to_string())?,
            Form::Table => {
                let rows = 1 + bytes.iter().filter(|&&byte| byte == b'\n').count();
                // A number takes at least two bytes: a digit and a separator.
                (rows.min(limits.archive_entries), bytes.len() / 2 + 1)
            }
        };
        Ok(bytes_of(samples, numbers))
    }
}

/// Returns the bytes that `samples` samples with `numbers` numbers in total take.
pub(super) fn bytes_of(samples: usize, numbers: usize) -> usize {
    samples.saturating_mul(SAMPLE_BYTES).saturating_add(numbers.saturating_mul(4))
}

/// Returns limits that let a stack be as large as an upload; each of its samples is checked against the usual limits.
fn of_a_stack(limits: &Limits) -> Limits {
    Limits { array_numbers: limits.upload_bytes / 4, ..limits.clone() }
}

pub(super) fn gunzip(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let most = limits.upload_bytes as u64;
    let read = GzDecoder::new(bytes).take(most + 1).read_to_end(&mut unpacked);
    read.map_err(|e| format!("gzip: {e}"))?;
    if unpacked.len() as u64 > most {
        return Err(format!("gzip: unpacks to more than the limit of {most} bytes"));
    }
    Ok(unpacked)
}

fn is_table(name: &str) -> bool {
    let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    matches!(ending.as_str(), "csv" | "tsv" | "txt" | "dat")
}

/// Reads a table as one vector per row, or as one signal with a channel per column, as required, or as it shows. Columns of dates and labels are skipped.
fn from_table(bytes: &[u8], limits: &Limits, wanted: Wanted) -> Result<Vec<Sample>, String> {
    if wanted.kind == Some(Kind::Image) {
        return Err("is a table, images are asked for".to_owned());
    }
    let read = || {
        let table = codec::read_csv(bytes, limits)?;
        let usual = if table.is_course() { Kind::Signal } else { Kind::Vector };
        let kind = wanted.kind.unwrap_or(usual);
        let spec = Spec { kind, channels: wanted.channels.unwrap_or(0), fixed: None };
        let mut table = table.without_text();
        Reading { gaps: wanted.gaps, ..Reading::default() }.table(&mut table)?;
        let (columns, _) = table.select(Some(&spec))?;
        media::samples_of(columns, Some(&spec), limits)
    };
    read().map_err(|e: media::Error| e.to_string())
}

fn read_array(bytes: &[u8], limits: &Limits, wanted: Wanted) -> Result<Vec<Sample>, String> {
    let mut array = codec::read_npy(bytes, &of_a_stack(limits)).map_err(|e| e.to_string())?;
    let reading = Reading { gaps: wanted.gaps, ..Reading::default() };
    reading.array(&mut array).map_err(|e| e.to_string())?;
    let (order, shape) = settle(&array.dims, wanted).map_err(|e| e.to_string())?;
    codec::check_shape(shape, limits).map_err(|e| e.to_string())?;
    let (samples, _) = array.into_samples((order, shape)).map_err(|e| e.to_string())?;
    if wanted.channels == Some(1) && shape.kind() == Kind::Signal && shape.channels() > 1 {
        return Ok(samples.iter().flat_map(each_channel).collect());
    }
    Ok(samples)
}

/// Returns the number of samples and of values of an array, according to its header.
fn array_extents(bytes: &[u8], limits: &Limits, wanted: Wanted) -> codec::Result<(usize, usize)> {
    let dims = codec::npy_dims(bytes, &of_a_stack(limits))?;
    let numbers = dims.iter().product();
    let (order, shape) = settle(&dims, wanted)?;
    let splits = wanted.channels == Some(1) && shape.kind() == Kind::Signal;
    let each = if splits { shape.channels() } else { 1 };
    Ok((if order.batched { dims[0] } else { each }, numbers))
}

/// Finds the order of the axes of an array as the service does. Images of other channels than those required are read as well:
/// they are converted, or skipped by name.
fn settle(dims: &[usize], wanted: Wanted) -> codec::Result<(Order, Shape)> {
    let kind = wanted.kind.or(wanted.order.map(|order| order.axes.kind()));
    let known = Known { kind, channels: wanted.channels, fixed: None, order: wanted.order };
    match known.settle(dims) {
        Err(codec::Error::Shape { .. }) if kind != Some(Kind::Signal) => {
            Known { channels: None, ..known }.settle(dims)
        }
        found => found,
    }
}

/// Returns each channel of a signal as a signal of its own.
fn each_channel(signal: &Sample) -> Vec<Sample> {
    let (channels, _, length) = signal.shape().extents();
    let known = signal.known();
    let one = |c: usize| {
        let data = known[c * length..(c + 1) * length].to_vec();
        Sample::with_gaps(Shape::Signal { channels: 1, length }, data).ok()
    };
    (0..channels).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::codec::{Array, DType};

    fn npy(dims: &[usize]) -> Vec<u8> {
        let data = (0..dims.iter().product::<usize>()).map(|i| i as f32).collect();
        codec::write_npy(&Array { dims: dims.to_vec(), data, dtype: DType::F32 }, DType::F32).unwrap()
    }

    fn read(name: &str, bytes: &[u8], limits: &Limits, wanted: Wanted) -> Result<Vec<Sample>, String> {
        File::open(name, bytes.to_vec(), limits, wanted)?.read(limits, wanted)
    }

    fn shapes(name: &str, bytes: &[u8], wanted: Wanted) -> Result<Vec<Shape>, String> {
        let samples = read(name, bytes, &Limits::default(), wanted)?;
        Ok(samples.iter().map(Sample::shape).collect())
    }

    fn kind(kind: Kind) -> Wanted {
        Wanted { kind: Some(kind), channels: None, ..Wanted::default() }
    }

    #[test]
    fn arrays_are_images_where_their_axes_allow_it() {
        let any = Wanted::default();
        assert_eq!(shapes("a.npy", &npy(&[4, 5]), any), Ok(vec![Shape::image(1, 4, 5)]));
        assert_eq!(shapes("a.npy", &npy(&[4, 5, 3]), any), Ok(vec![Shape::image(3, 4, 5)]));
        assert_eq!(shapes("a.npy", &npy(&[7, 4, 5]), any), Ok(vec![Shape::image(1, 4, 5); 7]));
        assert_eq!(shapes("a.npy", &npy(&[2, 3, 4, 5]), any), Ok(vec![Shape::image(3, 4, 5); 2]));
        assert_eq!(shapes("a.npy", &npy(&[6]), any), Ok(vec![Shape::Vector { features: 6 }]));
    }

    #[test]
    fn arrays_are_what_the_caller_says() {
        let vectors = shapes("a.npy", &npy(&[4, 5]), kind(Kind::Vector));
        assert_eq!(vectors, Ok(vec![Shape::Vector { features: 5 }; 4]));
        let signal = |channels, length| Shape::Signal { channels, length };
        assert_eq!(shapes("a.npy", &npy(&[2, 50]), kind(Kind::Signal)), Ok(vec![signal(2, 50)]));
        assert_eq!(shapes("a.npy", &npy(&[50]), kind(Kind::Signal)), Ok(vec![signal(1, 50)]));
        let one = Wanted { kind: Some(Kind::Signal), channels: Some(1), ..Wanted::default() };
        for count in [2, 100] {
            assert_eq!(shapes("a.npy", &npy(&[count, 50]), one), Ok(vec![signal(1, 50); count]));
        }
        // Two channels, time first: each becomes a signal of its own.
        assert_eq!(shapes("a.npy", &npy(&[1000, 2]), one), Ok(vec![signal(1, 1000); 2]));
        for dims in [[1000, 2], [2, 1000]] {
            assert_eq!(shapes("a.npy", &npy(&dims), Wanted::default()), Ok(vec![signal(2, 1000)]));
        }
        let two = Wanted { kind: Some(Kind::Signal), channels: Some(2), ..Wanted::default() };
        assert_eq!(shapes("a.npy", &npy(&[50, 2]), two), Ok(vec![signal(2, 50)]));
    }

    /// Training, evaluation and serving read an array alike.
    #[test]
    fn an_array_is_what_the_service_takes_it_for() {
        let orders = [None, Some("LC"), Some("TYX"), Some("CHW"), Some("NL"), Some("ND")];
        let wanted = |kind, channels, order: Option<&str>| Wanted {
            kind,
            channels,
            order: order.map(|order| order.parse().unwrap()),
            ..Wanted::default()
        };
        let mut read_alike = 0;
        for dims in [
            &[40, 50][..],
            &[2, 1000],
            &[1000, 2],
            &[40, 50, 3],
            &[3, 40, 50],
            &[7, 40, 50],
            &[5, 2, 300],
            &[5, 300, 2],
            &[20, 1000],
            &[100, 50],
            &[300],
            &[300, 64],
        ] {
            for (kind, channels) in [
                (None, None),
                (Some(Kind::Image), Some(3)),
                (Some(Kind::Signal), Some(1)),
                (Some(Kind::Signal), Some(2)),
                (Some(Kind::Vector), Some(1)),
            ] {
                for order in orders {
                    let wanted = wanted(kind, channels, order);
                    let spec = kind.map(|kind| Spec { kind, channels: channels.unwrap_or(0), fixed: None });
                    let reading = Reading { spec: spec.as_ref(), order: wanted.order, ..Reading::default() };
                    let limits = Limits { samples: 10_000, ..Limits::default() };
                    let served = media::read(&npy(dims), Format::Npy, &reading, &limits);
                    let trained = read("a.npy", &npy(dims), &limits, wanted);
                    match (served, trained) {
                        (Ok(served), Ok(trained)) => {
                            read_alike += 1;
                            assert_eq!(served.samples, trained, "{dims:?} {wanted:?}");
                        }
                        (Err(served), Err(trained)) => {
                            assert!(!trained.is_empty() && !served.to_string().is_empty())
                        }
                        // A gray image where colour is required is read, to be skipped by name.
                        (Err(_), Ok(trained)) => panic!("{dims:?} {wanted:?}: {}", trained[0].shape()),
                        (Ok(served), Err(reason)) => {
                            panic!("{dims:?} {wanted:?}: {} {reason}", served.samples[0].shape())
                        }
                    }
                }
            }
        }
        assert!(read_alike > 60, "{read_alike}");
        let question = read("a.npy", &npy(&[3, 40, 50]), &Limits::default(), Wanted::default()).unwrap_err();
        assert!(question.contains("layout=CHW"), "{question}");
    }

    #[test]
    fn a_signal_with_time_first_is_turned() {
        let samples = read("a.npy", &npy(&[50, 2]), &Limits::default(), kind(Kind::Signal)).unwrap();
        assert_eq!(samples[0].shape(), Shape::Signal { channels: 2, length: 50 });
        assert_eq!(samples[0].data()[..3], [0.0, 2.0, 4.0]);
        assert_eq!(samples[0].data()[50..53], [1.0, 3.0, 5.0]);
    }

    #[test]
    fn tables_are_vectors_or_one_signal() {
        let table = b"a,b\n1,2\n3,4\n5,6\n";
        assert_eq!(shapes("t.csv", table, Wanted::default()), Ok(vec![Shape::Vector { features: 2 }; 3]));
        let signal = read("t.csv", table, &Limits::default(), kind(Kind::Signal)).unwrap();
        assert_eq!(signal[0].shape(), Shape::Signal { channels: 2, length: 3 });
        assert_eq!(signal[0].data(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        assert!(shapes("t.csv", table, kind(Kind::Image)).is_err());
    }

    #[test]
    fn gzipped_files_are_read_as_what_is_inside() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"1,2\n").unwrap();
        let bytes = gz.finish().unwrap();
        assert_eq!(shapes("t.csv.gz", &bytes, Wanted::default()), Ok(vec![Shape::Vector { features: 2 }]));
        let limits = Limits { upload_bytes: 3, ..Limits::default() };
        assert!(read("t.csv.gz", &bytes, &limits, Wanted::default()).unwrap_err().contains("limit of 3"));
    }

    #[test]
    fn samples_take_no_more_than_was_stated_before() {
        let limits = Limits::default();
        let picture = {
            let carrier = codec::Carrier::plain(Format::Png, codec::Depth::U8);
            let sample = Sample::new(Shape::image(3, 4, 5), vec![0.5; 60]).unwrap();
            codec::write_images(&[(&sample, &carrier)], Format::Png, None).unwrap()
        };
        let wave = {
            let sample = Sample::new(Shape::Signal { channels: 2, length: 5 }, vec![0.5; 10]).unwrap();
            codec::write_wav(&sample, codec::Wave { rate: 8000, bits: 8, float: false }).unwrap()
        };
        let idx = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3][..], &[9; 6]].concat();
        for (name, bytes) in [
            ("a.png", &picture[..]),
            ("a.npy", &npy(&[4, 5])),
            ("stack.npy", &npy(&[900, 1, 2])),
            ("a.wav", &wave),
            ("idx", &idx),
            ("a.csv", b"1,2\n3,4\n"),
        ] {
            let file = File::open(name, bytes.to_vec(), &limits, Wanted::default()).unwrap();
            let samples = file.read(&limits, Wanted::default()).unwrap();
            let numbers = samples.iter().map(|sample| sample.shape().numbers()).sum();
            let (taken, stated) = (bytes_of(samples.len(), numbers), file.stated);
            assert!(taken <= stated && stated <= 4 * taken, "{name}: {taken} of {stated} bytes");
        }
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        for (name, bytes) in
            [("a.doc", &b"hello"[..]), ("a.png", b"\x89PNG\r\n\x1a\n"), ("a", b""), ("a.csv", b"")]
        {
            assert!(!shapes(name, bytes, Wanted::default()).unwrap_err().is_empty(), "{name}");
        }
    }
}
