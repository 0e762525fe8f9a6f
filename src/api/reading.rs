//! Reading: the parts of a request as samples or latents, with what is needed to write them back alike.

use serde_json::Value;

use super::error::Problem;
use super::extract::{Part, Source};
use super::json::{Base64, JsonSample, LatentOrFile, Nested};
use crate::codec::{self, Format};
use crate::limits::Limits;
use crate::media::{self, Carrier, Content, Reading};
use crate::name::ModelId;
use crate::sample::{Latent, Sample};

/// The samples of one part: one, or as many as an array has.
#[derive(Debug)]
pub(super) struct Group {
    /// The name of the file, without folders.
    pub(super) name: Option<String>,
    /// File or array that they came in; results return in its format unless another is requested.
    pub(super) carrier: Carrier,
    /// The samples, at least one.
    pub(super) samples: Vec<Sample>,
}

impl Group {
    /// Bytes of its samples, and as many for their results.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |sample: &Sample| 2 * sample.shape().numbers() * sample.depth().bytes();
        self.samples.iter().map(bytes).sum()
    }

    /// Reads the samples of `part` for the model that is named; arrays are guessed at where none is.
    ///
    /// # Errors
    /// Errors of the format, with a pointer into a JSON body.
    pub(super) fn read(part: Part, reading: &Reading, limits: &Limits) -> Result<Self, Problem> {
        let Part { name, pointer, source, .. } = part;
        let name = name.map(|name| base_name(&name).to_owned());
        let read = read_source(source, reading, limits).map_err(|problem| problem.under(&pointer))?;
        Ok(Self { name, carrier: read.carrier, samples: read.samples })
    }
}

fn read_source(source: Source, reading: &Reading, limits: &Limits) -> Result<Content, Problem> {
    match source {
        Source::File(Format::Json, bytes) => {
            let value = serde_json::from_slice(&bytes);
            let value: Value = value.map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))?;
            if !value.is_object() {
                return read_data(&value, reading, limits);
            }
            match JsonSample::read(value)? {
                JsonSample::Image(_) => {
                    Err(Problem::invalid("an image goes into a form as its own file, not within one of JSON"))
                }
                sample => read_json(sample, reading, limits),
            }
        }
        Source::File(Format::Latent, _) => {
            Err(Problem::invalid("a latent file where a sample belongs; POST /decode takes latents"))
        }
        Source::File(format, bytes) => {
            media::read(&bytes, format, reading, limits).map_err(|error| explained(error, &bytes))
        }
        Source::Raw(dims, dtype, bytes) => {
            let array = codec::read_raw(&bytes, &dims, dtype, limits)?;
            Ok(Content::of_array(array, Format::Raw, reading, limits)?)
        }
        Source::Json(sample) => read_json(sample, reading, limits),
    }
}

/// The problem of a file that cannot be read, with the likely cause where it lost its line ends on the way.
pub(super) fn explained(error: impl Into<media::Error>, bytes: &[u8]) -> Problem {
    match error.into() {
        media::Error::Codec(codec::Error::Malformed { what, reason }) if codec::may_be_stripped(bytes) => {
            Problem::invalid(format!(
                "{what}: {reason}; the file has no line end (CR, LF) at all, as after `curl -d`: send files with curl \
                 --data-binary @FILE"
            ))
        }
        error => error.into(),
    }
}

fn read_json(sample: JsonSample, reading: &Reading, limits: &Limits) -> Result<Content, Problem> {
    match sample {
        JsonSample::Image(Base64(bytes)) => {
            let format = media::settle_format(&bytes, Some(Format::Png))?;
            Ok(media::read(&bytes, format, reading, limits)?)
        }
        JsonSample::Data(Nested(data)) => read_data(&data, reading, limits),
        JsonSample::Tensor(tensor) => {
            Ok(Content::of_array(tensor.read(limits)?, Format::Raw, reading, limits)?)
        }
        JsonSample::Latent(_) => {
            Err(Problem::invalid("expected one of image, data, tensor; POST /decode takes latents"))
        }
    }
}

