//! Convolution: shape, packed weights, and choice of the path.

use std::ops::Range;
use std::sync::OnceLock;

use super::epilogue::Epilogue;
use super::isa::{Isa, Work, dispatch};
use super::parallel::{self, Shared};
use super::ring::Ring;
use super::simd::Simd;
use super::{dense, direct, output, weight_grad, winograd};

/// Function applied to a convolution's sum before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Identity.
    None,
    /// `max(0, x)`.
    Relu,
}

/// Shape of a convolution of stride 1, zero-padded to preserve `h` and `w`.
///
/// `x: (batch, c_in, h, w)`, `weight: (c_out, c_in, kh, kw)`, result `(batch, c_out, h, w)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Number of images.
    pub batch: usize,
    /// Number of input channels.
    pub c_in: usize,
    /// Number of output channels.
    pub c_out: usize,
    /// Height of a plane, in pixels.
    pub h: usize,
    /// Width of a plane, in pixels.
    pub w: usize,
    /// Height of the kernel, odd.
    pub kh: usize,
    /// Width of the kernel, odd.
    pub kw: usize,
}

impl Conv {
    /// Number of floats of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.c_in * self.h * self.w
    }

    /// Number of floats of the weight.
    pub fn weight_len(&self) -> usize {
        self.c_out * self.c_in * self.kh * self.kw
    }

    /// Number of floats of the result.
    pub fn output_len(&self) -> usize {
        self.batch * self.c_out * self.h * self.w
    }

    /// Returns the convolution whose forward pass is this one's gradient of the input.
    fn transposed(&self) -> Conv {
        Conv { c_in: self.c_out, c_out: self.c_in, ..*self }
    }

    fn check(&self, x: usize, weight: usize, result: usize) {
        let extent = |k: usize| k % 2 == 1 && k < 32;
        assert!(extent(self.kh) && extent(self.kw), "a kernel is odd and below 32 wide: {self:?}");
        assert_eq!(x, self.input_len(), "the input must have the shape's length: {self:?}");
        assert_eq!(weight, self.weight_len(), "the weight must have the shape's length: {self:?}");
        assert_eq!(result, self.output_len(), "the result must have the shape's length: {self:?}");
    }
}

/// Rows of the result to compute, and the layout of input and result: each plane has a number of rows in memory, row
/// `y` at `y % held`; all rows, or those of a [`Ring`].
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub rows: Range<usize>,
    /// Rows in memory of each plane of the input.
    pub x: usize,
    /// Rows in memory of each plane of the result.
    pub out: usize,
    /// Reordering of the input before the convolution, or of the result after it.
    pub around: Around,
}

impl Span {
    /// Span of all rows, all in memory.
    pub(super) fn whole(conv: &Conv) -> Self {
        Self { rows: 0..conv.h, x: conv.h, out: conv.h, around: Around::None }
    }

    /// Range of rows of 4x4 tiles.
    pub(super) fn tiles(&self) -> Range<usize> {
        self.rows.start / 4..self.rows.end.div_ceil(4)
    }
}

/// Weights in the layouts that the kernels read, each made on the first use of its path: for inference.
#[derive(Debug)]
pub struct Packed {
    isa: Isa,
    weight: Vec<f32>,
    direct: OnceLock<Vec<f32>>,
    dense: OnceLock<Vec<f32>>,
    winograd: winograd::Packed,
}

impl Packed {
    /// Wraps `weight`, `(Z, C, KH, KW)`, for the current instruction set.
    pub fn new(weight: Vec<f32>) -> Self {
        Self {
            isa: Isa::current(),
            weight,
            direct: OnceLock::new(),
            dense: OnceLock::new(),
            winograd: Default::default(),
        }
    }
}

/// Computes `act(conv(x, weight) + bias + residual)`.
///
/// # Panics
/// A slice does not have the length of its shape.
pub fn conv2d(
    conv: &Conv,
    x: &[f32],
    packed: &Packed,
    bias: Option<&[f32]>,
    act: Activation,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    if let Some(residual) = residual {
        let mut sum = residual.to_vec();
        conv2d_onto(conv, x, packed, bias, act, &mut sum);
        return sum;
    }
    conv.check(x.len(), packed.weight.len(), conv.output_len());
    let epilogue = Epilogue { bias, adds: false, relu: act == Activation::Relu };
    output(conv.output_len(), |out| forward(conv, &Span::whole(conv), x, packed, &epilogue, out))
}

/// Computes `onto = act(conv(x, weight) + bias + onto)`.
///
/// # Panics
/// A slice does not have the length of its shape.
pub fn conv2d_onto(
    conv: &Conv,
    x: &[f32],
    packed: &Packed,
    bias: Option<&[f32]>,
    act: Activation,
    onto: &mut [f32],
) {
    conv.check(x.len(), packed.weight.len(), onto.len());
    let epilogue = Epilogue { bias, adds: true, relu: act == Activation::Relu };
    forward(conv, &Span::whole(conv), x, packed, &epilogue, Shared::new(onto));
}

