//! Why a model cannot do what was asked.

use crate::name::ModelId;
use crate::sample::Shape;

/// See the variants; a message names the model, what it takes and what it saw.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sample is not of the shape the model takes.
    #[error("model {model} takes {expected}, got {got}")]
    Shape {
        /// `name@version`.
        model: ModelId,
        /// What it takes, in words.
        expected: String,
        /// The shape seen.
        got: Shape,
    },
    /// The latent does not fit the model.
    #[error("the latent does not fit model {model}: {reason}")]
    Latent {
        /// `name@version`.
        model: ModelId,
        /// What does not fit.
        reason: String,
    },
    /// A parameter is out of its range.
    #[error("{name}: {reason}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its range and the value seen.
        reason: String,
    },
    /// A result is not finite: the numbers are too large, or the weights are.
    #[error(
        "the result of model {model} is not finite: the numbers given to it are too large; scale them down"
    )]
    Range {
        /// `name@version`.
        model: ModelId,
    },
    /// The artifact cannot be made into a model.
    #[error("model {model} cannot be loaded: {reason}")]
    Load {
        /// `name@version`.
        model: ModelId,
        /// What is wrong.
        reason: String,
    },
    /// Whoever waited for it does no longer, see [`super::Pace`].
    #[error("the work was given up between two pieces")]
    Abandoned,
    /// The tensor code failed.
    #[error("tensor code failed: {0}")]
    Tensor(#[from] crate::nn::Error),
}
