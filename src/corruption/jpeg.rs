//! Block and ringing artefacts and smeared colours of a JPEG file.

use image::codecs::jpeg::JpegDecoder;
use image::{ImageDecoder, ImageResult};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, QuantizationTableType, SamplingFactor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Error, Parameter, Parameters, Span};
use crate::rng::Rng;
use crate::sample::Shape;

/// Side of the blocks of colour images with chroma at half size: shifts below it cover all positions of the grid.
const GRID: usize = 16;

/// Encodes the image as a JPEG file in memory and decodes it. Values are clipped to [0, 1].
///
/// The block grid starts anywhere, not always at the upper left corner: a model trained only with grids at the corner
/// of its crops fails on images that were cropped after compression.
///
/// # Source
/// ITU-T T.81 (1992), baseline process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JpegCorruption, example = json!({"quality": [40, 95], "sampling": ["4:2:0", "4:4:4"]}))]
pub struct Jpeg {
    /// Quality on the scale of libjpeg, 1 to 100; whole numbers of the range are drawn.
    pub quality: Span,
    /// Chroma subsampling; one entry is drawn, each equally likely. An entry listed twice is twice as likely.
    #[serde(default = "Sampling::full", skip_serializing_if = "Sampling::is_full")]
    #[schema(default = Sampling::full, min_items = 1, max_items = 32)]
    pub sampling: Vec<Sampling>,
    /// Quantisation tables; one entry is drawn, each equally likely.
    #[serde(default = "Tables::standard", skip_serializing_if = "Tables::is_standard")]
    #[schema(default = Tables::standard, min_items = 1, max_items = 32)]
    pub tables: Vec<Tables>,
}

/// Size of the two chroma planes (ITU-T T.81, A.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, ToSchema)]
#[schema(as = JpegSampling)]
pub enum Sampling {
    /// Full size.
    #[serde(rename = "4:4:4")]
    #[value(name = "4:4:4")]
    Full,
    /// Half width: many cameras.
    #[serde(rename = "4:2:2")]
    #[value(name = "4:2:2")]
    Half,
    /// Half width and height: phones, and most programs by default.
    #[serde(rename = "4:2:0")]
    #[value(name = "4:2:0")]
    Quarter,
}

/// Quantisation tables of different encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, ToSchema)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
#[schema(as = JpegTables)]
pub enum Tables {
    /// ITU-T T.81, Annex K: libjpeg and most cameras.
    Standard,
    /// Tables of ImageMagick by N. Robidoux.
    ImageMagick,
    /// Tuned for PSNR-HVS: close to those of mozjpeg.
    PsnrHvs,
}

impl Sampling {
    fn full() -> Vec<Self> {
        vec![Self::Full]
    }

    fn is_full(list: &Vec<Self>) -> bool {
        *list == Self::full()
    }

    fn factor(self) -> SamplingFactor {
        match self {
            Self::Full => SamplingFactor::F_1_1,
            Self::Half => SamplingFactor::F_2_1,
            Self::Quarter => SamplingFactor::F_2_2,
        }
    }
}

impl Tables {
    fn standard() -> Vec<Self> {
        vec![Self::Standard]
    }

    fn is_standard(list: &Vec<Self>) -> bool {
        *list == Self::standard()
    }

    fn both(self) -> [QuantizationTableType; 2] {
        let one = || match self {
            Self::Standard => QuantizationTableType::Default,
            Self::ImageMagick => QuantizationTableType::ImageMagick,
            Self::PsnrHvs => QuantizationTableType::CustomPsnrHvs,
        };
        [one(), one()]
    }
}

impl Parameters for Jpeg {
    const KIND: &'static str = "jpeg";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter::new("quality", |it| it.quality, 1.0, 100.0)];
}

impl Jpeg {
    /// Returns the corruption of this quality, chroma at full size, standard tables.
    pub fn of(quality: Span) -> Self {
        Self { quality, sampling: Sampling::full(), tables: Tables::standard() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_ranges()?;
        super::check_choices("jpeg.sampling", &self.sampling)?;
        super::check_choices("jpeg.tables", &self.tables)
    }

    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        let quality = self.quality.draw_whole(rng).clamp(1, 100) as u8;
        let (channels, height, width) = shape.extents();
        let frame = Frame { height, width, down: rng.below(GRID), right: rng.below(GRID) };
        // A list of one entry takes no draw, so that configs older than lists keep their noise.
        let (sampling, tables) = (super::choose(&self.sampling, rng), super::choose(&self.tables, rng));
        let file = File { quality, sampling, tables, channels: if channels == 3 { 3 } else { 1 } };
        for planes in data.chunks_exact_mut(file.channels * height * width) {
            // Decoding what was just encoded does not fail, and no crop is larger than the format's 65535 pixels; if
            // it were, leaving the crop uncorrupted does no harm.
            if let Some(pixels) = file.round_trip(&frame, &frame.pixels(planes, file.channels)) {
                frame.put_back(&pixels, planes, file.channels);
            }
        }
    }
}

/// Settings of one JPEG file.
struct File {
    quality: u8,
    sampling: Sampling,
    tables: Tables,
    channels: usize,
}

