//! Tests of admission, order, memory and shutdown.

use std::sync::mpsc;

use tokio::sync::oneshot;

use super::*;

fn engine(config: Config) -> Engine {
    Engine::start(config, Arc::new(Registry::open(None, None).unwrap()))
}

fn one_worker(queue: usize) -> Engine {
    engine(Config { workers: Some(1), queue, memory_bytes: Some(1 << 20), ..Config::default() })
}

/// Starts work on the only worker that blocks until the sender is dropped.
async fn occupy(engine: &Engine) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let (begun_tx, begun) = oneshot::channel();
    let engine = engine.clone();
    let task = tokio::spawn(async move {
        let work = move || {
            begun_tx.send(()).unwrap();
            let _ = wait.recv();
        };
        engine.run(0, work).await.unwrap();
    });
    begun.await.unwrap();
    (go, task)
}

#[tokio::test]
async fn a_result_comes_with_its_times() {
    let pause = Duration::from_millis(20);
    let done = one_worker(1).run(0, move || std::thread::sleep(pause)).await.unwrap();
    assert!(done.ran >= pause && done.queued < pause, "{done:?}");
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let engine = one_worker(1);
    let error = engine.run(0, || panic!("tensor {}", 7)).await.map(|d: Done<()>| d.value).unwrap_err();
    assert!(matches!(&error, Error::Panicked(text) if text == "tensor 7"), "{error}");
    assert_eq!(engine.run(0, || 5).await.unwrap().value, 5);
}

#[tokio::test]
async fn what_is_brief_is_converted_on_the_thread_that_asks_and_may_panic_there() {
    let ticket = one_worker(1).admit(None).unwrap();
    let (here, there) = (std::thread::current().id(), || std::thread::current().id());
    assert_eq!(ticket.convert(BRIEF - 1, there).await.unwrap(), here);
    assert_ne!(ticket.convert(BRIEF, there).await.unwrap(), here);
    for bytes in [0, BRIEF] {
        let error = ticket.convert(bytes, || panic!("a file")).await.map(|(): ()| ()).unwrap_err();
        assert!(matches!(&error, Error::Panicked(text) if text == "a file"), "{error}");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let engine = one_worker(0);
    let (go, busy) = occupy(&engine).await;
    assert!(matches!(engine.run(0, || ()).await, Err(Error::QueueFull { .. })));
    drop(go);
    busy.await.unwrap();
    assert!(engine.run(0, || ()).await.is_ok());
}

#[tokio::test]
async fn work_of_a_caller_who_left_is_not_computed() {
    let engine = one_worker(9);
    let (go, busy) = occupy(&engine).await;
    let (tx, computed) = mpsc::channel::<()>();
    let left = tokio::time::timeout(Duration::from_millis(20), engine.run(0, move || tx.send(()).unwrap()));
    assert!(left.await.is_err());
    drop(go);
    busy.await.unwrap();
    engine.run(0, || ()).await.unwrap();
    assert!(computed.try_recv().is_err());
    assert_eq!(engine.health().requests, 0);
}

#[tokio::test]
async fn what_needs_more_than_the_budget_is_refused() {
    let error = one_worker(9).run((1 << 20) + 1, || ()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn together_they_stay_within_the_budget() {
    let (workers, memory_bytes, queue_bytes) = (Some(4), Some(1 << 20), Some(64 << 20));
    let engine = engine(Config { workers, memory_bytes, queue_bytes, ..Config::default() });
    let (now, most) = (Arc::new(std::sync::Mutex::new(0)), Arc::new(std::sync::Mutex::new(0)));
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (engine, now, most) = (engine.clone(), Arc::clone(&now), Arc::clone(&most));
        all.spawn(async move {
            let work = move || {
                *now.lock().unwrap() += 1;
                let inside: usize = *now.lock().unwrap();
                let mut most = most.lock().unwrap();
                *most = inside.max(*most);
                drop(most);
                std::thread::sleep(Duration::from_millis(3));
                *now.lock().unwrap() -= 1;
            };
            engine.run(500 << 10, work).await.unwrap();
        });
    }
    all.join_all().await;
    assert_eq!(*most.lock().unwrap(), 2);
}

#[tokio::test]
async fn requests_are_done_in_order_of_arrival() {
    let engine = one_worker(99);
    let (go, busy) = occupy(&engine).await;
    let (tx, order) = mpsc::channel();
    let mut all = tokio::task::JoinSet::new();
    for i in 0..20 {
        let (engine, tx) = (engine.clone(), tx.clone());
        all.spawn(async move { engine.run(1024, move || tx.send(i).unwrap()).await.unwrap() });
    }
    tokio::task::yield_now().await;
    drop((go, tx));
    busy.await.unwrap();
    all.join_all().await;
    assert_eq!(order.iter().collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_ends_before_the_next_one_begins() {
    let large = 5 << 10;
    let config = Config { workers: Some(2), wide_numbers: large / 4, ..Config::default() };
    let engine = engine(config);
    let held = engine.0.wide.enter(0, 0).await;
    let (tx, order) = mpsc::channel();
    let mut all = tokio::task::JoinSet::new();
    for request in 0..4 {
        let (ticket, tx) = (engine.admit(None).unwrap(), tx.clone());
        all.spawn(async move {
            for step in ["read", "compute", "write"] {
                let tx = tx.clone();
                ticket.run(large, move || tx.send((request, step)).unwrap()).await.unwrap();
            }
        });
    }
    while engine.0.wide.waiting() < 4 {
        tokio::task::yield_now().await;
    }
    drop((held, tx));
    all.join_all().await;
    let expected: Vec<_> =
        (0..4).flat_map(|request| ["read", "compute", "write"].map(|step| (request, step))).collect();
    assert_eq!(order.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_request_that_rests_lets_others_in() {
    let engine = engine(Config { workers: Some(2), wide_numbers: 1, ..Config::default() });
    let (one, other) = (engine.admit(None).unwrap(), engine.admit(None).unwrap());
    one.run(64, || ()).await.unwrap();
    one.rest().await;
    other.run(64, || ()).await.unwrap();
    // The other holds the permit until it is dropped.
    let waits = tokio::time::timeout(Duration::from_millis(20), one.run(64, || ())).await;
    assert!(waits.is_err());
    drop(other);
    one.run(64, || ()).await.unwrap();
}

#[tokio::test]
async fn shutdown_finishes_what_is_inside_and_refuses_the_rest() {
    let engine = one_worker(9);
    let (go, busy) = occupy(&engine).await;
    assert!(!engine.shutdown(Duration::from_millis(10)).await);
    drop(go);
    busy.await.unwrap();
    assert!(matches!(engine.run(0, || ()).await, Err(Error::Draining)));
    assert!(engine.shutdown(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn ready_only_after_preloading() {
    let engine = one_worker(1);
    assert!(!engine.health().is_ready());
    let failed = engine.preload(&["no-such".parse().unwrap()]).await;
    assert!(matches!(failed[0].1, Error::Registry(_)) && engine.health().is_ready());
}
