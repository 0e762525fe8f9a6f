//! `POST /encode`: samples in, latents out.

use axum::extract::{Extension, Request, State};
use axum::response::Response;

use super::contract::{Binary, EncodeBody, EncodeForm, Encoded, Failures};
use super::error::Problem;
use super::extract::TensorHeaders;
use super::observe::RequestId;
use super::operation::{Call, model_for, respond};
use super::params::{Encode, Timeout};
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
    params(Encode, Timeout, TensorHeaders),
    request_body(
        description = "One sample, or several as JSON `samples` or form files.",
        content(
            (inline(Binary) = "image/png"), (inline(Binary) = "image/jpeg"), (inline(Binary) = "image/tiff"),
            (inline(Binary) = "image/webp"), (inline(Binary) = "image/x-portable-anymap"),
            (inline(Binary) = "application/x-npy"), (inline(Binary) = "audio/wav"), (inline(Binary) = "text/csv"),
            (inline(Binary) = "application/octet-stream"),
            (EncodeBody = "application/json", example = json!({"image": "iVBORw0KGgo...", "ratio": 8})),
            (EncodeForm = "multipart/form-data")
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
    let mut call = Call::<Encode>::receive(&app, request).await?;
    let named = call.named_model(&app).await?;
    let groups = call.samples(&app, named.as_ref()).await?;
    let count = groups.iter().map(|group| group.samples.len()).sum();
    let style = Style::for_latents(&call.accept, call.form, count)?;

    let mut outputs = Vec::with_capacity(count);
    for group in groups {
        for sample in group.samples {
            let session = model_for(&app, named.as_ref(), sample.shape()).await?;
            let missing = sample.missing_count();
            let done = call.ticket.encode(&session, sample, call.params.ratio.map(|ratio| ratio.0)).await?;
            let payload = Payload::Latent(session.id().clone(), call.times.take(done));
            let about = vec![About { missing, ..About::of(&session) }];
            outputs.push(Output { name: group.name.clone(), payload, about });
        }
    }
    respond(&call.ticket, style, outputs, id, call.times).await
}