impl File {
    /// Encodes and decodes the 8-bit pixels of the shifted image, channels last; `None` if that fails.
    fn round_trip(&self, frame: &Frame, pixels: &[u8]) -> Option<Vec<u8>> {
        let side = |n: usize| u16::try_from(n).ok();
        let (width, height) = (side(frame.width + frame.right)?, side(frame.height + frame.down)?);
        let color = if self.channels == 3 { ColorType::Rgb } else { ColorType::Luma };
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, self.quality);
        encoder.set_sampling_factor(self.sampling.factor());
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
        let [luma, chroma] = self.tables.both();
        encoder.set_quantization_tables(luma, chroma);
        encoder.encode(pixels, width, height, color).ok()?;
        read(&file, pixels.len()).ok()
    }
}

fn read(file: &[u8], bytes: usize) -> ImageResult<Vec<u8>> {
    let mut back = vec![0; bytes];
    JpegDecoder::new(std::io::Cursor::new(file))?.read_image(&mut back)?;
    Ok(back)
}

/// Image shifted down and to the right; its first row and column fill the gap.
struct Frame {
    height: usize,
    width: usize,
    down: usize,
    right: usize,
}

impl Frame {
    /// Returns the 8-bit pixels of the shifted image, channels last.
    fn pixels(&self, planes: &[f32], channels: usize) -> Vec<u8> {
        let (area, columns) = (self.height * self.width, self.width + self.right);
        let byte = |i: usize| {
            let (pixel, channel) = (i / channels, i % channels);
            let (y, x) = (pixel / columns, pixel % columns);
            let from = y.saturating_sub(self.down) * self.width + x.saturating_sub(self.right);
            (planes[channel * area + from].clamp(0.0, 1.0) * 255.0).round() as u8
        };
        (0..(self.height + self.down) * columns * channels).map(byte).collect()
    }

    fn put_back(&self, pixels: &[u8], planes: &mut [f32], channels: usize) {
        let (area, columns) = (self.height * self.width, self.width + self.right);
        for (i, value) in planes.iter_mut().enumerate() {
            let (channel, y, x) = (i / area, i % area / self.width, i % self.width);
            let pixel = (y + self.down) * columns + x + self.right;
            *value = f32::from(pixels[pixel * channels + channel]) / 255.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sample::LUMA;

    fn error(quality: f32, channels: usize) -> f32 {
        let shape = Shape::image(channels, 32, 40);
        let clean: Vec<f32> = (0..shape.numbers())
            .map(|i| {
                let (c, y, x) = (i / 1280, i / 40 % 32, i % 40);
                0.5 + 0.3 * ((x + c) as f32 * 0.35).sin() * (y as f32 * 0.2).cos()
            })
            .collect();
        let mut data = clean.clone();
        let kind = Jpeg::of(Span::at(quality));
        kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        let squares: f32 = data.iter().zip(&clean).map(|(a, b)| (a - b).powi(2)).sum();
        (squares / clean.len() as f32).sqrt()
    }

    #[test]
    fn lower_quality_loses_more() {
        for channels in [1, 3] {
            let [high, middle, low] = [95.0, 50.0, 5.0].map(|quality| error(quality, channels));
            assert!(high < middle && middle < low, "{high} {middle} {low}");
            assert!(high < 0.02 && low > 0.02, "{high} {low}");
        }
    }

    #[test]
    fn a_moved_image_comes_back_to_its_place() {
        let planes: Vec<f32> = (0..24).map(|i| (10 * i) as f32 / 255.0).collect();
        let frame = Frame { height: 2, width: 4, down: 3, right: 1 };
        let pixels = frame.pixels(&planes, 3);
        assert_eq!(pixels.len(), 5 * 5 * 3);
        let mut back = vec![0.0; 24];
        frame.put_back(&pixels, &mut back, 3);
        assert_eq!(back, planes);
    }

    #[test]
    fn channels_go_in_and_out_in_order() {
        let shape = Shape::image(3, 16, 16);
        let mut data: Vec<f32> = [0.2, 0.5, 0.8].iter().flat_map(|&v| vec![v; 256]).collect();
        let kind = Jpeg::of(Span::at(95.0));
        kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        for (plane, expected) in data.chunks(256).zip([0.2, 0.5, 0.8]) {
            assert!(plane.iter().all(|v| (v - expected).abs() < 0.02));
        }
    }

    #[test]
    fn coarse_colours_lose_colour_noise_and_keep_that_of_luma() {
        let shape = Shape::image(3, 64, 64);
        let mut noise = vec![0.0; shape.numbers()];
        Rng::new(5, Purpose::Corrupt, 0).fill_normal(&mut noise);
        let kept = |sampling: Sampling| {
            let mut data: Vec<f32> = noise.iter().map(|n| 0.5 + 0.05 * n).collect();
            let kind = Jpeg { sampling: vec![sampling], ..Jpeg::of(Span::at(97.0)) };
            kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
            let plane = |c: usize, i: usize| data[c * 4096 + i] - 0.5;
            let luma = |i: usize| (0..3).map(|c| LUMA[c] * plane(c, i)).sum::<f32>();
            let variance = |of: &dyn Fn(usize) -> f32| (0..4096).map(|i| of(i).powi(2)).sum::<f32>() / 4096.0;
            (variance(&luma), variance(&|i| plane(0, i) - luma(i)))
        };
        let (full, half, quarter) = (kept(Sampling::Full), kept(Sampling::Half), kept(Sampling::Quarter));
        assert!((quarter.0 / full.0 - 1.0).abs() < 0.1, "{quarter:?} {full:?}");
        assert!(half.1 < 0.7 * full.1 && quarter.1 < 0.6 * half.1, "{full:?} {half:?} {quarter:?}");
    }
}
