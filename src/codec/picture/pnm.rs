//! Netpbm writer: the `image` crate writes all images as PAM, which few programs read, and does not support gray with
//! opacity. Its decoder stops after the first image; this module checks that no other image follows.

use super::super::{Error, Result};
use super::Depth;
use super::plane::{extents, join};
use crate::sample::Sample;

/// Encodes `sample` as binary PGM or PPM, or as PAM if it has opacity, with 8 or 16 bits.
///
/// # Source
/// The netpbm manual, pages pgm(5), ppm(5) and pam(5): 16-bit values are big-endian.
pub(super) fn write(sample: &Sample, alpha: Option<&Sample>, depth: Depth) -> Result<Vec<u8>> {
    let (channels, height, width) = extents(sample)?;
    let most = if depth == Depth::U8 { 255 } else { 65535 };
    let mut file = match (channels, alpha) {
        (1, None) => format!("P5\n{width} {height}\n{most}\n"),
        (_, None) => format!("P6\n{width} {height}\n{most}\n"),
        (_, Some(_)) => {
            let (bands, kind) = if channels == 1 { (2, "GRAYSCALE_ALPHA") } else { (4, "RGB_ALPHA") };
            format!(
                "P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {bands}\nMAXVAL {most}\nTUPLTYPE {kind}\nENDHDR\n"
            )
        }
    }
    .into_bytes();
    match depth {
        Depth::U8 => file.extend_from_slice(&join(sample, alpha)),
        _ => file.extend(join(sample, alpha).iter().flat_map(|v: &u16| v.to_be_bytes())),
    }
    Ok(file)
}

/// Encodes `pixels` as binary PBM, `true` for white.
pub(super) fn of_bits(pixels: &[bool], width: u32, height: u32) -> Vec<u8> {
    // PBM stores ink as 1.
    let ink: Vec<bool> = pixels.iter().map(|white| !white).collect();
    [format!("P4\n{width} {height}\n").into_bytes(), super::png::packed(&ink, width as usize)].concat()
}

/// Checks that a file holds only one image.
///
/// # Errors
/// [`Error::Unsupported`] if another image follows the first.
pub(super) fn check_alone(bytes: &[u8]) -> Result<()> {
    let Some(end) = end_of_first(bytes) else { return Ok(()) };
    let rest = bytes.get(end..).unwrap_or_default().trim_ascii_start();
    if matches!(rest, [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace()) {
        return Err(Error::unsupported(
            "a PNM with several images is not accepted; send each alone (pnmsplit in.pnm out%d.pnm), or all as a TIFF",
        ));
    }
    Ok(())
}

/// Returns the offset after the first image; for text formats, the offset where another image seems to begin, if any.
fn end_of_first(bytes: &[u8]) -> Option<usize> {
    let kind = *bytes.get(1)?;
    let mut at = 2;
    let mut word = || -> Option<&[u8]> {
        loop {
            match bytes.get(at)? {
                b'#' => at += bytes[at..].iter().position(|b| *b == b'\n')?,
                space if space.is_ascii_whitespace() => at += 1,
                _ => break,
            }
        }
        let length = bytes[at..].iter().position(u8::is_ascii_whitespace)?;
        at += length;
        Some(&bytes[at - length..at])
    };
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<usize>().ok();
    let (row, height) = match kind {
        b'1'..=b'3' => {
            // Text formats have no letters after the header, so a letter `P` starts the next image.
            let _ = (word()?, word()?);
            return bytes[at..]
                .windows(2)
                .position(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'P')
                .map(|p| at + p);
        }
        b'4' => (number(word()?)?.div_ceil(8), number(word()?)?),
        b'5' | b'6' => {
            let (width, height, most) = (number(word()?)?, number(word()?)?, number(word()?)?);
            let bytes = if most > 255 { 2 } else { 1 } * if kind == b'6' { 3 } else { 1 };
            (width.checked_mul(bytes)?, height)
        }
        b'7' => {
            let (mut sizes, mut most) = ([0, 0, 0], 0);
            loop {
                match word()? {
                    b"WIDTH" => sizes[0] = number(word()?)?,
                    b"HEIGHT" => sizes[1] = number(word()?)?,
                    b"DEPTH" => sizes[2] = number(word()?)?,
                    b"MAXVAL" => most = number(word()?)?,
                    b"ENDHDR" => break,
                    _ => {}
                }
            }
            (sizes[0].checked_mul(sizes[2])?.checked_mul(if most > 255 { 2 } else { 1 })?, sizes[1])
        }
        _ => return None,
    };
    (at + 1).checked_add(row.checked_mul(height)?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::example;
    use super::*;

    #[test]
    fn gray_is_pgm_colour_is_ppm_and_opacity_is_pam() {
        let ones = Sample::from_bytes(crate::sample::Shape::image(1, 2, 3), vec![255; 6]).unwrap();
        let opaque = Some(&ones);
        for (channels, alpha, magic) in
            [(1, None, b"P5"), (3, None, b"P6"), (1, opaque, b"P7"), (3, opaque, b"P7")]
        {
            let file = write(&example(channels, 2, 3), alpha, Depth::U8).unwrap();
            assert_eq!(&file[..2], magic);
        }
    }

    #[test]
    fn sixteen_bits_are_big_endian() {
        let file = write(&example(1, 1, 1), None, Depth::U16).unwrap();
        // 11 of 255 is 2827 of 65535.
        assert_eq!(file, b"P5\n1 1\n65535\n\x0b\x0b");
    }

    #[test]
    fn a_second_image_in_a_file_is_refused() {
        let files = [
            &b"P5\n# P5 \n2 1\n255\nab"[..],
            b"P5 2 1 65535\nabcd",
            b"P6\n1 1\n255\nabc",
            b"P4\n9 1\nab",
            b"P2\n2 1\n9\n1 2\n",
            b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\nab",
        ];
        for file in files {
            assert_eq!(check_alone(file), Ok(()), "{file:?}");
            assert_eq!(check_alone(&[file, b"\n"].concat()), Ok(()), "{file:?}");
            assert!(check_alone(&[file, b"\n", file].concat()).is_err(), "{file:?}");
            (0..file.len()).for_each(|end| assert_eq!(check_alone(&file[..end]), Ok(())));
        }
    }

    #[test]
    fn bits_are_ink() {
        assert_eq!(of_bits(&[true, false, true], 3, 1), b"P4\n3 1\n\x40");
    }
}
