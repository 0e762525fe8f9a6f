//! Training errors.

/// Error of a training; nothing is published after one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The config or the samples cannot be trained on.
    #[error("{field}: {reason}")]
    Invalid {
        /// Name of the config member, or `samples`.
        field: String,
        /// Description of the problem and advice.
        reason: String,
    },
    /// The callback cancelled the run.
    #[error("cancelled")]
    Cancelled,
    /// The training diverges even after the learning rate was halved several times.
    #[error(
        "step {step}: {reason}, though the rate was halved {setbacks} times before; lower learning_rate or \
         check the samples"
    )]
    Diverged {
        /// Step of the failure.
        step: u64,
        /// Observed problem.
        reason: String,
        /// Number of times the run returned to earlier weights before.
        setbacks: u32,
    },
    /// The checkpoint exists but cannot be resumed from.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// Path of the file.
        path: String,
        /// Description of the problem.
        reason: String,
    },
    /// The checkpoint cannot be read or written; the previous one is unchanged.
    #[error("checkpoint {path}: {source}")]
    Io {
        /// Path of the file.
        path: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The samples do not fit the config.
    #[error(transparent)]
    Dataset(#[from] crate::dataset::Error),
    /// The base model cannot be read, or the result cannot be stored.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// Inference with a model failed.
    #[error(transparent)]
    Infer(#[from] crate::infer::Error),
    /// A tensor operation failed.
    #[error("tensor code failed: {0}")]
    Tensor(#[from] crate::nn::Error),
}
