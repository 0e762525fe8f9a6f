//! Fax: decodes 1-bit rows in run lengths of ITU-T T.4, which the `tiff` crate does not support, and encodes T.6.

use std::convert::Infallible;

use fax::decoder::Group3Decoder;
use fax::encoder::Encoder;
use fax::maps::{black, white};
use fax::{ByteReader, Color, VecWriter};

/// Decodes a strip of run lengths, in which each row begins at a whole byte, to packed rows, 1 for black.
///
/// # Source
/// TIFF 6.0, section 10 (compression 2).
pub(super) fn huffman(mut strip: &[u8], width: usize, height: usize) -> Option<Vec<u8>> {
    let mut rows = Vec::with_capacity(width.div_ceil(8) * height);
    for _ in 0..height {
        let (row, taken) = huffman_row(strip, width)?;
        rows.extend(row);
        strip = strip.get(taken..)?;
    }
    Some(rows)
}

/// Decodes one row, and returns the number of bytes it takes.
fn huffman_row(strip: &[u8], width: usize) -> Option<(Vec<u8>, usize)> {
    // The reader looks ahead a few bits, so zeros are appended.
    let mut reader = ByteReader::new(strip.iter().copied().chain([0; 4]).map(Ok::<u8, Infallible>)).ok()?;
    let (mut changes, mut at, mut color, mut bits) = (Vec::new(), 0, Color::White, 0usize);
    while at < width {
        let mut run = 0;
        loop {
            let part = match color {
                Color::White => white::decode(&mut reader)?,
                Color::Black => black::decode(&mut reader)?,
            };
            let code = match color {
                Color::White => white::encode(part)?,
                Color::Black => black::encode(part)?,
            };
            bits += usize::from(code.len);
            run += usize::from(part);
            if part < 64 {
                break;
            }
        }
        at += run;
        changes.push(at.min(width));
        color = !color;
    }
    (at == width).then(|| (row_of(&changes, width), bits.div_ceil(8)))
}

/// Decodes a strip of one-dimensional Group 3 rows to packed rows, 1 for black.
///
/// # Source
/// ITU-T T.4; TIFF 6.0, section 11 (compression 3).
pub(super) fn group3(strip: &[u8], width: usize, height: usize) -> Option<Vec<u8>> {
    let mut decoder = Group3Decoder::new(strip.iter().map(|&byte| Ok::<u8, Infallible>(byte))).ok()?;
    let mut rows = Vec::with_capacity(width.div_ceil(8) * height);
    for row in 0..height {
        let is_last = row + 1 == height;
        // The last row may end with the strip, without an end-of-line code.
        if decoder.advance().is_err() && !is_last {
            return None;
        }
        let changes: Vec<usize> = decoder.transitions().iter().map(|&at| usize::from(at)).collect();
        if changes.last() != Some(&width) {
            return None;
        }
        rows.extend(row_of(&changes, width));
    }
    Some(rows)
}

/// Packs a row from the positions at which its colour changes, white first.
fn row_of(changes: &[usize], width: usize) -> Vec<u8> {
    let mut row = vec![0u8; width.div_ceil(8)];
    for black in changes.chunks(2) {
        let end = black.get(1).copied().unwrap_or(width);
        (black[0]..end).for_each(|x| row[x / 8] |= 0x80 >> (x % 8));
    }
    row
}

/// Encodes rows of pixels in Group 4, `true` for black.
///
/// # Source
/// ITU-T T.6; TIFF 6.0, section 11 (compression 4).
pub(super) fn group4(pixels: &[bool], width: u16) -> Vec<u8> {
    let mut encoder = Encoder::new(VecWriter::new());
    for row in pixels.chunks(usize::from(width)) {
        let colors = row.iter().map(|&black| if black { Color::Black } else { Color::White });
        let Ok(()) = encoder.encode_line(colors, width);
    }
    let Ok(writer) = encoder.finish();
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_lengths_are_read_row_by_row() {
        // White 2 (0111), black 3 (10), white 3 (1000); white 8 (10011).
        let strip = [0b0111_1010, 0b0000_0000, 0b1001_1000];
        assert_eq!(huffman(&strip[..1], 8, 1), None);
        assert_eq!(huffman(&strip, 8, 2), Some(vec![0b0011_1000, 0]));
        assert_eq!(huffman(&strip[..2], 8, 2), None);
    }

    #[test]
    fn changes_of_colour_become_bits() {
        assert_eq!(row_of(&[0, 3, 8], 8), [0b1110_0000]);
        assert_eq!(row_of(&[8], 8), [0]);
        assert_eq!(row_of(&[4, 8], 8), [0x0f]);
    }
}
