//! Choices: the values of parameters, each read from its text and described by one type.

mod list;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub(super) use list::{ModelList, Shares};

use super::fields::shown;
use crate::bounds::Bounds;
use crate::codec::{Depth, Format};

/// Share, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Share(pub(super) f32);

/// Standard deviation of white noise in levels of 255, more than 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Sigma(pub(super) f32);

/// Ratio of the numbers of a sample to those of its latent, more than 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Ratio(pub(super) f32);

/// Number that stands for a missing one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct MissingValue(pub(super) f32);

/// Number of flips and quarter turns of an image whose results are averaged: 1 or 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Ensemble {
    /// The image alone.
    #[serde(rename = "1")]
    One = 1,
    /// All eight.
    #[serde(rename = "8")]
    Eight = 8,
}

/// Depth of the values of a reply: that of the request, 1 bit (black or white), 8 or 16 bits, or 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub(super) enum ReplyDepth {
    /// Depth of the request.
    #[default]
    #[serde(rename = "same")]
    Same,
    /// 1 bit, black or white, in PNG, TIFF (Group 4) and PNM; for denoised pages.
    #[serde(rename = "1")]
    One,
    /// 8 bits.
    #[serde(rename = "8")]
    Eight,
    /// 16 bits.
    #[serde(rename = "16")]
    Sixteen,
    /// 32-bit floats.
    #[serde(rename = "float")]
    Float,
}

/// Format of each sample of a reply, by the ending of its files; media types are read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ReplyFormat(pub(super) Format);

/// Version of a model, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct VersionNumber(pub(super) u32);

/// Number of samples to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Count(pub(super) usize);

/// Number of jobs on one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PageSize(pub(super) usize);

/// 0 or 1; `false` and `true` are read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(super) enum Flag {
    /// No.
    #[default]
    #[serde(rename = "0", alias = "false")]
    No,
    /// Yes.
    #[serde(rename = "1", alias = "true")]
    Yes,
}

/// Key by which a client names a submission, 1 to 255 visible characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct IdempotencyKey(pub(super) String);

/// Extents of an array, slowest axis first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Extents(pub(super) Vec<usize>);

/// Time in whole milliseconds, 1 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Milliseconds(pub(super) u64);

impl Share {
    const BOUNDS: Bounds = Bounds::closed(0.0, 1.0);
}

impl VersionNumber {
    const BOUNDS: Bounds = Bounds::closed(1.0, u32::MAX as f64);
}

impl Count {
    const BOUNDS: Bounds = Bounds::closed(1.0, 1000.0);
}

impl PageSize {
    const BOUNDS: Bounds = Bounds::closed(1.0, 100.0);
}

impl Sigma {
    const BOUNDS: Bounds = Bounds::above(0.0, 255.0);
}

impl Ratio {
    const BOUNDS: Bounds = Bounds::above(0.0, 1e6);
}

impl ReplyDepth {
    /// The depth where it is not that of the request.
    pub(super) fn depth(self) -> Option<Depth> {
        match self {
            ReplyDepth::Same | ReplyDepth::One => None,
            ReplyDepth::Eight => Some(Depth::U8),
            ReplyDepth::Sixteen => Some(Depth::U16),
            ReplyDepth::Float => Some(Depth::F32),
        }
    }
}

impl ReplyFormat {
    /// The formats of samples; latents have one alone.
    fn all() -> impl Iterator<Item = Format> {
        Format::ALL.into_iter().filter(|format| *format != Format::Latent)
    }
}

impl Serialize for Ensemble {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(*self as u8)
    }
}

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(u8::from(*self == Flag::Yes))
    }
}

impl Serialize for ReplyFormat {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.extension())
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        number(&text, Self::BOUNDS).map(Self)
    }
}

impl TryFrom<String> for Ratio {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        number(&text, Self::BOUNDS).map(Self)
    }
}

impl TryFrom<String> for Sigma {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        number(&text, Self::BOUNDS).map(Self)
    }
}

impl TryFrom<String> for MissingValue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refused = || format!("expected a number, got {}", shown(&text));
        number(&text, Bounds::ANY).map(Self).map_err(|_| refused())
    }
}

impl TryFrom<String> for ReplyFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = Format::from_extension(&text).or_else(|| Format::from_media_type(&text));
        found.filter(|found| Self::all().any(|format| format == *found)).map(Self).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(Format::extension).collect();
            format!("expected one of {}, got {}", names.join(", "), shown(&text))
        })
    }
}

impl TryFrom<String> for VersionNumber {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        whole(&text, Self::BOUNDS).map(|number| Self(number as u32))
    }
}

