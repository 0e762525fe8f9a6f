//! Resolution: how many pixels an image has to the inch or centimetre, as files state it.

use super::super::Format;

/// Pixels per unit, across and down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    /// Across.
    pub x: f64,
    /// Down.
    pub y: f64,
    /// The unit of length.
    pub unit: Unit,
}

/// Units of length that files state a resolution in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// No unit: only the ratio of both numbers means something.
    Ratio,
    /// Per inch.
    Inch,
    /// Per centimetre.
    Centimetre,
}

/// Centimetres of an inch.
const INCH: f64 = 2.54;

impl Resolution {
    /// The resolution, if both numbers can be one. Square pixels of no size are none: those who know nothing write
    /// that.
    pub(super) fn new(x: f64, y: f64, unit: Unit) -> Option<Self> {
        let fits = |v: f64| v.is_finite() && v > 0.0 && v <= 1e7;
        (fits(x) && fits(y) && (unit != Unit::Ratio || x != y)).then_some(Self { x, y, unit })
    }

    /// That of the image turned upright, by its EXIF orientation.
    pub(super) fn upright(self, orientation: u8) -> Self {
        if (5..=8).contains(&orientation) { Self { x: self.y, y: self.x, ..self } } else { self }
    }

    /// Per centimetre, where the unit is one of length.
    fn per_centimetre(self) -> (f64, f64) {
        let by = if self.unit == Unit::Inch { INCH } else { 1.0 };
        (self.x / by, self.y / by)
    }

    /// Per inch, where the unit is one of length.
    fn per_inch(self) -> (f64, f64) {
        let by = if self.unit == Unit::Centimetre { INCH } else { 1.0 };
        (self.x * by, self.y * by)
    }
}

/// What a PNG, JPEG or other file states, if it does; TIFF has its own reader.
pub(super) fn read(bytes: &[u8], format: Format) -> Option<Resolution> {
    match format {
        Format::Png => read_png(bytes),
        Format::Jpeg => read_jpeg(bytes),
        _ => None,
    }
}

/// # Source
/// PNG, third edition, 11.3.4.3: pHYs holds pixels per metre across and down, and whether the metre is meant.
fn read_png(bytes: &[u8]) -> Option<Resolution> {
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
        let kind = bytes.get(at + 4..at + 8)?;
        if kind == b"IDAT" {
            return None;
        }
        if kind == b"pHYs" && length == 9 {
            let body = bytes.get(at + 8..at + 17)?;
            let number = |at: usize| u32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
            let (unit, by) = if body[8] == 1 { (Unit::Centimetre, 100.0) } else { (Unit::Ratio, 1.0) };
            return Resolution::new(f64::from(number(0)) / by, f64::from(number(4)) / by, unit);
        }
        at = at.checked_add(length)?.checked_add(12)?;
    }
}

/// Puts a pHYs chunk behind the header of a PNG.
pub(super) fn put_png(file: &mut Vec<u8>, resolution: Resolution) {
    /// The signature and the header chunk.
    const HEAD: usize = 8 + 25;
    let (x, y) = resolution.per_centimetre();
    let (by, unit) = if resolution.unit == Unit::Ratio { (1.0, 0) } else { (100.0, 1) };
    let whole = |v: f64| ((v * by).round() as u32).max(1).to_be_bytes();
    let body = [&b"pHYs"[..], &whole(x), &whole(y), &[unit]].concat();
    let chunk = [&9u32.to_be_bytes()[..], &body, &crc32fast::hash(&body).to_be_bytes()].concat();
    file.splice(HEAD..HEAD, chunk);
}

/// # Source
/// JFIF 1.02: behind the start marker APP0 holds `JFIF\0`, the version, the unit (0 none, 1 inch, 2 centimetre)
/// and the two densities.
fn read_jpeg(bytes: &[u8]) -> Option<Resolution> {
    let head = bytes.get(..18)?;
    if head[..4] != [0xff, 0xd8, 0xff, 0xe0] || &head[6..11] != b"JFIF\0" {
        return None;
    }
    let number = |at: usize| f64::from(u16::from_be_bytes([head[at], head[at + 1]]));
    let unit = [Unit::Ratio, Unit::Inch, Unit::Centimetre].get(usize::from(head[13]))?;
    Resolution::new(number(14), number(16), *unit)
}

/// The density that a JPEG states.
pub(super) fn for_jpeg(resolution: Resolution) -> image::codecs::jpeg::PixelDensity {
    use image::codecs::jpeg::{PixelDensity, PixelDensityUnit};
    let (x, y, unit) = match resolution.unit {
        Unit::Ratio => (resolution.x, resolution.y, PixelDensityUnit::PixelAspectRatio),
        // Whole numbers only: an inch holds more of them.
        _ => (resolution.per_inch().0, resolution.per_inch().1, PixelDensityUnit::Inches),
    };
    let whole = |v: f64| v.round().clamp(1.0, 65535.0) as u16;
    PixelDensity { density: (whole(x), whole(y)), unit }
}

#[cfg(test)]
mod tests {
    use super::super::super::{read_image, write_image};
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
        assert_eq!(read(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffabcd", Format::Png), None);
        assert_eq!(read(b"\xff\xd8\xff\xe0", Format::Jpeg), None);
    }

    #[test]
    fn turning_an_image_turns_its_resolution() {
        let resolution = Resolution { x: 1.0, y: 2.0, unit: Unit::Ratio };
        assert_eq!((resolution.upright(6).x, resolution.upright(3).x), (2.0, 1.0));
    }
}
