//! Content of a file: the samples in it, and how they stood there, so that results can stand so again.

use crate::codec::{
    self, Array, Carrier, DType, Depth, Format, Layout, SampleSpec, Wave, read_images, read_npy,
    write_images, write_npy,
};
use crate::infer::Session;
use crate::limits::Limits;
use crate::sample::{Kind, Sample, Shape};

/// Steps in a second of a WAV file whose signal came without a rate.
const USUAL_RATE: u32 = 48_000;

/// Samples with what is kept beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// One sample, or those of an array with a batch axis.
    pub samples: Vec<Sample>,
    form: Form,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// A carrier for each image: several are the pages of a TIFF.
    Pictures(Vec<Carrier>),
    Array(Layout),
    Wave(Wave),
    /// A vector a row, or a step in time.
    Table,
}

/// How fine the numbers of a result are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fineness {
    /// As in the input.
    Same,
    /// Whole numbers 0..255.
    #[value(name = "8")]
    Bits8,
    /// Whole numbers 0..65535.
    #[value(name = "16")]
    Bits16,
    /// 32-bit float.
    Float,
}

impl Fineness {
    fn depth(self) -> Option<Depth> {
        match self {
            Fineness::Same => None,
            Fineness::Bits8 => Some(Depth::U8),
            Fineness::Bits16 => Some(Depth::U16),
            Fineness::Float => Some(Depth::F32),
        }
    }
}

impl Content {
    /// The samples of a file, told by its first bytes. An array is read as `model` takes it; without a model
    /// (H,W) and (H,W,3) are images.
    ///
    /// # Errors
    /// A line: the file is no image, array, sound or table, is damaged, or does not fit the model.
    pub fn read(bytes: &[u8], model: Option<&Session>, limits: &Limits) -> Result<Self, String> {
        let array = match Format::sniff(bytes) {
            Some(Format::Npy) => read_npy(bytes, limits).map_err(|e| e.to_string())?,
            Some(Format::Wav) => {
                let (sample, wave) = codec::read_wav(bytes, limits).map_err(|e| e.to_string())?;
                return Ok(Self { samples: vec![sample], form: Form::Wave(wave) });
            }
            None if begins_as_text(bytes) => return Self::read_table(bytes, model, limits),
            _ => {
                let pictures = read_images(bytes, None, limits).map_err(|e| e.to_string())?;
                let (carriers, samples) = pictures.into_iter().map(|p| (p.carrier, p.sample)).unzip();
                return Ok(Self { samples, form: Form::Pictures(carriers) });
            }
        };
        let spec = match model {
            Some(model) => {
                let input = model.input();
                SampleSpec { kind: input.kind, channels: input.channels, fixed: input.fixed }
            }
            None => array.guess_kind().map_err(|e| format!("{e} (--model)"))?,
        };
        let (samples, layout) = array.into_samples(&spec).map_err(|e| e.to_string())?;
        for sample in &samples {
            codec::check_shape(sample.shape(), limits).map_err(|e| e.to_string())?;
        }
        Ok(Self { samples, form: Form::Array(layout) })
    }

    /// A table: one signal with a channel a column where the model takes signals, else a vector a row.
    fn read_table(bytes: &[u8], model: Option<&Session>, limits: &Limits) -> Result<Self, String> {
        let rows = codec::read_csv(bytes, limits).map_err(|e| format!("no image, array or WAV file; {e}"))?;
        let sample = |shape, data| Sample::new(shape, data).map_err(|e| e.to_string());
        let samples = if model.is_some_and(|model| model.input().kind == Kind::Signal) {
            let shape = Shape::Signal { channels: rows[0].len(), length: rows.len() };
            codec::check_shape(shape, limits).map_err(|e| e.to_string())?;
            let column = |c: usize| rows.iter().map(move |row| row[c]);
            vec![sample(shape, (0..shape.channels()).flat_map(column).collect())?]
        } else {
            let vector = |row: Vec<f32>| sample(Shape::Vector { features: row.len() }, row);
            rows.into_iter().map(vector).collect::<Result<_, _>>()?
        };
        Ok(Self { samples, form: Form::Table })
    }

    /// Samples that came from no image and no array.
    pub fn bare(samples: Vec<Sample>) -> Self {
        let shape = samples.first().map_or(Shape::Vector { features: 0 }, Sample::shape);
        let layout = Layout { batched: samples.len() > 1, ..Layout::default_for(shape) };
        Self { samples, form: Form::Array(layout) }
    }

