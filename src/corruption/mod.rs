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

use crate::rng::Rng;
use crate::sample::{Kind, Sample, Shape, Stats, gaps};

/// Maximum number of entries of a list; a longer one is a mistake, and each entry costs time on every crop.
const LONGEST_LIST: usize = 32;
/// Maximum nesting of lists.
const DEEPEST_NESTING: usize = 8;

/// Map from clean to noisy; its parameters are drawn for every crop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case")]
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
            Corruption::Gaussian(it) => it.check(),
            Corruption::Poisson(it) => it.check(),
            Corruption::PoissonGaussian(it) => it.check(),
            Corruption::SaltPepper(it) => it.check(),
            Corruption::Speckle(it) => it.check(),
            Corruption::Quantize(it) => it.check(),
            Corruption::Jpeg(it) => image_only("jpeg").and_then(|()| it.check()),
            Corruption::Masking(it) => it.check(),
            Corruption::Banding(it) => image_only("banding").and_then(|()| it.check()),
            Corruption::Shading(it) => it.check(),
            Corruption::Clip(_) => image_only("clip"),
            Corruption::Camera(it) => image_only("camera").and_then(|()| it.check()),
            Corruption::CameraRgb(it) => image_only("camera_rgb").and_then(|()| it.check()),
            Corruption::Resize(it) => image_only("resize").and_then(|()| it.check()),
            Corruption::Sharpen(it) => image_only("sharpen").and_then(|()| it.check()),
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

