//! Files: one result as bytes of a format, or as a member of a JSON object.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::api::error::{Code, Problem};
use crate::api::reading::Wrap;
use crate::codec::{self, Array, Carrier, DType, Depth, Format, Layout, Wave};
use crate::name::ModelId;
use crate::sample::{Kind, Latent, Sample};

/// A result.
#[derive(Debug)]
pub(in crate::api) enum Payload {
    /// Samples, in what theirs came in.
    Samples(Wrap, Vec<Sample>),
    /// A latent and the model it belongs to.
    Latent(ModelId, Latent),
}

/// One file of a reply.
pub(super) struct Entity {
    pub(super) bytes: Vec<u8>,
    pub(super) format: Format,
    /// Extents and dtype, where the bytes do not tell them.
    tensor: Option<(Vec<usize>, DType)>,
}

impl Payload {
    /// Bytes that its numbers take.
    pub(in crate::api) fn bytes(&self) -> usize {
        match self {
            Payload::Samples(_, samples) => {
                samples.iter().map(|sample| sample.shape().numbers() * sample.depth().bytes()).sum()
            }
            Payload::Latent(_, latent) => latent.numbers() * size_of::<f32>(),
        }
    }

    /// Its numbers.
    pub(super) fn numbers(&self) -> usize {
        match self {
            Payload::Samples(_, samples) => samples.iter().map(|sample| sample.shape().numbers()).sum(),
            Payload::Latent(_, latent) => latent.numbers(),
        }
    }

    /// The format it is written in unless told otherwise.
    pub(super) fn format(&self) -> Format {
        match self {
            Payload::Samples(wrap, _) => wrap.format(),
            Payload::Latent(..) => Format::Latent,
        }
    }

    /// One file of `format`, or of its own.
    pub(super) fn entity(&self, format: Option<Format>, depth: Option<Depth>) -> Result<Entity, Problem> {
        let format = format.unwrap_or_else(|| self.format());
        match self {
            Payload::Latent(id, latent) => {
                Ok(Entity { bytes: codec::write_latent(id, latent), format: Format::Latent, tensor: None })
            }
            Payload::Samples(wrap, samples) => sample_entity(wrap, samples, format, depth),
        }
    }

    /// The member of a JSON object that holds it.
    pub(super) fn member(
        &self,
        format: Option<Format>,
        depth: Option<Depth>,
    ) -> Result<(&'static str, Value), Problem> {
        let (wrap, samples) = match self {
            Payload::Latent(id, latent) => return Ok(("latent", codec::latent_to_json(id, latent))),
            Payload::Samples(wrap, samples) => (wrap, samples),
        };
        match format.unwrap_or_else(|| self.format()) {
            Format::Json => Ok(("data", codec::array_to_json(&to_array(wrap, samples, depth)?))),
            Format::Raw | Format::Npy | Format::Wav | Format::Csv => {
                let array = to_array(wrap, samples, depth)?;
                let dtype = array.dtype;
                Ok(("tensor", codec::tensor_to_json(&array, dtype)))
            }
            image => {
                let entity = sample_entity(wrap, samples, image, depth)?;
                Ok(("image", STANDARD.encode(entity.bytes).into()))
            }
        }
    }
}

impl Wrap {
    /// The format samples in it are written in unless told otherwise.
    pub(super) fn format(&self) -> Format {
        match self {
            Wrap::Pictures(carriers) => carriers[0].format,
            Wrap::Array(_, format) => *format,
            Wrap::Wave(_) => Format::Wav,
        }
    }
}

impl Entity {
    /// Says in `headers` what the bytes are.
    pub(super) fn describe(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.format.media_type()));
        if let Some((dims, dtype)) = &self.tensor {
            let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
            let dims = HeaderValue::try_from(dims.join(",")).expect("digits and commas");
            headers.insert("x-tensor-shape", dims);
            headers.insert("x-tensor-dtype", HeaderValue::from_static(dtype.name()));
        }
    }
}

fn sample_entity(
    wrap: &Wrap,
    samples: &[Sample],
    format: Format,
    depth: Option<Depth>,
) -> Result<Entity, Problem> {
    let bytes = match format {
        Format::Npy => {
            let array = to_array(wrap, samples, depth)?;
            codec::write_npy(&array, array.dtype)?
        }
        Format::Raw => {
            let array = to_array(wrap, samples, depth)?;
            let bytes = codec::write_raw(&array, array.dtype);
            return Ok(Entity { bytes, format, tensor: Some((array.dims, array.dtype)) });
        }
        Format::Json => {
            let data = codec::array_to_json(&to_array(wrap, samples, depth)?);
            let whole = Map::from_iter([("data".to_owned(), data)]);
            serde_json::to_vec(&whole).map_err(Problem::internal)?
        }
        Format::Wav => wave(wrap, samples, depth)?,
        Format::Csv => table(wrap, samples, depth)?,
        image if samples.len() > 1 && image != Format::Tiff => {
            let detail =
                format!("{image} holds one image, this has {}; ask for image/tiff or npy", samples.len());
            return Err(Problem::new(Code::NotAcceptable, detail));
        }
        image => {
            let plain = Carrier::plain(
                image,
                match wrap {
                    Wrap::Array(layout, _) => depth_of(layout.dtype, image),
                    _ => Depth::U8,
                },
            );
            let pages: Vec<_> = match wrap {
                Wrap::Pictures(carriers) => samples.iter().zip(carriers).collect(),
                _ => samples.iter().map(|sample| (sample, &plain)).collect(),
            };
            codec::write_images(&pages, image, depth)?
        }
    };
    Ok(Entity { bytes, format, tensor: None })
}