fn read_data(data: &Value, reading: &Reading, limits: &Limits) -> Result<Content, Problem> {
    Ok(Content::of_array(codec::array_from_json(data, limits)?, Format::Json, reading, limits)?)
}

/// Reads the latent of `part`.
///
/// # Errors
/// Errors of the format, with a pointer into a JSON body.
pub(super) fn read_latent(part: Part, limits: &Limits) -> Result<(Option<String>, ModelId, Latent), Problem> {
    let Part { name, pointer, source, .. } = part;
    let name = name.map(|name| base_name(&name).to_owned());
    let read = match source {
        Source::File(Format::Latent, bytes) => codec::read_latent(&bytes, limits).map_err(Problem::from),
        Source::File(Format::Json, bytes) => serde_json::from_slice(&bytes)
            .map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))
            .and_then(JsonSample::read)
            .and_then(|sample| read_json_latent(sample, limits)),
        Source::Json(sample) => read_json_latent(sample, limits),
        Source::File(..) | Source::Raw(..) => Err(no_latent()),
    };
    read.map(|(id, latent)| (name, id, latent)).map_err(|problem| problem.under(&pointer))
}

fn read_json_latent(sample: JsonSample, limits: &Limits) -> Result<(ModelId, Latent), Problem> {
    match sample {
        JsonSample::Latent(LatentOrFile::File(file)) => Ok(codec::read_latent(&file.0, limits)?),
        JsonSample::Latent(LatentOrFile::Json(latent)) => Ok(latent.read(limits)?),
        _ => Err(no_latent()),
    }
}

fn no_latent() -> Problem {
    Problem::invalid("not a latent; POST /encode makes one of a sample")
}

/// The bytes of a base64 text; a data URL will do.
pub(super) fn from_base64(text: &Value) -> Result<Vec<u8>, Problem> {
    let text = text.as_str().ok_or_else(|| Problem::invalid("expected base64 of a file, as a string"))?;
    codec::decode_base64(text).map_err(Problem::invalid)
}

/// A file's name without folders.
fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::error::Code;

    fn read(value: Value) -> Result<Group, Problem> {
        let source = Source::Json(JsonSample::read(value)?);
        let part = Part { role: "file".into(), name: None, pointer: "/data".into(), source };
        Group::read(part, &Reading::default(), &Limits::default())
    }

    #[test]
    fn nested_numbers_are_a_gray_image_or_a_vector() {
        assert_eq!(read(json!({"data": [[0.5, 1], [0, 0]]})).unwrap().samples[0].shape().dims(), [1, 2, 2]);
        assert_eq!(read(json!({"data": [1, 2, 3]})).unwrap().samples[0].shape().dims(), [3]);
    }

    #[test]
    fn a_ragged_place_is_pointed_at_from_the_top() {
        let problem = read(json!({"data": [[1, 2], [3]]})).unwrap_err();
        assert!(format!("{problem:?}").contains("\"/data/1\""), "{problem:?}");
    }

    #[test]
    fn a_latent_is_no_sample() {
        assert_eq!(read(json!({"latent": {}})).unwrap_err().code(), Code::InvalidInput);
    }

    #[test]
    fn base64_may_be_a_data_url() {
        assert_eq!(from_base64(&json!("data:image/png;base64,AQI=")).unwrap(), [1, 2]);
        assert_eq!(from_base64(&json!("AQI=")).unwrap(), [1, 2]);
        assert!(from_base64(&json!("")).is_err() && from_base64(&json!("*")).is_err());
    }

    #[test]
    fn a_base_name_has_no_folder() {
        assert_eq!(base_name("../a/b.tar.gz"), "b.tar.gz");
        assert_eq!(base_name("C:\\x\\y.png"), "y.png");
    }
}
