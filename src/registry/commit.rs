//! Commit of a publication: the transaction after which a version exists, asked for again until its outcome is known.
//!
//! A COMMIT whose answer is lost may have taken effect. The name of the staging folder is unique, so the row says whose the
//! version is: the transaction is repeated with the same number, and finds its own row if it was committed before.

use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::rows;
use super::{Draft, Error, Published, Registry, Result};
use crate::db::{Db, Failure as _};
use crate::name::ModelId;

/// Longest time that a lost answer is asked for again.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(60) };

/// Time between two tries.
const PAUSE: Duration = if cfg!(test) { Duration::from_millis(10) } else { Duration::from_secs(1) };

/// Version to be committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub draft: &'a Draft,
    pub number: u32,
    /// SHA-256 of the weights, hexadecimal.
    pub sha256: &'a str,
    /// Name of its staging folder.
    pub staged: &'a str,
    /// Version that is to be the default, as far as this program knows.
    pub default: Option<u32>,
    /// Stated default that this program has seen.
    pub seen: Option<u32>,
}

impl Registry {
    /// Commits a version. Returns `false` if another program has its number.
    ///
    /// # Errors
    /// The claim is lost, the default has changed, or the database failed. After an error that [`is_uncertain`], the version may
    /// exist.
    pub(super) fn commit(&self, db: &Db, candidate: Candidate<'_>) -> Result<bool> {
        let begun = Instant::now();
        loop {
            match self.try_commit(db, candidate) {
                Err(error) if is_uncertain(&error) && begun.elapsed() < PATIENCE => {
                    let Candidate { draft, number, .. } = candidate;
                    tracing::warn!(%error, model = %draft.name, number, "publication is tried again");
                    thread::sleep(PAUSE);
                }
                done => return done,
            }
        }
    }

    /// Settles the claim, inserts the version and sets the default, in one transaction.
    fn try_commit(&self, db: &Db, candidate: Candidate<'_>) -> Result<bool> {
        let Candidate { draft, number, sha256, staged, default, seen } = candidate;
        let digest = Sha256::digest(&draft.weights).into();
        let id = ModelId { name: draft.name.clone(), version: number, digest };
        db.transact(async |conn| {
            let now = db.now(conn).await?;
            if !rows::insert(conn, &draft.name, number, (sha256, staged), now).await? {
                // The row is this publication's own if an earlier try was committed.
                return Ok(rows::staged(conn, &draft.name, number).await?.as_deref() == Some(staged));
            }
            // A default set by another program in the meantime stays, unless this version is to become the default.
            let stated = rows::default(conn, &draft.name).await?;
            if default == Some(number) && draft.compared_with.is_some() && stated != 0 && Some(stated) != seen
            {
                return Err(Error::Changed(draft.name.clone()));
            }
            let default = match default {
                Some(default) if default == number || stated == 0 => default,
                Some(_) => stated,
                None if draft.kept_back.is_some() => stated,
                None => number,
            };
            rows::set_default(conn, &draft.name, default, None).await?;
            if let Some(claim) = &self.claim {
                let scores = draft.scores.clone();
                let (promoted, kept_back) = (default == number, draft.kept_back.clone());
                let published = Published { id: id.clone(), promoted, kept_back, scores };
                claim.settle(conn, &published).await?;
            }
            Ok(true)
        })
    }
}

/// Returns `true` if the transaction that failed so may have been committed.
pub(super) fn is_uncertain(error: &Error) -> bool {
    error.database().is_some_and(crate::db::Error::is_uncertain)
}
