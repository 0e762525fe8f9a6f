//! What a reply says of its samples beside their numbers, as headers and in JSON.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::infer::fit::PageNote;

/// What a reply says of one sample beside its numbers.
#[derive(Debug, Clone, Default)]
pub(in crate::api) struct About {
    /// `name@version`.
    pub(in crate::api) model: String,
    /// Estimated noise: the mean of all channels.
    pub(in crate::api) sigma: Option<f32>,
    /// That of each channel.
    pub(in crate::api) sigmas: Vec<f32>,
    /// Correlation of its noise between adjacent pixels; images only.
    pub(in crate::api) correlation: Option<f32>,
    /// How like the training data it is.
    pub(in crate::api) familiarity: Option<f32>,
    /// Its own sampling rate and that of the model, Hz, where these differ and it was resampled.
    pub(in crate::api) resampled: Option<(f32, f32)>,
    /// Number of its missing numbers.
    pub(in crate::api) missing: usize,
    /// The reason for the model, where the service chose it.
    pub(in crate::api) reason: Option<String>,
    /// Report of the page cleaning; none for a sample that is no page.
    pub(in crate::api) page: Option<PageNote>,
}

/// Headers that say of all samples what [`About`] says of each, lists with commas.
pub(super) fn headers(about: &[About]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, list: Vec<String>| {
        if let Ok(value) = HeaderValue::try_from(list.join(", ")) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let mut models: Vec<String> = about.iter().map(|about| about.model.clone()).collect();
    models.dedup();
    put("x-model", models);
    let sigma: Vec<String> =
        about.iter().filter_map(|about| about.sigma).map(|v| round(v).to_string()).collect();
    if !sigma.is_empty() {
        put("x-noise-sigma", sigma);
        let each = |about: &About| about.sigmas.iter().map(|v| round(*v).to_string()).collect::<Vec<_>>();
        put("x-noise-sigmas", about.iter().map(|about| each(about).join(" ")).collect());
    }
    let correlation: Vec<String> =
        about.iter().filter_map(|about| about.correlation).map(|v| round(v).to_string()).collect();
    if !correlation.is_empty() {
        put("x-noise-correlation", correlation);
    }
    let mut reasons: Vec<String> = about.iter().filter_map(|about| about.reason.clone()).collect();
    reasons.dedup();
    if !reasons.is_empty() {
        put("x-model-reason", vec![reasons.join("; ")]);
    }
    let pages: Vec<&PageNote> = about.iter().filter_map(|about| about.page.as_ref()).collect();
    if !pages.is_empty() {
        let each = |of: fn(&PageNote) -> f32| pages.iter().map(|page| round(of(page)).to_string()).collect();
        put("x-ink-kept", each(|page| page.ink_kept));
        put("x-ink-put-back", each(|page| page.put_back));
        put("x-page-note", pages.iter().map(|page| page.note.clone()).collect());
    }
    let resampled: Vec<String> = about.iter().filter_map(|about| about.resampled).map(rates).collect();
    if !resampled.is_empty() {
        put("x-resampled", resampled);
    }
    if about.iter().any(|about| about.missing > 0) {
        put("x-missing", about.iter().map(|about| about.missing.to_string()).collect());
    }
    let familiarity = about.iter().filter_map(|about| about.familiarity).map(|v| round(v).to_string());
    let familiarity: Vec<String> = familiarity.collect();
    if !familiarity.is_empty() {
        put("x-familiarity", familiarity);
    }
    headers
}

/// From the signal's rate to the model's and back.
fn rates((own, model): (f32, f32)) -> String {
    format!("{own} Hz to {model} Hz and back")
}

/// The same as members of a JSON object: plain values for one sample, lists for several.
pub(super) fn members(about: &[About]) -> Map<String, Value> {
    let number = |value: Option<f32>| value.map_or(Value::Null, |v| round(v).into());
    let one_or_all = |of: &dyn Fn(&About) -> Value| match about {
        [one] => of(one),
        several => several.iter().map(of).collect(),
    };
    let mut members = Map::new();
    let model = about.first().map_or(Value::Null, |about| about.model.clone().into());
    members.insert("model".into(), model);
    if about.iter().any(|about| about.missing > 0) {
        members.insert("missing".into(), one_or_all(&|about| about.missing.into()));
    }
    if about.iter().any(|about| about.sigma.is_some()) {
        members.insert("sigma".into(), one_or_all(&|about| number(about.sigma)));
        let each = |about: &About| about.sigmas.iter().map(|v| Value::from(round(*v))).collect();
        members.insert("sigmas".into(), one_or_all(&each));
        members.insert("noise_correlation".into(), one_or_all(&|about| number(about.correlation)));
        members.insert("familiarity".into(), one_or_all(&|about| number(about.familiarity)));
        let reason = |about: &About| about.reason.clone().map_or(Value::Null, Value::from);
        members.insert("model_reason".into(), one_or_all(&reason));
        if about.iter().any(|about| about.page.is_some()) {
            let ink_kept = |about: &About| number(about.page.as_ref().map(|page| page.ink_kept));
            let put_back = |about: &About| number(about.page.as_ref().map(|page| page.put_back));
            let note =
                |about: &About| about.page.as_ref().map_or(Value::Null, |page| page.note.clone().into());
            members.insert("ink_kept".into(), one_or_all(&ink_kept));
            members.insert("ink_put_back".into(), one_or_all(&put_back));
            members.insert("page_note".into(), one_or_all(&note));
        }
        if about.iter().any(|about| about.resampled.is_some()) {
            let resampled = |about: &About| about.resampled.map_or(Value::Null, |pair| rates(pair).into());
            members.insert("resampled".into(), one_or_all(&resampled));
        }
    }
    members
}

/// To three digits behind the point: more would be noise.
pub(in crate::api) fn round(value: f32) -> f64 {
    (f64::from(value) * 1000.0).round() / 1000.0
}
