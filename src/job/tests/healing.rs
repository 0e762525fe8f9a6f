//! Every transaction of jobs and models is run again where the disk fails it once.

use super::*;
use crate::db::testing::Strike;

/// The life of two jobs and a model, each transaction of which fails at its first COMMIT.
fn live(site: &Site, kind: Strike) {
    site.db.faults().every_first(kind);
    let id = site.submit(30);
    site.jobs.pause(&id).unwrap();
    site.jobs.resume(&id).unwrap();
    let worker = site.worker();
    let job = site.over(&id);
    assert_eq!((job.status, job.attempt, job.error), (Status::Succeeded, 1, None), "{kind:?}");
    let cancelled = site.submit(10_000_000);
    site.when(&cancelled, |job| job.progress.is_some());
    site.jobs.cancel(&cancelled).unwrap();
    assert_eq!(site.over(&cancelled).status, Status::Cancelled);
    drop(worker);

    let name = "sines".parse().unwrap();
    site.registry.refresh().unwrap();
    site.registry.set_default(&name, 1, None).unwrap();
    site.registry.remove(&name, 1).unwrap();
    assert!(site.registry.get(&name).is_err());
    keeper::sweep(&site.jobs.0, site.jobs.0.place().unwrap()).unwrap();
    assert_eq!(site.jobs.trouble(), None);
}

#[test]
fn jobs_and_models_live_through_a_disk_that_is_full_for_a_moment() {
    on_sites(Config::default(), |site| live(&site, Strike::Full));
}

#[test]
fn jobs_and_models_live_through_a_disk_that_fails_for_a_moment() {
    on_sites(Config::default(), |site| live(&site, Strike::Io));
}
