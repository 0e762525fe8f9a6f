//! Reading: decodes a file of any format to samples.

use serde_json::Value;

use super::{Carrier, Result};
use crate::codec::{self, Array, Format, Table};
use crate::limits::Limits;
use crate::sample::{Kind, Sample, Shape, Spec};

/// Samples of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The samples: one, or several from a stack, an array or a table.
    pub samples: Vec<Sample>,
    /// Container of the samples.
    pub carrier: Carrier,
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

/// Decodes a file of `format` to samples for a model with input `spec`. Without `spec`, the kind of an array is guessed
/// from its axes, and a table holds vectors.
///
/// # Errors
/// Errors of the format; a shape that is over the limits, or that the model does not accept.
pub fn read(bytes: &[u8], format: Format, spec: Option<&Spec>, limits: &Limits) -> Result<Content> {
    match format {
        Format::Png | Format::Jpeg | Format::Tiff | Format::WebP | Format::Pnm => {
            let pictures = codec::read_images(bytes, Some(format), limits)?;
            let (carriers, samples) = pictures.into_iter().map(|p| (p.carrier, p.sample)).unzip();
            Ok(Content { samples, carrier: Carrier::Pictures(carriers) })
        }
        Format::Npy => Content::of_array(codec::read_npy(bytes, limits)?, format, spec, limits),
        Format::Wav => {
            let (sample, wave) = codec::read_wav(bytes, limits)?;
            Ok(Content { samples: channels_of(sample, spec)?, carrier: Carrier::Wave(wave) })
        }
        Format::Csv => of_table(codec::read_csv(bytes, limits)?, spec, limits),
        Format::Json => {
            let value: Value = serde_json::from_slice(bytes)
                .map_err(|e| codec::Error::Malformed { what: "json".to_owned(), reason: e.to_string() })?;
            let data = value.get("data").unwrap_or(&value);
            Content::of_array(codec::array_from_json(data, limits)?, format, spec, limits)
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
    pub fn of_array(array: Array, format: Format, spec: Option<&Spec>, limits: &Limits) -> Result<Self> {
        let spec = match spec {
            Some(spec) => spec.clone(),
            None => array.guess_kind()?,
        };
        codec::check_count(array.sample_count(&spec)?, limits)?;
        let (samples, layout) = array.into_samples(&spec)?;
        for sample in &samples {
            codec::check_shape(sample.shape(), limits)?;
        }
        Ok(Self { samples, carrier: Carrier::Array(layout, format) })
    }
}

/// Converts a table: for signals, one sample, or one per channel if the model has one channel; else one vector per row.
fn of_table(table: Table, spec: Option<&Spec>, limits: &Limits) -> Result<Content> {
    let (columns, form) = table.select(spec)?;
    let samples = samples_of(columns, spec, limits)?;
    Ok(Content { samples, carrier: Carrier::Table(form) })
}

/// Converts the columns of a table to samples.
///
/// # Errors
/// The samples are over the limits, or the model does not accept them.
pub fn samples_of(columns: Vec<Vec<f32>>, spec: Option<&Spec>, limits: &Limits) -> Result<Vec<Sample>> {
    let length = columns.first().map_or(0, Vec::len);
    if spec.is_some_and(|spec| spec.kind == Kind::Signal) {
        let shape = Shape::Signal { channels: columns.len(), length };
        codec::check_shape(shape, limits)?;
        let sample = Sample::new(shape, columns.concat()).map_err(codec::Error::from)?;
        return channels_of(sample, spec);
    }
    codec::check_rows(length, limits)?;
    let shape = Shape::Vector { features: columns.len() };
    if let Some(fixed) = spec.and_then(|spec| spec.fixed).filter(|fixed| *fixed != shape) {
        let got = format!("rows of {} measured column(s)", columns.len());
        return Err(codec::Error::Shape { expected: fixed.to_string(), got }.into());
    }
    let row = |row: usize| Sample::new(shape, columns.iter().map(|column| column[row]).collect());
    let samples = (0..length).map(row).collect::<std::result::Result<_, _>>();
    Ok(samples.map_err(codec::Error::from)?)
}

/// Splits a signal into its channels if the model has one channel.
fn channels_of(signal: Sample, spec: Option<&Spec>) -> Result<Vec<Sample>> {
    let Shape::Signal { channels, length } = signal.shape() else { return Ok(vec![signal]) };
    if channels == 1 || spec.is_none_or(|spec| spec.kind != Kind::Signal || spec.channels != 1) {
        return Ok(vec![signal]);
    }
    let one = |data: &[f32]| Sample::new(Shape::Signal { channels: 1, length }, data.to_vec());
    let all = signal.data().chunks_exact(length).map(one).collect::<std::result::Result<_, _>>();
    Ok(all.map_err(codec::Error::from)?)
}
