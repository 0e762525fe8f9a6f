//! Steering: cancelling, pausing and resuming a job, in whichever state it is.

use super::rows::{self, Held};
use super::{Error, Inner, Job, Jobs, Status};
use crate::db::Conn;

impl Jobs {
    /// Cancels a job at once, whatever its worker is doing: that has lost the job, and stops when its current step is done or
    /// `jobs.stop_seconds` are over. Cancelling twice is no error.
    ///
    /// # Errors
    /// There is no job of this id, or it has succeeded or failed.
    pub fn cancel(&self, id: &str) -> Result<Job, Error> {
        self.0.steer(id, "cancelled", async |conn, held, now| match held.job.status {
            Status::Cancelled => Ok(true),
            status if status.is_final() => Ok(false),
            _ => rows::finish(conn, held, Status::Cancelled, None, now, self.0.config.keep_events).await,
        })
    }

    /// Pauses a job: it retains its checkpoint and its position in the queue, and no worker takes it.
    ///
    /// # Errors
    /// There is no job of this id, or it is finished or about to be cancelled.
    pub fn pause(&self, id: &str) -> Result<Job, Error> {
        self.0.steer(id, "paused", async |conn, held, now| match held.job.status {
            status if status.is_final() || held.wanted == "cancel" => Ok(false),
            status if status.is_held() && held.lease_until >= now => want(conn, held, "pause").await,
            // Also a job paused by the service: it must not resume by itself any more.
            _ => rows::put(conn, held, Status::Paused, now, self.0.config.keep_events).await,
        })
    }

    /// Puts a paused job back into the queue.
    ///
    /// # Errors
    /// There is no job of this id, or it is finished.
    pub fn resume(&self, id: &str) -> Result<Job, Error> {
        self.0.steer(id, "resumed", async |conn, held, now| match held.job.status {
            status if status.is_final() => Ok(false),
            Status::Paused => rows::put(conn, held, Status::Queued, now, self.0.config.keep_events).await,
            _ if held.wanted == "pause" => want(conn, held, "").await,
            _ => Ok(true),
        })
    }
}

impl Inner {
    /// Applies `change` to a job in its current state; `change` returns `false` if the state does not allow it.
    async fn try_steer(
        &self,
        conn: &mut Conn,
        id: &str,
        wanted: &'static str,
        change: &impl AsyncFn(&mut Conn, &Held, i64) -> Result<bool, Error>,
    ) -> Result<Job, Error> {
        let now = self.place()?.queue.db.now(conn).await?;
        let mut held = rows::get(conn, id).await?;
        loop {
            let is_done = change(conn, &held, now).await?;
            let after = rows::get(conn, id).await?;
            if is_done {
                return Ok(after.job);
            }
            // On Postgres, a worker may have moved the job between the two statements.
            if (after.fence, after.job.status) == (held.fence, held.job.status) {
                return Err(Error::State { id: id.to_owned(), status: held.job.status, wanted });
            }
            held = after;
        }
    }

    fn steer(
        &self,
        id: &str,
        wanted: &'static str,
        change: impl AsyncFn(&mut Conn, &Held, i64) -> Result<bool, Error>,
    ) -> Result<Job, Error> {
        let Ok(place) = self.place() else { return Err(Error::NotFound(id.chars().take(64).collect())) };
        place.queue.db.transact(async |conn| self.try_steer(conn, id, wanted, &change).await)
    }
}

/// Leaves a request (`cancel`, `pause` or none) for the worker that runs a job.
async fn want(conn: &mut Conn, held: &Held, wanted: &str) -> Result<bool, Error> {
    let sql =
        "UPDATE jobs SET wanted = $1 WHERE id = $2 AND fence = $3 AND status IN ('validating', 'running')";
    let query = sqlx::query(sql).bind(wanted).bind(&held.job.id).bind(held.fence);
    Ok(query.execute(conn).await?.rows_affected() == 1)
}
