//! The states of a job, and which may follow which.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waits for the jobs before it.
    Queued,
    /// Its samples are being read.
    Validating,
    /// Is being trained.
    Running,
    /// Rests until it is resumed; `error` says why where nobody asked for it.
    Paused,
    /// Its model was published.
    Succeeded,
    /// Came to nothing; `error` says why.
    Failed,
    /// Was stopped before its end.
    Cancelled,
}

impl Status {
    /// Every state.
    pub const ALL: [Status; 7] = [
        Status::Queued,
        Status::Validating,
        Status::Running,
        Status::Paused,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
    ];

    /// Whether the job is over; such a state never changes again.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Succeeded | Status::Failed | Status::Cancelled)
    }

    /// Whether a worker has the job.
    pub fn is_held(self) -> bool {
        matches!(self, Status::Validating | Status::Running)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Validating => "validating",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// The state of a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert!(!(status.is_final() && status.is_held()));
        }
    }
}
