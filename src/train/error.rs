//! Why training cannot start or go on.

/// See the variants; nothing is published when one is returned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The config or the data cannot be trained on.
    #[error("{field}: {reason}")]
    Invalid {
        /// The config's member, or `samples`.
        field: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The listener said so.
    #[error("cancelled")]
    Cancelled,
    /// The loss is not finite any more.
    #[error("the loss became {loss} at step {step}; lower learning_rate or check the samples")]
    Diverged {
        /// The step.
        step: u64,
        /// The value.
        loss: f32,
    },
    /// The checkpoint cannot be written or gone on from.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The samples do not go together with the config.
    #[error(transparent)]
    Dataset(#[from] crate::dataset::Error),
    /// The base model, or the place for the result.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// A model.
    #[error(transparent)]
    Infer(#[from] crate::infer::Error),
    /// The tensor code failed.
    #[error("tensor code failed: {0}")]
    Tensor(#[from] crate::nn::Error),
}
