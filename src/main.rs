//! The `limpid` binary: passes its arguments to [`limpid::cli`] and returns the result as an exit code.

use std::process::ExitCode;

use limpid::memory::pages;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Rayon does not see the CPU quota of a container, the standard library does. Threads of candle's own would
    // compete with the kernels' for the same cores.
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    for (variable, threads) in [("RAYON_NUM_THREADS", cores), ("CANDLE_NUM_THREADS", 1)] {
        if std::env::var_os(variable).is_none() {
            // SAFETY: no other thread exists yet that could read the environment.
            unsafe { std::env::set_var(variable, threads.to_string()) };
        }
    }
    pages::keep();
    limpid::cli::run()
}
