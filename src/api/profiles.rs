//! `/noise-profiles`: the noise of your own samples, measured once and added while training.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::no_query;
use super::contract::{Binary, Failures, NoiseProfileBody, NoiseProfileForm};
use super::error::{Code, Problem};
use super::extract::{Part, Source, TensorHeaders};
use super::operation::Call;
use super::params::{Measure, Params as _, Timeout};
use super::path::Segments;
use super::reading::Group;
use super::state::App;
use crate::codec::Format;
use crate::corruption::NoiseProfile;
use crate::dataset;
use crate::limits::Limits;
use crate::media::Reading;
use crate::name::Name;
use crate::registry::Profiles;
use crate::sample::{Kind, Sample, Spec};

/// All profiles.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProfileList {
    /// Their names, in order.
    #[schema(example = json!(["my-camera"]))]
    profiles: Vec<Name>,
}

/// A noise profile with its name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamedNoiseProfile)]
pub(super) struct NamedProfile {
    /// Its name, for `{"profile": {"name": ...}}` as a corruption.
    name: Name,
    /// The noise: variance `shot * value + read` and stripes of each channel, autocorrelation, correlation of the channels,
    /// distribution.
    noise: NoiseProfile,
}

/// Measures noise.
///
/// From one even or dark frame, from repeats of one scene, or from five or more ordinary noisy samples. The profile is kept in the
/// data folder, and `{"profile": {"name": "..."}}` is a corruption like it.
#[utoipa::path(post, path = "/noise-profiles", operation_id = "measure_noise", tag = "training", params(Measure, Timeout, TensorHeaders),
    request_body(description = "Samples of one kind and number of channels.", content(
        (inline(Binary) = "image/png"), (inline(Binary) = "image/jpeg"), (inline(Binary) = "image/tiff"),
        (inline(Binary) = "image/webp"), (inline(Binary) = "image/x-portable-anymap"),
        (inline(Binary) = "application/x-npy"), (inline(Binary) = "audio/wav"), (inline(Binary) = "text/csv"),
        (inline(Binary) = "application/octet-stream"),
        (NoiseProfileBody = "application/json", example = json!({"samples": [{"image": "iVBORw0KGgo..."}], "name": "my-camera"})),
        (NoiseProfileForm = "multipart/form-data")
    )),
    responses(
        (status = 200, description = "The profile, in place of the one before.", body = NamedProfile),
        (status = 201, description = "The profile.", body = NamedProfile, headers(("Location" = String, description = "`/noise-profiles/{name}`"))),
        Failures,
    ))]
pub(super) async fn measure(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let mut call = Call::<Measure>::receive(&app, request).await?;
    call.accept.pick(&[((), "application/json")])?;
    let reading = call.params.reading();
    let Measure { name, method, kind, .. } = call.params.clone();
    let name = name.ok_or_else(|| Problem::invalid_at("/name", "missing; such as name=my-camera"))?;
    let read = move |part: Part, limits: &Limits| {
        // A table holds a signal, a channel a column: rows of vectors hold no neighbours to measure noise by.
        let is_table = matches!(part.source, Source::File(Format::Csv, _));
        let kind = kind.or(is_table.then_some(Kind::Signal));
        let spec = kind.map(|kind| Spec { kind, channels: 0, fixed: None });
        Group::read(part, &Reading { spec: spec.as_ref(), ..reading }, limits)
    };
    let groups = call.read(&app, read, Group::bytes).await?;
    let samples: Vec<Sample> = groups.into_iter().flat_map(|group| group.samples).collect();
    call.charge(samples.iter().map(Sample::shape));
    // Noise, level and two copies of each number.
    let bytes = samples.iter().map(|sample| sample.shape().numbers().saturating_mul(32)).sum();
    let work = move || dataset::measure_profile(&samples.iter().collect::<Vec<_>>(), method);
    let noise = call
        .ticket
        .run(bytes, work)
        .await?
        .value
        .map_err(|e| Problem::invalid_at("/samples", e.to_string()))?;
    let (kept, own) = (noise.clone(), name.clone());
    let replaces = app.block(move |app| Ok(app.profiles()?.put(&own, &kept)?)).await?;
    let location = format!("/noise-profiles/{name}");
    let body = Json(NamedProfile { name, noise });
    Ok(match replaces {
        true => body.into_response(),
        false => (StatusCode::CREATED, [(LOCATION, location)], body).into_response(),
    })
}

/// All profiles.
#[utoipa::path(get, path = "/noise-profiles", operation_id = "list_noise_profiles", tag = "training", responses(
    (status = 200, description = "The names of all profiles.", body = ProfileList), Failures,
))]
pub(super) async fn list(State(app): State<App>, request: Request) -> Result<Json<ProfileList>, Problem> {
    no_query(&request)?;
    let names = app.block(|app| Ok(app.profiles()?.list()?)).await?;
    Ok(Json(ProfileList { profiles: names }))
}

/// One profile.
#[utoipa::path(get, path = "/noise-profiles/{name}", operation_id = "get_noise_profile", tag = "training",
    params(("name" = String, Path, description = "The profile.", example = "my-camera")),
    responses((status = 200, description = "The profile.", body = NamedProfile), Failures))]
pub(super) async fn get(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<NamedProfile>, Problem> {
    let name = parse(&name)?;
    let wanted = name.clone();
    let noise = app.block(move |app| Ok(app.profiles()?.get(&wanted)?)).await?;
    let noise = noise.ok_or_else(|| missing(&name))?;
    Ok(Json(NamedProfile { name, noise }))
}

/// Removes a profile.
///
/// Jobs that were submitted with it keep it.
#[utoipa::path(delete, path = "/noise-profiles/{name}", operation_id = "delete_noise_profile", tag = "training",
    params(("name" = String, Path, description = "The profile.", example = "my-camera")),
    responses((status = 204, description = "It is removed."), Failures))]
pub(super) async fn remove(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Problem> {
    let name = parse(&name)?;
    let own = name.clone();
    match app.block(move |app| Ok(app.profiles()?.remove(&own)?)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(missing(&name)),
    }
}

fn parse(name: &str) -> Result<Name, Problem> {
    name.parse().map_err(|e: crate::name::Error| Problem::invalid(e.to_string()))
}

fn missing(name: &Name) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is no noise profile {name}; GET /noise-profiles lists those there are"),
    )
}

impl App {
    /// The noise profiles in the data folder.
    ///
    /// # Errors
    /// There is no data folder that can be written to.
    pub(super) fn profiles(&self) -> Result<Profiles, Problem> {
        Ok(Profiles::of(&self.jobs().data_folder()?))
    }
}