/// Reordering of pixels and channels before or after a convolution ([`super::fold_rows`]), in rectangles of the given
/// number of rows and two columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// None.
    None,
    /// Pixels become channels before the convolution.
    Fold(usize),
    /// Channels become pixels after the convolution.
    Unfold(usize),
}

/// Convolution of a streamed image.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Height and width of the kernel.
    pub kernel: (usize, usize),
    /// Reordering; anything but [`Around::None`] requires a 1x1 kernel.
    pub around: Around,
    /// Weights `(Z, C, KH, KW)`.
    pub weight: &'a Packed,
    /// Biases `(Z)`.
    pub bias: &'a [f32],
    /// Function applied to the sum.
    pub act: Activation,
    /// `true` if the previous content of the result is added to the sum.
    pub adds: bool,
}

/// Computes `out = act(conv(x, weight) + bias)`, or `act(conv(x, weight) + bias + out)`, in these rows only: bit for
/// bit the rows that a convolution of whole planes gives. For a kernel taller than 1, `rows` must begin and end at
/// multiples of 4, or end with the plane.
///
/// # Panics
/// The shapes do not fit, or a ring cannot hold the rows that are read or written.
pub fn conv2d_rows(layer: &Layer, rows: Range<usize>, x: &Ring, out: &mut Ring) {
    let Layer { kernel: (kh, kw), around, weight, bias, act, adds } = *layer;
    let (fold, unfold) = match around {
        Around::None => ((1, 1), (1, 1)),
        Around::Fold(high) => ((high, 2), (1, 1)),
        Around::Unfold(high) => ((1, 1), (high, 2)),
    };
    let folded = |ring: &Ring, (high, wide): (usize, usize)| {
        let (height, width) = (ring.height() / high, ring.width() / wide);
        assert_eq!((high * height, wide * width), (ring.height(), ring.width()), "a fold by {high}x{wide}");
        (high * wide * ring.channels(), height, width)
    };
    let ((c_in, h, w), (c_out, out_h, out_w)) = (folded(x, fold), folded(out, unfold));
    let conv = Conv { batch: 1, c_in, c_out, h, w, kh, kw };
    conv.check(conv.input_len(), weight.weight.len(), conv.output_len());
    assert!(around == Around::None || (kh, kw) == (1, 1), "{around:?} around {conv:?}");
    assert_eq!((h, w), (out_h, out_w), "the result has the extents of the input: {conv:?}, {around:?}");
    x.check(&(fold.0 * rows.start.saturating_sub(kh / 2)..fold.0 * h.min(rows.end + kh / 2)));
    out.check(&(unfold.0 * rows.start..unfold.0 * rows.end));
    let whole_tiles =
        rows.is_empty() || rows.start.is_multiple_of(4) && (rows.end.is_multiple_of(4) || rows.end == conv.h);
    assert!(kh == 1 || (kw > 1 && whole_tiles), "whole tiles of a kernel of {kh}x{kw}, got rows {rows:?}");
    let epilogue = Epilogue { bias: Some(bias), adds, relu: act == Activation::Relu };
    let mut start = rows.start;
    while start < rows.end {
        // A run must be contiguous in memory, so it ends where a ring wraps around.
        let run = match around {
            Around::None if kh == 1 => x.run(start).min(out.run(start)),
            Around::Fold(_) => out.run(start),
            Around::None | Around::Unfold(_) => rows.len(),
        };
        let rows = start..rows.end.min(start + run);
        start = rows.end;
        let span = Span { rows, x: x.held(), out: out.held(), around };
        forward(&conv, &span, x.data(), weight, &epilogue, Shared::new(out.data_mut()));
    }
}

/// Computes the rows of `span` into `out`.
fn forward(conv: &Conv, span: &Span, x: &[f32], packed: &Packed, epilogue: &Epilogue, out: Shared<f32>) {
    assert!(epilogue.bias.is_none_or(|bias| bias.len() == conv.c_out), "one bias a channel: {conv:?}");
    let Packed { isa, weight, .. } = packed;
    if conv.batch * conv.c_out * span.rows.len() * conv.w == 0 {
    } else if winograd::fits(conv) {
        let weight = winograd::Weight { taps: weight, turned: false };
        let pass = winograd::Pass { isa: *isa, conv, span, x, epilogue, out };
        winograd::conv2d(pass, weight, &packed.winograd);
    } else if dense::fits(conv) && span.around == Around::None && span.rows.len() == conv.h {
        let packed = packed.dense.get_or_init(|| dense::pack(*isa, conv, weight));
        dense::conv2d(*isa, conv, x, packed, epilogue, out);
    } else {
        let k = conv.c_in * conv.kh * conv.kw;
        let packed = packed.direct.get_or_init(|| direct::pack(*isa, weight, conv.c_out, k));
        direct::conv2d(*isa, conv, span, x, packed, epilogue, out);
    }
}

