//! PNG of a map: one panel a plane, dots coloured by label, and thumbnails where they have room.

use super::draw::{MARGIN, Mark, PANEL, PICTURE, marks};
use super::{Map, Thumbnails};
use crate::codec::{self, Carrier, Format};
use crate::sample::{Depth, Sample, Shape};

/// Radius of a dot, in pixels.
const RADIUS: i64 = 3;
/// Width of the frame of a thumbnail.
const FRAME: i64 = 2;

/// Picture in colour, 8 bits.
struct Canvas {
    width: usize,
    height: usize,
    /// `(3, height, width)`
    data: Vec<u8>,
}

/// Returns the drawing.
///
/// # Errors
/// One line: the thumbnails cannot be read.
pub(super) fn write(map: &Map) -> Result<Vec<u8>, String> {
    let panels = map.projections.len();
    let (width, height) = (panels * PANEL + (panels + 1) * MARGIN, PANEL + 2 * MARGIN);
    let mut canvas = Canvas { width, height, data: vec![255; 3 * width * height] };
    let sheet = map.thumbnails.as_ref().map(|thumbnails| Ok::<_, String>((thumbnails, thumbnails.sheet()?)));
    let sheet = sheet.transpose()?;
    for plane in 0..panels {
        let left = MARGIN + plane * (PANEL + MARGIN);
        let marks = marks(map, plane);
        let at =
            |mark: &Mark| ((left as f32 + mark.x).round() as i64, (MARGIN as f32 + mark.y).round() as i64);
        for mark in marks.iter().filter(|mark| !mark.is_pictured) {
            canvas.dot(at(mark), mark.color);
        }
        for (number, mark) in marks.iter().enumerate().filter(|(_, mark)| mark.is_pictured) {
            if let Some((thumbnails, sheet)) = &sheet {
                canvas.thumbnail(at(mark), mark.color, thumbnails, sheet, number);
            }
        }
    }
    let image = Sample::from_bytes(Shape::image(3, height, width), canvas.data).map_err(|e| e.to_string())?;
    let plain = Carrier::plain(Format::Png, Depth::U8);
    codec::write_image(&image, &plain, Format::Png, None).map_err(|e| e.to_string())
}

impl Canvas {
    /// Sets a pixel; those beyond the borders are left out.
    fn set(&mut self, x: i64, y: i64, color: [u8; 3]) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x < self.width && y < self.height {
            for (c, value) in color.into_iter().enumerate() {
                self.data[(c * self.height + y) * self.width + x] = value;
            }
        }
    }

    fn dot(&mut self, (x, y): (i64, i64), color: [u8; 3]) {
        for dy in -RADIUS..=RADIUS {
            for dx in -RADIUS..=RADIUS {
                if dx * dx + dy * dy <= RADIUS * RADIUS + 1 {
                    self.set(x + dx, y + dy, color);
                }
            }
        }
    }

    fn thumbnail(
        &mut self,
        (x, y): (i64, i64),
        color: [u8; 3],
        thumbnails: &Thumbnails,
        sheet: &Sample,
        number: usize,
    ) {
        let (channels, height, width) = sheet.shape().extents();
        let Thumbnails { width: w, height: h, columns, .. } = *thumbnails;
        let (left, top) = (number % columns * w, number / columns * h);
        let side = PICTURE as i64;
        for dy in -FRAME..side + FRAME {
            for dx in -FRAME..side + FRAME {
                let (to_x, to_y) = (x - side / 2 + dx, y - side / 2 + dy);
                if !(0..side).contains(&dx) || !(0..side).contains(&dy) {
                    self.set(to_x, to_y, color);
                    continue;
                }
                let (from_x, from_y) = (left + dx as usize * w / PICTURE, top + dy as usize * h / PICTURE);
                let value = |c: usize| {
                    let v = sheet.data()[(c.min(channels - 1) * height + from_y) * width + from_x];
                    (v * 255.0).round().clamp(0.0, 255.0) as u8
                };
                self.set(to_x, to_y, [value(0), value(1), value(2)]);
            }
        }
    }
}
