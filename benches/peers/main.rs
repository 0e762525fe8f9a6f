//! Limpid and candle as one side of `kernels.py`: a line of standard input names a run, a line of standard
//! output gives, for each time it ran, milliseconds by the clock on the wall and those of CPU time of this thread.
//!
//! A command is `<runner> <network> <pass> <batch> <height> <width> <isa> <threads> <times>`, for example
//! `limpid n1 forward 1 512 512 best 2 5`. Networks are `n1`, `pyramid` in its default sizes, and the path of a bundled
//! pyramid's `config.json`. `peak <isa> <threads>` measures multiply-adds per second in registers,
//! and `memory` what this process holds.

#[path = "networks.rs"]
mod networks;
#[path = "peak.rs"]
mod peak;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use limpid::kernel::{Isa, with_isa, with_threads};
use mimalloc::MiMalloc;
use networks::Run;

/// The service's allocator, or the system's if the variable `ALLOCATOR` is `system` when the process starts.
struct Either;

// SAFETY: all calls go to one of two allocators, always the same in one process.
unsafe impl GlobalAlloc for Either {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract.
        unsafe { if system() { System.alloc(layout) } else { MiMalloc.alloc(layout) } }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { if system() { System.dealloc(at, layout) } else { MiMalloc.dealloc(at, layout) } }
    }
}

#[global_allocator]
static ALLOCATOR: Either = Either;

fn system() -> bool {
    // Asked without allocating: 0 unknown, 1 system, 2 mimalloc.
    static CHOICE: AtomicU8 = AtomicU8::new(0);
    let mut choice = CHOICE.load(Ordering::Relaxed);
    if choice == 0 {
        unsafe extern "C" {
            fn getenv(name: *const std::ffi::c_char) -> *const std::ffi::c_char;
        }
        // SAFETY: both are C strings, and nothing changes the environment of this process.
        let is_system = unsafe {
            let value = getenv(c"ALLOCATOR".as_ptr());
            !value.is_null() && std::ffi::CStr::from_ptr(value) == c"system"
        };
        choice = if is_system { 1 } else { 2 };
        CHOICE.store(choice, Ordering::Relaxed);
    }
    choice == 1
}

/// Resident MiB of this process, now and at most so far, and the page faults it had.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN) / 1024.0
    };
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let faults = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(7)).unwrap_or("NaN");
    format!("{} {} {faults}", of("VmRSS:"), of("VmHWM:"))
}

fn isa(name: &str) -> Isa {
    match name {
        "avx512" => Isa::Avx512,
        "avx2" => Isa::Avx2,
        "portable" => Isa::Portable,
        _ => Isa::current(),
    }
}

fn main() {
    let mut runs: HashMap<String, Run> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["memory"] => memory(),
            ["peak", name, threads] => {
                let threads = threads.parse().expect("threads is a number");
                peak::gigaflops(isa(name), threads).to_string()
            }
            [runner, network, pass, batch, height, width, name, threads, times] => {
                let number = |text: &str| text.parse::<usize>().expect("extents are numbers");
                let key = words[..6].join(" ");
                let run = runs.entry(key).or_insert_with(|| {
                    Run::new(runner, network, pass, [number(batch), number(height), number(width)])
                });
                with_isa(isa(name), || {
                    with_threads(number(threads), || {
                        let times = (0..number(times)).map(|_| {
                            let (start, cpu) = (Instant::now(), peak::cpu_seconds());
                            run.once();
                            let wall = start.elapsed().as_secs_f64() * 1e3;
                            format!("{wall} {}", (peak::cpu_seconds() - cpu) * 1e3)
                        });
                        times.collect::<Vec<_>>().join(" ")
                    })
                })
            }
            _ => panic!("unknown command: {line}"),
        };
        println!("{answer}");
        std::io::stdout().flush().expect("standard output is open");
    }
}
