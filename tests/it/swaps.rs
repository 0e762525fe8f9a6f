//! Swaps: the default moves under load, and models come and go, without a failed request, a mixed reply or
//! memory that stays behind.
//!
//! `LIMPID_SWAPS` and `LIMPID_LOADS` say how many there are; `benches/drills/swaps` makes them 1,000 and 200.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use limpid::engine::{self, Engine};
use limpid::name::ModelRef;
use limpid::registry::Registry;
use serde_json::json;

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

/// Bytes of this process in memory that are its own, not of files, which the system drops and reads as it likes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
}

/// Bundled models, real ones, one at a time within a budget that holds none beside it.
#[cfg(target_os = "linux")]
#[test]
fn models_that_come_and_go_leave_no_memory_behind() {
    let loads = count("LIMPID_LOADS", 30);
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    let registry = Arc::new(Registry::open(Some(root.into()), None).unwrap());
    let models: Vec<ModelRef> =
        registry.list().into_iter().map(|model| ModelRef { name: model.name, version: None }).collect();
    let config = engine::Config { models_bytes: Some(1), workers: Some(1), ..engine::Config::default() };
    let engine = Engine::start(config, registry);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cycle = |turns: usize| {
        for turn in 0..turns {
            runtime.block_on(engine.session(&models[turn % models.len()])).unwrap();
            assert_eq!(engine.health().models.len(), 1);
        }
        // What left is freed by a thread of its own.
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    cycle(60);
    let before = resident();
    cycle(loads);
    let after = resident();
    println!("{loads} loads and unloads: {} KiB before, {} KiB after", before >> 10, after >> 10);
    // Beside other tests in this process, only the drill, which runs alone, can tell.
    if std::env::var_os("LIMPID_LOADS").is_some() {
        assert!(after as f64 <= before as f64 * 1.05, "{before} -> {after}");
    }
}
