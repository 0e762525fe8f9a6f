//! `/noise-profiles`: the noise of your own samples, measured once and added while training.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::body::no_query;
use super::error::{Code, Problem};
use super::extract::{Part, Source};
use super::operation::Call;
use super::params::{PROFILE, Params};
use super::path::Segments;
use super::reading::Group;
use super::spec::{Failures, SampleBody, SampleForm};
use super::state::App;
use crate::codec::Format;
use crate::corruption::NoiseProfile;
use crate::dataset;
use crate::limits::Limits;
use crate::media::Reading;
use crate::name::Name;
use crate::registry::{ProfileError, Profiles};
use crate::sample::{Kind, Sample, Spec};

/// Parameters of a measurement.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; it is read by `params`")]
pub(super) struct ProfileParams {
    /// The name to keep it under; a profile of that name is replaced.
    #[param(example = "my-camera")]
    name: String,
    /// Kind of the samples: `flat` (even or dark frames), `repeats` (of one scene) or `noisy` (five or more ordinary ones);
    /// found out when absent.
    #[param(example = "flat")]
    method: Option<String>,
    /// `image` or `signal`: how tables and arrays are read; by their extents when absent, tables as signals.
    #[param(example = "image")]
    kind: Option<String>,
    /// Order of the axes of an array, one letter each, such as `HW`, `TYX`, `CL` or `LC`; `auto` finds it by the extents.
    #[param(example = "auto")]
    layout: Option<String>,
    /// Missing numbers are left out, or refused (`refuse`).
    #[param(example = "keep")]
    missing: Option<String>,
    /// Number that stands for a missing one, such as -9999.
    #[param(example = json!(null))]
    missing_value: Option<f32>,
}

/// All profiles.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProfileList {
    /// Their names, in order.
    #[schema(example = json!(["my-camera"]))]
    profiles: Vec<String>,
}

/// A noise profile with its name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NoiseProfile)]
pub(super) struct ProfileBody {
    /// Its name, for `{"profile": {"name": ...}}` as a corruption.
    #[schema(example = "my-camera")]
    name: String,
    /// The noise: variance `shot * value + read` and stripes of each channel, autocorrelation, correlation of the channels,
    /// distribution.
    #[schema(value_type = Object)]
    noise: NoiseProfile,
}

/// Measures noise.
///
/// From one even or dark frame, from repeats of one scene, or from five or more ordinary noisy samples. The profile is kept in the
/// data folder, and `{"profile": {"name": "..."}}` is a corruption like it.
#[utoipa::path(post, path = "/noise-profiles", operation_id = "measure_noise", tag = "training", params(ProfileParams),
    request_body(description = "Samples of one kind and number of channels.", content(
        ("image/png"), ("image/tiff"), ("application/x-npy"), ("text/csv"), ("audio/wav"),
        (SampleBody = "application/json", example = json!({"samples": [{"image": "iVBORw0KGgo..."}], "name": "my-camera"})),
        (SampleForm = "multipart/form-data")
    )),
    responses(
        (status = 200, description = "The profile, in place of the one before.", body = ProfileBody),
        (status = 201, description = "The profile.", body = ProfileBody, headers(("Location" = String, description = "`/noise-profiles/{name}`"))),
        Failures,
    ))]
pub(super) async fn measure(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let mut call = Call::receive(&app, request, &["file"], PROFILE).await?;
    call.accept.pick(&[((), "application/json")])?;
    let Params { name, method, kind, gaps, order, .. } = call.params.clone();
    let name = name.ok_or_else(|| Problem::invalid_at("/name", "missing; such as name=my-camera"))?;
    let read = move |part: Part, limits: &Limits| {
        // A table holds a signal, a channel a column: rows of vectors tell nothing of noise.
        let is_table = matches!(part.source, Source::File(Format::Csv, _));
        let kind = kind.or(is_table.then_some(Kind::Signal));
        let spec = kind.map(|kind| Spec { kind, channels: 0, fixed: None });
        Group::read(part, &Reading { spec: spec.as_ref(), gaps, order }, limits)
    };
    let groups = call.read(&app, read, Group::bytes).await?;
    let samples: Vec<Sample> = groups.into_iter().flat_map(|group| group.samples).collect();
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
    let body = Json(ProfileBody { name: name.to_string(), noise });
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
    Ok(Json(ProfileList { profiles: names.iter().map(Name::to_string).collect() }))
}

/// One profile.
#[utoipa::path(get, path = "/noise-profiles/{name}", operation_id = "get_noise_profile", tag = "training",
    params(("name" = String, Path, description = "The profile.", example = "my-camera")),
    responses((status = 200, description = "The profile.", body = ProfileBody), Failures))]
pub(super) async fn get(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<ProfileBody>, Problem> {
    let name = parse(&name)?;
    let wanted = name.clone();
    let noise = app.block(move |app| Ok(app.profiles()?.get(&wanted)?)).await?;
    let noise = noise.ok_or_else(|| missing(&name))?;
    Ok(Json(ProfileBody { name: name.to_string(), noise }))
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

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Problem::disk_full()
            }
            other => Problem::internal(other),
        }
    }
}
