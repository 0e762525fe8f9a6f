//! Search by latent: `POST /models/{name}/nearest`, and the indexes that are searched.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::choice::Flag;
use super::contract::{Binary, Failures, IndexBody, IndexForm, NearestBody, NearestForm};
use super::error::{Code, Problem};
use super::extract::TensorHeaders;
use super::models::parse;
use super::observe::RequestId;
use super::operation::Call;
use super::params::{Nearest, Params, PutIndex, Timeout};
use super::path::Segments;
use super::reading::Group;
use super::state::App;
use crate::index::{Index, Neighbor};
use crate::infer::{Session, pooled};
use crate::name::{ModelRef, Name};
use crate::registry::{IndexError, Indexes};
use crate::sample::Sample;

/// Samples that were found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Found {
    /// The version that made the latents.
    #[schema(example = "digits@4")]
    model: String,
    /// The index that was searched; null for an uploaded set.
    #[schema(example = "training")]
    index: Option<Name>,
    /// Number of samples that were searched.
    #[schema(example = 60000)]
    searched: usize,
    /// The nearest of each sample of the request, in its order.
    results: Vec<Nearby>,
    /// The id of the request.
    request_id: String,
}

/// The nearest of one sample.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Nearby {
    /// The nearest first.
    neighbors: Vec<Neighbor>,
}

/// An index.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IndexReply {
    /// The version that made its latents.
    #[schema(example = "digits@4")]
    model: String,
    /// Its name.
    #[schema(example = "training")]
    index: Name,
    /// Number of its samples.
    #[schema(example = 60000)]
    samples: usize,
    /// Numbers of the vector of a sample.
    #[schema(example = 32)]
    numbers: usize,
}

/// The nearest samples of an index or of an uploaded set.
///
/// Samples are compared by their latents: those that are vectors as they are, maps by mean and deviation of each channel. The search
/// is exact. `index` names an index of `PUT /models/{name}/indexes/{index}`; without it, the form fields `among` hold the samples to
/// search.
#[utoipa::path(post, path = "/models/{name}/nearest", operation_id = "find_nearest", tag = "operations",
    params(("name" = String, Path, description = "The model.", example = "digits"), Nearest, Timeout, TensorHeaders),
    request_body(description = "One sample, or several as JSON `samples` or form files.", content(
        (inline(Binary) = "image/png"), (inline(Binary) = "image/jpeg"), (inline(Binary) = "image/tiff"),
        (inline(Binary) = "image/webp"), (inline(Binary) = "image/x-portable-anymap"),
        (inline(Binary) = "application/x-npy"), (inline(Binary) = "audio/wav"), (inline(Binary) = "text/csv"),
        (inline(Binary) = "application/octet-stream"),
        (NearestBody = "application/json", example = json!({"image": "iVBORw0KGgo...", "index": "training", "k": 5})),
        (NearestForm = "multipart/form-data")
    )),
    responses((status = 200, description = "The nearest samples.", body = Found), Failures))]
