//! Corruptions: the maps from clean to noisy that training, validation and evaluation apply.
//!
//! A corruption is written as one object keyed by its kind, or as a list applied in order; ranges are pairs, and a
//! single number is a range of one value:
//!
//! ```json
//! {"gaussian": {"sigma": [0, 55]}}
//! [{"poisson": {"peak": [10, 200]}}, {"jpeg": {"quality": [40, 95]}}]
//! {"random": [{"gaussian": {"sigma": 25}}, {"salt_pepper": {"amount": [0, 0.1]}}, {"none": {}}]}
//! ```
//!
//! # Scales
//! Images have the range [0, 1]; their `sigma` is given on the 0..255 scale. For signals and vectors `sigma` is
//! relative to the sample's own standard deviation: 0.5 adds noise half as strong as the signal. `profile` is on the scale
//! of the samples that it was measured on. Results are floats
//! and are not clipped, except by `clip`, `quantize` and `jpeg`.

mod banding;
mod blur;
mod camera;
mod camera_rgb;
mod clip;
mod gaussian;
mod jpeg;
mod masking;
mod parameter;
mod poisson;
mod poisson_gaussian;
mod profile;
mod quantize;
mod resize;
mod salt_pepper;
mod shading;
mod sharpen;
mod span;
mod speckle;

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema as _, ToSchema};

pub use banding::Banding;
pub use camera::{Camera, Demosaic};
pub use camera_rgb::CameraRgb;
pub use clip::Clip;
pub use gaussian::Gaussian;
pub use jpeg::{Jpeg, Sampling, Tables};
pub use masking::Masking;
pub use poisson::Poisson;
pub use poisson_gaussian::PoissonGaussian;
pub use profile::{Autocorrelation, Marginal, Method, NoiseProfile, Profile, Source, Strength};
pub use quantize::Quantize;
pub use resize::Resize;
pub use salt_pepper::SaltPepper;
pub use shading::Shading;
pub use sharpen::Sharpen;
pub use span::Span;
pub use speckle::Speckle;

use parameter::{Parameter, Parameters};

use crate::bounds::{Schemas, describe_choices};
use crate::rng::Rng;
use crate::sample::{Kind, LUMA, Sample, Shape, Stats, gaps};

/// Maximum number of entries of a list; a longer one is a mistake, and each entry costs time on every crop.
const LONGEST_LIST: usize = 32;
/// Maximum nesting of lists.
const DEEPEST_NESTING: usize = 8;

/// Map from clean to noisy; its parameters are drawn for every crop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "snake_case", deny_unknown_fields)]
#[schema(example = json!({"gaussian": {"sigma": [0, 55]}}), no_recursion)]
pub enum Corruption {
    /// No corruption; of use inside `random`.
    None {},
    /// Normal noise, white or coloured.
    Gaussian(Gaussian),
    /// Shot noise: photon counts.
    Poisson(Poisson),
    /// Shot noise and read noise of a camera.
    PoissonGaussian(PoissonGaussian),
    /// Dead and hot pixels.
    SaltPepper(SaltPepper),
    /// Noise proportional to the value.
    Speckle(Speckle),
    /// Few brightness levels.
    Quantize(Quantize),
    /// Compression artefacts of a JPEG file.
    Jpeg(Jpeg),
    /// Missing pixels and rectangles.
    Masking(Masking),
    /// Rows and columns that are too dark or too bright.
    Banding(Banding),
    /// Shadows and stains on paper; drift of a signal.
    Shading(Shading),
    /// Rounding and clipping to what an 8-bit file can hold.
    Clip(Clip),
    /// Sensor noise, developed to an image as in a camera.
    Camera(Camera),
    /// Sensor noise on linear colours, a simpler model of the same.
    CameraRgb(CameraRgb),
    /// Enlargement after the noise.
    Resize(Resize),
    /// Unsharp mask.
    Sharpen(Sharpen),
    /// Noise like that of your own samples, as measured.
    Profile(Box<Profile>),
    /// One of several, each equally likely.
    Random(Vec<Corruption>),
    /// All of several, in order; written as a plain list.
    #[serde(skip)]
    Sequence(Vec<Corruption>),
}

