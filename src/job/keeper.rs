//! Background thread for maintenance: refreshes the models, deletes files and rows that are no longer needed, and monitors
//! the disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::rows;
use super::{Error, Inner, Place, Status};
use crate::store::Claim;

/// Interval of refreshing the models that other programs changed.
const LOOK: Duration = Duration::from_millis(500);
/// Interval of checking the disk.
const SPACE: Duration = Duration::from_secs(2);
/// Interval of deleting old jobs and files.
const SWEEP: Duration = Duration::from_secs(60);
/// Interval of reading and verifying all trained versions.
const CHECK: Duration = Duration::from_secs(3600);

/// Runs until `stop`, or until the last handle to the jobs is dropped.
pub(super) fn run(inner: &Weak<Inner>, place: &Place, stop: &AtomicBool) {
    let mut due = [Instant::now(); 3];
    while !stop.load(Ordering::Acquire) {
        let Some(owner) = inner.upgrade() else { return };
        let inner = &*owner;
        let mut is_due = |which: usize, every: Duration| {
            let now = Instant::now();
            let is_due = now >= due[which];
            if is_due {
                due[which] = now + every;
            }
            is_due
        };
        inner.refresh();
        if is_due(0, SPACE) {
            report("the database", place.queue.db.probe().map_err(Error::from));
            report("the disk", space(place));
            inner.check_home();
        }
        if is_due(1, SWEEP) {
            report("what is not wanted any more", sweep(inner, place));
        }
        if is_due(2, CHECK) {
            report(
                "the models",
                inner.engine.registry().check(None).map_err(|e| Error::from(crate::train::Error::from(e))),
            );
        }
        drop(owner);
        thread::sleep(LOOK);
    }
}

fn report(what: &str, done: Result<(), Error>) {
    if let Err(error) = done {
        tracing::warn!(%error, "cannot look after {what}");
    }
}

/// Restores the reserve if there is space, and resumes the jobs paused for lack of it.
fn space(place: &Place) -> Result<(), Error> {
    if place.reserve.restore().unwrap_or(false) {
        place.queue.wake()?;
    }
    Ok(())
}

/// Deletes the oldest finished jobs, and the files that no job needs.
pub(super) fn sweep(inner: &Inner, place: &Place) -> Result<(), Error> {
    let keep = i64::try_from(inner.config.keep).unwrap_or(i64::MAX);
    place.queue.db.transact(async |conn| {
        // The ids sort by time of submission.
        let sql = "SELECT id FROM jobs WHERE status IN ('succeeded', 'failed', 'cancelled')
                   ORDER BY id DESC LIMIT 10000 OFFSET $1";
        let old: Vec<String> = sqlx::query_scalar(sql).bind(keep).fetch_all(&mut *conn).await?;
        for id in old {
            for sql in [
                "DELETE FROM events WHERE job = $1",
                "DELETE FROM files WHERE job = $1",
                "DELETE FROM deliveries WHERE job = $1",
                "DELETE FROM jobs WHERE id = $1",
            ] {
                sqlx::query(sql).bind(&id).execute(&mut *conn).await?;
            }
        }
        Ok::<_, Error>(())
    })?;
    for job in place.store.checkpoints()? {
        let held = place.queue.db.read(async |conn| rows::get(conn, &job).await);
        if matches!(&held, Err(Error::NotFound(_))) || held.is_ok_and(|held| held.job.status.is_final()) {
            place.store.forget(&job);
        }
    }
    let kept = Duration::from_secs(inner.config.keep_samples_seconds);
    place.store.remove_unwanted(kept, |sha256| claim(place, sha256, kept))?;
    Ok(())
}

/// Returns whether an unfinished job, or one finished within `kept`, needs a file.
fn claim(place: &Place, sha256: &str, kept: Duration) -> Result<Claim, Error> {
    let over: Vec<&str> = Status::ALL.iter().filter(|s| s.is_final()).map(|s| s.as_str()).collect();
    debug_assert_eq!(over, ["succeeded", "failed", "cancelled"]);
    place.queue.db.read(async |conn| {
        let since = place.queue.db.now(conn).await? - kept.as_millis() as i64;
        let sql = "SELECT CASE WHEN jobs.status NOT IN ('succeeded', 'failed', 'cancelled')
                   OR jobs.finished_at > $2 THEN 1 ELSE 0 END AS wanted
                   FROM files JOIN jobs ON jobs.id = files.job WHERE files.sha256 = $1
                   ORDER BY wanted DESC LIMIT 1";
        let wanted: Option<i32> =
            sqlx::query_scalar(sql).bind(sha256).bind(since).fetch_optional(conn).await?;
        Ok(wanted.map_or(Claim::Never, |wanted| if wanted == 1 { Claim::Wanted } else { Claim::Over }))
    })
}

/// Background thread that is stopped on drop.
#[derive(Debug)]
pub(super) struct Helper {
    pub stop: Arc<AtomicBool>,
}

impl Helper {
    /// Starts `work`, which must poll its stop flag.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn start(name: &str, work: impl FnOnce(&AtomicBool) + Send + 'static) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&stop);
        thread::Builder::new().name(name.to_owned()).spawn(move || work(&own))?;
        Ok(Self { stop })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
