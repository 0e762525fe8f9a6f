//! Manifest of an artifact, `config.json`: description of one version of a model.

use serde::{Deserialize, Serialize};

use super::{Calibration, Input};
use crate::name::Name;
use crate::nn::model;

/// Manifest format that this program writes; it reads this one and older ones.
pub const FORMAT: u32 = 1;

/// The content of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of the manifest.
    pub format: u32,
    /// The model's name.
    pub name: Name,
    /// Version, from 1.
    pub version: u32,
    /// Network architecture.
    pub model: model::Config,
    /// Size and digest of the weights file.
    pub weights: Weights,
    /// Training config, data and number of steps.
    #[serde(default)]
    pub training: serde_json::Value,
    /// Scores on held-out samples.
    #[serde(default)]
    pub scores: serde_json::Value,
    /// Feature statistics of the training data, for the familiarity of a sample.
    #[serde(default)]
    pub familiarity: Option<Familiarity>,
    /// Calibration of the predicted quality of its results, if measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Calibration>,
    /// Reason why this version serves only if named or made the default; none if it may serve by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_back: Option<String>,
}

/// One thing that a model removes from samples of any source, stated as `removes` in [`Manifest::training`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removes {
    /// White noise.
    White,
    /// Artefacts of a JPEG file, in gray pictures and in the luma of colour ones.
    Jpeg,
}

/// Size and digest of `model.safetensors`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Feature statistics of samples like the training data, see `infer::familiarity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Familiarity {
    /// Mean of each feature.
    pub mean: Vec<f32>,
    /// Standard deviation of each feature.
    pub std: Vec<f32>,
    /// Distances of held-out samples, ascending.
    pub distances: Vec<f32>,
}

impl Manifest {
    /// Parses `config.json`, checks that the network can be built, and that name and version are those of its folder.
    ///
    /// # Errors
    /// One line that names the problem.
    pub fn parse(text: &[u8], name: &Name, version: u32) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(text).map_err(|e| format!("config.json: {e}"))?;
        if manifest.format > FORMAT {
            return Err(format!(
                "config.json has format {}, this program knows up to {FORMAT}: use a newer one",
                manifest.format
            ));
        }
        if (&manifest.name, manifest.version) != (name, version) {
            return Err(format!(
                "config.json says {}@{}, the folder says {name}@{version}",
                manifest.name, manifest.version
            ));
        }
        if manifest.prediction.as_ref().is_some_and(|prediction| !prediction.is_sound()) {
            return Err(
                "config.json: prediction: expected ascending strengths, each with ordered deviations".into(),
            );
        }
        manifest.model.validate().map_err(|e| format!("config.json: model: {e}"))?;
        Ok(manifest)
    }

    /// Returns the manifest of a model that has no version yet.
    pub fn unpublished(name: Name, model: model::Config) -> Self {
        let weights = Weights { bytes: 0, sha256: String::new() };
        let (training, scores) = Default::default();
        let (familiarity, prediction, kept_back) = (None, None, None);
        Self {
            format: FORMAT,
            name,
            version: 0,
            model,
            weights,
            training,
            scores,
            familiarity,
            prediction,
            kept_back,
        }
    }

    /// Stroke thickness in pixels of a model of document pages: the thickness that pages are scaled to, and the largest one that
    /// is left unscaled. `None` for other models.
    pub fn strokes(&self) -> Option<[f32; 2]> {
        let strokes: [f32; 2] = serde_json::from_value(self.training.get("strokes")?.clone()).ok()?;
        let [usual, most] = strokes;
        (usual >= 1.0 && most >= usual && most <= 64.0).then_some(strokes)
    }

    /// Returns what the model removes from samples of any source, if that is one thing.
    pub fn removes(&self) -> Option<Removes> {
        serde_json::from_value(self.training.get("removes")?.clone()).ok()
    }

    /// Largest change of clean signals by the model that is common, as a share of the power of the result; `None` if it is not
    /// stated.
    pub fn floor(&self) -> Option<f32> {
        self.training
            .get("floor")?
            .as_f64()
            .map(|floor| floor as f32)
            .filter(|floor| (0.0..=10.0).contains(floor))
    }

    /// Returns the kind, channels and fixed shape of the model's input.
    pub fn input(&self) -> Input {
        let (kind, channels, fixed) = self.model.input();
        Input { kind, channels, fixed }
    }
}
