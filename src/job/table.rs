//! The table of jobs: what waits, what runs, what is remembered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Error, Job, Page, Source, Status};
use crate::train;

/// Every job by id, and the order of those that wait.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Ids sort by time of arrival.
    jobs: BTreeMap<String, Entry>,
    queue: VecDeque<String>,
    /// No job is taken on or begun any more.
    pub is_stopping: bool,
}

/// One job with what is needed to run it.
#[derive(Debug)]
pub(super) struct Entry {
    seen: watch::Sender<Job>,
    stop: Arc<AtomicBool>,
    /// Taken when the job begins.
    work: Option<(train::Config, Source)>,
    /// Bytes of its samples, until it is over.
    bytes: usize,
}

/// A job that begins now.
#[derive(Debug)]
pub(super) struct Begun {
    pub id: String,
    pub config: train::Config,
    pub source: Source,
    /// Becomes true when the job should stop.
    pub stop: Arc<AtomicBool>,
}

impl Entry {
    /// A job that waits.
    pub(super) fn new(config: train::Config, source: Source, bytes: usize) -> Self {
        let job = Job {
            id: format!("job-{}", Uuid::now_v7()),
            name: config.name.clone(),
            status: Status::Queued,
            created_at: Timestamp::now(),
            started_at: None,
            finished_at: None,
            attempt: 0,
            scheme: None,
            samples: None,
            progress: None,
            result: None,
            error: None,
        };
        let (seen, _) = watch::channel(job);
        Self { seen, stop: Arc::default(), work: Some((config, source)), bytes }
    }

    /// The job as it is now.
    pub(super) fn job(&self) -> Job {
        self.seen.borrow().clone()
    }

    /// The job as it changes.
    pub(super) fn watch(&self) -> watch::Receiver<Job> {
        self.seen.subscribe()
    }

    fn status(&self) -> Status {
        self.seen.borrow().status
    }

    fn is_over(&self) -> bool {
        self.status().is_final()
    }
}

impl Table {
    /// Adds a job behind those that wait, and forgets the oldest of more than `keep` finished ones.
    pub(super) fn add(&mut self, entry: Entry, keep: usize) {
        let id = entry.seen.borrow().id.clone();
        self.queue.push_back(id.clone());
        self.jobs.insert(id, entry);
        let over: Vec<String> =
            self.jobs.iter().filter(|(_, e)| e.is_over()).map(|(id, _)| id.clone()).collect();
        for id in over.iter().take(over.len().saturating_sub(keep)) {
            self.jobs.remove(id);
        }
    }

    /// # Errors
    /// There is none of this id.
    pub(super) fn find(&self, id: &str) -> Result<&Entry, Error> {
        // What a caller sent is echoed only up to the length of an id.
        self.jobs.get(id).ok_or_else(|| Error::NotFound(id.chars().take(64).collect()))
    }

    /// At most `limit` jobs, newest first, behind `after`.
    pub(super) fn page(&self, limit: usize, after: Option<&str>) -> Page {
        let older = self.jobs.iter().rev().filter(|(id, _)| after.is_none_or(|after| id.as_str() < after));
        let mut jobs: Vec<Job> = older.take(limit.saturating_add(1)).map(|(_, e)| e.job()).collect();
        let has_more = jobs.len() > limit;
        jobs.truncate(limit);
        Page { jobs, has_more }
    }

    /// Jobs that are not over: those that wait and the one that runs.
    pub(super) fn unfinished(&self) -> usize {
        self.jobs.values().filter(|entry| !entry.is_over()).count()
    }

    /// Bytes of samples that unfinished jobs hold.
    pub(super) fn bytes(&self) -> usize {
        self.jobs.values().map(|entry| entry.bytes).sum()
    }

    /// How long the job that runs still needs, 1 to 60 s.
    pub(super) fn retry_after(&self) -> Duration {
        let eta = |entry: &Entry| entry.seen.borrow().progress.as_ref().and_then(|p| p.eta_seconds);
        let running = self.jobs.values().filter(|entry| !entry.is_over()).find_map(eta);
        let seconds = f64::from(running.unwrap_or(60.0)).ceil();
        Duration::from_secs(seconds.clamp(1.0, 60.0) as u64)
    }

    /// The job that waited longest begins: it is `validating` now.
    pub(super) fn begin(&mut self) -> Option<Begun> {
        let id = self.queue.pop_front()?;
        self.change(&id, Status::Validating, |job| {
            job.started_at = Some(Timestamp::now());
            job.attempt += 1;
        });
        let entry = self.jobs.get_mut(&id)?;
        let (config, source) = entry.work.take()?;
        Some(Begun { id, config, source, stop: Arc::clone(&entry.stop) })
    }

