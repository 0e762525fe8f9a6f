//! `POST /compare`: several models and strengths on one sample, ranked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::contract::{Binary, CompareBody, CompareForm, Failures};
use super::error::{Code, Problem};
use super::evaluate::Likeness;
use super::extract::TensorHeaders;
use super::fitted::Fitted;
use super::observe::RequestId;
use super::operation::Call;
use super::params::{Compare, Timeout};
use super::state::App;
use super::writing::round;
use crate::infer::fit::{Traits, Wishes};
use crate::infer::rank::{Candidate, MOST_CANDIDATES, RankedBy, Ranking};
use crate::infer::{NoiseLevel, Options, Prediction, Session, Unpredictable};
use crate::name::ModelRef;
use crate::sample::{Depth, Sample, Shape};

/// Models and strengths in order of quality.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Comparison {
    /// Extents of the sample, channels first.
    #[schema(example = json!([1, 512, 512]))]
    shape: Vec<usize>,
    /// Estimated noise of the sample, 0..255 for images.
    #[schema(example = 24.7)]
    sigma: f64,
    /// Measure of the order: the clean sample, else the prediction, else nothing.
    ranked_by: RankedBy,
    /// The reason why nothing can be predicted, where that is so.
    reason: Option<String>,
    /// The best candidate, which may be the input as it is; null where they are ranked by nothing.
    best: Option<Choice>,
    /// All candidates, the best first; in the order of the request where they are ranked by nothing.
    candidates: Vec<Scored>,
    /// The id of the request.
    request_id: String,
}

/// Model and strength.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Choice {
    /// `name@version`; null for the input as it is.
    #[schema(example = "photo-gray@6")]
    model: Option<String>,
    /// Blend of the input, 0, and the result, 1.
    #[schema(example = 1.0)]
    strength: f64,
}

/// A candidate with its quality.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Scored {
    /// Model and strength.
    #[serde(flatten)]
    choice: Choice,
    /// With a clean sample: PSNR of images, SNR of other kinds, dB; null when equal.
    #[schema(example = 28.8)]
    db: Option<f64>,
    /// With a clean sample: structural similarity of images, up to 1.
    #[schema(example = 0.81)]
    ssim: Option<f64>,
    /// Predicted PSNR, dB; null where it cannot be predicted.
    #[schema(example = 28.7)]
    psnr_predicted: Option<f64>,
    /// Ends of the interval that holds the true PSNR in four of five images, dB; empty where it is unknown.
    #[schema(example = json!([28.5, 28.9]))]
    psnr_interval: Vec<f64>,
    /// The reason why there is no prediction.
    psnr_unknown: Option<String>,
    /// Correlation of adjacent pixels of what was removed, -1 to 1: near 0 if it was white noise.
    #[schema(example = 0.03)]
    residual_correlation: Option<f64>,
    /// Likeness of the sample to the training data, 0..1.
    #[schema(example = 0.83)]
    familiarity: Option<f64>,
}

