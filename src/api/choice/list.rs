//! Lists: values with commas between them.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{Share, number};
use crate::name::ModelRef;

/// Models, with commas between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::api) struct ModelList(pub(in crate::api) Vec<ModelRef>);

/// Shares, with commas between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::api) struct Shares(pub(in crate::api) Vec<f32>);

impl TryFrom<String> for ModelList {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let one =
            |name: &str| name.trim().to_owned().try_into().map_err(|e: crate::name::Error| e.to_string());
        distinct(&text, one).map(Self)
    }
}

impl TryFrom<String> for Shares {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        distinct(&text, |share| number(share.trim(), Share::BOUNDS)).map(Self)
    }
}

/// The values of a text with commas between them, each once.
fn distinct<T: PartialEq>(text: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let value = one(part)?;
        if !all.contains(&value) {
            all.push(value);
        }
    }
    Ok(all)
}

impl PartialSchema for ModelList {
    fn schema() -> RefOr<Schema> {
        let meaning = "Models, `name` or `name@version`, with commas between them.";
        Schema::Object(ObjectBuilder::new().schema_type(Type::String).description(Some(meaning)).build())
            .into()
    }
}

impl PartialSchema for Shares {
    fn schema() -> RefOr<Schema> {
        let meaning = "Shares, 0 to 1, with commas between them.";
        Schema::Object(ObjectBuilder::new().schema_type(Type::String).description(Some(meaning)).build())
            .into()
    }
}

impl ToSchema for ModelList {}
impl ToSchema for Shares {}
