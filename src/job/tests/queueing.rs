//! Tests of the queue: leases, fences, attempts, and jobs that lost their worker.

use super::*;
use crate::db::Conn;
use crate::job::queue::{End, News, Wanted};

/// Config with leases that expire at once.
fn hasty() -> Config {
    Config { lease_seconds: 0.0, ..Config::default() }
}

fn wait_for_lease() {
    std::thread::sleep(Duration::from_millis(120));
}

#[test]
fn jobs_are_taken_in_order_and_each_by_one_worker() {
    on_sites(Config { queue: 100, ..Config::default() }, |site| {
        let ids: Vec<String> = (0..24).map(|_| site.submit(1)).collect();
        let taken = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (site, taken) = (&site, &taken);
                scope.spawn(move || {
                    while let Some(job) = site.take(&worker.to_string()) {
                        taken.lock().unwrap().push(job.id);
                    }
                });
            }
        });
        let mut taken = taken.into_inner().unwrap();
        taken.sort();
        assert_eq!(taken, ids);
    });
}

#[test]
fn a_worker_that_lost_its_lease_changes_nothing() {
    on_sites(hasty(), |site| {
        let id = site.submit(1);
        let lost = site.take("a").unwrap();
        wait_for_lease();
        let now = site.take("b").unwrap();
        assert_eq!((now.id.as_str(), now.fence > lost.fence), (id.as_str(), true));
        assert_eq!(site.queue().beat(&lost, &News::default()).unwrap(), Wanted::Nothing);
        assert!(!site.queue().begin(&lost, &Samples::default(), None).unwrap());
        site.queue().end(&lost, &End::Cancelled, &[]).unwrap();
        assert_eq!(site.status(&id), Status::Validating);
        assert!(site.queue().begin(&now, &Samples::default(), None).unwrap());
        assert_eq!(site.queue().beat(&now, &News::default()).unwrap(), Wanted::Work);
        assert_eq!(site.jobs.get(&id).unwrap().attempt, 2);
    });
}

#[test]
fn one_key_sent_many_times_at_once_is_one_job() {
    on_sites(Config { queue: 100, ..Config::default() }, |site| {
        let order = Order { idempotency_key: Some("key".into()), ..site.order(1) };
        let submit = || site.jobs.submit(&order).unwrap();
        let taken: Vec<(Job, bool)> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(submit)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.iter().filter(|(_, is_new)| *is_new).count(), 1);
        assert!(taken.iter().all(|(job, _)| job.id == taken[0].0.id));
    });
}

#[test]
fn a_running_job_is_cancelled_at_once_and_can_no_longer_be_paused() {
    on_sites(Config::default(), |site| {
        let id = site.submit(1);
        let taken = site.take("a").unwrap();
        site.jobs.pause(&id).unwrap();
        // Its worker never looks.
        assert_eq!(site.jobs.cancel(&id).unwrap().status, Status::Cancelled);
        assert!(matches!(site.jobs.pause(&id), Err(Error::State { wanted: "paused", .. })));
        assert_eq!(site.queue().beat(&taken, &News::default()).unwrap(), Wanted::Nothing);
        site.queue().end(&taken, &End::Paused, &[]).unwrap();
        assert_eq!(site.status(&id), Status::Cancelled);
        assert_eq!(site.kinds(&id).iter().filter(|kind| *kind == "done").count(), 1);
    });
}

#[test]
fn a_pause_and_a_cancel_at_once_end_as_one_of_them() {
    on_sites(Config::default(), |site| {
        for _ in 0..20 {
            let id = site.submit(1);
            let taken = site.take("a").unwrap();
            let (paused, cancelled) = std::thread::scope(|scope| {
                let pause = scope.spawn(|| site.jobs.pause(&id));
                let rest = scope.spawn(|| site.queue().end(&taken, &End::Paused, &[]));
                let cancel = scope.spawn(|| site.jobs.cancel(&id));
                rest.join().unwrap().unwrap();
                (pause.join().unwrap(), cancel.join().unwrap())
            });
            // A cancel is never refused, and is never undone by the pause.
            assert_eq!(cancelled.unwrap().status, Status::Cancelled);
            assert!(matches!(paused, Ok(_) | Err(Error::State { .. })));
            assert_eq!(site.status(&id), Status::Cancelled);
        }
    });
}

#[test]
fn keys_take_turns_where_that_is_set() {
    let order = |fair: bool| {
        let seen = std::sync::Mutex::new(Vec::new());
        on_sites(Config { fair, ..Config::default() }, |site| {
            for owner in ["a", "a", "a", "b", "c", "b"] {
                site.jobs.submit(&Order { owner: owner.into(), ..site.order(1) }).unwrap();
            }
            let mut owners = String::new();
            while let Some(taken) = site.take("w") {
                owners += &owner_of(&site, &taken.id);
                let failure = Failure { code: "internal".into(), detail: String::new() };
                site.queue().end(&taken, &End::Failed(failure), &[]).unwrap();
                // The start of a job is noted in milliseconds.
                std::thread::sleep(Duration::from_millis(2));
            }
            seen.lock().unwrap().push(owners);
        });
        seen.into_inner().unwrap()
    };
    assert!(order(false).iter().all(|owners| owners == "aaabcb"));
    assert!(order(true).iter().all(|owners| owners == "abcaba"));
}

