//! Gate: permits of large work, given to requests in order of their arrival.
//!
//! A request keeps its permit until its reply is made, so that one that was begun ends before newer ones begin. Otherwise
//! all of many large images would be read first, then computed, then written, and the first answer would come with the last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Queue of large requests.
#[derive(Debug)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// Waiting requests, by number and then in order of arrival.
    waiting: BTreeMap<(u64, u64), oneshot::Sender<Pass>>,
    arrived: u64,
}

/// Permit of one large request, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass(Arc<Gate>);

impl Gate {
    pub(super) fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free: permits, waiting: BTreeMap::new(), arrived: 0 })))
    }

    /// Waits for a permit; of those that wait, the request with the lowest `number` gets the next one.
    pub(super) async fn enter(self: &Arc<Self>, number: u64) -> Pass {
        let pass = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Pass(Arc::clone(self));
            }
            state.arrived += 1;
            let (give, pass) = oneshot::channel();
            let place = (number, state.arrived);
            state.waiting.insert(place, give);
            pass
        };
        pass.await.expect("a sender is removed only to send")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step that does not panic, so the state is consistent even if poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.lock();
            let next = state.waiting.pop_first();
            state.free += usize::from(next.is_none());
            next
        };
        if let Some((_, waiting)) = next {
            // If that request has left, its permit comes back and is dropped, which hands it on.
            drop(waiting.send(Self(Arc::clone(&self.0))));
        }
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
        let gate = Gate::new(1);
        let held = gate.enter(9).await;
        let (tx, mut order) = tokio::sync::mpsc::unbounded_channel();
        for (asked, number) in [5, 3, 8, 4].into_iter().enumerate() {
            let (gate, tx) = (Arc::clone(&gate), tx.clone());
            tokio::spawn({
                let gate = Arc::clone(&gate);
                async move {
                    let _pass = gate.enter(number).await;
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
        let gate = Gate::new(2);
        let held = [gate.enter(0).await, gate.enter(1).await];
        for number in 2..5 {
            let left = tokio::time::timeout(Duration::from_millis(1), gate.enter(number));
            assert!(left.await.is_err());
        }
        drop(held);
        let _both = [gate.enter(6).await, gate.enter(7).await];
        assert_eq!(gate.lock().free, 0);
    }
}
