//! The `limpid` binary: hands its arguments to [`limpid::cli`] and turns the result into an exit code.

use std::process::ExitCode;
use std::time::Duration;

/// Pages that were used stay with the process for half a second: tensors of the same sizes come again with every request,
/// and page faults would cost more than the arithmetic on small images. What a large image took goes back after it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Pages that nobody uses go back to the system after so many milliseconds.
const PURGE_DELAY_MS: u64 = 500;

fn main() -> ExitCode {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: sets one number within mimalloc.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS as _) };
    }
    // Rayon does not see the quota of a container, the standard library does. Threads of candle's own
    // would fight with the kernels' for the same cores.
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    for (variable, threads) in [("RAYON_NUM_THREADS", cores), ("CANDLE_NUM_THREADS", 1)] {
        if std::env::var_os(variable).is_none() {
            // SAFETY: no other thread exists yet that could read the environment.
            unsafe { std::env::set_var(variable, threads.to_string()) };
        }
    }
    // Pages whose time is over go back only when someone allocates; a service at rest has no one who does.
    let sweep = || loop {
        std::thread::sleep(Duration::from_millis(PURGE_DELAY_MS));
        // SAFETY: looks through the allocator's own lists.
        unsafe { libmimalloc_sys::mi_collect(false) };
    };
    let _ = std::thread::Builder::new().name("limpid-memory".into()).stack_size(64 << 10).spawn(sweep);
    limpid::cli::run()
}
