//! Load: sends one request again and again to an HTTP server on this machine and tells how long the answers took.
//!
//!     load 127.0.0.1:8080 /denoise image/png body.png closed CONNECTIONS SECONDS
//!     load 127.0.0.1:8080 /denoise image/png body.png open RATE SECONDS CONNECTIONS
//!
//! `closed`: each connection asks again as soon as it has its answer. `open`: requests are due at a fixed rate whatever
//! the server does, and times count from when they were due, so that a server that stalls does not hide it. Prints one
//! line of JSON. Only loopback addresses are taken.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
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
            "load ADDRESS PATH MEDIA-TYPE BODY-FILE closed CONNECTIONS SECONDS | open RATE SECONDS CONNECTIONS"
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
    let request: Arc<[u8]> = [head.as_bytes(), &body].concat().into();
    let (connections, seconds, rate) = match mode.as_str() {
        "closed" => (number(0) as usize, number(1), None),
        _ => (number(2) as usize, number(1), Some(number(0))),
    };
    let begun = Instant::now();
    let plan = Plan { begun, end: begun + Duration::from_secs_f64(seconds), rate, next: AtomicUsize::new(0) };
    let plan = Arc::new(plan);
    let mut clients = JoinSet::new();
    (0..connections)
        .for_each(|_| _ = clients.spawn(client(address, Arc::clone(&request), Arc::clone(&plan))));
    let answers: Vec<Answer> = clients.join_all().await.into_iter().flatten().collect();
    println!("{}", report(&answers, begun.elapsed().as_secs_f64()));
}

/// When requests are due, for all connections.
struct Plan {
    begun: Instant,
    end: Instant,
    /// Requests a second; none where each connection asks as soon as it may.
    rate: Option<f64>,
    /// Number of the next request.
    next: AtomicUsize,
}

impl Plan {
    /// When the next request is due; none after the end.
    fn next(&self) -> Option<Instant> {
        let due = match self.rate {
            None => Instant::now(),
            Some(rate) => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                self.begun + Duration::from_secs_f64(number as f64 / rate)
            }
        };
        (due < self.end).then_some(due)
    }
}

/// One connection's requests, until the end.
async fn client(address: SocketAddr, request: Arc<[u8]>, plan: Arc<Plan>) -> Vec<Answer> {
    let mut connection = None;
    let mut answers = Vec::new();
    while let Some(due) = plan.next() {
        // The clock of the runtime counts in milliseconds, and never wakes early.
        if due > Instant::now() {
            time::sleep_until(due.into()).await;
        }
        let asked = time::timeout(PATIENCE, ask(&mut connection, address, &request)).await;
        let (status, infer) = asked.unwrap_or_else(|late| Err(late.into())).unwrap_or_else(|_| {
            connection = None;
            (0, None)
        });
        answers.push(Answer { status, took: due.elapsed().as_secs_f64() * 1e3, infer });
    }
    answers
}

/// Sends the request and reads the answer to its end: its status, and how long was computed for it.
async fn ask(
    connection: &mut Option<BufReader<TcpStream>>,
    address: SocketAddr,
    request: &[u8],
) -> io::Result<(u16, Option<f64>)> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            connection.insert(BufReader::new(stream))
        }
    };
    stream.get_mut().write_all(request).await?;
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
    tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await?;
    if closes {
        *connection = None;
    }
    Ok((status, infer))
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
