//! Loaded models: loaded once on first use, cached by name and version within a budget of bytes.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::OnceCell;

use super::Error;
use crate::memory::pages;
use crate::name::Name;

type Key = (Name, u32);
type Table<S> = HashMap<Key, Arc<Slot<S>>>;

/// Interval of the checks whether an unloaded model is still in use.
const LOOK: Duration = Duration::from_millis(20);

/// Cache of loaded models. Lookups take no lock.
#[derive(Debug)]
pub(super) struct Models<S> {
    table: ArcSwap<Table<S>>,
    /// Counter of lookups: the slot with the lowest value is the least recently used.
    clock: AtomicU64,
    /// Maximum bytes of weights in the cache.
    budget: usize,
    /// Channel of evicted models to the thread that frees them once they are unused.
    gone: mpsc::Sender<Arc<S>>,
}

/// Slot of one model; callers that come while it loads wait for the same load.
#[derive(Debug)]
struct Slot<S> {
    session: OnceCell<Arc<S>>,
    /// Bytes of its weights; 0 until they are loaded.
    bytes: AtomicUsize,
    used: AtomicU64,
}

impl<S: Send + Sync + 'static> Models<S> {
    /// Creates an empty cache for models of at most `budget` bytes together; the model used last is never evicted.
    ///
    /// # Panics
    /// The system cannot create a thread: no request can be served then.
    pub(super) fn new(budget: usize) -> Self {
        let (gone, left) = mpsc::channel();
        let free = move || free(&left);
        thread::Builder::new()
            .name("limpid-free".to_owned())
            .spawn(free)
            .expect("the system gives threads to a process that starts");
        Self { table: ArcSwap::default(), clock: AtomicU64::new(0), budget, gone }
    }

    /// Returns the model of `key`, if it is loaded.
    pub(super) fn find(&self, key: &Key) -> Option<Arc<S>> {
        let table = self.table.load();
        let slot = table.get(key)?;
        slot.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        slot.session.get().cloned()
    }

    /// Returns the model of `key`, loading it if needed; `load` also returns the bytes of its weights.
    ///
    /// # Errors
    /// Errors of `load`; the next caller tries again.
    pub(super) async fn get<F>(&self, key: Key, load: impl FnOnce() -> F) -> Result<Arc<S>, Error>
    where
        F: Future<Output = Result<(S, usize), Error>>,
    {
        let slot = self.slot(&key);
        let mut is_new = false;
        let make = || async {
            let (session, bytes) = load().await?;
            slot.bytes.store(bytes, Ordering::Relaxed);
            is_new = true;
            Ok(Arc::new(session))
        };
        let session = slot.session.get_or_try_init(make).await;
        match &session {
            // A slot without a model must not stay in the cache.
            Err(_) => self.change(|table| drop(table.remove(&key))),
            Ok(_) if is_new => self.change(|table| shrink(table, self.budget, &key)),
            Ok(_) => {}
        }
        session.cloned()
    }

    /// Evicts the models of `name`, except `version`. Running requests continue to use theirs.
    pub(super) fn forget(&self, name: &Name, except: Option<u32>) {
        self.change(|table| table.retain(|(n, version), _| n != name || Some(*version) == except));
    }

    /// Names and versions of the loaded models, sorted, with the bytes of their weights.
    pub(super) fn loaded(&self) -> Vec<(Key, usize)> {
        let table = self.table.load();
        let loaded = table.iter().filter(|(_, slot)| slot.session.initialized());
        let with_bytes =
            |(key, slot): (&Key, &Arc<Slot<S>>)| (key.clone(), slot.bytes.load(Ordering::Relaxed));
        let mut models: Vec<_> = loaded.map(with_bytes).collect();
        models.sort();
        models
    }

    fn slot(&self, key: &Key) -> Arc<Slot<S>> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let found = self.table.load().get(key).cloned();
        let slot = found.unwrap_or_else(|| self.insert(key, now));
        slot.used.store(now, Ordering::Relaxed);
        slot
    }

    /// Returns a new slot for `key`, or the one that another caller has just inserted.
    fn insert(&self, key: &Key, now: u64) -> Arc<Slot<S>> {
        let (session, bytes) = (OnceCell::new(), AtomicUsize::new(0));
        let new = Arc::new(Slot { session, bytes, used: AtomicU64::new(now) });
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.entry(key.clone()).or_insert_with(|| Arc::clone(&new));
            table
        });
        before.get(key).cloned().unwrap_or(new)
    }

    /// Changes the table; evicted models are freed by another thread, since freeing weights is slow.
    fn change(&self, change: impl Fn(&mut Table<S>)) {
        let mut after = None;
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            change(&mut table);
            let table = Arc::new(table);
            after = Some(Arc::clone(&table));
            table
        });
        let after = after.unwrap_or_default();
        let left =
            before.iter().filter(|(key, slot)| !after.get(*key).is_some_and(|now| Arc::ptr_eq(now, slot)));
        for session in left.filter_map(|(_, slot)| slot.session.get()) {
            // The receiving thread ends only with this cache.
            let _ = self.gone.send(Arc::clone(session));
        }
    }
}

