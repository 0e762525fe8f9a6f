//! Load: sends one request again and again to an HTTP server on this machine and tells how long the answers took.
//!
//!     load 127.0.0.1:8080 /denoise image/png body.png closed CONNECTIONS SECONDS
//!     load 127.0.0.1:8080 /denoise image/png body.png open RATE SECONDS CONNECTIONS
//!
//! `closed`: each connection asks again as soon as it has its answer. `open`: requests are due at a fixed rate whatever
//! the server does, and times count from when they were due, so that a server that stalls does not hide it. Prints one
//! line of JSON. Only loopback addresses are taken.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One answer.
struct Answer {
    /// 0 where the connection broke.
    status: u16,
    /// Milliseconds it took.
    took: f64,
    /// Milliseconds of it that the server computed for, as its `Server-Timing` tells under `infer`.
    infer: Option<f64>,
}

fn main() {
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
    let request = [head.as_bytes(), &body].concat();
    let (connections, seconds, rate) = match mode.as_str() {
        "closed" => (number(0) as usize, number(1), None),
        _ => (number(2) as usize, number(1), Some(number(0))),
    };
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(seconds);
    let next = AtomicUsize::new(0);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let client = || client(address, &request, begun, end, rate, &next);
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(client)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    println!("{}", report(&answers, begun.elapsed().as_secs_f64()));
}

/// One connection's requests, until the end.
fn client(
    address: SocketAddr,
    request: &[u8],
    begun: Instant,
    end: Instant,
    rate: Option<f64>,
    next: &AtomicUsize,
) -> Vec<Answer> {
    let mut connection = None;
    let mut answers = Vec::new();
    loop {
        let due = match rate {
            None => Instant::now(),
            Some(rate) => begun + Duration::from_secs_f64(next.fetch_add(1, Ordering::Relaxed) as f64 / rate),
        };
        if due >= end {
            return answers;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let (status, infer) = ask(&mut connection, address, request).unwrap_or_else(|_| {
            connection = None;
            (0, None)
        });
        answers.push(Answer { status, took: due.elapsed().as_secs_f64() * 1e3, infer });
    }
}

/// Sends the request and reads the answer to its end: its status, and how long was computed for it.
fn ask(
    connection: &mut Option<BufReader<TcpStream>>,
    address: SocketAddr,
    request: &[u8],
) -> io::Result<(u16, Option<f64>)> {
    if connection.is_none() {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        *connection = Some(BufReader::new(stream));
    }
    let stream = connection.as_mut().expect("made above");
    stream.get_mut().write_all(request)?;
    let (mut line, mut status, mut length, mut closes, mut infer) = (String::new(), 0, 0, false, None);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end().to_ascii_lowercase();
        if text.is_empty() {
            break;
        }
        if let Some(rest) = text.strip_prefix("http/1.1 ") {
            status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
        } else if let Some(rest) = text.strip_prefix("content-length:") {
            length = rest.trim().parse().unwrap_or(0);
        } else if let Some(rest) = text.strip_prefix("server-timing:") {
            let stage = rest.split(',').find_map(|stage| stage.trim().strip_prefix("infer;dur="));
            infer = stage.and_then(|milliseconds| milliseconds.parse().ok());
        } else if text == "connection: close" {
            closes = true;
        }
    }
    io::copy(&mut stream.by_ref().take(length), &mut io::sink())?;
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
