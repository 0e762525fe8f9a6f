//! Encoding of image files.

use std::io::Cursor;

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageResult};

use super::super::{Error, Format, Result};
use super::plane::{extents, join};
use super::read::{one_line, profile_fits};
use super::tag::Tag;
use super::{Carrier, Numbers, Origin, jpeg, png, pnm, resolution, tiff};
use crate::sample::{Depth, Sample};

/// JPEG quality, of 1..=100: high enough that JPEG blocks are not mistaken for artifacts of the model.
pub const JPEG_QUALITY: u8 = 90;

/// Encodes `sample` as a file of `format`, with the contents of `carrier` restored: opacity, profile, resolution and
/// EXIF in every format that supports them; text chunks, segments and tags only in a file of the format they came from.
///
/// # Depth
/// `depth`, or the depth of the carrier, as far as the format supports it: PNG and PNM support 8 and 16 bits (float
/// becomes 16), TIFF all three, JPEG and lossless WebP 8. Integer depths clamp to [0, 1] and round half away from zero.
/// If `depth` is `None`, 1-bit images are written as such in PNG, PNM and TIFF, and a TIFF keeps signed, wide or double numbers.
///
/// # Lost contents
/// PNM has no profile; PNM and WebP have no resolution; WebP stores gray as colour. A profile of another colour model
/// than the sample's is dropped. With opacity, PNM is written as PAM.
///
/// # Errors
/// [`Error::Shape`] for anything but images of 1 or 3 channels, or opacity of another size; [`Error::Unsupported`] if
/// the format cannot hold the image (WebP beyond 16383 pixels a side, transparency in JPEG).
pub fn write_image(
    sample: &Sample,
    carrier: &Carrier,
    format: Format,
    depth: Option<Depth>,
) -> Result<Vec<u8>> {
    write_images(&[(sample, carrier)], format, depth)
}

/// Encodes several images as the pages of a TIFF, or one image as a file of any format, see [`write_image`].
///
/// # Errors
/// Also [`Error::Unsupported`] for several images in another format.
pub fn write_images(pages: &[(&Sample, &Carrier)], format: Format, depth: Option<Depth>) -> Result<Vec<u8>> {
    let pages = pages.iter().map(|(sample, carrier)| Page::new(sample, carrier, format, depth));
    let pages = pages.collect::<Result<Vec<_>>>()?;
    match (format, pages.as_slice()) {
        (Format::Tiff, pages) => tiff::write(pages),
        (Format::Pnm, [page]) => page.to_pnm(),
        (_, [page]) => page.encode(format),
        (format, pages) => {
            let what = format!("{format} holds one image, not {}; ask for image/tiff", pages.len());
            Err(Error::unsupported(what))
        }
    }
}

/// Returns the depth that a file of `format` uses if `depth` is requested: the highest supported one up to `depth`, so
/// float becomes 16 bits in formats without float.
pub fn held_depth(format: Format, depth: Depth) -> Depth {
    format.depths().iter().copied().rev().find(|held| *held <= depth).unwrap_or(Depth::U8)
}

