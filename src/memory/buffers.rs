//! Buffer pool: the rows of an image use the memory of the previous one's, which is neither cleared nor allocated
//! again. The pool is shared by all threads (scratch memory of kernels is per thread, see `scratch`).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pages;

/// Free buffers, [`MOST`] floats in total at most.
static FREE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Maximum number of floats in the pool: an image of 12 megapixels needs a little less.
const MOST: usize = 64 << 20;

/// Takes a buffer of at least `len` floats, with stale content.
pub fn take(len: usize) -> Vec<f32> {
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

/// Returns a buffer to the pool, or frees it if the pool is full. The pool is cleared when the program is idle
/// ([`pages::keep`]).
pub fn give(floats: Vec<f32>) {
    if floats.is_empty() {
        return;
    }
    pages::freed();
    let mut free = lock();
    if free.iter().map(Vec::len).sum::<usize>() + floats.len() <= MOST {
        free.push(floats);
    }
}

/// Frees all buffers of the pool.
pub(super) fn clear() {
    let all = std::mem::take(&mut *lock());
    drop(all);
}

fn lock() -> MutexGuard<'static, Vec<Vec<f32>>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_never_used_is_not_pooled() {
        give(Vec::new());
        assert!(lock().iter().all(|floats| !floats.is_empty()));
    }

    #[test]
    fn a_buffer_serves_requests_of_half_its_size_up() {
        let len = 12_345;
        give(vec![1.0; len]);
        assert!((len..=2 * len).contains(&take(len).len()));
        assert!(take(2 * len).len() >= 2 * len);
    }
}
