//! Files: one result as bytes of a format, or as a member of a JSON object.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};

use crate::api::error::Problem;
use crate::api::json::{Base64, JsonSample, LatentOrFile, Nested};
use crate::codec::{self, DType, Depth, Format, JsonLatent, JsonTensor};
use crate::media::Carrier;
use crate::name::ModelId;
use crate::sample::{Latent, Sample};

/// A result.
#[derive(Debug)]
pub(in crate::api) enum Payload {
    /// Samples, in what theirs came in.
    Samples(Carrier, Vec<Sample>),
    /// A latent and the model it belongs to.
    Latent(ModelId, Latent),
}

/// One file of a reply.
pub(super) struct Entity {
    pub(super) bytes: Vec<u8>,
    pub(super) format: Format,
    /// Extents and dtype, where the bytes do not hold them.
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

    /// Numbers of its samples or of its latent.
    pub(super) fn numbers(&self) -> usize {
        match self {
            Payload::Samples(_, samples) => samples.iter().map(|sample| sample.shape().numbers()).sum(),
            Payload::Latent(_, latent) => latent.numbers(),
        }
    }

    /// The format it is written in unless another is requested.
    pub(super) fn format(&self) -> Format {
        match self {
            Payload::Samples(carrier, _) => carrier.format(),
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
            Payload::Samples(carrier, samples) => Entity::of(carrier, samples, format, depth),
        }
    }

    /// The result in JSON.
    pub(super) fn json(&self, format: Option<Format>, depth: Option<Depth>) -> Result<JsonSample, Problem> {
        let (carrier, samples) = match self {
            Payload::Latent(id, latent) => {
                return Ok(JsonSample::Latent(LatentOrFile::Json(JsonLatent::of(id, latent))));
            }
            Payload::Samples(carrier, samples) => (carrier, samples),
        };
        let format = format.unwrap_or_else(|| self.format());
        if format.is_image() {
            let entity = Entity::of(carrier, samples, format, depth)?;
            return Ok(JsonSample::Image(Base64(entity.bytes.into())));
        }
        let array = carrier.array(samples, depth)?;
        match format {
            Format::Json => Ok(JsonSample::Data(Nested(codec::array_to_json(&array)))),
            _ => Ok(JsonSample::Tensor(JsonTensor::of(&array, array.dtype))),
        }
    }
}

impl Entity {
    fn of(
        carrier: &Carrier,
        samples: &[Sample],
        format: Format,
        depth: Option<Depth>,
    ) -> Result<Self, Problem> {
        let file = carrier.write(samples, format, depth)?;
        Ok(Self { bytes: file.bytes, format, tensor: file.tensor })
    }

    /// Writes the format of the bytes into `headers`.
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
