//! Contact sheet: visual comparison of results.

use super::super::Error;
use super::score::{Noise, Served, Task};
use crate::codec::{Carrier, Depth, Format, write_image};
use crate::dataset::Dataset;
use crate::sample::{Kind, Sample, Shape};

/// Number of rows on a sheet; the samples are spread evenly.
const ROWS: usize = 6;
/// Side of a picture in pixels.
const SIDE: usize = 160;
/// Gap between pictures in white pixels.
const GAP: usize = 4;

/// Returns a PNG with a row per sample and noise: noisy, strict, full, clean; large images are cropped to the middle, small ones
/// enlarged by an integer factor.
///
/// # Errors
/// The samples are not images, or do not fit the model.
pub(super) fn sheet(
    task: &Task<'_>,
    dataset: &Dataset,
    noises: &[Noise],
    seed: u64,
) -> Result<Vec<u8>, Error> {
    if dataset.kind() != Some(Kind::Image) {
        return Err(Error::Usage("--sheet shows images; the samples are none".into()));
    }
    let count = ROWS.div_ceil(noises.len()).min(dataset.items.len());
    let mut rows = Vec::new();
    for noise in noises {
        for i in 0..count {
            let item = &dataset.items[i * dataset.items.len() / count];
            let (noisy, clean) = noise.pair(item, seed);
            let Served { full, strict, .. } = task.serve(&noisy)?;
            rows.push([&noisy, &strict.sample, &full.denoised.sample, &clean].map(picture));
        }
    }
    let channels = task.session.input().channels;
    let sheet = arrange(&rows, channels);
    Ok(write_image(&sheet, &Carrier::plain(Format::Png, Depth::U8), Format::Png, None)?)
}

/// Returns the middle of an image, enlarged if small, on `SIDE x SIDE` white pixels.
fn picture(sample: &Sample) -> Vec<f32> {
    let Shape::Image { channels, height, width } = sample.shape() else { return Vec::new() };
    let scale = (SIDE / height.max(width)).max(1);
    let start = |n: usize| (n.saturating_sub(SIDE)) / 2;
    let pixel = |c: usize, y: usize, x: usize| {
        let (y, x) = (y / scale + start(height), x / scale + start(width));
        let inside = y < height && x < width;
        if inside { sample.data()[(c * height + y) * width + x].clamp(0.0, 1.0) } else { 1.0 }
    };
    let mut out = Vec::with_capacity(channels * SIDE * SIDE);
    for c in 0..channels {
        for y in 0..SIDE {
            out.extend((0..SIDE).map(|x| pixel(c, y, x)));
        }
    }
    out
}

fn arrange(rows: &[[Vec<f32>; 4]], channels: usize) -> Sample {
    let pitch = SIDE + GAP;
    let (height, width) = (rows.len() * pitch - GAP, 4 * pitch - GAP);
    let mut data = vec![1.0; channels * height * width];
    for (r, row) in rows.iter().enumerate() {
        for (p, picture) in row.iter().enumerate() {
            for (line, pixels) in picture.chunks_exact(SIDE).enumerate() {
                let (c, y) = (line / SIDE, r * pitch + line % SIDE);
                let at = (c * height + y) * width + p * pitch;
                data[at..at + SIDE].copy_from_slice(pixels);
            }
        }
    }
    Sample::new(Shape::image(channels, height, width), data).expect("a sheet is as large as its rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_images_are_enlarged_and_large_ones_cut_in_the_middle() {
        let small = Sample::new(Shape::image(1, 1, 2), vec![0.0, 0.5]).unwrap();
        let shown = picture(&small);
        assert_eq!((shown[0], shown[79], shown[80], shown[159]), (0.0, 0.0, 0.5, 0.5));
        assert_eq!(shown[80 * SIDE], 1.0, "below the image is white");
        let wide =
            Sample::new(Shape::image(1, 1, 162), (0..162).map(|v| v as f32 / 162.0).collect()).unwrap();
        assert_eq!(picture(&wide)[0], 1.0 / 162.0);
    }

    #[test]
    fn pictures_stand_side_by_side() {
        let flat = |v: f32| vec![v; SIDE * SIDE];
        let sheet = arrange(&[[flat(0.1), flat(0.2), flat(0.3), flat(0.4)]], 1);
        let at = |x: usize| sheet.data()[x];
        assert_eq!([at(0), at(SIDE), at(SIDE + GAP), at(3 * (SIDE + GAP))], [0.1, 1.0, 0.2, 0.4]);
    }
}
