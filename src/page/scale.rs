//! Scale: reduces planes by area averaging, and enlarges them by interpolation between pixel centres.

/// Reduces a large plane to `height` by `width`, row by row: each pixel is the mean over the area that it covers,
/// including fractions of pixels.
#[derive(Debug)]
pub(super) struct Shrink {
    from: (usize, usize),
    to: (usize, usize),
    /// First pixel that each column covers, and the weights of it and the following ones.
    columns: Vec<(usize, Vec<f32>)>,
    data: Vec<f32>,
}

impl Shrink {
    pub fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        let columns = (0..to.1).map(|x| cover(x, from.1, to.1)).collect();
        Self { from, to, columns, data: vec![0.0; to.0 * to.1] }
    }

    /// Adds row `y` of the large plane.
    pub fn add(&mut self, y: usize, row: &[f32]) {
        let per = self.from.0 as f32 / self.to.0 as f32;
        let first = (y as f32 / per) as usize;
        for target in first..(first + 2).min(self.to.0) {
            let (top, bottom) = (target as f32 * per, (target + 1) as f32 * per);
            let share = (bottom.min((y + 1) as f32) - top.max(y as f32)).max(0.0) / per;
            if share > 0.0 {
                let to = &mut self.data[target * self.to.1..][..self.to.1];
                for (to, (first, shares)) in to.iter_mut().zip(&self.columns) {
                    let mean: f32 = row[*first..].iter().zip(shares).map(|(v, share)| v * share).sum();
                    *to += share * mean;
                }
            }
        }
    }

    pub fn finish(self) -> Vec<f32> {
        self.data
    }
}

/// Returns the first pixel of `n` that pixel `at` of `to` covers, and the weight of each covered pixel.
fn cover(at: usize, n: usize, to: usize) -> (usize, Vec<f32>) {
    let per = n as f32 / to as f32;
    let (begin, end) = (at as f32 * per, ((at + 1) as f32 * per).min(n as f32));
    let first = (begin as usize).min(n - 1);
    let last = (end.ceil() as usize).clamp(first + 1, n);
    let share = |x: usize| (end.min((x + 1) as f32) - begin.max(x as f32)).max(0.0);
    let shares: Vec<f32> = (first..last).map(share).collect();
    let all: f32 = shares.iter().sum();
    (first, shares.iter().map(|s| s / all.max(f32::MIN_POSITIVE)).collect())
}

/// Reads a small plane row by row at a larger size.
#[derive(Debug)]
pub(super) struct Enlarge {
    from: (usize, usize),
    to: (usize, usize),
    /// For each column of the large plane, the two nearest columns of the small one, and the distance from the first.
    columns: Vec<(usize, usize, f32)>,
}

impl Enlarge {
    pub fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        let columns = (0..to.1).map(|x| super::paper::place(x, to.1, from.1)).collect();
        Self { from, to, columns }
    }

    /// Computes row `y` of `plane` at the larger size.
    pub fn row(&self, plane: &[f32], y: usize, out: &mut [f32]) {
        let width = self.from.1;
        if self.from == self.to {
            return out.copy_from_slice(&plane[y * width..][..width]);
        }
        let (top, bottom, share) = super::paper::place(y, self.to.0, self.from.0);
        let line: Vec<f32> = plane[top * width..][..width]
            .iter()
            .zip(&plane[bottom * width..][..width])
            .map(|(a, b)| a + share * (b - a))
            .collect();
        for (out, &(left, right, share)) in out.iter_mut().zip(&self.columns) {
            *out = line[left] + share * (line[right] - line[left]);
        }
    }
}

/// Returns the slope of the regression of `to` on `from` around each pixel, 0 to 2: the fraction of a difference in
/// `from` that remains in `to`. Where `from` is flat it is 0.
///
/// # Source
/// K. He and J. Sun, "Fast guided filter", arXiv 1505.00996: the filter's `a`, of 3 by 3 pixels.
pub(super) fn slopes(from: &[f32], to: &[f32], height: usize, width: usize) -> Vec<f32> {
    /// Variance below which `from` counts as flat.
    const FLAT: f32 = 4e-4;
    let of = |at: usize| {
        let (y, x) = (at / width, at % width);
        let [mut n, mut a, mut b, mut aa, mut ab] = [0.0f32; 5];
        for y in y.saturating_sub(1)..(y + 2).min(height) {
            for x in x.saturating_sub(1)..(x + 2).min(width) {
                let (u, v) = (from[y * width + x], to[y * width + x]);
                (n, a, b, aa, ab) = (n + 1.0, a + u, b + v, aa + u * u, ab + u * v);
            }
        }
        ((ab - a * b / n) / (aa - a * a / n + n * FLAT)).clamp(0.0, 2.0)
    };
    (0..height * width).map(of).collect()
}