/// Evicts the least recently used slots until the rest fits the budget, but never that of `newest`.
fn shrink<S>(table: &mut Table<S>, budget: usize, newest: &Key) {
    let bytes = |slot: &Arc<Slot<S>>| slot.bytes.load(Ordering::Relaxed);
    while table.values().map(bytes).sum::<usize>() > budget {
        let others = table.iter().filter(|(key, slot)| *key != newest && bytes(slot) > 0);
        let oldest =
            others.min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed)).map(|(key, _)| key.clone());
        let Some(oldest) = oldest else { return };
        table.remove(&oldest);
    }
}

/// Holds evicted models until they are unused, so that no request has to free them.
fn free<S>(left: &mpsc::Receiver<Arc<S>>) {
    let mut held: Vec<Arc<S>> = Vec::new();
    loop {
        let next = if held.is_empty() {
            left.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            left.recv_timeout(LOOK)
        };
        match next {
            Ok(session) => held.push(session),
            Err(RecvTimeoutError::Timeout) => {
                let before = held.len();
                held.retain(|session| Arc::strong_count(session) > 1);
                if held.len() < before {
                    pages::freed();
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn key(name: &str, version: u32) -> Key {
        (name.parse().unwrap(), version)
    }

    async fn use_of(models: &Models<String>, name: &str, version: u32) -> Arc<String> {
        models.get(key(name, version), || async { Ok((format!("{name}@{version}"), 10)) }).await.unwrap()
    }

    #[tokio::test]
    async fn first_users_at_the_same_time_load_once() {
        let (models, loads) = (Models::new(100), AtomicUsize::new(0));
        let load = || async {
            loads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok((1, 10))
        };
        let (a, b) = tokio::join!(models.get(key("a", 1), load), models.get(key("a", 1), load));
        assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()) && loads.into_inner() == 1);
    }

    #[tokio::test]
    async fn a_load_that_failed_is_tried_again() {
        let models = Models::new(100);
        let failed = models.get(key("a", 1), || async { Err(Error::Draining) }).await;
        assert!(failed.is_err() && models.loaded().is_empty());
        assert_eq!(*models.get(key("a", 1), || async { Ok((2, 10)) }).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn the_model_unused_for_longest_goes() {
        let models = Models::new(25);
        for (name, version) in [("a", 1), ("b", 1), ("a", 1), ("c", 1)] {
            use_of(&models, name, version).await;
        }
        assert_eq!(models.loaded(), [(key("a", 1), 10), (key("c", 1), 10)]);
    }

    #[tokio::test]
    async fn forgetting_a_name_keeps_its_default_and_other_names() {
        let models = Models::new(100);
        let kept = use_of(&models, "a", 1).await;
        for (name, version) in [("a", 2), ("b", 1)] {
            use_of(&models, name, version).await;
        }
        models.forget(&key("a", 0).0, Some(2));
        assert_eq!(models.loaded(), [(key("a", 2), 10), (key("b", 1), 10)]);
        assert_eq!(*kept, "a@1");
    }

    #[tokio::test]
    async fn a_model_beyond_the_budget_is_kept_alone() {
        let models = Models::new(5);
        for name in ["a", "b"] {
            use_of(&models, name, 1).await;
        }
        assert_eq!(models.loaded(), [(key("b", 1), 10)]);
    }

    /// Model that records which thread frees it.
    struct Told(mpsc::Sender<Option<String>>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
        }
    }

    #[tokio::test]
    async fn what_leaves_is_freed_by_its_own_thread_when_the_last_request_is_done() {
        let models = Models::new(100);
        let (tx, freed) = mpsc::channel();
        let held = models.get(key("a", 1), || async { Ok((Told(tx), 10)) }).await.unwrap();
        models.forget(&key("a", 1).0, None);
        assert!(freed.recv_timeout(LOOK * 5).is_err());
        drop(held);
        let thread = freed.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(thread.as_deref(), Some("limpid-free"));
    }
}
