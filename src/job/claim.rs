//! Claim: the right of one attempt to publish, used up by the success of its job in the same transaction.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use super::queue::{Queue, Taken, Unwritten};
use super::{Error, Outcome, Progress, lock, rows};
use crate::db::Conn;
use crate::registry::{self, Claim, Published};

/// Claim of one attempt.
#[derive(Debug)]
pub(super) struct Right {
    pub queue: Queue,
    pub taken: Taken,
    /// Last progress, stored with the result.
    pub last: Arc<Mutex<Option<Progress>>>,
    /// Events that are not known to be written yet; one that is written twice does no harm.
    pub events: Arc<Mutex<Vec<Unwritten>>>,
}

impl Claim for Right {
    fn settle<'a>(
        &'a self,
        conn: &'a mut Conn,
        published: &'a Published,
    ) -> Pin<Box<dyn Future<Output = registry::Result<()>> + 'a>> {
        let Taken { id, fence, .. } = &self.taken;
        Box::pin(async move {
            let outcome = Outcome {
                model: published.id.name.clone(),
                version: published.id.version,
                promoted: published.promoted,
                kept_back: published.kept_back.clone(),
                scores: published.scores.clone(),
            };
            let (progress, events) = (lock(&self.last).clone(), lock(&self.events).clone());
            let now = self.queue.db.now(conn).await?;
            let sql = "UPDATE jobs SET status = 'succeeded', result = $1, progress = $2, finished_at = $3,
                       wanted = '', worker = '', lease_until = 0, error = '', fault = ''
                       WHERE id = $4 AND fence = $5 AND status = 'running'";
            let query = sqlx::query(sql).bind(rows::json(&outcome));
            let query = query.bind(progress.as_ref().map(rows::json).unwrap_or_default()).bind(now);
            let done =
                query.bind(id).bind(fence).execute(&mut *conn).await.map_err(crate::db::Error::from)?;
            if done.rows_affected() == 0 {
                let reason = format!("job {id} is not this worker's any more: nothing is published");
                return Err(registry::Error::Lost(reason));
            }
            let keep = self.queue.config.keep_events;
            let written = async {
                rows::add_events(conn, id, &events, now, keep).await?;
                rows::over(conn, id, now, keep).await
            };
            written.await.map_err(|error| match error {
                Error::Db(error) => registry::Error::Db(error),
                other => registry::Error::Lost(other.to_string()),
            })
        })
    }
}
