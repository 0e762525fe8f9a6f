//! Sensor colours: colour matrix and white balance between linear sRGB and sensor values.

use crate::rng::Rng;

type Matrix = [[f32; 3]; 3];

/// Matrices from XYZ to camera colours, of four cameras of the Darmstadt noise data set.
const XYZ_TO_CAMERA: [Matrix; 4] = [
    [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
    [[0.4913, -0.0541, -0.0202], [-0.613, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
    [[0.838, -0.263, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
    [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.097, 0.1581, 0.5181]],
];

/// Matrix from linear sRGB to XYZ (IEC 61966-2-1).
const SRGB_TO_XYZ: Matrix = [
    [0.412_456_4, 0.357_576_1, 0.180_437_5],
    [0.212_672_9, 0.715_152_2, 0.072_175],
    [0.019_333_9, 0.119_192, 0.950_304_1],
];

/// Colour matrix and gains.
pub struct Color {
    to_camera: Matrix,
    to_srgb: Matrix,
    /// Gains of red, green and blue, each including the exposure.
    gains: [f32; 3],
}

impl Color {
    /// Draws a random mix of the matrices, and random gains.
    pub fn draw(rng: &mut Rng) -> Self {
        let weights: [f32; 4] = std::array::from_fn(|_| rng.uniform() + 1e-8);
        let whole: f32 = weights.iter().sum();
        let mut mixed = [[0.0; 3]; 3];
        for (matrix, weight) in XYZ_TO_CAMERA.iter().zip(weights) {
            each(|r, c| mixed[r][c] += matrix[r][c] * weight / whole);
        }
        let mut to_camera = product(&mixed, &SRGB_TO_XYZ);
        // Normalized so that white is white on the sensor too.
        for row in &mut to_camera {
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|v| *v /= sum);
        }
        let exposure = 1.0 / (0.8 + 0.1 * rng.normal()).max(0.5);
        let gains = [exposure * rng.range(1.9, 2.4), exposure, exposure * rng.range(1.5, 1.9)];
        Self { to_srgb: inverse(&to_camera), to_camera, gains }
    }

    /// Converts linear sRGB to sensor values.
    pub fn to_camera(&self, planes: &mut [f32]) {
        apply(&self.to_camera, planes, |rgb| {
            // Highlights keep their level, so that white does not take on the colour of the gains.
            let gray = (rgb[0] + rgb[1] + rgb[2]) / 3.0;
            let keep = ((gray - 0.9) / 0.1).max(0.0).powi(2);
            std::array::from_fn(|c| {
                let gain = 1.0 / self.gains[c];
                rgb[c] * (keep + (1.0 - keep) * gain).max(gain)
            })
        });
    }

    /// Converts sensor values to linear sRGB, clipped to 0..1.
    pub fn to_srgb(&self, planes: &mut [f32]) {
        let area = planes.len() / 3;
        for (plane, gain) in planes.chunks_exact_mut(area.max(1)).zip(self.gains) {
            plane.iter_mut().for_each(|v| *v = (*v * gain).clamp(0.0, 1.0));
        }
        apply(&self.to_srgb, planes, |rgb| rgb.map(|v| v.clamp(0.0, 1.0)));
    }
}

/// Applies `matrix`, then `then`, to each pixel of three planes.
fn apply(matrix: &Matrix, planes: &mut [f32], then: impl Fn([f32; 3]) -> [f32; 3]) {
    let area = planes.len() / 3;
    let (red, rest) = planes.split_at_mut(area);
    let (green, blue) = rest.split_at_mut(area);
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let seen = matrix.map(|row| row[0] * *r + row[1] * *g + row[2] * *b);
        [*r, *g, *b] = then(seen);
    }
}

fn each(mut of: impl FnMut(usize, usize)) {
    (0..9).for_each(|i| of(i / 3, i % 3));
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let mut product = [[0.0; 3]; 3];
    each(|r, c| product[r][c] = (0..3).map(|k| a[r][k] * b[k][c]).sum());
    product
}

/// Inverse by cofactors.
fn inverse(m: &Matrix) -> Matrix {
    let cofactor = |r: usize, c: usize| {
        let [(r1, r2), (c1, c2)] = [r, c].map(|i| ((i + 1) % 3, (i + 2) % 3));
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant: f32 = (0..3).map(|c| m[0][c] * cofactor(0, c)).sum();
    let mut inverse = [[0.0; 3]; 3];
    each(|r, c| inverse[c][r] = cofactor(r, c) / determinant);
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn colours_below_the_highlights_come_back() {
        for seed in 0..20 {
            let color = Color::draw(&mut Rng::new(seed, Purpose::Corrupt, 0));
            let before = [0.3, 0.05, 0.4, 0.25, 0.08, 0.2];
            let mut planes = before;
            color.to_camera(&mut planes);
            color.to_srgb(&mut planes);
            assert!(planes.iter().zip(before).all(|(a, b)| (a - b).abs() < 1e-4), "{planes:?}");
        }
    }

    #[test]
    fn red_and_blue_of_gray_are_weaker_on_the_sensor_than_green() {
        let color = Color::draw(&mut Rng::new(1, Purpose::Corrupt, 0));
        let mut gray = [0.5; 3];
        color.to_camera(&mut gray);
        let [red, green, blue] = gray;
        assert!((1.9..2.4).contains(&(green / red)) && (1.5..1.9).contains(&(green / blue)), "{gray:?}");
    }
}