    /// Moves a job to `status`, with `edit`; one that may not go there stays as it is.
    pub(super) fn change(&mut self, id: &str, status: Status, edit: impl FnOnce(&mut Job)) {
        let Some(entry) = self.jobs.get_mut(id).filter(|entry| entry.status().may_become(status)) else {
            return;
        };
        if status.is_final() {
            entry.work = None;
            entry.bytes = 0;
        }
        entry.seen.send_modify(|job| {
            job.status = status;
            edit(job);
            if status.is_final() {
                job.finished_at = Some(Timestamp::now());
            }
        });
    }

    /// Notes something about a job that does not change its status.
    pub(super) fn note(&self, id: &str, edit: impl FnOnce(&mut Job)) {
        if let Some(entry) = self.jobs.get(id) {
            entry.seen.send_modify(edit);
        }
    }

    /// Stops a job: one that waits is over now, one that runs is told.
    ///
    /// # Errors
    /// There is none of this id.
    pub(super) fn cancel(&mut self, id: &str) -> Result<(), Error> {
        self.find(id)?.stop.store(true, Ordering::Release);
        if let Some(place) = self.queue.iter().position(|waiting| waiting == id) {
            self.queue.remove(place);
            self.change(id, Status::Cancelled, |_| ());
        }
        Ok(())
    }

    /// Stops every job.
    pub(super) fn cancel_all(&mut self) {
        for id in std::mem::take(&mut self.queue) {
            self.change(&id, Status::Cancelled, |_| ());
        }
        self.jobs.values().for_each(|entry| entry.stop.store(true, Ordering::Release));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Config;

    fn table(jobs: usize, keep: usize) -> (Table, Vec<String>) {
        let mut table = Table::default();
        let mut ids = Vec::new();
        for _ in 0..jobs {
            let entry = Entry::new(Config::new("a".parse().unwrap()), Source::Uploads(vec![]), 100);
            ids.push(entry.job().id);
            table.add(entry, keep);
        }
        (table, ids)
    }

    fn status(table: &Table, id: &str) -> Status {
        table.find(id).unwrap().status()
    }

    #[test]
    fn jobs_begin_in_order_of_arrival() {
        let (mut table, ids) = table(3, 9);
        assert_eq!(table.begin().unwrap().id, ids[0]);
        assert_eq!((status(&table, &ids[0]), status(&table, &ids[1])), (Status::Validating, Status::Queued));
        assert_eq!(table.begin().unwrap().id, ids[1]);
    }

    #[test]
    fn a_waiting_job_is_cancelled_at_once_and_never_begins() {
        let (mut table, ids) = table(2, 9);
        table.cancel(&ids[0]).unwrap();
        assert_eq!(status(&table, &ids[0]), Status::Cancelled);
        assert!(table.find(&ids[0]).unwrap().job().finished_at.is_some());
        assert_eq!((table.begin().unwrap().id, table.bytes()), (ids[1].clone(), 100));
    }

    #[test]
    fn a_running_job_is_told_to_stop() {
        let (mut table, ids) = table(1, 9);
        let begun = table.begin().unwrap();
        table.cancel(&ids[0]).unwrap();
        assert!(begun.stop.load(Ordering::Acquire));
        assert_eq!(status(&table, &ids[0]), Status::Validating);
    }

    #[test]
    fn a_finished_job_stays_as_it_is() {
        let (mut table, ids) = table(1, 9);
        table.begin().unwrap();
        table.change(&ids[0], Status::Failed, |_| ());
        table.cancel(&ids[0]).unwrap();
        table.change(&ids[0], Status::Running, |job| job.attempt = 99);
        assert_eq!(
            (status(&table, &ids[0]), table.find(&ids[0]).unwrap().job().attempt),
            (Status::Failed, 1)
        );
    }

    #[test]
    fn pages_go_from_the_newest_to_the_oldest() {
        let (table, ids) = table(5, 9);
        let first = table.page(2, None);
        let shown = |page: &Page| page.jobs.iter().map(|j| j.id.clone()).collect::<Vec<_>>();
        assert_eq!((shown(&first), first.has_more), (vec![ids[4].clone(), ids[3].clone()], true));
        let last = table.page(3, Some(&ids[3]));
        assert_eq!((shown(&last).len(), last.has_more), (3, false));
    }

    #[test]
    fn only_so_many_finished_jobs_are_remembered() {
        let (mut table, ids) = table(4, 1);
        ids[..3].iter().for_each(|id| table.cancel(id).unwrap());
        table.add(Entry::new(Config::new("a".parse().unwrap()), Source::Uploads(vec![]), 0), 1);
        assert!(table.find(&ids[1]).is_err() && table.find(&ids[2]).is_ok() && table.find(&ids[3]).is_ok());
    }

    #[test]
    fn a_job_is_written_as_the_contract_says() {
        let (table, ids) = table(1, 9);
        let json = serde_json::to_value(table.find(&ids[0]).unwrap().job()).unwrap();
        assert_eq!((json["status"].as_str(), json["name"].as_str()), (Some("queued"), Some("a")));
        assert!(json["id"].as_str().unwrap().starts_with("job-"));
        assert!(json["created_at"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert!(json["finished_at"].is_null() && json["result"].is_null());
    }
}
