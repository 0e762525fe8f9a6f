//! Limpid and candle as one side of `kernels.py`: a line of standard input names a run, a line of standard
//! output gives, for each time it ran, milliseconds by the clock on the wall and those of CPU time of this thread.
//!
//! A command is `<runner> <network> <pass> <batch> <height> <width> <isa> <threads> <times>`, for example
//! `limpid n1 forward 1 512 512 best 2 5`; `peak <isa> <threads>` measures multiply-adds per second in registers.

#[path = "networks.rs"]
mod networks;
#[path = "peak.rs"]
mod peak;

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use limpid::kernel::{Isa, with_isa, with_threads};
use networks::Run;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
