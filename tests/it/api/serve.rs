//! The server loop: limits on connections and time, and the end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::*;

/// Reads until the other side closes; how long that took.
fn closed_after(socket: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = socket.read_to_end(&mut Vec::new());
    begun.elapsed()
}

#[test]
fn a_head_that_does_not_end_is_cut_off() {
    let mut setup = Setup::default();
    setup.config.header_seconds = 1;
    let service = Service::with(setup);
    let mut socket = TcpStream::connect(service.address()).unwrap();
    socket.write_all(b"GET /version HTTP/1.1\r\nhost: localhost\r\n").unwrap();
    assert!(closed_after(&mut socket) < Duration::from_secs(5));
    ok(service.get("/version"));
}

#[test]
fn a_connection_that_says_nothing_is_cut_off() {
    let mut setup = Setup::default();
    setup.config.first_request_seconds = 1;
    let service = Service::with(setup);
    let mut socket = TcpStream::connect(service.address()).unwrap();
    assert!(closed_after(&mut socket) < Duration::from_secs(5));
}

#[test]
fn connections_over_the_limit_are_for_probes_and_end_with_one() {
    let mut setup = Setup::default();
    setup.config.max_connections = 2;
    let service = Service::with(setup);
    let held: Vec<_> = (0..2).map(|_| TcpStream::connect(service.address()).unwrap()).collect();
    // More silent ones than there are places beyond the limit: a probe takes the place of the oldest.
    let mut silent: Vec<_> = (0..20).map(|_| TcpStream::connect(service.address()).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(200));
    for path in ["/livez", "/readyz", "/startupz"] {
        let response = service.get(path);
        assert_eq!((response.status().as_u16(), header(&response, "connection")), (204, "close"), "{path}");
    }
    let response = service.get("/version");
    assert_eq!(header(&response, "retry-after"), "1");
    refused(response, "queue_full");
    assert!(closed_after(&mut silent[0]) < Duration::from_secs(2), "its place was another's");
    drop((held, silent));
    std::thread::sleep(Duration::from_millis(200));
    ok(service.get("/version"));
}

#[test]
fn connections_of_one_address_over_its_limit_are_closed_and_make_room_again() {
    let mut setup = Setup::default();
    setup.config.connections_per_address = 2;
    let service = Service::with(setup);
    let held: Vec<_> = (0..2).map(|_| TcpStream::connect(service.address()).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(200));
    let mut third = TcpStream::connect(service.address()).unwrap();
    assert!(closed_after(&mut third) < Duration::from_secs(2));
    drop(held);
    std::thread::sleep(Duration::from_millis(200));
    ok(service.get("/version"));
}

/// A connection as `curl --http2-prior-knowledge` opens it: the preface, empty settings, and GET /livez as stream 1.
fn prior_knowledge(service: &Service) -> TcpStream {
    let mut socket = TcpStream::connect(service.address()).unwrap();
    let path = b"\x04\x06/livez";
    let head = [&b"\x82\x86"[..], path, b"\x01\x09localhost"].concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    bytes.extend([0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1]);
    bytes.extend(head);
    socket.write_all(&bytes).unwrap();
    socket
}

#[test]
fn silent_connections_of_http_2_shut_nobody_out() {
    let mut setup = Setup::default();
    setup.config.max_connections = 10;
    let service = Service::with(setup);
    let mut silent: Vec<_> = (0..11).map(|_| prior_knowledge(&service)).collect();
    assert!(silent.iter_mut().all(|socket| closed_after(socket) < Duration::from_secs(2)));
    ok(service.get("/version"));
}

#[test]
fn the_door_stays_open_for_a_while_after_it_is_told_to_stop() {
    let mut setup = Setup::default();
    setup.config.drain_delay_seconds = 2;
    let mut service = Service::with(setup);
    let begun = Instant::now();
    service.begin_stop();
    while service.get("/readyz").status() == 204 {
        assert!(begun.elapsed() < Duration::from_secs(1), "balancers are told at once");
        std::thread::sleep(Duration::from_millis(10));
    }
    refused(service.get("/readyz"), "draining");
    let fresh = reqwest::blocking::get(format!("{}/version", service.url)).unwrap();
    assert_eq!(fresh.status(), 200, "new connections are still taken");
    ok(service.post("/denoise", "image/png", png(8, 8)));
    service.wait();
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_request_in_flight_is_finished_and_then_it_ends() {
    let mut service = Service::start();
    let image = png(1000, 1000);
    let url = format!("{}/denoise", service.url);
    let asked = std::thread::spawn(move || {
        let client = reqwest::blocking::Client::new();
        client.post(url).header("content-type", "image/png").body(image).send().unwrap().status().as_u16()
    });
    std::thread::sleep(Duration::from_millis(100));
    service.begin_stop();
    assert_eq!(asked.join().unwrap(), 200);
    assert!(service.wait() < Duration::from_secs(10));
    assert!(TcpStream::connect(service.address()).is_err());
}

#[test]
fn a_connection_that_stays_does_not_hold_up_the_end() {
    let mut setup = Setup::default();
    setup.config.drain_seconds = 1;
    let mut service = Service::with(setup);
    let mut socket = TcpStream::connect(service.address()).unwrap();
    socket.write_all(b"POST /denoise HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50\r\n\r\nabc").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    service.begin_stop();
    assert!(service.wait() < Duration::from_secs(4));
}

#[test]
fn others_are_not_served_without_keys_unless_told() {
    use limpid::api::{
        App, Config, ServeError,
        keys::{Keys, Source},
        serve,
    };
    use limpid::{engine, job, limits::Limits, registry::Registry};
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let registry = std::sync::Arc::new(Registry::open(None, None).unwrap());
        let engine = engine::Engine::start(engine::Config::default(), registry);
        let jobs = job::Jobs::start(job::Config::default(), engine.clone(), None, None);
        let start = |allow_anonymous| {
            let config = Config { bind: ([0, 0, 0, 0], 0).into(), allow_anonymous, ..Config::default() };
            let keys = Keys::open(Source::default()).unwrap();
            serve(App::new(config, Limits::default(), engine.clone(), jobs.clone(), keys), async {})
        };
        assert!(matches!(start(false).await, Err(ServeError::Exposed(_))));
        assert!(start(true).await.is_ok());
    });
}
