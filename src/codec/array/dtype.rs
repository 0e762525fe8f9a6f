//! Number types of arrays: names, sizes, decoding and encoding.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::super::{Error, Result};

/// Number type of an array file. All are converted to `f32` in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum DType {
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    #[default]
    F32,
    /// IEEE double precision.
    F64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
}

impl TryFrom<String> for DType {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::from_name(&name)
    }
}

impl PartialSchema for DType {
    fn schema() -> RefOr<Schema> {
        let names =
            ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Self::ALL.map(Self::name)));
        Schema::Object(names.description(Some("Number type; numbers are little-endian.")).build()).into()
    }
}

impl ToSchema for DType {}

impl DType {
    /// Returns `true` for floating-point types, which hold NaN.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::F32 | DType::F64)
    }

    /// Every type.
    pub const ALL: [DType; 11] = [
        DType::F16,
        DType::F32,
        DType::F64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
    ];

    /// Returns the name as in numpy and `X-Tensor-Dtype`: `float32`, `uint8`, ...
    pub fn name(self) -> &'static str {
        match self {
            DType::F16 => "float16",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::U8 => "uint8",
            DType::U16 => "uint16",
            DType::U32 => "uint32",
            DType::U64 => "uint64",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
        }
    }

    /// Parses a type name: numpy (`float32`), Open Inference Protocol (`FP32`) or short (`f32`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the list of known names.
    pub fn from_name(name: &str) -> Result<Self> {
        let lower = name.trim().to_ascii_lowercase();
        let (stem, bits) = lower.split_at(lower.find(|c: char| c.is_ascii_digit()).unwrap_or(lower.len()));
        let long = match stem {
            "f" | "fp" | "float" => format!("float{bits}"),
            "u" | "uint" => format!("uint{bits}"),
            "i" | "int" => format!("int{bits}"),
            _ => lower.clone(),
        };
        DType::ALL.into_iter().find(|d| d.name() == long).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            let known: Vec<_> = DType::ALL.iter().map(|d| d.name()).collect();
            Error::unsupported(format!("dtype {shown:?} is not known; use one of {}", known.join(", ")))
        })
    }

    /// Number of bytes of one value.
    pub fn bytes(self) -> usize {
        match self {
            DType::U8 | DType::I8 => 1,
            DType::F16 | DType::U16 | DType::I16 => 2,
            DType::F32 | DType::U32 | DType::I32 => 4,
            DType::F64 | DType::U64 | DType::I64 => 8,
        }
    }

    /// Returns the value of this type that represents 1.0 of an image, for types with scaled images: 255 or 65535.
    pub fn image_scale(self) -> Option<f32> {
        match self {
            DType::U8 => Some(255.0),
            DType::U16 => Some(65535.0),
            _ => None,
        }
    }

    /// Decodes the numbers in `bytes`, with a length that is a multiple of [`DType::bytes`].
    pub(super) fn decode(self, bytes: &[u8], big_endian: bool) -> Vec<f32> {
        macro_rules! numbers {
            ($number:ty, $to_f32:expr) => {{
                let (words, _) = bytes.as_chunks::<{ size_of::<$number>() }>();
                let from = if big_endian { <$number>::from_be_bytes } else { <$number>::from_le_bytes };
                words.iter().map(|word| $to_f32(from(*word))).collect()
            }};
        }
        match self {
            DType::F16 => numbers!(half::f16, half::f16::to_f32),
            DType::F32 => numbers!(f32, |v| v),
            DType::F64 => numbers!(f64, |v| v as f32),
            DType::U8 => numbers!(u8, f32::from),
            DType::U16 => numbers!(u16, f32::from),
            DType::U32 => numbers!(u32, |v| v as f32),
            DType::U64 => numbers!(u64, |v| v as f32),
            DType::I8 => numbers!(i8, f32::from),
            DType::I16 => numbers!(i16, f32::from),
            DType::I32 => numbers!(i32, |v| v as f32),
            DType::I64 => numbers!(i64, |v| v as f32),
        }
    }

    /// Checks that every integer in `bytes` is exactly representable as `f32`, and that no finite number is beyond its
    /// range, where it would seem to be missing.
    ///
    /// # Errors
    /// [`Error::Inexact`] with the first integer, [`Error::NonFinite`] with the first number that is not.
    pub(super) fn check_range(self, bytes: &[u8], big_endian: bool) -> Result<()> {
        if self == DType::F64 {
            let (words, _) = bytes.as_chunks::<8>();
            let from = if big_endian { f64::from_be_bytes } else { f64::from_le_bytes };
            let is_beyond = |v: f64| v.is_finite() && !(v as f32).is_finite();
            let mut beyond = words.iter().enumerate().filter(|(_, word)| is_beyond(from(**word)));
            let Some((at, word)) = beyond.next() else { return Ok(()) };
            let (place, value) = (format!("number {at}"), from(*word) as f32);
            return Err(Error::NonFinite { place, value, count: 1 + beyond.count() });
        }
        macro_rules! check {
            ($number:ty) => {{
                let (words, _) = bytes.as_chunks::<{ size_of::<$number>() }>();
                let from = if big_endian { <$number>::from_be_bytes } else { <$number>::from_le_bytes };
                // Compares as `i128`, which is wider than both types: a saturating cast back would hide a rounded
                // maximum.
                let is_exact = |v: $number| (v as f32) as i128 == i128::from(v);
                words.iter().map(|word| from(*word)).find(|v| !is_exact(*v)).map(|v| v.to_string())
            }};
        }
        let rounded = match self {
            DType::U32 => check!(u32),
            DType::U64 => check!(u64),
            DType::I32 => check!(i32),
            DType::I64 => check!(i64),
            DType::F16 | DType::F32 | DType::F64 | DType::U8 | DType::U16 | DType::I8 | DType::I16 => None,
        };
        rounded.map_or(Ok(()), |value| Err(Error::inexact(value)))
    }

    /// Encodes `data` as little-endian bytes. Integer types round half away from zero and saturate; half precision
    /// saturates too, so that a finite number never becomes infinite.
    pub(super) fn encode(self, data: &[f32]) -> Vec<u8> {
        macro_rules! bytes {
            ($from_f32:expr) => {
                data.iter().flat_map(|&v| $from_f32(v).to_le_bytes()).collect()
            };
        }
        match self {
            DType::F16 => {
                let end = half::f16::MAX.to_f32();
                bytes!(|v: f32| half::f16::from_f32(v.clamp(-end, end)))
            }
            DType::F32 => bytes!(|v: f32| v),
            DType::F64 => bytes!(f64::from),
            // `as` saturates, so no clamp is needed.
            DType::U8 => bytes!(|v: f32| v.round() as u8),
            DType::U16 => bytes!(|v: f32| v.round() as u16),
            DType::U32 => bytes!(|v: f32| v.round() as u32),
            DType::U64 => bytes!(|v: f32| v.round() as u64),
            DType::I8 => bytes!(|v: f32| v.round() as i8),
            DType::I16 => bytes!(|v: f32| v.round() as i16),
            DType::I32 => bytes!(|v: f32| v.round() as i32),
            DType::I64 => bytes!(|v: f32| v.round() as i64),
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_keeps_small_whole_numbers() {
        for dtype in DType::ALL {
            let bytes = dtype.encode(&[0.0, 1.0, 100.0]);
            assert_eq!(bytes.len(), 3 * dtype.bytes(), "{dtype}");
            assert_eq!(dtype.decode(&bytes, false), [0.0, 1.0, 100.0], "{dtype}");
        }
    }

    #[test]
    fn big_endian_is_the_same_bytes_turned_round() {
        for dtype in DType::ALL {
            let mut bytes = dtype.encode(&[77.0]);
            bytes.reverse();
            assert_eq!(dtype.decode(&bytes, true), [77.0], "{dtype}");
        }
    }

    #[test]
    fn integers_round_half_away_from_zero_and_saturate() {
        let bytes = DType::I8.encode(&[0.5, -0.5, 1.4, 1e9, -1e9]);
        assert_eq!(DType::I8.decode(&bytes, false), [1.0, -1.0, 1.0, 127.0, -128.0]);
        assert_eq!(DType::U8.encode(&[-3.0, 254.5, 300.0]), [0, 255, 255]);
    }

    #[test]
    fn half_precision_saturates_instead_of_becoming_infinite() {
        let bytes = DType::F16.encode(&[1e9, -1e9]);
        assert_eq!(DType::F16.decode(&bytes, false), [65504.0, -65504.0]);
    }

    #[test]
    fn names_come_in_three_spellings() {
        for name in ["float32", "FP32", "f32", " Float32 "] {
            assert_eq!(DType::from_name(name), Ok(DType::F32), "{name}");
        }
        assert_eq!(DType::from_name("UINT8"), Ok(DType::U8));
        for name in ["", "complex64", "float128", "bool", "object", "f", "int"] {
            assert!(matches!(DType::from_name(name), Err(Error::Unsupported { .. })), "{name}");
        }
    }
}
