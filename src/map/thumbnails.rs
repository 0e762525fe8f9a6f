//! Thumbnails: small pictures of samples, in one PNG.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::codec::{self, Carrier, Format, decode_base64};
use crate::limits::Limits;
use crate::sample::{Depth, Kind, Sample, Shape};

/// Longest side of a thumbnail, in pixels.
const SIDE: usize = 32;
/// Number of thumbnails side by side.
const COLUMNS: usize = 32;

/// Small pictures of the points of a map, row by row in one PNG.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MapThumbnails)]
pub struct Thumbnails {
    /// Width of each, in pixels.
    pub(super) width: usize,
    /// Height of each, in pixels.
    pub(super) height: usize,
    /// Number of them side by side.
    pub(super) columns: usize,
    /// The PNG, base64.
    pub(super) png: String,
}

impl Thumbnails {
    /// Draws samples: images reduced by averaging, signals as the range of each stretch of their first channel. `None` for vectors.
    ///
    /// # Errors
    /// The PNG cannot be written.
    pub(super) fn draw<'a>(
        samples: impl Iterator<Item = &'a Sample> + Clone,
    ) -> Result<Option<Self>, String> {
        let Some(first) = samples.clone().next().map(Sample::shape) else { return Ok(None) };
        let is_same = samples.clone().all(|sample| sample.shape() == first);
        let (width, height) = match first {
            Shape::Vector { .. } => return Ok(None),
            Shape::Image { height, width, .. } if is_same => fitted(height, width),
            _ => (SIDE, SIDE),
        };
        let channels = if first.kind() == Kind::Image && first.channels() == 3 { 3 } else { 1 };
        let cells: Vec<Vec<f32>> = samples.map(|sample| cell(sample, channels, height, width)).collect();
        let columns = cells.len().min(COLUMNS);
        let (across, down) = (columns * width, cells.len().div_ceil(columns) * height);
        let mut sheet = vec![1.0; channels * across * down];
        for (at, cell) in cells.iter().enumerate() {
            let (top, left) = (at / columns * height, at % columns * width);
            for (line, pixels) in cell.chunks_exact(width).enumerate() {
                let to = ((line / height) * down + top + line % height) * across + left;
                sheet[to..to + width].copy_from_slice(pixels);
            }
        }
        let sheet = Sample::new(Shape::image(channels, down, across), sheet).map_err(|e| e.to_string())?;
        let png = codec::write_image(&sheet, &Carrier::plain(Format::Png, Depth::U8), Format::Png, None);
        Ok(Some(Self { width, height, columns, png: STANDARD.encode(png.map_err(|e| e.to_string())?) }))
    }

    /// Checks that it holds `count` thumbnails.
    ///
    /// # Errors
    /// One line.
    pub(super) fn check(&self, count: usize) -> Result<(), String> {
        let is_small = |side: usize| (1..=SIDE).contains(&side);
        if !is_small(self.width) || !is_small(self.height) || !(1..=COLUMNS).contains(&self.columns) {
            return Err(format!("has thumbnails of {}x{} pixels", self.width, self.height));
        }
        let (_, height, width) = self.sheet()?.shape().extents();
        let rows = count.div_ceil(self.columns);
        if (height, width) != (rows * self.height, self.columns * self.width) {
            return Err(format!("has a sheet of {width}x{height} pixels for {count} thumbnails"));
        }
        Ok(())
    }

    /// Reads the PNG.
    ///
    /// # Errors
    /// One line.
    pub(super) fn sheet(&self) -> Result<Sample, String> {
        let side = SIDE * COLUMNS;
        let limits = Limits { image_side: side, image_pixels: side * side, ..Limits::default() };
        let picture = codec::read_image(&decode_base64(&self.png)?, Some(Format::Png), &limits);
        Ok(picture.map_err(|e| format!("thumbnails: {e}"))?.sample)
    }
}

/// Returns width and height of an image reduced to [`SIDE`].
fn fitted(height: usize, width: usize) -> (usize, usize) {
    let longest = height.max(width);
    let fit = |side: usize| if longest <= SIDE { side } else { (side * SIDE / longest).max(1) };
    (fit(width), fit(height))
}

/// Returns a sample as `channels` planes of `height` x `width` pixels, 0 to 1.
fn cell(sample: &Sample, channels: usize, height: usize, width: usize) -> Vec<f32> {
    let data = sample.data();
    let (low, high) = data.iter().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    let Shape::Image { channels: own, height: h, width: w } = sample.shape() else {
        let (_, _, length) = sample.shape().extents();
        return line(&data[..length], (low, high), height, width);
    };
    // Floats may have any range.
    let (low, high) = if low < 0.0 || high > 1.0 { (low, high) } else { (0.0, 1.0) };
    let (inner_w, inner_h) = fitted(h, w);
    let (left, top) = (width.saturating_sub(inner_w) / 2, height.saturating_sub(inner_h) / 2);
    let mut out = vec![1.0; channels * height * width];
    for c in 0..channels {
        for y in 0..inner_h.min(height) {
            for x in 0..inner_w.min(width) {
                let (rows, columns) = (range(y, inner_h, h), range(x, inner_w, w));
                let count = (rows.len() * columns.len()) as f32;
                let row = |y: usize| &data[(c.min(own - 1) * h + y) * w..][columns.clone()];
                let sum: f32 = rows.flat_map(row).sum();
                out[(c * height + top + y) * width + left + x] = unit(sum / count, (low, high));
            }
        }
    }
    out
}

/// Returns the part of `n` values that stands for place `at` of `places`; at least one value.
fn range(at: usize, places: usize, n: usize) -> std::ops::Range<usize> {
    let start = (at * n / places).min(n - 1);
    start..((at + 1) * n / places).clamp(start + 1, n)
}

/// Draws a signal in black on white: in each column the range of its values there.
fn line(values: &[f32], span: (f32, f32), height: usize, width: usize) -> Vec<f32> {
    let mut out = vec![1.0; height * width];
    for x in 0..width {
        let part = &values[range(x, width, values.len())];
        let (low, high) =
            part.iter().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        let row = |v: f32| ((1.0 - unit(v, span)) * (height - 1) as f32).round() as usize;
        (row(high)..=row(low)).for_each(|y| out[y * width + x] = 0.0);
    }
    out
}

fn unit(value: f32, (low, high): (f32, f32)) -> f32 {
    if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
}
