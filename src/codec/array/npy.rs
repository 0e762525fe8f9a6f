//! NumPy array files (`.npy`, versions 1 to 3): `npyz` parses the header, this module decodes the numbers, so that
//! nothing is allocated before the header is checked against the actual file length.
//!
//! # Source
//! NEP 1 and `numpy.lib.format`.

use npyz::{Endianness, NpyHeader, Order, TypeChar, WriteOptions, WriterBuilder};

use super::super::{Error, Result};
use super::{Array, DType, count};
use crate::limits::Limits;

/// Maximum length of a header, in bytes; numpy has the same limit.
const MAX_HEADER: usize = 10_000;
/// Maximum nesting of brackets in a header: a dict with a tuple in it, or the fields of a record.
const MAX_NESTING: usize = 4;

/// Decodes an npy file to an array in row-major order, for both orders of the file.
///
/// # Errors
/// [`Error::Unsupported`] for complex, boolean, text, date, object and structured dtypes, each by name;
/// [`Error::TooLarge`] over `array_numbers`; [`Error::Malformed`] if the header is broken or the payload does not have
/// exactly the length that the header states; [`Error::NonFinite`] for a number beyond `f32`; [`Error::Inexact`].
pub fn read_npy(bytes: &[u8], limits: &Limits) -> Result<Array> {
    let Header { dims, dtype, big_endian, order, payload } = read_header(bytes, limits)?;
    dtype.check_range(payload, big_endian)?;
    let mut data = dtype.decode(payload, big_endian);
    if order == Order::Fortran {
        data = column_to_row_major(&data, &dims);
    }
    Ok(Array { dims, data, dtype })
}

/// Returns the extents of the array in an npy file without decoding its numbers.
///
/// # Errors
/// As for [`read_npy`], for errors that the header alone shows.
pub fn npy_dims(bytes: &[u8], limits: &Limits) -> Result<Vec<usize>> {
    read_header(bytes, limits).map(|header| header.dims)
}

/// Parsed header of an npy file, and the payload after it.
struct Header<'a> {
    dims: Vec<usize>,
    dtype: DType,
    big_endian: bool,
    order: Order,
    payload: &'a [u8],
}

fn read_header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>> {
    let payload_start = check_header(bytes, limits)?;
    let mut cursor = bytes;
    let header = NpyHeader::from_reader(&mut cursor).map_err(|e| Error::malformed("npy header", e))?;
    let (dtype, big_endian) = number_type(&header.dtype())?;
    let dims = header.shape().iter().map(|&d| usize::try_from(d).unwrap_or(usize::MAX)).collect::<Vec<_>>();
    let numbers = count(&dims, limits)?;
    let payload = &bytes[payload_start..];
    if numbers.checked_mul(dtype.bytes()) != Some(payload.len()) {
        let stated = numbers.saturating_mul(dtype.bytes());
        let reason = format!("the header promises {stated} bytes of numbers, the file has {}", payload.len());
        return Err(Error::malformed("npy array", reason));
    }
    Ok(Header { dims, dtype, big_endian, order: header.order(), payload })
}

/// Encodes `array` as an npy file (version 1, C order, little-endian) of `dtype`. Integer types round half away from
/// zero and saturate.
///
/// # Errors
/// [`Error::Malformed`] if the product of the extents is not the number of values.
pub fn write_npy(array: &Array, dtype: DType) -> Result<Vec<u8>> {
    let shape: Vec<u64> = array.dims.iter().map(|&d| d as u64).collect();
    if array.dims.iter().product::<usize>() != array.data.len() {
        return Err(Error::malformed("npy array", "extents and numbers do not match"));
    }
    let descr = npyz::DType::Plain(type_str(dtype).parse().expect("the table holds valid type strings"));
    let mut file = Vec::new();
    WriteOptions::new_header_only()
        .dtype(descr)
        .shape(&shape)
        .writer(&mut file)
        .write_header_only()
        .map_err(|e| Error::malformed("npy header", e))?;
    file.extend(dtype.encode(&array.data));
    Ok(file)
}

