//! Publishing: evaluation of a trained model, comparison with other models, and storage in the registry.

use std::collections::BTreeMap;

use serde_json::json;

use super::checkpoint::Base;
use super::setup::Setup;
use super::verdict::Compared;
use super::{Error, Outcome, Run, Scores, card};
use crate::infer::{self, Session};
use crate::map::Map;
use crate::name::{ModelId, ModelRef};
use crate::nn::model::{self, Model};
use crate::nn::{Device, Tensor, Weights};
use crate::registry::{self, Draft, Manifest};
use crate::sample::Kind;

/// Number of comparisons before giving up, because other runs of the same name publish between comparison and publication.
const COMPARISONS: usize = 5;

/// Result of a run, to be published.
pub(super) struct Result<'a> {
    pub(super) weights: BTreeMap<String, Tensor>,
    /// Number of steps taken.
    pub(super) steps: u64,
    /// Step of the chosen weights.
    pub(super) best_step: u64,
    pub(super) notes: &'a [String],
}

impl Run<'_> {
    /// Creates a session from weights that have no version yet.
    ///
    /// # Errors
    /// The weights do not fit the config.
    pub(super) fn session(
        &self,
        model: &model::Config,
        weights: BTreeMap<String, Tensor>,
    ) -> std::result::Result<Session, Error> {
        let weights = Weights::to_serve(weights.into_iter().collect());
        let network = Model::new(model, weights.builder(&Device::Cpu))?;
        let id = ModelId { name: self.config.name.clone(), version: 0, digest: [0; 32] };
        Ok(Session::new(id, Manifest::unpublished(self.config.name.clone(), model.clone()), network))
    }

    /// Returns the stroke thickness of the base, if it is a model of document pages.
    fn strokes_of_base(&self) -> Option<[f32; 2]> {
        let base: ModelRef = self.config.base.as_deref()?.parse().ok()?;
        self.registry.card(&base).ok()?.0.strokes()
    }

    /// Scores the result, compares it, writes the model card and publishes.
    ///
    /// # Errors
    /// The registry cannot store the version.
    pub(super) fn publish(
        &self,
        setup: &Setup<'_>,
        result: Result<'_>,
    ) -> std::result::Result<Outcome, Error> {
        let session = self.session(&setup.model, result.weights.clone())?;
        let scores = setup.held_out.score(&session, true)?;
        let familiarity = setup.held_out.calibrate(&session)?;
        let base = setup.base.as_ref().map(|base| self.score_of_base(setup, base)).transpose()?;
        let weights = Weights::write(&result.weights)?;
        let (map, note) = match self.config.map.then(|| self.map(setup, &session, registry::digest(&weights)))
        {
            // The model is worth more than its map.
            Some(Err(reason)) => (None, Some(format!("no map is kept: {reason}"))),
            map => (map.and_then(std::result::Result::ok), None),
        };
        let notes: Vec<String> = result.notes.iter().cloned().chain(note).collect();
        let result = Result { notes: &notes, ..result };
        for _ in 1..COMPARISONS {
            match self.compare_and_publish(setup, &result, (&scores, &base), &weights, (&familiarity, &map)) {
                // Another run of this name published in the meantime: compare with its version.
                Err(Error::Registry(registry::Error::Changed(_))) => {}
                other => return other,
            }
        }
        self.compare_and_publish(setup, &result, (&scores, &base), &weights, (&familiarity, &map))
    }

    /// Compares once with the current default version, and publishes accordingly.
    fn compare_and_publish(
        &self,
        setup: &Setup<'_>,
        result: &Result<'_>,
        (scores, base): (&Scores, &Option<(String, Scores)>),
        weights: &[u8],
        (familiarity, map): (&Option<registry::Familiarity>, &Option<Map>),
    ) -> std::result::Result<Outcome, Error> {
        self.registry.refresh()?;
        let serving = self.registry.get(&self.config.name).ok().and_then(|model| model.default);
        let before = serving.map(|version| self.score_of(setup, version)).transpose()?.flatten();
        let base = base.clone().filter(|(name, _)| before.as_ref().is_none_or(|(other, _)| other != name));
        let is_estimated = setup.held_out.is_estimate();
        let compared = Compared { scores: *scores, before, base, classical: classical(setup), is_estimated };
        let verdict = compared.verdict(self.config.promote);

        let mut training = json!({
            "config": self.config, "data": self.data, "samples": setup.samples, "steps": result.steps,
            "best_step": result.best_step, "recipe": self.recipe, "notes": result.notes,
            "scheme": {"name": setup.scheme.0.name(), "reason": setup.scheme.1},
        });
        if let Some(strokes) = self.strokes_of_base() {
            training["strokes"] = json!(strokes);
        }
        let facts = card::Facts {
            run: self,
            setup,
            result,
            compared: &compared,
            kept_back: verdict.kept_back.as_deref(),
            bytes: weights.len(),
        };
        let told = compared.json();
        let draft = Draft {
            name: self.config.name.clone(),
            model: setup.model.clone(),
            weights: weights.to_vec(),
            training,
            scores: told.clone(),
            familiarity: familiarity.clone(),
            prediction: None,
            kept_back: verdict.kept_back.clone(),
            compared_with: serving,
            map: map.clone(),
            card: card::write(&facts),
        };
        let id = self.registry.publish(draft, verdict.promotes)?;
        let serving = self.registry.get(&id.name)?.default;
        Ok(Outcome {
            model: id.name,
            version: id.version,
            promoted: serving == Some(id.version),
            kept_back: verdict.kept_back,
            scores: told,
            notes: result.notes.to_vec(),
        })
    }

    /// Scores a version of this name; `None` if it is missing or damaged, or has another family or shape: then it cannot be
    /// compared and does not prevent promotion.
    fn score_of(
        &self,
        setup: &Setup<'_>,
        version: u32,
    ) -> std::result::Result<Option<(String, Scores)>, Error> {
        use registry::Error::{Damaged, ModelNotFound, VersionNotFound};
        let reference = ModelRef { name: self.config.name.clone(), version: Some(version) };
        let artifact = match self.registry.read(&reference) {
            Err(Damaged { .. } | ModelNotFound(_) | VersionNotFound { .. }) => return Ok(None),
            other => other?,
        };
        let session = match Session::load(artifact) {
            Err(infer::Error::Load { .. }) => return Ok(None),
            other => other?,
        };
        match setup.held_out.score(&session, false) {
            Ok(scores) => Ok(Some((session.id().to_string(), scores))),
            Err(Error::Infer(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Scores the base with the weights that the run started from: its version may no longer exist.
    fn score_of_base(&self, setup: &Setup<'_>, base: &Base) -> std::result::Result<(String, Scores), Error> {
        let session = self.session(&base.model, base.weights.clone().into_iter().collect())?;
        Ok((base.id.clone(), setup.held_out.score(&session, false)?))
    }
}

/// Returns the name of the classical method.
pub(super) fn classical(setup: &Setup<'_>) -> &'static str {
    match setup.model.input().0 {
        Kind::Vector => "PCA in as many numbers",
        _ => "sliding DCT",
    }
}
