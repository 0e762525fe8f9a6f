//! Swaps: the default moves under load, and models come and go, without a failed request, a mixed reply or
//! memory that stays behind.
//!
//! `LIMPID_SWAPS` and `LIMPID_LOADS` say how many there are; `benches/drills/swaps` makes them 1,000 and 200.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::process::{Process, limpid};
use crate::support::*;

fn count(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[test]
fn every_reply_is_of_one_version_while_the_default_moves() {
    let swaps = count("LIMPID_SWAPS", 60);
    let service = Service::start();
    let image = png(24, 17);
    let of = |model: &str| {
        let response = service.post(&format!("/denoise?model={model}"), "image/png", image.clone());
        assert_eq!(header(&response, "x-model"), model);
        ok(response)
    };
    let expected = [of("photo-gray@1"), of("photo-gray@2")];
    assert_ne!(expected[0], expected[1]);

    let (is_over, replies) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let response = service.post("/denoise?model=photo-gray", "image/png", image.clone());
                    let version = match header(&response, "x-model") {
                        "photo-gray@1" => 0,
                        "photo-gray@2" => 1,
                        other => panic!("{other}: {:?}", response.status()),
                    };
                    assert_eq!(ok(response), expected[version]);
                    replies[version].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for swap in 0..swaps {
            let request = service.request("PUT", "/models/photo-gray/default");
            let body = json!({"version": 2 - swap % 2}).to_string();
            ok(request.header("content-type", "application/json").body(body).send().unwrap());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let [one, two] = replies.map(AtomicUsize::into_inner);
    println!(
        "{swaps} swaps under load: {one} replies of version 1, {two} of version 2, none failed, none mixed"
    );
    assert!(one > 0 && two > 0);
}

/// Bytes of a process in memory that are its own, not of files, which the system drops and reads as it likes.
#[cfg(target_os = "linux")]
fn resident(pid: u32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
}

/// How often it is looked at the memory in one cycle of loads.
#[cfg(target_os = "linux")]
const LOOKS: usize = 7;

/// Bundled models, real ones, one at a time within a budget that holds none beside it, in the real program
/// with its own allocator.
#[cfg(target_os = "linux")]
#[test]
fn models_that_come_and_go_leave_no_memory_behind() {
    let loads = count("LIMPID_LOADS", 30);
    let folder = tempfile::tempdir().unwrap();
    let program = Process::serve(limpid(folder.path()).envs([
        ("LIMPID_MODELS__DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/models")),
        ("LIMPID_ENGINE__MODELS_BYTES", "1"),
        ("LIMPID_JOBS__WORKERS", "0"),
        // At rest soon.
        ("MIMALLOC_PURGE_DELAY", "500"),
    ]));
    let client = reqwest::blocking::Client::new();
    // Always both, so that the same one is there whenever it is looked.
    let serve_both = |_| {
        for model in ["photo-gray", "digits"] {
            let request = client.post(program.url(&format!("/denoise?model={model}")));
            let response = request.header("content-type", "image/png").body(png(28, 28)).send().unwrap();
            assert!(response.status().is_success());
        }
    };
    let cycle = |loads: usize| {
        let mut looks: Vec<usize> = (0..LOOKS)
            .map(|_| {
                (0..loads.div_ceil(2 * LOOKS)).for_each(serve_both);
                std::thread::sleep(Duration::from_millis(1500));
                resident(program.pid())
            })
            .collect();
        looks.sort_unstable();
        looks
    };
    // Until every thread has had its turn.
    cycle(800);
    // Between loads it goes up and down by a twentieth with the times at which threads give back what they hold;
    // what stays behind is there at each look.
    let (before, after) = (cycle(loads)[LOOKS / 2], cycle(loads)[0]);
    println!("{loads} loads and unloads: {} KiB before, {} KiB after", before >> 10, after >> 10);
    assert!(after as f64 <= before as f64 * 1.05, "{before} -> {after}");
}
