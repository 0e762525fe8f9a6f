//! Pages: when freed memory is returned to the operating system.
//!
//! The program's allocator is mimalloc (`main.rs`). In a process with another allocator, nothing here has an effect.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::buffers;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Interval of the checks whether freed pages are due to be returned.
pub const LOOK: Duration = Duration::from_millis(500);

/// Maximum age of freed pages while work continues, in intervals of [`LOOK`]: every request and every tile allocates
/// tensors of the same sizes again, and the system has to zero each page that it hands out.
const LONGEST: u32 = 60;

/// Time without work after which freed pages are returned: a client that sends one image often sends another, and on
/// a virtual machine whose host reclaims freed memory, getting it back may take half as long as the computation.
const QUIET: Duration = Duration::from_secs(10);

/// Environment variable that replaces [`QUIET`], in milliseconds; the name is mimalloc's own.
const DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Smallest size, in bytes, that is worth returning once the work is done.
const LARGE: usize = 64 << 20;

/// Number of times that large memory was freed.
static FREED: AtomicU64 = AtomicU64::new(0);

/// Number of running pieces of work that use large memory.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// Number of times that all threads were asked to return the memory that they hold.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// Keeps freed pages with the process for a while, and starts the thread that returns them afterwards.
pub fn keep() {
    let stated = std::env::var(DELAY).ok();
    let quiet = stated.as_deref().and_then(|ms| ms.parse().ok()).map_or(QUIET, Duration::from_millis);
    let quiet_looks = quiet.as_millis().div_ceil(LOOK.as_millis());
    if stated.is_none() {
        let delay = (LONGEST * LOOK).as_millis();
        // SAFETY: sets one number within mimalloc.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, delay as _) };
    }
    // mimalloc purges expired pages only on an allocation, and an idle service does not allocate.
    let sweep = move || {
        let (mut seen, mut owed, mut quiet, mut told) = (0, 0, 0, false);
        loop {
            thread::sleep(LOOK);
            let freed = FREED.load(Ordering::Relaxed);
            let has_freed = std::mem::replace(&mut seen, freed) != freed;
            let is_busy = has_freed || UNDER_WAY.load(Ordering::Relaxed) > 0;
            owed += u32::from(has_freed || owed > 0);
            quiet = if is_busy { 0 } else { quiet + 1 };
            let tell = owed > LONGEST || (owed > 0 && quiet >= quiet_looks);
            if tell {
                TOLD.fetch_add(1, Ordering::Relaxed);
                owed = 0;
            }
            // Forced in two consecutive rounds: pages that other threads release after the first go back with the second.
            let force = std::mem::replace(&mut told, tell) || tell;
            if force {
                buffers::clear();
            }
            // SAFETY: may be called at any time.
            unsafe { libmimalloc_sys::mi_collect(force) };
        }
    };
    // If the thread cannot start, pages are returned later.
    let _ = thread::Builder::new().name("limpid-pages".into()).stack_size(64 << 10).spawn(sweep);
}

/// Returns freed pages now: with tensors of many sizes, unused pages can grow to as much memory as is in use. Using
/// them again costs page faults.
pub fn release() {
    buffers::clear();
    // SAFETY: may be called at any time.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// Makes room for an allocation of `bytes` unlike those freed before, such as a file of that size: if it is large,
/// every thread returns its unused memory before its next piece of work.
pub fn make_room(bytes: usize) {
    if bytes >= 2 * LARGE {
        TOLD.fetch_add(1, Ordering::Relaxed);
    }
}

/// Guard of work that uses large memory.
#[derive(Debug)]
pub struct Large(());

impl Large {
    /// Registers work that uses this number of bytes; `None` if that is too little to be worth returning.
    pub fn begin(bytes: usize) -> Option<Self> {
        (bytes >= LARGE).then(|| {
            UNDER_WAY.fetch_add(1, Ordering::Relaxed);
            Self(())
        })
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        freed();
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Records that large memory was freed. Memory that one thread frees stays with the thread that allocated it, until
/// that thread next collects.
pub fn freed() {
    FREED.fetch_add(1, Ordering::Relaxed);
}

/// Returns the memory that this thread holds, if all threads were asked to since its last call. Threads call it
/// between pieces of work; otherwise it costs next to nothing.
pub fn settle() {
    thread_local!(static SEEN: Cell<u64> = const { Cell::new(0) });
    let told = TOLD.load(Ordering::Relaxed);
    if SEEN.replace(told) != told {
        release();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const CHILD: &str = "memory::pages::tests::child";

    /// The option is set by number, since the bindings have no name for it; mimalloc reads the same option from the
    /// environment by its name, so an upgrade that renumbers the options fails here.
    #[test]
    fn the_option_has_the_number_that_mimalloc_gives_it() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args([CHILD, "--exact", "--ignored"]).env(DELAY, "12345").output().unwrap();
        let text = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && text.contains("1 passed"), "{text}");
    }

    #[test]
    #[ignore = "run by the test above, in a process of its own"]
    fn child() {
        // SAFETY: reads one number of mimalloc.
        assert_eq!(unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }, 12345);
    }
}
