//! Pages: when memory that was freed goes back to the system.
//!
//! The program's allocator is mimalloc (`main.rs`). In a process that has another one, nothing here has an effect.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// How long freed pages stay: tensors of the same sizes come again with every request, and page faults would cost
/// more than the arithmetic on small images.
pub const STAY: Duration = Duration::from_millis(500);

/// Memory of so many bytes is worth giving back at once.
pub const LARGE: usize = 64 << 20;

/// How often large memory was freed.
static FREED: AtomicU64 = AtomicU64::new(0);

/// Lets freed pages stay with the process for half a second, and sees to it that they go back then, unless the variable
/// `MIMALLOC_PURGE_DELAY` says otherwise.
pub fn keep() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: sets one number within mimalloc.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, STAY.as_millis() as _) };
    }
    // Pages whose time is over go back only when someone allocates; a service at rest has no one who does.
    let sweep = || {
        let (mut seen, mut by_force) = (0, 0_u8);
        loop {
            thread::sleep(STAY);
            // Twice: what the other threads give back after this one's turn goes with the next.
            if std::mem::replace(&mut seen, FREED.load(Ordering::Relaxed)) != seen {
                by_force = 2;
            }
            // SAFETY: may be called at any time.
            unsafe { libmimalloc_sys::mi_collect(by_force > 0) };
            by_force = by_force.saturating_sub(1);
        }
    };
    // Without the thread they go back later.
    let _ = thread::Builder::new().name("limpid-pages".into()).stack_size(64 << 10).spawn(sweep);
}

/// Gives freed pages back now: among tensors of many sizes what stays grows to as much as is in use. Costs the page
/// faults of using them again.
pub fn release() {
    // SAFETY: may be called at any time.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// Tells all threads that large memory was freed. The allocator leaves what one thread frees with the thread that asked for
/// it, until that one looks.
pub fn freed() {
    FREED.fetch_add(1, Ordering::Relaxed);
}

/// Looks whether large memory of this thread was freed since it last looked, and gives it back. To be called by threads
/// between pieces of work; costs next to nothing where none was.
pub fn settle() {
    thread_local!(static SEEN: Cell<u64> = const { Cell::new(0) });
    let freed = FREED.load(Ordering::Relaxed);
    if SEEN.replace(freed) != freed {
        release();
    }
}
