//! Content of a file: the samples in it, and how they stood there, so that results can stand so again.

use crate::codec::{
    self, Array, Carrier, DType, Depth, Format, Layout, Picture, SampleSpec, read_image, read_npy,
    write_image, write_npy,
};
use crate::infer::Session;
use crate::limits::Limits;
use crate::sample::{Sample, Shape};

/// Samples with what is kept beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// One sample, or those of an array with a batch axis.
    pub samples: Vec<Sample>,
    form: Form,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Picture(Carrier),
    Array(Layout),
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
    /// A line: the file is no image and no array, is damaged, or does not fit the model.
    pub fn read(bytes: &[u8], model: Option<&Session>, limits: &Limits) -> Result<Self, String> {
        if Format::sniff(bytes) != Some(Format::Npy) {
            let Picture { sample, carrier } = read_image(bytes, None, limits).map_err(|e| e.to_string())?;
            return Ok(Self { samples: vec![sample], form: Form::Picture(carrier) });
        }
        let array = read_npy(bytes, limits).map_err(|e| e.to_string())?;
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

    /// Samples that came from no image and no array.
    pub fn bare(samples: Vec<Sample>) -> Self {
        let shape = samples.first().map_or(Shape::Vector { features: 0 }, Sample::shape);
        let layout = Layout { batched: samples.len() > 1, ..Layout::default_for(shape) };
        Self { samples, form: Form::Array(layout) }
    }

    /// The format it came in.
    pub fn format(&self) -> Format {
        match &self.form {
            Form::Picture(carrier) => carrier.format,
            Form::Array(_) => Format::Npy,
        }
    }

    /// The file of `results`, which take the places of the samples.
    ///
    /// # Errors
    /// A line: the format cannot hold them.
    pub fn write(&self, results: &[Sample], format: Format, fineness: Fineness) -> Result<Vec<u8>, String> {
        if format == Format::Npy {
            self.array(results, fineness)
        } else {
            self.image(results, format, fineness)
        }
    }

    fn array(&self, results: &[Sample], fineness: Fineness) -> Result<Vec<u8>, String> {
        let first = results.first().ok_or("there is no sample in it")?;
        let (layout, same) = match &self.form {
            Form::Array(layout) => (*layout, layout.dtype),
            Form::Picture(carrier) => (Layout::default_for(first.shape()), dtype(carrier.depth)),
        };
        let dtype = fineness.depth().map_or(same, dtype);
        let array = Array::from_samples(results, &Layout { dtype, ..layout }).map_err(|e| e.to_string())?;
        write_npy(&array, dtype).map_err(|e| e.to_string())
    }

    fn image(&self, results: &[Sample], format: Format, fineness: Fineness) -> Result<Vec<u8>, String> {
        let [result] = results else {
            return Err(format!("holds {} samples, a {format} holds one; use --format npy", results.len()));
        };
        let carrier = match &self.form {
            Form::Picture(carrier) => carrier.clone(),
            Form::Array(layout) => Carrier::plain(format, depth(layout.dtype)),
        };
        let depth = fineness.depth();
        if depth.is_some_and(|depth| depth > finest(format)) {
            return Err(format!("{format} cannot hold this depth; use --format tiff or npy"));
        }
        write_image(result, &carrier, format, depth).map_err(|e| e.to_string())
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
    let found = Format::from_extension(text).filter(|f| f.is_image() || *f == Format::Npy);
    found.ok_or_else(|| format!("{text:?} is no format for samples; use png, jpg, tif, webp, pnm or npy"))
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
