//! The contract beside the routes: schemas that several routes share, failures and access.

mod failure;
mod reply;
mod request;
mod submission;

pub(super) use failure::{Failures, InferenceFailures};
pub(super) use reply::{Decoded, Denoised, Encoded, HEADERS_OF_ALL};
pub(super) use request::{
    Binary, DecodeBody, DecodeForm, DenoiseBody, DenoiseForm, EncodeBody, EncodeForm, EvaluateBody,
    EvaluateForm, NoiseProfileBody, NoiseProfileForm,
};
pub(super) use submission::{TrainBody, TrainForm};

use request::files;

use utoipa::ToSchema;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Schema};

use super::writing::JsonReply;
use crate::bounds::Schemas;
use crate::limits::Limits;

/// Adds what all routes share: replies, failures, ways of access; completes the schemas of training.
pub(super) fn complete(mut spec: OpenApi) -> OpenApi {
    let components = spec.components.get_or_insert_default();
    insert::<JsonReply>(&mut components.schemas);
    failure::describe(components);
    crate::train::describe(&mut components.schemas);
    // Part of a reply that has other members too.
    if let Some(RefOr::T(Schema::Object(limits))) = components.schemas.get_mut(Limits::name().as_ref()) {
        limits.additional_properties = None;
    }
    let bearer =
        Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("A key of `limpid keys add`."));
    let header = ApiKey::Header(ApiKeyValue::new("X-Api-Key"));
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer.build()).into());
    components.security_schemes.insert("key".to_owned(), SecurityScheme::ApiKey(header).into());
    spec
}

/// Adds the schema of `T` and those that it refers to.
fn insert<T: ToSchema>(schemas: &mut Schemas) {
    let mut found = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    schemas.extend(found);
}
