//! Facts of a reply about its samples beside their numbers, as headers and in JSON.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use crate::infer::fit::PageNote;
use crate::infer::{Predicted, Prediction};

/// Facts about one sample of a reply.
#[derive(Debug, Clone, Default)]
pub(in crate::api) struct About {
    /// `name@version`.
    pub(in crate::api) model: String,
    /// Estimated noise: the mean of all channels.
    pub(in crate::api) sigma: Option<f32>,
    /// Estimated noise of each channel.
    pub(in crate::api) sigmas: Vec<f32>,
    /// Correlation of its noise between adjacent pixels; images only.
    pub(in crate::api) correlation: Option<f32>,
    /// Likeness to the training data, 0 to 1.
    pub(in crate::api) familiarity: Option<f32>,
    /// Predicted PSNR of the result, where it was asked for.
    pub(in crate::api) prediction: Option<Prediction>,
    /// Correlation of adjacent pixels of what was removed, where it was asked for; images.
    pub(in crate::api) residual_correlation: Option<f32>,
    /// Sampling rates of the signal and of the model, Hz, where they differ and the signal was resampled.
    pub(in crate::api) resampled: Option<(f32, f32)>,
    /// Number of its missing numbers.
    pub(in crate::api) missing: usize,
    /// The reason for the model, where the service chose it.
    pub(in crate::api) reason: Option<String>,
    /// Report of the page cleaning; none for a sample that is no page.
    pub(in crate::api) page: Option<PageNote>,
}

impl About {
    /// The predicted PSNR.
    pub(in crate::api) fn known(&self) -> Option<Predicted> {
        match &self.prediction {
            Some(Prediction::Known(known)) => Some(*known),
            _ => None,
        }
    }

    /// The reason why there is no prediction.
    fn unknown(&self) -> Option<&str> {
        match &self.prediction {
            Some(Prediction::Unknown(reason)) => Some(reason),
            _ => None,
        }
    }
}

/// Header of a reply about its samples.
pub(in crate::api) struct Header {
    /// Name of the header.
    pub(in crate::api) name: &'static str,
    /// Meaning, for the contract.
    pub(in crate::api) meaning: &'static str,
    /// Value for some samples; none where the header is left out.
    of: fn(&[About]) -> Option<String>,
}

/// Every header of a reply about its samples; those that are written are those that the contract describes.
pub(in crate::api) const HEADERS: [Header; 13] = [
    Header {
        name: "X-Model",
        meaning: "Version that answered, as name@version; a list where several did.",
        of: |about| {
            let mut models: Vec<&str> = about.iter().map(|about| about.model.as_str()).collect();
            models.dedup();
            Some(models.join(", "))
        },
    },
    Header {
        name: "X-Model-Reason",
        meaning: "Reason for the model, where the request names none.",
        of: |about| {
            let mut reasons: Vec<&str> = about.iter().filter_map(|about| about.reason.as_deref()).collect();
            reasons.dedup();
            (!reasons.is_empty()).then(|| reasons.join("; "))
        },
    },
    Header {
        name: "X-Resampled",
        meaning: "Sampling rates of the signal and of the model, where they differ and the signal was resampled.",
        of: |about| list(about, |about| about.resampled.map(rates)),
    },
    Header {
        name: "X-Missing",
        meaning: "Number of missing numbers, where there are any; a list for several samples.",
        of: |about| {
            about.iter().any(|about| about.missing > 0).then_some(())?;
            list(about, |about| Some(about.missing.to_string()))
        },
    },
    Header {
        name: "X-Noise-Sigma",
        meaning: "Estimated noise, 0..255 for images; a list for several samples.",
        of: |about| list(about, |about| about.sigma.map(digits)),
    },
    Header {
        name: "X-Noise-Sigmas",
        meaning: "Estimated noise of each channel, with spaces between them; a list for several samples.",
        of: |about| {
            about.iter().any(|about| about.sigma.is_some()).then_some(())?;
            let each =
                |about: &About| about.sigmas.iter().map(|sigma| digits(*sigma)).collect::<Vec<_>>().join(" ");
            list(about, |about| Some(each(about)))
        },
    },
    Header {
        name: "X-Noise-Correlation",
        meaning: "Correlation of the noise of adjacent pixels, 0 for white noise; images.",
        of: |about| list(about, |about| about.correlation.map(digits)),
    },
    Header {
        name: "X-Familiarity",
        meaning: "Likeness to the training data, 0..1; absent for models that do not measure it.",
        of: |about| list(about, |about| about.familiarity.map(digits)),
    },
    Header {
        name: "X-Psnr-Predicted",
        meaning: "With `predict=1`: predicted PSNR in dB, and the interval that holds the true one in four of five images, as `28.41 \
                  (28.20 to 28.63)`; `unknown: ` with the reason where it cannot be predicted. A list with `; ` between several samples.",
        of: |about| {
            let all: Vec<String> =
                about.iter().filter_map(|about| about.prediction.as_ref().map(predicted)).collect();
            (!all.is_empty()).then(|| all.join("; "))
        },
    },
    Header {
        name: "X-Residual-Correlation",
        meaning: "With `predict=1`: correlation of adjacent pixels of what was removed, -1 to 1; near 0 if it is white noise.",
        of: |about| list(about, |about| about.residual_correlation.map(digits)),
    },
    Header {
        name: "X-Ink-Kept",
        meaning: "Share of a page's ink that is ink in the result, 0..1; pages.",
        of: |about| list(about, |about| about.page.as_ref().map(|page| digits(page.ink_kept))),
    },
    Header {
        name: "X-Ink-Put-Back",
        meaning: "Share of a page's ink that the model had taken away and that was put back; pages.",
        of: |about| list(about, |about| about.page.as_ref().map(|page| digits(page.put_back))),
    },
    Header {
        name: "X-Page-Note",
        meaning: "Other changes to a page, or the reason for leaving it as it was.",
        of: |about| list(about, |about| about.page.as_ref().map(|page| page.note.clone())),
    },
];

