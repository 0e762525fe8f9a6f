//! Tensors of a model: names, types and shapes of its inputs and outputs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::Part;
use crate::api::error::{Code, Problem};
use crate::codec::DType;
use crate::registry::Input;
use crate::sample::Kind;

/// Extent that the client chooses.
pub(super) const FREE: i64 = -1;

/// Type of the elements of a tensor. Numbers are little-endian; an element of BYTES has a length of 4 bytes in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = InferenceDatatype)]
pub(super) enum Datatype {
    /// IEEE half precision, in binary form alone.
    Fp16,
    /// Upper half of a single precision number, in binary form alone.
    Bf16,
    /// IEEE single precision.
    Fp32,
    /// IEEE double precision, computed in single precision.
    Fp64,
    /// Unsigned, 8 bits; 255 of an image is 1.
    Uint8,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Files: images, sounds, tables or latents.
    Bytes,
}

/// Output of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Clean samples.
    Denoised,
    /// Latent files.
    Latent,
}

/// Tensor as the metadata of a model state it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = InferenceTensor)]
pub(super) struct Tensor {
    /// Name of the tensor.
    #[schema(example = "image")]
    pub(super) name: &'static str,
    /// Type of its elements.
    pub(super) datatype: Datatype,
    /// Extents, samples first; -1 for those that the client chooses.
    #[schema(example = json!([-1, 1, -1, -1]))]
    pub(super) shape: Vec<i64>,
}

impl Datatype {
    /// Name in the protocol.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Uint8 => "UINT8",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Bytes => "BYTES",
        }
    }

    /// Bytes of a number; 0 for BYTES, whose elements differ.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Bf16 => 2,
            other => other.dtype().map_or(0, DType::bytes),
        }
    }

    /// Number type of an array of this type; BF16 is widened to single precision first. `None` for BYTES.
    pub(super) fn dtype(self) -> Option<DType> {
        match self {
            Self::Fp16 => Some(DType::F16),
            Self::Bf16 | Self::Fp32 => Some(DType::F32),
            Self::Fp64 => Some(DType::F64),
            Self::Uint8 => Some(DType::U8),
            Self::Int32 => Some(DType::I32),
            Self::Int64 => Some(DType::I64),
            Self::Bytes => None,
        }
    }
}

impl Output {
    /// Name in the protocol.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Denoised => "denoised",
            Self::Latent => "latent",
        }
    }

    /// Type of its elements.
    pub(super) fn datatype(self) -> Datatype {
        match self {
            Self::Denoised => Datatype::Fp32,
            Self::Latent => Datatype::Bytes,
        }
    }

    fn tensor(self, input: &Input) -> Tensor {
        let shape = if self == Self::Denoised { batch_of(input) } else { vec![FREE] };
        Tensor { name: self.name(), datatype: self.datatype(), shape }
    }
}

impl Part {
    /// Input of this part of a model with samples as `input` says.
    pub(super) fn input(self, input: &Input) -> Tensor {
        let name = match input.kind {
            Kind::Image => "image",
            Kind::Signal => "signal",
            Kind::Vector => "vector",
        };
        match self {
            Self::Whole => Tensor { name, datatype: Datatype::Fp32, shape: batch_of(input) },
            Self::Decoder => Output::Latent.tensor(input),
        }
    }

    /// Outputs of this part, in order.
    pub(super) fn outputs(self) -> &'static [Output] {
        match self {
            Self::Whole => &[Output::Denoised, Output::Latent],
            Self::Decoder => &[Output::Denoised],
        }
    }

    /// [`Part::outputs`] as metadata.
    pub(super) fn output_tensors(self, input: &Input) -> Vec<Tensor> {
        self.outputs().iter().map(|output| output.tensor(input)).collect()
    }
}

impl Tensor {
    /// Checks the extents of a batch of samples.
    ///
    /// # Errors
    /// 400 `shape_mismatch` with both shapes.
    pub(super) fn check_shape(&self, dims: &[usize]) -> Result<(), Problem> {
        let fits = |(dim, stated): (&usize, &i64)| {
            *dim > 0 && (*stated == FREE || i64::try_from(*dim).is_ok_and(|dim| dim == *stated))
        };
        if dims.len() == self.shape.len() && dims.iter().zip(&self.shape).all(fits) {
            return Ok(());
        }
        let detail = format!(
            "the shape of {} is {:?} with extents of 1 or more for -1, got {dims:?}",
            self.name, self.shape
        );
        Err(Problem::new(Code::ShapeMismatch, detail))
    }
}

/// Extents of a batch of samples.
fn batch_of(input: &Input) -> Vec<i64> {
    let extent = |extent: usize| i64::try_from(extent).unwrap_or(i64::MAX);
    let dims = match (input.fixed, input.kind) {
        (Some(fixed), _) => fixed.dims().into_iter().map(extent).collect(),
        (None, Kind::Image) => vec![extent(input.channels), FREE, FREE],
        (None, Kind::Signal) => vec![extent(input.channels), FREE],
        (None, Kind::Vector) => vec![FREE],
    };
    [vec![FREE], dims].concat()
}
