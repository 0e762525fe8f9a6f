//! Reference: each operation by its definition, as plain loops.
//!
//! Slow on purpose. Tests compare the fast paths with it.

use super::{Activation, Conv};

/// Computes a convolution: `act(conv(x, weight) + bias + residual)`.
pub fn conv2d(
    conv: &Conv,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    act: Activation,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    let mut out = Vec::with_capacity(conv.output_len());
    for (n, z, y, col) in places(conv, conv.c_out) {
        let mut sum = bias[z] as f64;
        for (c, i, j) in taps(conv) {
            if let Some(from) = source(conv, n, c, y, col, i, j) {
                sum += x[from] as f64 * weight[weight_at(conv, z, c, i, j)] as f64;
            }
        }
        let sum = sum + residual.map_or(0.0, |r| r[out.len()] as f64);
        out.push(if act == Activation::Relu { sum.max(0.0) } else { sum } as f32);
    }
    out
}

/// Computes the gradients `(of x, of weight, of bias)` from that of the sum before the activation.
pub fn conv2d_grad(conv: &Conv, x: &[f32], weight: &[f32], grad: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let mut gx = vec![0f64; conv.input_len()];
    let mut gw = vec![0f64; conv.weight_len()];
    let mut gb = vec![0f64; conv.c_out];
    for (at, (n, z, y, col)) in places(conv, conv.c_out).enumerate() {
        let g = grad[at] as f64;
        gb[z] += g;
        for (c, i, j) in taps(conv) {
            if let Some(from) = source(conv, n, c, y, col, i, j) {
                let w = weight_at(conv, z, c, i, j);
                gx[from] += g * weight[w] as f64;
                gw[w] += g * x[from] as f64;
            }
        }
    }
    let single = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect();
    (single(gx), single(gw), single(gb))
}

/// `(B,C,2H,2W)` -> `(B,4C,H,W)`; `planes` is `B C`, `h` and `w` are the result's.
pub fn pixel_unshuffle(x: &[f32], planes: usize, h: usize, w: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for plane in 0..planes {
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            for y in 0..h {
                for col in 0..w {
                    out.push(x[(plane * 2 * h + 2 * y + i) * 2 * w + 2 * col + j]);
                }
            }
        }
    }
    out
}

/// `(B,4C,H,W)` -> `(B,C,2H,2W)`; `planes` is `B C`, `h` and `w` are the argument's.
pub fn pixel_shuffle(x: &[f32], planes: usize, h: usize, w: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for plane in 0..planes {
        for y in 0..2 * h {
            for col in 0..2 * w {
                let phase = 2 * (y % 2) + col % 2;
                out.push(x[((plane * 4 + phase) * h + y / 2) * w + col / 2]);
            }
        }
    }
    out
}

fn places(conv: &Conv, channels: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> + use<> {
    let (h, w) = (conv.h, conv.w);
    let plane = (h * w).max(1);
    (0..conv.batch * channels * h * w)
        .map(move |at| (at / plane / channels, at / plane % channels, at % plane / w, at % w))
}

fn taps(conv: &Conv) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
    let (kh, kw) = (conv.kh, conv.kw);
    (0..conv.c_in * kh * kw).map(move |k| (k / (kh * kw), k / kw % kh, k % kw))
}

/// Index that tap `(i, j)` of the output at `(y, col)` reads, or `None` in the padding.
fn source(conv: &Conv, n: usize, c: usize, y: usize, col: usize, i: usize, j: usize) -> Option<usize> {
    let y = (y + i).checked_sub(conv.kh / 2).filter(|y| *y < conv.h)?;
    let col = (col + j).checked_sub(conv.kw / 2).filter(|col| *col < conv.w)?;
    Some(((n * conv.c_in + c) * conv.h + y) * conv.w + col)
}

fn weight_at(conv: &Conv, z: usize, c: usize, i: usize, j: usize) -> usize {
    ((z * conv.c_in + c) * conv.kh + i) * conv.kw + j
}