impl TryFrom<String> for Count {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        whole(&text, Self::BOUNDS).map(Self)
    }
}

impl TryFrom<String> for PageSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        whole(&text, Self::BOUNDS).map(Self)
    }
}

fn whole(text: &str, bounds: Bounds) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number: &usize| bounds.hold(*number as f64));
    number.ok_or_else(|| format!("expected a whole number in {bounds}, got {}", shown(text)))
}

impl TryFrom<String> for IdempotencyKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let is_visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let fits = is_visible && (1..=255).contains(&text.len());
        if fits { Ok(Self(text)) } else { Err("expected 1 to 255 visible characters") }
    }
}

impl TryFrom<String> for Extents {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let extent = |part: &str| part.trim().parse().ok();
        let extents: Option<_> = text.trim_matches(['(', ')', '[', ']']).split(',').map(extent).collect();
        extents.map(Self).ok_or("expected whole numbers with commas between them, such as 1,28,28")
    }
}

impl TryFrom<String> for Milliseconds {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| *number > 0);
        let refused = || format!("expected a whole number of milliseconds, 1 or more, got {}", shown(&text));
        number.map(Self).ok_or_else(refused)
    }
}

fn number(text: &str, bounds: Bounds) -> Result<f32, String> {
    let number = text.parse::<f32>().ok().filter(|number| bounds.hold(f64::from(*number)));
    number.ok_or_else(|| format!("expected {bounds}, got {}", shown(text)))
}

fn number_schema(bounds: Bounds, description: &str) -> RefOr<Schema> {
    let mut schema = ObjectBuilder::new().schema_type(Type::Number).description(Some(description)).build();
    bounds.describe(&mut schema);
    Schema::Object(schema).into()
}

impl PartialSchema for Share {
    fn schema() -> RefOr<Schema> {
        number_schema(Self::BOUNDS, "Share, 0 to 1.")
    }
}

impl PartialSchema for Ratio {
    fn schema() -> RefOr<Schema> {
        number_schema(Self::BOUNDS, "Ratio of the numbers of a sample to those of its latent.")
    }
}

impl PartialSchema for Sigma {
    fn schema() -> RefOr<Schema> {
        number_schema(Self::BOUNDS, "Standard deviation of white noise in levels of 255.")
    }
}

impl PartialSchema for MissingValue {
    fn schema() -> RefOr<Schema> {
        number_schema(Bounds::ANY, "Number that stands for a missing one.")
    }
}

impl PartialSchema for Ensemble {
    fn schema() -> RefOr<Schema> {
        let all = [Self::One, Self::Eight].map(|ensemble| ensemble as u8);
        let schema = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some(all));
        Schema::Object(schema.description(Some("Flips and quarter turns that are averaged.")).build()).into()
    }
}

impl PartialSchema for ReplyFormat {
    fn schema() -> RefOr<Schema> {
        let all: Vec<_> = Self::all().map(Format::extension).collect();
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(all));
        Schema::Object(schema.description(Some("Format of the samples of a reply.")).build()).into()
    }
}

fn whole_schema(bounds: Bounds) -> RefOr<Schema> {
    let mut schema = ObjectBuilder::new().schema_type(Type::Integer).build();
    bounds.describe(&mut schema);
    Schema::Object(schema).into()
}

impl PartialSchema for PageSize {
    fn schema() -> RefOr<Schema> {
        whole_schema(Self::BOUNDS)
    }
}

impl PartialSchema for VersionNumber {
    fn schema() -> RefOr<Schema> {
        whole_schema(Self::BOUNDS)
    }
}

impl PartialSchema for Count {
    fn schema() -> RefOr<Schema> {
        whole_schema(Self::BOUNDS)
    }
}

impl PartialSchema for Flag {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([0, 1]));
        Schema::Object(schema.build()).into()
    }
}

impl PartialSchema for IdempotencyKey {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        Schema::Object(schema.build()).into()
    }
}

impl PartialSchema for Extents {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+(,[0-9]+)*$"));
        Schema::Object(schema.build()).into()
    }
}

impl PartialSchema for Milliseconds {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        Schema::Object(schema.build()).into()
    }
}

impl ToSchema for Share {}
impl ToSchema for Ratio {}
impl ToSchema for Sigma {}
impl ToSchema for MissingValue {}
impl ToSchema for Ensemble {}
impl ToSchema for ReplyFormat {}
impl ToSchema for PageSize {}
impl ToSchema for VersionNumber {}
impl ToSchema for Count {}
impl ToSchema for Flag {}
impl ToSchema for IdempotencyKey {}
impl ToSchema for Extents {}
impl ToSchema for Milliseconds {}
