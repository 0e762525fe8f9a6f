//! Reading: the parts of a request as samples or latents, with what is needed to write them back alike.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::error::Problem;
use super::extract::{Part, Source, check_count};
use crate::codec::{self, Array, Carrier, DType, Format, Layout, SampleSpec, Wave};
use crate::limits::Limits;
use crate::name::ModelId;
use crate::sample::{Kind, Latent, Sample};

/// The samples of one part: one, or as many as an array has.
#[derive(Debug)]
pub(super) struct Group {
    /// The name of the file, without folders and ending.
    pub(super) name: Option<String>,
    /// What they came in, and go back in unless told otherwise.
    pub(super) wrap: Wrap,
    /// The samples, at least one.
    pub(super) samples: Vec<Sample>,
}

/// What samples came in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wrap {
    /// An image file, with a carrier for each image in it: several are the pages of a TIFF.
    Pictures(Vec<Carrier>),
    /// An array of a format: npy, raw, csv, or JSON numbers.
    Array(Layout, Format),
    /// A WAV file.
    Wave(Wave),
}

impl Group {
    /// Bytes of its samples, and as many for what becomes of them.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |sample: &Sample| 2 * sample.shape().numbers() * sample.depth().bytes();
        self.samples.iter().map(bytes).sum()
    }

    /// Reads the samples of `part` for a model that takes `spec`; arrays are guessed at where no model is
    /// named.
    ///
    /// # Errors
    /// Those of the format, with a pointer into a JSON body.
    pub(super) fn read(part: Part, spec: Option<&SampleSpec>, limits: &Limits) -> Result<Self, Problem> {
        let Part { name, pointer, source, .. } = part;
        let name = name.map(|name| stem(&name).to_owned());
        let group = |(wrap, samples)| Self { name, wrap, samples };
        read_source(source, spec, limits).map(group).map_err(|problem| problem.under(&pointer))
    }
}

fn read_source(
    source: Source,
    spec: Option<&SampleSpec>,
    limits: &Limits,
) -> Result<(Wrap, Vec<Sample>), Problem> {
    match source {
        Source::File(Format::Npy, bytes) => {
            spread(codec::read_npy(&bytes, limits)?, Format::Npy, spec, limits)
        }
        Source::File(Format::Wav, bytes) => {
            let (sample, wave) = codec::read_wav(&bytes, limits)?;
            Ok((Wrap::Wave(wave), vec![sample]))
        }
        Source::File(Format::Csv, bytes) => spread(table(&bytes, spec, limits)?, Format::Csv, spec, limits),
        Source::File(Format::Json, bytes) => {
            let value = serde_json::from_slice(&bytes);
            let value: Value = value.map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))?;
            // Moved, not written out again: it may be large.
            let whole = |value| Value::Object(Map::from_iter([("data".to_owned(), value)]));
            let value = if value.is_object() { value } else { whole(value) };
            read_value(value, spec, limits)
        }
        Source::File(Format::Latent, _) => {
            Err(Problem::invalid("a latent file where a sample belongs; POST /decode takes latents"))
        }
        Source::File(format, bytes) => pictures(&bytes, Some(format), limits),
        Source::Image(bytes) => pictures(&bytes, None, limits),
        Source::Raw(dims, dtype, bytes) => {
            spread(codec::read_raw(&bytes, &dims, dtype, limits)?, Format::Raw, spec, limits)
        }
        Source::Value(value) => read_value(value, spec, limits),
    }
}

/// An object with one member, the form.
fn read_value(
    value: Value,
    spec: Option<&SampleSpec>,
    limits: &Limits,
) -> Result<(Wrap, Vec<Sample>), Problem> {
    let member = |name: &str| value.get(name);
    if let Some(data) = member("data") {
        return spread(codec::array_from_json(data, limits)?, Format::Json, spec, limits);
    }
    if let Some(tensor) = member("tensor") {
        return spread(codec::tensor_from_json(tensor, limits)?, Format::Raw, spec, limits);
    }
    if member("image").is_some() {
        return Err(Problem::invalid("an image goes into a form as its own file, not within one of JSON"));
    }
    Err(Problem::invalid("expected one of image, data, tensor; POST /decode takes latents"))
}

