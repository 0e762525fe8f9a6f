//! Input of an inference: a tensor of numbers or files, as the parts that all operations read.

use axum::body::Bytes;
use serde_json::Value;

use super::tensor::{Datatype, Tensor};
use crate::api::error::{Code, Problem};
use crate::api::extract::{Part, Source, check_count};
use crate::api::reading::from_base64;
use crate::codec::{self, DType, Format};
use crate::limits::Limits;
use crate::media;

/// Input tensor.
#[derive(Debug)]
pub(super) struct Input {
    /// Extents, samples first.
    pub(super) shape: Vec<usize>,
    /// Type of the elements.
    pub(super) datatype: Datatype,
    /// The elements.
    pub(super) values: Values,
}

/// Elements of a tensor.
#[derive(Debug)]
pub(super) enum Values {
    /// Bytes behind the JSON.
    Binary(Bytes),
    /// Nested or flat list of a JSON body.
    Json(Value),
    /// Files.
    Files(Vec<Bytes>),
}

impl Input {
    /// Checks type and shape against the tensor of the model: files are taken in place of numbers, not the other way round.
    ///
    /// # Errors
    /// 400 with the expected type or shape; 413 over `samples`.
    pub(super) fn check(&self, tensor: &Tensor, limits: &Limits) -> Result<(), Problem> {
        match (self.datatype, tensor.datatype) {
            (Datatype::Bytes, _) => match *self.shape.as_slice() {
                [count] if count > 0 => {}
                _ => {
                    let detail =
                        format!("the shape of BYTES is (N), with N of 1 or more, got {:?}", self.shape);
                    return Err(Problem::new(Code::ShapeMismatch, detail));
                }
            },
            (other, Datatype::Bytes) => {
                let detail = format!("expected BYTES, got {}", other.name());
                return Err(Problem::invalid_at("/datatype", detail));
            }
            (..) => tensor.check_shape(&self.shape)?,
        }
        check_count(self.shape.first().copied().unwrap_or(0), limits)
    }

    /// Bytes of memory that [`Input::parts`] takes at most, beside the input; `tree` are those of its JSON.
    pub(super) fn bytes_to_divide(&self, tree: usize) -> usize {
        match &self.values {
            Values::Binary(bytes) => bytes.len().saturating_mul(2),
            // A number takes 136 bytes there, and then 12; a byte of a file 8, and then 1.
            Values::Json(_) => tree / 8,
            Values::Files(_) => 0,
        }
    }

    /// The parts of the input: all numbers in one, or each file in its own. Latents are files of `Format::Latent`.
    ///
    /// # Errors
    /// 400 if the elements do not have the shape and the type that are stated.
    pub(super) fn parts(self, is_latent: bool, limits: &Limits) -> Result<Vec<Part>, Problem> {
        let Some(dtype) = self.datatype.dtype() else {
            let files = self.files()?.into_iter();
            return files.enumerate().map(|(at, bytes)| file(at, bytes, is_latent)).collect();
        };
        let bytes = match self.values {
            Values::Json(data) => to_bytes(&data, &self.shape, self.datatype, dtype, limits)?,
            Values::Binary(bytes) => {
                check_size(&self.shape, self.datatype, bytes.len())?;
                if self.datatype == Datatype::Bf16 { widened(&bytes) } else { bytes }
            }
            Values::Files(_) => return Err(Problem::invalid("files where numbers belong")),
        };
        Ok(vec![part("/inputs/0", Source::Raw(self.shape, dtype, bytes))])
    }

    fn files(self) -> Result<Vec<Bytes>, Problem> {
        let count = self.shape.first().copied().unwrap_or(0);
        let files = match self.values {
            Values::Files(files) => files,
            Values::Binary(bytes) => elements(bytes, count)?,
            Values::Json(Value::Array(texts)) => {
                let file = |(at, text): (usize, &Value)| {
                    let file = from_base64(text).map(Bytes::from);
                    file.map_err(|problem| problem.under(&format!("/data/{at}")))
                };
                texts.iter().enumerate().map(file).collect::<Result<_, _>>()?
            }
            Values::Json(_) => return Err(Problem::invalid_at("/data", "expected a list of base64 texts")),
        };
        if files.len() == count {
            return Ok(files);
        }
        Err(Problem::invalid_at("/data", format!("{} files, the shape states {count}", files.len())))
    }
}

fn part(pointer: &str, source: Source) -> Part {
    Part { role: "input".into(), name: None, pointer: pointer.to_owned(), source }
}

