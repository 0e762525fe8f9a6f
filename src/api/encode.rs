//! `POST /encode`: samples in, latents out.

use axum::extract::{Extension, Request, State};
use axum::response::Response;

use super::error::Problem;
use super::observe::RequestId;
use super::operation::{Call, model_for, respond};
use super::params::ENCODE;
use super::spec::{Encoded, Failures, SampleBody, SampleForm};
use super::state::App;
use super::writing::{About, Output, Payload, Style};

/// The latents of samples.
///
/// A latent holds fewer numbers than its sample and all that the decoder sees. The reply is a latent file
/// unless `Accept` asks for JSON; several come as a form, JSON or a zip.
#[utoipa::path(
    post,
    path = "/encode",
    tag = "operations",
    params(super::spec::EncodeParams, super::spec::TimeoutHeader, super::spec::TensorHeaders),
    request_body(
        description = "One sample, or several as JSON `samples` or form files.",
        content(
            ("image/png"), ("image/jpeg"), ("image/tiff"), ("image/webp"), ("image/x-portable-anymap"),
            ("application/x-npy"), ("application/octet-stream"),
            (SampleBody = "application/json", example = json!({"image": "iVBORw0KGgo...", "ratio": 8})),
            (SampleForm = "multipart/form-data")
        )
    ),
    responses(
        Encoded,
        Failures,
    )
)]
pub(super) async fn encode(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let mut call = Call::receive(&app, request, &["file"], ENCODE).await?;
    let named = call.named_model(&app).await?;
    let groups = call.samples(&app, named.as_ref()).await?;
    let count = groups.iter().map(|group| group.samples.len()).sum();
    let style = Style::for_latents(&call.accept, call.form, count)?;

    let mut outputs = Vec::with_capacity(count);
    for group in groups {
        for sample in group.samples {
            let session = model_for(&app, named.as_ref(), sample.shape()).await?;
            let missing = sample.missing_count();
            let done = call.ticket.encode(&session, sample, call.params.options.ratio).await?;
            let payload = Payload::Latent(session.id().clone(), call.times.take(done));
            let about = vec![About { missing, ..About::of(&session) }];
            outputs.push(Output { name: group.name.clone(), payload, about });
        }
    }
    respond(&call.ticket, style, outputs, id, call.times).await
}
