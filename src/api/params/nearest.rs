//! Parameters of searches by latent, and of their indexes.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Params, reading};
use crate::api::choice::{Count, Flag, MissingValue, VersionNumber};
use crate::codec::LayoutChoice;
use crate::media::Reading;
use crate::name::{ModelRef, Name};
use crate::sample::Missing;

/// Parameters of `/models/{name}/nearest`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = NearestParams)]
#[serde(default)]
pub(in crate::api) struct Nearest {
    /// Version of the model; its default when absent.
    #[param(inline, example = 1)]
    pub(in crate::api) version: Option<VersionNumber>,
    /// Index to search; without it the form files `among` are searched.
    #[param(inline, example = "training")]
    pub(in crate::api) index: Option<Name>,
    /// Number of samples to find for each, 1 to 1000; 10 when absent.
    #[param(inline, example = 10)]
    pub(in crate::api) k: Option<Count>,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(inline, example = "auto")]
    pub(in crate::api) layout: LayoutChoice,
    /// Missing numbers are filled in before the encoder, or refused: `keep` and `fill` are the same here.
    #[param(inline, example = "keep")]
    pub(in crate::api) missing: Missing,
    /// Number that stands for a missing one, such as -9999.
    #[param(inline, example = -9999)]
    pub(in crate::api) missing_value: Option<MissingValue>,
}

/// Parameters of `PUT /models/{name}/indexes/{index}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = IndexParams)]
#[serde(default)]
pub(in crate::api) struct PutIndex {
    /// Version of the model; its default when absent.
    #[param(inline, example = 1)]
    pub(in crate::api) version: Option<VersionNumber>,
    /// 1 to add to the samples of the index, 0 (the default) to replace them.
    #[param(inline)]
    pub(in crate::api) add: Flag,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(inline, example = "auto")]
    pub(in crate::api) layout: LayoutChoice,
    /// Missing numbers are filled in before the encoder, or refused: `keep` and `fill` are the same here.
    #[param(inline, example = "keep")]
    pub(in crate::api) missing: Missing,
    /// Number that stands for a missing one, such as -9999.
    #[param(inline, example = -9999)]
    pub(in crate::api) missing_value: Option<MissingValue>,
}

impl Nearest {
    /// Number of samples to find.
    pub(in crate::api) fn count(&self) -> usize {
        self.k.map_or(10, |k| k.0)
    }
}

impl Params for Nearest {
    const FILES: &'static [(&'static str, &'static str)] = &[
        ("file", "Files of samples whose nearest are looked for; several fields of this name."),
        ("among", "Files of the samples to search, in place of an index."),
    ];

    fn model(&self) -> Option<&ModelRef> {
        None
    }

    fn reading(&self) -> Reading<'static> {
        reading(self.layout, self.missing, self.missing_value)
    }
}

impl Params for PutIndex {
    fn model(&self) -> Option<&ModelRef> {
        None
    }

    fn reading(&self) -> Reading<'static> {
        reading(self.layout, self.missing, self.missing_value)
    }
}