    /// The format it came in.
    pub fn format(&self) -> Format {
        match &self.form {
            Form::Pictures(carriers) => carriers[0].format,
            Form::Array(_) => Format::Npy,
            Form::Wave(_) => Format::Wav,
            Form::Table => Format::Csv,
        }
    }

    /// The file of `results`, which take the places of the samples.
    ///
    /// # Errors
    /// A line: the format cannot hold them.
    pub fn write(&self, results: &[Sample], format: Format, fineness: Fineness) -> Result<Vec<u8>, String> {
        match format {
            Format::Npy => self.array(results, fineness),
            Format::Wav => self.wave(results, fineness),
            Format::Csv => table(results),
            _ => self.image(results, format, fineness),
        }
    }

    fn wave(&self, results: &[Sample], fineness: Fineness) -> Result<Vec<u8>, String> {
        let [result] = results else {
            return Err(format!("holds {} samples, a WAV file holds one; use --format npy", results.len()));
        };
        let own = if let Form::Wave(wave) = self.form { wave } else { Wave::float(USUAL_RATE) };
        let wave = match fineness {
            Fineness::Same => own,
            Fineness::Bits8 => Wave { bits: 8, float: false, ..own },
            Fineness::Bits16 => Wave { bits: 16, float: false, ..own },
            Fineness::Float => Wave::float(own.rate),
        };
        codec::write_wav(result, wave).map_err(|e| e.to_string())
    }

    fn array(&self, results: &[Sample], fineness: Fineness) -> Result<Vec<u8>, String> {
        let first = results.first().ok_or("there is no sample in it")?;
        let (layout, same) = match &self.form {
            Form::Array(layout) => (*layout, layout.dtype),
            Form::Pictures(carriers) => {
                let layout = Layout { batched: results.len() > 1, ..Layout::default_for(first.shape()) };
                (layout, dtype(carriers[0].depth))
            }
            Form::Wave(_) | Form::Table => {
                let batched = first.shape().kind() == Kind::Vector;
                (Layout { batched, ..Layout::default_for(first.shape()) }, DType::F32)
            }
        };
        let dtype = fineness.depth().map_or(same, dtype);
        let array = Array::from_samples(results, &Layout { dtype, ..layout }).map_err(|e| e.to_string())?;
        write_npy(&array, dtype).map_err(|e| e.to_string())
    }

    fn image(&self, results: &[Sample], format: Format, fineness: Fineness) -> Result<Vec<u8>, String> {
        if results.len() > 1 && format != Format::Tiff {
            let count = results.len();
            return Err(format!("holds {count} samples, a {format} holds one; use --format tif or npy"));
        }
        let depth = fineness.depth();
        if depth.is_some_and(|depth| depth > finest(format)) {
            return Err(format!("{format} cannot hold this depth; use --format tiff or npy"));
        }
        let plain;
        let pages: Vec<_> = match &self.form {
            Form::Pictures(carriers) => results.iter().zip(carriers).collect(),
            Form::Array(layout) => {
                plain = Carrier::plain(format, self::depth(layout.dtype));
                results.iter().map(|result| (result, &plain)).collect()
            }
            Form::Wave(_) | Form::Table => {
                plain = Carrier::plain(format, Depth::U8);
                results.iter().map(|result| (result, &plain)).collect()
            }
        };
        write_images(&pages, format, depth).map_err(|e| e.to_string())
    }
}

/// Whether a file may be a table: what is no text is looked at as an image.
fn begins_as_text(bytes: &[u8]) -> bool {
    let mark = '\u{feff}'.to_string();
    bytes.strip_prefix(mark.as_bytes()).unwrap_or(bytes).first().is_some_and(u8::is_ascii)
}

/// Vectors as rows, or a signal with a column for each channel.
fn table(results: &[Sample]) -> Result<Vec<u8>, String> {
    if results.iter().all(|sample| sample.shape().kind() == Kind::Vector) {
        return Ok(codec::write_csv(results.iter().map(Sample::data)));
    }
    match results {
        [one] if one.shape().kind() == Kind::Signal => {
            let length = one.data().len() / one.shape().channels();
            let step = |t: usize| one.data().iter().skip(t).step_by(length).copied().collect();
            let steps: Vec<Vec<f32>> = (0..length).map(step).collect();
            Ok(codec::write_csv(steps.iter().map(Vec::as_slice)))
        }
        [one] => Err(format!("a table cannot hold an {}; use --format npy", one.shape())),
        all => Err(format!("holds {} signals, a table holds one; use --format npy", all.len())),
    }
}

/// The finest numbers a format of images holds.
fn finest(format: Format) -> Depth {
    match format {
        Format::Tiff => Depth::F32,
        Format::Png | Format::Pnm => Depth::U16,
        _ => Depth::U8,
    }
}

