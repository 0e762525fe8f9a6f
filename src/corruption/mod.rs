//! Corruptions: the maps from clean to noisy that training, validation and evaluation apply.
//!
//! A corruption is written as one object keyed by its kind, or as a list applied in order; ranges are
//! pairs, and a single number is a range of one value:
//!
//! ```json
//! {"gaussian": {"sigma": [0, 55]}}
//! [{"poisson": {"peak": [10, 200]}}, {"jpeg": {"quality": [40, 95]}}]
//! {"random": [{"gaussian": {"sigma": 25}}, {"salt_pepper": {"amount": [0, 0.1]}}, {"none": {}}]}
//! ```
//!
//! # Scales
//! Images lie on [0, 1]; their `sigma` is given on the 0..255 scale. For signals and vectors `sigma` is
//! relative to the sample's own standard deviation: 0.5 adds noise half as strong as the signal.
//! Results are floats and are not clipped, unless `clip`, `quantize` or `jpeg` says so.

mod banding;
mod clip;
mod gaussian;
mod jpeg;
mod masking;
mod poisson;
mod poisson_gaussian;
mod quantize;
mod salt_pepper;
mod shading;
mod span;
mod speckle;

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use banding::Banding;
pub use clip::Clip;
pub use gaussian::Gaussian;
pub use jpeg::Jpeg;
pub use masking::Masking;
pub use poisson::Poisson;
pub use poisson_gaussian::PoissonGaussian;
pub use quantize::Quantize;
pub use salt_pepper::SaltPepper;
pub use shading::Shading;
pub use span::Span;
pub use speckle::Speckle;

use crate::rng::Rng;
use crate::sample::{Kind, Shape, Stats};

/// Entries of one list; a longer one is a mistake, and each costs time on every crop.
const LONGEST_LIST: usize = 32;
/// Lists within lists.
const DEEPEST_NESTING: usize = 8;

/// A map from clean to noisy, its parameters drawn anew for every crop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case")]
pub enum Corruption {
    /// Nothing; of use inside `random`.
    None {},
    /// Normal noise, white or coloured.
    Gaussian(Gaussian),
    /// Shot noise: counts of photons.
    Poisson(Poisson),
    /// Shot noise and read noise of a camera.
    PoissonGaussian(PoissonGaussian),
    /// Dead and hot pixels.
    SaltPepper(SaltPepper),
    /// Noise in proportion to the value.
    Speckle(Speckle),
    /// Few levels of brightness.
    Quantize(Quantize),
    /// The blocks and rings of a JPEG file.
    Jpeg(Jpeg),
    /// Missing pixels and rectangles.
    Masking(Masking),
    /// Rows and columns that are too dark or too bright.
    Banding(Banding),
    /// Shadows and stains on paper; drift of a signal.
    Shading(Shading),
    /// Rounding and clipping to what an 8-bit file can hold.
    Clip(Clip),
    /// One of several, each as likely.
    Random(Vec<Corruption>),
    /// All of several, in order; written as a plain list.
    #[serde(skip)]
    Sequence(Vec<Corruption>),
}

/// Why a corruption cannot be applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A range leaves what makes sense.
    #[error("{field} is {seen}, must lie within [{low}, {high}]")]
    Range {
        /// Kind and member, for example `gaussian.sigma`.
        field: String,
        /// Smallest value.
        low: f32,
        /// Largest value.
        high: f32,
        /// The range seen.
        seen: Span,
    },
    /// A range whose ends are swapped.
    #[error("{field} is {seen}, its first number must not be above its second")]
    Order {
        /// Kind and member.
        field: String,
        /// The range seen.
        seen: Span,
    },
    /// A list with nothing in it, or with too much.
    #[error("{field} has {seen} entries, must have 1 to {limit}")]
    Count {
        /// The list.
        field: &'static str,
        /// Entries seen.
        seen: usize,
        /// Most entries.
        limit: usize,
    },
    /// Lists within lists within lists.
    #[error("lists are nested more than {limit} deep")]
    Depth {
        /// Deepest nesting.
        limit: usize,
    },
    /// A corruption of images asked for something else.
    #[error("{field} applies to images, not to a {kind}")]
    Kind {
        /// The corruption.
        field: &'static str,
        /// What the data are.
        kind: Kind,
    },
}

impl Corruption {
    /// What a model is trained against when nothing is said: white noise, blind, up to 55 on the
    /// 0..255 scale for images, up to the signal's own strength for the rest.
    pub fn default_for(kind: Kind) -> Self {
        let sigma = if kind == Kind::Image { Span::new(0.0, 55.0) } else { Span::new(0.0, 1.0) };
        Corruption::Gaussian(Gaussian { sigma, blur: Span::default() })
    }

    /// White normal noise of one strength, as in the usual benchmarks.
    pub fn white(sigma: f32) -> Self {
        Corruption::Gaussian(Gaussian { sigma: Span::at(sigma), blur: Span::default() })
    }

    /// Whether all ranges make sense, for samples of `kind`. To be called once, before
    /// [`Corruption::apply`].
    ///
    /// # Errors
    /// The first range, list or kind that does not fit.
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
            Corruption::Random(list) => check_list("random", list, kind, depth),
            Corruption::Sequence(list) => check_list("the list of corruptions", list, kind, depth),
        }
    }

    /// Corrupts `data` in place: a sample or crop of `shape`, channels first, on the sample's scale.
    ///
    /// Parameters and noise come from `rng` alone, so equal streams give equal results.
    pub fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        debug_assert_eq!(data.len(), shape.numbers());
        match self {
            Corruption::None {} => {}
            Corruption::Gaussian(it) => it.apply(data, shape, rng),
            Corruption::Poisson(it) => it.apply(data, shape, rng),
            Corruption::PoissonGaussian(it) => it.apply(data, shape, rng),
            Corruption::SaltPepper(it) => it.apply(data, shape, rng),
            Corruption::Speckle(it) => it.apply(data, rng),
            Corruption::Quantize(it) => it.apply(data, shape, rng),
            Corruption::Jpeg(it) => it.apply(data, shape, rng),
            Corruption::Masking(it) => it.apply(data, shape, rng),
            Corruption::Banding(it) => it.apply(data, shape, rng),
            Corruption::Shading(it) => it.apply(data, shape, rng),
            Corruption::Clip(it) => it.apply(data),
            Corruption::Random(list) => {
                if let Some(chosen) = list.get(rng.below(list.len())) {
                    chosen.apply(data, shape, rng);
                }
            }
            Corruption::Sequence(list) => {
                for each in list {
                    each.apply(data, shape, rng);
                }
            }
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

/// `sigma` as written in a config, on the sample's own scale.
fn amplitude(sigma: f32, data: &[f32], shape: Shape) -> f32 {
    match shape.kind() {
        Kind::Image => sigma / 255.0,
        Kind::Signal | Kind::Vector => sigma * Stats::of(data).std,
    }
}

/// The values that black and white stand for: 0 and 1 in images, the extremes of the sample otherwise.
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
            // The derived form: an object keyed by kind.
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
        let mut data = clean.to_vec();
        read(json).apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, index));
        data
    }

    const EACH: [&str; 14] = [
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
                let image_only = ["jpeg", "banding", "clip"].iter().any(|kind| json.contains(kind));
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
