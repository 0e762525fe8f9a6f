//! PNG: its chunks, parsed separately from the decoder, and 1-bit images, which the `image` crate cannot write.

use super::super::{Error, Result};
use super::resolution::{Resolution, Unit};

/// Length of signature and header chunk, in bytes.
const HEAD: usize = 8 + 25;

/// Chunks of colour space and text, which are copied to the result unchanged.
const KEPT: [&[u8; 4]; 9] = [b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"tEXt", b"zTXt", b"iTXt"];

/// Maximum total size of copied chunks, in bytes; chunks beyond it are dropped.
const MOST_KEPT: usize = 16 << 20;

/// Iterates over kind and body of the chunks of a file, up to the first truncated one.
pub(super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let (body, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after.get(4..)?;
        Some((kind, body))
    })
}

/// Returns the chunks that are copied from file to file.
pub(super) fn kept(bytes: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut room = MOST_KEPT;
    let fits = |body: &[u8]| {
        let fits = body.len() <= room;
        room -= if fits { body.len() } else { 0 };
        fits
    };
    let kept = chunks(bytes).filter(|(kind, _)| KEPT.contains(kind));
    let mut fits = fits;
    kept.filter(|(_, body)| fits(body)).map(|(kind, body)| (*kind, body.to_vec())).collect()
}

/// Inserts a chunk after the header of a file.
pub(super) fn put(file: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    let checked = [&kind[..], body].concat();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let chunk = [&length[..], &checked, &crc32fast::hash(&checked).to_be_bytes()].concat();
    file.splice(HEAD..HEAD, chunk);
}

/// Reads the resolution of a file.
///
/// # Source
/// PNG, third edition, 11.3.4.3: pHYs holds pixels per unit, horizontal and vertical, and the unit: metre or unknown.
pub(super) fn resolution(bytes: &[u8]) -> Option<Resolution> {
    let (_, body) =
        chunks(bytes).take_while(|(kind, _)| *kind != b"IDAT").find(|(kind, _)| *kind == b"pHYs")?;
    let [x, y, unit] = [body.get(..4)?, body.get(4..8)?, body.get(8..9)?];
    let number = |word: &[u8]| word.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
    let (unit, by) = if unit == [1] { (Unit::Centimetre, 100.0) } else { (Unit::Ratio, 1.0) };
    Resolution::new(f64::from(number(x)) / by, f64::from(number(y)) / by, unit)
}

/// Inserts a resolution after the header of a file.
pub(super) fn put_resolution(file: &mut Vec<u8>, resolution: Resolution) {
    let (x, y) = resolution.per_centimetre();
    let (by, unit) = if resolution.unit == Unit::Ratio { (1.0, 0) } else { (100.0, 1) };
    let whole = |v: f64| ((v * by).round() as u32).max(1).to_be_bytes();
    put(file, b"pHYs", &[&whole(x)[..], &whole(y), &[unit]].concat());
}

/// Encodes a 1-bit image, `true` for white.
///
/// # Errors
/// [`Error::Unsupported`] if the encoder fails.
pub(super) fn of_bits(pixels: &[bool], width: u32, height: u32) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let rows = packed(pixels, width as usize);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&rows)?;
        writer.finish()
    });
    written.map_err(|e| Error::unsupported(format!("PNG cannot hold this image: {e}")))?;
    Ok(file)
}

/// Packs rows of pixels into bits, highest first; each row starts at a whole byte.
pub(super) fn packed(pixels: &[bool], width: usize) -> Vec<u8> {
    let byte =
        |eight: &[bool]| eight.iter().enumerate().fold(0, |byte, (i, &on)| byte | u8::from(on) << (7 - i));
    pixels.chunks(width).flat_map(|row| row.chunks(8).map(byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_kept_and_put_back() {
        let mut file = of_bits(&[true, false, true], 3, 1).unwrap();
        put(&mut file, b"gAMA", &45455u32.to_be_bytes());
        put(&mut file, b"abCd", &[1, 2]);
        assert_eq!(kept(&file), [(*b"gAMA", 45455u32.to_be_bytes().to_vec())]);
        for end in 0..file.len() {
            let _ = (kept(&file[..end]), resolution(&file[..end]));
        }
    }

    #[test]
    fn rows_of_bits_end_at_bytes() {
        assert_eq!(packed(&[true, false, true, true, true, false], 3), [0b1010_0000, 0b1100_0000]);
    }
}
