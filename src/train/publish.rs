//! Publishing: the last word on a trained model, beside what it has to beat, and its way into the registry.

use std::collections::BTreeMap;

use serde_json::json;

use super::setup::Setup;
use super::{Error, Outcome, Promote, Run, Scores, card};
use crate::infer::Session;
use crate::name::{ModelId, ModelRef};
use crate::nn::model::{self, Model};
use crate::nn::{Device, Tensor, Weights};
use crate::registry::{Draft, Manifest};
use crate::sample::Kind;

/// What a model was held against, on the same held-out samples.
pub(super) struct Compared {
    /// The model itself.
    pub(super) scores: Scores,
    /// The version that served before, by name.
    pub(super) before: Option<(String, Scores)>,
    /// The base, where it is another.
    pub(super) base: Option<(String, Scores)>,
}

/// What a run gives to be published.
pub(super) struct Result<'a> {
    pub(super) weights: BTreeMap<String, Tensor>,
    /// Steps taken.
    pub(super) steps: u64,
    /// The step whose weights these are.
    pub(super) best_step: u64,
    pub(super) notes: &'a [String],
}

impl Run<'_> {
    /// A session over weights that have no version yet.
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

    /// The strokes that the base knows, where it is a model of pages.
    fn strokes_of_base(&self) -> Option<[f32; 2]> {
        let base: ModelRef = self.config.base.as_deref()?.parse().ok()?;
        self.registry.card(&base).ok()?.0.strokes()
    }

    /// Scores, compares, writes the card and publishes.
    ///
    /// # Errors
    /// The registry cannot keep it.
    pub(super) fn publish(
        &self,
        setup: &Setup<'_>,
        result: Result<'_>,
    ) -> std::result::Result<Outcome, Error> {
        let session = self.session(&setup.model, result.weights.clone())?;
        let scores = setup.held_out.score(&session, true)?;
        let familiarity = setup.held_out.calibrate(&session)?;
        let before =
            self.score_of(setup, Some(ModelRef { name: self.config.name.clone(), version: None }))?;
        let base = self.score_of(setup, self.config.base.as_deref().and_then(|base| base.parse().ok()))?;
        let base = base.filter(|(name, _)| before.as_ref().is_none_or(|(other, _)| other != name));
        let compared = Compared { scores, before, base };

        let mut training = json!({
            "config": self.config, "data": self.data, "samples": setup.samples, "steps": result.steps,
            "best_step": result.best_step, "recipe": self.recipe, "notes": result.notes,
            "scheme": {"name": setup.scheme.0.name(), "reason": setup.scheme.1},
        });
        if let Some(strokes) = self.strokes_of_base() {
            training["strokes"] = json!(strokes);
        }
        let weights = Weights::write(&result.weights)?;
        let bytes = weights.len();
        let card =
            card::write(&card::Facts { run: self, setup, result: &result, compared: &compared, bytes });
        let told = compared.json(setup);
        let draft = Draft {
            name: self.config.name.clone(),
            model: setup.model.clone(),
            weights,
            training,
            scores: told.clone(),
            familiarity,
            card,
        };
        let id = self.registry.publish(draft, compared.may_serve(self.config.promote))?;
        let serving = self.registry.get(&id.name)?.default;
        Ok(Outcome {
            model: id.name,
            version: id.version,
            promoted: serving == id.version,
            scores: told,
            notes: result.notes.to_vec(),
        })
    }

    /// The scores of a model on these held-out samples; none where there is no such model, or one of another
    /// family or shape, which cannot be compared and is not in the way.
    fn score_of(
        &self,
        setup: &Setup<'_>,
        reference: Option<ModelRef>,
    ) -> std::result::Result<Option<(String, Scores)>, Error> {
        let Some(reference) = reference.filter(|r| self.registry.get(&r.name).is_ok()) else {
            return Ok(None);
        };
        let session = Session::load(self.registry.read(&reference)?)?;
        match setup.held_out.score(&session, false) {
            Ok(scores) => Ok(Some((session.id().to_string(), scores))),
            Err(Error::Infer(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

impl Compared {
    /// Whether the model serves from now on: it must beat the noisy input, the version that served before (else
    /// the base), and the classical method, unless what served did not beat that either.
    fn may_serve(&self, promote: Promote) -> bool {
        let before = self.before.as_ref().or(self.base.as_ref()).map(|(_, scores)| scores);
        let full = self.scores.full_db;
        let beats_classical = self.scores.baseline_db.is_none_or(|classical| {
            full > classical || before.is_some_and(|before| before.full_db <= classical)
        });
        match promote {
            Promote::Always => true,
            Promote::Never => false,
            Promote::IfBetter => {
                before.is_none_or(|before| self.scores.judged_db > before.judged_db)
                    && full > self.scores.noisy_db
                    && beats_classical
            }
        }
    }

    fn json(&self, setup: &Setup<'_>) -> serde_json::Value {
        let mut json = json!({ "held_out": self.scores, "estimated": setup.held_out.is_estimate() });
        if self.scores.baseline_db.is_some() {
            json["baseline"] = classical(setup).into();
        }
        // `before` is what had to be beaten, so the base takes its place where nothing served.
        let before = self.before.as_ref().or(self.base.as_ref());
        for (key, scored) in [("before", before), ("base", self.base.as_ref())] {
            if let Some((name, scores)) = scored {
                json[key] = json!({ "model": name, "held_out": scores });
            }
        }
        json
    }
}

/// The name of the classical method.
pub(super) fn classical(setup: &Setup<'_>) -> &'static str {
    match setup.model.input().0 {
        Kind::Vector => "PCA in as many numbers",
        _ => "sliding DCT",
    }
}
