//! Reordering of rectangles of pixels to channels and back; whole planes by 2x2.

use std::ops::Range;

use super::isa::{Isa, Work, dispatch};
use super::parallel::{self, Shared};
use super::ring::Ring;
use super::simd::Simd;
use super::{GRAIN, output};

/// Reorders `(B,C,2H,2W)` to `(B,4C,H,W)`: channel `4c + 2i + j` holds row `i`, column `j` of each square of channel
/// `c`. `planes` is `B C`; `h` and `w` are the result's.
///
/// # Panics
/// `x` has another length.
pub fn pixel_unshuffle(x: &[f32], planes: usize, h: usize, w: usize) -> Vec<f32> {
    assert_eq!(x.len(), planes * 4 * h * w, "pixel_unshuffle: the length must be that of the shape");
    whole(x, planes, h, w, true)
}

/// Reorders `(B,4C,H,W)` to `(B,C,2H,2W)`: the inverse. `planes` is `B C`; `h` and `w` are the argument's.
///
/// # Panics
/// `x` has another length.
pub fn pixel_shuffle(x: &[f32], planes: usize, h: usize, w: usize) -> Vec<f32> {
    assert_eq!(x.len(), planes * 4 * h * w, "pixel_shuffle: the length must be that of the shape");
    whole(x, planes, h, w, false)
}

/// [`pixel_unshuffle`] by any number of rows and columns, for these rows of the result only: channel
/// `(c rows + i) cols + j` holds row `i`, column `j` of each rectangle of channel `c`.
///
/// # Panics
/// The shapes do not fit, or a ring cannot hold these rows.
pub fn fold_rows(by: (usize, usize), rows: Range<usize>, x: &Ring, to: &mut Ring) {
    let shuffle =
        Shuffle { to_channels: true, by, rows, w: to.width(), x_held: x.held(), to_held: to.held() };
    shuffle.check(x, to);
    shuffle.run_rings(x.channels(), x, to);
}

/// Inverse of [`fold_rows`]; `rows` are the argument's.
///
/// # Panics
/// The shapes do not fit, or a ring cannot hold these rows.
pub fn unfold_rows(by: (usize, usize), rows: Range<usize>, x: &Ring, to: &mut Ring) {
    let shuffle =
        Shuffle { to_channels: false, by, rows, w: x.width(), x_held: x.held(), to_held: to.held() };
    shuffle.check(to, x);
    shuffle.run_rings(to.channels(), x, to);
}

fn whole(x: &[f32], planes: usize, h: usize, w: usize, to_channels: bool) -> Vec<f32> {
    let (x_held, to_held) = if to_channels { (2 * h, h) } else { (h, 2 * h) };
    let shuffle = Shuffle { to_channels, by: (2, 2), rows: 0..h, w, x_held, to_held };
    output(x.len(), |to| shuffle.run(planes, x, to))
}

/// Reordering between pixels and channels.
#[derive(Clone)]
struct Shuffle {
    to_channels: bool,
    /// Rows and columns of a rectangle of pixels.
    by: (usize, usize),
    /// Rows of the channels to move, and their number of columns.
    rows: Range<usize>,
    w: usize,
    /// Rows of each plane in memory.
    x_held: usize,
    to_held: usize,
}

impl Shuffle {
    fn check(&self, pixels: &Ring, channels: &Ring) {
        let Self { by: (a, b), rows, .. } = self;
        channels.check(rows);
        pixels.check(&(a * rows.start..a * rows.end));
        let folded = (a * b * pixels.channels(), a * channels.height(), b * channels.width());
        assert_eq!((channels.channels(), pixels.height(), pixels.width()), folded, "a fold by {a}x{b}");
    }

    fn run_rings(&self, planes: usize, x: &Ring, to: &mut Ring) {
        // Before the first row `x` may not be written yet, and `data` would panic.
        if !self.rows.is_empty() {
            self.run(planes, x.data(), Shared::new(to.data_mut()));
        }
    }

    /// Moves `planes` planes of pixels.
    fn run(&self, planes: usize, x: &[f32], to: Shared<f32>) {
        let Self { by: (a, b), rows, w, .. } = self;
        let isa = Isa::current();
        let step = (GRAIN / (a * b * w).max(1)).clamp(1, rows.len().max(1));
        let bands = rows.len().div_ceil(step);
        parallel::for_each(planes * bands, |task| {
            let (plane, first) = (task / bands, rows.start + task % bands * step);
            let shuffle = Self { rows: first..(first + step).min(rows.end), ..self.clone() };
            // SAFETY: the instruction set is available; each task has its own rows of its own plane.
            unsafe { dispatch(isa, Band { shuffle, plane, x, to }) }
        });
    }
}

