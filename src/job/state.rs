//! The states of a job, and which may follow which.

use serde::Serialize;
use utoipa::ToSchema;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waits for the jobs before it.
    Queued,
    /// Its samples are being read.
    Validating,
    /// Is being trained.
    Running,
    /// Its model was published.
    Succeeded,
    /// Came to nothing; `error` says why.
    Failed,
    /// Was stopped before its end.
    Cancelled,
}

impl Status {
    /// Whether the job is over; such a state never changes again.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Succeeded | Status::Failed | Status::Cancelled)
    }

    /// Whether a job may go from here to `next`.
    pub fn may_become(self, next: Status) -> bool {
        use Status::{Cancelled, Failed, Queued, Running, Succeeded, Validating};
        match self {
            Queued => matches!(next, Validating | Cancelled),
            Validating => matches!(next, Running | Failed | Cancelled),
            Running => matches!(next, Succeeded | Failed | Cancelled),
            Succeeded | Failed | Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Status; 6] = [
        Status::Queued,
        Status::Validating,
        Status::Running,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
    ];

    #[test]
    fn a_final_state_never_changes() {
        for (from, to) in ALL.iter().flat_map(|from| ALL.iter().map(move |to| (from, to))) {
            assert!(!(from.is_final() && from.may_become(*to)), "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn every_other_state_can_be_cancelled() {
        assert!(ALL.iter().all(|from| from.is_final() != from.may_become(Status::Cancelled)));
    }

    #[test]
    fn only_a_running_job_succeeds() {
        let can = ALL.iter().filter(|from| from.may_become(Status::Succeeded));
        assert_eq!(can.collect::<Vec<_>>(), [&Status::Running]);
    }
}
