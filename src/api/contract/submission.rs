//! Bodies of `POST /train` in the contract: a training config and samples, as a form or as JSON.

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::files;
use crate::api::json::JsonSample;
use crate::api::upload::{CONFIG, SAMPLES};
use crate::train::Config;

/// Training config with samples as files.
pub(in crate::api) struct TrainForm;

/// Training config with samples in JSON.
pub(in crate::api) struct TrainBody;

fn with_samples(samples: impl Into<RefOr<Schema>>, meaning: &str) -> RefOr<Schema> {
    let object = ObjectBuilder::new()
        .property(CONFIG, Ref::from_schema_name(Config::name()))
        .property(SAMPLES, samples)
        .required(CONFIG)
        .required(SAMPLES);
    Schema::Object(object.description(Some(meaning)).build()).into()
}

impl PartialSchema for TrainForm {
    fn schema() -> RefOr<Schema> {
        let samples = files(
            "Images, npy, csv, wav or archives (zip, tar) of those; several fields of this name. Pairs are matched by \
             name: `noisy/a.png` with `clean/a.png`; repeats of one scene share a folder.",
        );
        with_samples(Schema::Array(samples), "Training config, as JSON, with samples as files.")
    }
}

impl PartialSchema for TrainBody {
    fn schema() -> RefOr<Schema> {
        let samples = ArrayBuilder::new().items(Ref::from_schema_name(JsonSample::name()));
        let samples = samples.description(Some("Images, nested numbers or tensors."));
        with_samples(Schema::Array(samples.build()), "Training config with samples.")
    }
}

impl ToSchema for TrainForm {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Config::name().into_owned(), Config::schema()));
        Config::schemas(schemas);
    }
}

impl ToSchema for TrainBody {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        TrainForm::schemas(schemas);
        schemas.push((JsonSample::name().into_owned(), JsonSample::schema()));
        JsonSample::schemas(schemas);
    }
}
