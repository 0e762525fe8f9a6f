//! Feeds: the new events of a job, read once for all clients that listen to it.
//!
//! A feed is a task that reads what its job has new, and shares it. Each client has a position of its own: one that is
//! behind the shared events reads those it lacks by itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::error::{Code, Problem};
use crate::job::Event;

/// Interval between two reads of a job that has nothing new.
const LOOK: Duration = Duration::from_millis(300);

/// Number of events that a feed shares.
const SHARED: usize = 64;

/// Feeds by the ids of their jobs; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Feeds(Arc<Mutex<HashMap<String, Arc<watch::Sender<Tail>>>>>);

/// Latest events of a job.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Id of the event before the first shared one.
    before: i64,
    events: VecDeque<Arc<Event>>,
}

/// Position of a client relative to the shared events.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// The events after it.
    Events(Vec<Arc<Event>>),
    /// It is up to date.
    Nothing,
    /// Some events after it are no longer shared.
    Missed,
}

impl Tail {
    /// Returns the events after event `after`.
    pub(super) fn after(&self, after: i64) -> Next {
        if after < self.before {
            return Next::Missed;
        }
        let events: Vec<_> = self.events.iter().filter(|event| event.id > after).cloned().collect();
        if events.is_empty() { Next::Nothing } else { Next::Events(events) }
    }

    /// Returns the id of the event before the first shared one.
    pub(super) fn before(&self) -> i64 {
        self.before
    }

    fn last(&self) -> i64 {
        self.events.back().map_or(self.before, |event| event.id)
    }

    fn push(&mut self, news: Vec<Event>) {
        self.events.extend(news.into_iter().map(Arc::new));
        while self.events.len() > SHARED {
            self.before = self.events.pop_front().map_or(self.before, |event| event.id);
        }
    }
}

impl Feeds {
    /// Returns the tail of a job, as it grows; it is closed when the job is over. `read` returns the events after one, oldest
    /// first; a feed begins after event `after`, if there is none yet.
    pub(super) fn subscribe<F>(
        &self,
        job: &str,
        after: i64,
        read: impl Fn(i64) -> F + Send + 'static,
    ) -> watch::Receiver<Tail>
    where
        F: Future<Output = Result<Vec<Event>, Problem>> + Send + 'static,
    {
        let mut feeds = self.lock();
        if let Some(feed) = feeds.get(job) {
            return feed.subscribe();
        }
        let (feed, tail) = watch::channel(Tail { before: after, events: VecDeque::new() });
        let feed = Arc::new(feed);
        feeds.insert(job.to_owned(), Arc::clone(&feed));
        tokio::spawn(self.clone().run(job.to_owned(), feed, read));
        tail
    }

    /// Reads until the job is over, nobody listens, or nothing can be read.
    async fn run<F>(self, job: String, feed: Arc<watch::Sender<Tail>>, read: impl Fn(i64) -> F + Send)
    where
        F: Future<Output = Result<Vec<Event>, Problem>> + Send,
    {
        loop {
            let after = feed.borrow().last();
            let is_over = match read(after).await {
                Ok(news) if news.is_empty() => false,
                Ok(news) => {
                    let is_done = news.iter().any(|event| event.kind == "done");
                    feed.send_modify(|tail| tail.push(news));
                    if !is_done {
                        continue;
                    }
                    true
                }
                // The database is away: its clients stay.
                Err(problem) => problem.code() != Code::NotReady,
            };
            if self.closes(&job, &feed, is_over) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Removes a feed that is over or that nobody listens to; returns `true` if it was.
    fn closes(&self, job: &str, feed: &watch::Sender<Tail>, is_over: bool) -> bool {
        // Counted under the lock under which clients join.
        let mut feeds = self.lock();
        let is_left = is_over || feed.receiver_count() == 0;
        if is_left {
            feeds.remove(job);
        }
        is_left
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<watch::Sender<Tail>>>> {
        // Each change is one step, so the map is consistent even if poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn event(id: i64, kind: &str) -> Event {
        Event { id, kind: kind.to_owned(), data: "{}".to_owned() }
    }

    /// Reads from a job of five events, one at a time; counts the reads.
    fn source(
        reads: &Arc<AtomicUsize>,
    ) -> impl Fn(i64) -> std::future::Ready<Result<Vec<Event>, Problem>> + use<> {
        let reads = Arc::clone(reads);
        move |after| {
            reads.fetch_add(1, Ordering::Relaxed);
            let kind = if after == 4 { "done" } else { "progress" };
            std::future::ready(Ok(vec![event(after + 1, kind)]))
        }
    }

    async fn listen(mut tail: watch::Receiver<Tail>) -> Vec<i64> {
        let mut ids = Vec::new();
        loop {
            let next = tail.borrow_and_update().after(ids.last().copied().unwrap_or(0));
            match next {
                Next::Events(events) => ids.extend(events.iter().map(|event| event.id)),
                Next::Nothing if tail.changed().await.is_err() => return ids,
                Next::Nothing => {}
                Next::Missed => panic!("five events are all shared"),
            }
        }
    }

    #[tokio::test]
    async fn a_thousand_clients_cost_the_reads_of_one() {
        let (feeds, reads) = (Feeds::default(), Arc::default());
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            all.spawn(listen(feeds.subscribe("a", 0, source(&reads))));
        }
        for ids in all.join_all().await {
            assert_eq!(ids, [1, 2, 3, 4, 5]);
        }
        assert_eq!(reads.load(Ordering::Relaxed), 5);
        assert!(feeds.lock().is_empty());
    }

    #[tokio::test]
    async fn a_feed_that_nobody_listens_to_ends() {
        let feeds = Feeds::default();
        let idle = |_| std::future::ready(Ok(Vec::new()));
        drop(feeds.subscribe("a", 0, idle));
        while !feeds.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_client_that_is_behind_the_shared_events_is_told() {
        let mut tail = Tail { before: 7, events: VecDeque::new() };
        assert_eq!((tail.after(7), tail.after(6), tail.last()), (Next::Nothing, Next::Missed, 7));
        tail.push((8..200).map(|id| event(id, "progress")).collect());
        assert_eq!((tail.events.len(), tail.before, tail.last()), (SHARED, 199 - SHARED as i64, 199));
        assert_eq!(tail.after(198), Next::Events(vec![Arc::new(event(199, "progress"))]));
        assert_eq!(tail.after(tail.before - 1), Next::Missed);
    }
}
