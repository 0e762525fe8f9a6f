//! Parameters of the operations: the same names and values as query parameters, form fields and JSON members.

mod compare;
mod nearest;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(super) use compare::Compare;
pub(super) use nearest::{Nearest, PutIndex};

use super::choice::{
    Ensemble, Flag, Milliseconds, MissingValue, Ratio, ReplyDepth, ReplyFormat, Share, Sigma,
};
use super::error::Problem;
use crate::codec::LayoutChoice;
use crate::corruption::Method;
use crate::infer::fit::Wishes;
use crate::infer::{Mode, Options, PredictOptions};
use crate::media::Reading;
use crate::name::{ModelRef, Name};
use crate::sample::{GapRule, Kind, Missing};

/// Parameters of an operation, with the files that its forms hold.
pub(super) trait Params: DeserializeOwned + ToSchema + 'static {
    /// Fields of a form that hold files, each with its meaning.
    const FILES: &'static [(&'static str, &'static str)] =
        &[("file", "Files of samples; several fields of this name.")];

    /// `true` if JSON bodies may hold pairs of noisy and clean samples.
    const TAKES_PAIRS: bool = false;

    /// The model, where one is named.
    fn model(&self) -> Option<&ModelRef>;

    /// Settings of reading the samples, without those of a model.
    fn reading(&self) -> Reading<'static> {
        Reading::default()
    }

    /// Checks the parameters against each other.
    ///
    /// # Errors
    /// 400 with a pointer to the first that does not go with the others.
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }
}

/// Parameters of `/denoise`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = DenoiseParams)]
#[serde(default)]
pub(super) struct Denoise {
    /// `name` or `name@version`; chosen by the kind of sample when absent.
    #[param(inline, example = "photo-gray")]
    pub(super) model: Option<ModelRef>,
    /// Path through the model: `full` (latent and refiner, the default) or `strict` (the latent alone).
    #[param(inline, example = "full")]
    pub(super) mode: Mode,
    /// Blend of the input, 0, and the clean sample, 1; 1 when absent.
    #[param(inline)]
    pub(super) strength: Share,
    /// Blend of colour alone, `strength` being that of brightness; images, mode `full`.
    #[param(inline)]
    pub(super) strength_chroma: Option<Share>,
    /// Share of the fine residual that is given back where the image has structure, 0 when absent; images, mode `full`.
    #[param(inline)]
    pub(super) detail: Share,
    /// Smallest ratio of the numbers of the sample to those of the latent; that of the model when absent.
    #[param(inline, example = 4.0)]
    pub(super) ratio: Option<Ratio>,
    /// 1 (the default), or 8 to average over flips and quarter turns of an image.
    #[param(inline)]
    pub(super) ensemble: Ensemble,
    /// 1 to predict the PSNR of each result, without a clean reference, by one more pass; images under white noise.
    #[param(inline)]
    pub(super) predict: Flag,
    /// Standard deviation of the white noise in levels of 255, where it is known: the prediction is closer then. Needs `predict`.
    #[param(inline, example = 25.0)]
    pub(super) sigma: Option<Sigma>,
    /// Depth of the values of the reply; `same` as those of the request by default.
    #[param(inline, example = "same")]
    pub(super) depth: ReplyDepth,
    /// Format of each sample of the reply; that of the request when absent.
    #[param(inline, example = "png")]
    pub(super) format: Option<ReplyFormat>,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(inline, example = "auto")]
    pub(super) layout: LayoutChoice,
    /// Handling of missing numbers (NaN, infinity, empty fields, `null`): `keep` leaves them missing in the reply, `fill` puts
    /// the model's values in their place, `refuse` answers 400.
    #[param(inline, example = "keep")]
    pub(super) missing: Missing,
    /// Number that stands for a missing one, such as -9999.
    #[param(inline, example = -9999)]
    pub(super) missing_value: Option<MissingValue>,
}

