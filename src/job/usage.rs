//! Usage: training time of one owner in the last day, and the models of its jobs.

use std::time::Duration;

use sqlx::Row as _;

use super::{Error, Jobs};
use crate::name::Name;

/// Milliseconds of a day.
const DAY: i64 = 24 * 3600 * 1000;

impl Jobs {
    /// Time until the jobs of `owner` trained for less than `limit` in the 24 hours before; none where that is so now. A job
    /// counts from its start to its end, and not while it is queued or paused.
    ///
    /// # Errors
    /// The database is out of reach.
    pub fn training_wait(&self, owner: &str, limit: Duration) -> Result<Option<Duration>, Error> {
        let Ok(place) = self.0.place() else { return Ok(None) };
        let db = &place.queue.db;
        let (mut spans, now) = db.read(async |conn| {
            let now = db.now(conn).await?;
            let sql = "SELECT started_at, finished_at FROM jobs WHERE owner = $1 AND started_at > 0
                       AND (finished_at > $2 OR status IN ('validating', 'running'))";
            let rows = sqlx::query(sql).bind(owner).bind(now - DAY).fetch_all(conn).await?;
            let span = |row: &crate::db::Row| {
                let (start, end): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
                Ok::<_, Error>((start.max(now - DAY), if end > 0 { end } else { now }))
            };
            Ok::<_, Error>((rows.iter().map(span).collect::<Result<Vec<_>, _>>()?, now))
        })?;
        let limit = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        Ok(wait(&mut spans, now, limit).map(|ms| Duration::from_millis(ms.unsigned_abs())))
    }

    /// Models of which jobs of `owner` made a version, as far as the jobs are remembered.
    ///
    /// # Errors
    /// The database is out of reach.
    pub fn models_of(&self, owner: &str) -> Result<Vec<Name>, Error> {
        let Ok(place) = self.0.place() else { return Ok(Vec::new()) };
        let sql = "SELECT DISTINCT name FROM jobs WHERE owner = $1 AND status = 'succeeded'";
        let names: Vec<String> = place
            .queue
            .db
            .read(async |conn| Ok::<_, Error>(sqlx::query_scalar(sql).bind(owner).fetch_all(conn).await?))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

/// Milliseconds until less than `limit` of the spans lies within the last day: the oldest leave it first.
fn wait(spans: &mut [(i64, i64)], now: i64, limit: i64) -> Option<i64> {
    let used: i64 = spans.iter().map(|(start, end)| end - start).sum();
    let mut excess = used - limit;
    if excess < 0 {
        return None;
    }
    spans.sort_unstable();
    for (start, end) in spans.iter() {
        if end - start > excess {
            return Some(start + excess + 1 + DAY - now);
        }
        excess -= end - start;
    }
    Some(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn the_oldest_training_leaves_the_day_first() {
        let now = 10 * DAY;
        let at = |ago: i64, minutes: i64| (now - ago * MINUTE, now - ago * MINUTE + minutes * MINUTE);
        assert_eq!(wait(&mut [], now, MINUTE), None);
        assert_eq!(wait(&mut [at(30, 10)], now, 11 * MINUTE), None);
        // Ten minutes of ten: one millisecond of the oldest has to leave.
        assert_eq!(wait(&mut [at(30, 10)], now, 10 * MINUTE), Some(DAY - 30 * MINUTE + 1));
        // 15 of 10: five of the older ones and a bit.
        let mut spans = [at(30, 10), at(600, 5)];
        assert_eq!(wait(&mut spans, now, 10 * MINUTE), Some(DAY - 30 * MINUTE + 1));
        assert_eq!(wait(&mut spans, now, 12 * MINUTE), Some(DAY - 600 * MINUTE + 3 * MINUTE + 1));
        assert_eq!(wait(&mut [at(30, 10)], now, 0), Some(DAY));
    }
}
