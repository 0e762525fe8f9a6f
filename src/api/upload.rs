//! Uploads: the body of `POST /train`, streamed into the store while it arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::multipart::Field;
use axum::extract::{Multipart, Request};
use axum::http::header::CONTENT_LENGTH;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::body::{self, form_problem, too_large};
use super::caller::Caller;
use super::choice::IdempotencyKey;
use super::error::{Code, Problem};
use super::fields;
use super::json::{Base64, JsonSample, Nested};
use super::members;
use super::state::App;
use crate::codec;
use crate::dataset::Dataset;
use crate::job::{File, Order};
use crate::limits::Limits;
use crate::pointer::escape;
use crate::train::Config;

/// Bytes of a training config; none needs more.
const CONFIG_BYTES: usize = 1 << 20;

/// Field of a form, or member of a JSON body, that holds the training config.
pub(super) const CONFIG: &str = "config";
/// Field of a form, or member of a JSON body, that holds samples.
pub(super) const SAMPLES: &str = "samples";

/// Headers of `POST /train`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[serde(default)]
pub(super) struct SubmitHeaders {
    /// Key of the submission: the same key with the same body is the same job, with another body it is refused.
    #[serde(rename = "Idempotency-Key")]
    #[param(inline)]
    key: Option<IdempotencyKey>,
}

/// Chunks that may wait for the disk.
const CHUNKS: usize = 8;

/// Bytes of a form that may come before the part is known that they belong to: the headers of one part and a read of the
/// connection, which stay in memory until then.
const AHEAD: usize = 4 << 20;

/// Bytes of the headers of all parts of a form, beside its files.
const HEADS: usize = 128 << 20;

/// Training config, and the address that is sent the job when it is over.
type Ask = (Config, Option<String>);

/// The config and the samples of a JSON body, as files with their names.
type Parts = (Option<Value>, Vec<(String, Vec<u8>)>);