/// Weights of red, green and blue in luma (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

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
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn read(json: &str) -> Corruption {
        serde_json::from_str(json).unwrap()
    }

    fn noisy(json: &str, clean: &[f32], shape: Shape, index: u64) -> Vec<f32> {
        let (mut data, mut target) = (clean.to_vec(), clean.to_vec());
        read(json).corrupt(&mut data, &mut target, shape, &mut Rng::new(1, Purpose::Corrupt, index));
        data
    }

    const EACH: [&str; 20] = [
        r#"{"none":{}}"#,
        r#"{"gaussian":{"sigma":[10.0,30.0]}}"#,
        r#"{"gaussian":{"sigma":25.0,"blur":[0.5,1.5]}}"#,
        r#"{"poisson":{"peak":[10.0,200.0]}}"#,
        r#"{"poisson_gaussian":{"peak":[10.0,200.0],"sigma":[1.0,5.0]}}"#,
        r#"{"salt_pepper":{"amount":[0.05,0.1]}}"#,
        r#"{"speckle":{"spread":[0.1,0.3]}}"#,
        r#"{"quantize":{"bits":[2.0,4.0]}}"#,
        r#"{"jpeg":{"quality":[10.0,50.0]}}"#,
        r#"{"masking":{"pixels":[0.1,0.5],"rectangles":[1.0,3.0]}}"#,
        r#"{"banding":{"rows":[5.0,20.0],"columns":[5.0,20.0]}}"#,
        r#"{"shading":{"strength":[0.2,0.5],"stains":[1.0,3.0]}}"#,
        r#"[{"gaussian":{"sigma":60.0}},{"clip":{}}]"#,
        r#"{"gaussian":{"sigma":25.0,"shared":[0.1,0.9]}}"#,
        r#"{"jpeg":{"quality":[10.0,50.0],"sampling":["4:2:0","4:2:2","4:4:4"],"tables":["standard","image_magick","psnr_hvs"]}}"#,
        r#"{"camera":{"shot":[0.0001,0.01],"demosaic":["bilinear","malvar"]}}"#,
        r#"{"camera_rgb":{"shot":[0.01,0.1],"read":[0.01,0.05]}}"#,
        r#"[{"gaussian":{"sigma":20.0}},{"resize":{"factor":[1.2,2.0]}}]"#,
        r#"{"sharpen":{"amount":[0.3,1.0],"radius":[0.5,1.5]}}"#,
        r#"{"random":[{"gaussian":{"sigma":20.0}},{"speckle":{"spread":0.2}}]}"#,
    ];

    #[test]
    fn each_kind_is_read_and_written_alike() {
        for json in EACH {
            let corruption = read(json);
            assert_eq!(corruption.check(Kind::Image), Ok(()), "{json}");
            let written = serde_json::to_string(&corruption).unwrap();
            assert_eq!(read(&written), corruption, "{json} became {written}");
        }
    }

    #[test]
    fn each_kind_is_a_function_of_its_stream() {
        let shape = Shape::image(3, 19, 23);
        let clean: Vec<f32> =
            (0..shape.numbers()).map(|i| 0.2 + 0.6 * ((i * 37 % 101) as f32) / 101.0).collect();
        for json in &EACH[1..] {
            let first = noisy(json, &clean, shape, 0);
            assert_eq!(first, noisy(json, &clean, shape, 0), "{json}");
            assert_ne!(first, noisy(json, &clean, shape, 1), "{json}");
            assert_ne!(first, clean, "{json}");
            assert!(first.iter().all(|v| v.is_finite()), "{json}");
        }
    }

    #[test]
    fn each_kind_bears_the_smallest_images() {
        for json in EACH {
            for shape in [Shape::image(1, 1, 1), Shape::image(3, 1, 5), Shape::image(4, 2, 1)] {
                let data = noisy(json, &vec![0.5; shape.numbers()], shape, 3);
                assert!(data.iter().all(|v| v.is_finite()), "{json} on {shape}");
            }
        }
    }

    #[test]
    fn signals_and_vectors_take_all_that_are_not_about_images() {
        for shape in [Shape::Signal { channels: 2, length: 40 }, Shape::Vector { features: 7 }] {
            let clean: Vec<f32> = (0..shape.numbers()).map(|i| 100.0 + (i as f32).sin()).collect();
            for json in EACH {
                let corruption = read(json);
                let image_only = ["jpeg", "banding", "clip", "camera", "resize", "sharpen"]
                    .iter()
                    .any(|kind| json.contains(kind));
                assert_eq!(corruption.check(shape.kind()).is_err(), image_only, "{json}");
                if !image_only {
                    assert!(noisy(json, &clean, shape, 0).iter().all(|v| v.is_finite()), "{json}");
                }
            }
        }
    }

    #[test]
    fn mistakes_are_named_with_field_limit_and_value() {
        let wrong = |json: &str| read(json).check(Kind::Image).unwrap_err().to_string();
        assert_eq!(
            wrong(r#"{"gaussian":{"sigma":[0,-5]}}"#),
            "gaussian.sigma is [0, -5], its first number must not be above its second"
        );
        assert_eq!(
            wrong(r#"{"jpeg":{"quality":[0,95]}}"#),
            "jpeg.quality is [0, 95], must lie within [1, 100]"
        );
        assert_eq!(wrong(r#"{"random":[]}"#), "random has 0 entries, must have 1 to 32");
        assert_eq!(wrong("[]"), "the list of corruptions has 0 entries, must have 1 to 32");
        let nested = format!("{}{}{}", "[".repeat(20), r#"{"none":{}}"#, "]".repeat(20));
        assert_eq!(wrong(&nested), "lists are nested more than 8 deep");
    }

    #[test]
    fn unknown_kinds_and_members_are_refused() {
        for json in [
            r#"{"gausian":{"sigma":25}}"#,
            r#"{"gaussian":{"sigmas":25}}"#,
            r#"{"gaussian":{}}"#,
            r#"{"gaussian":{"sigma":[1,2,3]}}"#,
            r#"{"gaussian":{"sigma":"25"}}"#,
            r#"{"gaussian":{"sigma":25},"clip":{}}"#,
            "{}",
            "25",
        ] {
            assert!(serde_json::from_str::<Corruption>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn random_takes_each_of_its_entries_about_as_often() {
        let json = r#"{"random":[{"none":{}},{"gaussian":{"sigma":9}}]}"#;
        let untouched = (0..400).filter(|&i| noisy(json, &[0.5; 4], Shape::image(1, 2, 2), i) == [0.5; 4]);
        assert!((150..250).contains(&untouched.count()));
    }
}
