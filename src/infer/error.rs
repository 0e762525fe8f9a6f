//! Errors of inference.

use crate::name::ModelId;
use crate::sample::Shape;

/// Error of inference. Messages name the model, the expected input and the actual one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sample does not have a shape that the model accepts.
    #[error("model {model} takes {expected}, got {got}")]
    Shape {
        /// `name@version`.
        model: ModelId,
        /// Description of the accepted shapes.
        expected: String,
        /// Shape of the sample.
        got: Shape,
    },
    /// The latent does not fit the model.
    #[error("the latent does not fit model {model}: {reason}")]
    Latent {
        /// `name@version`.
        model: ModelId,
        /// Description of the mismatch.
        reason: String,
    },
    /// A parameter is out of its range.
    #[error("{name}: {reason}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// Range of the parameter and the actual value.
        reason: String,
    },
    /// A result is not finite, because the input or the weights are too large.
    #[error(
        "the result of model {model} is not finite: the numbers given to it are too large; scale them down"
    )]
    Range {
        /// `name@version`.
        model: ModelId,
    },
    /// The artifact cannot be loaded as a model.
    #[error("model {model} cannot be loaded: {reason}")]
    Load {
        /// `name@version`.
        model: ModelId,
        /// Cause of the failure.
        reason: String,
    },
    /// The work was cancelled because its result is no longer needed, see [`super::Pace`].
    #[error("the work was given up between two pieces")]
    Abandoned,
    /// Error of the tensor code.
    #[error("tensor code failed: {0}")]
    Tensor(#[from] crate::nn::Error),
}