/// Reads a submission; its samples are in the store then.
///
/// # Errors
/// It is not of the form, over a limit, or the disk is full.
pub(super) async fn read(app: &App, request: Request) -> Result<Order, Problem> {
    let limit = app.limits().upload_bytes;
    let SubmitHeaders { key } = fields::read_headers(request.headers())?;
    let caller = Caller::of(&request);
    let stated = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(actual) = stated.filter(|&actual: &usize| actual > limit) {
        body::discard_request(request).await;
        return Err(too_large(limit, actual));
    }
    let (ask, files) = match body::media_type(request.headers()).as_str() {
        "multipart/form-data" => from_form(app, request, &caller).await?,
        "application/json" | "text/json" => from_json(app, request, &caller).await?,
        _ => {
            body::discard_request(request).await;
            let detail = "this route takes multipart/form-data with config and samples, or application/json";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
    };
    let missing = || Problem::invalid_at("/config", "missing; at least {\"name\": \"my-model\"}");
    let (config, webhook) = ask.ok_or_else(missing)?;
    if files.is_empty() {
        return Err(Problem::invalid_at("/samples", "missing; send what to train on"));
    }
    let idempotency_key = key.map(|key| key.0);
    Ok(Order { config, webhook, files, idempotency_key, owner: caller.name().to_owned() })
}

async fn from_form(
    app: &App,
    request: Request,
    caller: &Caller,
) -> Result<(Option<Ask>, Vec<File>), Problem> {
    let limit = app.limits().upload_bytes;
    let counter = Counter { limit, seen: 0, ahead: Arc::default() };
    let request = request.map(|body| counter.watch(body));
    let mut form = body::form(request, limit.saturating_add(HEADS)).await?;
    let read = from_parts(app, &mut form, counter, caller).await;
    if read.is_err() {
        body::discard_form(&mut form).await;
    }
    read
}

async fn from_parts(
    app: &App,
    form: &mut Multipart,
    mut counter: Counter,
    caller: &Caller,
) -> Result<(Option<Ask>, Vec<File>), Problem> {
    let (mut ask, mut files) = (None, Vec::new());
    while let Some(mut field) = form.next_field().await.map_err(|e| form_problem(&e))? {
        counter.ahead.store(0, Ordering::Relaxed);
        let role = field.name().unwrap_or_default().to_owned();
        match role.as_str() {
            CONFIG if ask.is_some() => return Err(Problem::invalid_at("/config", "given twice")),
            CONFIG => {
                let mut text = Vec::new();
                while let Some(chunk) = field.chunk().await.map_err(|e| form_problem(&e))? {
                    counter.count(&chunk)?;
                    text.extend_from_slice(&chunk);
                    if text.len() > CONFIG_BYTES {
                        return Err(Problem::invalid_at("/config", format!("is over {CONFIG_BYTES} bytes")));
                    }
                }
                let text: Value = serde_json::from_slice(&text)
                    .map_err(|e| Problem::invalid_at("/config", e.to_string()))?;
                // Before hours of upload, so that a config that cannot be trained is refused at once.
                ask = Some(checked(app, text, caller).await?);
            }
            SAMPLES => {
                if files.len() == app.limits().archive_entries {
                    let (limit, actual) = (files.len() as u64, files.len() as u64 + 1);
                    let detail = format!("more than {limit} files; put them into an archive");
                    return Err(Problem::new(Code::PayloadTooLarge, detail).over(limit, actual));
                }
                files.push(store_field(app, field, files.len(), &mut counter).await?);
            }
            other => {
                let pointer = format!("/{}", escape(other));
                return Err(Problem::invalid_at(pointer, "not a field here; there are config, samples"));
            }
        }
    }
    Ok((ask, files))
}

/// Bytes of one upload.
struct Counter {
    limit: usize,
    seen: usize,
    /// Bytes that came since the headers of the part and were not taken from it: they are in memory.
    ahead: Arc<AtomicUsize>,
}

impl Counter {
    /// The body, which breaks off where too much of it is handed to no file.
    fn watch(&self, body: Body) -> Body {
        let ahead = Arc::clone(&self.ahead);
        let next = move |(mut chunks, is_first): (BodyDataStream, bool)| {
            let ahead = Arc::clone(&ahead);
            async move {
                // One chunk at a time: a form takes all that is ready into its memory. The pause is before the end too, since a
                // form that gets its last chunk and the end at once may take itself for cut short.
                if !is_first {
                    tokio::task::yield_now().await;
                }
                let chunk = chunks.next().await?.and_then(|chunk: Bytes| {
                    match ahead.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len() {
                        0..=AHEAD => Ok(chunk),
                        lost => Err(axum::Error::new(format!(
                            "{lost} bytes belong to no file, the limit is {AHEAD}"
                        ))),
                    }
                });
                Some((chunk, (chunks, false)))
            }
        };
        Body::from_stream(stream::unfold((body.into_data_stream(), true), next))
    }

    fn count(&mut self, chunk: &Bytes) -> Result<(), Problem> {
        self.seen += chunk.len();
        // Bytes of the part that came with its headers do not count.
        let taken = |ahead: usize| Some(ahead.saturating_sub(chunk.len()));
        let _ = self.ahead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        if self.seen > self.limit { Err(too_large(self.limit, self.seen)) } else { Ok(()) }
    }
}

/// One file, chunk by chunk from the connection to the disk.
async fn store_field(
    app: &App,
    mut field: Field<'_>,
    index: usize,
    counter: &mut Counter,
) -> Result<File, Problem> {
    let name = field.file_name().map(str::to_owned);
    let media_type = field.content_type().map(str::to_owned).unwrap_or_default();
    let store = app.jobs().store()?;
    let (tx, mut rx) = mpsc::channel::<Result<Bytes, Problem>>(CHUNKS);
    let stored = app.block(move |_| store.put(std::iter::from_fn(|| rx.blocking_recv())));
    let send = async {
        let mut head = Bytes::new();
        loop {
            let chunk = match field.chunk().await.map_err(|e| form_problem(&e)) {
                Ok(Some(chunk)) => counter.count(&chunk).map(|()| chunk),
                Ok(None) => break,
                Err(problem) => Err(problem),
            };
            if let Ok(chunk) = &chunk
                && head.is_empty()
            {
                head = chunk.clone();
            }
            let is_last = chunk.is_err();
            // The other side is gone only where the disk failed; it says why.
            if tx.send(chunk).await.is_err() || is_last {
                break;
            }
        }
        drop(tx);
        head
    };
    let (head, stored) = tokio::join!(send, stored);
    let stored = stored?;
    let name = name.unwrap_or_else(|| invent(index, &media_type, &head));
    let file = File { name, sha256: stored.sha256, bytes: stored.bytes };
    check_file(app, index, file).await
}

/// Checks an archive before the job is accepted.
async fn check_file(app: &App, index: usize, file: File) -> Result<File, Problem> {
    app.block(move |app| {
        let path = app.jobs().store()?.path(&file.sha256);
        Dataset::check_upload(&path, app.limits()).map_err(|reason| {
            Problem::invalid_at(format!("/samples/{index}"), format!("{}: {reason}", file.name))
        })?;
        Ok(file)
    })
    .await
}

async fn from_json(
    app: &App,
    request: Request,
    caller: &Caller,
) -> Result<(Option<Ask>, Vec<File>), Problem> {
    let received = body::Received::read(app, request).await?;
    let limits = app.limits().clone();
    let ticket = app.engine().admit(None)?;
    let bytes = super::tree::measure(&ticket, &received.body).await?;
    let (config, samples) = ticket.convert(bytes, move || from_object(&received.body, &limits)).await??;
    let ask = match config {
        Some(config) => Some(checked(app, config, caller).await?),
        None => None,
    };
    let files = app
        .block(move |app| {
            let store = app.jobs().store()?;
            let put = |(name, bytes): (String, Vec<u8>)| {
                let blob = store.put(bytes.chunks(1 << 20).map(Ok::<_, Problem>))?;
                Ok(File { name, sha256: blob.sha256, bytes: blob.bytes })
            };
            samples.into_iter().map(put).collect::<Result<Vec<_>, Problem>>()
        })
        .await?;
    Ok((ask, files))
}

/// The config and the samples, as files, of a JSON body.
fn from_object(body: &[u8], limits: &Limits) -> Result<Parts, Problem> {
    let value: Value =
        serde_json::from_slice(body).map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))?;
    let Value::Object(mut object) = value else {
        return Err(Problem::invalid_at("", "expected an object with config and samples"));
    };
    let config = object.remove(CONFIG);
    let samples = object.remove(SAMPLES).unwrap_or(Value::Array(Vec::new()));
    if let Some(other) = object.keys().next() {
        let pointer = format!("/{}", escape(other));
        return Err(Problem::invalid_at(pointer, "not a member here; there are config, samples"));
    }
    let Value::Array(samples) = samples else {
        return Err(Problem::invalid_at("/samples", "expected a list"));
    };
    let file = |(index, sample): (usize, Value)| {
        let sample = JsonSample::read(sample);
        let file = sample.and_then(|sample| to_file(index, sample, limits));
        file.map_err(|problem| problem.under(&format!("/samples/{index}")))
    };
    Ok((config, samples.into_iter().enumerate().map(file).collect::<Result<_, _>>()?))
}