/// Parameters of `/encode`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = EncodeParams)]
#[serde(default)]
pub(super) struct Encode {
    /// `name` or `name@version`; chosen by the kind of sample when absent.
    #[param(inline, example = "photo-gray")]
    pub(super) model: Option<ModelRef>,
    /// Smallest ratio of the numbers of the sample to those of the latent; that of the model when absent.
    #[param(inline, example = 4.0)]
    pub(super) ratio: Option<Ratio>,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(inline, example = "auto")]
    pub(super) layout: LayoutChoice,
    /// Missing numbers are filled in before the encoder, or refused: `keep` and `fill` are the same here.
    #[param(inline, example = "keep")]
    pub(super) missing: Missing,
    /// Number that stands for a missing one, such as -9999.
    #[param(inline, example = -9999)]
    pub(super) missing_value: Option<MissingValue>,
}

/// Parameters of `/decode`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = DecodeParams)]
#[serde(default)]
pub(super) struct Decode {
    /// `name` or `name@version`; the latent names its model, and another one is refused.
    #[param(inline)]
    pub(super) model: Option<ModelRef>,
    /// Depth of the values of the reply; 8 bits in images when absent.
    #[param(inline, example = "same")]
    pub(super) depth: ReplyDepth,
    /// Format of each sample of the reply; `png` for images when absent.
    #[param(inline, example = "png")]
    pub(super) format: Option<ReplyFormat>,
}

/// Parameters of `/evaluate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = EvaluateParams)]
#[serde(default)]
pub(super) struct Evaluate {
    /// `name` or `name@version`; chosen by the kind of sample when absent.
    #[param(inline, example = "photo-gray")]
    pub(super) model: Option<ModelRef>,
    /// Path through the model: `full` (latent and refiner, the default) or `strict` (the latent alone).
    #[param(inline, example = "full")]
    pub(super) mode: Mode,
    /// Blend of the input, 0, and the clean sample, 1; 1 when absent.
    #[param(inline)]
    pub(super) strength: Share,
    /// Smallest ratio of the numbers of the sample to those of the latent; that of the model when absent.
    #[param(inline, example = 4.0)]
    pub(super) ratio: Option<Ratio>,
    /// 1 (the default), or 8 to average over flips and quarter turns of an image.
    #[param(inline)]
    pub(super) ensemble: Ensemble,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(inline, example = "auto")]
    pub(super) layout: LayoutChoice,
    /// Missing numbers are left out of all scores, or refused: `keep` and `fill` are the same here.
    #[param(inline, example = "keep")]
    pub(super) missing: Missing,
    /// Number that stands for a missing one, such as -9999.
    #[param(inline, example = -9999)]
    pub(super) missing_value: Option<MissingValue>,
}

/// Parameters of a stream to `/denoise`, in the query or as members of its first line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Stream {
    /// `name` or `name@version`; chosen by the number of channels when absent.
    pub(super) model: Option<ModelRef>,
    mode: Mode,
    strength: Share,
    ratio: Option<Ratio>,
    /// Handling of missing numbers: `keep` or `fill`.
    pub(super) missing: Missing,
    missing_value: Option<MissingValue>,
}

/// Parameters of `POST /noise-profiles`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = NoiseProfileParams)]
#[serde(default)]
pub(super) struct Measure {
    /// Name to keep the profile under, in the query or beside the samples; needed. A profile of that name is replaced.
    #[param(inline, example = "my-camera")]
    pub(super) name: Option<Name>,
    /// Kind of measurement: `flat` (even or dark frames), `repeats` (of one scene) or `noisy` (five or more ordinary ones);
    /// chosen by the samples when absent.
    #[param(inline, example = "flat")]
    pub(super) method: Option<Method>,
    /// Kind of samples, `image` or `signal`, as which tables and arrays are read; by their extents when absent, tables as
    /// signals.
    #[param(inline, example = "image")]
    pub(super) kind: Option<Kind>,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(inline, example = "auto")]
    pub(super) layout: LayoutChoice,
    /// Missing numbers are left out, or refused: `keep` and `fill` are the same here.
    #[param(inline, example = "keep")]
    pub(super) missing: Missing,
    /// Number that stands for a missing one, such as -9999.
    #[param(inline, example = -9999)]
    pub(super) missing_value: Option<MissingValue>,
}