/// The WAV file of one signal.
fn wave(wrap: &Wrap, samples: &[Sample], depth: Option<Depth>) -> Result<Vec<u8>, Problem> {
    let [one] = samples else {
        let detail = format!("a WAV file holds one signal, the array has {}; ask for npy", samples.len());
        return Err(Problem::new(Code::NotAcceptable, detail));
    };
    // A rate has to be written even where none is known; this is the usual one.
    let own = if let Wrap::Wave(wave) = wrap { *wave } else { Wave::float(48_000) };
    let wave = match depth {
        None => own,
        Some(Depth::U8) => Wave { bits: 8, float: false, ..own },
        Some(Depth::U16) => Wave { bits: 16, float: false, ..own },
        Some(Depth::F32) => Wave::float(own.rate),
    };
    Ok(codec::write_wav(one, wave)?)
}

/// The table of vectors, a row each, or of one signal, a column for each channel.
fn table(wrap: &Wrap, samples: &[Sample], depth: Option<Depth>) -> Result<Vec<u8>, Problem> {
    let is_signal = samples[0].shape().kind() == Kind::Signal;
    let array = to_array(wrap, samples, depth)?;
    let (width, length) = match (array.dims.as_slice(), is_signal) {
        (&[length], true) => (1, length),
        (&[width], false) => (width, 1),
        (&[channels, length], true) => (channels, length),
        (&[count, width], false) => (width, count),
        _ => {
            let detail = "a table holds vectors or one signal; ask for npy";
            return Err(Problem::new(Code::NotAcceptable, detail));
        }
    };
    if !is_signal {
        return Ok(codec::write_csv(array.data.chunks(width)));
    }
    let step = |t: usize| array.data.iter().skip(t).step_by(length).copied().collect();
    let steps: Vec<Vec<f32>> = (0..length).map(step).collect();
    Ok(codec::write_csv(steps.iter().map(Vec::as_slice)))
}

/// How fine an image file of numbers of `dtype` is to be.
pub(super) fn depth_of(dtype: DType, format: Format) -> Depth {
    match dtype {
        DType::U8 => Depth::U8,
        DType::U16 => Depth::U16,
        // Only TIFF keeps floats; elsewhere 8 bits are what a viewer expects.
        _ if format == Format::Tiff => Depth::F32,
        _ => Depth::U8,
    }
}

/// The depth that no page of a file goes beyond.
pub(super) fn finest(carriers: &[Carrier]) -> Depth {
    carriers.iter().map(|carrier| carrier.depth).max().unwrap_or(Depth::U8)
}

fn to_array(wrap: &Wrap, samples: &[Sample], depth: Option<Depth>) -> Result<Array, Problem> {
    let dtype = |depth| match depth {
        Depth::U8 => DType::U8,
        Depth::U16 => DType::U16,
        Depth::F32 => DType::F32,
    };
    let is_image = samples.iter().all(|sample| sample.shape().kind() == Kind::Image);
    let layout = match wrap {
        Wrap::Array(layout, _) => *layout,
        Wrap::Pictures(carriers) => Layout {
            dtype: dtype(finest(carriers)),
            batched: samples.len() > 1,
            ..Layout::default_for(samples[0].shape())
        },
        Wrap::Wave(_) => Layout::default_for(samples[0].shape()),
    };
    let layout = match depth {
        Some(depth) if is_image || depth == Depth::F32 => Layout { dtype: dtype(depth), ..layout },
        Some(_) => {
            return Err(Problem::invalid_at("/depth", "only images have 8 or 16 bits; use same or float"));
        }
        None => layout,
    };
    Ok(Array::from_samples(samples, &layout)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Shape;

    #[test]
    fn floats_become_8_bits_in_a_png_and_stay_in_an_array() {
        let samples = [Sample::new(Shape::image(1, 2, 2), vec![0.0, 0.25, 0.5, 1.0]).unwrap()];
        let wrap = Wrap::Array(Layout::default_for(samples[0].shape()), Format::Json);
        let data = to_array(&wrap, &samples, None).unwrap().data;
        assert_eq!(data, [0.0, 0.25, 0.5, 1.0]);
        let data = to_array(&wrap, &samples, Some(Depth::U8)).unwrap();
        assert_eq!((data.dtype, data.data[3]), (DType::U8, 255.0));
        assert!(sample_entity(&wrap, &samples, Format::Png, None).is_ok());
    }
}
