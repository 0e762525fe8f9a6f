//! Scratch memory: cache-line aligned, cached by each thread for reuse, so that kernels allocate nothing in steady state.

use std::cell::RefCell;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Floats on cache-line boundaries, with stale content at first.
pub(super) struct Scratch {
    lines: Vec<Line>,
}

/// Maximum number of buffers that a thread caches; more than kernels use at a time.
const KEPT: usize = 8;

thread_local! {
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

impl Scratch {
    /// Takes a buffer of at least `len` floats.
    pub(super) fn take(len: usize) -> Self {
        let wanted = len.div_ceil(16);
        let mut lines = FREE.with_borrow_mut(|free| pick(free, wanted));
        if lines.len() < wanted {
            lines.resize(wanted, Line([0.0; 16]));
        }
        Self { lines }
    }

    pub(super) fn ptr(&mut self) -> *mut f32 {
        self.lines.as_mut_ptr().cast()
    }

    pub(super) fn floats(&mut self) -> &mut [f32] {
        let len = self.lines.len() * 16;
        // SAFETY: a Line is 16 floats and nothing else (repr(C), size = alignment = 64).
        unsafe { std::slice::from_raw_parts_mut(self.ptr(), len) }
    }
}

/// Takes the smallest buffer that is large enough, else the largest.
fn pick(free: &mut Vec<Vec<Line>>, wanted: usize) -> Vec<Line> {
    let fits = (0..free.len()).filter(|&i| free[i].len() >= wanted).min_by_key(|&i| free[i].len());
    let best = fits.or_else(|| (0..free.len()).max_by_key(|&i| free[i].len()));
    best.map(|i| free.swap_remove(i)).unwrap_or_default()
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // At thread exit the list may already be destroyed: then the buffer is just freed.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(lines);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again() {
        let first = Scratch::take(1000).ptr();
        assert_eq!(Scratch::take(900).ptr(), first);
    }

    #[test]
    fn buffers_held_together_are_apart_and_aligned() {
        let (mut a, mut b) = (Scratch::take(100), Scratch::take(100));
        assert_ne!(a.ptr(), b.ptr());
        assert_eq!(a.ptr() as usize % 64 + b.ptr() as usize % 64, 0);
        assert!(a.floats().len() >= 100);
    }
}
