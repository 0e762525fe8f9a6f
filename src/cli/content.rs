//! Content of a file: its samples, and the file of their results, read and written by `media` with one-line errors.

use crate::codec::{Depth, Format, LayoutChoice, Order};
use crate::infer::Session;
use crate::limits::Limits;
use crate::media::{self, Carrier, Reading};
use crate::sample::{GapRule, Missing, Sample};

/// Samples of a file, with its format and metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// One sample, or those of a stack, an array or a table.
    pub samples: Vec<Sample>,
    carrier: Carrier,
}

/// Number format of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fineness {
    /// As in the input.
    Same,
    /// Black or white, in png, tif (Group 4) and pnm.
    #[value(name = "1")]
    Bits1,
    /// Whole numbers 0..255.
    #[value(name = "8")]
    Bits8,
    /// Whole numbers 0..65535.
    #[value(name = "16")]
    Bits16,
    /// 32-bit float.
    Float,
}

/// Flags for the axes of arrays and for missing numbers.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Forms {
    /// Order of the axes of arrays, one letter each: HW, HWC, CHW, TYX (images), L, CL, LC (signals), D (vectors), with N before
    /// them for several samples [default: auto, by the extents].
    #[arg(long, value_name = "AXES")]
    layout: Option<LayoutChoice>,
    /// Missing numbers (NaN, infinity, empty fields): keep leaves them missing in the result, fill puts the model's values in
    /// their place, refuse fails [default: keep].
    #[arg(long, value_enum, value_name = "HOW")]
    missing: Option<Missing>,
    /// Number that stands for a missing one, such as -9999.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    missing_value: Option<f32>,
}

impl Forms {
    /// Returns the order of axes of the flags.
    pub fn layout(&self) -> Option<Order> {
        self.layout.and_then(|layout| layout.0)
    }

    /// Returns the rule of the flags.
    pub fn rule(&self) -> GapRule {
        GapRule { missing: self.missing.unwrap_or_default(), sentinel: self.missing_value }
    }

    /// Returns the rule of the flags, where they are given, else that of `other`.
    pub fn rule_or(&self, other: GapRule) -> GapRule {
        GapRule {
            missing: self.missing.unwrap_or(other.missing),
            sentinel: self.missing_value.or(other.sentinel),
        }
    }
}

impl Fineness {
    fn depth(self) -> Option<Depth> {
        match self {
            Fineness::Same | Fineness::Bits1 => None,
            Fineness::Bits8 => Some(Depth::U8),
            Fineness::Bits16 => Some(Depth::U16),
            Fineness::Float => Some(Depth::F32),
        }
    }
}

impl Content {
    /// Reads the samples of a file, whose format is detected by its first bytes. An array or a table is read as input of `model`;
    /// without a model (H,W) and (H,W,3) are images.
    ///
    /// # Errors
    /// One line: the file is not an image, array, sound or table, is damaged, or does not fit the model.
    pub fn read(
        bytes: &[u8],
        model: Option<&Session>,
        forms: &Forms,
        limits: &Limits,
    ) -> Result<Self, String> {
        let read = || {
            let format = media::settle_format(bytes, None)?;
            let reading =
                Reading { spec: model.map(Session::input), gaps: forms.rule(), order: forms.layout() };
            media::read(bytes, format, &reading, &of_a_file(bytes, limits))
        };
        let content = read().map_err(|e| e.to_string())?;
        Ok(Self { samples: content.samples, carrier: content.carrier })
    }

    /// Creates a content that was not read from a file.
    pub fn bare(samples: Vec<Sample>, format: Format) -> Self {
        Self { samples, carrier: Carrier::Bare(format) }
    }

    /// Returns the format of the file.
    pub fn format(&self) -> Format {
        self.carrier.format()
    }

    /// Checks, before the results are computed, that a file of `format` can hold them.
    ///
    /// # Errors
    /// One line with the reason.
    pub fn check(&self, format: Format, fineness: Fineness) -> Result<(), String> {
        if fineness == Fineness::Bits1 {
            self.bits(format)?;
        }
        self.carrier.check(&self.samples, format, fineness.depth()).map_err(|e| e.to_string())
    }

    fn bits(&self, format: Format) -> Result<Carrier, String> {
        self.carrier.clone().into_bits(format, self.samples.len()).map_err(|e| e.to_string())
    }

    /// Encodes the file with `results` in place of its samples.
    ///
    /// # Errors
    /// One line: the format cannot hold the results.
    pub fn write(&self, results: &[Sample], format: Format, fineness: Fineness) -> Result<Vec<u8>, String> {
        let file = match fineness {
            Fineness::Bits1 => self.bits(format)?.write(results, format, None),
            _ => self.carrier.write(results, format, fineness.depth()),
        };
        file.map(|file| file.bytes).map_err(|e| e.to_string())
    }
}

/// Returns the limits of a local file: any number of pages, and 4 pixels per byte of its size if the usual limit is lower.
fn of_a_file(bytes: &[u8], limits: &Limits) -> Limits {
    let image_pixels = limits.image_pixels.max(bytes.len().saturating_mul(4));
    Limits { samples: usize::MAX, image_pixels, ..limits.clone() }
}

/// Parses a format by name or file extension, if it can hold samples.
///
/// # Errors
/// One line with the supported formats.
pub fn format(text: &str) -> Result<Format, String> {
    let holds = |f: &Format| f.is_image() || matches!(f, Format::Npy | Format::Wav | Format::Csv);
    let found = Format::from_extension(text).filter(holds);
    found.ok_or_else(|| {
        format!("{text:?} is no format for samples; use png, jpg, tif, webp, pnm, npy, wav or csv")
    })
}

/// Returns `true` if a file with this extension may hold samples. Text files in a folder are more often notes than tables.
pub fn may_hold_samples(extension: &str) -> bool {
    format(extension).is_ok() && !matches!(extension, "txt" | "dat")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Array, DType, write_npy};

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
            let content = Content::read(&bytes, None, &Forms::default(), &limits()).unwrap();
            let again = content.write(&content.samples, Format::Npy, Fineness::Same).unwrap();
            assert_eq!(again, bytes, "{dims:?}");
        }
    }

    #[test]
    fn a_depth_the_format_cannot_hold_is_refused() {
        let array = Content::read(&npy(&[5, 6], DType::U8), None, &Forms::default(), &limits()).unwrap();
        let check = |format, fineness| array.check(format, fineness);
        assert!(check(Format::Png, Fineness::Float).unwrap_err().contains("16 bits"));
        assert!(check(Format::Jpeg, Fineness::Bits16).is_err());
        assert!(check(Format::Tiff, Fineness::Float).is_ok());
    }

    #[test]
    fn formats_are_known_by_name_and_ending() {
        assert_eq!(format("jpeg"), Ok(Format::Jpeg));
        assert_eq!(format("TIFF"), Ok(Format::Tiff));
        assert!(format("gif").unwrap_err().contains("png"));
        assert!(!may_hold_samples("latent") && !may_hold_samples("json") && !may_hold_samples("md"));
    }
}