fn owner_of(site: &Site, id: &str) -> String {
    let sql = "SELECT owner FROM jobs WHERE id = $1";
    let owner =
        site.db.read(async |conn| Ok::<_, Error>(sqlx::query_scalar(sql).bind(id).fetch_one(conn).await?));
    owner.unwrap()
}

#[test]
fn a_key_has_at_most_its_number_of_unfinished_jobs() {
    on_sites(Config { queue_per_key: 2, ..Config::default() }, |site| {
        let submit = |owner: &str| site.jobs.submit(&Order { owner: owner.into(), ..site.order(1) });
        let first = submit("a").unwrap().0.id;
        submit("a").unwrap();
        assert!(matches!(submit("a"), Err(Error::KeyFull { limit: 2 })));
        submit("b").unwrap();
        site.jobs.cancel(&first).unwrap();
        submit("a").unwrap();
    });
}

#[test]
fn a_worker_whose_lease_is_long_over_is_overdue() {
    on_sites(Config::default(), |site| {
        site.submit(1);
        site.take("a").unwrap();
        let are_overdue = || ["a", "b"].map(|worker| site.queue().is_overdue(worker).unwrap());
        assert_eq!(are_overdue(), [false, false]);
        let end_lease = async |conn: &mut Conn| {
            sqlx::query("UPDATE jobs SET lease_until = 1").execute(conn).await?;
            Ok::<_, Error>(())
        };
        site.db.transact(end_lease).unwrap();
        assert_eq!(are_overdue(), [true, false]);
    });
}

#[test]
fn a_lease_of_a_clock_that_was_an_hour_ahead_blocks_nothing() {
    on_sites(Config::default(), |site| {
        let id = site.submit(1);
        site.take("gone").unwrap();
        assert!(site.take("b").is_none(), "its lease is not over");
        let put_ahead = async |conn: &mut Conn| {
            sqlx::query("UPDATE jobs SET lease_until = lease_until + 3600000").execute(conn).await?;
            Ok::<_, Error>(())
        };
        site.db.transact(put_ahead).unwrap();
        assert_eq!(site.take("b").map(|taken| taken.id), Some(id));
    });
}

#[test]
fn who_lost_the_job_cannot_publish_and_who_has_it_can_once() {
    on_sites(hasty(), |site| {
        // Trains version 1; the attempts below publish its artifact again instead of training.
        let worker = site.worker();
        site.over(&site.submit(3));
        drop(worker);
        let artifact = site.registry.read(&"sines@1".parse().unwrap()).unwrap();
        let tar = registry::bundle::write(&artifact, None).unwrap();
        let publish = |taken: &Taken| {
            let (last, events) = (Arc::default(), Arc::default());
            let right = claim::Right { queue: site.queue(), taken: taken.clone(), last, events };
            let draft = registry::bundle::read(&tar, None).unwrap();
            site.registry.with_claim(Arc::new(right)).publish(draft, true)
        };
        let id = site.submit(1);
        let lost = site.take("a").unwrap();
        site.queue().begin(&lost, &Samples::default(), None).unwrap();
        wait_for_lease();
        let now = site.take("b").unwrap();
        site.queue().begin(&now, &Samples::default(), None).unwrap();
        assert!(matches!(publish(&lost), Err(registry::Error::Lost(_))));
        assert_eq!(publish(&now).unwrap().version, 2);
        assert!(matches!(publish(&now), Err(registry::Error::Lost(_))));
        assert_eq!(site.status(&id), Status::Succeeded);
        assert_eq!(site.registry.get(&"sines".parse().unwrap()).unwrap().versions, [1, 2]);
    });
}

#[test]
fn a_job_that_ends_every_worker_fails_and_those_behind_it_run() {
    on_sites(hasty(), |site| {
        let (poison, next) = (site.submit(1), site.submit(1));
        for _ in 0..3 {
            assert_eq!(site.take("a").unwrap().id, poison);
            site.queue().release("a", "the training process was ended by signal 11").unwrap();
        }
        assert_eq!(site.take("a").unwrap().id, next);
        let job = site.jobs.get(&poison).unwrap();
        assert_eq!((job.status, job.attempt), (Status::Failed, 3));
        let detail = job.error.unwrap().detail;
        assert!(detail.contains("3 attempts") && detail.contains("signal 11"), "{detail}");
    });
}

