//! `POST /evaluate`: scores of a model on samples, compared with JPEG and PCA.

use axum::Json;
use axum::extract::{Extension, Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::contract::{Binary, EvaluateBody, EvaluateForm, Failures};
use super::error::{Code, Problem};
use super::extract::TensorHeaders;
use super::fitted::Fitted;
use super::observe::RequestId;
use super::operation::Call;
use super::params::{Evaluate, Timeout};
use super::state::App;
use super::writing::round;
use crate::codec::write_latent;
use crate::infer::fit::{Strict, Wishes};
use crate::quality::{self, Reference};
use crate::sample::{Depth, Kind, Latent, Sample};

/// Report on a model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Report {
    /// One entry for each sample or pair.
    samples: Vec<Entry>,
    /// The id of the request.
    request_id: String,
}

/// Scores of a model on one sample.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entry {
    /// The version that answered.
    #[schema(example = "photo-gray@1")]
    model: String,
    /// Extents, channels first.
    #[schema(example = json!([1, 512, 512]))]
    shape: Vec<usize>,
    /// Estimated noise of the input, 0..255 for images.
    #[schema(example = 24.7)]
    sigma: f64,
    /// Likeness to the training data, 0..1.
    #[schema(example = 0.83)]
    familiarity: Option<f64>,
    /// Report of the page cleaning; null for a sample that is no page.
    page: Option<String>,
    /// Likeness of input and output, which is no measure of quality.
    output_to_input: Likeness,
    /// Likeness of the input and the output from the latent alone.
    strict_to_input: Likeness,
    /// The latent.
    latent: LatentSize,
    /// The input as a JPEG file of no more bytes than the latent file.
    jpeg: Option<Jpeg>,
    /// The input through PCA of its own 8x8 patches with no more numbers than the latent has: the best that a
    /// linear coder of such patches gives. Absent for vectors, for samples of fewer than 64 patches, and where it would take
    /// too long: for signals of many channels.
    pca: Option<Pca>,
    /// With a clean twin: likeness of noisy input and clean sample.
    noisy_to_clean: Option<Likeness>,
    /// With a clean twin: likeness of output and clean sample.
    output_to_clean: Option<Likeness>,
    /// With a clean twin: gain of the output over the input, dB.
    #[schema(example = 6.1)]
    gain_db: Option<f64>,
}

/// Likeness of two samples. Numbers that are missing in one of them are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Likeness {
    /// Peak signal-to-noise ratio of images on 0..1, signal-to-noise ratio of all else; absent when equal.
    #[schema(example = 31.2)]
    db: Option<f64>,
    /// Structural similarity of images, up to 1.
    #[schema(example = 0.93)]
    ssim: Option<f64>,
}

/// Size of a latent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LatentSize {
    /// Numbers of the latent.
    numbers: usize,
    /// Numbers of the sample.
    sample_numbers: usize,
    /// Bytes of its file.
    bytes: usize,
}

/// JPEG file of the input.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jpeg {
    /// Quality, 1 to 100.
    quality: u8,
    /// Bytes of the file.
    bytes: usize,
    /// Likeness to the input, dB.
    psnr_db: Option<f64>,
}

/// Input through PCA.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pca {
    /// Numbers that were kept.
    numbers: usize,
    /// Likeness to the input, dB.
    db: Option<f64>,
}

