//! Choice of the model for a sample without a model name.

use super::{Input, Registry, Summary};
use crate::name::{ModelRef, Name};
use crate::sample::{Kind, Shape};

/// Reason why no model is chosen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unsure {
    /// No model accepts samples of this shape.
    #[error("no model here takes an input like this ({0}); train one, or name a model")]
    Nothing(Shape),
    /// Several models may be meant.
    #[error("say which model is meant for this {shape}: {}", .models.join(", "))]
    Question {
        /// Shape of the sample.
        shape: Shape,
        /// Models for signals and vectors, each with its input.
        models: Vec<String>,
        /// `true` if several of them accept the shape, `false` if none does.
        fits: bool,
    },
}

impl Registry {
    /// Returns the model for a signal or a vector without a model name: of the bundled models that accept its shape the only
    /// one, or the only one for any sample rate; without bundled ones the only such model of all. Adding a model to the
    /// bundled ones therefore never changes the answer.
    ///
    /// # Errors
    /// Several models could be meant, or none accepts the shape.
    pub fn usual(&self, shape: Shape) -> std::result::Result<ModelRef, Unsure> {
        let models = self.list();
        let fitting: Vec<&Summary> =
            models.iter().filter(|model| model.default.is_some() && model.input.takes(shape)).collect();
        let bundled: Vec<&Summary> = fitting.iter().copied().filter(|model| model.is_bundled).collect();
        let general: Vec<&Summary> = bundled.iter().copied().filter(|model| model.rate.is_none()).collect();
        match (bundled.as_slice(), general.as_slice(), fitting.as_slice()) {
            ([only], ..) | (_, [only], _) | ([], _, [only]) => {
                Ok(ModelRef { name: only.name.clone(), version: None })
            }
            _ => Err(question(&models, shape, !fitting.is_empty())),
        }
    }

    /// Returns the model to denoise a signal or a vector with, without a model name: that of [`Registry::usual`]. If no model
    /// accepts all channels of a signal, it is the one for each channel alone, provided that it is bundled and for any sample
    /// rate.
    ///
    /// # Errors
    /// As [`Registry::usual`].
    pub fn usual_to_denoise(&self, shape: Shape) -> std::result::Result<ModelRef, Unsure> {
        self.usual(shape).or_else(|unsure| match (&unsure, shape) {
            (Unsure::Question { fits: false, .. }, Shape::Signal { channels: 2.., length }) => {
                let alone = self.usual(Shape::Signal { channels: 1, length });
                let is_general = |model: &Summary| model.is_bundled && model.rate.is_none();
                alone.ok().filter(|model| self.get(&model.name).is_ok_and(|it| is_general(&it))).ok_or(unsure)
            }
            _ => Err(unsure),
        })
    }
}

fn question(models: &[Summary], shape: Shape, fits: bool) -> Unsure {
    let of = |name: &Name, input: &Input| match input.fixed {
        Some(fixed) => format!("{name} ({fixed})"),
        None => format!("{name} ({} of {} channel(s))", input.kind, input.channels),
    };
    // A sample sent as vectors may be the rows of a table that is meant as a signal.
    let may_be = |model: &&Summary| match model.input.kind {
        Kind::Image => false,
        Kind::Signal => true,
        Kind::Vector => shape.kind() == Kind::Vector,
    };
    let models: Vec<String> =
        models.iter().filter(may_be).map(|model| of(&model.name, &model.input)).collect();
    if models.is_empty() { Unsure::Nothing(shape) } else { Unsure::Question { shape, models, fits } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_takes_its_own_shape_alone() {
        let signal = Input { kind: Kind::Signal, channels: 1, fixed: None };
        assert!(signal.takes(Shape::Signal { channels: 1, length: 9 }));
        assert!(!signal.takes(Shape::Signal { channels: 2, length: 9 }));
        let vector = Input { kind: Kind::Vector, channels: 1, fixed: Some(Shape::Vector { features: 12 }) };
        assert!(
            vector.takes(Shape::Vector { features: 12 }) && !vector.takes(Shape::Vector { features: 11 })
        );
    }
}
