//! States of a job.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waits in the queue.
    Queued,
    /// Its samples are being read.
    Validating,
    /// Is training.
    Running,
    /// Paused until it is resumed; `error` has the reason unless the pause was requested.
    Paused,
    /// Its model was published.
    Succeeded,
    /// Failed; `error` has the reason.
    Failed,
    /// Cancelled before its end.
    Cancelled,
}

impl Status {
    /// All states.
    pub const ALL: [Status; 7] = [
        Status::Queued,
        Status::Validating,
        Status::Running,
        Status::Paused,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
    ];

    /// Returns `true` if the job is finished; this state never changes again.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Succeeded | Status::Failed | Status::Cancelled)
    }

    /// Returns `true` if a worker holds the job.
    pub fn is_held(self) -> bool {
        matches!(self, Status::Validating | Status::Running)
    }

    /// Returns the name of the state.
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

    /// Parses the name of a state.
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