fn pictures(bytes: &[u8], format: Option<Format>, limits: &Limits) -> Result<(Wrap, Vec<Sample>), Problem> {
    let pictures = codec::read_images(bytes, format, limits)?;
    let (carriers, samples) = pictures.into_iter().map(|picture| (picture.carrier, picture.sample)).unzip();
    Ok((Wrap::Pictures(carriers), samples))
}

fn spread(
    array: Array,
    format: Format,
    spec: Option<&SampleSpec>,
    limits: &Limits,
) -> Result<(Wrap, Vec<Sample>), Problem> {
    let spec = match spec {
        Some(spec) => spec.clone(),
        None => array.guess_kind()?,
    };
    check_count(array.sample_count(&spec)?, limits)?;
    let (samples, layout) = array.into_samples(&spec)?;
    for sample in &samples {
        codec::check_shape(sample.shape(), limits)?;
    }
    Ok((Wrap::Array(layout, format), samples))
}

/// A table as an array: a vector a row, or, for models of signals, a channel a column.
fn table(bytes: &[u8], spec: Option<&SampleSpec>, limits: &Limits) -> Result<Array, Problem> {
    let rows = codec::read_csv(bytes, limits)?;
    let (height, width) = (rows.len(), rows[0].len());
    let is_signal = spec.is_some_and(|spec| spec.kind == Kind::Signal);
    let data = match is_signal {
        true => (0..width).flat_map(|c| rows.iter().map(move |row| row[c])).collect(),
        false => rows.concat(),
    };
    let dims = if is_signal { vec![width, height] } else { vec![height, width] };
    Ok(Array { dims, data, dtype: DType::F32 })
}

/// Reads the latent of `part`.
///
/// # Errors
/// Those of the format, with a pointer into a JSON body.
pub(super) fn read_latent(part: Part, limits: &Limits) -> Result<(Option<String>, ModelId, Latent), Problem> {
    let Part { name, pointer, source, .. } = part;
    let name = name.map(|name| stem(&name).to_owned());
    let read = match source {
        Source::File(Format::Latent, bytes) => codec::read_latent(&bytes, limits).map_err(Problem::from),
        Source::File(Format::Json, bytes) => serde_json::from_slice(&bytes)
            .map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))
            .and_then(|value| latent_value(&value, limits)),
        Source::Value(value) => latent_value(&value, limits),
        Source::File(..) | Source::Image(_) | Source::Raw(..) => {
            Err(Problem::invalid("not a latent; POST /encode makes one of a sample"))
        }
    };
    read.map(|(id, latent)| (name, id, latent)).map_err(|problem| problem.under(&pointer))
}

/// `{"latent": ...}` with the latent as JSON or as base64 of a latent file.
fn latent_value(value: &Value, limits: &Limits) -> Result<(ModelId, Latent), Problem> {
    match value.get("latent") {
        Some(text @ Value::String(_)) => Ok(codec::read_latent(&from_base64(text)?, limits)?),
        Some(latent) => Ok(codec::latent_from_json(latent, limits)?),
        None => Err(Problem::invalid("not a latent; POST /encode makes one of a sample")),
    }
}

/// The bytes of a base64 text; a data URL will do.
pub(super) fn from_base64(text: &Value) -> Result<Vec<u8>, Problem> {
    let text = text.as_str().ok_or_else(|| Problem::invalid("expected base64 of a file, as a string"))?;
    // Pages often send a data URL; what stands before the comma is of no use here.
    let text = text.strip_prefix("data:").and_then(|url| url.split_once(',')).map_or(text, |(_, data)| data);
    if text.is_empty() {
        return Err(Problem::invalid("empty; expected base64 of a file"));
    }
    STANDARD.decode(text.trim()).map_err(|e| Problem::invalid(format!("not base64: {e}")))
}

/// A file's name without folders and ending.
fn stem(name: &str) -> &str {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::error::Code;

    fn part(value: Value, pointer: &str) -> Part {
        Part { role: "file".into(), name: None, pointer: pointer.into(), source: Source::Value(value) }
    }

    fn read(value: Value) -> Result<Group, Problem> {
        Group::read(part(value, "/data"), None, &Limits::default())
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
    fn a_stem_has_no_folder_and_no_ending() {
        assert_eq!(stem("../a/b.tar.gz"), "b.tar");
        assert_eq!(stem("C:\\x\\y.png"), "y");
    }
}
