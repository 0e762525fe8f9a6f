//! `POST /denoise`: samples in, clean samples out.

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use futures_util::future::try_join_all;

use super::contract::{Binary, DenoiseBody, DenoiseForm, Denoised, Failures};
use super::error::Problem;
use super::extract::TensorHeaders;
use super::fitted::Fitted;
use super::observe::RequestId;
use super::operation::{Call, respond};
use super::params::{Denoise, Timeout};
use super::reading::Group;
use super::state::App;
use super::stream;
use super::writing::{Output, Payload, Style};

/// Clean samples.
///
/// Sends samples through the encoder, the decoder and the refiner of a model. The reply has the kind of the
/// request unless `Accept` or `format` say otherwise.
///
/// A signal without a known end comes as `application/x-ndjson`: parameters in the first line (with `stats`, a list of `mean` and
/// `std`, or `window`, the steps that these are taken from), then chunks `{"data": [...]}` of `(L)` or `(C, L)` numbers, `null`
/// for a missing one. The reply is lines too: `latency` in steps, then `{"start", "data"}` as steps become certain, and at the end
/// `{"is_end": true}` or `{"error"}`. However the signal is divided, the numbers are the same.
#[utoipa::path(
    post,
    path = "/denoise",
    tag = "operations",
    params(Denoise, Timeout, TensorHeaders),
    request_body(
        description = "One sample, or several as JSON `samples` or form files.",
        content(
            (inline(Binary) = "image/png"), (inline(Binary) = "image/jpeg"), (inline(Binary) = "image/tiff"),
            (inline(Binary) = "image/webp"), (inline(Binary) = "image/x-portable-anymap"),
            (inline(Binary) = "application/x-npy"), (inline(Binary) = "audio/wav"), (inline(Binary) = "text/csv"),
            (inline(Binary) = "application/octet-stream"),
            (DenoiseBody = "application/json", examples(
                ("image" = (summary = "an image file", value = json!({"image": "iVBORw0KGgo...", "strength": 0.8}))),
                ("data" = (summary = "nested numbers", value = json!({"data": [[0.1, 0.2], [0.3, 0.4]], "model": "photo-gray"}))),
                ("tensor" = (summary = "little-endian numbers", value = json!({"tensor": {"shape": [1, 2], "dtype": "float32", "base64": "AACAPwAAAEA="}}))),
                ("samples" = (summary = "several at once", value = json!({"samples": [{"image": "iVBORw0KGgo..."}, {"data": [[0.5]]}]})))
            )),
            (DenoiseForm = "multipart/form-data"),
            (String = "application/x-ndjson", example = json!("{\"model\": \"pulse\", \"window\": 2000}\n{\"data\": [0.1, 0.2]}\n{\"data\": [0.3]}\n"))
        )
    ),
    responses(
        Denoised,
        Failures,
    )
)]
pub(super) async fn denoise(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    if stream::is_stream(&request) {
        return stream::denoise(&app, id, request).await;
    }
    let mut call = Call::<Denoise>::receive(&app, request).await?;
    let named = call.named_model(&app).await?;
    let groups = call.samples(&app, named.as_ref()).await?;
    let subjects: Vec<_> = groups.iter().map(Group::subject).collect();
    let style = Style::for_samples(
        &call.accept,
        call.form,
        &subjects,
        call.params.format.map(|format| format.0),
        call.params.depth.depth(),
    )?;

    let mut outputs = Vec::with_capacity(groups.len());
    for group in groups {
        let fitted = Fitted {
            app: &app,
            ticket: &call.ticket,
            named: named.as_ref(),
            options: call.params.options(),
            wishes: call.params.wishes(),
            depth: style.depth_of(&group.carrier),
            predict: call.params.predict(),
        };
        let carrier = style.carry(group.carrier, call.params.depth, group.samples.len())?;
        // All at once: small ones of one shape go through the model together.
        let all = try_join_all(group.samples.into_iter().map(|sample| fitted.denoise(sample))).await?;
        let (clean, about) = all.into_iter().map(|done| call.times.take(done)).unzip();
        outputs.push(Output { name: group.name, payload: Payload::Samples(carrier, clean), about });
    }
    respond(&call.ticket, style, outputs, id, call.times).await
}