/// The headers of [`HEADERS`] that apply to `about`.
pub(super) fn headers(about: &[About]) -> HeaderMap {
    let written = HEADERS.iter().filter_map(|header| {
        let name = HeaderName::try_from(header.name).expect("a constant name");
        Some((name, HeaderValue::try_from((header.of)(about)?).ok()?))
    });
    written.collect()
}

/// The values of those samples that have one, with commas between them.
fn list(about: &[About], of: impl Fn(&About) -> Option<String>) -> Option<String> {
    let all: Vec<String> = about.iter().filter_map(of).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn digits(value: f32) -> String {
    round(value).to_string()
}

/// A prediction as the header states it.
fn predicted(prediction: &Prediction) -> String {
    match prediction {
        Prediction::Known(known) => match known.interval {
            Some([low, high]) => format!("{:.2} ({low:.2} to {high:.2})", known.db),
            None => format!("{:.2}", known.db),
        },
        Prediction::Unknown(reason) => format!("unknown: {reason}"),
    }
}

/// From the signal's rate to the model's and back.
fn rates((own, model): (f32, f32)) -> String {
    format!("{own} Hz to {model} Hz and back")
}

/// Facts about the samples of one file of a reply: plain values for one sample, lists for several.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = About)]
pub(in crate::api) struct Facts {
    /// Version that answered, as `name@version`.
    #[schema(example = "photo-gray@1")]
    model: Option<String>,
    /// Number of missing numbers, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Counts>,
    /// Estimated noise of the input, 0..255 for images.
    #[serde(skip_serializing_if = "Option::is_none")]
    sigma: Option<Numbers>,
    /// Estimated noise of each channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    sigmas: Option<Lists>,
    /// Correlation of the noise of adjacent pixels, 0 for white noise; null for signals and vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    noise_correlation: Option<Numbers>,
    /// Likeness to the training data, 0..1; null for models that do not measure it.
    #[serde(skip_serializing_if = "Option::is_none")]
    familiarity: Option<Numbers>,
    /// With `predict`: predicted PSNR of the result, dB; null where it cannot be predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    psnr_predicted: Option<Numbers>,
    /// With `predict`: ends of the interval that holds the true PSNR in four of five images, dB; empty where it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    psnr_interval: Option<Lists>,
    /// With `predict`: the reason why there is no prediction.
    #[serde(skip_serializing_if = "Option::is_none")]
    psnr_unknown: Option<Texts>,
    /// With `predict`: correlation of adjacent pixels of what was removed, -1 to 1; null for signals and vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    residual_correlation: Option<Numbers>,
    /// Reason for the model; null where the request names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_reason: Option<Texts>,
    /// Share of a page's ink that is ink in the result, 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    ink_kept: Option<Numbers>,
    /// Share of a page's ink that the model had taken away and that was put back, 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    ink_put_back: Option<Numbers>,
    /// Other changes to a page, or the reason for leaving it as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    page_note: Option<Texts>,
    /// Sampling rates of the signal and of the model, where the signal was resampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    resampled: Option<Texts>,
}

/// A number, or one for each of several samples.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Numbers {
    /// Of the one sample.
    One(Option<f64>),
    /// Of each sample.
    Each(Vec<Option<f64>>),
}

