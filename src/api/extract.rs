//! Extraction: files and parameters of a request, by its `Content-Type`, before any sample is decoded.

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::body::{Received, media_type};
use super::choice::Extents;
use super::error::{Code, Problem};
use super::fields;
use super::form;
use super::json::{JsonSample, JsonSamples, Pair, take_samples};
use super::params::Params;
use super::reading::explained;
use super::state::App;
use super::tree;
use crate::codec::{self, DType, Format};
use crate::engine::Ticket;
use crate::limits::Limits;
use crate::media;
use crate::pointer::escape;

/// Maximum number of parameters in a form.
const MOST_FIELDS: usize = 64;

/// Maximum bytes of one of them.
const FIELD_BYTES: usize = 64 << 10;

/// The media type that curl sends where none is stated.
const FORM_FIELDS: &str = "application/x-www-form-urlencoded";

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Content {
    /// Kind of request; the reply is of the same kind unless `Accept` asks for another.
    pub(super) form: Form,
    /// Parameters from all places, as text.
    pub(super) fields: Vec<(String, String)>,
    /// The samples or latents, each still in its bytes.
    pub(super) parts: Vec<Part>,
    /// Bytes of memory that the parts take beside the body: a parsed tree.
    pub(super) bytes: usize,
}

/// The kinds of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One file.
    Bare,
    /// JSON with one sample.
    Json,
    /// JSON with a list of samples.
    JsonList,
    /// A form with files.
    Multipart,
}

/// One sample, array or latent that was sent.
#[derive(Debug)]
pub(super) struct Part {
    /// The field of the form, or the member of the JSON object.
    pub(super) role: String,
    /// The name of the file, if it had one.
    pub(super) name: Option<String>,
    /// Pointer to it in a JSON body, else empty.
    pub(super) pointer: String,
    /// The content.
    pub(super) source: Source,
}

/// The content of a part.
#[derive(Debug)]
pub(super) enum Source {
    /// A file of a format.
    File(Format, Bytes),
    /// Bare numbers with their extents.
    Raw(Vec<usize>, DType, Bytes),
    /// A sample or latent of a JSON body.
    Json(JsonSample),
}

/// Headers that `application/octet-stream` needs beside its bytes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[serde(default)]
pub(super) struct TensorHeaders {
    /// Extents of a raw tensor, slowest axis first.
    #[serde(rename = "X-Tensor-Shape")]
    #[param(inline, example = "1,28,28")]
    shape: Option<Extents>,
    /// Type of its numbers, little-endian; `float32` when absent.
    #[serde(rename = "X-Tensor-Dtype")]
    #[param(inline, example = "float32")]
    dtype: DType,
}

impl Content {
    /// Takes a request apart that has the files and parameters of `P`; JSON bodies are parsed in the engine's pool.
    ///
    /// # Errors
    /// 415 for media types that are not spoken, 400 for all else that cannot be read.
    pub(super) async fn extract<P: Params>(
        app: &App,
        ticket: &Ticket,
        received: Received,
    ) -> Result<Self, Problem> {
        let query = received.query()?;
        if received.body.is_empty() {
            return Err(Problem::invalid("the body is empty; send a sample"));
        }
        let media_type = received.media_type();
        let mut content = match media_type.as_str() {
            "multipart/form-data" => {
                let roles: Vec<&str> = P::FILES.iter().map(|(name, _)| *name).collect();
                let limits = app.limits().clone();
                let length = received.body.len();
                ticket.examine(length, move || from_form(&limits, received, &roles)).await??
            }
            "application/json" | "text/json" if !is_binary(&received.body) => {
                let body = received.body;
                let bytes = tree::measure_samples(ticket, &body, app.limits()).await?;
                let content = ticket.convert(bytes, move || from_json(&body, P::TAKES_PAIRS)).await??;
                Self { bytes, ..content }
            }
            _ => from_file(&media_type, &received)?,
        };
        check_count(content.parts.len(), app.limits())?;
        content.fields.splice(0..0, query);
        Ok(content)
    }
}

impl Part {
    /// Bytes of its content.
    pub(super) fn len(&self) -> usize {
        match &self.source {
            Source::File(_, bytes) | Source::Raw(_, _, bytes) => bytes.len(),
            Source::Json(JsonSample::Image(file)) => file.0.len(),
            Source::Json(_) => 0,
        }
    }