pub(super) async fn nearest(
    State(app): State<App>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<Found>, Problem> {
    let name = parse(&name)?;
    let mut call = Call::<Nearest>::receive(&app, request).await?;
    call.accept.pick(&[((), "application/json")])?;
    let version = call.params.version.map(|version| version.0);
    let session = app.session(&ModelRef { name: name.clone(), version }).await?;
    let roles: Vec<String> = call.parts.iter().map(|part| part.role.clone()).collect();
    let groups = call.samples(&app, Some(&session)).await?;
    let (among, queries): (Vec<_>, Vec<_>) =
        roles.into_iter().zip(groups).partition(|(role, _)| role == "among");
    let [among, queries] = [among, queries].map(|all| all.into_iter().map(|(_, group)| group));
    let among: Vec<(String, Sample)> = named(among.collect());
    let queries: Vec<(String, Sample)> = named(queries.collect());
    if queries.is_empty() {
        return Err(Problem::invalid_at("/file", "missing; the samples whose nearest are looked for"));
    }
    let wanted = call.params.index.clone();
    let index = match (&wanted, among.is_empty()) {
        (Some(index), true) => kept(&app, &session, index).await?,
        (None, false) => Arc::new(add(&call, &session, fresh(&session), among).await?),
        (Some(_), false) => {
            return Err(Problem::invalid_at("/among", "an index is named too; send one of both"));
        }
        (None, true) => {
            let detail = "missing; name an index, or send the samples to search as form files named among";
            return Err(Problem::invalid_at("/index", detail));
        }
    };
    let k = call.params.count();
    let mut results = Vec::with_capacity(queries.len());
    for (_, query) in queries {
        let latent = call.ticket.encode(&session, query, None).await?.value;
        let index = Arc::clone(&index);
        let found = call.ticket.run(0, move || index.nearest(&pooled(&latent), k)).await?.value;
        results.push(Nearby { neighbors: found.map_err(|e| Problem::from(IndexError::from(e)))? });
    }
    let (model, searched) = (session.id().to_string(), index.len());
    Ok(Json(Found { model, index: wanted, searched, results, request_id }))
}

/// Makes an index, or adds to one.
///
/// The latents of the samples are kept in the data folder, for searches of this version alone. The index is replaced as a whole; with
/// `add=1` the samples come after those that it has. Searches go on meanwhile.
#[utoipa::path(put, path = "/models/{name}/indexes/{index}", operation_id = "put_index", tag = "models",
    params(
        ("name" = String, Path, description = "The model.", example = "digits"),
        ("index" = String, Path, description = "The index.", example = "training"),
        PutIndex, Timeout, TensorHeaders
    ),
    request_body(description = "One sample, or several as JSON `samples`, form files or an array.", content(
        (inline(Binary) = "image/png"), (inline(Binary) = "image/jpeg"), (inline(Binary) = "image/tiff"),
        (inline(Binary) = "image/webp"), (inline(Binary) = "image/x-portable-anymap"),
        (inline(Binary) = "application/x-npy"), (inline(Binary) = "audio/wav"), (inline(Binary) = "text/csv"),
        (inline(Binary) = "application/octet-stream"),
        (IndexBody = "application/json", example = json!({"samples": [{"image": "iVBORw0KGgo..."}], "add": 1})),
        (IndexForm = "multipart/form-data")
    )),
    responses(
        (status = 200, description = "The index, in place of the one before.", body = IndexReply),
        (status = 201, description = "The index.", body = IndexReply, headers(("Location" = String, description = "`/models/{name}/indexes/{index}`"))),
        Failures,
    ))]
pub(super) async fn put(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Segments((name, index)): Segments<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let (name, index) = (parse(&name)?, parse_index(&index)?);
    let own = name.clone();
    app.block(move |app| caller.check_model(app, &own)).await?;
    let mut call = Call::<PutIndex>::receive(&app, request).await?;
    call.accept.pick(&[((), "application/json")])?;
    let version = call.params.version.map(|version| version.0);
    let session = app.session(&ModelRef { name: name.clone(), version }).await?;
    let samples = named(call.samples(&app, Some(&session)).await?);
    let new = add(&call, &session, fresh(&session), samples).await?;
    let (is_added, digest) = (call.params.add == Flag::Yes, session.id().digest);
    let (model, own, kept) = (name.clone(), index.clone(), session.id().to_string());
    // The index before, the new one, and the file.
    let before = app.block(move |app| Ok(app.indexes()?.file_bytes(&model, &own)?)).await?;
    let before = usize::try_from(before.unwrap_or(0)).unwrap_or(usize::MAX);
    let _held = call.ticket.hold(before.saturating_mul(3).saturating_add(new.bytes()))?;
    let (model, own) = (name.clone(), index.clone());
    let (replaces, samples, numbers) = app
        .block(move |app| {
            app.indexes()?.update(&model, &own, |before| {
                let replaces = before.is_some();
                let index = match before.filter(|_| is_added) {
                    Some(before) => {
                        before.check(digest).map_err(IndexError::from)?;
                        let mut index = Index::clone(&before);
                        index.append(&new).map_err(IndexError::from)?;
                        index
                    }
                    None => new,
                };
                let (samples, numbers) = (index.len(), index.numbers());
                Ok::<_, Problem>((index, (replaces, samples, numbers)))
            })
        })
        .await?;
    let location = format!("/models/{name}/indexes/{index}");
    let body = Json(IndexReply { model: kept, index, samples, numbers });
    Ok(match replaces {
        true => body.into_response(),
        false => (StatusCode::CREATED, [(LOCATION, location)], body).into_response(),
    })
}