/// Header of a request that says how long its reply is of use.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[serde(default)]
pub(super) struct Timeout {
    /// Milliseconds from now on after which the request is given up with 504; the time of the service when absent.
    #[serde(rename = "X-Request-Timeout-Ms")]
    #[param(inline, example = 2000)]
    pub(super) time: Option<Milliseconds>,
}

impl Default for Denoise {
    fn default() -> Self {
        Self {
            model: None,
            mode: Mode::default(),
            strength: Share(1.0),
            strength_chroma: None,
            detail: Share(0.0),
            ratio: None,
            ensemble: Ensemble::One,
            predict: Flag::No,
            sigma: None,
            depth: ReplyDepth::default(),
            format: None,
            layout: LayoutChoice::default(),
            missing: Missing::default(),
            missing_value: None,
        }
    }
}

impl Default for Evaluate {
    fn default() -> Self {
        let Denoise { model, mode, strength, ratio, ensemble, layout, missing, missing_value, .. } =
            Denoise::default();
        Self { model, mode, strength, ratio, ensemble, layout, missing, missing_value }
    }
}

impl Default for Stream {
    fn default() -> Self {
        let Denoise { model, mode, strength, ratio, missing, missing_value, .. } = Denoise::default();
        Self { model, mode, strength, ratio, missing, missing_value }
    }
}

impl Denoise {
    /// Options of the model.
    pub(super) fn options(&self) -> Options {
        options(self.mode, self.strength, self.ratio, self.ensemble)
    }

    /// The prediction that is asked for.
    pub(super) fn predict(&self) -> Option<PredictOptions> {
        let sigma = self.sigma.map(|sigma| sigma.0);
        (self.predict == Flag::Yes).then_some(PredictOptions { sigma })
    }

    /// Wishes for the finish of the result.
    pub(super) fn wishes(&self) -> Wishes {
        Wishes { strength_chroma: self.strength_chroma.map(|share| share.0), detail: self.detail.0 }
    }
}

impl Evaluate {
    /// Options of the model.
    pub(super) fn options(&self) -> Options {
        options(self.mode, self.strength, self.ratio, self.ensemble)
    }
}

impl Stream {
    /// Options of the model.
    pub(super) fn options(&self) -> Options {
        options(self.mode, self.strength, self.ratio, Ensemble::One)
    }

    /// Checks the handling of missing numbers.
    ///
    /// # Errors
    /// 400 for `refuse`, and for a number that stands for a missing one.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.missing_value.is_none() && self.missing != Missing::Refuse {
            return Ok(());
        }
        let name = if self.missing_value.is_some() { "missing_value" } else { "missing" };
        let detail = "a stream marks missing numbers by null, and keeps or fills them";
        Err(Problem::invalid_at(format!("/{name}"), detail))
    }
}

fn options(mode: Mode, strength: Share, ratio: Option<Ratio>, ensemble: Ensemble) -> Options {
    Options { mode, strength: strength.0, ratio: ratio.map(|ratio| ratio.0), ensemble: ensemble as usize }
}

fn reading(layout: LayoutChoice, missing: Missing, value: Option<MissingValue>) -> Reading<'static> {
    let gaps = GapRule { missing, sentinel: value.map(|value| value.0) };
    Reading { spec: None, gaps, order: layout.0 }
}

