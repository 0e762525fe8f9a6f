//! Kills: whatever process of a service ends, at whatever moment, killed (as for want of memory) or by an abort (as a
//! stack overflow does), no job is lost, none is published twice,
//! and each ends with the weights it would have had undisturbed.
//!
//! `LIMPID_KILLS` says how many there are; `benches/drills/kills` makes it 200.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use limpid::rng::{Purpose, Rng};

use crate::support::program::{CHECKPOINT, Program};

/// What a step, a checkpoint and a busy machine may add to it.
const SLACK: Duration = Duration::from_millis(700);

#[cfg(target_os = "linux")]
#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_differs() {
    let kills: usize = std::env::var("LIMPID_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let mut rng = Rng::new(7, Purpose::Evaluate, kills as u64);

    let calm = Program::start();
    let ids: Vec<String> = (0..4).map(|seed| calm.submit(&format!("seed-{seed}"), seed)).collect();
    calm.wait_for(&ids);
    let expected = calm.digests();
    drop(calm);

    let mut service = Program::start();
    let (mut ids, mut of_worker, mut of_service, mut most) = (Vec::new(), 0, 0, Duration::ZERO);
    let (begun, mut killed) = (Instant::now(), SystemTime::now());
    while of_worker + of_service < kills {
        // There is always work, and every job comes again under names of its own.
        let left =
            ids.iter().filter(|id: &&String| service.status(id).is_none_or(|s| s != "succeeded")).count();
        if left < 2 {
            let round = ids.len();
            ids.push(service.submit(&format!("job-{round}-seed-{}", round % 4), round as u64 % 4));
        }
        sleep(Duration::from_millis(100 + rng.below(1400) as u64));
        most = most.max(service.unsaved(killed).unwrap_or_default());
        if rng.below(2) == 0 {
            service.kill_service();
            of_service += 1;
        } else if service.signal_worker(if rng.below(2) == 0 { "-KILL" } else { "-ABRT" }) {
            of_worker += 1;
        }
        killed = SystemTime::now();
    }
    let killing = begun.elapsed();
    service.wait_for(&ids);

    let found = service.digests();
    let attempts: u64 =
        ids.iter().map(|id| service.get(&format!("/train/{id}")).unwrap()["attempt"].as_u64().unwrap()).sum();
    println!(
        "{kills} kills within {killing:.0?}: {of_worker} of the worker, {of_service} of the service; {} jobs, {attempts} \
         attempts; most work since a checkpoint {most:.2?} (interval {CHECKPOINT} s)",
        ids.len()
    );
    assert_eq!(found.len(), ids.len(), "each job gave one model");
    for (name, digests) in &found {
        let seed = name.split("seed-").nth(1).unwrap();
        assert_eq!(
            *digests,
            expected[&format!("seed-{seed}")],
            "{name} was published once, with the same weights"
        );
    }
    assert_eq!(service.litter(), Vec::<String>::new());
    assert_eq!(service.counter("limpid_train_resumes_total"), attempts - ids.len() as u64);
    assert!(most <= Duration::from_secs_f64(CHECKPOINT) + SLACK, "{most:?} of work were lost");
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_job_without_a_checkpoint_had_told_of_counts_as_lost() {
    let service = Program::with(&[("JOBS__CHECKPOINT_SECONDS", "1000")]);
    let id = service.submit("lost", 0);
    let told = || service.get(&format!("/train/{id}")).and_then(|job| job["progress"]["step"].as_u64());
    let begun = Instant::now();
    let step = loop {
        if let Some(step) = told() {
            break step;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no step was told of");
        sleep(Duration::from_millis(10));
    };
    assert!(service.signal_worker("-KILL"));
    service.wait_for(&[id]);
    assert!(service.counter("limpid_train_lost_steps_total") >= step.max(1), "{step} steps were told of");
    assert_eq!(service.counter("limpid_train_resumes_total"), 1);
}