/// Removes an index.
#[utoipa::path(delete, path = "/models/{name}/indexes/{index}", operation_id = "remove_index", tag = "models",
    params(
        ("name" = String, Path, description = "The model.", example = "digits"),
        ("index" = String, Path, description = "The index.", example = "training"),
    ),
    responses((status = 204, description = "It is removed."), Failures))]
pub(super) async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Segments((name, index)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (name, index) = (parse(&name)?, parse_index(&index)?);
    app.block(move |app| {
        caller.check_model(app, &name)?;
        match app.indexes()?.remove(&name, &index)? {
            true => Ok(StatusCode::NO_CONTENT),
            false => Err(missing(app, &name, &index)),
        }
    })
    .await
}

/// An index of a model, checked to be of its weights.
async fn kept(app: &App, session: &Session, index: &Name) -> Result<Arc<Index>, Problem> {
    let (id, index) = (session.id().clone(), index.clone());
    app.block(move |app| {
        let bytes = app.indexes()?.file_bytes(&id.name, &index)?.unwrap_or(0);
        // The file and its vectors, while it is read.
        let _held = app.engine().hold(usize::try_from(bytes).unwrap_or(usize::MAX).saturating_mul(2))?;
        let found = app.indexes()?.get(&id.name, &index)?.ok_or_else(|| missing(app, &id.name, &index))?;
        found.check(id.digest).map_err(|error| {
            let detail = format!(
                "{error}; {id} is asked: name the version that made index {index} (version=N), or put the samples again"
            );
            Problem::new(Code::LatentModelMismatch, detail)
        })?;
        Ok(found)
    })
    .await
}

/// An empty index of the weights of a model.
fn fresh(session: &Session) -> Index {
    Index::new(session.id().digest, 0)
}

/// Adds the latents of samples to an index.
async fn add<P: Params>(
    call: &Call<P>,
    session: &Arc<Session>,
    mut index: Index,
    samples: Vec<(String, Sample)>,
) -> Result<Index, Problem> {
    for (name, sample) in samples {
        let latent = call.ticket.encode(session, sample, None).await?.value;
        index.add(&name, &pooled(&latent)).map_err(|e| Problem::from(IndexError::from(e)))?;
    }
    Ok(index)
}

/// The samples of groups with their names: that of their file, with their number where it has several.
fn named(groups: Vec<Group>) -> Vec<(String, Sample)> {
    let mut all = Vec::new();
    for Group { name, samples, .. } in groups {
        let (name, count) = (name.unwrap_or_else(|| "sample".to_owned()), samples.len());
        let of = |i: usize| if count == 1 { name.clone() } else { format!("{name}#{i:06}") };
        all.extend(samples.into_iter().enumerate().map(|(i, sample)| (of(i), sample)));
    }
    all
}

fn parse_index(index: &str) -> Result<Name, Problem> {
    index.parse().map_err(|e: crate::name::Error| Problem::invalid(format!("index: {e}")))
}

fn missing(app: &App, model: &Name, index: &Name) -> Problem {
    let known = app.indexes().and_then(|indexes| Ok(indexes.list(model)?)).unwrap_or_default();
    let known: Vec<&str> = known.iter().map(Name::as_str).take(20).collect();
    let there = match known.as_slice() {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    let detail =
        format!("model {model} has no index {index}, {there}; PUT /models/{model}/indexes/{index} makes it");
    Problem::new(Code::NotFound, detail)
}

impl App {
    /// The indexes in the data folder.
    ///
    /// # Errors
    /// There is no data folder that can be written to.
    fn indexes(&self) -> Result<Indexes, Problem> {
        Ok(Indexes::of(&self.jobs().data_folder()?))
    }
}
