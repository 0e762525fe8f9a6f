//! Carrier: container of the input samples, and the requirements on an output file for their results.

use super::{Error, Result};
use crate::codec::{self, Columns, DType, Depth, Format, Layout, Numbers, Wave};
use crate::sample::{Kind, Sample};

/// Tolerance of numbers beyond 0..1 for rounding: half a step of 8 bits.
const SLACK: f32 = 0.5 / 255.0;

/// Container of the input samples.
#[derive(Debug, Clone, PartialEq)]
pub enum Carrier {
    /// Image file, with one carrier per image; several are the pages of a TIFF.
    Pictures(Vec<codec::Carrier>),
    /// Array: npy, raw, or JSON numbers.
    Array(Layout, Format),
    /// WAV file.
    Wave(Wave),
    /// Table.
    Table(Columns),
    /// No file: samples decoded from latents. Written in this format unless another is requested.
    Bare(Format),
}

impl Carrier {
    /// Returns the format of results if no other is requested.
    pub fn format(&self) -> Format {
        match self {
            Carrier::Pictures(carriers) => carriers.first().map_or(Format::Png, |carrier| carrier.format),
            Carrier::Array(_, format) | Carrier::Bare(format) => *format,
            Carrier::Wave(_) => Format::Wav,
            Carrier::Table(_) => Format::Csv,
        }
    }

    /// Returns the depth of results for a file of `format`: the highest supported one up to `asked`, or up to the depth
    /// of the input. Floats become 16 bits in image formats without floats; non-image formats hold floats.
    pub fn depth(&self, format: Format, asked: Option<Depth>) -> Depth {
        if !format.is_image() {
            return Depth::F32;
        }
        let own = match self {
            Carrier::Pictures(carriers) => {
                carriers.iter().map(|carrier| carrier.depth).max().unwrap_or(Depth::U8)
            }
            Carrier::Array(layout, _) => match layout.dtype {
                DType::U8 => Depth::U8,
                DType::U16 => Depth::U16,
                DType::F16 | DType::F32 | DType::F64 | DType::U32 | DType::U64 => Depth::F32,
                DType::I8 | DType::I16 | DType::I32 | DType::I64 => Depth::F32,
            },
            Carrier::Wave(_) | Carrier::Table(_) => Depth::F32,
            // The original file is unknown; a viewer expects 8 bits, and TIFF holds floats without loss.
            Carrier::Bare(_) if format == Format::Tiff => Depth::F32,
            Carrier::Bare(_) => Depth::U8,
        };
        codec::held_depth(format, asked.unwrap_or(own))
    }

    /// Returns the carrier for `count` results of one bit a pixel, black or white, in a file of `format`.
    ///
    /// # Errors
    /// [`Error::Bits`]: the format does not hold single bits, or these are no opaque pictures.
    pub fn into_bits(self, format: Format, count: usize) -> Result<Self> {
        let plain = || vec![codec::Carrier::plain(format, Depth::U8); count];
        let carriers = match self {
            Carrier::Pictures(carriers) if carriers.iter().all(codec::Carrier::is_opaque) => carriers,
            Carrier::Bare(own) if own.is_image() => plain(),
            _ => return Err(Error::Bits(format)),
        };
        if !matches!(format, Format::Png | Format::Tiff | Format::Pnm) {
            return Err(Error::Bits(format));
        }
        let bits = |carrier| codec::Carrier { numbers: Numbers::Bit, alpha: None, ..carrier };
        Ok(Carrier::Pictures(carriers.into_iter().map(bits).collect()))
    }

    /// Returns the number type of an array of the samples.
    pub(super) fn dtype(&self) -> DType {
        let of = |carrier: &codec::Carrier| match (carrier.numbers, carrier.depth) {
            (Numbers::I8, _) => DType::I8,
            (Numbers::I16, _) => DType::I16,
            (Numbers::I32, _) => DType::I32,
            (Numbers::I64, _) => DType::I64,
            (Numbers::U32, _) => DType::U32,
            (Numbers::U64, _) => DType::U64,
            (Numbers::F64, _) => DType::F64,
            (Numbers::Plain | Numbers::Bit, depth) => dtype_of(depth),
        };
        match self {
            Carrier::Pictures(carriers) => {
                let finest = carriers.iter().max_by_key(|carrier| carrier.depth);
                finest.map_or(DType::F32, of)
            }
            Carrier::Array(layout, _) => layout.dtype,
            Carrier::Wave(_) | Carrier::Table(_) | Carrier::Bare(_) => DType::F32,
        }
    }

    /// Checks that a file of `format`, and of `depth` if requested, can hold results for `samples`.
    ///
    /// # Errors
    /// As for [`Carrier::check_kind`]; [`Error::Opacity`]; [`Error::Gaps`]; [`Error::Range`] for floats beyond 0..1 that would be
    /// converted to integers.
    pub fn check(&self, samples: &[Sample], format: Format, depth: Option<Depth>) -> Result<()> {
        let Some(first) = samples.first() else { return Ok(()) };
        let kind = first.shape().kind();
        self.check_kind(kind, samples.len(), format, depth)?;
        self.check_opacity(format)?;
        self.check_gaps(samples, format, depth)?;
        let written = match (format.is_image(), depth) {
            (true, _) => self.depth(format, depth),
            (false, Some(depth)) if kind == Kind::Image => depth,
            (false, _) => return Ok(()),
        };
        if written == Depth::F32 { Ok(()) } else { check_range(samples, format) }
    }

