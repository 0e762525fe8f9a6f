//! Dense: a 1x1 convolution at few positions of an image, vectorized over the output channels instead of over the positions.
//!
//! One sample through a linear layer is one position: vectorized over positions, all lanes but one would be idle. As
//! a matrix product, positions by weights, it reads the weights once for all images. Each number is the same sum in
//! the same order as in `direct`, bit for bit.

use super::Conv;
use super::epilogue::Epilogue;
use super::gemm::{Sink, Tile, bands, panels};
use super::isa::{Isa, Work, dispatch};
use super::parallel::{self, Shared};
use super::scratch::Scratch;
use super::simd::Simd;

/// Largest number of positions of an image for which this path is faster.
const FEW: usize = 8;

/// Number of operations below which a second thread costs more than it saves.
const SMALL: usize = 400_000;

/// Returns `true` if this path is the faster one for `conv`.
pub(super) fn fits(conv: &Conv) -> bool {
    conv.kh == 1 && conv.kw == 1 && conv.h * conv.w <= FEW
}

/// Packs weights into panels of output channels, the columns of one register tile each:
/// `[panel][input channel][output channel]`; channels missing from the last vector are zero.
pub(super) fn pack(isa: Isa, conv: &Conv, weight: &[f32]) -> Vec<f32> {
    struct Pack<'a>(&'a Conv, &'a [f32]);
    impl Work for Pack<'_> {
        type Out = Vec<f32>;
        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> Vec<f32> {
            let Pack(conv, weight) = self;
            let k = conv.c_in;
            let mut packed = Vec::with_capacity(conv.c_out.next_multiple_of(S::N) * k);
            for (first, vectors) in panels::<S>(conv.c_out.div_ceil(S::N)) {
                let columns = first * S::N..(first + vectors) * S::N;
                let at = |z: usize, i: usize| if z < conv.c_out { weight[z * k + i] } else { 0.0 };
                (0..k).for_each(|i| packed.extend(columns.clone().map(|z| at(z, i))));
            }
            packed
        }
    }
    // SAFETY: `isa` comes from `Isa::current`, so it is available; `run` is safe code.
    unsafe { dispatch(isa, Pack(conv, weight)) }
}

/// Convolves `x` with packed weights into `out`, every float of which is written.
pub(super) fn conv2d(
    isa: Isa,
    conv: &Conv,
    x: &[f32],
    packed: &[f32],
    epilogue: &Epilogue,
    out: Shared<f32>,
) {
    let (k, area) = (conv.c_in, conv.h * conv.w);
    let places = conv.batch * area;
    // Whole register tiles of positions: rows beyond the last hold stale values; their sums are never read.
    let mut rows = Scratch::take((places + 7) * k);
    let rows = rows.floats();
    for (image, x) in x.chunks_exact(k * area).enumerate() {
        let rows = &mut rows[image * area * k..][..area * k];
        if area == 1 {
            rows.copy_from_slice(x);
            continue;
        }
        for (c, x) in x.chunks_exact(area).enumerate() {
            x.iter().enumerate().for_each(|(place, x)| rows[place * k + c] = *x);
        }
    }
    let run = |first: usize, vectors: usize| {
        let work = Panel { conv, rows, packed, epilogue, out, first, vectors };
        // SAFETY: `isa` is available; tasks write different channels of `out`.
        unsafe { dispatch(isa, work) }
    };
    // SAFETY: as above; `run` is safe code.
    let panels = unsafe { dispatch(isa, Panels(conv.c_out)) };
    if 2 * places * k * conv.c_out < SMALL {
        panels.iter().for_each(|panel| run(panel.0, panel.1));
    } else {
        parallel::for_each(panels.len(), |i| run(panels[i].0, panels[i].1));
    }
}

/// Work that lists the panels of this number of output channels.
struct Panels(usize);

impl Work for Panels {
    type Out = Vec<(usize, usize)>;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Vec<(usize, usize)> {
        panels::<S>(self.0.div_ceil(S::N)).collect()
    }
}

/// Work on all positions, for `vectors` vectors of output channels from vector `first` on.
struct Panel<'a> {
    conv: &'a Conv,
    /// Input as `[position][input channel]`.
    rows: &'a [f32],
    packed: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    out: Shared<f32>,
    first: usize,
    vectors: usize,
}

impl Work for Panel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.conv.c_in;
        let places = self.conv.batch * self.conv.h * self.conv.w;
        let weight = &self.packed[self.first * S::N * k..][..self.vectors * S::N * k];
        for (place, height) in bands::<S>(places) {
            let tile = Tile {
                k,
                a: self.rows[place * k..][..height * k].as_ptr(),
                a_row: k,
                a_step: 1,
                b: weight.as_ptr(),
                b_step: self.vectors * S::N,
                offsets: std::ptr::null(),
                c: std::ptr::null_mut(),
                c_row: 0,
                add: false,
            };
            // SAFETY: the slices hold the tile's rows; this task alone writes these channels.
            unsafe {
                let mut sink = Places { panel: &self, place, places };
                tile.run_into::<S, false>(height, self.vectors, &mut sink);
            }
        }
    }
}

/// Sink that passes the sums of each position through the epilogue to their channels.
struct Places<'a> {
    panel: &'a Panel<'a>,
    /// Position of the tile's first row.
    place: usize,
    places: usize,
}

impl<S: Simd> Sink<S> for Places<'_> {
    #[inline(always)]
    unsafe fn put<const C: usize>(&mut self, m: usize, sums: &[S::V; C]) {
        let Panel { conv, epilogue, out, first, .. } = self.panel;
        let place = self.place + m;
        if place >= self.places {
            return;
        }
        let mut values = [0.0; 3 * 16];
        for (n, sum) in sums.iter().enumerate() {
            // SAFETY: no register tile has more than three vectors.
            unsafe { S::store(values.as_mut_ptr().add(n * S::N), *sum) };
        }
        let area = conv.h * conv.w;
        let z = first * S::N;
        let channels = (C * S::N).min(conv.c_out - z);
        let at = (place / area * conv.c_out + z) * area + place % area;
        if area == 1 {
            // SAFETY: these channels of this place are this task's alone.
            let out = unsafe { out.part(at, channels) };
            out.iter_mut().zip(&values).enumerate().for_each(|(i, (to, sum))| epilogue.one(*sum, to, z + i));
            return;
        }
        for (i, sum) in values[..channels].iter().enumerate() {
            // SAFETY: as above.
            unsafe { epilogue.one(*sum, &mut out.part(at + i * area, 1)[0], z + i) };
        }
    }
}
