//! Events: the progress of a job as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::contract::Failures;
use super::error::{Code, Problem};
use super::feed::{Next, Tail};
use super::path::Segments;
use super::state::App;
use crate::job::Event;

/// Interval of keep-alive lines, so that no proxy closes an idle stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Progress of a job.
///
/// `status` (`{"status"}`), `progress` (as in the job), `metrics` (`{"step", "psnr_db", "loss"}` of a validation),
/// `sample` (`{"step", "noisy", "denoised", "clean"}`: a part of a held-out sample, PNG in base64, or numbers) and at its end `done` (the job). After a
/// break, `Last-Event-ID` continues behind that event; a job that is over and whose events were all sent is answered with 204, so
/// that browsers do not reconnect.
#[utoipa::path(get, path = "/train/{id}/events", operation_id = "watch_job", tag = "training", params(
    ("id" = String, Path, description = "The job."),
    ("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that was seen."),
), responses(
    (status = 200, description = "Events, until the job is over.", body = String, content_type = "text/event-stream"),
    (status = 204, description = "The job is over, and all of its events were seen."),
    Failures,
))]
pub(super) async fn watch(
    State(app): State<App>,
    Segments(id): Segments<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = headers.get("last-event-id").map(|value| {
        let number = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|id: &i64| *id >= 0);
        number.ok_or_else(|| Problem::invalid("Last-Event-ID: expected the whole number of an event"))
    });
    let after = seen.transpose()?.unwrap_or(0);
    let place = app.listener()?;
    let position = (id, after);
    let (first, is_over) = {
        let (id, after) = position.clone();
        // Few at a time: many clients may come back at once, after a restart.
        let _turn = app.backlog().await;
        app.block(move |app| {
            let is_over = app.jobs().get(&id)?.status.is_final();
            Ok((app.jobs().events(&id, after)?, is_over))
        })
        .await?
    };
    if is_over && first.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (id, after) = position;
    let reader = (app.clone(), id.clone());
    let start = first.last().map_or(after, |event| event.id);
    let tail =
        app.feeds().subscribe(&id, start, move |after| read(reader.0.clone(), reader.1.clone(), after));
    let waiting = first.into_iter().map(Arc::new).collect();
    let listener = Listener { app, id, after, waiting, tail, is_over: false, _place: place };
    let events = stream::unfold(listener, Listener::next);
    let buffering = (HeaderName::from_static("x-accel-buffering"), "no");
    Ok(([buffering], Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response())
}

/// Reads events for all clients of a job; none are left to wait for once the service stops.
async fn read(app: App, id: String, after: i64) -> Result<Vec<Event>, Problem> {
    if app.is_draining() {
        return Err(Problem::new(Code::Draining, "the service is about to stop"));
    }
    app.block(move |app| Ok(app.jobs().events(&id, after)?)).await
}

/// Client that listens, and its position in the events.
struct Listener {
    app: App,
    id: String,
    after: i64,
    waiting: VecDeque<Arc<Event>>,
    tail: watch::Receiver<Tail>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event; none when the job is over, or when the service stops or cannot query: the client reconnects then, with
    /// the id of the last event.
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.after = event.id;
                self.is_over = event.kind == "done";
                let sent =
                    sse::Event::default().id(event.id.to_string()).event(&event.kind).data(&event.data);
                return Some((Ok(sent), self));
            }
            if self.is_over || self.app.is_draining() {
                return None;
            }
            let next = self.tail.borrow_and_update().after(self.after);
            match next {
                Next::Events(events) => self.waiting.extend(events),
                Next::Nothing => self.tail.changed().await.ok()?,
                Next::Missed => self.catch_up().await?,
            }
        }
    }

    /// Reads events that are no longer shared; none if they cannot be read.
    async fn catch_up(&mut self) -> Option<()> {
        let _turn = self.app.backlog().await;
        let missed = read(self.app.clone(), self.id.clone(), self.after).await.ok()?;
        if missed.is_empty() {
            // They are deleted by now.
            self.after = self.tail.borrow().before();
        }
        self.waiting.extend(missed.into_iter().map(Arc::new));
        Some(())
    }
}
