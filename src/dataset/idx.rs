//! MNIST's idx format: a stack of 8-bit gray images.
//!
//! # Format
//! Big-endian words: magic 0x00000803, count, rows, columns; then the bytes (Y. LeCun, C. Cortes,
//! C. Burges, "The MNIST database of handwritten digits").

use crate::limits::Limits;
use crate::sample::{Sample, Shape};

/// Magic number: two zeros, type 8 (unsigned byte), number of axes.
const IMAGES: [u8; 4] = [0, 0, 8, 3];
const LABELS: [u8; 4] = [0, 0, 8, 1];
/// Bytes before the pixels.
const HEADER: usize = 16;

/// Returns `true` for an idx file of images or labels.
pub(super) fn is_idx(bytes: &[u8]) -> bool {
    bytes.starts_with(&IMAGES) || bytes.starts_with(&LABELS)
}

/// Returns count, height and width of the images after checking the file size, or an error message.
pub(super) fn extents(bytes: &[u8], limits: &Limits) -> Result<(usize, usize, usize), String> {
    if bytes.starts_with(&LABELS) {
        return Err("is an idx file of labels, which are not samples".to_owned());
    }
    let word = |i: usize| {
        let four = bytes.get(4 * i..4 * i + 4).ok_or("idx file: cut within its header")?;
        Ok::<_, String>(u32::from_be_bytes([four[0], four[1], four[2], four[3]]) as usize)
    };
    let (count, height, width) = (word(1)?, word(2)?, word(3)?);
    let area = height.saturating_mul(width);
    if height.max(width) > limits.image_side || area > limits.image_pixels {
        return Err(format!("idx file: images of {width}x{height} are over the limit"));
    }
    let pixels = bytes.len() - HEADER;
    if area == 0 || count == 0 || pixels != count.saturating_mul(area) {
        return Err(format!("idx file: {count} images of {width}x{height} in {pixels} bytes"));
    }
    Ok((count, height, width))
}

/// Reads the images of an idx file, scaled to [0, 1], or returns an error message.
pub(super) fn read_idx(bytes: &[u8], limits: &Limits) -> Result<Vec<Sample>, String> {
    let (_, height, width) = extents(bytes, limits)?;
    let image = |pixels: &[u8]| {
        let data = pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        Sample::new(Shape::image(1, height, width), data).map_err(|e| e.to_string())
    };
    bytes[HEADER..].chunks_exact(height * width).map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(count: u32, height: u32, width: u32, pixels: &[u8]) -> Vec<u8> {
        let words = [count, height, width].map(u32::to_be_bytes).concat();
        [&IMAGES[..], &words, pixels].concat()
    }

    #[test]
    fn images_are_read_in_order_on_0_to_1() {
        let images = read_idx(&file(2, 1, 2, &[0, 255, 51, 102]), &Limits::default()).unwrap();
        assert_eq!(images.len(), 2);
        assert_eq!(images[0].data(), [0.0, 1.0]);
        assert_eq!(images[1].data(), [0.2, 0.4]);
        assert_eq!(images[1].shape(), Shape::image(1, 1, 2));
    }

    #[test]
    fn a_header_that_lies_is_refused_without_allocating() {
        let limits = Limits::default();
        for (count, height, width) in
            [(3, 1, 2), (u32::MAX, u32::MAX, u32::MAX), (0, 1, 2), (2, 0, 2), (u32::MAX, 1, 1)]
        {
            assert!(read_idx(&file(count, height, width, &[1, 2, 3, 4]), &limits).is_err());
        }
        let whole = file(2, 1, 2, &[1, 2, 3, 4]);
        for cut in 4..whole.len() {
            assert!(read_idx(&whole[..cut], &limits).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn labels_are_not_samples() {
        let bytes = [0, 0, 8, 1, 0, 0, 0, 1, 7];
        assert!(is_idx(&bytes) && read_idx(&bytes, &Limits::default()).unwrap_err().contains("labels"));
    }
}
