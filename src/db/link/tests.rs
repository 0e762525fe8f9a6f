//! Tests of a Postgres whose connections go silent.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::super::testing::postgres;
use super::super::{Config, Conn, Db};
use super::*;

/// Relay between a program and a Postgres. Connections of an epoch that is over stay open, and nothing passes any more.
struct Relay {
    port: u16,
    epoch: Arc<AtomicU64>,
}

impl Relay {
    fn start(socket: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let epoch = Arc::new(AtomicU64::new(0));
        let now = Arc::clone(&epoch);
        thread::spawn(move || {
            for client in listener.incoming().map_while(std::io::Result::ok) {
                let server = UnixStream::connect(&socket).unwrap();
                let (born, now) = (now.load(Ordering::SeqCst), Arc::clone(&now));
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let epoch = Arc::clone(&now);
                thread::spawn(move || pass(from, to, born, &epoch));
                thread::spawn(move || pass(server, client, born, &now));
            }
        });
        Self { port, epoch }
    }

    fn silence(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

fn pass(mut from: impl Read, mut to: impl Write, born: u64, epoch: &AtomicU64) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if epoch.load(Ordering::SeqCst) != born {
            // Neither passed on nor closed.
            loop {
                thread::park();
            }
        }
        if to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

fn config(port: u16, database: &str) -> Config {
    let url = format!("postgres://limpid@127.0.0.1:{port}/{database}?sslmode=disable");
    Config { url, timeout_seconds: 0.5, ..Config::default() }
}

async fn add(conn: &mut Conn) -> Result<()> {
    sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'registry'").execute(conn).await?;
    Ok(())
}

#[test]
fn a_connection_that_goes_silent_is_given_up_and_a_new_one_is_used() {
    let url = match postgres() {
        Ok(url) => url,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let (place, socket) = url.split_once("?host=").unwrap();
    let relay = Relay::start(format!("{socket}/.s.PGSQL.5432"));
    let config = config(relay.port, place.rsplit('/').next().unwrap());
    let db = Db::open(&config, Path::new("unused"), || false).unwrap();
    // In the middle of a transaction, whose statement is never answered.
    let silenced = db.transact(async |conn| {
        relay.silence();
        add(conn).await
    });
    assert!(matches!(silenced, Err(Error::Gone(_))), "{silenced:?}");
    assert!(db.outage().is_some_and(|outage| !outage.is_required));
    db.transact(add).unwrap();
    assert!(db.outage().is_none());
    let value = db.read(async |conn| {
        let sql = "SELECT value FROM counters WHERE name = 'registry'";
        Ok::<i64, Error>(sqlx::query_scalar(sql).fetch_one(conn).await?)
    });
    assert_eq!(value.unwrap(), 1, "the silenced transaction changed nothing");
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_not_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = config(port, "any");
    let kept: thread::JoinHandle<Vec<TcpStream>> =
        thread::spawn(move || listener.incoming().take(1).map_while(std::io::Result::ok).collect());
    assert!(matches!(Db::open(&config, Path::new("unused"), || false), Err(Error::Gone(_))));
    let db = Db::open_soon(&config, Path::new("unused"), || false).unwrap();
    assert!(db.outage().is_some());
    drop(kept.join());
}

#[test]
fn limits_of_the_session_are_set() {
    let Ok(url) = postgres() else { return };
    let config = Config { url, ..Config::default() };
    let db = Db::open(&config, Path::new("unused"), || false).unwrap();
    let of = |name: &'static str| {
        db.read(async |conn| {
            let sql = "SELECT current_setting($1)";
            Ok::<String, Error>(sqlx::query_scalar(sql).bind(name).fetch_one(conn).await?)
        })
        .unwrap()
    };
    assert_eq!(of("statement_timeout"), "15s");
    assert_eq!(of("lock_timeout"), "10s");
    assert_eq!(of("idle_in_transaction_session_timeout"), "30s");
    assert_eq!(of("application_name"), "limpid");
}
