//! Body of an inference request: JSON with binary tensors behind it, or a tensor alone.

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde_json::Value;

use super::HEADER_LENGTH;
use super::input::{Input, Values};
use super::model::{Model, Part};
use super::parameters::Parameters;
use super::request::{Asked, InferRequest};
use super::tensor::{FREE, Tensor};
use crate::api::error::Problem;
use crate::api::fields::shown;
use crate::limits::Limits;
use crate::pointer;

/// Body of a request, divided.
#[derive(Debug)]
pub(super) enum Body {
    /// JSON, and binary tensors behind it.
    Json(Bytes, Bytes),
    /// The input tensor alone.
    Raw(Bytes),
}

impl Body {
    /// Divides a body, unpacked, by the header that states the length of its JSON.
    ///
    /// # Errors
    /// 400 for a length that is none, or that the body does not have; for an empty body.
    pub(super) fn divide(headers: &HeaderMap, mut body: Bytes) -> Result<Self, Problem> {
        if body.is_empty() {
            return Err(Problem::invalid("the body is empty; send an inference request"));
        }
        let Some(stated) = headers.get(HEADER_LENGTH) else { return Ok(Self::Json(body, Bytes::new())) };
        let length = stated.to_str().ok().and_then(|text| text.trim().parse::<usize>().ok());
        match length.filter(|length| *length <= body.len()) {
            Some(0) => Ok(Self::Raw(body)),
            Some(length) => {
                let head = body.split_to(length);
                Ok(Self::Json(head, body))
            }
            None => Err(Problem::invalid(format!(
                "Inference-Header-Content-Length: expected the bytes of the JSON, 0 to the {} of the body, got {}",
                body.len(),
                shown(stated.to_str().unwrap_or("no text"))
            ))),
        }
    }

    /// The part of the body that is JSON; empty for a raw tensor.
    pub(super) fn head(&self) -> Bytes {
        match self {
            Self::Json(head, _) => head.clone(),
            Self::Raw(_) => Bytes::new(),
        }
    }

    /// Reads the request for a model.
    ///
    /// # Errors
    /// 400 with a pointer to the member that does not fit the protocol or the model; 413 over `samples`.
    pub(super) fn read(self, model: &Model, limits: &Limits) -> Result<Asked, Problem> {
        let tensor = model.part.input(&model.input);
        let asked = match self {
            Self::Raw(bytes) => Asked::of_raw(model.part, &tensor, bytes)?,
            Self::Json(head, binary) => {
                let value: Value = serde_json::from_slice(&head)
                    .map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))?;
                pointer::read::<InferRequest>(value)?.check(model.part, &tensor, binary)?
            }
        };
        asked.input.check(&tensor, limits).map_err(|problem| problem.under("/inputs/0"))?;
        if model.part == Part::Decoder {
            asked.parameters.check_decoder()?;
        }
        Ok(asked)
    }
}

impl Asked {
    /// The request that a tensor alone stands for: all outputs, in binary form.
    ///
    /// # Errors
    /// 400 if the shape does not follow from the number of bytes.
    fn of_raw(part: Part, tensor: &Tensor, bytes: Bytes) -> Result<Self, Problem> {
        let parameters = Parameters::of_raw();
        let outputs = part.outputs().iter().map(|output| (*output, true)).collect();
        let Some(dtype) = tensor.datatype.dtype() else {
            let input =
                Input { shape: vec![1], datatype: tensor.datatype, values: Values::Files(vec![bytes]) };
            return Ok(Self { id: None, parameters, input, outputs });
        };
        if tensor.shape.iter().filter(|extent| **extent == FREE).count() > 1 {
            let detail = format!(
                "a tensor without JSON needs a shape with one -1 at most, that of {} is {:?}; send its shape as JSON",
                tensor.name, tensor.shape
            );
            return Err(Problem::invalid(detail));
        }
        let sizes = tensor.shape.iter().filter(|extent| **extent != FREE);
        let sizes = sizes.map(|extent| usize::try_from(*extent).unwrap_or(usize::MAX));
        let each = sizes.fold(dtype.bytes(), usize::saturating_mul);
        if !bytes.len().is_multiple_of(each) {
            let detail =
                format!("{} bytes are no whole samples of {} of {each} bytes", bytes.len(), tensor.name);
            return Err(Problem::invalid(detail));
        }
        let free = bytes.len() / each;
        let extent = |extent: &i64| usize::try_from(*extent).unwrap_or(free);
        let shape = tensor.shape.iter().map(extent).collect();
        let input = Input { shape, datatype: tensor.datatype, values: Values::Binary(bytes) };
        Ok(Self { id: None, parameters, input, outputs })
    }
}
