//! Pixels to channels and back, by 2.

use std::ops::Range;

use super::isa::{Isa, Work, dispatch};
use super::parallel::{self, Shared};
use super::simd::Simd;
use super::{GRAIN, output};

/// `(B,C,2H,2W)` -> `(B,4C,H,W)`: channel `4c + 2i + j` holds row `i`, column `j` of each square of channel
/// `c`. `planes` is `B C`; `h` and `w` are the result's.
///
/// # Panics
/// `x` has another length.
pub fn pixel_unshuffle(x: &[f32], planes: usize, h: usize, w: usize) -> Vec<f32> {
    assert_eq!(x.len(), planes * 4 * h * w, "pixel_unshuffle: the length must be that of the shape");
    run(x, planes, h, w, Turn::Unshuffle)
}

/// `(B,4C,H,W)` -> `(B,C,2H,2W)`: the inverse. `planes` is `B C`; `h` and `w` are the argument's.
///
/// # Panics
/// `x` has another length.
pub fn pixel_shuffle(x: &[f32], planes: usize, h: usize, w: usize) -> Vec<f32> {
    assert_eq!(x.len(), planes * 4 * h * w, "pixel_shuffle: the length must be that of the shape");
    run(x, planes, h, w, Turn::Shuffle)
}

fn run(x: &[f32], planes: usize, h: usize, w: usize, turn: Turn) -> Vec<f32> {
    let isa = Isa::current();
    let rows = (GRAIN / (4 * w).max(1)).clamp(1, h.max(1));
    let bands = h.div_ceil(rows);
    output(x.len(), |to| {
        parallel::for_each(planes * bands, |task| {
            let (plane, first) = (task / bands, task % bands * rows);
            let band =
                Band { x, to, start: plane * 4 * h * w, rows: first..(first + rows).min(h), h, w, turn };
            // SAFETY: the instruction set is available; each task has its own rows of its own plane.
            unsafe { dispatch(isa, band) }
        });
    })
}

#[derive(Clone, Copy)]
enum Turn {
    Shuffle,
    Unshuffle,
}

/// Some rows of one plane (of four planes, on the side of the channels).
struct Band<'a> {
    x: &'a [f32],
    to: Shared<f32>,
    start: usize,
    rows: Range<usize>,
    h: usize,
    w: usize,
    turn: Turn,
}

impl Work for Band<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (h, w) = (self.h, self.w);
        for y in self.rows.clone() {
            for i in 0..2 {
                // The row of pixels, and its even and odd columns among the channels.
                let pixels = self.start + (2 * y + i) * 2 * w;
                let even = self.start + (2 * i * h + y) * w;
                let odd = even + h * w;
                // SAFETY: this task alone writes these rows.
                unsafe {
                    match self.turn {
                        Turn::Unshuffle => {
                            let (e, o) = (self.to.part(even, w), self.to.part(odd, w));
                            split::<S>(&self.x[pixels..][..2 * w], e, o);
                        }
                        Turn::Shuffle => {
                            let (e, o) = (&self.x[even..][..w], &self.x[odd..][..w]);
                            join::<S>(e, o, self.to.part(pixels, 2 * w));
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
unsafe fn split<S: Simd>(pixels: &[f32], even: &mut [f32], odd: &mut [f32]) {
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
