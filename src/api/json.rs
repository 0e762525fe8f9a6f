//! JSON bodies: one sample or several, with the parameters of the operation as members next to them.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::error::Problem;
use super::reading::from_base64;
use crate::codec::{JsonLatent, JsonTensor};
use crate::pointer::{self, escape};

/// One sample or latent in JSON: an object with exactly one member.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Sample)]
pub(super) enum JsonSample {
    /// An image file.
    Image(Base64),
    /// Numbers.
    Data(Nested),
    /// Numbers as bytes with their extents.
    Tensor(JsonTensor),
    /// A latent.
    Latent(LatentOrFile),
}

/// Names of its members, in the order of the variants.
pub(super) const FORMS: [&str; 4] = ["image", "data", "tensor", "latent"];

/// Bytes of a file, in JSON as base64; a data URL is read too.
#[derive(Debug)]
pub(super) struct Base64(pub(super) Bytes);

/// Nested lists of numbers, `(H,W)`, `(H,W,C)`, `(C,L)` or `(D)`, with or without a batch axis; `null` is a missing number.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Nested(pub(super) Value);

/// A latent in JSON, or base64 of a latent file.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum LatentOrFile {
    /// As JSON.
    Json(JsonLatent),
    /// As a file.
    File(Base64),
}

/// A noisy sample with its clean twin.
#[derive(Debug, ToSchema)]
pub(super) struct Pair {
    /// Noisy sample.
    pub(super) noisy: JsonSample,
    /// Clean sample of the same shape.
    pub(super) clean: JsonSample,
}

/// The samples of a body.
#[derive(Debug)]
pub(super) enum JsonSamples {
    /// One sample, as a member next to the parameters.
    One(JsonSample),
    /// The lists `samples` and `pairs`; one of them may be empty.
    Several(Vec<JsonSample>, Vec<Pair>),
}

/// Takes the samples out of the members of a body; the rest are parameters. With `takes_pairs`, `pairs` is a member too.
///
/// # Errors
/// 400 with the pointer to the member that does not fit.
pub(super) fn take_samples(
    object: &mut Map<String, Value>,
    takes_pairs: bool,
) -> Result<JsonSamples, Problem> {
    let mut list = |name: &str| match object.remove(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) if !items.is_empty() => Ok(items),
        Some(_) => Err(Problem::invalid_at(format!("/{name}"), "expected a list of 1 or more")),
    };
    let samples = list("samples")?;
    let pairs = if takes_pairs { list("pairs")? } else { Vec::new() };
    let is_list = !samples.is_empty() || !pairs.is_empty();
    let given: Map<String, Value> = FORMS.iter().filter_map(|form| object.remove_entry(*form)).collect();
    match (is_list, given.is_empty()) {
        (true, false) => {
            Err(Problem::invalid_at("/samples", "one sample and a list of samples in one request"))
        }
        (false, false) => Ok(JsonSamples::One(JsonSample::read(Value::Object(given))?)),
        (false, true) => {
            Err(Problem::invalid("no sample: send one of image, data, tensor, latent, or a list as samples"))
        }
        (true, true) => {
            let at = |name: &str, index, problem: Problem| problem.under(&format!("/{name}/{index}"));
            let samples = samples.into_iter().enumerate();
            let samples =
                samples.map(|(i, item)| JsonSample::read(item).map_err(|problem| at("samples", i, problem)));
            let pairs = pairs.into_iter().enumerate();
            let pairs = pairs.map(|(i, item)| Pair::read(item).map_err(|problem| at("pairs", i, problem)));
            Ok(JsonSamples::Several(samples.collect::<Result<_, _>>()?, pairs.collect::<Result<_, _>>()?))
        }
    }
}

impl JsonSample {
    /// Reads an object with exactly one of the forms.
    ///
    /// # Errors
    /// 400 with the pointer to the member that does not fit.
    pub(super) fn read(item: Value) -> Result<Self, Problem> {
        let forms = FORMS.join(", ");
        let Value::Object(object) = item else {
            return Err(Problem::invalid_at("", format!("expected an object with one of {forms}")));
        };
        let mut members = object.into_iter();
        let (Some((form, value)), None) = (members.next(), members.next()) else {
            return Err(Problem::invalid_at("", format!("expected exactly one of {forms}")));
        };
        let pointer = format!("/{}", escape(&form));
        let sample = match form.as_str() {
            "image" => from_base64(&value).map(|bytes| Self::Image(Base64(bytes.into()))),
            "data" => Ok(Self::Data(Nested(value))),
            "tensor" => pointer::read(value).map(Self::Tensor).map_err(Problem::from),
            "latent" if value.is_string() => {
                from_base64(&value).map(|bytes| Self::Latent(LatentOrFile::File(Base64(bytes.into()))))
            }
            "latent" => pointer::read(value).map(LatentOrFile::Json).map(Self::Latent).map_err(Problem::from),
            _ => Err(Problem::invalid(format!("not a form of a sample; there are {forms}"))),
        };
        sample.map_err(|problem| problem.under(&pointer))
    }

    /// The name of its member.
    pub(super) fn form(&self) -> &'static str {
        match self {
            Self::Image(_) => FORMS[0],
            Self::Data(_) => FORMS[1],
            Self::Tensor(_) => FORMS[2],
            Self::Latent(_) => FORMS[3],
        }
    }
}

impl Pair {
    fn read(item: Value) -> Result<Self, Problem> {
        let Value::Object(mut object) = item else {
            return Err(Problem::invalid_at("", "expected an object with noisy and clean"));
        };
        let mut half = |role: &str| {
            let half = object.remove(role).ok_or_else(|| Problem::invalid_at("", "missing"));
            half.and_then(JsonSample::read).map_err(|problem| problem.under(&format!("/{role}")))
        };
        let pair = Self { noisy: half("noisy")?, clean: half("clean")? };
        match object.keys().next() {
            None => Ok(pair),
            Some(other) => Err(Problem::invalid_at(format!("/{}", escape(other)), "not a member of a pair")),
        }
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl PartialSchema for Base64 {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).content_encoding("base64");
        let text = text.description(Some("Base64 of a file; a data URL is read too."));
        Schema::Object(text.examples(["iVBORw0KGgo..."]).build()).into()
    }
}

impl PartialSchema for Nested {
    fn schema() -> RefOr<Schema> {
        let meaning = "Nested lists of numbers, `(H,W)`, `(H,W,C)`, `(C,L)` or `(D)`, with or without a batch axis; `null` is a \
                       missing number.";
        let item = OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Number))
            .item(ObjectBuilder::new().schema_type(Type::Null))
            .item(Ref::from_schema_name(Self::name()));
        let example = serde_json::json!([[0.1, 0.2], [0.3, 0.4]]);
        let list = ArrayBuilder::new().items(item).min_items(Some(1)).description(Some(meaning));
        Schema::Array(list.examples([example]).build()).into()
    }
}

impl PartialSchema for LatentOrFile {
    fn schema() -> RefOr<Schema> {
        let latent = Ref::from_schema_name(JsonLatent::name());
        let both = OneOfBuilder::new().item(latent).item(Base64::schema());
        let meaning = "A latent as `/encode` gives it in JSON, or base64 of a latent file.";
        Schema::OneOf(both.description(Some(meaning)).build()).into()
    }
}

impl ToSchema for Base64 {}

impl ToSchema for Nested {}

impl ToSchema for LatentOrFile {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((JsonLatent::name().into_owned(), JsonLatent::schema()));
        JsonLatent::schemas(schemas);
    }
}