/// Several models and strengths on one sample.
///
/// Each candidate, a model at a strength, and the input as it is are ranked: by their quality where a clean sample comes with it, else
/// by the predicted PSNR, as of `/denoise?predict=1`. The input is best where nothing helps.
#[utoipa::path(
    post,
    path = "/compare",
    tag = "operations",
    params(Compare, Timeout, TensorHeaders),
    request_body(description = "One sample, or a noisy one with its clean twin.", content(
        (inline(Binary) = "image/png"), (inline(Binary) = "image/jpeg"), (inline(Binary) = "image/tiff"),
        (inline(Binary) = "image/webp"), (inline(Binary) = "image/x-portable-anymap"),
        (inline(Binary) = "application/x-npy"), (inline(Binary) = "audio/wav"), (inline(Binary) = "text/csv"),
        (inline(Binary) = "application/octet-stream"),
        (CompareBody = "application/json", example = json!({"image": "iVBORw0KGgo...", "models": "photo-gray, camera-gray", "strengths": "0.5, 1"})),
        (CompareForm = "multipart/form-data")
    )),
    responses((status = 200, description = "The candidates in order.", body = Comparison), Failures)
)]
pub(super) async fn compare(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Json<Comparison>, Problem> {
    let mut call = Call::<Compare>::receive(&app, request).await?;
    call.accept.pick(&[((), "application/json")])?;
    let mut named = Vec::new();
    for reference in call.params.models() {
        named.push(app.session(reference).await?);
    }
    let roles: Vec<String> = call.parts.iter().map(|part| part.role.clone()).collect();
    let groups = call.samples(&app, named.first()).await?;
    let samples = groups.into_iter().map(|group| group.samples).collect();
    let (sample, clean) = take(&roles, samples)?;
    if named.is_empty() {
        named = fitting(&app, sample.shape()).await?;
    }
    let strengths = call.params.strengths();
    let count = named.len() * strengths.len() + 1;
    if count > MOST_CANDIDATES {
        let detail = format!(
            "{} models at {} strengths and the input are {count} candidates, {MOST_CANDIDATES} are compared at most; name \
             fewer models",
            named.len(),
            strengths.len()
        );
        return Err(Problem::invalid_at("/models", detail).over(MOST_CANDIDATES as u64, count as u64));
    }

    // Each candidate works on copies of the sample, one candidate after the other.
    let numbers = sample.shape().numbers();
    let _held = call.ticket.hold(numbers.saturating_mul(4 * size_of::<f32>()))?;
    let (traits, sample) = call.ticket.convert(numbers, move || (Traits::of(&sample), sample)).await?;
    let kind = sample.shape().kind();
    let level = NoiseLevel::of(&traits, kind, call.params.predict().sigma);
    let mut scores = vec![score(&call, (&sample, sample.clone()), clean.as_ref()).await?];
    let mut candidates = vec![Candidate {
        model: None,
        strength: 0.0,
        true_db: scores[0].as_ref().map(Likeness::exact),
        prediction: match &level {
            Ok(level) => level.of_input(),
            Err(reason) => reason.clone().into(),
        },
        residual_correlation: None,
        familiarity: None,
    }];
    for session in &named {
        for strength in &strengths {
            let options = Options { mode: call.params.mode, strength: *strength, ..Options::default() };
            let fitted = Fitted {
                app: &app,
                ticket: &call.ticket,
                named: Some(session),
                options,
                wishes: Wishes::default(),
                depth: Depth::F32,
                predict: Some(call.params.predict()),
            };
            let (result, about) = fitted.denoise(sample.clone()).await?.value;
            let likeness = score(&call, (&sample, result), clean.as_ref()).await?;
            candidates.push(Candidate {
                model: Some(about.model),
                strength: *strength,
                true_db: likeness.as_ref().map(Likeness::exact),
                prediction: about.prediction.unwrap_or(Prediction::Unknown("it was not predicted".into())),
                residual_correlation: about.residual_correlation,
                familiarity: about.familiarity,
            });
            scores.push(likeness);
        }
    }
    let ssim: Vec<Option<f64>> = scores.into_iter().map(|likeness| likeness?.ssim()).collect();
    let sigmas = traits.sigmas(kind);
    let sigma = round(sigmas.iter().sum::<f32>() / sigmas.len().max(1) as f32);
    Ok(Json(Comparison::of(sample.shape(), sigma, (candidates, ssim), level.err(), id)))
}

/// Takes the one sample, or the noisy and the clean one, out of the parts of a request.
fn take(roles: &[String], groups: Vec<Vec<Sample>>) -> Result<(Sample, Option<Sample>), Problem> {
    let count: usize = groups.iter().map(Vec::len).sum();
    let mut parts =
        roles.iter().zip(groups).flat_map(|(role, group)| group.into_iter().map(move |s| (role, s)));
    let (first, second, third) = (parts.next(), parts.next(), parts.next());
    match (first, second, third) {
        (Some((role, sample)), None, _) if role == "file" => Ok((sample, None)),
        (Some((a, one)), Some((b, two)), None)
            if (a == "noisy" && b == "clean") || (a == "clean" && b == "noisy") =>
        {
            let (noisy, clean) = if a == "noisy" { (one, two) } else { (two, one) };
            if noisy.shape() == clean.shape() {
                return Ok((noisy, Some(clean)));
            }
            let detail = format!("a pair of different shapes: {} and {}", noisy.shape(), clean.shape());
            Err(Problem::new(Code::ShapeMismatch, detail))
        }
        _ => {
            let detail = format!(
                "one sample is compared, or one noisy with its clean twin, got {count} samples; send several one by one, or \
                 use limpid compare"
            );
            Err(Problem::invalid(detail).over(1, count as u64))
        }
    }
}

/// The default versions of all models that take samples of this shape.
async fn fitting(app: &App, shape: Shape) -> Result<Vec<Arc<Session>>, Problem> {
    let models = app.registry().list().into_iter();
    let models: Vec<_> = models.filter(|m| m.default.is_some() && m.input.takes(shape)).collect();
    if models.is_empty() {
        let detail = format!("no model here takes an input like this ({shape}); train one with POST /train");
        return Err(Problem::new(Code::ShapeMismatch, detail));
    }
    let mut sessions = Vec::with_capacity(models.len());
    for model in models.into_iter().take(MOST_CANDIDATES + 1) {
        sessions.push(app.session(&ModelRef { name: model.name, version: None }).await?);
    }
    Ok(sessions)
}

/// The likeness of a result and the clean sample, if there is one.
async fn score(
    call: &Call<Compare>,
    (sample, result): (&Sample, Sample),
    clean: Option<&Sample>,
) -> Result<Option<Likeness>, Problem> {
    let Some(clean) = clean.cloned() else { return Ok(None) };
    // Both as floats, and what SSIM needs of rows.
    let bytes = sample.shape().numbers().saturating_mul(4 * size_of::<f32>());
    let done = call.ticket.run(bytes, move || Likeness::of(&clean, &result)).await?;
    Ok(Some(done.value))
}

impl Comparison {
    fn of(
        shape: Shape,
        sigma: f64,
        (candidates, ssim): (Vec<Candidate>, Vec<Option<f64>>),
        reason: Option<Unpredictable>,
        RequestId(request_id): RequestId,
    ) -> Self {
        // A candidate is known by its model and strength, which no other has.
        let known: Vec<(Candidate, Option<f64>)> = candidates.iter().cloned().zip(ssim).collect();
        let ssim = |one: &Candidate| known.iter().find(|(other, _)| other == one).and_then(|(_, ssim)| *ssim);
        let is_clean = matches!(reason, Some(Unpredictable::Clean(_)));
        let ranking = Ranking::of(candidates);
        let input = ranking.candidates.iter().find(|candidate| candidate.model.is_none());
        // Where there is no noise, nothing is to be done.
        let best = ranking.best().or(input.filter(|_| is_clean && ranking.by == RankedBy::Nothing));
        Self {
            shape: shape.dims(),
            sigma,
            ranked_by: ranking.by,
            best: best.map(Choice::of),
            candidates: ranking.candidates.iter().map(|one| Scored::of(one, ssim(one))).collect(),
            reason: reason.map(|reason| reason.to_string()),
            request_id,
        }
    }
}

impl Choice {
    fn of(candidate: &Candidate) -> Self {
        Self { model: candidate.model.clone(), strength: round(candidate.strength) }
    }
}

impl Scored {
    fn of(candidate: &Candidate, ssim: Option<f64>) -> Self {
        let (predicted, interval, unknown) = match &candidate.prediction {
            Prediction::Known(known) => (Some(round(known.db)), known.interval, None),
            Prediction::Unknown(reason) => (None, None, Some(reason.clone())),
        };
        Self {
            choice: Choice::of(candidate),
            db: candidate.true_db.filter(|db| db.is_finite()).map(round),
            ssim,
            psnr_predicted: predicted,
            psnr_interval: interval.into_iter().flatten().map(round).collect(),
            psnr_unknown: unknown,
            residual_correlation: candidate.residual_correlation.map(round),
            familiarity: candidate.familiarity.map(round),
        }
    }
}
