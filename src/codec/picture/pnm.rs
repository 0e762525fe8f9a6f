//! Netpbm, written here: the `image` crate writes everything as PAM, which few programs read, and knows no
//! gray with opacity.

use super::super::Result;
use super::Depth;
use super::plane::{extents, join};
use crate::sample::Sample;

/// `sample` as binary PGM or PPM, or as PAM if it has opacity, of 8 or 16 bits.
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
}