/// An image prepared for encoding.
pub(super) struct Page<'a> {
    pub(super) sample: &'a Sample,
    pub(super) alpha: Option<&'a Sample>,
    pub(super) is_premultiplied: bool,
    pub(super) icc: Option<&'a [u8]>,
    pub(super) resolution: Option<resolution::Resolution>,
    exif: Option<&'a [u8]>,
    pub(super) origin: &'a Origin,
    pub(super) depth: Depth,
    /// Storage type; plain if another depth is requested.
    pub(super) numbers: Numbers,
    pub(super) channels: usize,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl<'a> Page<'a> {
    fn new(sample: &'a Sample, carrier: &'a Carrier, format: Format, depth: Option<Depth>) -> Result<Self> {
        let (channels, height, width) = extents(sample)?;
        if format == Format::Jpeg && !carrier.is_opaque() {
            return Err(Error::unsupported(
                "JPEG cannot hold opacity; ask for PNG, WebP or TIFF, or flatten it first",
            ));
        }
        let alpha = carrier.alpha.as_ref().filter(|_| format != Format::Jpeg);
        if let Some(alpha) = alpha.filter(|alpha| alpha.shape().numbers() != width * height) {
            return Err(Error::shape(format!("opacity of {width}x{height} pixels"), alpha.shape()));
        }
        let is_bit = carrier.numbers == Numbers::Bit && alpha.is_none();
        let holds = match format {
            Format::Png | Format::Pnm => is_bit,
            Format::Tiff => {
                is_bit || carrier.numbers != Numbers::Bit && channels == 1 || carrier.numbers == Numbers::F64
            }
            _ => false,
        };
        let numbers = if depth.is_none() && holds { carrier.numbers } else { Numbers::Plain };
        let is_gray = channels == 1 || numbers == Numbers::Bit;
        let icc = carrier
            .icc
            .as_deref()
            .filter(|profile| profile_fits(profile, if is_gray { 1 } else { channels }));
        let side = |n| u32::try_from(n).map_err(|_| Error::shape("sides below 2^32", n));
        Ok(Self {
            sample,
            alpha,
            is_premultiplied: carrier.is_premultiplied && alpha.is_some(),
            icc,
            resolution: carrier.resolution,
            exif: carrier.exif.as_deref(),
            origin: &carrier.origin,
            depth: held_depth(format, depth.unwrap_or(carrier.depth)),
            numbers,
            channels,
            width: side(width)?,
            height: side(height)?,
        })
    }

    /// Returns the pixels as bits, `true` for the lighter half of the brightness (BT.601).
    pub(super) fn bits(&self) -> Vec<bool> {
        let pixels = join::<u8>(self.sample, None);
        match self.channels {
            1 => pixels.iter().map(|v| *v >= 128).collect(),
            _ => {
                let luma = |v: &[u8]| 299 * u32::from(v[0]) + 587 * u32::from(v[1]) + 114 * u32::from(v[2]);
                pixels.chunks_exact(3).map(|pixel| luma(pixel) >= 127_500).collect()
            }
        }
    }

    /// Returns the EXIF block, or one built from the TIFF tags.
    fn exif(&self) -> Option<Vec<u8>> {
        match (self.exif, self.origin) {
            (Some(block), _) => Some(block.to_vec()),
            (None, Origin::Tiff { tags, .. }) => Tag::to_exif(tags),
            (None, Origin::Plain | Origin::Png(_) | Origin::Jpeg(_)) => None,
        }
    }

    /// Returns the TIFF tags, or those of the EXIF block.
    pub(super) fn tags(&self) -> Vec<Tag> {
        match (self.origin, self.exif) {
            (Origin::Tiff { tags, .. }, _) => tags.clone(),
            (_, Some(block)) => Tag::of_exif(block),
            (_, None) => Vec::new(),
        }
    }

    /// Returns the colours, divided by the opacity if they are premultiplied, for formats without premultiplied
    /// opacity.
    fn straight(&self) -> Result<std::borrow::Cow<'a, Sample>> {
        match self.alpha {
            Some(alpha) if self.is_premultiplied => {
                let opacity = alpha.data();
                let mut color = self.sample.data().to_vec();
                for plane in color.chunks_mut(opacity.len()) {
                    plane.iter_mut().zip(opacity).for_each(|(v, a)| *v = if *a > 0.0 { *v / a } else { 0.0 });
                }
                Ok(std::borrow::Cow::Owned(
                    Sample::new(self.sample.shape(), color)?.with_gaps_of(self.sample),
                ))
            }
            _ => Ok(std::borrow::Cow::Borrowed(self.sample)),
        }
    }

    fn to_pnm(&self) -> Result<Vec<u8>> {
        match self.numbers {
            Numbers::Bit => Ok(pnm::of_bits(&self.bits(), self.width, self.height)),
            _ => pnm::write(self.straight()?.as_ref(), self.alpha, self.depth),
        }
    }

    /// Encodes the file with the `image` crate.
    fn encode(&self, format: Format) -> Result<Vec<u8>> {
        // Noise hardly compresses: the file is nearly as large as its pixels, and growing the buffer would copy it.
        let mut file = Vec::with_capacity(self.sample.shape().numbers() * self.depth.bytes() + 1024);
        let out = Cursor::new(&mut file);
        let straight = self.straight()?;
        let written = match format {
            Format::Png if self.numbers == Numbers::Bit => {
                drop(straight);
                return self.png_of_bits();
            }
            Format::Png => self.encode_by(PngEncoder::new(out), &straight, self.icc),
            Format::Jpeg => {
                let mut encoder = JpegEncoder::new_with_quality(out, JPEG_QUALITY);
                self.resolution.into_iter().for_each(|r| encoder.set_pixel_density(resolution::for_jpeg(r)));
                self.encode_by(encoder, &straight, self.icc)
            }
            // WebP always stores colour, so only an RGB profile fits.
            Format::WebP => {
                let icc = self.icc.filter(|profile| profile_fits(profile, 3));
                self.encode_by(WebPEncoder::new_lossless(out), &straight, icc)
            }
            other => return Err(Error::unsupported(format!("{other} is not an image format"))),
        };
        written.map_err(|error| {
            Error::unsupported(format!("{format} cannot hold this image: {}", one_line(&error.to_string())))
        })?;
        match (format, self.origin) {
            (Format::Png, _) => self.finish_png(&mut file),
            (Format::Jpeg, Origin::Jpeg(segments)) => jpeg::put(&mut file, segments),
            _ => {}
        }
        Ok(file)
    }

    fn png_of_bits(&self) -> Result<Vec<u8>> {
        let mut file = png::of_bits(&self.bits(), self.width, self.height)?;
        if let Some(block) = self.exif() {
            png::put(&mut file, b"eXIf", &block);
        }
        self.finish_png(&mut file);
        Ok(file)
    }

    /// Inserts into a PNG the chunks that the encoder does not support.
    fn finish_png(&self, file: &mut Vec<u8>) {
        self.resolution.into_iter().for_each(|resolution| png::put_resolution(file, resolution));
        if let Origin::Png(chunks) = self.origin {
            // A profile is more precise than an sRGB chunk, and PNG does not allow both.
            let fits = |kind: &[u8; 4]| kind != b"sRGB" || self.icc.is_none();
            // Each chunk is inserted directly after the header, so the reverse order keeps the original one.
            chunks
                .iter()
                .rev()
                .filter(|(kind, _)| fits(kind))
                .for_each(|(kind, body)| png::put(file, kind, body));
        }
    }

    fn encode_by(
        &self,
        mut encoder: impl ImageEncoder,
        sample: &Sample,
        icc: Option<&[u8]>,
    ) -> ImageResult<()> {
        use ExtendedColorType::{L8, L16, La8, La16, Rgb8, Rgb16, Rgba8, Rgba16};
        if let Some(profile) = icc {
            encoder.set_icc_profile(profile.to_vec()).map_err(ImageError::Unsupported)?;
        }
        if let Some(block) = self.exif() {
            encoder.set_exif_metadata(block).map_err(ImageError::Unsupported)?;
        }
        let has_alpha = self.alpha.is_some();
        if self.depth == Depth::U8 {
            let color = match (self.channels, has_alpha) {
                (1, false) => L8,
                (1, true) => La8,
                (_, false) => Rgb8,
                (_, true) => Rgba8,
            };
            return encoder.write_image(&join(sample, self.alpha), self.width, self.height, color);
        }
        let color = match (self.channels, has_alpha) {
            (1, false) => L16,
            (1, true) => La16,
            (_, false) => Rgb16,
            (_, true) => Rgba16,
        };
        // Encoders take native byte order.
        let words = join::<u16>(sample, self.alpha);
        let bytes: Vec<u8> = words.iter().flat_map(|v| v.to_ne_bytes()).collect();
        encoder.write_image(&bytes, self.width, self.height, color)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::read_image;
    use super::super::testing::{example, profile};
    use super::*;
    use crate::limits::Limits;
    use crate::sample::{Number, Shape};

    const IMAGES: [Format; 5] = [Format::Png, Format::Jpeg, Format::Tiff, Format::WebP, Format::Pnm];
    const DEPTHS: [Depth; 3] = [Depth::U8, Depth::U16, Depth::F32];

    fn read(bytes: &[u8]) -> super::super::Picture {
        read_image(bytes, None, &Limits::default()).unwrap()
    }

    /// Returns the values of a sample after rounding to `depth`.
    fn on_grid(sample: &Sample, depth: Depth) -> Vec<f32> {
        let round = |&v: &f32| match depth {
            Depth::U8 => u8::from_f32(v).to_f32(),
            Depth::U16 => u16::from_f32(v).to_f32(),
            Depth::F32 => v,
        };
        sample.data().iter().map(round).collect()
    }

    #[test]
    fn lossless_formats_keep_every_value_at_every_depth() {
        for format in [Format::Png, Format::Tiff, Format::Pnm, Format::WebP] {
            for depth in DEPTHS {
                for channels in [1, 3] {
                    let sample = example(channels, 5, 7);
                    let carrier = Carrier::plain(format, depth);
                    let picture = read(&write_image(&sample, &carrier, format, None).unwrap());
                    let held = held_depth(format, depth);
                    let expected = on_grid(&sample, held);
                    let seen = &picture.sample.data()[..expected.len()];
                    assert_eq!(
                        (seen, picture.carrier.depth),
                        (&expected[..], held),
                        "{format} {depth:?} {channels}"
                    );
                    let kept = if format == Format::WebP { 3 } else { channels };
                    assert_eq!(picture.sample.shape(), Shape::image(kept, 5, 7), "{format}");
                }
            }
        }
    }

    #[test]
    fn jpeg_keeps_gray_gray_and_comes_near() {
        for channels in [1, 3] {
            let data = (0..channels * 32 * 32).map(|i| (i % 32) as f32 / 64.0 + 0.2).collect();
            let sample = Sample::new(Shape::image(channels, 32, 32), data).unwrap();
            let carrier = Carrier::plain(Format::Png, Depth::U16);
            let picture = read(&write_image(&sample, &carrier, Format::Jpeg, None).unwrap());
            assert_eq!((picture.sample.shape(), picture.carrier.depth), (sample.shape(), Depth::U8));
            let error =
                sample.data().iter().zip(picture.sample.data()).map(|(a, b)| (a - b).abs()).sum::<f32>();
            assert!(error / (sample.data().len() as f32) < 0.02, "{error}");
        }
    }

    #[test]
    fn opacity_is_put_back_where_the_format_holds_it() {
        let alpha = Sample::from_bytes(Shape::image(1, 2, 3), (0..6).map(|i| i * 51).collect()).unwrap();
        for format in [Format::Png, Format::Tiff, Format::WebP, Format::Pnm] {
            for channels in [1, 3] {
                for depth in [Depth::U8, Depth::U16] {
                    let carrier = Carrier { alpha: Some(alpha.clone()), ..Carrier::plain(format, depth) };
                    let picture =
                        read(&write_image(&example(channels, 2, 3), &carrier, format, None).unwrap());
                    assert_eq!(picture.carrier.alpha.as_ref(), Some(&alpha), "{format} {channels} {depth:?}");
                }
            }
        }
        let to_jpeg = |alpha| {
            let carrier = Carrier { alpha: Some(alpha), ..Carrier::plain(Format::Jpeg, Depth::U8) };
            write_image(&example(3, 2, 3), &carrier, Format::Jpeg, None)
        };
        assert!(to_jpeg(alpha).unwrap_err().to_string().contains("opacity"));
        let opaque = Sample::from_bytes(Shape::image(1, 2, 3), vec![255; 6]).unwrap();
        assert_eq!(read(&to_jpeg(opaque).unwrap()).carrier.alpha, None);
    }

    #[test]
    fn opacity_of_another_size_is_refused() {
        let alpha = Sample::from_bytes(Shape::image(1, 1, 5), vec![255; 5]).ok();
        let carrier = Carrier { alpha, ..Carrier::plain(Format::Png, Depth::U8) };
        let result = write_image(&example(1, 2, 3), &carrier, Format::Png, None);
        assert!(matches!(result, Err(Error::Shape { .. })));
    }

    #[test]
    fn profiles_of_the_same_colour_model_are_carried_over() {
        for format in [Format::Png, Format::Jpeg, Format::Tiff, Format::WebP] {
            for (space, channels) in [(b"RGB ", 3), (b"GRAY", 1)] {
                let icc = Some(profile(space));
                let carrier = Carrier { icc: icc.clone(), ..Carrier::plain(format, Depth::U8) };
                let kept = read(&write_image(&example(channels, 3, 3), &carrier, format, None).unwrap());
                let expected = icc.filter(|_| (format, channels) != (Format::WebP, 1));
                assert_eq!(kept.carrier.icc, expected, "{format} {channels}");
                let other = read(&write_image(&example(4 - channels, 3, 3), &carrier, format, None).unwrap());
                assert_eq!(other.carrier.icc, None, "{format} {channels}");
            }
        }
    }

    #[test]
    fn small_long_and_odd_images_work_in_every_format() {
        for format in IMAGES {
            for (height, width) in [(1, 1), (1, 5000), (5000, 1), (3, 5), (17, 9)] {
                for channels in [1, 3] {
                    let carrier = Carrier::plain(format, Depth::U8);
                    let file =
                        write_image(&example(channels, height, width), &carrier, format, None).unwrap();
                    let shape = read(&file).sample.shape();
                    let kept = if format == Format::WebP { 3 } else { channels };
                    assert_eq!(shape, Shape::image(kept, height, width), "{format}");
                }
            }
        }
    }

    #[test]
    fn float_is_kept_as_it_is_in_tiff_and_clamped_elsewhere() {
        let data = vec![-3.5, 0.25, 1e6, 0.5];
        let sample = Sample::new(Shape::image(1, 2, 2), data.clone()).unwrap();
        let carrier = Carrier::plain(Format::Tiff, Depth::F32);
        let tiff = read(&write_image(&sample, &carrier, Format::Tiff, None).unwrap());
        assert_eq!((tiff.sample.data(), tiff.carrier.depth), (&data[..], Depth::F32));
        let png = read(&write_image(&sample, &carrier, Format::Png, Some(Depth::U8)).unwrap());
        assert_eq!(png.sample.data(), [0.0, 64.0 / 255.0, 1.0, 128.0 / 255.0]);
    }

    #[test]
    fn only_gray_and_colour_images_are_image_files() {
        let carrier = Carrier::plain(Format::Png, Depth::U8);
        let signal = Sample::new(Shape::Signal { channels: 1, length: 4 }, vec![0.0; 4]).unwrap();
        let two = Sample::new(Shape::image(2, 1, 2), vec![0.0; 4]).unwrap();
        for sample in [signal, two] {
            assert!(matches!(write_image(&sample, &carrier, Format::Png, None), Err(Error::Shape { .. })));
        }
        let result = write_image(&example(1, 1, 1), &carrier, Format::Npy, None);
        assert!(matches!(result, Err(Error::Unsupported { .. })));
    }

    #[test]
    fn a_side_the_format_cannot_hold_is_refused() {
        let carrier = Carrier::plain(Format::WebP, Depth::U8);
        let result = write_image(&example(1, 1, 20_000), &carrier, Format::WebP, None);
        assert!(matches!(result, Err(Error::Unsupported { .. })));
    }
}
