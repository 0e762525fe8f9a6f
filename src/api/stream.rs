//! Streams: `POST /denoise` with a signal in chunks, a line of JSON each, answered as its steps become certain.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::body::{discard, media_type, query_of};
use super::caller::Caller;
use super::error::{Code, Problem};
use super::extract::scalar;
use super::fields;
use super::observe::RequestId;
use super::params::Stream;
use super::state::App;
use crate::codec::{self, Chunk};
use crate::engine::Ticket;
use crate::infer::{Piece, SignalStream, WINDOW};
use crate::limits::Limits;
use crate::sample::{Missing, Shape, Stats};

/// Media type of a stream: a JSON value a line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// Most bytes of a line. A longer one would hold back the steps in it, and takes 16 times as much when it is parsed.
const LINE_BYTES: usize = 1 << 20;

/// Members of the first line that are not parameters.
const HEAD: [&str; 2] = ["stats", "window"];

/// Returns `true` if a request is a stream.
pub(super) fn is_stream(request: &Request) -> bool {
    media_type(request.headers()) == NDJSON
}

/// Answers a stream.
///
/// # Errors
/// The first line or the query is not valid, or no model can be chosen; later faults are the last line of the reply.
pub(super) async fn denoise(
    app: &App,
    RequestId(id): RequestId,
    request: Request,
) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let (head, body) = request.into_parts();
    let encoding = head.headers.get(CONTENT_ENCODING).map(|value| value.as_bytes());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        discard(&head.headers, body).await;
        let detail = "Content-Encoding is not read here; send the lines as they are";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let ticket = app.engine().admit(None)?;
    let mut lines = Lines::new(body, app.config().body_time(false));
    let first =
        lines.next().await?.ok_or_else(|| Problem::invalid("the body is empty; send a line of JSON"))?;
    let mut first = codec::json_object(&first).map_err(in_line(lines.count))?;
    let data = first.remove("data");
    let (stats, window) = head_of(&mut first)?;
    let mut given = query_of(&head.uri)?;
    for (name, value) in first {
        given.extend(scalar(name, value)?);
    }
    let params: Stream = fields::read(&given)?;
    params.check()?;
    // Without a model, the first chunk says how many channels there are.
    let chunk = match (data, &params.model) {
        (Some(data), _) => Some(Chunk::from_json(&data, app.limits()).map_err(in_line(lines.count))?),
        (None, Some(_)) => None,
        (None, None) => match lines.next().await? {
            Some(line) => Some(Chunk::from_line(&line, app.limits()).map_err(in_line(lines.count))?),
            None => return Err(Problem::invalid("there is no chunk; send lines of {\"data\": [...]}")),
        },
    };
    let session = match (&params.model, &chunk) {
        (Some(model), _) => app.session(model).await?,
        (None, Some(chunk)) => {
            let shape = Shape::Signal { channels: chunk.channels.len(), length: chunk.channels[0].len() };
            app.session(&app.default_model(shape)?).await?
        }
        (None, None) => return Err(Problem::invalid_at("/model", "missing")),
    };
    let keeps_gaps = params.missing == Missing::Keep;
    let stream = SignalStream::new(Arc::clone(&session), params.options(), stats, window, keeps_gaps)?;
    let about = json!({
        "model": session.id().to_string(), "latency": stream.latency(), "reach": stream.reach(), "window": window,
    });
    let limits = app.limits().clone();
    let state = Streaming {
        caller,
        ticket,
        lines,
        limits,
        stream: Some(stream),
        waiting: chunk,
        told: Some(about),
        is_flat: true,
        arrived: 0,
        missing: 0,
        id,
    };
    let replies = stream::unfold(state, Streaming::next);
    let mut response = Response::new(Body::from_stream(replies));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    headers.insert("x-model", HeaderValue::try_from(session.id().to_string()).map_err(Problem::internal)?);
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Statistics and window of a first line.
fn head_of(first: &mut Map<String, Value>) -> Result<(Option<Vec<Stats>>, usize), Problem> {
    let [stats, window] = HEAD.map(|name| first.remove(name).filter(|value| !value.is_null()));
    let stats = match stats {
        None => None,
        // One for all channels may stand alone.
        Some(one @ Value::Object(_)) => Some(vec![one]),
        Some(Value::Array(list)) => Some(list),
        Some(_) => return Err(Problem::invalid_at("/stats", "expected a list of {\"mean\", \"std\"}")),
    };
    let read = |one: Value| {
        serde_json::from_value::<Stats>(one).map_err(|e| Problem::invalid_at("/stats", e.to_string()))
    };
    let stats = stats.map(|list| list.into_iter().map(read).collect::<Result<Vec<_>, _>>()).transpose()?;
    let window = match window {
        None => WINDOW,
        Some(value) => value.as_u64().and_then(|steps| usize::try_from(steps).ok()).ok_or_else(|| {
            Problem::invalid_at("/window", format!("expected a number of steps, got {value}"))
        })?,
    };
    Ok((stats, window))
}

/// Places an error of a line in the stream.
fn in_line(number: usize) -> impl Fn(codec::Error) -> Problem {
    move |error| {
        let problem = Problem::from(error);
        Problem::new(problem.code(), format!("line {number}: {}", problem.detail()))
    }
}