/// Error of an invalid corruption.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A range exceeds its limits.
    #[error("{field} is {seen}, must lie within [{low}, {high}]")]
    Range {
        /// Kind and field, for example `gaussian.sigma`.
        field: String,
        /// Smallest allowed value.
        low: f32,
        /// Largest allowed value.
        high: f32,
        /// Range given.
        seen: Span,
    },
    /// The ends of a range are swapped.
    #[error("{field} is {seen}, its first number must not be above its second")]
    Order {
        /// Kind and field.
        field: String,
        /// Range given.
        seen: Span,
    },
    /// A list is empty or too long.
    #[error("{field} has {seen} entries, must have 1 to {limit}")]
    Count {
        /// Name of the list.
        field: &'static str,
        /// Number of entries given.
        seen: usize,
        /// Maximum number of entries.
        limit: usize,
    },
    /// Lists are nested too deeply.
    #[error("lists are nested more than {limit} deep")]
    Depth {
        /// Maximum nesting.
        limit: usize,
    },
    /// A noise profile is missing or invalid.
    #[error("{member} {reason}")]
    Profile {
        /// Member of the corruption.
        member: String,
        /// Description of the problem.
        reason: String,
    },
    /// A corruption of images was requested for another kind of sample.
    #[error("{field} applies to images, not to a {kind}")]
    Kind {
        /// Name of the corruption.
        field: &'static str,
        /// Kind of the samples.
        kind: Kind,
    },
}

impl Corruption {
    /// Default training corruption: white noise of unknown strength, up to 55 on the 0..255 scale for images, up to
    /// the signal's own strength for other kinds.
    pub fn default_for(kind: Kind) -> Self {
        let sigma = if kind == Kind::Image { Span::new(0.0, 55.0) } else { Span::new(0.0, 1.0) };
        Corruption::Gaussian(Gaussian { sigma, ..Gaussian::default() })
    }

    /// White normal noise of one strength, as in the usual benchmarks.
    pub fn white(sigma: f32) -> Self {
        Corruption::Gaussian(Gaussian { sigma: Span::at(sigma), ..Gaussian::default() })
    }

    /// Checks that all ranges are valid for samples of `kind`. Must be called once, before [`Corruption::apply`].
    ///
    /// # Errors
    /// The first range, list or kind that is invalid.
    pub fn check(&self, kind: Kind) -> Result<(), Error> {
        self.check_at(kind, 0)
    }

    fn check_at(&self, kind: Kind, depth: usize) -> Result<(), Error> {
        let image_only = |field| if kind == Kind::Image { Ok(()) } else { Err(Error::Kind { field, kind }) };
        match self {
            Corruption::None {} => Ok(()),
            Corruption::Gaussian(it) => it.check_ranges(),
            Corruption::Poisson(it) => it.check_ranges(),
            Corruption::PoissonGaussian(it) => it.check_ranges(),
            Corruption::SaltPepper(it) => it.check_ranges(),
            Corruption::Speckle(it) => it.check_ranges(),
            Corruption::Quantize(it) => it.check_ranges(),
            Corruption::Jpeg(it) => image_only("jpeg").and_then(|()| it.check()),
            Corruption::Masking(it) => it.check_ranges(),
            Corruption::Banding(it) => image_only("banding").and_then(|()| it.check_ranges()),
            Corruption::Shading(it) => it.check_ranges(),
            Corruption::Clip(_) => image_only("clip"),
            Corruption::Camera(it) => image_only("camera").and_then(|()| it.check()),
            Corruption::CameraRgb(it) => image_only("camera_rgb").and_then(|()| it.check_ranges()),
            Corruption::Resize(it) => image_only("resize").and_then(|()| it.check_ranges()),
            Corruption::Sharpen(it) => image_only("sharpen").and_then(|()| it.check_ranges()),
            Corruption::Profile(it) => it.check(kind),
            Corruption::Random(list) => check_list("random", list, kind, depth),
            Corruption::Sequence(list) => check_list("the list of corruptions", list, kind, depth),
        }
    }

