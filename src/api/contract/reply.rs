//! Replies of operations in the contract: files of every format, JSON, and the headers of both.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{IntoResponses, PartialSchema as _, ToSchema as _};

use super::{Binary, files};
use crate::api::writing::{HEADERS, JsonReply};
use crate::api::{clock, observe};
use crate::codec::Format;

/// Headers of every reply of an operation, with their meaning, beside those of its samples.
pub(in crate::api) const HEADERS_OF_ALL: [(&str, &str); 2] =
    [(observe::REQUEST_ID, "Id of the request: that of the client, or a new one."), clock::HEADER];

/// The reply of `/denoise`.
pub(in crate::api) struct Denoised;
/// The reply of `/encode`.
pub(in crate::api) struct Encoded;
/// The reply of `/decode`.
pub(in crate::api) struct Decoded;

impl IntoResponses for Denoised {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let one = json!({
            "image": "iVBORw0KGgo...", "model": "photo-gray@1", "sigma": 24.7, "sigmas": [24.7], "noise_correlation": 0.0,
            "familiarity": 0.83, "model_reason": "gray picture, white noise of sigma 24.7"
        });
        let several = json!([{"data": [[0.1, 0.2]], "model": "photo-gray@1", "sigma": 3.1}]);
        reply("The clean samples.", sample_formats(), one, several)
    }
}

impl IntoResponses for Encoded {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let latent = json!({
            "model": "photo-gray", "version": 1, "digest": "9f".repeat(32),
            "shape": {"image": {"channels": 1, "height": 2, "width": 2}}, "stats": {"mean": 0.5, "std": 0.2},
            "planes": [{"dims": [1, 1, 1], "data": "AACAPw=="}]
        });
        let one = json!({"latent": latent, "model": "photo-gray@1", "numbers": 3, "sample_numbers": 4});
        let what =
            "The latents; as npy one array with a row of numbers for each, map by map, coarsest first.";
        reply(what, [Format::Latent, Format::Npy], one.clone(), json!([one]))
    }
}

impl IntoResponses for Decoded {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let one = json!({"image": "iVBORw0KGgo...", "model": "photo-gray@1"});
        reply("The samples.", sample_formats(), one.clone(), json!([one]))
    }
}

/// The formats of files of samples.
fn sample_formats() -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(|format| !matches!(format, Format::Json | Format::Latent))
}

/// A reply as one file of `formats`, as JSON, as a form or as an archive; `one` and `several` are examples of results.
fn reply(
    description: &str,
    formats: impl IntoIterator<Item = Format>,
    one: Value,
    several: Value,
) -> BTreeMap<String, RefOr<Response>> {
    let whole = |mut results: Value| {
        results["request_id"] = "0199c1a8-6f7e-7d3a-b3f1-3f6a2f3b9d10".into();
        results["timing"] = json!({"queue_ms": 0.1, "read_ms": 2.4, "infer_ms": 31.0, "write_ms": 5.2});
        results
    };
    let examples = [("one", whole(one)), ("several", whole(json!({"samples": several})))];
    let binary = || ContentBuilder::new().schema(Some(Binary::schema())).build();
    let example = |(name, value)| (name, ExampleBuilder::new().value(Some(value)).build());
    let json = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(JsonReply::name())))
        .examples_from_iter(examples.map(example))
        .build();
    let form = ObjectBuilder::new().property("file", files("A file for each result."));
    let form = ContentBuilder::new().schema(Some(Schema::Object(form.build()))).build();
    let mut response = ResponseBuilder::new().description(description);
    for format in formats {
        response = response.content(format.media_type(), binary());
    }
    response = response
        .content(Format::Json.media_type(), json)
        .content("multipart/form-data", form)
        .content("application/zip", binary());
    let of_samples = HEADERS.iter().map(|header| (header.name, header.meaning));
    for (name, meaning) in HEADERS_OF_ALL.into_iter().chain(of_samples) {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        response = response
            .header(name, HeaderBuilder::new().schema(Some(schema)).description(Some(meaning)).build());
    }
    BTreeMap::from([("200".to_owned(), response.build().into())])
}
