//! Class labels of samples, to test whether latents of one class form clusters.

use std::fs;
use std::path::Path;

use super::Error;
use super::read::gunzip;
use crate::limits::Limits;

/// Magic number of an idx file of bytes with one axis.
const IDX: [u8; 4] = [0, 0, 8, 1];

/// Reads the labels of a file, in the order of the samples: an idx file of bytes (MNIST), or one integer per line; either
/// may be gzipped.
///
/// # Errors
/// The file cannot be read or is in another format.
pub fn read_labels(path: &Path, limits: &Limits) -> Result<Vec<u32>, Error> {
    let fault = |reason: String| Error::Open { path: path.display().to_string(), reason };
    let bytes = fs::read(path).map_err(|e| fault(e.to_string()))?;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) { gunzip(&bytes, limits).map_err(fault)? } else { bytes };
    parse(&bytes).map_err(fault)
}

fn parse(bytes: &[u8]) -> Result<Vec<u32>, String> {
    if let Some(rest) = bytes.strip_prefix(&IDX) {
        let (count, labels) = rest.split_at_checked(4).ok_or("idx file: cut within its header")?;
        let count = u32::from_be_bytes([count[0], count[1], count[2], count[3]]) as usize;
        return match labels.len() == count {
            true => Ok(labels.iter().map(|&label| label.into()).collect()),
            false => Err(format!("idx file: {count} labels in {} bytes", labels.len())),
        };
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is neither an idx file of labels nor text")?;
    let label = |(at, line): (usize, &str)| {
        line.trim().parse().map_err(|_| format!("line {}: expected a whole number, got {line:?}", at + 1))
    };
    text.lines().enumerate().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idx_and_text_give_the_same_labels() {
        assert_eq!(parse(&[0, 0, 8, 1, 0, 0, 0, 2, 7, 3]), Ok(vec![7, 3]));
        assert_eq!(parse(b"7\n 3 \n"), Ok(vec![7, 3]));
    }

    #[test]
    fn what_is_no_label_is_named() {
        assert!(parse(&[0, 0, 8, 1, 0, 0, 0, 9, 7]).unwrap_err().contains("9 labels in 1 bytes"));
        assert!(parse(b"7\nthree\n").unwrap_err().contains("line 2"));
        assert!(parse(&[0xff, 0xfe]).is_err());
    }
}
