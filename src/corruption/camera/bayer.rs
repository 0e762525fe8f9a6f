//! Bayer mosaic: each pixel of a sensor measures one colour, and demosaicing interpolates the other two.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rng::Rng;

/// Method to interpolate the colours that a pixel did not measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, ToSchema)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Demosaic {
    /// Mean of the nearest pixels of the colour.
    Bilinear,
    /// Bilinear, corrected by the gradient of the measured colour.
    ///
    /// # Source
    /// H. S. Malvar, L. He and R. Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color
    /// images", ICASSP 2004, figure 2.
    Malvar,
}

impl Demosaic {
    /// All methods.
    pub fn all() -> Vec<Self> {
        vec![Self::Bilinear, Self::Malvar]
    }
}

/// Position of the red pixel in a cell of 2x2; blue is diagonal to it.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    down: usize,
    right: usize,
}

impl Pattern {
    /// Draws one of RGGB, GRBG, GBRG and BGGR.
    pub fn draw(rng: &mut Rng) -> Self {
        Self { down: rng.below(2), right: rng.below(2) }
    }

    /// Channel that the pixel at `(y, x)` measures: 0 red, 1 green, 2 blue.
    fn channel(self, y: usize, x: usize) -> usize {
        match ((y + self.down) % 2, (x + self.right) % 2) {
            (0, 0) => 0,
            (1, 1) => 2,
            _ => 1,
        }
    }
}

/// Mosaic of a sensor of this size.
#[derive(Debug, Clone, Copy)]
pub struct Mosaic {
    pub height: usize,
    pub width: usize,
    pub pattern: Pattern,
}

impl Mosaic {
    /// Samples the sensor values from three planes.
    pub fn sample(&self, planes: &[f32]) -> Vec<f32> {
        let area = self.height * self.width;
        let see = |i: usize| planes[self.pattern.channel(i / self.width, i % self.width) * area + i];
        (0..area).map(see).collect()
    }

    /// Interpolates three planes from the sensor values.
    pub fn fill(&self, raw: &[f32], how: Demosaic, planes: &mut [f32]) {
        let area = self.height * self.width;
        for y in 0..self.height {
            for x in 0..self.width {
                let around = Around { mosaic: self, raw, y: y as isize, x: x as isize };
                let rgb = around.colors(how);
                (0..3).for_each(|c| planes[c * area + y * self.width + x] = rgb[c]);
            }
        }
    }
}

/// Pixel of the sensor with its neighbours; beyond the border they are mirrored, which preserves the pattern.
struct Around<'a> {
    mosaic: &'a Mosaic,
    raw: &'a [f32],
    y: isize,
    x: isize,
}

impl Around<'_> {
    fn at(&self, dy: isize, dx: isize) -> f32 {
        let y = mirror(self.y + dy, self.mosaic.height);
        let x = mirror(self.x + dx, self.mosaic.width);
        self.raw[y * self.mosaic.width + x]
    }

    fn colors(&self, how: Demosaic) -> [f32; 3] {
        let channel = |dy: usize, dx: usize| {
            self.mosaic.pattern.channel(self.y.unsigned_abs() + dy, self.x.unsigned_abs() + dx)
        };
        let here = self.at(0, 0);
        let across = self.at(0, -1) + self.at(0, 1);
        let down = self.at(-1, 0) + self.at(1, 0);
        let corners = self.at(-1, -1) + self.at(-1, 1) + self.at(1, -1) + self.at(1, 1);
        let mut rgb = [here; 3];
        // Second ring of neighbours, used only by Malvar's filters.
        let ring = |dy: isize, dx: isize| self.at(-dy, -dx) + self.at(dy, dx);
        match (channel(0, 0), how) {
            (1, _) => {
                let beside = channel(0, 1);
                let (row, column) = match how {
                    Demosaic::Bilinear => (across / 2.0, down / 2.0),
                    Demosaic::Malvar => {
                        let (wide, tall) = (ring(0, 2), ring(2, 0));
                        (
                            (5.0 * here + 4.0 * across - corners - wide + 0.5 * tall) / 8.0,
                            (5.0 * here + 4.0 * down - corners - tall + 0.5 * wide) / 8.0,
                        )
                    }
                };
                rgb[beside] = row;
                rgb[2 - beside] = column;
            }
            (seen, Demosaic::Bilinear) => {
                rgb[1] = (across + down) / 4.0;
                rgb[2 - seen] = corners / 4.0;
            }
            (seen, Demosaic::Malvar) => {
                let second = ring(0, 2) + ring(2, 0);
                rgb[1] = (4.0 * here + 2.0 * (across + down) - second) / 8.0;
                rgb[2 - seen] = (6.0 * here + 2.0 * corners - 1.5 * second) / 8.0;
            }
        }
        rgb
    }
}

/// Index mirrored into `0..n`, without repeating the border.
fn mirror(i: isize, n: usize) -> usize {
    let period = (2 * n as isize - 2).max(1);
    let i = i.rem_euclid(period) as usize;
    i.min(period as usize - i).min(n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mosaic(down: usize, right: usize) -> Mosaic {
        Mosaic { height: 9, width: 11, pattern: Pattern { down, right } }
    }

    #[test]
    fn flat_colours_come_back_whole_in_each_pattern() {
        let planes: Vec<f32> = [0.2, 0.5, 0.7].iter().flat_map(|&v| vec![v; 99]).collect();
        for (down, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            for how in Demosaic::all() {
                let (mosaic, mut back) = (mosaic(down, right), vec![0.0; 297]);
                mosaic.fill(&mosaic.sample(&planes), how, &mut back);
                assert!(back.iter().zip(&planes).all(|(a, b)| (a - b).abs() < 1e-6), "{how:?}");
            }
        }
    }

    #[test]
    fn a_gray_slope_comes_back_whole_inside() {
        let slope: Vec<f32> = (0..99).map(|i| 0.01 * (i % 11) as f32 + 0.02 * (i / 11) as f32).collect();
        let planes = [&slope[..], &slope, &slope].concat();
        for how in Demosaic::all() {
            let (mosaic, mut back) = (mosaic(0, 1), vec![0.0; 297]);
            mosaic.fill(&mosaic.sample(&planes), how, &mut back);
            let inside = |i: &usize| (2..7).contains(&(i % 99 / 11)) && (2..9).contains(&(i % 11));
            assert!((0..297).filter(inside).all(|i| (back[i] - planes[i]).abs() < 1e-6), "{how:?}");
        }
    }

    #[test]
    fn malvars_filters_are_those_of_the_paper() {
        // One bright green pixel in a red row of a dark sensor (RGGB): filters for red and blue there are 5/8.
        let mosaic = mosaic(0, 0);
        let (mut raw, mut back) = (vec![0.0; 99], vec![0.0; 297]);
        raw[4 * 11 + 5] = 1.0;
        mosaic.fill(&raw, Demosaic::Malvar, &mut back);
        let at = |c: usize, y: usize, x: usize| back[c * 99 + y * 11 + x];
        assert_eq!((at(0, 4, 5), at(1, 4, 5), at(2, 4, 5)), (0.625, 1.0, 0.625));
        // Its red neighbour to the left gets a quarter of it as green; the red pixel keeps its measured colour.
        assert_eq!((at(0, 4, 4), at(1, 4, 4)), (0.0, 0.25));
    }
}
