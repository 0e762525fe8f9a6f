//! Events: the progress of a job as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use super::contract::Failures;
use super::error::{Code, Problem};
use super::path::Segments;
use super::state::App;
use crate::job::Event;

/// Interval between two queries for new events while a client listens.
const LOOK: Duration = Duration::from_millis(300);

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
    let (first, is_over) = {
        let id = id.clone();
        app.block(move |app| {
            let is_over = app.jobs().get(&id)?.status.is_final();
            Ok((app.jobs().events(&id, after)?, is_over))
        })
        .await?
    };
    if is_over && first.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let listener = Listener { app, id, after, waiting: first.into(), is_over: false };
    let events = stream::unfold(listener, Listener::next);
    let buffering = (HeaderName::from_static("x-accel-buffering"), "no");
    Ok(([buffering], Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response())
}

/// Client that listens, and its position in the events.
struct Listener {
    app: App,
    id: String,
    after: i64,
    waiting: VecDeque<Event>,
    is_over: bool,
}

impl Listener {
    /// The next event; none when the job is over, or when the service stops or cannot query: the client reconnects then, with
    /// the id of the last event.
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.after = event.id;
                self.is_over = event.kind == "done";
                let event = sse::Event::default().id(event.id.to_string()).event(event.kind).data(event.data);
                return Some((Ok(event), self));
            }
            if self.is_over || self.app.is_draining() {
                return None;
            }
            tokio::time::sleep(LOOK).await;
            let (id, after) = (self.id.clone(), self.after);
            let news = self.app.block(move |app| Ok(app.jobs().events(&id, after)?)).await;
            match news {
                Ok(events) => self.waiting = events.into(),
                Err(problem) if problem.code() == Code::NotReady => {}
                Err(_) => return None,
            }
        }
    }
}
