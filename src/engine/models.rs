//! Models in memory: loaded once on first use, kept by name and version.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::OnceCell;

use super::Error;
use crate::name::Name;

type Key = (Name, u32);
type Table<S> = HashMap<Key, Arc<Slot<S>>>;

/// The table of loaded models. Looking one up takes no lock.
#[derive(Debug)]
pub(super) struct Models<S> {
    table: ArcSwap<Table<S>>,
    /// Counts look-ups: the slot with the lowest mark was unused for longest.
    clock: AtomicU64,
    limit: usize,
}

/// The place of one model; those who come while it loads wait for the one load.
#[derive(Debug)]
struct Slot<S> {
    session: OnceCell<Arc<S>>,
    used: AtomicU64,
}

impl<S> Models<S> {
    /// An empty table that keeps at most `limit` models, at least 1.
    pub(super) fn new(limit: usize) -> Self {
        Self { table: ArcSwap::default(), clock: AtomicU64::new(0), limit: limit.max(1) }
    }

    /// The model of `key`; `load` makes it if it is not here yet.
    ///
    /// # Errors
    /// Those of `load`; the next caller tries anew.
    pub(super) async fn get<F>(&self, key: Key, load: impl FnOnce() -> F) -> Result<Arc<S>, Error>
    where
        F: Future<Output = Result<S, Error>>,
    {
        let slot = self.slot(&key);
        let session = slot.session.get_or_try_init(|| async { load().await.map(Arc::new) }).await;
        if session.is_err() {
            // A slot without a model must not push one that is in use out of the table.
            self.retain(|k| *k != key);
        }
        session.cloned()
    }

    /// Drops the models of `name`, except `version`. Requests under way keep theirs.
    pub(super) fn forget(&self, name: &Name, except: Option<u32>) {
        self.retain(|(n, version)| n != name || Some(*version) == except);
    }

    /// Names and versions of the models that are loaded.
    pub(super) fn loaded(&self) -> Vec<Key> {
        let table = self.table.load();
        let mut keys: Vec<Key> =
            table.iter().filter(|(_, slot)| slot.session.initialized()).map(|(key, _)| key.clone()).collect();
        keys.sort();
        keys
    }

    fn slot(&self, key: &Key) -> Arc<Slot<S>> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let found = self.table.load().get(key).cloned();
        let slot = found.unwrap_or_else(|| self.insert(key, now));
        slot.used.store(now, Ordering::Relaxed);
        slot
    }

    /// A new place for `key`, or the one that another caller made just before.
    fn insert(&self, key: &Key, now: u64) -> Arc<Slot<S>> {
        let new = Arc::new(Slot { session: OnceCell::new(), used: AtomicU64::new(now) });
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.entry(key.clone()).or_insert_with(|| Arc::clone(&new));
            shrink(&mut table, self.limit, key);
            table
        });
        before.get(key).cloned().unwrap_or(new)
    }

    fn retain(&self, keep: impl Fn(&Key) -> bool) {
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.retain(|key, _| keep(key));
            table
        });
    }
}

/// Drops the slots unused for longest, never that of `newest`.
fn shrink<S>(table: &mut Table<S>, limit: usize, newest: &Key) {
    while table.len() > limit {
        let others = table.iter().filter(|(key, _)| *key != newest);
        let oldest =
            others.min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed)).map(|(key, _)| key.clone());
        let Some(oldest) = oldest else { return };
        table.remove(&oldest);
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
        models.get(key(name, version), || async { Ok(format!("{name}@{version}")) }).await.unwrap()
    }

    #[tokio::test]
    async fn first_users_at_the_same_time_load_once() {
        let (models, loads) = (Models::new(4), AtomicUsize::new(0));
        let load = || async {
            loads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(1)
        };
        let (a, b) = tokio::join!(models.get(key("a", 1), load), models.get(key("a", 1), load));
        assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()) && loads.into_inner() == 1);
    }

    #[tokio::test]
    async fn a_load_that_failed_is_tried_again() {
        let models = Models::new(4);
        let failed = models.get(key("a", 1), || async { Err(Error::Draining) }).await;
        assert!(failed.is_err() && models.loaded().is_empty());
        assert_eq!(*models.get(key("a", 1), || async { Ok(2) }).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn the_model_unused_for_longest_goes() {
        let models = Models::new(2);
        for (name, version) in [("a", 1), ("b", 1), ("a", 1), ("c", 1)] {
            use_of(&models, name, version).await;
        }
        assert_eq!(models.loaded(), [key("a", 1), key("c", 1)]);
    }

    #[tokio::test]
    async fn forgetting_a_name_keeps_its_default_and_other_names() {
        let models = Models::new(9);
        let kept = use_of(&models, "a", 1).await;
        for (name, version) in [("a", 2), ("b", 1)] {
            use_of(&models, name, version).await;
        }
        models.forget(&key("a", 0).0, Some(2));
        assert_eq!(models.loaded(), [key("a", 2), key("b", 1)]);
        assert_eq!(*kept, "a@1");
    }
}
