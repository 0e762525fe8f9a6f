//! Parameters of an inference request: those of the protocol, and those of `/denoise` that act on tensors.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::api::choice::{Ensemble, Flag, Ratio, Share};
use crate::api::error::Problem;
use crate::api::extract::scalar;
use crate::api::fields;
use crate::api::params::{Denoise, Params as _};
use crate::infer::Mode;
use crate::sample::{GapRule, Missing};

/// Parameters of an inference request.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = InferParameters)]
pub(super) struct Parameters {
    /// Outputs come in binary form, behind the JSON, unless they say otherwise themselves.
    #[schema(value_type = bool, default = false)]
    binary_data_output: Flag,
    /// Microseconds from the arrival of the request on after which it is given up; 0 is no limit of its own.
    #[schema(inline)]
    timeout: Option<Whole>,
    /// Taken and of no effect: requests are computed in the order of their arrival.
    #[schema(inline)]
    priority: Option<Whole>,
    /// Path through the model: `full` (latent and refiner) or `strict` (the latent alone).
    #[schema(inline)]
    mode: Mode,
    /// Blend of the input, 0, and the clean sample, 1; 1 when absent.
    #[schema(inline)]
    strength: Share,
    /// Blend of colour alone, `strength` being that of brightness; images, mode `full`.
    #[schema(inline)]
    strength_chroma: Option<Share>,
    /// Share of the fine residual that is given back where the image has structure, 0 when absent; images, mode `full`.
    #[schema(inline)]
    detail: Share,
    /// Smallest ratio of the numbers of the sample to those of the latent; that of the model when absent.
    #[schema(inline)]
    ratio: Option<Ratio>,
    /// 1, or 8 to average over flips and quarter turns of an image.
    #[schema(inline)]
    ensemble: Ensemble,
    /// Handling of missing numbers (NaN, infinity, `null`): refused when absent; `keep` leaves them missing in the reply, `fill`
    /// puts the model's values in their place.
    missing: Option<Missing>,
}

/// Whole number, 0 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
struct Whole(u64);

impl Default for Parameters {
    fn default() -> Self {
        let Denoise { mode, strength, strength_chroma, detail, ratio, ensemble, .. } = Denoise::default();
        let (binary_data_output, timeout, priority, missing) = (Flag::No, None, None, None);
        Self {
            binary_data_output,
            timeout,
            priority,
            mode,
            strength,
            strength_chroma,
            detail,
            ratio,
            ensemble,
            missing,
        }
    }
}

impl Parameters {
    /// Reads the members of `parameters`.
    ///
    /// # Errors
    /// 400 with a pointer to each that is unknown or out of its range.
    pub(super) fn read(members: Map<String, Value>) -> Result<Self, Problem> {
        let fields = members.into_iter().filter_map(|(name, value)| scalar(name, value).transpose());
        let read = fields.collect::<Result<Vec<_>, _>>().and_then(|fields| fields::read::<Self>(&fields));
        let read = read.and_then(|parameters| parameters.denoise().check().map(|()| parameters));
        read.map_err(|problem| problem.under("/parameters"))
    }

    /// Parameters of a request without JSON: its outputs are binary.
    pub(super) fn of_raw() -> Self {
        Self { binary_data_output: Flag::Yes, ..Self::default() }
    }

    /// Returns `true` if outputs that do not say so are binary.
    pub(super) fn is_binary(&self) -> bool {
        self.binary_data_output == Flag::Yes
    }

    /// Time after which the request is given up; `None` for that of the service.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout.filter(|timeout| timeout.0 > 0).map(|timeout| Duration::from_micros(timeout.0))
    }

    /// The parameters of `/denoise` among them.
    pub(super) fn denoise(&self) -> Denoise {
        let Self { mode, strength, strength_chroma, detail, ratio, ensemble, .. } = *self;
        Denoise { mode, strength, strength_chroma, detail, ratio, ensemble, ..Denoise::default() }
    }

    /// Rule for missing numbers.
    pub(super) fn gaps(&self) -> GapRule {
        GapRule { missing: self.missing.unwrap_or(Missing::Refuse), sentinel: None }
    }

    /// Refuses what acts on samples for a decoder.
    ///
    /// # Errors
    /// 400 if such a parameter is given.
    pub(super) fn check_decoder(&self) -> Result<(), Problem> {
        if self.denoise() == Denoise::default() && self.missing.is_none() {
            return Ok(());
        }
        let detail = "a decoder takes binary_data_output, timeout and priority alone";
        Err(Problem::invalid_at("/parameters", detail))
    }
}

impl TryFrom<String> for Whole {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refused = || format!("expected a whole number, 0 or more, got {}", fields::shown(&text));
        text.parse().map(Self).map_err(|_| refused())
    }
}

impl PartialSchema for Whole {
    fn schema() -> RefOr<Schema> {
        Schema::Object(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build()).into()
    }
}

impl ToSchema for Whole {}
