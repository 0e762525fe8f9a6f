//! Drafts: trained models on their way to a version.

use sha2::{Digest as _, Sha256};

use super::{Artifact, Draft, FORMAT, Manifest, manifest};
use crate::name::ModelId;

impl Draft {
    /// The artifact that it becomes as this version.
    pub fn artifact(&self, version: u32) -> Artifact {
        let id = ModelId { name: self.name.clone(), version, digest: Sha256::digest(&self.weights).into() };
        let (manifest, card) = (self.manifest(version), self.card_of(version));
        Artifact { id, manifest, weights: self.weights.clone(), card }
    }

    pub(super) fn manifest(&self, version: u32) -> Manifest {
        Manifest {
            format: FORMAT,
            name: self.name.clone(),
            version,
            model: self.model.clone(),
            weights: manifest::Weights { bytes: self.weights.len() as u64, sha256: self.sha256() },
            training: self.training.clone(),
            scores: self.scores.clone(),
            familiarity: self.familiarity.clone(),
            prediction: self.prediction.clone(),
            kept_back: self.kept_back.clone(),
        }
    }

    pub(super) fn card_of(&self, version: u32) -> String {
        self.card.replace("{version}", &version.to_string())
    }
}
