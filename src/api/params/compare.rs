//! Parameters of `/compare`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Params, reading};
use crate::api::choice::{MissingValue, ModelList, Shares, Sigma};
use crate::codec::LayoutChoice;
use crate::infer::{Mode, PredictOptions};
use crate::media::Reading;
use crate::name::ModelRef;
use crate::sample::Missing;

/// Parameters of `/compare`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = CompareParams)]
#[serde(default)]
pub(in crate::api) struct Compare {
    /// Models to compare, `name` or `name@version`, with commas between them; all that take the sample when absent.
    #[param(inline, example = "photo-gray, camera-gray")]
    pub(in crate::api) models: Option<ModelList>,
    /// Strengths to compare, 0 to 1, with commas between them; 1 when absent. The input as it is is compared anyway.
    #[param(inline, example = "0.5, 1")]
    pub(in crate::api) strengths: Option<Shares>,
    /// Path through the models: `full` (latent and refiner, the default) or `strict` (the latent alone).
    #[param(inline, example = "full")]
    pub(in crate::api) mode: Mode,
    /// Standard deviation of the white noise in levels of 255, where it is known: the predictions are closer then.
    #[param(inline, example = 25.0)]
    pub(in crate::api) sigma: Option<Sigma>,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(inline, example = "auto")]
    pub(in crate::api) layout: LayoutChoice,
    /// Missing numbers are left out of all scores, or refused: `keep` and `fill` are the same here.
    #[param(inline, example = "keep")]
    pub(in crate::api) missing: Missing,
    /// Number that stands for a missing one, such as -9999.
    #[param(inline, example = -9999)]
    pub(in crate::api) missing_value: Option<MissingValue>,
}

impl Compare {
    /// The models that are named.
    pub(in crate::api) fn models(&self) -> &[ModelRef] {
        self.models.as_ref().map_or(&[], |models| &models.0)
    }

    /// The strengths, at least one.
    pub(in crate::api) fn strengths(&self) -> Vec<f32> {
        self.strengths.as_ref().map_or_else(|| vec![1.0], |strengths| strengths.0.clone())
    }

    /// The prediction of each candidate.
    pub(in crate::api) fn predict(&self) -> PredictOptions {
        PredictOptions { sigma: self.sigma.map(|sigma| sigma.0) }
    }
}

impl Params for Compare {
    const FILES: &'static [(&'static str, &'static str)] = &[
        ("file", "The sample, where there is no clean twin."),
        ("noisy", "The noisy sample of a pair."),
        ("clean", "The clean sample of a pair."),
    ];
    const TAKES_PAIRS: bool = true;

    fn model(&self) -> Option<&ModelRef> {
        None
    }

    fn reading(&self) -> Reading<'static> {
        reading(self.layout, self.missing, self.missing_value)
    }
}