impl Params for Denoise {
    fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }

    fn reading(&self) -> Reading<'static> {
        reading(self.layout, self.missing, self.missing_value)
    }

    fn check(&self) -> Result<(), Problem> {
        if self.sigma.is_some() && self.predict == Flag::No {
            let detail = "sigma is the noise of the prediction: send predict=1 with it";
            return Err(Problem::invalid_at("/sigma", detail));
        }
        if self.mode != Mode::Strict || self.wishes() == Wishes::default() {
            return Ok(());
        }
        let name = if self.detail.0 > 0.0 { "detail" } else { "strength_chroma" };
        let detail = format!("{name} acts in mode full alone: the strict result is decode(encode(x))");
        Err(Problem::invalid_at(format!("/{name}"), detail))
    }
}

impl Params for Encode {
    fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }

    fn reading(&self) -> Reading<'static> {
        reading(self.layout, self.missing, self.missing_value)
    }
}

impl Params for Decode {
    const FILES: &'static [(&'static str, &'static str)] =
        &[("file", "Latent files; several fields of this name.")];

    fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }
}

impl Params for Evaluate {
    const FILES: &'static [(&'static str, &'static str)] = &[
        ("file", "Files of samples without clean twins; several fields of this name."),
        ("noisy", "Files of noisy samples, as many as `clean`, matched in order."),
        ("clean", "Files of clean samples, as many as `noisy`."),
    ];
    const TAKES_PAIRS: bool = true;

    fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }

    fn reading(&self) -> Reading<'static> {
        reading(self.layout, self.missing, self.missing_value)
    }
}

impl Params for Measure {
    fn model(&self) -> Option<&ModelRef> {
        None
    }

    fn reading(&self) -> Reading<'static> {
        reading(self.layout, self.missing, self.missing_value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields;
    use super::*;
    use crate::codec::{Depth, Format};

    fn parse(query: &[(&str, &str)]) -> Result<Denoise, Problem> {
        let pairs: Vec<_> = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        fields::read(&pairs)
    }

    #[test]
    fn every_parameter_is_read() {
        let params = parse(&[
            ("model", "photo-gray@2"),
            ("mode", "strict"),
            ("strength", "0.5"),
            ("ratio", "4"),
            ("ensemble", "8"),
            ("depth", "16"),
            ("format", "tiff"),
        ])
        .unwrap();
        let options = Options { mode: Mode::Strict, strength: 0.5, ratio: Some(4.0), ensemble: 8 };
        assert_eq!(params.options(), options);
        assert_eq!(params.model.unwrap().to_string(), "photo-gray@2");
        assert_eq!((params.depth.depth(), params.format.unwrap().0), (Some(Depth::U16), Format::Tiff));
        assert_eq!(parse(&[]).unwrap(), Denoise::default());
    }

    #[test]
    fn bad_values_are_refused_one_by_one() {
        for (name, value) in [
            ("model", "../x"),
            ("mode", "Full"),
            ("strength", "1.01"),
            ("strength", "nan"),
            ("strength", ""),
            ("ratio", "0"),
            ("ratio", "inf"),
            ("ensemble", "2"),
            ("depth", "12"),
            ("format", "gif"),
            ("format", "latent"),
            ("sigma", "0"),
            ("sigma", "x2"),
            ("predict", "2"),
            ("noise", "white"),
        ] {
            assert!(parse(&[(name, value)]).is_err(), "{name}={value}");
        }
        assert!(parse(&[("mode", "full"), ("mode", "full")]).is_err());
    }

    #[test]
    fn known_noise_is_for_a_prediction() {
        let params = parse(&[("predict", "1"), ("sigma", "25")]).unwrap();
        assert!(params.check().is_ok());
        assert_eq!(params.predict(), Some(PredictOptions { sigma: Some(25.0) }));
        assert!(parse(&[("sigma", "25")]).unwrap().check().is_err());
    }

    #[test]
    fn a_strict_result_has_no_finish() {
        assert!(parse(&[("mode", "strict"), ("detail", "0.5")]).unwrap().check().is_err());
        assert!(parse(&[("mode", "strict"), ("strength_chroma", "1")]).unwrap().check().is_err());
        assert!(parse(&[("mode", "full"), ("detail", "0.5")]).unwrap().check().is_ok());
    }
}
