//! `POST /decode`: latents in, samples out, from the latents alone.

use axum::extract::{Extension, Request, State};
use axum::response::Response;

use super::contract::{Binary, DecodeBody, DecodeForm, Decoded, Failures};
use super::error::{Code, Problem};
use super::extract;
use super::observe::RequestId;
use super::operation::{Call, respond};
use super::params::{Decode, Timeout};
use super::reading::read_latent;
use super::state::App;
use super::writing::{About, Output, Payload, Style, Subject};
use crate::codec::Format;
use crate::media::Carrier;
use crate::name::{ModelId, ModelRef};
use crate::sample::{Kind, Shape};

/// Samples from latents.
///
/// The latent names the version of the model that made it; no other can read it. Images come as PNG, signals
/// and vectors as npy, unless `Accept` or `format` say otherwise.
#[utoipa::path(
    post,
    path = "/decode",
    tag = "operations",
    params(Decode, Timeout),
    request_body(
        description = "One latent, or several as JSON `samples` or form files.",
        content(
            (inline(Binary) = "application/vnd.limpid.latent"),
            (DecodeBody = "application/json", example = json!({"latent": "iUxJTVBJRAo...", "depth": "16"})),
            (DecodeForm = "multipart/form-data")
        )
    ),
    responses(
        Decoded,
        Failures,
    )
)]
pub(super) async fn decode(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let mut call = Call::<Decode>::receive(&app, request).await?;
    let latents = call.read(&app, read_latent, |(_, _, latent)| 4 * latent.numbers()).await?;
    call.charge(latents.iter().map(|(.., latent)| latent.shape));

    let carriers: Vec<_> = latents.iter().map(|(.., latent)| carrier_for(latent.shape, call.form)).collect();
    let kinds = latents.iter().map(|(.., latent)| latent.shape.kind());
    let one = |(carrier, kind)| Subject { carrier, kind, count: 1, samples: &[] };
    let subjects: Vec<_> = carriers.iter().zip(kinds).map(one).collect();
    let style = Style::for_samples(
        &call.accept,
        call.form,
        &subjects,
        call.params.format.map(|format| format.0),
        call.params.depth.depth(),
    )?;

    let mut outputs = Vec::with_capacity(latents.len());
    for ((name, made_by, latent), carrier) in latents.into_iter().zip(carriers) {
        let carrier = style.carry(carrier, call.params.depth, 1)?;
        let session = maker(&app, call.params.model.as_ref(), &made_by).await?;
        let done = call.ticket.decode(&session, latent, style.depth_of(&carrier)).await?;
        let payload = Payload::Samples(carrier, vec![call.times.take(done)]);
        outputs.push(Output { name, payload, about: vec![About::of(&session)] });
    }
    respond(&call.ticket, style, outputs, id, call.times).await
}

/// The model that made a latent, with the very weights it was made with.
///
/// # Errors
/// 409 where `named` is another model or version or the weights have changed; 404 where it is not here.
pub(super) async fn maker(
    app: &App,
    named: Option<&ModelRef>,
    made_by: &ModelId,
) -> Result<std::sync::Arc<crate::infer::Session>, Problem> {
    let mismatch = |detail| Err(Problem::new(Code::LatentModelMismatch, detail));
    if let Some(named) = named {
        let is_maker = named.name == made_by.name && named.version.is_none_or(|v| v == made_by.version);
        if !is_maker {
            return mismatch(format!("the latent was made by {made_by}, not by {named}; leave `model` out"));
        }
    }
    let reference = ModelRef { name: made_by.name.clone(), version: Some(made_by.version) };
    let session = app.session(&reference).await?;
    if session.id().digest != made_by.digest {
        let detail = format!("the latent was made by other weights than those of {made_by} here");
        return mismatch(detail);
    }
    Ok(session)
}

/// Carrier of a sample that came in no file: images are written as files, all else as arrays.
fn carrier_for(shape: Shape, form: extract::Form) -> Carrier {
    let format = match (shape.kind(), form) {
        (Kind::Image, _) => Format::Png,
        (_, extract::Form::Json | extract::Form::JsonList) => Format::Json,
        _ => Format::Npy,
    };
    Carrier::Bare(format)
}
