//! Bodies: the bytes of a request, within their limit and their time, and the query beside them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Query, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::buffer::Buffer;
use super::error::{Code, Problem};
use super::state::App;
use crate::engine::Held;

/// Bytes that are read at most of a body whose answer is clear already.
const DISCARD_BYTES: usize = 1 << 20;
/// Longest wait for the rest of such a body.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// A request with its whole body in memory.
pub(super) struct Received {
    /// The head.
    pub(super) head: Parts,
    /// The body.
    pub(super) body: Bytes,
    /// Bytes of the body, counted as held memory until this is dropped.
    pub(super) held: Option<Held>,
}

impl Received {
    /// Reads the body of `request`.
    ///
    /// # Errors
    /// 413 over the limit, by the head where it states a length; 504 when the time for the body is over.
    pub(super) async fn read(app: &App, request: Request) -> Result<Self, Problem> {
        let encoding = request.headers().get(CONTENT_ENCODING).map(|value| value.as_bytes());
        if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
            discard_request(request).await;
            let detail = "Content-Encoding is not read here; send the body as it is";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        Self::read_packed(app, request).await
    }

    /// [`Received::read`] of a body as it was sent, whatever its `Content-Encoding`.
    ///
    /// # Errors
    /// As [`Received::read`].
    pub(super) async fn read_packed(app: &App, request: Request) -> Result<Self, Problem> {
        let limit = app.limits().body_bytes;
        let (head, body) = request.into_parts();
        let (body, held) = gather(app, body, &head.headers, limit, app.config().body_time(false)).await?;
        Ok(Self { head, body, held: Some(held) })
    }

    /// The query as pairs, in order.
    pub(super) fn query(&self) -> Result<Vec<(String, String)>, Problem> {
        query_of(&self.head.uri)
    }

    /// The media type without parameters, in lower case; empty where none is stated.
    pub(super) fn media_type(&self) -> String {
        media_type(&self.head.headers)
    }
}

/// The media type without parameters, in lower case; empty where none is stated.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let stated = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    stated.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// The query of a request as pairs, in order.
pub(super) fn query_of(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    pairs.map(|Query(pairs)| pairs).map_err(|e| Problem::invalid(format!("the query cannot be read: {e}")))
}

/// A multipart body of at most `limit` bytes, read part by part.
pub(super) async fn form(mut request: Request, limit: usize) -> Result<Multipart, Problem> {
    DefaultBodyLimit::max(limit).apply(&mut request);
    let multipart = Multipart::from_request(request, &()).await;
    multipart.map_err(|e| Problem::invalid(format!("multipart/form-data: {}", e.body_text())))
}

/// Body of a reply. Its bytes count as held memory until they were sent or the client has left: a slow reader holds memory.
pub(super) fn counted(bytes: Vec<u8>, held: Held) -> Body {
    struct Counted(Vec<u8>, #[expect(dead_code, reason = "counts until it is dropped")] Held);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Body::from(Bytes::from_owner(Counted(bytes, held)))
}

/// Problem of a broken multipart body.
pub(super) fn form_problem(error: &MultipartError) -> Problem {
    let code = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
        _ => Code::InvalidInput,
    };
    Problem::new(code, format!("multipart/form-data: {}", error.body_text()))
}

/// Reads the rest of a body, up to a limit: a client whose connection is closed while it sends
/// often never sees the answer. A client that waits for `100 Continue` (RFC 9110, 10.1.1) does not get it.
pub(super) async fn discard(headers: &HeaderMap, body: Body) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let rest = async {
        let (mut seen, mut chunks) = (0, body.into_data_stream());
        // Nothing of it is kept: a refusal has to cost little.
        while let Some(Ok(chunk)) = chunks.next().await {
            seen += chunk.len();
            if seen > DISCARD_BYTES {
                return;
            }
        }
    };
    let _ = timeout(DISCARD_TIME, rest).await;
}

/// [`discard`] for a whole request.
pub(super) async fn discard_request(request: Request) {
    let (head, body) = request.into_parts();
    discard(&head.headers, body).await;
}

/// [`discard`] for a form that was begun.
pub(super) async fn discard_form(form: &mut Multipart) {
    let rest = async {
        let mut seen = 0;
        while let Ok(Some(mut field)) = form.next_field().await {
            while let Ok(Some(chunk)) = field.chunk().await {
                seen += chunk.len();
                if seen > DISCARD_BYTES {
                    return;
                }
            }
        }
    };
    let _ = timeout(DISCARD_TIME, rest).await;
}

/// 413 for a body of `actual` bytes.
pub(super) fn too_large(limit: usize, actual: usize) -> Problem {
    let detail = format!("the body has {actual} bytes or more, the limit is {limit}; see GET /limits");
    Problem::new(Code::PayloadTooLarge, detail).over(limit as u64, actual as u64)
}

async fn gather(
    app: &App,
    body: Body,
    headers: &HeaderMap,
    limit: usize,
    time: Duration,
) -> Result<(Bytes, Held), Problem> {
    let stated = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if let Some(actual) = stated.filter(|&actual| actual > limit) {
        discard(headers, body).await;
        return Err(too_large(limit, actual));
    }
    timeout(time, read_all(app, body, stated, limit)).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", time.as_secs());
        Problem::new(Code::DeadlineExceeded, detail)
    })?
}

/// Reads a body chunk by chunk; its bytes are counted as they come, since a length that is stated costs nothing.
async fn read_all(
    app: &App,
    body: Body,
    stated: Option<usize>,
    limit: usize,
) -> Result<(Bytes, Held), Problem> {
    let mut chunks = body.into_data_stream();
    let mut next = async || match chunks.next().await {
        Some(Ok(chunk)) => Ok(Some(chunk)),
        Some(Err(error)) => Err(Problem::invalid(format!("the body broke off: {error}"))),
        None => Ok(None),
    };
    let Some(first) = next().await? else { return Ok((Bytes::new(), app.engine().hold(0)?)) };
    // A small body is one chunk, and needs no copy.
    if stated == Some(first.len()) {
        let held = app.engine().hold(first.len())?;
        return Ok((first, held));
    }
    let mut whole = Buffer::new(app.engine().hold(0)?, limit, stated);
    whole.push(&first)?;
    drop(first);
    while let Some(chunk) = next().await? {
        whole.push(&chunk)?;
    }
    Ok(whole.done())
}

/// Refuses a query on a route that takes none.
pub(super) fn no_query(request: &Request) -> Result<(), Problem> {
    match request.uri().query() {
        None | Some("") => Ok(()),
        Some(_) => Err(Problem::invalid("this route takes no query parameters")),
    }
}

impl Received {
    /// The body as a JSON value of a known form.
    ///
    /// # Errors
    /// 415 for another media type, 400 with the member where the JSON is not of the form.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        if !matches!(self.media_type().as_str(), "application/json" | "text/json") {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "this route takes Content-Type: application/json",
            ));
        }
        serde_json::from_slice(&self.body).map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))
    }
}