/// Some rows of one plane of pixels.
struct Band<'a> {
    shuffle: Shuffle,
    plane: usize,
    x: &'a [f32],
    to: Shared<f32>,
}

impl Work for Band<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { shuffle: Shuffle { to_channels, by: (a, b), rows, w, x_held, to_held }, plane, x, to } =
            self;
        let (fine_held, coarse_held) = if to_channels { (x_held, to_held) } else { (to_held, x_held) };
        for (y, i) in rows.flat_map(|y| (0..a).map(move |i| (y, i))) {
            // Starts of the row of pixels, and of its every b-th pixel among the channels.
            let pixels = (plane * fine_held + (a * y + i) % fine_held) * b * w;
            let channel = |j: usize| (((plane * a + i) * b + j) * coarse_held + y % coarse_held) * w;
            // SAFETY: this task alone writes these rows.
            unsafe {
                match (to_channels, b) {
                    (true, 2) => {
                        let (e, o) = (to.part(channel(0), w), to.part(channel(1), w));
                        split::<S>(&x[pixels..][..2 * w], e, o);
                    }
                    (false, 2) => {
                        let (e, o) = (&x[channel(0)..][..w], &x[channel(1)..][..w]);
                        join::<S>(e, o, to.part(pixels, 2 * w));
                    }
                    (true, _) => {
                        for j in 0..b {
                            let every = x[pixels + j..pixels + b * w].iter().step_by(b);
                            to.part(channel(j), w).iter_mut().zip(every).for_each(|(to, x)| *to = *x);
                        }
                    }
                    (false, _) => {
                        for (j, pixel) in to.part(pixels, b * w).iter_mut().enumerate() {
                            *pixel = x[channel(j % b) + j / b];
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// The machine has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn split<S: Simd>(pixels: &[f32], even: &mut [f32], odd: &mut [f32]) {
    let w = even.len();
    assert!(pixels.len() == 2 * w && odd.len() == w);
    let mut i = 0;
    while i + S::N <= w {
        // SAFETY: columns up to 2 (i + N) <= 2 w are read, up to i + N <= w written.
        unsafe {
            let p = pixels.as_ptr().add(2 * i);
            let (e, o) = S::unzip(S::load(p), S::load(p.add(S::N)));
            S::store(even.as_mut_ptr().add(i), e);
            S::store(odd.as_mut_ptr().add(i), o);
        }
        i += S::N;
    }
    for i in i..w {
        even[i] = pixels[2 * i];
        odd[i] = pixels[2 * i + 1];
    }
}

/// # Safety
/// The machine has the instructions of `S`.
#[inline(always)]
unsafe fn join<S: Simd>(even: &[f32], odd: &[f32], pixels: &mut [f32]) {
    let w = even.len();
    assert!(pixels.len() == 2 * w && odd.len() == w);
    let mut i = 0;
    while i + S::N <= w {
        // SAFETY: columns up to i + N <= w are read, up to 2 (i + N) <= 2 w written.
        unsafe {
            let (a, b) = S::zip(S::load(even.as_ptr().add(i)), S::load(odd.as_ptr().add(i)));
            let p = pixels.as_mut_ptr().add(2 * i);
            S::store(p, a);
            S::store(p.add(S::N), b);
        }
        i += S::N;
    }
    for i in i..w {
        pixels[2 * i] = even[i];
        pixels[2 * i + 1] = odd[i];
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference;
    use super::super::tests::{noise, on_every_isa};
    use super::*;

    #[test]
    fn fast_shuffles_are_the_reference_exactly() {
        on_every_isa(|_| {
            for (planes, h, w) in [(1, 1, 1), (3, 2, 5), (2, 17, 23), (4, 8, 64), (5, 3, 33)] {
                let x = noise(planes * 4 * h * w, 1);
                assert_eq!(pixel_unshuffle(&x, planes, h, w), reference::pixel_unshuffle(&x, planes, h, w));
                assert_eq!(pixel_shuffle(&x, planes, h, w), reference::pixel_shuffle(&x, planes, h, w));
            }
        });
    }

    #[test]
    fn one_is_the_inverse_of_the_other() {
        let x = noise(6 * 4 * 9 * 21, 2);
        assert_eq!(pixel_shuffle(&pixel_unshuffle(&x, 6, 9, 21), 6, 9, 21), x);
    }
}
