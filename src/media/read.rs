//! Reading: decodes a file of any format to samples.

use serde_json::Value;

use super::{Carrier, Result};
use crate::codec::{self, Array, Format, Known, Order, Table};
use crate::limits::Limits;
use crate::sample::{GapRule, Kind, Missing, Sample, Shape, Spec};

/// Samples of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The samples: one, or several from a stack, an array or a table.
    pub samples: Vec<Sample>,
    /// Container of the samples.
    pub carrier: Carrier,
}

/// Settings of reading samples.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading<'a> {
    /// Input of the model; `None` if no model is named.
    pub spec: Option<&'a Spec>,
    /// Rule for missing numbers.
    pub gaps: GapRule,
    /// Order of the axes of arrays, if it is stated.
    pub order: Option<Order>,
}

/// Detects the format of a file from its first bytes; text without magic bytes is a table. The stated format and the
/// file name only matter if the bytes do not determine the format.
///
/// # Errors
/// [`codec::Error::Unsupported`] with the name of the detected format, if known.
pub fn settle_format(bytes: &[u8], stated: Option<Format>) -> Result<Format> {
    let is_loose = |format: &Format| matches!(format, Format::Csv | Format::Json | Format::Raw);
    match (Format::sniff(bytes), stated) {
        // A table may begin with a bracket, too.
        (Some(Format::Json), Some(Format::Csv)) => Ok(Format::Csv),
        (Some(seen), _) => Ok(seen),
        (None, Some(Format::Csv)) => Ok(Format::Csv),
        (None, stated) if stated.as_ref().is_none_or(is_loose) && is_table(bytes) => Ok(Format::Csv),
        (None, stated) => Err(codec::unknown(bytes, stated).into()),
    }
}

/// Returns `true` if bytes look like a table: UTF-16 text, or other text with a digit near its beginning.
fn is_table(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return true;
    }
    let is_text = head.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
    is_text && head.iter().any(u8::is_ascii_digit) && !head.starts_with(b"<") && !head.starts_with(b"%")
}

/// Decodes a file of `format` to samples. Without a model, the kind of an array is guessed from its axes, and a table holds
/// vectors.
///
/// # Errors
/// Errors of the format; a shape that is over the limits, or that the model does not accept; missing numbers, if these are
/// refused.
pub fn read(bytes: &[u8], format: Format, reading: &Reading, limits: &Limits) -> Result<Content> {
    match format {
        Format::Png | Format::Jpeg | Format::Tiff | Format::WebP | Format::Pnm => {
            let pictures = codec::read_images(bytes, Some(format), limits)?;
            let ruled = |picture| reading.picture(picture);
            let (carriers, samples) =
                pictures.into_iter().map(ruled).collect::<Result<Vec<_>>>()?.into_iter().unzip();
            Ok(Content { samples, carrier: Carrier::Pictures(carriers) })
        }
        Format::Npy => Content::of_array(codec::read_npy(bytes, limits)?, format, reading, limits),
        Format::Wav => {
            let (sample, wave) = codec::read_wav(bytes, limits)?;
            let sample = reading.wave(sample)?;
            let samples = channels_of(sample, reading.spec)?;
            let samples = samples.into_iter().map(|sample| sample.ruled(reading.gaps)).collect();
            Ok(Content { samples, carrier: Carrier::Wave(wave) })
        }
        Format::Csv => of_table(codec::read_csv(bytes, limits)?, reading, limits),
        Format::Json => {
            let value: Value = serde_json::from_slice(bytes)
                .map_err(|e| codec::Error::Malformed { what: "json".to_owned(), reason: e.to_string() })?;
            let data = value.get("data").unwrap_or(&value);
            Content::of_array(codec::array_from_json(data, limits)?, format, reading, limits)
        }
        Format::Raw | Format::Latent => {
            let what = format!("{format} where a sample belongs");
            Err(codec::Error::Unsupported { what }.into())
        }
    }
}

impl Content {
    /// Splits an array that was read from `format` into samples.
    ///
    /// # Errors
    /// As for [`read`].
    pub fn of_array(mut array: Array, format: Format, reading: &Reading, limits: &Limits) -> Result<Self> {
        reading.array(&mut array)?;
        let known = reading.spec.map_or_else(Known::default, Known::of);
        let (order, shape) = array.settle(&Known { order: reading.order, ..known })?;
        codec::check_count(array.sample_count(order), limits)?;
        codec::check_shape(shape, limits)?;
        let (samples, layout) = array.into_samples((order, shape))?;
        let samples = match (samples.as_slice(), reading.spec) {
            ([one], Some(spec)) if one.shape().kind() == Kind::Signal => {
                channels_of(one.clone(), Some(spec))?
            }
            _ => samples,
        };
        let samples = samples.into_iter().map(|sample| sample.ruled(reading.gaps)).collect();
        Ok(Self { samples, carrier: Carrier::Array(layout, format) })
    }
}