#[test]
fn a_job_that_moves_on_is_not_poison_however_often_its_worker_is_killed() {
    on_sites(hasty(), |site| {
        let id = site.submit(1);
        for attempt in 1..=12 {
            // A checkpoint written just before the end, which no row knows.
            let taken = site.queue().take("a", &|_| true, &|_| attempt).unwrap().unwrap();
            assert_eq!(taken.id, id);
            site.queue().release("a", "killed").unwrap();
        }
        for attempt in 13..=20 {
            let taken = site.queue().take("a", &|_| true, &|_| attempt).unwrap().unwrap();
            let news = News { saved_step: attempt + 1, ..News::default() };
            site.queue().beat(&taken, &news).unwrap();
            site.queue().release("a", "killed").unwrap();
        }
        assert_eq!(site.status(&id), Status::Queued);
    });
}

#[test]
fn steps_that_must_be_done_again_are_counted_once() {
    on_sites(Config { attempts: 9, ..hasty() }, |site| {
        let id = site.submit(100);
        let taken = site.take("a").unwrap();
        let told = |step| Progress {
            step,
            total_steps: Some(100),
            loss: 0.5,
            psnr_db: None,
            steps_per_second: 10.0,
            eta_seconds: Some(1.0),
            checkpoint_seconds: Some(0.1),
        };
        let beat = |taken: &Taken, step| {
            let news = News { progress: Some(told(step)), saved_step: 60, events: vec![] };
            site.queue().beat(taken, &news).unwrap();
        };
        let again = || {
            site.queue().release("a", "killed").unwrap();
            let taken = site.queue().take("a", &|_| true, &|_| 60).unwrap().unwrap();
            (taken, site.jobs.get(&id).unwrap().progress.unwrap())
        };
        let counted = |name: &str| site.db.read(async |conn| rows::counted(conn, name).await).unwrap();
        beat(&taken, 90);
        // The second attempt ends before it reports a step.
        for _ in 0..2 {
            let back = Progress { eta_seconds: Some(4.0), checkpoint_seconds: None, ..told(60) };
            assert_eq!(again().1, back);
        }
        assert_eq!((counted("resumes"), counted("lost_steps")), (2, 30));
        let (taken, _) = again();
        beat(&taken, 65);
        let (taken, _) = again();
        assert_eq!((counted("resumes"), counted("lost_steps")), (4, 35));
        // A checkpoint ahead of the reported progress loses no steps.
        beat(&taken, 55);
        again();
        assert_eq!(counted("lost_steps"), 35);
    });
}

#[test]
fn what_was_asked_of_a_worker_that_is_gone_happens_all_the_same() {
    on_sites(hasty(), |site| {
        let ids = [(); 3].map(|()| site.submit(1));
        let held = [(); 2].map(|()| site.take("a").unwrap());
        // The lease expires at once, so both requests apply immediately.
        wait_for_lease();
        assert_eq!(site.jobs.cancel(&held[0].id).unwrap().status, Status::Cancelled);
        assert_eq!(site.jobs.pause(&held[1].id).unwrap().status, Status::Paused);
        assert_eq!(site.take("b").unwrap().id, ids[2]);
        assert_eq!(site.jobs.resume(&ids[1]).unwrap().status, Status::Queued);
    });
}

#[test]
fn a_job_that_found_the_disk_full_rests_until_there_is_room() {
    on_sites(Config::default(), |site| {
        let id = site.submit(1);
        let taken = site.take("a").unwrap();
        site.queue().end(&taken, &End::DiskFull("no room".into()), &[]).unwrap();
        let job = site.jobs.get(&id).unwrap();
        assert_eq!((job.status, job.error.unwrap().code.as_str()), (Status::Paused, "disk_full"));
        site.queue().wake().unwrap();
        let job = site.jobs.get(&id).unwrap();
        assert_eq!((job.status, job.error), (Status::Queued, None));
        // A job that a person paused stays paused.
        site.jobs.pause(&id).unwrap();
        site.queue().wake().unwrap();
        assert_eq!(site.status(&id), Status::Paused);
    });
}

#[test]
fn a_row_that_is_not_understood_is_passed_over() {
    on_sites(Config::default(), |site| {
        let (odd, newer, good) = (site.submit(1), site.submit(1), site.submit(1));
        site.db
            .transact(async |conn| {
                sqlx::query("UPDATE jobs SET name = '../x' WHERE id = $1")
                    .bind(&odd)
                    .execute(&mut *conn)
                    .await?;
                let sql =
                    "UPDATE jobs SET config = '{\"name\": \"sines\", \"of_tomorrow\": 1}' WHERE id = $1";
                sqlx::query(sql).bind(&newer).execute(conn).await?;
                Ok::<_, Error>(())
            })
            .unwrap();
        assert_eq!(site.take("a").unwrap().id, good);
        assert_eq!(site.status(&newer), Status::Failed);
    });
}
