//! Base64 as clients send it: with or without line breaks and padding, in either alphabet, optionally as a data URL.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Decoder that accepts padded and unpadded text.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes base64 text (RFC 4648, section 4 or 5): blanks and line breaks are skipped (RFC 2045), a data URL (RFC 2397)
/// is accepted.
///
/// # Errors
/// One line: the text is empty or not base64.
pub fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim_start();
    let data = match text.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case("data:") => match text.split_once(',') {
            Some((head, data)) if head.to_ascii_lowercase().ends_with(";base64") => data,
            _ => return Err("a data URL without ;base64 before its comma".to_owned()),
        },
        _ => text,
    };
    let symbol = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    };
    let symbols: Vec<u8> = data.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(symbol).collect();
    if symbols.is_empty() {
        return Err("empty; expected base64 of a file".to_owned());
    }
    LENIENT.decode(symbols).map_err(|e| format!("not base64: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_usual_kinds_are_read() {
        for text in ["+/8=", "-_8=", "+/8", " +/\r\n8=\n", "data:image/png;base64,+/8=", "DATA:;Base64,-_8"] {
            assert_eq!(decode_base64(text), Ok(vec![0xfb, 0xff]), "{text:?}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", " \n", "*", "+/8==", "data:,hello", "data:image/png;base64,", "A"] {
            assert!(decode_base64(text).is_err(), "{text:?}");
        }
    }
}
