//! The manifest of an artifact, `config.json`: what a version of a model says of itself.

use serde::{Deserialize, Serialize};

use super::Input;
use crate::name::Name;
use crate::nn::model;

/// The format this program writes; it reads this and older ones.
pub const FORMAT: u32 = 1;

/// The content of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The manifest's own format.
    pub format: u32,
    /// The model's name.
    pub name: Name,
    /// The version, from 1 up.
    pub version: u32,
    /// What the network is built from.
    pub model: model::Config,
    /// The weights file beside the manifest.
    pub weights: Weights,
    /// How the version was made: the training config, the data, the number of steps.
    #[serde(default)]
    pub training: serde_json::Value,
    /// Scores on held-out samples.
    #[serde(default)]
    pub scores: serde_json::Value,
    /// What is typical of the training data, for the familiarity of a sample.
    #[serde(default)]
    pub familiarity: Option<Familiarity>,
    /// The reason why this version does not serve unless it is named or made the default; none where it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_back: Option<String>,
}

/// Size and digest of `model.safetensors`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Statistics of the features of samples like the training data, see `infer::familiarity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Familiarity {
    /// Mean of each feature.
    pub mean: Vec<f32>,
    /// Deviation of each feature.
    pub std: Vec<f32>,
    /// Distances of held-out samples, ascending.
    pub distances: Vec<f32>,
}

impl Manifest {
    /// Reads `config.json` and checks that it can be built and is the version its folder says.
    ///
    /// # Errors
    /// A line that names what is wrong.
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
        manifest.model.validate().map_err(|e| format!("config.json: model: {e}"))?;
        Ok(manifest)
    }

    /// The manifest of a model that has no version yet.
    pub fn unpublished(name: Name, model: model::Config) -> Self {
        let weights = Weights { bytes: 0, sha256: String::new() };
        let (training, scores) = Default::default();
        let (familiarity, kept_back) = (None, None);
        Self { format: FORMAT, name, version: 0, model, weights, training, scores, familiarity, kept_back }
    }

    /// Thickness in pixels of the strokes that a model of pages knows: what pages are brought to, and up to which they are left
    /// as they are. None for a model of anything else.
    pub fn strokes(&self) -> Option<[f32; 2]> {
        let strokes: [f32; 2] = serde_json::from_value(self.training.get("strokes")?.clone()).ok()?;
        let [usual, most] = strokes;
        (usual >= 1.0 && most >= usual && most <= 64.0).then_some(strokes)
    }

    /// What the model takes in.
    pub fn input(&self) -> Input {
        let (kind, channels, fixed) = self.model.input();
        Input { kind, channels, fixed }
    }
}
