//! Resolution: pixels per inch or centimetre, as image files state it.

/// Pixels per unit, horizontal and vertical.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    /// Horizontal.
    pub x: f64,
    /// Vertical.
    pub y: f64,
    /// The unit of length.
    pub unit: Unit,
}

/// Units in which files state a resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// No unit: only the ratio of both numbers has a meaning.
    Ratio,
    /// Per inch.
    Inch,
    /// Per centimetre.
    Centimetre,
}

/// Centimetres per inch.
const INCH: f64 = 2.54;

impl Resolution {
    /// Returns the resolution, if both numbers are valid. A ratio of 1 without a unit is discarded: programs write it
    /// if they do not know the resolution.
    pub(super) fn new(x: f64, y: f64, unit: Unit) -> Option<Self> {
        let fits = |v: f64| v.is_finite() && v > 0.0 && v <= 1e7;
        (fits(x) && fits(y) && (unit != Unit::Ratio || x != y)).then_some(Self { x, y, unit })
    }

    /// Returns the resolution after rotation by the EXIF orientation.
    pub(super) fn upright(self, orientation: u8) -> Self {
        if (5..=8).contains(&orientation) { Self { x: self.y, y: self.x, ..self } } else { self }
    }

    /// Converts to pixels per centimetre, unless the unit is [`Unit::Ratio`].
    pub(super) fn per_centimetre(self) -> (f64, f64) {
        let by = if self.unit == Unit::Inch { INCH } else { 1.0 };
        (self.x / by, self.y / by)
    }

    /// Converts to pixels per inch, unless the unit is [`Unit::Ratio`].
    fn per_inch(self) -> (f64, f64) {
        let by = if self.unit == Unit::Centimetre { INCH } else { 1.0 };
        (self.x * by, self.y * by)
    }
}

/// Reads the density from the header of a JPEG.
///
/// # Source
/// JFIF 1.02: after the start marker, APP0 holds `JFIF\0`, the version, the unit (0 none, 1 inch, 2 centimetre) and the
/// two densities.
pub(super) fn of_jfif(bytes: &[u8]) -> Option<Resolution> {
    let head = bytes.get(..18)?;
    if head[..4] != [0xff, 0xd8, 0xff, 0xe0] || &head[6..11] != b"JFIF\0" {
        return None;
    }
    let number = |at: usize| f64::from(u16::from_be_bytes([head[at], head[at + 1]]));
    let unit = [Unit::Ratio, Unit::Inch, Unit::Centimetre].get(usize::from(head[13]))?;
    Resolution::new(number(14), number(16), *unit)
}

/// Converts a resolution to the density of a JPEG.
pub(super) fn for_jpeg(resolution: Resolution) -> image::codecs::jpeg::PixelDensity {
    use image::codecs::jpeg::{PixelDensity, PixelDensityUnit};
    let (x, y, unit) = match resolution.unit {
        Unit::Ratio => (resolution.x, resolution.y, PixelDensityUnit::PixelAspectRatio),
        // JPEG stores integers: pixels per inch are larger numbers than per centimetre, so rounding loses less.
        _ => (resolution.per_inch().0, resolution.per_inch().1, PixelDensityUnit::Inches),
    };
    let whole = |v: f64| v.round().clamp(1.0, 65535.0) as u16;
    PixelDensity { density: (whole(x), whole(y)), unit }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Format, read_image, write_image};
    use super::super::{Carrier, testing::example};
    use super::*;
    use crate::limits::Limits;
    use crate::sample::Depth;

    #[test]
    fn every_format_that_holds_a_resolution_keeps_it_and_passes_it_on() {
        let scan = Resolution { x: 300.0, y: 600.0, unit: Unit::Inch };
        for from in [Format::Png, Format::Jpeg, Format::Tiff] {
            let carrier = Carrier { resolution: Some(scan), ..Carrier::plain(from, Depth::U8) };
            let file = write_image(&example(1, 8, 9), &carrier, from, None).unwrap();
            let picture = read_image(&file, None, &Limits::default()).unwrap();
            for to in [Format::Png, Format::Jpeg, Format::Tiff] {
                let file = write_image(&picture.sample, &picture.carrier, to, None).unwrap();
                let kept = read_image(&file, None, &Limits::default()).unwrap().carrier.resolution.unwrap();
                let (x, y) = kept.per_inch();
                assert!((x - 300.0).abs() < 0.02 && (y - 600.0).abs() < 0.02, "{from} to {to}: {kept:?}");
            }
        }
    }

    #[test]
    fn what_is_no_resolution_is_none() {
        for (x, y) in [(0.0, 1.0), (f64::NAN, 1.0), (1.0, -1.0), (1e9, 1.0)] {
            assert_eq!(Resolution::new(x, y, Unit::Inch), None);
        }
        assert_eq!(super::super::png::resolution(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffabcd"), None);
        assert_eq!(of_jfif(b"\xff\xd8\xff\xe0"), None);
    }

    #[test]
    fn turning_an_image_turns_its_resolution() {
        let resolution = Resolution { x: 1.0, y: 2.0, unit: Unit::Ratio };
        assert_eq!((resolution.upright(6).x, resolution.upright(3).x), (2.0, 1.0));
    }
}