fn file(at: usize, bytes: Bytes, is_latent: bool) -> Result<Part, Problem> {
    let pointer = format!("/inputs/0/data/{at}");
    let format = if is_latent { Ok(Format::Latent) } else { media::settle_format(&bytes, None) };
    let format = format.map_err(|error| Problem::from(error).under(&pointer))?;
    Ok(part(&pointer, Source::File(format, bytes)))
}

/// Divides BYTES in binary form: each element has its length in 4 bytes in front of it.
fn elements(mut rest: Bytes, count: usize) -> Result<Vec<Bytes>, Problem> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = rest.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize);
        let length = length.filter(|length| *length <= rest.len() - 4 && found.len() < count);
        let length = length.ok_or_else(|| {
            let detail = format!(
                "element {} of the {count} that the shape states is not whole: each has its length in 4 bytes, \
                 little-endian, in front of it, and {} bytes are left",
                found.len(),
                rest.len()
            );
            Problem::invalid_at("/inputs/0/data", detail)
        })?;
        let _length = rest.split_to(4);
        found.push(rest.split_to(length));
    }
    Ok(found)
}

/// Checks the bytes of numbers in binary form.
fn check_size(shape: &[usize], datatype: Datatype, actual: usize) -> Result<(), Problem> {
    let expected = numbers(shape).saturating_mul(datatype.bytes());
    if expected == actual {
        return Ok(());
    }
    let detail = format!("{} of the shape {shape:?} takes {expected} bytes, got {actual}", datatype.name());
    Err(Problem::invalid_at("/inputs/0", detail))
}

/// Numbers of a tensor; saturates, so that no memory has as many bytes.
fn numbers(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n: usize, extent| n.saturating_mul(*extent))
}

/// Single precision numbers of BF16, of which they are the upper halves.
fn widened(bytes: &[u8]) -> Bytes {
    let (halves, _) = bytes.as_chunks::<2>();
    halves.iter().flat_map(|[low, high]| [0, 0, *low, *high]).collect()
}

/// Bytes of numbers in JSON, nested as the shape says or flat.
fn to_bytes(
    data: &Value,
    shape: &[usize],
    datatype: Datatype,
    dtype: DType,
    limits: &Limits,
) -> Result<Bytes, Problem> {
    let refused = |detail: String| Problem::invalid_at("/inputs/0/data", detail);
    if matches!(datatype, Datatype::Fp16 | Datatype::Bf16) {
        return Err(refused(format!("{} has no form in JSON; send it in binary form", datatype.name())));
    }
    let array = codec::array_from_json(data, limits);
    let array = array.map_err(|error| Problem::from(error).under("/inputs/0/data"))?;
    let numbers = numbers(shape);
    if array.dims != shape && (array.dims.len() != 1 || array.data.len() != numbers) {
        let detail = format!("expected {numbers} numbers, flat or nested as {shape:?}, got {:?}", array.dims);
        return Err(Problem::new(Code::ShapeMismatch, detail));
    }
    let fits = |v: &f32| match datatype {
        Datatype::Uint8 => v.fract() == 0.0 && (0.0..=255.0).contains(v),
        Datatype::Int32 => v.fract() == 0.0 && (-2f32.powi(31)..2f32.powi(31)).contains(v),
        Datatype::Int64 => v.fract() == 0.0 && (-2f32.powi(63)..2f32.powi(63)).contains(v),
        _ => true,
    };
    match array.data.iter().position(|v| !fits(v)) {
        Some(at) => Err(refused(format!("number {at} is {}, no {}", array.data[at], datatype.name()))),
        None => Ok(codec::write_raw(&array, dtype).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_divided_by_their_lengths() {
        let bytes = Bytes::from_static(b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c");
        let found = elements(bytes.clone(), 3).unwrap();
        assert_eq!(found, [&b"ab"[..], b"", b"c"]);
        assert!(elements(bytes, 2).is_err());
        for bad in [&b"\x01"[..], b"\x01\0\0\0", b"\xff\xff\xff\xffabc"] {
            assert!(elements(Bytes::from_static(bad), 9).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn bf16_is_the_upper_half_of_a_float() {
        // 1.0, -2.5 and 0.15625.
        let bytes = widened(&[0x80, 0x3f, 0x20, 0xc0, 0x20, 0x3e]);
        let (words, _) = bytes.as_chunks::<4>();
        assert_eq!(words.iter().map(|w| f32::from_le_bytes(*w)).collect::<Vec<_>>(), [1.0, -2.5, 0.15625]);
    }
}