/// Returns the offset of the payload. Rejects headers that are truncated, too long or deeply nested, because the parser
/// is recursive and would allocate as many bytes as the length field states.
fn check_header(bytes: &[u8], limits: &Limits) -> Result<usize> {
    let malformed = |reason: &str| Error::malformed("npy header", reason);
    let (text_start, length) = match *bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([a, b]))),
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d, ..] => {
            (12, u32::from_le_bytes([a, b, c, d]) as usize)
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
            return Err(malformed("cut short, or of an unknown version"));
        }
        _ => return Err(malformed("does not begin with \\x93NUMPY")),
    };
    if length > MAX_HEADER {
        return Err(malformed(&format!("states a length of {length} bytes, more than {MAX_HEADER}")));
    }
    let text = bytes.get(text_start..text_start + length).ok_or_else(|| malformed("cut short"))?;
    let mut depth = 0usize;
    for &byte in text {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(malformed("brackets nested too deeply"));
        }
    }
    check_digits(text, limits)?;
    Ok(text_start + length)
}

/// Rejects extents that could overflow, because the parser multiplies them unchecked. Fewer than 20 decimal digits in
/// the whole header cannot give a product beyond 64 bits.
fn check_digits(text: &[u8], limits: &Limits) -> Result<()> {
    let prefixed = |w: &[u8]| w[0] == b'0' && matches!(w[1], b'x' | b'X' | b'o' | b'O' | b'b' | b'B');
    if text.windows(2).any(prefixed) {
        return Err(Error::malformed("npy header", "numbers must be decimal"));
    }
    if text.iter().filter(|b| b.is_ascii_digit()).count() < 20 {
        return Ok(());
    }
    if text.windows(2).any(|w| w == b"[(") {
        return Err(structured());
    }
    Err(Error::TooLarge { what: "array numbers", limit: limits.array_numbers as u64, actual: u64::MAX })
}

/// Returns the number type of a dtype and `true` if it is big-endian, or an error that names the unsupported dtype.
fn number_type(dtype: &npyz::DType) -> Result<(DType, bool)> {
    let npyz::DType::Plain(plain) = dtype else {
        return Err(structured());
    };
    let number = match (plain.type_char(), plain.size_field()) {
        (TypeChar::Float, 2) => DType::F16,
        (TypeChar::Float, 4) => DType::F32,
        (TypeChar::Float, 8) => DType::F64,
        (TypeChar::Uint, 1) => DType::U8,
        (TypeChar::Uint, 2) => DType::U16,
        (TypeChar::Uint, 4) => DType::U32,
        (TypeChar::Uint, 8) => DType::U64,
        (TypeChar::Int, 1) => DType::I8,
        (TypeChar::Int, 2) => DType::I16,
        (TypeChar::Int, 4) => DType::I32,
        (TypeChar::Int, 8) => DType::I64,
        (TypeChar::Complex, _) => {
            return Err(refused("complex", "send real and imaginary part as two arrays"));
        }
        (TypeChar::Object, _) => return Err(refused("object", "pickled objects are never loaded")),
        (TypeChar::Bool, _) => return Err(refused("boolean", "convert it: array.astype('float32')")),
        _ => return Err(refused(&plain.to_string(), "convert it: array.astype('float32')")),
    };
    Ok((number, plain.endianness() == Endianness::Big))
}

fn structured() -> Error {
    refused("structured", "save one field at a time: numpy.save(path, array['field'])")
}

fn refused(name: &str, hint: &str) -> Error {
    Error::unsupported(format!("npy arrays of {name} dtype are not accepted; {hint}"))
}

fn type_str(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "<f2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
    }
}