/// Scores of a model on samples.
///
/// The output is that of `/denoise` with the same parameters: pages keep their strokes, and channels, rates and clipped values are
/// fitted to the model. With clean twins the report has the gain of the output over the input. Without, it has the change of each
/// sample, and the quality of the latent compared with JPEG and PCA at the same size.
#[utoipa::path(
    post,
    path = "/evaluate",
    tag = "operations",
    params(Evaluate, Timeout, TensorHeaders),
    request_body(description = "Samples, or pairs of noisy and clean ones.", content(
        (inline(Binary) = "image/png"), (inline(Binary) = "image/jpeg"), (inline(Binary) = "image/tiff"),
        (inline(Binary) = "image/webp"), (inline(Binary) = "image/x-portable-anymap"),
        (inline(Binary) = "application/x-npy"), (inline(Binary) = "audio/wav"), (inline(Binary) = "text/csv"),
            (inline(Binary) = "application/octet-stream"),
        (EvaluateBody = "application/json", example = json!({"pairs": [{"noisy": {"image": "iVBORw0KGgo..."}, "clean": {"image": "iVBORw0KGgo..."}}]})),
        (EvaluateForm = "multipart/form-data")
    )),
    responses((status = 200, description = "The report.", body = Report), Failures)
)]
pub(super) async fn evaluate(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Json<Report>, Problem> {
    let mut call = Call::<Evaluate>::receive(&app, request).await?;
    call.accept.pick(&[((), "application/json")])?;
    let named = call.named_model(&app).await?;
    let roles: Vec<String> = call.parts.iter().map(|part| part.role.clone()).collect();
    let groups = call.samples(&app, named.as_ref()).await?;
    let mut by_role = (Vec::new(), Vec::new(), Vec::new());
    for (role, group) in roles.iter().zip(groups) {
        match role.as_str() {
            "noisy" => by_role.0.extend(group.samples),
            "clean" => by_role.1.extend(group.samples),
            _ => by_role.2.extend(group.samples),
        }
    }
    let (noisy, clean, alone) = by_role;
    if noisy.len() != clean.len() {
        let detail =
            format!("{} noisy and {} clean samples; send one clean for each noisy", noisy.len(), clean.len());
        return Err(Problem::invalid_at("/clean", detail));
    }
    let pairs = noisy.into_iter().zip(clean.into_iter().map(Some));
    let mut samples = Vec::new();
    for (input, clean) in pairs.chain(alone.into_iter().map(|sample| (sample, None))) {
        if let Some(clean) = clean.as_ref().filter(|clean| clean.shape() != input.shape()) {
            let detail = format!("a pair of different shapes: {} and {}", input.shape(), clean.shape());
            return Err(Problem::new(Code::ShapeMismatch, detail));
        }
        let fitted = Fitted {
            app: &app,
            ticket: &call.ticket,
            named: named.as_ref(),
            options: call.params.options(),
            wishes: Wishes::default(),
            depth: Depth::F32,
            predict: None,
        };
        samples.push(measure(&fitted, input, clean).await?);
    }
    Ok(Json(Report { samples, request_id: id.0 }))
}

/// Denoises one sample as `/denoise` does, and scores what it returns.
async fn measure(fitted: &Fitted<'_>, input: Sample, clean: Option<Sample>) -> Result<Entry, Problem> {
    let Fitted { app, ticket, options, .. } = *fitted;
    let (full, about) = fitted.denoise(input.clone()).await?.value;
    let session = app.session(&about.model.parse().map_err(Problem::internal)?).await?;
    let Strict { latents, sample: strict } =
        ticket.strict(&session, input.clone(), options.ratio).await?.value;
    let (model, bytes) = (session.id().clone(), session.working_bytes(input.shape()));
    let work = move || {
        let file = latents.iter().map(|latent| write_latent(&model, latent).len()).sum();
        let numbers = latents.iter().map(Latent::numbers).sum();
        let to_clean = |sample: &Sample| clean.as_ref().map(|clean| Likeness::of(clean, sample));
        let (noisy_to_clean, output_to_clean) = (to_clean(&input), to_clean(&full));
        let db = |likeness: &Option<Likeness>| likeness.as_ref().and_then(|likeness| likeness.db);
        Entry {
            model: model.to_string(),
            shape: input.shape().dims(),
            sigma: round(about.sigma.unwrap_or_default()),
            familiarity: about.familiarity.map(round),
            page: about.page.map(|page| page.note),
            output_to_input: Likeness::of(&input, &full),
            strict_to_input: Likeness::of(&input, &strict),
            jpeg: jpeg(&input, file),
            pca: pca(&input, numbers),
            latent: LatentSize { numbers, sample_numbers: input.shape().numbers(), bytes: file },
            gain_db: db(&output_to_clean).zip(db(&noisy_to_clean)).map(|(after, before)| after - before),
            noisy_to_clean,
            output_to_clean,
        }
    };
    Ok(ticket.run(bytes, work).await?.value)
}

impl Likeness {
    /// Decibels; infinite when equal.
    pub(super) fn exact(&self) -> f32 {
        self.db.map_or(f32::INFINITY, |db| db as f32)
    }

    /// Structural similarity.
    pub(super) fn ssim(&self) -> Option<f64> {
        self.ssim
    }

    /// Compares two samples of one shape.
    pub(super) fn of(reference: &Sample, other: &Sample) -> Self {
        let near = Reference::new(reference, other, false).nearness(other.data());
        Self { db: decibel(near.db), ssim: near.ssim.map(round) }
    }
}

/// Decibels, rounded; none where both are equal, since JSON has no infinity.
fn decibel(db: f32) -> Option<f64> {
    db.is_finite().then(|| round(db))
}

fn jpeg(input: &Sample, most_bytes: usize) -> Option<Jpeg> {
    let point = quality::jpeg_at_bytes(input.data(), input.data(), input.shape(), most_bytes)?;
    Some(Jpeg { quality: point.quality, bytes: point.bytes, psnr_db: decibel(point.psnr_db) })
}

/// PCA of the patches of the sample itself, as many numbers a patch as the latent has.
fn pca(input: &Sample, latent_numbers: usize) -> Option<Pca> {
    let shape = input.shape();
    // One sample gives too few points to fit to where it is one patch.
    let patch = match shape.kind() {
        Kind::Image => 64 * shape.channels(),
        Kind::Signal => 64 * shape.channels(),
        Kind::Vector => return None,
    };
    let per_patch = (latent_numbers as f64 / shape.numbers() as f64 * patch as f64) as usize;
    if per_patch == 0 || shape.numbers() < 64 * patch {
        return None;
    }
    let (coded, numbers) =
        quality::Pca::fit_patches(&[input], per_patch)?.code(input.data(), shape, per_patch);
    let db = if shape.kind() == Kind::Image {
        quality::psnr(input.data(), &coded)
    } else {
        quality::snr(input.data(), &coded)
    };
    Some(Pca { numbers, db: decibel(db) })
}