/// A count, or one for each of several samples.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Counts {
    /// Of the one sample.
    One(usize),
    /// Of each sample.
    Each(Vec<usize>),
}

/// A text, or one for each of several samples.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Texts {
    /// Of the one sample.
    One(Option<String>),
    /// Of each sample.
    Each(Vec<Option<String>>),
}

/// A list of numbers, or one for each of several samples.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Lists {
    /// Of the one sample.
    One(Vec<f64>),
    /// Of each sample.
    Each(Vec<Vec<f64>>),
}

impl Facts {
    /// The facts about the samples of one file.
    pub(super) fn of(about: &[About]) -> Self {
        let numbers = |of: &dyn Fn(&About) -> Option<f32>| match about {
            [one] => Numbers::One(of(one).map(round)),
            several => Numbers::Each(several.iter().map(|about| of(about).map(round)).collect()),
        };
        let texts = |of: &dyn Fn(&About) -> Option<String>| match about {
            [one] => Texts::One(of(one)),
            several => Texts::Each(several.iter().map(of).collect()),
        };
        let each = |about: &About| about.sigmas.iter().map(|sigma| round(*sigma)).collect::<Vec<_>>();
        let lists = |each: &dyn Fn(&About) -> Vec<f64>| match about {
            [one] => Lists::One(each(one)),
            several => Lists::Each(several.iter().map(each).collect()),
        };
        let missing = || match about {
            [one] => Counts::One(one.missing),
            several => Counts::Each(several.iter().map(|about| about.missing).collect()),
        };
        let has_gaps = about.iter().any(|about| about.missing > 0);
        // Nothing was measured where latents are decoded or made.
        let is_measured = about.iter().any(|about| about.sigma.is_some());
        let is_page = is_measured && about.iter().any(|about| about.page.is_some());
        let is_resampled = is_measured && about.iter().any(|about| about.resampled.is_some());
        let is_predicted = about.iter().any(|about| about.prediction.is_some());
        let is_unknown = about.iter().any(|about| about.unknown().is_some());
        let interval = |about: &About| {
            let ends = about.known().and_then(|known| known.interval);
            ends.into_iter().flatten().map(round).collect::<Vec<_>>()
        };
        let page = |about: &About, of: fn(&PageNote) -> f32| about.page.as_ref().map(of);
        Self {
            model: about.first().map(|about| about.model.clone()),
            missing: has_gaps.then(missing),
            sigma: is_measured.then(|| numbers(&|about| about.sigma)),
            sigmas: is_measured.then(|| lists(&each)),
            noise_correlation: is_measured.then(|| numbers(&|about| about.correlation)),
            familiarity: is_measured.then(|| numbers(&|about| about.familiarity)),
            psnr_predicted: is_predicted.then(|| numbers(&|about| about.known().map(|known| known.db))),
            psnr_interval: is_predicted.then(|| lists(&interval)),
            psnr_unknown: is_unknown.then(|| texts(&|about| about.unknown().map(str::to_owned))),
            residual_correlation: is_predicted.then(|| numbers(&|about| about.residual_correlation)),
            model_reason: is_measured.then(|| texts(&|about| about.reason.clone())),
            ink_kept: is_page.then(|| numbers(&|about| page(about, |page| page.ink_kept))),
            ink_put_back: is_page.then(|| numbers(&|about| page(about, |page| page.put_back))),
            page_note: is_page.then(|| texts(&|about| about.page.as_ref().map(|page| page.note.clone()))),
            resampled: is_resampled.then(|| texts(&|about| about.resampled.map(rates))),
        }
    }
}

/// Rounds to three digits behind the point: more would be noise.
pub(in crate::api) fn round(value: f32) -> f64 {
    (f64::from(value) * 1000.0).round() / 1000.0
}