/// A config that passes every check that needs no samples.
async fn checked(app: &App, config: Value, caller: &Caller) -> Result<Ask, Problem> {
    let mut config: Config = members::read(config).map_err(|problem| problem.under("/config"))?;
    caller.check_training(&config, app.registry())?;
    // The job stores it next to the config; training does not use it.
    let webhook = config.webhook.take();
    app.block(move |app| {
        if let Some(corruption) = &mut config.corruption {
            // The job keeps the profile as it is now, whatever becomes of its name.
            let profiles = app.profiles()?;
            if let Some(name) = corruption.profile().and_then(|profile| profile.name.as_ref()) {
                // A damaged profile is said to be damaged, not unknown.
                profiles.get(name)?;
            }
            corruption.resolve(&|name| profiles.get(name).ok().flatten());
        }
        app.jobs().check(&config, webhook.as_deref())?;
        Ok((config, webhook))
    })
    .await
}

/// A name for a sample that came without one, with the ending of what it is.
fn invent(index: usize, media_type: &str, bytes: &[u8]) -> String {
    let stated = codec::Format::from_media_type(media_type).filter(|format| *format != codec::Format::Raw);
    let format = codec::Format::sniff(bytes).or(stated);
    match format {
        Some(format) => format!("sample-{index:05}.{}", format.extension()),
        None if bytes.starts_with(b"PK") => format!("sample-{index:05}.zip"),
        None => format!("sample-{index:05}"),
    }
}

/// A sample in JSON as a file: an image as it is, numbers as npy.
fn to_file(index: usize, sample: JsonSample, limits: &Limits) -> Result<(String, Vec<u8>), Problem> {
    let under = format!("/{}", sample.form());
    let array = match sample {
        JsonSample::Image(Base64(bytes)) => return Ok((invent(index, "", &bytes), bytes.into())),
        JsonSample::Data(Nested(data)) => codec::array_from_json(&data, limits),
        JsonSample::Tensor(tensor) => tensor.read(limits),
        JsonSample::Latent(_) => {
            return Err(Problem::invalid_at(
                "",
                "expected an object with exactly one of image, data, tensor",
            ));
        }
    };
    let array = array.map_err(|e| Problem::from(e).under(&under))?;
    Ok((format!("sample-{index:05}.npy"), codec::write_npy(&array, array.dtype)?))
}
