//! Request of an inference: its JSON, checked against the model.

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::input::{Input, Values};
use super::model::Part;
use super::parameters::Parameters;
use super::tensor::{Datatype, Output, Tensor};
use crate::api::error::Problem;

/// Inference request, the JSON of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InferRequest)]
pub(super) struct InferRequest {
    /// Id that the reply repeats.
    id: Option<String>,
    /// Taken and of no effect, as `model_version`: the path names the model.
    #[expect(dead_code, reason = "some clients send it")]
    model_name: Option<String>,
    /// See `model_name`.
    #[expect(dead_code, reason = "some clients send it")]
    model_version: Option<String>,
    /// Parameters.
    #[serde(default)]
    #[schema(value_type = Parameters)]
    parameters: Map<String, Value>,
    /// The one input of the model.
    #[schema(min_items = 1, max_items = 1)]
    inputs: Vec<InferInput>,
    /// Outputs that are wanted; all of the model when absent. `latent` alone runs the encoder alone.
    outputs: Option<Vec<InferOutput>>,
}

/// Input tensor of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InferInput {
    /// Name: `image`, `signal` or `vector` by the kind of the model, `latent` of a decoder.
    #[schema(example = "image")]
    name: String,
    /// Extents, samples first: `(N, C, H, W)`, `(N, C, L)`, `(N, F)`; `(N)` of files.
    #[schema(example = json!([1, 1, 2, 2]))]
    shape: Vec<usize>,
    /// Type of the elements.
    datatype: Datatype,
    /// Parameters.
    #[serde(default)]
    parameters: InferInputParameters,
    /// Elements, nested or flat, row by row; files as base64. Absent where they follow the JSON.
    #[schema(example = json!([0.1, 0.2, 0.3, 0.4]))]
    data: Option<Value>,
}

/// Parameters of an input tensor.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InferInputParameters {
    /// Bytes of the tensor behind the JSON.
    binary_data_size: Option<usize>,
}

/// Output that a request wants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InferOutput {
    /// Name: `denoised` or `latent`.
    #[schema(example = "denoised")]
    name: String,
    /// Parameters.
    #[serde(default)]
    parameters: InferOutputParameters,
}

/// Parameters of an output.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InferOutputParameters {
    /// Binary form, behind the JSON; as `binary_data_output` says when absent.
    binary_data: Option<bool>,
}

/// Inference request, checked against the model.
#[derive(Debug)]
pub(super) struct Asked {
    /// Id that the reply repeats.
    pub(super) id: Option<String>,
    /// Parameters.
    pub(super) parameters: Parameters,
    /// The input.
    pub(super) input: Input,
    /// Outputs in the order of the reply, each with `true` for the binary form.
    pub(super) outputs: Vec<(Output, bool)>,
}

impl InferRequest {
    /// Checks the request against the input and the outputs of a part of a model; `binary` are the bytes behind the JSON.
    ///
    /// # Errors
    /// 400 with a pointer to the member that does not fit.
    pub(super) fn check(self, part: Part, tensor: &Tensor, binary: Bytes) -> Result<Asked, Problem> {
        let parameters = Parameters::read(self.parameters)?;
        let outputs = match self.outputs {
            None => part.outputs().iter().map(|output| (*output, parameters.is_binary())).collect(),
            Some(asked) => outputs(part, &asked, parameters.is_binary())?,
        };
        let count = self.inputs.len();
        let Ok([input]) = <[InferInput; 1]>::try_from(self.inputs) else {
            let detail = format!("expected the one input {}, got {count}", tensor.name);
            return Err(Problem::invalid_at("/inputs", detail));
        };
        let input = input.check(tensor, binary).map_err(|problem| problem.under("/inputs/0"))?;
        Ok(Asked { id: self.id, parameters, input, outputs })
    }
}

impl InferInput {
    fn check(self, tensor: &Tensor, binary: Bytes) -> Result<Input, Problem> {
        if self.name != tensor.name {
            let shown: String = self.name.chars().take(80).collect();
            let detail = format!("expected {}, the input of this model, got {shown:?}", tensor.name);
            return Err(Problem::invalid_at("/name", detail));
        }
        let values = match (self.parameters.binary_data_size, self.data) {
            (Some(size), None) if size == binary.len() => Values::Binary(binary),
            (Some(size), None) => {
                let detail = format!("{size} bytes are stated, {} follow the JSON", binary.len());
                return Err(Problem::invalid_at("/parameters/binary_data_size", detail));
            }
            (None, Some(data)) if binary.is_empty() => Values::Json(data),
            (None, Some(_)) => {
                let detail = format!("{} bytes follow the JSON, which no input states", binary.len());
                return Err(Problem::invalid_at("/parameters", detail));
            }
            (Some(_), Some(_)) => {
                return Err(Problem::invalid_at("/data", "data and binary_data_size in one input"));
            }
            (None, None) => return Err(Problem::invalid_at("/data", "missing")),
        };
        Ok(Input { shape: self.shape, datatype: self.datatype, values })
    }
}

/// The outputs that are asked for: each one of the model's, once.
fn outputs(part: Part, asked: &[InferOutput], is_binary: bool) -> Result<Vec<(Output, bool)>, Problem> {
    let known = part.outputs();
    if asked.is_empty() || asked.len() > known.len() {
        let detail = format!("expected 1 to {} outputs, got {}", known.len(), asked.len());
        return Err(Problem::invalid_at("/outputs", detail));
    }
    let mut found: Vec<(Output, bool)> = Vec::new();
    for (at, InferOutput { name, parameters }) in asked.iter().enumerate() {
        let output = known.iter().find(|output| output.name() == name);
        match output.filter(|output| found.iter().all(|(earlier, _)| earlier != *output)) {
            Some(output) => found.push((*output, parameters.binary_data.unwrap_or(is_binary))),
            None => {
                let names: Vec<_> = known.iter().map(|output| output.name()).collect();
                let shown: String = name.chars().take(80).collect();
                let detail = format!("expected each of {} at most once, got {shown:?}", names.join(", "));
                return Err(Problem::invalid_at(format!("/outputs/{at}/name"), detail));
            }
        }
    }
    Ok(found)
}
