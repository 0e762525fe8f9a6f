//! Writing: encodes results as a file of the same kind as the input.

use serde_json::{Map, Value};

use super::carrier::dtype_of;
use super::{Carrier, Error, Result};
use crate::codec::{self, Array, DType, Depth, Format, Layout, Wave};
use crate::sample::{Kind, Sample, Shape};

/// Sample rate of a WAV file for a signal without a rate, in Hz.
const USUAL_RATE: u32 = 48_000;

/// An encoded file.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Content of the file.
    pub bytes: Vec<u8>,
    /// Extents and number type, if the format does not store them.
    pub tensor: Option<(Vec<usize>, DType)>,
}

impl Carrier {
    /// Encodes `results` as a file, in place of the input samples of this carrier.
    ///
    /// # Errors
    /// As for [`Carrier::check`], which reports them before anything is computed.
    pub fn write(&self, results: &[Sample], format: Format, depth: Option<Depth>) -> Result<File> {
        let bytes = match format {
            Format::Npy => {
                let array = self.array(results, depth)?;
                codec::write_npy(&array, array.dtype)?
            }
            Format::Raw => {
                let array = self.array(results, depth)?;
                let bytes = codec::write_raw(&array, array.dtype);
                return Ok(File { bytes, tensor: Some((array.dims, array.dtype)) });
            }
            Format::Json => {
                let data = codec::array_to_json(&self.array(results, depth)?);
                Value::Object(Map::from_iter([("data".to_owned(), data)])).to_string().into_bytes()
            }
            Format::Wav => self.wave(results, depth)?,
            Format::Csv => self.table(results)?,
            Format::Png | Format::Jpeg | Format::Tiff | Format::WebP | Format::Pnm => {
                self.pictures(results, format, depth)?
            }
            Format::Latent => {
                let what = "a sample is no latent; POST /encode makes one".to_owned();
                return Err(codec::Error::Unsupported { what }.into());
            }
        };
        Ok(File { bytes, tensor: None })
    }

    /// Joins `results` into an array.
    ///
    /// # Errors
    /// The results have several shapes.
    pub fn array(&self, results: &[Sample], depth: Option<Depth>) -> Result<Array> {
        let first = results.first().map_or(Shape::Vector { features: 0 }, Sample::shape);
        let usual = Layout { dtype: self.dtype(), ..Layout::default_for(first) };
        let layout = match self {
            // Channels of one signal that were denoised separately go back to its axes.
            Carrier::Array(layout, _)
                if !layout.batched && results.len() > 1 && first.kind() == Kind::Signal =>
            {
                let dtype = depth.map_or(layout.dtype, dtype_of);
                let whole = joined(results, Format::Npy)?;
                return Ok(Array::from_samples(&[whole], &Layout { dtype, ..*layout })?);
            }
            Carrier::Array(layout, _) => *layout,
            Carrier::Pictures(_) | Carrier::Bare(_) => Layout { batched: results.len() > 1, ..usual },
            // Channels that were denoised separately are joined to one array.
            Carrier::Wave(_) | Carrier::Table(_) if results.len() > 1 && first.kind() == Kind::Signal => {
                Layout { batched: true, axes: codec::Axes::L, ..usual }
            }
            Carrier::Wave(_) | Carrier::Table(_) => Layout { batched: first.kind() == Kind::Vector, ..usual },
        };
        let dtype = depth.map_or(layout.dtype, dtype_of);
        Ok(Array::from_samples(results, &Layout { dtype, ..layout })?)
    }

    fn pictures(&self, results: &[Sample], format: Format, depth: Option<Depth>) -> Result<Vec<u8>> {
        let plain = codec::Carrier::plain(format, self.depth(format, None));
        let pages: Vec<_> = match self {
            Carrier::Pictures(carriers) => results.iter().zip(carriers).collect(),
            Carrier::Array(..) | Carrier::Wave(_) | Carrier::Table(_) | Carrier::Bare(_) => {
                results.iter().map(|result| (result, &plain)).collect()
            }
        };
        Ok(codec::write_images(&pages, format, depth)?)
    }

    fn wave(&self, results: &[Sample], depth: Option<Depth>) -> Result<Vec<u8>> {
        // WAV requires a rate even if none is known; 48 kHz is common.
        let own = if let Carrier::Wave(wave) = self { *wave } else { Wave::float(USUAL_RATE) };
        let wave = match depth {
            None => own,
            Some(Depth::U8) => Wave { bits: 8, float: false, ..own },
            Some(Depth::U16) => Wave { bits: 16, float: false, ..own },
            Some(Depth::F32) => Wave::float(own.rate),
        };
        Ok(codec::write_wav(&joined(results, Format::Wav)?, wave)?)
    }

    /// Encodes a table of vectors, one per row, or of one signal, one column per channel.
    fn table(&self, results: &[Sample]) -> Result<Vec<u8>> {
        let is_vectors = results.iter().all(|sample| sample.shape().kind() == Kind::Vector);
        let columns: Vec<Vec<f32>> = if is_vectors {
            let width = results.first().map_or(0, |first| first.data().len());
            {
                let rows: Vec<_> = results.iter().map(Sample::written).collect();
                (0..width).map(|at| rows.iter().map(|row| row[at]).collect()).collect()
            }
        } else {
            let signal = joined(results, Format::Csv)?;
            let length = signal.data().len() / signal.shape().channels();
            signal.written().chunks(length).map(<[f32]>::to_vec).collect()
        };
        if let Carrier::Table(form) = self {
            return Ok(form.write(&columns)?);
        }
        let length = columns.first().map_or(0, Vec::len);
        let row = |row: usize| columns.iter().map(|column| column[row]).collect::<Vec<f32>>();
        let rows: Vec<Vec<f32>> = (0..length).map(row).collect();
        Ok(codec::write_csv(rows.iter().map(Vec::as_slice)))
    }
}

/// Joins results that are channels of one signal.
fn joined(results: &[Sample], format: Format) -> Result<Sample> {
    let kind = results.first().map(|first| first.shape().kind());
    match results {
        [one] if kind == Some(Kind::Signal) => Ok(one.clone()),
        [first, ..] if kind == Some(Kind::Signal) => {
            let length = first.data().len() / first.shape().channels();
            let channels = results.iter().map(|one| one.shape().channels()).sum();
            let data = results.iter().flat_map(|one| one.data().iter().copied()).collect();
            let joined = Sample::new(Shape::Signal { channels, length }, data).map_err(codec::Error::from)?;
            Ok(joined.with_gaps_of_parts(results))
        }
        all => {
            let kind = all.first().map_or(Kind::Vector, |first| first.shape().kind());
            Err(Error::Kind { format, holds: "signals", kind, instead: "npy" })
        }
    }
}