    /// Bytes of memory that reading it takes at most, estimated without reading it.
    ///
    /// # Errors
    /// A file that is no image of its kind, or a size over the limits.
    pub(super) fn bytes_to_read(&self, limits: &Limits) -> Result<usize, Problem> {
        // As they come out of the decoder, and as a sample; a file may be longer than its pixels.
        let image = |bytes: &Bytes, format| {
            let decoded = codec::decoded_bytes(bytes, format, limits);
            let decoded = decoded.map_err(|e| explained(e, bytes).under(&self.pointer))?;
            Ok(decoded.saturating_mul(2).max(bytes.len()))
        };
        match &self.source {
            Source::File(format, bytes) if format.is_image() => image(bytes, Some(*format)),
            Source::Json(JsonSample::Image(file)) => image(&file.0, None),
            Source::File(Format::Json, bytes) => Ok(tree::bytes(bytes)),
            // Text of numbers, its columns and its samples.
            Source::File(Format::Csv, bytes) => Ok(bytes.len().saturating_mul(12)),
            // Numbers become floats.
            Source::File(_, bytes) | Source::Raw(_, _, bytes) => Ok(bytes.len().saturating_mul(4)),
            // Within those of the content.
            Source::Json(_) => Ok(0),
        }
    }
}

/// Returns `true` for bytes that begin as a file of a binary format.
fn is_binary(bytes: &[u8]) -> bool {
    Format::sniff(bytes).is_some_and(|format| format != Format::Json)
}

/// A body that is one file.
fn from_file(media_type: &str, received: &Received) -> Result<Content, Problem> {
    let headers = &received.head.headers;
    let source = match headers.get("x-tensor-shape") {
        Some(_) if Format::from_media_type(media_type) == Some(Format::Raw) => {
            raw(headers, received.body.clone())?
        }
        _ => file(media_type, None, received.body.clone())?,
    };
    let part = Part { role: "file".into(), name: None, pointer: String::new(), source };
    Ok(Content { form: Form::Bare, fields: Vec::new(), parts: vec![part], bytes: 0 })
}

/// A file of the format that its bytes show, else of the stated media type, else of the ending of its name.
fn file(media_type: &str, name: Option<&str>, bytes: Bytes) -> Result<Source, Problem> {
    let typed = Format::from_media_type(media_type).filter(|format| *format != Format::Raw);
    let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    let stated = typed.or_else(|| Format::from_extension(ending?).filter(|format| *format != Format::Raw));
    let is_fields = media_type == FORM_FIELDS && bytes.iter().take(1024).any(|byte| *byte == b'=');
    match media::settle_format(&bytes, stated) {
        Ok(format) if !(is_fields && format == Format::Csv) => Ok(Source::File(format, bytes)),
        Err(error) if codec::is_foreign(&bytes) || typed.is_some() => Err(error.into()),
        Ok(_) | Err(_) if Format::from_media_type(media_type) == Some(Format::Raw) => Err(Problem::invalid(
            "the bytes are of no format known here; bare numbers as application/octet-stream need the headers \
             X-Tensor-Shape (such as 1,28,28) and X-Tensor-Dtype",
        )),
        Ok(_) | Err(_) => {
            let known: Vec<_> = Format::ALL.iter().map(|format| format.media_type()).collect();
            let shown: String = media_type.chars().take(80).collect();
            let hint = match media_type {
                FORM_FIELDS => " (this is what `curl -d` says; send files with --data-binary @FILE)",
                _ => "",
            };
            let detail = format!(
                "Content-Type {shown:?} is not read here{hint}; send multipart/form-data, {}",
                known.join(", ")
            );
            Err(Problem::new(Code::UnsupportedMediaType, detail))
        }
    }
}

fn raw(headers: &HeaderMap, bytes: Bytes) -> Result<Source, Problem> {
    let TensorHeaders { shape, dtype } = fields::read_headers(headers)?;
    Ok(Source::Raw(shape.unwrap_or_default().0, dtype, bytes))
}