    /// Corrupts `noisy` in place, and changes `target`, the clean sample to be learnt, in the same way where the
    /// corruption does more than add noise: the network should not learn to undo a raw development, an enlargement or
    /// a sharpening. Both are samples or crops of `shape`, channels first, on the sample's scale; `target` is clean.
    ///
    /// Parameters and noise come only from `rng`, so equal streams give equal results.
    pub fn corrupt(&self, noisy: &mut [f32], target: &mut [f32], shape: Shape, rng: &mut Rng) {
        debug_assert_eq!((noisy.len(), target.len()), (shape.numbers(), shape.numbers()));
        match self {
            Corruption::None {} => {}
            Corruption::Gaussian(it) => it.apply(noisy, shape, rng),
            Corruption::Poisson(it) => it.apply(noisy, shape, rng),
            Corruption::PoissonGaussian(it) => it.apply(noisy, shape, rng),
            Corruption::SaltPepper(it) => it.apply(noisy, shape, rng),
            Corruption::Speckle(it) => it.apply(noisy, rng),
            Corruption::Quantize(it) => it.apply(noisy, shape, rng),
            Corruption::Jpeg(it) => it.apply(noisy, shape, rng),
            Corruption::Masking(it) => it.apply(noisy, shape, rng),
            Corruption::Banding(it) => it.apply(noisy, shape, rng),
            Corruption::Shading(it) => it.apply(noisy, shape, rng),
            Corruption::Clip(it) => it.apply(noisy),
            Corruption::Camera(it) => it.apply(noisy, target, shape, rng),
            Corruption::CameraRgb(it) => it.apply(noisy, target, shape, rng),
            Corruption::Resize(it) => it.apply(noisy, target, shape, rng),
            Corruption::Sharpen(it) => it.apply(noisy, target, shape, rng),
            Corruption::Profile(it) => it.apply(noisy, shape, rng),
            Corruption::Random(list) => {
                if let Some(chosen) = list.get(rng.below(list.len())) {
                    chosen.corrupt(noisy, target, shape, rng);
                }
            }
            Corruption::Sequence(list) => {
                for each in list {
                    each.corrupt(noisy, target, shape, rng);
                }
            }
        }
    }

    /// Puts the stored profiles that are named in place of their names: `find` returns the one of a name, if there is one.
    pub fn resolve(&mut self, find: &dyn Fn(&crate::name::Name) -> Option<NoiseProfile>) {
        match self {
            Corruption::Profile(profile) if profile.noise.is_none() => {
                profile.noise = profile.name.as_ref().and_then(find);
            }
            Corruption::Random(list) | Corruption::Sequence(list) => {
                list.iter_mut().for_each(|each| each.resolve(find));
            }
            _ => {}
        }
    }

    /// Returns the first profile in it.
    pub fn profile(&self) -> Option<&Profile> {
        match self {
            Corruption::Profile(profile) => Some(profile),
            Corruption::Random(list) | Corruption::Sequence(list) => list.iter().find_map(Self::profile),
            _ => None,
        }
    }

    /// Returns a noisy sample of `clean`, and the matching target (see [`Corruption::corrupt`]). Numbers that are missing in
    /// `clean` are missing in both.
    ///
    /// If a number is not finite, which happens only with extreme units, both are `clean`.
    pub fn pair(&self, clean: &Sample, rng: &mut Rng) -> (Sample, Sample) {
        let shape = clean.shape();
        let (mut noisy, mut target) = (clean.data().to_vec(), clean.data().to_vec());
        self.corrupt(&mut noisy, &mut target, shape, rng);
        if let Some(missing) = clean.missing() {
            // As a reader would fill in the gaps of the noisy sample.
            [&mut noisy, &mut target]
                .into_iter()
                .for_each(|half| gaps::refill(half, clean.data(), shape, missing));
        }
        match (Sample::new(shape, noisy), Sample::new(shape, target)) {
            (Ok(noisy), Ok(target)) => (noisy.with_gaps_of(clean), target.with_gaps_of(clean)),
            _ => (clean.clone(), clean.clone()),
        }
    }
}

/// Adds the schemas of all corruptions: the interval of each range, the meaning of each choice, the list of corruptions.
pub fn describe(schemas: &mut Schemas) {
    parameter::describe::<Gaussian>(schemas);
    parameter::describe::<Poisson>(schemas);
    parameter::describe::<PoissonGaussian>(schemas);
    parameter::describe::<SaltPepper>(schemas);
    parameter::describe::<Speckle>(schemas);
    parameter::describe::<Quantize>(schemas);
    parameter::describe::<Jpeg>(schemas);
    parameter::describe::<Masking>(schemas);
    parameter::describe::<Banding>(schemas);
    parameter::describe::<Shading>(schemas);
    parameter::describe::<Camera>(schemas);
    parameter::describe::<CameraRgb>(schemas);
    parameter::describe::<Resize>(schemas);
    parameter::describe::<Sharpen>(schemas);
    parameter::describe::<Profile>(schemas);
    schemas.insert(Clip::name().into_owned(), Clip::schema());
    describe_choices::<Sampling>(schemas);
    describe_choices::<Tables>(schemas);
    describe_choices::<Demosaic>(schemas);
    describe_choices::<Method>(schemas);
    if let Some(RefOr::T(Schema::OneOf(keyed))) = schemas.get_mut(Corruption::name().as_ref()) {
        let each = Ref::from_schema_name(Corruption::name());
        let list = ArrayBuilder::new().items(each).min_items(Some(1)).max_items(Some(LONGEST_LIST));
        let list = list.description(Some("All of several, in order."));
        keyed.items.push(Schema::Array(list.build()).into());
    }
}