impl Reading<'_> {
    fn refuses(&self) -> bool {
        self.gaps.missing == Missing::Refuse
    }

    /// Marks the numbers of an array that stand for missing ones.
    ///
    /// # Errors
    /// A number is missing, and this is refused.
    pub fn array(&self, array: &mut Array) -> Result<()> {
        if let Some(sentinel) = self.gaps.sentinel {
            array.mark_missing(sentinel);
        }
        if self.refuses() { Ok(array.check_finite()?) } else { Ok(()) }
    }

    /// Marks the numbers of a table that stand for missing ones.
    ///
    /// # Errors
    /// As [`Reading::array`].
    pub fn table(&self, table: &mut Table) -> Result<()> {
        if let Some(sentinel) = self.gaps.sentinel {
            table.mark_missing(sentinel);
        }
        if self.refuses() { Ok(table.check_finite()?) } else { Ok(()) }
    }

    /// Applies the rule to a sound file.
    ///
    /// # Errors
    /// As [`Reading::array`].
    pub fn wave(&self, sample: Sample) -> Result<Sample> {
        let sample = self.marked(sample)?;
        match sample.missing().and_then(|missing| missing.iter().position(|m| *m)) {
            Some(at) if self.refuses() => {
                let (place, count) = (format!("number {at}"), sample.missing_count());
                Err(codec::Error::NonFinite { place, value: f32::NAN, count }.into())
            }
            _ => Ok(sample.ruled(self.gaps)),
        }
    }

    /// Applies the rule to an image.
    ///
    /// # Errors
    /// As [`Reading::array`]; numbers that stand for missing ones in an image of whole numbers.
    pub fn picture(&self, picture: codec::Picture) -> Result<(codec::Carrier, Sample)> {
        match picture.gap {
            Some(gap) if self.refuses() => Err(gap.into()),
            _ => Ok((picture.carrier, self.wave(picture.sample)?)),
        }
    }

    /// Marks the numbers of a sample that stand for missing ones.
    fn marked(&self, sample: Sample) -> Result<Sample> {
        let Some(sentinel) = self.gaps.sentinel else { return Ok(sample) };
        if sample.depth() != codec::Depth::F32 {
            let what = "missing_value marks numbers of tables, arrays, sounds and images of floats or of signed whole numbers; \
                        this image has 8 or 16 bits: send it as floats"
                .to_owned();
            return Err(codec::Error::Unsupported { what }.into());
        }
        let rate = sample.rate();
        let mark = |v: &f32| if *v == sentinel { f32::NAN } else { *v };
        let data = sample.known().iter().map(mark).collect();
        Ok(Sample::with_gaps(sample.shape(), data).map_err(codec::Error::from)?.with_rate(rate))
    }
}

/// Converts a table: for signals, one sample, or one per channel if the model has one channel; else one vector per row. Without a
/// model it is a signal if its rows are surely steps in time.
fn of_table(mut table: Table, reading: &Reading, limits: &Limits) -> Result<Content> {
    reading.table(&mut table)?;
    let course = Spec { kind: Kind::Signal, channels: 0, fixed: None };
    let spec = reading.spec.or_else(|| table.is_course().then_some(&course));
    let (columns, form) = table.select(spec)?;
    let samples = samples_of(columns, spec, limits)?;
    let samples = samples.into_iter().map(|sample| sample.ruled(reading.gaps)).collect();
    Ok(Content { samples, carrier: Carrier::Table(form) })
}

/// Converts the columns of a table to samples; numbers that are not finite are missing.
///
/// # Errors
/// The samples are over the limits, or the model does not accept them.
pub fn samples_of(columns: Vec<Vec<f32>>, spec: Option<&Spec>, limits: &Limits) -> Result<Vec<Sample>> {
    let length = columns.first().map_or(0, Vec::len);
    if spec.is_some_and(|spec| spec.kind == Kind::Signal) {
        let shape = Shape::Signal { channels: columns.len(), length };
        codec::check_shape(shape, limits)?;
        let sample = Sample::with_gaps(shape, columns.concat()).map_err(codec::Error::from)?;
        return channels_of(sample, spec);
    }
    codec::check_rows(length, limits)?;
    let shape = Shape::Vector { features: columns.len() };
    if let Some(fixed) = spec.and_then(|spec| spec.fixed).filter(|fixed| *fixed != shape) {
        let got = format!("rows of {} measured column(s)", columns.len());
        return Err(codec::Error::Shape { expected: fixed.to_string(), got }.into());
    }
    let rows = (0..length).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    Ok(Sample::vectors_with_gaps(columns.len(), rows).map_err(codec::Error::from)?)
}

/// Splits a signal into its channels if the model has one channel.
fn channels_of(signal: Sample, spec: Option<&Spec>) -> Result<Vec<Sample>> {
    let Shape::Signal { channels, length } = signal.shape() else { return Ok(vec![signal]) };
    if channels == 1 || spec.is_none_or(|spec| spec.kind != Kind::Signal || spec.channels != 1) {
        return Ok(vec![signal]);
    }
    let one = |data: &[f32]| Sample::with_gaps(Shape::Signal { channels: 1, length }, data.to_vec());
    let all = signal.known().chunks_exact(length).map(one).collect::<std::result::Result<Vec<_>, _>>();
    let all = all.map_err(codec::Error::from)?;
    Ok(all.into_iter().map(|channel| channel.with_rate(signal.rate())).collect())
}
