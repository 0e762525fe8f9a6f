//! Load: sends one request again and again to an HTTP server on this machine and tells how long the answers took.
//!
//!     load 127.0.0.1:8080 /denoise image/png body.png closed CONNECTIONS SECONDS
//!     load 127.0.0.1:8080 /denoise image/png body.png open RATE SECONDS CONNECTIONS SEED
//!
//! `closed`: each connection asks again as soon as it has its answer. `open`: requests come as from many callers who know
//! nothing of each other (a Poisson process), whatever the server does, and times count from when they were due, so that a
//! server that stalls does not hide it. Prints one line of JSON. Only loopback addresses are taken.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One answer.
struct Answer {
    /// 0 where the connection broke.
    status: u16,
    /// Milliseconds it took.
    took: f64,
    /// Milliseconds of it that the server computed for, as its `Server-Timing` tells under `infer`.
    infer: Option<f64>,
}

// One thread, whatever the connections: it shares the cores with the server, and each thread more that wakes for an answer
// takes one from it for a moment.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [address, path, media_type, body, mode, numbers @ ..] = arguments.as_slice() else {
        eprintln!(
            "load ADDRESS PATH MEDIA-TYPE BODY-FILE closed CONNECTIONS SECONDS | open RATE SECONDS CONNECTIONS SEED"
        );
        return;
    };
    let address: SocketAddr = address.parse().expect("an address such as 127.0.0.1:8080");
    assert!(address.ip().is_loopback(), "only this machine may be put under load");
    let number = |i: usize| numbers[i].parse::<f64>().expect("a number");
    let body = std::fs::read(body).expect("a file");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), &body].concat();
    let target = Arc::new(Target { address, request, idle: Mutex::default() });
    let begun = Instant::now();
    let (connections, arrivals) = match mode.as_str() {
        "closed" => (number(0), None),
        _ => (number(2), Some(Arrivals::new(begun, number(0), number(3) as u64))),
    };
    let end = begun + Duration::from_secs_f64(number(1));
    let answers = send(&target, connections as usize, arrivals, end).await;
    println!("{}", report(&answers, begun.elapsed().as_secs_f64()));
}

/// Whom to ask, and what.
struct Target {
    address: SocketAddr,
    request: Vec<u8>,
    /// Connections without a request, last used last: as the pools of HTTP clients do, the next request goes by the one that was used
    /// last, so that there are no more than are needed.
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

/// When requests are due: after gaps that are exponentially distributed.
struct Arrivals {
    next: Instant,
    rate: f64,
    chance: ChaCha8Rng,
}

impl Arrivals {
    /// `rate` requests a second in the mean, the same ones for the same seed.
    fn new(begun: Instant, rate: f64, seed: u64) -> Self {
        Self { next: begun, rate, chance: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// When the next request is due.
    fn next(&mut self) -> Instant {
        let uniform = f64::from(self.chance.next_u32()) / 2f64.powi(32);
        self.next += Duration::from_secs_f64(-(1.0 - uniform).ln() / self.rate);
        self.next
    }
}

/// Sends requests until the end over at most so many connections; without arrivals each as soon as a connection is free.
async fn send(
    target: &Arc<Target>,
    connections: usize,
    mut arrivals: Option<Arrivals>,
    end: Instant,
) -> Vec<Answer> {
    let free = Arc::new(Semaphore::new(connections));
    let mut asked = JoinSet::new();
    loop {
        let due = arrivals.as_mut().map(Arrivals::next);
        // The clock of the runtime counts in milliseconds, and never wakes early.
        if let Some(due) = due.filter(|due| *due > Instant::now()) {
            time::sleep_until(due.min(end).into()).await;
        }
        let place = Arc::clone(&free).acquire_owned().await.expect("never closed");
        let due = due.unwrap_or_else(Instant::now);
        if due >= end {
            return asked.join_all().await;
        }
        let target = Arc::clone(target);
        asked.spawn(async move {
            let answer = time::timeout(PATIENCE, target.ask()).await;
            drop(place);
            let (status, infer) = answer.unwrap_or_else(|late| Err(late.into())).unwrap_or((0, None));
            Answer { status, took: due.elapsed().as_secs_f64() * 1e3, infer }
        });
    }
}

impl Target {
    /// Sends the request and reads the answer to its end: its status, and how long was computed for it.
    async fn ask(&self) -> io::Result<(u16, Option<f64>)> {
        let idle = self.idle().pop();
        let mut stream = match idle {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        stream.get_mut().write_all(&self.request).await?;
        let (mut line, mut status, mut length, mut closes, mut infer) = (String::new(), 0, 0, false, None);
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
            }
            let Some((name, value)) = text.split_once(':') else { continue };
            let (is, value) = (|wanted: &str| name.eq_ignore_ascii_case(wanted), value.trim());
            if is("content-length") {
                length = value.parse().unwrap_or(0);
            } else if is("server-timing") {
                let stage = value.split(',').find_map(|stage| stage.trim().strip_prefix("infer;dur="));
                infer = stage.and_then(|milliseconds| milliseconds.parse().ok());
            } else if is("connection") {
                closes = value.eq_ignore_ascii_case("close");
            }
        }
        tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await?;
        if !closes {
            self.idle().push(stream);
        }
        Ok((status, infer))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<BufReader<TcpStream>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts by status, times of successes and of refusals, and what of a success was not computing.
fn report(answers: &[Answer], seconds: f64) -> String {
    let mut counts = BTreeMap::new();
    answers.iter().for_each(|answer| *counts.entry(answer.status).or_insert(0usize) += 1);
    let times = |wanted: u16, time: fn(&Answer) -> Option<f64>| {
        let mut times: Vec<f64> = answers.iter().filter(|a| a.status == wanted).filter_map(time).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let at =
        |times: &[f64], part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(0.0);
    let (good, refused) = (times(200, |a| Some(a.took)), times(429, |a| Some(a.took)));
    let overhead = times(200, |a| Some(a.took - a.infer?));
    let counts: Vec<String> = counts.iter().map(|(status, count)| format!("\"{status}\": {count}")).collect();
    format!(
        "{{\"seconds\": {seconds:.3}, \"sent\": {}, \"statuses\": {{{}}}, \"rps\": {:.1}, \"p50_ms\": {:.3}, \
         \"p99_ms\": {:.3}, \"overhead_p50_ms\": {:.3}, \"refused_p50_ms\": {:.3}, \"refused_p99_ms\": {:.3}}}",
        answers.len(),
        counts.join(", "),
        good.len() as f64 / seconds,
        at(&good, 0.5),
        at(&good, 0.99),
        at(&overhead, 0.5),
        at(&refused, 0.5),
        at(&refused, 0.99),
    )
}