/// A form: files under the names in `roles`, parameters under all others.
fn from_form(limits: &Limits, received: Received, roles: &[&str]) -> Result<Content, Problem> {
    let mut form = form::Form::new(&received.head.headers, received.body)?;
    let mut content = Content { form: Form::Multipart, fields: Vec::new(), parts: Vec::new(), bytes: 0 };
    while let Some(form::Field { name: role, file_name: name, headers, bytes }) = form.next()? {
        let index = content.parts.len();
        if !roles.contains(&role.as_str()) {
            if content.fields.len() == MOST_FIELDS || bytes.len() > FIELD_BYTES {
                let (most, name) = (MOST_FIELDS, role.chars().take(80).collect::<String>());
                let detail = format!(
                    "field {name:?} of the form: at most {most} parameters of at most {FIELD_BYTES} bytes are read; files go into \
                     fields named {}",
                    roles.join(", ")
                );
                return Err(Problem::invalid(detail));
            }
            let value = String::from_utf8(bytes.to_vec());
            let pointer = format!("/{}", escape(&role));
            let value = value.map_err(|_| {
                Problem::invalid_at(
                    pointer,
                    format!("not text; files go into fields named {}", roles.join(", ")),
                )
            })?;
            content.fields.push((role, value));
            continue;
        }
        check_count(index + 1, limits)?;
        let pointer = format!("/{role}/{index}");
        if bytes.is_empty() {
            return Err(Problem::invalid_at(pointer, "the file is empty"));
        }
        let essence = media_type(&headers);
        let source = match Format::from_media_type(&essence) {
            Some(Format::Raw) if headers.contains_key("x-tensor-shape") => raw(&headers, bytes),
            _ => file(&essence, name.as_deref(), bytes),
        };
        let source = source.map_err(|problem| problem.under(&pointer))?;
        content.parts.push(Part { role, name, pointer: String::new(), source });
    }
    if content.parts.is_empty() {
        return Err(Problem::invalid(format!(
            "the form has no file; files go into fields named {}",
            roles.join(", ")
        )));
    }
    Ok(content)
}

/// A JSON body: samples, and parameters as members beside them.
fn from_json(body: &[u8], takes_pairs: bool) -> Result<Content, Problem> {
    let value: Value =
        serde_json::from_slice(body).map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))?;
    let Value::Object(mut object) = value else {
        return Err(Problem::invalid_at(
            "",
            "expected a JSON object with image, data, tensor, latent or samples",
        ));
    };
    let part = |role: &str, pointer: String, sample: JsonSample| Part {
        role: role.to_owned(),
        name: None,
        pointer: format!("{pointer}/{}", sample.form()),
        source: Source::Json(sample),
    };
    let (form, parts) = match take_samples(&mut object, takes_pairs)? {
        JsonSamples::One(sample) => (Form::Json, vec![part("file", String::new(), sample)]),
        JsonSamples::Several(samples, pairs) => {
            let samples = samples.into_iter().enumerate();
            let samples = samples.map(|(i, sample)| part("file", format!("/samples/{i}"), sample));
            let pairs = pairs.into_iter().enumerate().flat_map(|(i, Pair { noisy, clean })| {
                [("noisy", noisy), ("clean", clean)]
                    .map(|(role, sample)| part(role, format!("/pairs/{i}/{role}"), sample))
            });
            (Form::JsonList, samples.chain(pairs).collect())
        }
    };
    let fields = object.into_iter().filter_map(|(name, value)| scalar(name, value).transpose());
    Ok(Content { form, fields: fields.collect::<Result<_, _>>()?, parts, bytes: 0 })
}

/// Checks the number of samples of one request.
///
/// # Errors
/// 413 with the limit.
pub(super) fn check_count(actual: usize, limits: &Limits) -> Result<(), Problem> {
    let limit = limits.samples;
    if actual <= limit {
        return Ok(());
    }
    let detail =
        format!("{actual} samples or more in one request, the limit is {limit}; send them in several");
    Err(Problem::new(Code::PayloadTooLarge, detail).over(limit as u64, actual as u64))
}

