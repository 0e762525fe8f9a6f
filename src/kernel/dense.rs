//! Dense: a 1x1 convolution at so few places that vectors lie along the output channels instead of along the places.
//!
//! One sample through a linear layer is one place: along the places all lanes but one would be idle. Each number is the same
//! sum in the same order as in `direct`, bit for bit.

use super::Conv;
use super::epilogue::Epilogue;
use super::isa::{Isa, Work, dispatch};
use super::parallel::{self, Shared};
use super::simd::Simd;

/// Places up to which one after the other is faster than side by side.
const FEW: usize = 8;

/// Vectors of output channels at a time: as many sums as hide most of the time that one addition takes.
const COLS: usize = 4;

/// Operations below which a second thread costs more than it saves.
const SMALL: usize = 400_000;

/// Whether this path is for it.
pub(super) fn fits(conv: &Conv) -> bool {
    conv.kh == 1 && conv.kw == 1 && conv.h * conv.w <= FEW
}

/// Weights as the sums read them: blocks of `COLS` vectors of output channels, in each `[input channel][output channel]`,
/// the channels missing from the last block zero.
pub(super) fn pack(isa: Isa, conv: &Conv, weight: &[f32]) -> Vec<f32> {
    struct Pack<'a>(&'a Conv, &'a [f32]);
    impl Work for Pack<'_> {
        type Out = Vec<f32>;
        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> Vec<f32> {
            let Pack(conv, weight) = self;
            let (k, block) = (conv.c_in, COLS * S::N);
            let mut packed = Vec::with_capacity(conv.c_out.next_multiple_of(block) * k);
            for first in (0..conv.c_out).step_by(block) {
                let at = |z: usize, i: usize| if z < conv.c_out { weight[z * k + i] } else { 0.0 };
                (0..k).for_each(|i| packed.extend((first..first + block).map(|z| at(z, i))));
            }
            packed
        }
    }
    // SAFETY: `isa` comes from `Isa::current`, so it is available; `run` is safe code.
    unsafe { dispatch(isa, Pack(conv, weight)) }
}

/// Convolves `x` with packed weights into `out`, all of which is written.
pub(super) fn conv2d(
    isa: Isa,
    conv: &Conv,
    x: &[f32],
    packed: &[f32],
    epilogue: &Epilogue,
    out: Shared<f32>,
) {
    // SAFETY: `isa` is available; `run` is safe code.
    let block = unsafe { dispatch(isa, Width) };
    let (blocks, places) = (conv.c_out.div_ceil(block), conv.batch * conv.h * conv.w);
    let run = |task: usize| {
        let (place, first) = (task / blocks, task % blocks * block);
        let work = Block { conv, x, packed, epilogue, out, place, first };
        // SAFETY: `isa` is available; tasks write different places or channels of `out`.
        unsafe { dispatch(isa, work) }
    };
    if 2 * places * conv.c_in * conv.c_out < SMALL {
        (0..places * blocks).for_each(run);
    } else {
        parallel::for_each(places * blocks, run);
    }
}

/// Output channels of a block.
struct Width;

impl Work for Width {
    type Out = usize;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> usize {
        COLS * S::N
    }
}

/// A block of output channels, from `first` on, at one place of one image.
struct Block<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    packed: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    out: Shared<f32>,
    place: usize,
    first: usize,
}

impl Work for Block<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, first, .. } = self;
        let (area, block) = (conv.h * conv.w, COLS * S::N);
        let (image, place) = (self.place / area, self.place % area);
        let x = &self.x[image * conv.c_in * area..][..conv.c_in * area];
        let weight = &self.packed[first * conv.c_in..][..block * conv.c_in];
        let mut sums = [0f32; 16 * COLS];
        // SAFETY: the machine has the instructions; each row of the weights has COLS vectors, as the sums have.
        unsafe {
            let mut sum = [S::zero(); COLS];
            for (row, x) in weight.chunks_exact(block).zip(x[place..].iter().step_by(area)) {
                let x = S::splat(*x);
                for n in 0..COLS {
                    sum[n] = S::fma(x, S::load(row.as_ptr().add(n * S::N)), sum[n]);
                }
            }
            for n in 0..COLS {
                S::store(sums.as_mut_ptr().add(n * S::N), sum[n]);
            }
        }
        for (z, sum) in (first..conv.c_out).zip(&sums[..block]) {
            let at = (image * conv.c_out + z) * area + place;
            // SAFETY: this task alone writes this place of this channel.
            unsafe { self.epilogue.one(*sum, &mut self.out.part(at, 1)[0], z) };
        }
    }
}
