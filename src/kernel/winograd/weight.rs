//! Weights: transformed from taps to points, in the order in which products read them.

use super::super::channels_last::gather;
use super::super::gemm::{Sink, bands, panels};
use super::super::isa::{Isa, Work, dispatch};
use super::super::parallel::{self, Shared};
use super::super::simd::Simd;
use super::super::{Conv, output};
use super::POINTS;
use super::transform::{self, Grid};

/// Taps of a convolution, `(Z, C, 3, 3)`; if `turned`, those of its gradient of the input, `(C, Z, 3, 3)`, read in
/// reverse order.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Weight<'a> {
    pub taps: &'a [f32],
    pub turned: bool,
}

/// Role of output channels in a register tile. Those of one tile are read together, and so are contiguous.
#[derive(Clone, Copy)]
pub(super) enum Group {
    /// Columns; channels missing from the last vector are zero.
    Columns,
    /// Rows.
    Rows,
}

impl Group {
    /// Lists `(first channel, channels)` of each group of `all` channels, a multiple of 8.
    #[inline(always)]
    fn cut<S: Simd>(self, all: usize) -> Vec<(usize, usize)> {
        match self {
            Group::Columns => {
                panels::<S>(all.div_ceil(S::N)).map(|(first, n)| (first * S::N, n * S::N)).collect()
            }
            Group::Rows => bands::<S>(all).collect(),
        }
    }

    /// Total number of channels of all groups.
    fn channels(self, isa: Isa, all: usize) -> usize {
        match self {
            Group::Columns => all.next_multiple_of(isa.lanes()),
            Group::Rows => all,
        }
    }
}

/// Transforms weights to `[group][point][c][z]`.
pub(super) fn pack(isa: Isa, conv: &Conv, weight: Weight, group: Group) -> Vec<f32> {
    output(POINTS * conv.c_in * group.channels(isa, conv.c_out), |out| {
        parallel::for_each(conv.c_out.div_ceil(16), |i| {
            let work = Pack { conv, weight, group, first: i * 16, out };
            // SAFETY: `isa` is available; each task writes its own output channels.
            unsafe { dispatch(isa, work) }
        });
    })
}

/// Work that transforms 16 output channels.
struct Pack<'a> {
    conv: &'a Conv,
    weight: Weight<'a>,
    group: Group,
    first: usize,
    out: Shared<f32>,
}

impl Work for Pack<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, weight, .. } = self;
        let groups = self.group.cut::<S>(conv.c_out);
        let end = conv.c_out.min(self.first + 16);
        let place = |(first, channels): (usize, usize), point: usize, c: usize, z: usize| {
            (POINTS * first + point * channels) * conv.c_in + c * channels + z - first
        };
        for z in (self.first..end).step_by(S::N) {
            let whole = groups.iter().find(|(first, channels)| *first <= z && z + S::N <= first + channels);
            for c in 0..conv.c_in {
                // SAFETY: only this task's channels are written; the local array has room for N lanes of all points.
                unsafe {
                    if let Some(&group) = whole {
                        let (to, step) = (self.out.at(place(group, 0, c, z)), group.1 * conv.c_in);
                        weight.transform::<S>(conv, c, z, &mut Grid::<_, 6>::new(to, 6 * step, step));
                        continue;
                    }
                    let mut points = [0.0; POINTS * 16];
                    let mut to = Grid::<_, 6>::new(points.as_mut_ptr(), 6 * S::N, S::N);
                    weight.transform::<S>(conv, c, z, &mut to);
                    for &group in &groups {
                        let (from, to) = (group.0.max(z), (group.0 + group.1).min(z + S::N));
                        for point in 0..if from < to { POINTS } else { 0 } {
                            let row = self.out.part(place(group, point, c, from), to - from);
                            row.copy_from_slice(&points[point * S::N..][from - z..to - z]);
                        }
                    }
                }
            }
        }
    }
}

impl Weight<'_> {
    /// Transforms the kernels from channel `c` of the input to the N channels of the result from `z` on; missing
    /// channels are zero.
    ///
    /// # Safety
    /// The machine has the instructions of `S`; the sink's contract holds.
    #[inline(always)]
    unsafe fn transform<S: Simd>(&self, conv: &Conv, c: usize, z: usize, to: &mut impl Sink<S>) {
        let channels = S::N.min(conv.c_out - z);
        let (start, step) = match self.turned {
            true => ((c * conv.c_out + z) * 9, 9),
            false => ((z * conv.c_in + c) * 9, conv.c_in * 9),
        };
        let from = &self.taps[start..start + (channels - 1) * step + 9];
        let mut taps = [0.0; 9 * 16];
        // SAFETY: the taps of `channels` kernels are inside the slice, the local array has room for those of N.
        unsafe {
            gather::<S>(from.as_ptr(), step, channels, 9, taps.as_mut_ptr(), S::N);
            if self.turned {
                for tap in 0..4 {
                    for lane in 0..S::N {
                        taps.swap(tap * S::N + lane, (8 - tap) * S::N + lane);
                    }
                }
            }
            transform::weight::<S>(Grid::new(taps.as_ptr(), 3 * S::N, S::N), to);
        }
    }
}
