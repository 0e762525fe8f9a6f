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
    /// The weights come apart, at half the rate and half of that too.
    #[error(
        "step {step}: {reason}, though the rate was halved {setbacks} times before; lower learning_rate or \
         check the samples"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// What was seen.
        reason: String,
        /// How many times the run went back before.
        setbacks: u32,
    },
    /// The checkpoint is there and cannot be gone on from.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The checkpoint cannot be read or written; what the one before holds is as it was.
    #[error("checkpoint {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
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
