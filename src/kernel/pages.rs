//! Pages: when memory that was freed goes back to the system.
//!
//! The program's allocator is mimalloc (`main.rs`). In a process that has another one, nothing here has an effect.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::kept;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// How often the program looks whether pages are to go back.
pub const LOOK: Duration = Duration::from_millis(500);

/// For so many looks at most, work that goes on keeps freed pages: tensors of the same sizes come again with every request
/// and with every tile, and the system clears each page that it gives anew.
const LONGEST: u32 = 60;

/// For so long freed pages stay when no work goes on: who sends one image often sends another, and a virtual machine whose
/// host takes back what it frees may need half as long to get that again as to compute.
const QUIET: Duration = Duration::from_secs(10);

/// Milliseconds instead of [`QUIET`]; mimalloc's own name.
const DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Memory of so many bytes is worth giving back once the work is over.
const LARGE: usize = 64 << 20;

/// How often large memory was freed.
static FREED: AtomicU64 = AtomicU64::new(0);

/// Work under way that takes large memory.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// How often all threads were told to give back what they hold.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// Lets freed pages stay with the process for a while, and sees to it that they go back then.
pub fn keep() {
    let stated = std::env::var(DELAY).ok();
    let quiet = stated.as_deref().and_then(|ms| ms.parse().ok()).map_or(QUIET, Duration::from_millis);
    let quiet_looks = quiet.as_millis().div_ceil(LOOK.as_millis());
    if stated.is_none() {
        let delay = (LONGEST * LOOK).as_millis();
        // SAFETY: sets one number within mimalloc.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, delay as _) };
    }
    // Pages whose time is over go back only when someone allocates; a service at rest has no one who does.
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
            // By force twice: what the other threads give back after this one's turn goes with the next.
            let force = std::mem::replace(&mut told, tell) || tell;
            if force {
                kept::clear();
            }
            // SAFETY: may be called at any time.
            unsafe { libmimalloc_sys::mi_collect(force) };
        }
    };
    // Without the thread they go back later.
    let _ = thread::Builder::new().name("limpid-pages".into()).stack_size(64 << 10).spawn(sweep);
}

/// Gives freed pages back now: among tensors of many sizes what stays grows to as much as is in use. Costs the page
/// faults of using them again.
pub fn release() {
    kept::clear();
    // SAFETY: may be called at any time.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// Makes room for `bytes` that are not like what was freed before, such as a file of that size: if these are many, each thread
/// gives back what it holds before its next work.
pub fn make_room(bytes: usize) {
    if bytes >= 2 * LARGE {
        TOLD.fetch_add(1, Ordering::Relaxed);
    }
}

/// Work that takes large memory, for as long as it is held.
#[derive(Debug)]
pub struct Large(());

impl Large {
    /// Tells that work begins that takes so many bytes; none where these are not worth giving back.
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

/// Tells that large memory was freed. The allocator leaves what one thread frees with the thread that asked for it, until
/// that one looks.
pub fn freed() {
    FREED.fetch_add(1, Ordering::Relaxed);
}

/// Gives back what this thread holds, if all were told to since it last looked. To be called by threads between pieces of
/// work; costs next to nothing where they were not.
pub fn settle() {
    thread_local!(static SEEN: Cell<u64> = const { Cell::new(0) });
    let told = TOLD.load(Ordering::Relaxed);
    if SEEN.replace(told) != told {
        release();
    }
}
