//! A rectangle out of each plane.

use std::ops::Range;

use super::{GRAIN, output, parallel};

/// `(planes, H, W)` -> the part `rows` x `cols` of each plane. `w` is `W`, and `x` is not empty.
///
/// # Panics
/// `x` is no whole planes of rows of `w`, or the rectangle lies beyond them.
pub fn crop(x: &[f32], planes: usize, w: usize, rows: Range<usize>, cols: Range<usize>) -> Vec<f32> {
    let h = x.len() / planes / w;
    assert_eq!(x.len(), planes * h * w, "crop: the length must be that of the shape");
    assert!(rows.end <= h && cols.end <= w, "crop: the rectangle must lie inside the planes");
    let (high, wide) = (rows.len(), cols.len());
    let step = (GRAIN / wide.max(1)).clamp(1, high.max(1));
    let bands = high.div_ceil(step);
    output(planes * high * wide, |out| {
        parallel::for_each(planes * bands, |task| {
            let (plane, first) = (task / bands, task % bands * step);
            for y in first..high.min(first + step) {
                // SAFETY: each task has its own rows of its own plane.
                let to = unsafe { out.part((plane * high + y) * wide, wide) };
                to.copy_from_slice(&x[(plane * h + rows.start + y) * w..][cols.clone()]);
            }
        });
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::noise;
    use super::*;

    #[test]
    fn every_place_of_the_rectangle_comes_from_its_plane() {
        let (planes, h, w) = (3, 150, 211);
        let x = noise(planes * h * w, 1);
        for (rows, cols) in [(0..h, 0..w), (7..143, 2..205), (149..150, 210..211), (5..5, 1..9)] {
            let part = crop(&x, planes, w, rows.clone(), cols.clone());
            let mut places = part.iter();
            for plane in 0..planes {
                for y in rows.clone() {
                    for column in cols.clone() {
                        assert_eq!(places.next(), Some(&x[(plane * h + y) * w + column]));
                    }
                }
            }
            assert_eq!(places.next(), None);
        }
    }
}