fn dtype(depth: Depth) -> DType {
    match depth {
        Depth::U8 => DType::U8,
        Depth::U16 => DType::U16,
        Depth::F32 => DType::F32,
    }
}

fn depth(dtype: DType) -> Depth {
    match dtype {
        DType::U8 => Depth::U8,
        DType::U16 => Depth::U16,
        _ => Depth::F32,
    }
}

/// A format by name or ending, if samples can be written in it.
///
/// # Errors
/// A line with the formats there are.
pub fn format(text: &str) -> Result<Format, String> {
    let holds = |f: &Format| f.is_image() || matches!(f, Format::Npy | Format::Wav | Format::Csv);
    let found = Format::from_extension(text).filter(holds);
    found.ok_or_else(|| {
        format!("{text:?} is no format for samples; use png, jpg, tif, webp, pnm, npy, wav or csv")
    })
}

/// Whether a file of this ending may hold samples.
pub fn may_hold_samples(extension: &str) -> bool {
    format(extension).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::default()
    }

    fn npy(dims: &[usize], dtype: DType) -> Vec<u8> {
        let data = (0..dims.iter().product::<usize>()).map(|i| (i % 200) as f32).collect();
        write_npy(&Array { dims: dims.to_vec(), data, dtype }, dtype).unwrap()
    }

    #[test]
    fn an_array_keeps_its_axes_and_numbers() {
        for (dims, dtype) in [(vec![4, 6], DType::U8), (vec![4, 6, 3], DType::U16), (vec![7], DType::F64)] {
            let bytes = npy(&dims, dtype);
            let content = Content::read(&bytes, None, &limits()).unwrap();
            let again = content.write(&content.samples, Format::Npy, Fineness::Same).unwrap();
            assert_eq!(again, bytes, "{dims:?}");
        }
    }

    #[test]
    fn an_image_becomes_an_array_and_back() {
        let bytes = npy(&[5, 6], DType::U8);
        let array = Content::read(&bytes, None, &limits()).unwrap();
        let png = array.write(&array.samples, Format::Png, Fineness::Same).unwrap();
        let image = Content::read(&png, None, &limits()).unwrap();
        assert_eq!((image.format(), &image.samples), (Format::Png, &array.samples));
        assert_eq!(image.write(&image.samples, Format::Npy, Fineness::Same).unwrap(), bytes);
    }

    #[test]
    fn tables_and_sounds_come_back_as_they_were() {
        let table = b"1,2.5\n-3,0.125\n";
        let marked = [b"\xef\xbb\xbf", &table[..]].concat();
        let content = Content::read(&marked, None, &limits()).unwrap();
        assert_eq!(content.samples[1].data(), [-3.0, 0.125]);
        assert_eq!(content.write(&content.samples, Format::Csv, Fineness::Same).unwrap(), table);

        let shape = Shape::Signal { channels: 2, length: 2 };
        let signal = Sample::new(shape, vec![0.5, -0.5, 0.25, 0.0]).unwrap();
        let wave = codec::write_wav(&signal, Wave { rate: 8000, bits: 16, float: false }).unwrap();
        let content = Content::read(&wave, None, &limits()).unwrap();
        assert_eq!(content.samples, std::slice::from_ref(&signal));
        let write = |format| content.write(&content.samples, format, Fineness::Same);
        assert_eq!(write(Format::Wav).unwrap(), wave);
        assert_eq!(write(Format::Csv).unwrap(), b"0.5,0.25\n-0.5,0\n");
        assert!(write(Format::Png).is_err());
        assert!(Content::read(b"hello", None, &limits()).unwrap_err().contains("no image, array or WAV"));
    }

    #[test]
    fn a_depth_the_format_cannot_hold_is_refused() {
        let array = Content::read(&npy(&[5, 6], DType::U8), None, &limits()).unwrap();
        let write = |format, fineness| array.write(&array.samples, format, fineness);
        assert!(write(Format::Png, Fineness::Float).unwrap_err().contains("tiff or npy"));
        assert!(write(Format::Jpeg, Fineness::Bits16).is_err());
        assert!(write(Format::Tiff, Fineness::Float).is_ok());
    }

    #[test]
    fn formats_are_known_by_name_and_ending() {
        assert_eq!(format("jpeg"), Ok(Format::Jpeg));
        assert_eq!(format("TIFF"), Ok(Format::Tiff));
        assert!(format("gif").unwrap_err().contains("png"));
        assert!(!may_hold_samples("latent") && !may_hold_samples("json") && !may_hold_samples("txt"));
    }
}