/// A parameter as text; `null` counts as absent.
pub(super) fn scalar(name: String, value: Value) -> Result<Option<(String, String)>, Problem> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(_) | Value::Object(_) => {
            let pointer = format!("/{}", escape(&name));
            return Err(Problem::invalid_at(pointer, "not a parameter here, or not a plain value"));
        }
    };
    Ok(Some((name, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Content, Problem> {
        from_json(text.as_bytes(), true)
    }

    #[test]
    fn parameters_stand_beside_the_sample() {
        let content = json(r#"{"data": [[1]], "strength": 0.5, "model": "a", "ratio": null}"#).unwrap();
        let fields: Vec<_> = content.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(fields, [("model", "a"), ("strength", "0.5")]);
        assert_eq!(content.parts[0].pointer, "/data");
        assert_eq!(content.form, Form::Json);
    }

    #[test]
    fn samples_have_their_own_pointers() {
        let content = json(r#"{"samples": [{"data": [1]}, {"image": "AQ=="}]}"#).unwrap();
        let pointers: Vec<_> = content.parts.iter().map(|part| part.pointer.as_str()).collect();
        assert_eq!(pointers, ["/samples/0/data", "/samples/1/image"]);
    }

    #[test]
    fn an_image_within_json_is_taken_for_the_file_it_is() {
        let file = codec::write_image(
            &crate::sample::Sample::new(crate::sample::Shape::image(1, 50, 60), vec![0.0; 3000]).unwrap(),
            &codec::Carrier::plain(Format::Png, codec::Depth::U8),
            Format::Png,
            None,
        );
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, file.unwrap());
        let content = json(&format!(r#"{{"image": "{text}"}}"#)).unwrap();
        assert_eq!(content.parts[0].bytes_to_read(&Limits::default()).unwrap(), 2 * 50 * 60);
        assert_eq!(json(r#"{"image": "*"}"#).unwrap_err().code(), Code::InvalidInput);
    }

    #[test]
    fn pairs_become_two_parts_each() {
        let content = json(r#"{"pairs": [{"noisy": {"data": [1]}, "clean": {"data": [2]}}]}"#).unwrap();
        let roles: Vec<_> = content.parts.iter().map(|part| part.role.as_str()).collect();
        assert_eq!(roles, ["noisy", "clean"]);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "",
            "{",
            "[]",
            "7",
            "{}",
            r#"{"model": "a"}"#,
            r#"{"samples": []}"#,
            r#"{"samples": 3}"#,
            r#"{"samples": [3]}"#,
            r#"{"samples": [{}]}"#,
            r#"{"samples": [{"data": [1], "image": ""}]}"#,
            r#"{"samples": [{"url": "http://x"}]}"#,
            r#"{"data": [1], "image": ""}"#,
            r#"{"data": [1], "samples": [{"data": [1]}]}"#,
            r#"{"data": [1], "options": {}}"#,
            r#"{"pairs": [{"noisy": {"data": [1]}}]}"#,
        ] {
            assert!(json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_body_is_what_its_first_bytes_say() {
        let png = Bytes::from_static(b"\x89PNG\r\n\x1a\n");
        for media_type in ["", "application/octet-stream", "image/*", "text/plain", "image/jpeg", "nonsense"]
        {
            assert!(
                matches!(file(media_type, None, png.clone()), Ok(Source::File(Format::Png, _))),
                "{media_type}"
            );
        }
        let table = Bytes::from_static(b"1,2\n3,4\n");
        for media_type in
            ["", "application/octet-stream", "application/vnd.ms-excel", "text/plain", FORM_FIELDS]
        {
            assert!(
                matches!(file(media_type, None, table.clone()), Ok(Source::File(Format::Csv, _))),
                "{media_type}"
            );
        }
        let refused =
            |media_type, bytes: &'static [u8]| file(media_type, None, Bytes::from_static(bytes)).unwrap_err();
        assert_eq!(refused("", b"hello").code(), Code::UnsupportedMediaType);
        assert_eq!(refused("application/octet-stream", b"hello").code(), Code::InvalidInput);
        assert!(refused("application/octet-stream", b"BM\x10\0\0\0\0\0\0\0").detail().contains("BMP"));
        assert!(refused(FORM_FIELDS, b"a=1").detail().contains("--data-binary"));
        assert!(refused("image/png", b"\x89PNG\x1a\0").detail().contains("--data-binary"));
    }
}