/// Converts numbers from column-major to row-major order.
fn column_to_row_major(data: &[f32], dims: &[usize]) -> Vec<f32> {
    let mut index = vec![0; dims.len()];
    let mut strides = vec![1; dims.len()];
    for axis in 1..dims.len() {
        strides[axis] = strides[axis - 1] * dims[axis - 1];
    }
    let mut rows = Vec::with_capacity(data.len());
    let mut from = 0;
    for _ in 0..data.len() {
        rows.push(data[from]);
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < dims[axis] {
                break;
            }
            from -= strides[axis] * dims[axis];
            index[axis] = 0;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Array {
        Array { dims: vec![2, 3], data: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], dtype: DType::F32 }
    }

    /// Builds a file with the given header fields.
    fn file(descr: &str, order: &str, shape: &str, payload: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((text.len() as u16).to_le_bytes());
        file.extend(text.as_bytes());
        file.extend(payload);
        file
    }

    fn read(bytes: &[u8]) -> Result<Array> {
        read_npy(bytes, &Limits::default())
    }

    #[test]
    fn every_dtype_survives_a_round_trip() {
        for dtype in DType::ALL {
            let back = read(&write_npy(&sample(), dtype).unwrap()).unwrap();
            assert_eq!(back, Array { dtype, ..sample() });
        }
    }

    #[test]
    fn fortran_order_is_put_right() {
        let columns: Vec<u8> =
            [0.0f32, 3.0, 1.0, 4.0, 2.0, 5.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(read(&file("'<f4'", "True", "(2, 3)", &columns)).unwrap(), sample());
        let cube: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let rows = column_to_row_major(&cube, &[2, 3, 4]);
        assert_eq!((rows[0], rows[1], rows[4], rows[12]), (0.0, 6.0, 2.0, 1.0));
    }

    #[test]
    fn big_endian_is_understood() {
        let payload: Vec<u8> = (0..6u16).flat_map(u16::to_be_bytes).collect();
        let array = read(&file("'>u2'", "False", "(2, 3)", &payload)).unwrap();
        assert_eq!(array, Array { dtype: DType::U16, ..sample() });
    }

    #[test]
    fn dtypes_without_plain_numbers_are_refused_by_name() {
        for (descr, name) in [
            ("'|O'", "object"),
            ("'<c8'", "complex"),
            ("'|b1'", "boolean"),
            ("'<U4'", "<U4"),
            ("'|S4'", "|S4"),
            ("'<M8[ns]'", "<M8[ns]"),
            ("[('a', '<f4'), ('b', '<f4')]", "structured"),
        ] {
            let error = read(&file(descr, "False", "(1,)", &[0; 16])).unwrap_err();
            assert!(matches!(error, Error::Unsupported { .. }), "{descr}: {error}");
            assert!(error.to_string().contains(name), "{descr}: {error}");
        }
    }

    #[test]
    fn extents_are_held_against_the_limit_and_the_bytes() {
        let too_large = |shape| {
            let error = read(&file("'<f4'", "False", shape, &[0; 16])).unwrap_err();
            assert!(matches!(error, Error::TooLarge { .. }), "{shape}: {error}");
        };
        too_large("(100000, 100000)");
        too_large("(4294967296, 4294967296)");
        too_large("(9223372036854775807, 9223372036854775807, 9223372036854775807)");
        let lie = read(&file("'<f4'", "False", "(1000, 1000)", &[0; 16])).unwrap_err();
        assert!(matches!(lie, Error::Malformed { .. }), "{lie}");
        let empty = read(&file("'<f4'", "False", "(4, 0)", &[])).unwrap_err();
        assert!(matches!(empty, Error::Shape { .. }), "{empty}");
    }

    #[test]
    fn a_bare_number_has_no_extents() {
        let array = read(&file("'<f4'", "False", "()", &7.0f32.to_le_bytes())).unwrap();
        assert_eq!((array.dims.len(), array.data), (0, vec![7.0]));
    }

    #[test]
    fn a_header_nested_to_break_the_parser_is_refused() {
        for open in ["(", "[", "{"] {
            let error = read(&file(&open.repeat(5000), "False", "(1,)", &[])).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
        }
    }

    #[test]
    fn a_header_longer_than_the_file_is_refused() {
        let mut bytes = write_npy(&sample(), DType::F32).unwrap();
        bytes[8..10].copy_from_slice(&u16::MAX.to_le_bytes());
        assert!(matches!(read(&bytes), Err(Error::Malformed { .. })));
        let huge = [b"\x93NUMPY\x02\x00".as_slice(), &u32::MAX.to_le_bytes(), b"{}"].concat();
        assert!(matches!(read(&huge), Err(Error::Malformed { .. })));
    }

    #[test]
    fn a_file_cut_at_any_byte_is_an_error() {
        let whole = write_npy(&sample(), DType::F32).unwrap();
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_flipped_header_byte_never_panics_nor_breaks_an_array() {
        let whole = write_npy(&sample(), DType::F32).unwrap();
        let header = whole.len() - 24;
        for position in 0..header {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[position] ^= 1 << bit;
                if let Ok(array) = read(&bytes) {
                    assert_eq!(array.dims.iter().product::<usize>(), array.data.len());
                }
            }
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_missing_and_one_beyond_f32_is_refused() {
        let payload = [0.0f32, f32::NAN].map(f32::to_le_bytes).concat();
        let array = read(&file("'<f4'", "False", "(2,)", &payload)).unwrap();
        assert!(matches!(array.check_finite(), Err(Error::NonFinite { count: 1, .. })));
        let payload = [f64::NAN, 1e300].map(f64::to_le_bytes).concat();
        let error = read(&file("'<f8'", "False", "(2,)", &payload)).unwrap_err();
        assert!(matches!(&error, Error::NonFinite { count: 1, place, .. } if place == "number 1"), "{error}");
    }
}
