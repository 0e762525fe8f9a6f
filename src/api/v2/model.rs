//! Model: a name of the protocol, which is a model of the registry or the decoder of one.

use crate::api::error::Problem;
use crate::api::models::{parse, parse_version};
use crate::api::state::App;
use crate::name::{ModelRef, Name};
use crate::registry::{Input, Summary};

/// End of the name of a decoder.
const DECODER: &str = ".decoder";

/// Part of a model that computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Encoder, decoder and refiner: from a sample.
    Whole,
    /// Decoder alone: from a latent.
    Decoder,
}

/// A model that a request names.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// Reference as in the path, without the end of a decoder's name.
    pub(super) stated: ModelRef,
    /// Part of the model.
    pub(super) part: Part,
    /// Version that the reference stands for now.
    pub(super) version: u32,
    /// Input of that version.
    pub(super) input: Input,
}

impl Part {
    /// Both parts.
    pub(super) const ALL: [Self; 2] = [Self::Whole, Self::Decoder];

    /// Name of this part of a model in the protocol.
    pub(super) fn name(self, model: &str) -> String {
        match self {
            Self::Whole => model.to_owned(),
            Self::Decoder => format!("{model}{DECODER}"),
        }
    }
}

impl Model {
    /// Finds a model by the segments of a path.
    ///
    /// # Errors
    /// 404 where there is no such model or version, or no version of it serves by default; 500 for a damaged one.
    pub(super) fn find(app: &App, name: &str, version: Option<&str>) -> Result<Self, Problem> {
        let (base, part) = parts(app, name);
        let name = parse(base)?;
        let version = version.map(|version| parse_version(base, version)).transpose()?;
        let stated = ModelRef { name, version };
        let (name, version) = app.registry().resolve(&stated)?;
        let input = app.registry().input(&ModelRef { name, version: Some(version) })?;
        Ok(Self { stated, part, version, input })
    }

    /// Name in the protocol.
    pub(super) fn name(&self) -> String {
        self.part.name(self.stated.name.as_str())
    }

    /// The registry's entry.
    ///
    /// # Errors
    /// 404 if it was removed in the meantime.
    pub(super) fn summary(&self, app: &App) -> Result<Summary, Problem> {
        Ok(app.registry().get(&self.stated.name)?)
    }
}

/// Splits the end of a decoder off a name; a model of the whole name comes first.
fn parts<'a>(app: &App, name: &'a str) -> (&'a str, Part) {
    let is_own = |name: &str| name.parse::<Name>().is_ok_and(|name| app.registry().get(&name).is_ok());
    match name.strip_suffix(DECODER) {
        Some(base) if !is_own(name) => (base, Part::Decoder),
        _ => (name, Part::Whole),
    }
}
