//! Hexadecimal text of digests.

/// Returns two lower-case hexadecimal digits for each byte.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_gives_two_digits() {
        assert_eq!(hex([0, 9, 0xa0, 0xff]), "0009a0ff");
        assert_eq!(hex([]), "");
    }
}
