//! Memory that is kept: the rows of one image go where those of the one before went, without being cleared or asked for again.
//! Whichever thread had it (what a kernel works in stays with its thread, see `scratch`).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pages;

/// What lies ready, [`MOST`] floats at most.
static FREE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// What an image of 12 megapixels takes, and a little more.
const MOST: usize = 64 << 20;

/// At least `len` floats, which hold what is left over from before.
pub(super) fn take(len: usize) -> Vec<f32> {
    let mut free = lock();
    let fits = (0..free.len()).filter(|i| (len..=2 * len).contains(&free[*i].len()));
    match fits.min_by_key(|i| free[*i].len()) {
        Some(i) => free.swap_remove(i),
        None => {
            drop(free);
            vec![0.0; len]
        }
    }
}

/// Takes back what [`take`] gave, until the program rests ([`pages::keep`]).
pub(super) fn give(floats: Vec<f32>) {
    if floats.is_empty() {
        return;
    }
    pages::freed();
    let mut free = lock();
    if free.iter().map(Vec::len).sum::<usize>() + floats.len() <= MOST {
        free.push(floats);
    }
}

/// Lets go of all that lies ready.
pub(super) fn clear() {
    let all = std::mem::take(&mut *lock());
    drop(all);
}

fn lock() -> MutexGuard<'static, Vec<Vec<f32>>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::Ring;
    use super::*;

    #[test]
    fn a_ring_that_was_never_written_leaves_nothing_behind() {
        drop(Ring::new(3, (64, 64), 8));
        assert!(lock().iter().all(|floats| !floats.is_empty()));
    }
}
