//! Gaussian blur, mirrored beyond the border.

use crate::sample::Shape;

/// Blurs the planes of `data`, channels first, by a Gaussian of standard deviation `radius`, in pixels.
pub fn blurred(data: &[f32], shape: Shape, radius: f32) -> Vec<f32> {
    let (_, height, width) = shape.extents();
    let taps = taps(radius);
    let mut out = data.to_vec();
    for plane in out.chunks_exact_mut((height * width).max(1)) {
        plane.chunks_exact_mut(width).for_each(|row| along(row, 1, &taps));
        (0..width).for_each(|x| along(&mut plane[x..], width, &taps));
    }
    out
}

/// Gaussian kernel with taps that sum to 1, truncated at three deviations.
fn taps(radius: f32) -> Vec<f32> {
    let reach = (3.0 * radius).ceil().max(0.0) as isize;
    let taps: Vec<f32> = (-reach..=reach).map(|i| (-0.5 * (i as f32 / radius).powi(2)).exp()).collect();
    let sum: f32 = taps.iter().sum();
    taps.into_iter().map(|t| t / sum).collect()
}

fn along(line: &mut [f32], stride: usize, taps: &[f32]) {
    let source: Vec<f32> = line.iter().step_by(stride).copied().collect();
    let (n, reach) = (source.len() as isize, taps.len() as isize / 2);
    let mirrored = |i: isize| {
        let period = (2 * n - 2).max(1);
        let i = i.rem_euclid(period);
        source[i.min(period - i).min(n - 1) as usize]
    };
    for (i, out) in line.iter_mut().step_by(stride).enumerate() {
        *out = (-reach..).zip(taps).map(|(k, tap)| tap * mirrored(i as isize + k)).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_and_a_point_becomes_the_gaussian() {
        let shape = Shape::image(1, 11, 13);
        assert!(blurred(&[0.4; 143], shape, 1.5).iter().all(|v| (v - 0.4).abs() < 1e-6));
        let mut point = [0.0; 143];
        point[5 * 13 + 6] = 1.0;
        let seen = blurred(&point, shape, 1.0);
        // 1 / (2 pi) in the middle, and exp(-1/2) of that next to it.
        assert!((seen[5 * 13 + 6] - 0.159).abs() < 0.002 && (seen[5 * 13 + 7] - 0.0967).abs() < 0.002);
    }
}
