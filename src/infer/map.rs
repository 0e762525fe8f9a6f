//! Maps of a latent, row by row. A map covers only the sample; the network pads it to whole strides.

use crate::sample::Plane;

/// Returns channels, rows and columns of a map: `(Z, H, W)`, or `(Z, L)` with one row; `(Z)` is one position.
pub fn extents(dims: &[usize]) -> (usize, usize, usize) {
    match *dims {
        [channels, height, width] => (channels, height, width),
        [channels, length] => (channels, 1, length),
        _ => (dims[0], 1, 1),
    }
}

/// Copies row `y` of a channel, from column `first`, to `row`. Beyond the map its border is repeated; missing channels
/// and missing maps are zero.
pub fn read(plane: Option<&Plane>, channel: usize, y: usize, first: usize, row: &mut [f32]) {
    let Some(plane) = plane.filter(|plane| channel < plane.dims[0]) else { return row.fill(0.0) };
    let (_, height, width) = extents(&plane.dims);
    let from = &plane.data[(channel * height + y.min(height - 1)) * width..][..width];
    let inside = first.min(width)..width.min(first + row.len());
    let (row, beyond) = row.split_at_mut(inside.len());
    row.copy_from_slice(&from[inside]);
    beyond.fill(from[width - 1]);
}

/// Writes `row` to row `y` of a channel, from column `first`; positions beyond the map are ignored.
pub fn write(plane: &mut Plane, channel: usize, y: usize, first: usize, row: &[f32]) {
    let (channels, height, width) = extents(&plane.dims);
    if channel >= channels || y >= height {
        return;
    }
    let to =
        &mut plane.data[(channel * height + y) * width..][first.min(width)..width.min(first + row.len())];
    to.copy_from_slice(&row[..to.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(plane: Option<&Plane>, channel: usize, y: usize, first: usize) -> [f32; 3] {
        let mut row = [7.0; 3];
        read(plane, channel, y, first, &mut row);
        row
    }

    #[test]
    fn rows_repeat_the_border_and_channels_that_are_not_there_are_zero() {
        let plane = Plane { dims: vec![2, 2, 3], data: (0..12).map(|v| v as f32).collect() };
        assert_eq!(row(Some(&plane), 1, 0, 0), [6.0, 7.0, 8.0]);
        assert_eq!(row(Some(&plane), 0, 5, 1), [4.0, 5.0, 5.0]);
        assert_eq!(row(Some(&plane), 0, 0, 4), [2.0; 3]);
        assert_eq!((row(Some(&plane), 2, 0, 0), row(None, 0, 0, 0)), ([0.0; 3], [0.0; 3]));
    }

    #[test]
    fn rows_are_written_as_far_as_the_map_goes() {
        let mut plane = Plane { dims: vec![1, 2, 4], data: vec![0.0; 8] };
        write(&mut plane, 0, 1, 2, &[1.0, 2.0, 3.0]);
        write(&mut plane, 0, 2, 0, &[9.0]);
        write(&mut plane, 1, 0, 0, &[9.0]);
        write(&mut plane, 0, 0, 5, &[9.0]);
        assert_eq!(plane.data, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
    }
}