/// Every kind of corruption by its key in JSON, with its meaning.
pub fn kinds() -> Vec<(String, String)> {
    let RefOr::T(Schema::OneOf(kinds)) = Corruption::schema() else { return Vec::new() };
    let kind = |kind: RefOr<Schema>| match kind {
        RefOr::T(Schema::Object(object)) => Some((object.required.first()?.clone(), object.description?)),
        _ => None,
    };
    kinds.items.into_iter().filter_map(kind).collect()
}

/// Draws one entry of `list`; a list of one entry takes no draw.
fn choose<T: Copy>(list: &[T], rng: &mut Rng) -> T {
    if list.len() == 1 { list[0] } else { list[rng.below(list.len())] }
}

/// Checks the number of entries of a list of choices.
///
/// # Errors
/// The list is empty or too long.
fn check_choices<T>(field: &'static str, list: &[T]) -> Result<(), Error> {
    match list.len() {
        1..=LONGEST_LIST => Ok(()),
        seen => Err(Error::Count { field, seen, limit: LONGEST_LIST }),
    }
}

/// Calls `of` with each colour image among the planes of both. Planes that do not form a colour image are passed as
/// one with equal channels each, and its luma is returned.
fn each_picture(
    noisy: &mut [f32],
    target: &mut [f32],
    shape: Shape,
    mut of: impl FnMut(&mut [f32], &mut [f32]),
) {
    if shape.channels() == 3 {
        return of(noisy, target);
    }
    let (_, height, width) = shape.extents();
    let area = height * width;
    for (noisy, target) in noisy.chunks_exact_mut(area).zip(target.chunks_exact_mut(area)) {
        let (mut both, mut clean) = (noisy.repeat(3), target.repeat(3));
        of(&mut both, &mut clean);
        for (plane, colors) in [(noisy, both), (target, clean)] {
            let luma = |i: usize| (0..3).map(|c| LUMA[c] * colors[c * area + i]).sum();
            plane.iter_mut().enumerate().for_each(|(i, v)| *v = luma(i));
        }
    }
}

fn check_list(field: &'static str, list: &[Corruption], kind: Kind, depth: usize) -> Result<(), Error> {
    if depth >= DEEPEST_NESTING {
        return Err(Error::Depth { limit: DEEPEST_NESTING });
    }
    if list.is_empty() || list.len() > LONGEST_LIST {
        return Err(Error::Count { field, seen: list.len(), limit: LONGEST_LIST });
    }
    list.iter().try_for_each(|each| each.check_at(kind, depth + 1))
}

/// Converts `sigma` of a config to the sample's own scale.
fn amplitude(sigma: f32, data: &[f32], shape: Shape) -> f32 {
    match shape.kind() {
        Kind::Image => sigma / 255.0,
        Kind::Signal | Kind::Vector => sigma * Stats::of(data).std,
    }
}

/// Values of black and white: 0 and 1 in images, the extremes of the sample otherwise.
fn extremes(data: &[f32], shape: Shape) -> (f32, f32) {
    match shape.kind() {
        Kind::Image => (0.0, 1.0),
        Kind::Signal | Kind::Vector => {
            data.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
        }
    }
}

impl Serialize for Corruption {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Corruption::Sequence(list) => list.serialize(to),
            // Derived representation: an object keyed by kind.
            keyed => Corruption::serialize(keyed, to),
        }
    }
}

impl<'de> Deserialize<'de> for Corruption {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ObjectOrList;

        impl<'de> Visitor<'de> for ObjectOrList {
            type Value = Corruption;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object keyed by the kind of corruption, or a list of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Corruption, A::Error> {
                Corruption::deserialize(MapAccessDeserializer::new(map))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Corruption, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Corruption::Sequence)
            }
        }

        from.deserialize_any(ObjectOrList)
    }
}

#[cfg(test)]
mod tests;
