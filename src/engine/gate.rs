//! Gate: permits of large work, given to requests in order of their arrival.
//!
//! A request keeps its permit until its reply is made, so that one that was begun ends before newer ones begin. Otherwise
//! all of many large images would be read first, then computed, then written, and the first answer would come with the last.
//!
//! The samples of requests with a permit are in memory: their bytes are bounded, unless there is only one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Queue of large requests.
#[derive(Debug)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Permits that nobody has.
    free: usize,
    permits: usize,
    /// Bytes of the requests with a permit.
    bytes: usize,
    most_bytes: usize,
    /// Waiting requests, by number and then in order of arrival.
    waiting: BTreeMap<(u64, u64), (usize, oneshot::Sender<Pass>)>,
    arrived: u64,
}

/// Permit of one large request, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    bytes: usize,
}

impl Gate {
    /// A gate for `permits` requests of `most_bytes` together; a single one may have more.
    pub(super) fn new(permits: usize, most_bytes: usize) -> Arc<Self> {
        let (waiting, free) = (BTreeMap::new(), permits);
        Arc::new(Self(Mutex::new(State { free, permits, bytes: 0, most_bytes, waiting, arrived: 0 })))
    }

    /// Waits for a permit for `bytes`; of those that wait, the request with the lowest `number` gets the next one.
    pub(super) async fn enter(self: &Arc<Self>, number: u64, bytes: usize) -> Pass {
        let pass = {
            let mut state = self.lock();
            state.arrived += 1;
            let (give, pass) = oneshot::channel();
            let place = (number, state.arrived);
            state.waiting.insert(place, (bytes, give));
            pass
        };
        self.admit();
        pass.await.expect("a sender is removed only to send")
    }

    /// Gives permits to those that wait, in their order, as long as there is room for the next one.
    fn admit(self: &Arc<Self>) {
        // If a request has left, its permit comes back and is dropped, which hands it on.
        while let Some((give, pass)) = self.next() {
            drop(give.send(pass));
        }
    }

    fn next(self: &Arc<Self>) -> Option<(oneshot::Sender<Pass>, Pass)> {
        let mut state = self.lock();
        let bytes = state.waiting.first_key_value()?.1.0;
        let is_alone = state.free == state.permits;
        if state.free == 0 || !(is_alone || state.bytes.saturating_add(bytes) <= state.most_bytes) {
            return None;
        }
        state.free -= 1;
        state.bytes = state.bytes.saturating_add(bytes);
        let (_, (_, give)) = state.waiting.pop_first()?;
        Some((give, Pass { gate: Arc::clone(self), bytes }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step that does not panic, so the state is consistent even if poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.free += 1;
        state.bytes -= self.bytes;
        drop(state);
        self.gate.admit();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    impl Gate {
        /// Number of requests that wait.
        pub(in super::super) fn waiting(&self) -> usize {
            self.lock().waiting.len()
        }
    }

    async fn until_they_wait(gate: &Gate, count: usize) {
        while gate.waiting() < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_request_that_came_first_is_next_whoever_asked_first() {
        let gate = Gate::new(1, 0);
        let held = gate.enter(9, 5).await;
        let (tx, mut order) = tokio::sync::mpsc::unbounded_channel();
        for (asked, number) in [5, 3, 8, 4].into_iter().enumerate() {
            let (gate, tx) = (Arc::clone(&gate), tx.clone());
            tokio::spawn({
                let gate = Arc::clone(&gate);
                async move {
                    let _pass = gate.enter(number, 5).await;
                    tx.send(number).unwrap();
                }
            });
            until_they_wait(&gate, asked + 1).await;
        }
        drop((held, tx));
        let mut numbers = Vec::new();
        while let Some(number) = order.recv().await {
            numbers.push(number);
        }
        assert_eq!(numbers, [3, 4, 5, 8]);
    }

    #[tokio::test]
    async fn permits_of_requests_that_left_are_not_lost() {
        let gate = Gate::new(2, 10);
        let held = [gate.enter(0, 5).await, gate.enter(1, 5).await];
        for number in 2..5 {
            let left = tokio::time::timeout(Duration::from_millis(1), gate.enter(number, 5));
            assert!(left.await.is_err());
        }
        drop(held);
        let both = [gate.enter(6, 5).await, gate.enter(7, 5).await];
        let free_and_bytes = || {
            let state = gate.lock();
            (state.free, state.bytes)
        };
        assert_eq!(free_and_bytes(), (0, 10));
        drop(both);
        assert_eq!(free_and_bytes(), (2, 0));
    }

    #[tokio::test]
    async fn requests_with_permits_have_so_many_bytes_together() {
        let gate = Gate::new(3, 10);
        let first = gate.enter(0, 99).await;
        let mut second = Box::pin(gate.enter(1, 6));
        let mut third = Box::pin(gate.enter(2, 4));
        let pause = Duration::from_millis(1);
        assert!(tokio::time::timeout(pause, &mut second).await.is_err());
        assert!(tokio::time::timeout(pause, &mut third).await.is_err(), "in order, also where it would fit");
        drop(first);
        let _both = (second.await, third.await);
        assert!(tokio::time::timeout(pause, gate.enter(3, 1)).await.is_err());
    }
}