/// Computes the gradient of the input from that of the sum.
///
/// # Panics
/// A slice does not have the length of its shape.
pub fn grad_input(conv: &Conv, weight: &[f32], grad: &[f32]) -> Vec<f32> {
    conv.check(conv.input_len(), weight.len(), grad.len());
    // A convolution of the gradient with the kernel rotated by 180 degrees and its channels swapped.
    let (isa, turned) = (Isa::current(), conv.transposed());
    let span = Span::whole(&turned);
    let epilogue = Epilogue { bias: None, adds: false, relu: false };
    output(conv.input_len(), |out| {
        if conv.input_len() == 0 {
        } else if winograd::fits(conv) {
            let weight = winograd::Weight { taps: weight, turned: true };
            let (conv, span, epilogue) = (&turned, &span, &epilogue);
            let pass = winograd::Pass { isa, conv, span, x: grad, epilogue, out };
            winograd::conv2d(pass, weight, &Default::default());
        } else {
            let packed = direct::pack(isa, &turn(conv, weight), conv.c_in, conv.c_out * conv.kh * conv.kw);
            direct::conv2d(isa, &turned, &span, grad, &packed, &epilogue, out);
        }
    })
}

/// Returns weights `(Z, C, KH, KW)` as `(C, Z, KH, KW)`, taps in reverse order.
fn turn(conv: &Conv, weight: &[f32]) -> Vec<f32> {
    let taps = conv.kh * conv.kw;
    let mut turned = Vec::with_capacity(weight.len());
    for c in 0..conv.c_in {
        for z in 0..conv.c_out {
            turned.extend(weight[(z * conv.c_in + c) * taps..][..taps].iter().rev());
        }
    }
    turned
}

/// Computes the gradient of the weight, `(Z, C, KH, KW)`, from that of the sum.
///
/// # Panics
/// A slice does not have the length of its shape.
pub fn grad_weight(conv: &Conv, x: &[f32], grad: &[f32]) -> Vec<f32> {
    conv.check(x.len(), conv.weight_len(), grad.len());
    let mut out = vec![0.0; conv.weight_len()];
    if conv.output_len() > 0 && winograd::fits(conv) {
        winograd::weight_grad(Isa::current(), conv, x, grad, &mut out);
    } else if conv.output_len() > 0 {
        weight_grad::conv2d(Isa::current(), conv, x, grad, &mut out);
    }
    out
}

/// Computes the gradient of the sum from that of the result, and its total for each channel, which is the gradient of
/// the bias. `relu_result` is the result if the activation was ReLU: the gradient of ReLU is 1 where the result is
/// positive, else 0. `plane` is `H W`.
///
/// Without ReLU the gradient of the sum is `grad` itself, and the first part is `None`.
///
/// # Panics
/// The lengths do not fit.
pub fn grad_sum(
    grad: &[f32],
    relu_result: Option<&[f32]>,
    channels: usize,
    plane: usize,
) -> (Option<Vec<f32>>, Vec<f32>) {
    let planes = grad.len().checked_div(plane).unwrap_or(0);
    assert!(planes * plane == grad.len() && planes.is_multiple_of(channels), "whole planes, all channels");
    assert!(relu_result.is_none_or(|y| y.len() == grad.len()), "result and gradient differ in length");
    let isa = Isa::current();
    let mut totals = vec![0.0; planes];
    let totals_out = Shared::new(&mut totals);
    let run = |out: Option<Shared<f32>>| {
        parallel::for_each(planes, |i| {
            let place = i * plane..(i + 1) * plane;
            let work = Mask {
                grad: &grad[place.clone()],
                result: relu_result.map(|y| &y[place]),
                // SAFETY: each task has its own plane.
                out: out.as_ref().map(|out| unsafe { out.part(i * plane, plane) }),
            };
            // SAFETY: each task has its own total, and `isa` is available.
            unsafe { totals_out.part(i, 1)[0] = dispatch(isa, work) };
        });
    };
    let masked = match relu_result {
        Some(_) => Some(output(grad.len(), |out| run(Some(out)))),
        None => {
            run(None);
            None
        }
    };
    let mut bias = vec![0.0; channels];
    for (i, total) in totals.iter().enumerate() {
        bias[i % channels] += total;
    }
    (masked, bias)
}

/// Work that masks the gradient of one plane and sums it.
struct Mask<'a> {
    grad: &'a [f32],
    result: Option<&'a [f32]>,
    out: Option<&'a mut [f32]>,
}

impl Work for Mask<'_> {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        let n = self.grad.len();
        let mut lanes = [0.0; 16];
        // SAFETY: i + lanes <= n for all buffers, which have the same length.
        unsafe {
            let mut sums = [S::zero(); 4];
            let mut out = self.out;
            for (round, i) in (0..n).step_by(S::N).enumerate() {
                let left = S::N.min(n - i);
                let mut g = S::load_n(self.grad.as_ptr().add(i), left);
                if let Some(y) = self.result {
                    g = S::where_positive(S::load_n(y.as_ptr().add(i), left), g);
                }
                if let Some(out) = &mut out {
                    S::store_n(out.as_mut_ptr().add(i), left, g);
                }
                sums[round % 4] = S::add(sums[round % 4], g);
            }
            let sum = S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3]));
            S::store_n(lanes.as_mut_ptr(), S::N, sum);
        }
        lanes.iter().sum()
    }
}
