//! Arrays in JSON: nested lists of numbers, and the tensor object `{"shape", "dtype", "base64"}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::{Error, Result, within};
use super::{Array, DType, MAX_RANK, read_raw, write_raw};
use crate::limits::Limits;

/// Decodes nested lists of numbers, or one bare number; `null` in a list is a missing number.
///
/// # Errors
/// [`Error::Json`] with the pointer of the first value that is ragged, empty, nested deeper than 8, or not a number;
/// [`Error::TooLarge`] over `array_numbers`; [`Error::NonFinite`] beyond the range of `f32`; [`Error::Inexact`].
pub fn array_from_json(value: &Value, limits: &Limits) -> Result<Array> {
    let mut dims = Vec::new();
    let mut inner = value;
    while let Value::Array(items) = inner {
        if dims.len() == MAX_RANK {
            let reason = format!("lists nested deeper than {MAX_RANK}");
            return Err(Error::Json { pointer: "/0".repeat(MAX_RANK), reason });
        }
        dims.push(items.len());
        let Some(first) = items.first() else {
            let reason = "an empty list; every axis needs an extent of 1 or more".to_owned();
            return Err(Error::Json { pointer: "/0".repeat(dims.len() - 1), reason });
        };
        inner = first;
    }
    let mut data = Vec::new();
    let mut path = Vec::with_capacity(dims.len());
    collect(value, &dims, &mut path, &mut data, limits)?;
    Ok(Array { dims, data, dtype: DType::F32 })
}

