//! Bodies of requests in the contract: files, forms and JSON, put together from what their readers take.

use std::borrow::Cow;
use std::marker::PhantomData;

use utoipa::openapi::schema::{
    AllOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type,
};
use utoipa::openapi::{Array, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::api::json::{JsonSample, Pair};
use crate::api::params::{Compare, Decode, Denoise, Encode, Evaluate, Measure, Nearest, Params, PutIndex};

/// Bytes of a file.
pub(in crate::api) struct Binary;

/// Form of an operation: its files, with its parameters as fields next to them.
pub(in crate::api) struct Form<P>(PhantomData<P>);

/// JSON body of an operation: one sample or several, with its parameters as members next to them.
pub(in crate::api) struct Body<P>(PhantomData<P>);

pub(in crate::api) type DenoiseBody = Body<Denoise>;
pub(in crate::api) type DenoiseForm = Form<Denoise>;
pub(in crate::api) type EncodeBody = Body<Encode>;
pub(in crate::api) type EncodeForm = Form<Encode>;
pub(in crate::api) type DecodeBody = Body<Decode>;
pub(in crate::api) type DecodeForm = Form<Decode>;
pub(in crate::api) type EvaluateBody = Body<Evaluate>;
pub(in crate::api) type EvaluateForm = Form<Evaluate>;
pub(in crate::api) type CompareBody = Body<Compare>;
pub(in crate::api) type CompareForm = Form<Compare>;
pub(in crate::api) type NearestBody = Body<Nearest>;
pub(in crate::api) type NearestForm = Form<Nearest>;
pub(in crate::api) type IndexBody = Body<PutIndex>;
pub(in crate::api) type IndexForm = Form<PutIndex>;
pub(in crate::api) type NoiseProfileBody = Body<Measure>;
pub(in crate::api) type NoiseProfileForm = Form<Measure>;

impl PartialSchema for Binary {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        Schema::Object(ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()).into()
    }
}

impl ToSchema for Binary {}

/// Schema of a field of a form that holds files.
pub(in crate::api) fn files(meaning: &str) -> Array {
    ArrayBuilder::new().items(Binary::schema()).description(Some(meaning)).build()
}

impl<P: Params> PartialSchema for Form<P> {
    fn schema() -> RefOr<Schema> {
        let RefOr::T(Schema::Object(mut form)) = P::schema() else { return P::schema() };
        form.description =
            Some("Files, with the parameters of the operation as fields next to them.".to_owned());
        let files = P::FILES.iter().map(|(name, meaning)| ((*name).to_owned(), files(meaning)));
        form.properties.extend(files.map(|(name, files)| (name, Schema::Array(files).into())));
        Schema::Object(form).into()
    }
}

impl<P: Params> ToSchema for Form<P> {
    fn name() -> Cow<'static, str> {
        P::name().replace("Params", "Form").into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        P::schemas(schemas);
    }
}

impl<P: Params> PartialSchema for Body<P> {
    fn schema() -> RefOr<Schema> {
        let list = |member: &str, item: Cow<'static, str>| {
            let items = ArrayBuilder::new().items(Ref::from_schema_name(item)).min_items(Some(1));
            ObjectBuilder::new().property(member, items).required(member)
        };
        let mut samples = OneOfBuilder::new()
            .item(Ref::from_schema_name(JsonSample::name()))
            .item(list("samples", JsonSample::name()));
        if P::TAKES_PAIRS {
            samples = samples.item(list("pairs", Pair::name()));
        }
        let body = AllOfBuilder::new().item(samples).item(Ref::from_schema_name(P::name()));
        let meaning = "One sample or several, with the parameters of the operation as members next to them.";
        Schema::AllOf(body.description(Some(meaning)).build()).into()
    }
}

impl<P: Params> ToSchema for Body<P> {
    fn name() -> Cow<'static, str> {
        P::name().replace("Params", "Body").into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((P::name().into_owned(), P::schema()));
        P::schemas(schemas);
        schemas.push((JsonSample::name().into_owned(), JsonSample::schema()));
        JsonSample::schemas(schemas);
        if P::TAKES_PAIRS {
            schemas.push((Pair::name().into_owned(), Pair::schema()));
        }
    }
}
