//! Reply of an inference: JSON, and binary tensors behind it.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use super::HEADER_LENGTH;
use super::encoding::Coding;
use super::tensor::{Datatype, Output};
use crate::api::clock::Times;
use crate::api::error::{Code, Problem};
use crate::sample::{Sample, Shape};

/// Result of an inference, the JSON of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferReply {
    /// The model, as the request names it.
    #[schema(example = "photo-gray")]
    model_name: String,
    /// Version that computed it.
    #[schema(example = "1")]
    model_version: String,
    /// Id of the request, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The outputs that were asked for, in their order.
    outputs: Vec<InferResult>,
}

/// Output tensor of a reply.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferResult {
    /// `denoised` or `latent`.
    #[schema(example = "denoised")]
    name: &'static str,
    /// FP32 of `denoised`, BYTES of `latent`.
    datatype: Datatype,
    /// Extents, samples first.
    #[schema(example = json!([1, 1, 2, 2]))]
    shape: Vec<usize>,
    /// Parameters of the binary form.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<InferResultParameters>,
    /// Elements, flat, row by row; absent in binary form.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<InferData>,
}

/// Parameters of an output in binary form.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferResultParameters {
    /// Bytes of the tensor behind the JSON.
    binary_data_size: usize,
}

/// Elements of an output in JSON.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum InferData {
    /// Numbers; `null` for one that is missing.
    Numbers(Vec<f32>),
    /// Latent files, in base64.
    Files(Vec<String>),
}

/// Results for one output.
#[derive(Debug)]
pub(super) enum Results {
    /// Clean samples, all of one shape.
    Samples(Vec<Sample>),
    /// Latent files.
    Files(Vec<Vec<u8>>),
}

/// Results of a request.
#[derive(Debug)]
pub(super) struct Reply {
    /// The model, as the request names it.
    pub(super) model: String,
    /// Version that computed them.
    pub(super) version: u32,
    /// Id of the request.
    pub(super) id: Option<String>,
    /// Results in their order, each with `true` for the binary form.
    pub(super) results: Vec<(Output, bool, Results)>,
}

/// Checks that samples form one tensor.
///
/// # Errors
/// 400 `shape_mismatch` with the first that differs.
pub(super) fn check_alike(mut shapes: impl Iterator<Item = Shape>) -> Result<(), Problem> {
    let Some(first) = shapes.next() else { return Ok(()) };
    match shapes.find(|shape| *shape != first) {
        None => Ok(()),
        Some(other) => {
            let detail = format!(
                "denoised is one tensor, so all samples of a request have one shape: the first is {first}, another {other}; \
                 send them in several"
            );
            Err(Problem::new(Code::ShapeMismatch, detail))
        }
    }
}

impl Results {
    fn numbers(&self) -> usize {
        match self {
            Self::Samples(samples) => samples.iter().map(|sample| sample.shape().numbers()).sum(),
            Self::Files(files) => files.iter().map(|file| file.len().div_ceil(4) + 1).sum(),
        }
    }

    fn shape(&self) -> Vec<usize> {
        match self {
            Self::Samples(samples) => {
                let sample = samples.first().map(|sample| sample.shape().dims()).unwrap_or_default();
                [vec![samples.len()], sample].concat()
            }
            Self::Files(files) => vec![files.len()],
        }
    }

    fn data(&self) -> InferData {
        match self {
            Self::Samples(samples) => {
                InferData::Numbers(samples.iter().flat_map(|sample| sample.written().into_owned()).collect())
            }
            Self::Files(files) => InferData::Files(files.iter().map(|file| STANDARD.encode(file)).collect()),
        }
    }

    /// Appends the binary form, and returns its length.
    fn append(&self, to: &mut Vec<u8>) -> Result<usize, Problem> {
        let before = to.len();
        match self {
            Self::Samples(samples) => {
                for sample in samples {
                    to.extend(sample.written().iter().flat_map(|v| v.to_le_bytes()));
                }
            }
            Self::Files(files) => {
                for file in files {
                    let length = u32::try_from(file.len()).map_err(Problem::internal)?;
                    to.extend(length.to_le_bytes());
                    to.extend(file);
                }
            }
        }
        Ok(to.len() - before)
    }
}

impl Reply {
    /// Bytes of memory that writing takes at most, about.
    pub(super) fn bytes_to_write(&self) -> usize {
        // Both forms twice: alone, and within the body; a number has up to 20 bytes of text.
        let each = |(_, is_binary, results): &(_, bool, Results)| {
            results.numbers().saturating_mul(if *is_binary { 12 } else { 48 })
        };
        self.results.iter().map(each).fold(0, usize::saturating_add)
    }

    /// Writes head and body of the reply.
    ///
    /// # Errors
    /// A latent of 4 GiB.
    pub(super) fn write(
        self,
        coding: Option<Coding>,
        mut times: Times,
    ) -> Result<(HeaderMap, Vec<u8>), Problem> {
        let mut binary = Vec::new();
        let mut outputs = Vec::with_capacity(self.results.len());
        for (output, is_binary, results) in self.results {
            let (name, datatype, shape) = (output.name(), output.datatype(), results.shape());
            let (parameters, data) = if is_binary {
                let binary_data_size = results.append(&mut binary)?;
                (Some(InferResultParameters { binary_data_size }), None)
            } else {
                (None, Some(results.data()))
            };
            outputs.push(InferResult { name, datatype, shape, parameters, data });
        }
        let is_binary = outputs.iter().any(|output| output.parameters.is_some());
        let (model_name, model_version) = (self.model, self.version.to_string());
        let reply = InferReply { model_name, model_version, id: self.id, outputs };
        let mut body = serde_json::to_vec(&reply).map_err(Problem::internal)?;
        drop(reply);
        let mut headers = HeaderMap::new();
        if is_binary {
            headers.insert(HeaderName::from_static(HEADER_LENGTH), HeaderValue::from(body.len()));
            body.extend(binary);
        }
        let kind = if is_binary { "application/octet-stream" } else { "application/json" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(coding) = coding {
            body = coding.pack(&body).map_err(Problem::internal)?;
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        times.lap("write");
        headers.extend([times.to_header()]);
        Ok((headers, body))
    }
}