/// Appends the numbers of `value`, which must have the extents `dims`; `path` holds the indices of `value` in the outer
/// lists.
fn collect(
    value: &Value,
    dims: &[usize],
    path: &mut Vec<usize>,
    data: &mut Vec<f32>,
    limits: &Limits,
) -> Result<()> {
    let wrong = |path: &[usize], reason: String| {
        let pointer = path.iter().map(|i| format!("/{i}")).collect();
        Err(Error::Json { pointer, reason })
    };
    let Some((&extent, rest)) = dims.split_first() else {
        if value.is_null() && !path.is_empty() {
            within("array numbers", data.len() + 1, limits.array_numbers)?;
            data.push(f32::NAN);
            return Ok(());
        }
        let Some(number) = value.as_f64() else {
            return wrong(path, format!("{} where a number belongs", name(value)));
        };
        let exact = number;
        let number = number as f32;
        if value.is_i64() | value.is_u64() && f64::from(number) != exact {
            return Err(Error::inexact(value));
        }
        if !number.is_finite() {
            let place =
                format!("index ({})", path.iter().map(usize::to_string).collect::<Vec<_>>().join(", "));
            return Err(Error::NonFinite { place, value: number, count: 1 });
        }
        within("array numbers", data.len() + 1, limits.array_numbers)?;
        data.push(number);
        return Ok(());
    };
    let Value::Array(items) = value else {
        return wrong(path, format!("{} where a list of {extent} belongs (ragged array)", name(value)));
    };
    if items.len() != extent {
        return wrong(
            path,
            format!("a list of {} where one of {extent} belongs (ragged array)", items.len()),
        );
    }
    for (index, item) in items.iter().enumerate() {
        path.push(index);
        collect(item, rest, path, data, limits)?;
        path.pop();
    }
    Ok(())
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Encodes `array` as nested lists of numbers. Integer dtypes are written as integers, rounded half away from zero and
/// saturated. A missing number is `null`.
pub fn array_to_json(array: &Array) -> Value {
    let number = |v: f32| match array.dtype {
        DType::F16 | DType::F32 | DType::F64 => shortest(v),
        // Encoding to bytes already rounds and saturates as the integer type requires.
        dtype => json!(dtype.decode(&dtype.encode(&[v]), false)[0] as i64),
    };
    let mut level: Vec<Value> = array.data.iter().map(|&v| number(v)).collect();
    for &extent in array.dims.iter().rev() {
        let mut items = level.into_iter();
        let mut next = Vec::new();
        while items.len() > 0 {
            next.push(Value::Array(items.by_ref().take(extent.max(1)).collect()));
        }
        level = next;
    }
    level.pop().unwrap_or(Value::Null)
}

/// Returns the shortest decimal that parses to the same `f32`: 0.1, not 0.10000000149011612.
fn shortest(v: f32) -> Value {
    v.to_string().parse::<f64>().map_or(Value::Null, |v| json!(v))
}

/// Array as little-endian bytes with its extents: `{"shape": [1, 28, 28], "dtype": "float32", "base64": "..."}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Tensor, example = json!({"shape": [1, 2], "dtype": "float32", "base64": "AACAPwAAAEA="}))]
pub struct JsonTensor {
    /// Extents, slowest axis first; at most 8, each 1 or more.
    pub shape: Vec<usize>,
    /// Type of the numbers; `float32` when absent.
    #[serde(default = "float32")]
    #[schema(value_type = DType, default = float32)]
    pub dtype: String,
    /// Base64 of the numbers, little-endian and row-major.
    pub base64: String,
}

impl JsonTensor {
    /// `array` as bytes of `dtype`.
    pub fn of(array: &Array, dtype: DType) -> Self {
        let base64 = STANDARD.encode(write_raw(array, dtype));
        Self { shape: array.dims.clone(), dtype: dtype.name().to_owned(), base64 }
    }

    /// The array.
    ///
    /// # Errors
    /// [`Error::Json`] for base64 that is none, [`Error::Unsupported`] for an unknown type; else as [`read_raw`].
    pub fn read(&self, limits: &Limits) -> Result<Array> {
        if self.shape.len() > MAX_RANK {
            let got = format!("{} axes", self.shape.len());
            return Err(Error::shape(format!("at most {MAX_RANK} axes"), got));
        }
        let bytes = super::super::decode_base64(&self.base64)
            .map_err(|reason| Error::Json { pointer: "/base64".to_owned(), reason })?;
        read_raw(&bytes, &self.shape, DType::from_name(&self.dtype)?, limits)
    }
}

fn float32() -> String {
    DType::F32.name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_tensor(json: Value) -> Result<Array> {
        crate::pointer::read::<JsonTensor>(json)?.read(&Limits::default())
    }

    fn read(text: &str) -> Result<Array> {
        array_from_json(&serde_json::from_str(text).unwrap(), &Limits::default())
    }

    #[test]
    fn nested_numbers_survive_a_round_trip() {
        for text in ["7.5", "[1.0]", "[[0.1,0.2,0.3],[1.0,-2.0,3e-7]]", "[[[1.0],[2.0]]]"] {
            let array = read(text).unwrap();
            assert_eq!(array_from_json(&array_to_json(&array), &Limits::default()), Ok(array), "{text}");
        }
        assert_eq!(read("[[1, 2, 3], [4, 5, 6]]").unwrap().dims, [2, 3]);
    }

    #[test]
    fn floats_are_written_short_and_integers_whole() {
        let float = Array { dims: vec![2], data: vec![0.1, 2.0], dtype: DType::F32 };
        assert_eq!(array_to_json(&float).to_string(), "[0.1,2.0]");
        let whole = Array { dims: vec![3], data: vec![0.5, 254.4, 300.0], dtype: DType::U8 };
        assert_eq!(array_to_json(&whole).to_string(), "[1,254,255]");
    }

    #[test]
    fn the_first_place_that_is_wrong_is_pointed_at() {
        for (text, at) in [
            ("[[1, 2], [3]]", "/1"),
            ("[[1, 2], [3, 4, 5]]", "/1"),
            ("[[1, 2], 3]", "/1"),
            ("[1, [2]]", "/1"),
            ("[[1, 2], [3, true]]", "/1/1"),
            ("[[1, \"NaN\"]]", "/0/1"),
            ("[[[1], [2]], [[3], [4, 5]]]", "/1/1"),
            ("null", ""),
            ("{}", ""),
            ("[]", ""),
            ("[[]]", "/0"),
            ("[[[[[[[[[1]]]]]]]]]", "/0/0/0/0/0/0/0/0"),
        ] {
            let error = read(text).unwrap_err();
            let Error::Json { pointer, .. } = error else { panic!("{text}: {error}") };
            assert_eq!(pointer, at, "{text}");
        }
    }

    #[test]
    fn null_is_a_missing_number_both_ways() {
        let array = read("[[1.0,null],[null,2.5]]").unwrap();
        assert_eq!((&array.dims[..], array.data[1].is_nan()), (&[2, 2][..], true));
        assert_eq!(array_to_json(&array).to_string(), "[[1.0,null],[null,2.5]]");
    }

    #[test]
    fn numbers_beyond_single_precision_are_not_finite() {
        assert!(matches!(read("[1, -1e39]"), Err(Error::NonFinite { .. })));
    }

    #[test]
    fn numbers_are_counted_against_the_limit() {
        let limits = Limits { array_numbers: 5, ..Limits::default() };
        let error = array_from_json(&json!([[1, 2, 3], [4, 5, 6]]), &limits).unwrap_err();
        assert!(matches!(error, Error::TooLarge { what: "array numbers", limit: 5, .. }), "{error}");
    }

    #[test]
    fn tensors_survive_a_round_trip() {
        let array = Array { dims: vec![1, 2, 2], data: vec![0.0, 1.0, 2.0, 255.0], dtype: DType::U8 };
        for dtype in [DType::U8, DType::F32, DType::I16] {
            let json = serde_json::to_value(JsonTensor::of(&array, dtype)).unwrap();
            let back = read_tensor(json).unwrap();
            assert_eq!(back, Array { dtype, ..array.clone() });
        }
    }

    #[test]
    fn a_wrong_member_of_a_tensor_is_pointed_at() {
        for (value, at) in [
            (json!([]), ""),
            (json!({"dtype": "float32", "base64": ""}), "/shape"),
            (json!({"shape": [1, -2], "base64": ""}), "/shape/1"),
            (json!({"shape": [1, 2.5], "base64": ""}), "/shape/1"),
            (json!({"shape": [1], "dtype": 4, "base64": ""}), "/dtype"),
            (json!({"shape": [1]}), "/base64"),
            (json!({"shape": [1], "base64": "*"}), "/base64"),
        ] {
            let error = read_tensor(value.clone()).unwrap_err();
            let Error::Json { pointer, .. } = error else { panic!("{value}: {error}") };
            assert_eq!(pointer, at, "{value}");
        }
    }

    #[test]
    fn a_tensor_of_another_length_is_refused() {
        let value = json!({"shape": [3], "dtype": "float32", "base64": "AAAAAAAAAAA="});
        assert!(matches!(read_tensor(value), Err(Error::Malformed { .. })));
    }
}