    /// Checks that a file of `format`, and of `depth` if requested, can hold `count` samples of a kind.
    ///
    /// # Errors
    /// [`Error::Several`], [`Error::Kind`], [`Error::Depth`].
    pub fn check_kind(&self, kind: Kind, count: usize, format: Format, depth: Option<Depth>) -> Result<()> {
        let is_joined = matches!(self, Carrier::Wave(_) | Carrier::Table(_));
        let several = |what, instead| Err(Error::Several { format, what, count, instead });
        let other = |holds, instead| Err(Error::Kind { format, holds, kind, instead });
        match format {
            Format::Png | Format::Jpeg | Format::Tiff | Format::WebP | Format::Pnm if kind != Kind::Image => {
                return other("images", "npy, csv or json");
            }
            Format::Png | Format::Jpeg | Format::WebP | Format::Pnm if count > 1 => {
                return several("image", "tiff or npy");
            }
            Format::Wav if kind != Kind::Signal => return other("signals", "npy, or an image format"),
            Format::Csv if kind == Kind::Image => {
                return other("signals and vectors", "npy, or an image format");
            }
            Format::Wav | Format::Csv if kind == Kind::Signal && count > 1 && !is_joined => {
                return several("signal", "npy");
            }
            Format::Latent => return other("latents", "another format"),
            Format::Png | Format::Jpeg | Format::Tiff | Format::WebP | Format::Pnm => {}
            Format::Wav | Format::Csv | Format::Npy | Format::Raw | Format::Json => {}
        }
        self.check_depth(format, kind, depth)
    }

    fn check_depth(&self, format: Format, kind: Kind, depth: Option<Depth>) -> Result<()> {
        let refuse = |holds: &str| Err(Error::Depth { format, holds: holds.to_owned() });
        match depth {
            None => Ok(()),
            Some(depth) if format.is_image() && !format.depths().contains(&depth) => {
                let names: Vec<_> = format.depths().iter().map(|depth| name_of(*depth)).collect();
                refuse(&names.join(" and "))
            }
            Some(Depth::U8 | Depth::U16) if format == Format::Csv => refuse("floats"),
            Some(Depth::U8 | Depth::U16) if kind != Kind::Image && format != Format::Wav => {
                refuse("8 or 16 bits of images only, and floats")
            }
            Some(_) => Ok(()),
        }
    }

    /// Rejects missing numbers that stay missing in a file of whole numbers.
    fn check_gaps(&self, samples: &[Sample], format: Format, depth: Option<Depth>) -> Result<()> {
        let holds = match format {
            Format::Csv | Format::Json => true,
            Format::Npy | Format::Raw => depth.map_or(self.dtype(), dtype_of).is_float(),
            Format::Wav => match (depth, self) {
                (Some(depth), _) => depth == Depth::F32,
                (None, Carrier::Wave(wave)) => wave.float,
                (None, _) => true,
            },
            _ => self.depth(format, depth) == Depth::F32,
        };
        let count: usize =
            samples.iter().filter(|sample| sample.writes_nan()).map(Sample::missing_count).sum();
        if holds || count == 0 { Ok(()) } else { Err(Error::Gaps { format, count }) }
    }

    fn check_opacity(&self, format: Format) -> Result<()> {
        let holds = format.is_image() && format != Format::Jpeg;
        match self {
            Carrier::Pictures(carriers) if !holds && !carriers.iter().all(codec::Carrier::is_opaque) => {
                Err(Error::Opacity(format))
            }
            Carrier::Pictures(_)
            | Carrier::Array(..)
            | Carrier::Wave(_)
            | Carrier::Table(_)
            | Carrier::Bare(_) => Ok(()),
        }
    }
}

/// Rejects floats beyond 0..1, which conversion to integers would clip: whole images would turn white.
fn check_range(samples: &[Sample], format: Format) -> Result<()> {
    let floats = samples.iter().filter(|sample| sample.depth() == Depth::F32).flat_map(Sample::data);
    let (low, high) = floats.fold((0.0f32, 1.0f32), |(low, high), v| (low.min(*v), high.max(*v)));
    if low >= -SLACK && high <= 1.0 + SLACK {
        return Ok(());
    }
    let (most, bits) = [(255, 8), (4095, 12), (65535, 16)]
        .into_iter()
        .find(|(most, _)| high <= *most as f32)
        .unwrap_or((65535, 16));
    Err(Error::Range { format, low, high, most, bits })
}

fn name_of(depth: Depth) -> &'static str {
    match depth {
        Depth::U8 => "8 bits",
        Depth::U16 => "16 bits",
        Depth::F32 => "floats",
    }
}

/// Returns the number type of an array for `depth`.
pub(super) fn dtype_of(depth: Depth) -> DType {
    match depth {
        Depth::U8 => DType::U8,
        Depth::U16 => DType::U16,
        Depth::F32 => DType::F32,
    }
}