/// A stream under way.
struct Streaming {
    caller: Caller,
    ticket: Ticket,
    lines: Lines,
    limits: Limits,
    /// None once it has ended.
    stream: Option<SignalStream>,
    /// The chunk that came with the first line.
    waiting: Option<Chunk>,
    /// First line of the reply.
    told: Option<Value>,
    is_flat: bool,
    arrived: usize,
    missing: usize,
    id: String,
}

impl Streaming {
    /// The next line of the reply; none after the last one.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(about) = self.told.take() {
            return Some((Ok(line(&about)), self));
        }
        while self.stream.is_some() {
            let reply = match self.advance().await {
                Ok(None) => continue,
                Ok(Some(reply)) => reply,
                Err(problem) => {
                    self.stream = None;
                    let body: Value = serde_json::from_slice(&problem.body(&self.id)).unwrap_or_default();
                    line(&json!({ "error": body }))
                }
            };
            return Some((Ok(reply), self));
        }
        None
    }

    /// Reads a chunk and returns the steps that it makes certain, or the last line.
    async fn advance(&mut self) -> Result<Option<Bytes>, Problem> {
        let chunk = match self.waiting.take() {
            Some(chunk) => Some(chunk),
            None => match self.lines.next().await? {
                Some(line) => {
                    let (limits, number) = (self.limits.clone(), self.lines.count);
                    let bytes = line.len().saturating_mul(16);
                    let read = move || Chunk::from_line(&line, &limits).map_err(in_line(number));
                    Some(self.ticket.convert(bytes, read).await??)
                }
                None => None,
            },
        };
        let Some(mut stream) = self.stream.take() else { return Ok(None) };
        let Some(Chunk { channels, is_flat }) = chunk else {
            let stats = stream.stats();
            let work = move || (stream.stats(), stream.bytes(0), stream.finish());
            let (own, _, piece) = self.ticket.run(0, work).await?.value;
            let end = json!({
                "steps": self.arrived, "missing": self.missing, "stats": own.or(stats), "is_end": true,
            });
            let mut text = piece?.map_or_else(Vec::new, |piece| self.text(piece));
            text.extend(line(&end));
            return Ok(Some(text.into()));
        };
        self.is_flat = is_flat;
        self.arrived += channels[0].len();
        self.caller.charge_numbers(channels.iter().map(Vec::len).sum());
        self.missing += channels.iter().flatten().filter(|v| !v.is_finite()).count();
        let bytes = stream.bytes(channels[0].len());
        let work = move || {
            let piece = stream.push(&channels);
            (stream, piece)
        };
        let (stream, piece) = self.ticket.run(bytes, work).await?.value;
        // A stream may never end; requests with large work must not wait for that.
        self.ticket.rest().await;
        let piece = piece?;
        self.stream = Some(stream);
        Ok(piece.map(|piece| self.text(piece).into()))
    }

    fn text(&self, piece: Piece) -> Vec<u8> {
        Chunk { channels: piece.channels, is_flat: self.is_flat }.to_line(piece.start)
    }
}

fn line(value: &Value) -> Bytes {
    let mut text = value.to_string().into_bytes();
    text.push(b'\n');
    text.into()
}

/// Lines of a body, as they arrive.
struct Lines {
    chunks: BodyDataStream,
    /// Bytes that arrived after the last line.
    rest: Vec<u8>,
    is_over: bool,
    /// Lines read.
    count: usize,
    /// Longest time to wait for more of the body.
    patience: Duration,
}

impl Lines {
    fn new(body: Body, patience: Duration) -> Self {
        Self { chunks: body.into_data_stream(), rest: Vec::new(), is_over: false, count: 0, patience }
    }

    /// The next line that is not blank; none at the end.
    ///
    /// # Errors
    /// A line is too long, or nothing came for too long, or the body broke off.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        loop {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            let line: Vec<u8> = match end {
                Some(end) => self.rest.drain(..=end).collect(),
                None if self.is_over && self.rest.is_empty() => return Ok(None),
                None if self.is_over => std::mem::take(&mut self.rest),
                None => {
                    self.more().await?;
                    continue;
                }
            };
            self.count += 1;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    async fn more(&mut self) -> Result<(), Problem> {
        if self.rest.len() > LINE_BYTES {
            let detail =
                format!("line {} has more than {LINE_BYTES} bytes; send smaller chunks", self.count + 1);
            return Err(
                Problem::new(Code::PayloadTooLarge, detail).over(LINE_BYTES as u64, self.rest.len() as u64)
            );
        }
        let seconds = self.patience.as_secs();
        let chunk = timeout(self.patience, self.chunks.next()).await.map_err(|_| {
            Problem::new(Code::DeadlineExceeded, format!("nothing came for {seconds} s; the stream is over"))
        })?;
        match chunk {
            Some(Ok(chunk)) => self.rest.extend_from_slice(&chunk),
            Some(Err(error)) => return Err(Problem::invalid(format!("the body broke off: {error}"))),
            None => self.is_over = true,
        }
        Ok(())
    }
}
