//! Comparison of every fast path with the reference, over a grid of shapes.

use super::*;

/// Pseudo-random numbers in -1..1, the same for the same seed.
pub(super) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Runs `f` once with each instruction set of this machine.
pub(super) fn on_every_isa(mut f: impl FnMut(Isa)) {
    for isa in Isa::all() {
        with_isa(isa, || f(isa));
    }
}

/// Returns the largest difference, relative to the largest value.
fn error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let top = want.iter().fold(1e-6, |top: f32, w| top.max(w.abs()));
    got.iter().zip(want).fold(0.0, |worst: f32, (g, w)| {
        let e = (g - w).abs() / top;
        if e.is_nan() { f32::INFINITY } else { worst.max(e) }
    })
}

fn conv(batch: usize, c_in: usize, c_out: usize, (h, w): (usize, usize), (kh, kw): (usize, usize)) -> Conv {
    Conv { batch, c_in, c_out, h, w, kh, kw }
}

/// Shapes that every path must support: odd extents, channels that fill no block, planes of one pixel.
fn grid() -> Vec<Conv> {
    let mut grid = Vec::new();
    for plane in [(1, 1), (1, 5), (3, 3), (8, 8), (17, 23), (16, 16)] {
        for (c_in, c_out) in [(1, 1), (4, 32), (3, 7), (17, 13), (32, 4), (24, 40), (32, 32)] {
            for kernel in [(3, 3), (1, 1), (1, 3)] {
                grid.push(conv(1 + (c_in + plane.0) % 3, c_in, c_out, plane, kernel));
            }
        }
    }
    for (c_in, c_out) in [(1, 2), (5, 3), (16, 16), (48, 24)] {
        grid.push(conv(1, c_in, c_out, (130, 57), (3, 3)));
        grid.push(conv(2, c_in, c_out, (33, 70), (1, 1)));
    }
    for (c_in, c_out) in [(1, 4), (24, 40), (32, 32)] {
        grid.push(conv(2, c_in, c_out, (1, 700), (1, 3)));
        grid.push(conv(1, c_in, c_out, (1, 333), (1, 7)));
        grid.push(conv(1, c_in, c_out, (9, 41), (3, 1)));
    }
    for (c_in, c_out) in [(64, 64), (96, 96), (16, 128), (128, 32), (40, 72)] {
        grid.push(conv(1, c_in, c_out, (14, 14), (3, 3)));
        grid.push(conv(1, c_in, c_out, (8, 8), (1, 1)));
        grid.push(conv(2, c_in, c_out, (18, 21), (3, 3)));
        grid.push(conv(3, c_in, c_out, (16, 32), (3, 3)));
        grid.push(conv(5, c_in, c_out, (8, 8), (3, 3)));
        grid.push(conv(2, c_in, c_out, (7, 14), (3, 3)));
    }
    grid
}

#[test]
fn forward_is_the_reference_on_every_instruction_set() {
    for conv in grid() {
        let x = noise(conv.input_len(), 1);
        let weight = noise(conv.weight_len(), 2);
        let bias = noise(conv.c_out, 3);
        let residual = noise(conv.output_len(), 4);
        for (act, residual) in [(Activation::None, None), (Activation::Relu, Some(&residual[..]))] {
            let want = reference::conv2d(&conv, &x, &weight, &bias, act, residual);
            on_every_isa(|isa| {
                let got = conv2d(&conv, &x, &Packed::new(weight.clone()), Some(&bias), act, residual);
                let error = error(&got, &want);
                assert!(error <= 2e-5, "{isa:?} {conv:?}: {error}");
            });
        }
    }
}

#[test]
fn gradients_are_the_reference_on_every_instruction_set() {
    for conv in grid() {
        let x = noise(conv.input_len(), 1);
        let weight = noise(conv.weight_len(), 2);
        let grad = noise(conv.output_len(), 3);
        let (gx, gw, gb) = reference::conv2d_grad(&conv, &x, &weight, &grad);
        on_every_isa(|isa| {
            let e = error(&grad_input(&conv, &weight, &grad), &gx);
            assert!(e <= 2e-5, "input {isa:?} {conv:?}: {e}");
            let e = error(&grad_weight(&conv, &x, &grad), &gw);
            assert!(e <= 2e-5, "weight {isa:?} {conv:?}: {e}");
            let e = error(&grad_sum(&grad, None, conv.c_out, conv.h * conv.w).1, &gb);
            assert!(e <= 2e-5, "bias {isa:?} {conv:?}: {e}");
        });
    }
}

#[test]
fn the_reference_gradient_is_the_slope_of_the_reference() {
    let conv = conv(2, 3, 2, (4, 5), (3, 3));
    let (x, weight, grad) =
        (noise(conv.input_len(), 1), noise(conv.weight_len(), 2), noise(conv.output_len(), 3));
    let bias = noise(conv.c_out, 4);
    let (gx, gw, gb) = reference::conv2d_grad(&conv, &x, &weight, &grad);
    let loss = |x: &[f32], weight: &[f32], bias: &[f32]| -> f64 {
        let y = reference::conv2d(&conv, x, weight, bias, Activation::None, None);
        y.iter().zip(&grad).map(|(y, g)| *y as f64 * *g as f64).sum()
    };
    let step = 1e-2;
    let slope = |at: &[f32], i: usize, f: &dyn Fn(&[f32]) -> f64| {
        let (mut up, mut down) = (at.to_vec(), at.to_vec());
        up[i] += step;
        down[i] -= step;
        ((f(&up) - f(&down)) / (up[i] as f64 - down[i] as f64)) as f32
    };
    for i in 0..x.len() {
        assert!((slope(&x, i, &|x| loss(x, &weight, &bias)) - gx[i]).abs() < 1e-3);
    }
    for i in 0..weight.len() {
        assert!((slope(&weight, i, &|weight| loss(&x, weight, &bias)) - gw[i]).abs() < 1e-3);
    }
    for i in 0..bias.len() {
        assert!((slope(&bias, i, &|bias| loss(&x, &weight, bias)) - gb[i]).abs() < 1e-3);
    }
}

#[test]
fn the_gradient_of_relu_is_zero_where_the_result_is_not_positive() {
    on_every_isa(|_| {
        let (grad, y) = (noise(2 * 3 * 35, 1), noise(2 * 3 * 35, 2));
        let (masked, bias) = grad_sum(&grad, Some(&y), 3, 35);
        let want: Vec<f32> = grad.iter().zip(&y).map(|(g, y)| if *y > 0.0 { *g } else { 0.0 }).collect();
        let total = |c: usize| -> f32 { (0..210).filter(|i| i / 35 % 3 == c).map(|i| want[i]).sum() };
        assert!(error(&bias, &[total(0), total(1), total(2)]) < 1e-5);
        assert_eq!(masked.unwrap(), want);
    });
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let shapes = [
        conv(3, 32, 32, (37, 45), (3, 3)),
        conv(2, 4, 32, (20, 20), (3, 3)),
        conv(5, 24, 48, (8, 8), (1, 1)),
        conv(3, 64, 64, (32, 32), (3, 3)),
        conv(16, 32, 64, (8, 8), (3, 3)),
        // Wide planes: tiles along the lanes.
        conv(1, 40, 40, (13, 250), (3, 3)),
        conv(2, 16, 24, (35, 60), (3, 3)),
        conv(2, 16, 24, (1, 900), (1, 3)),
        // Single small images: threads share the output channels.
        conv(1, 64, 64, (14, 14), (3, 3)),
        conv(1, 96, 72, (8, 8), (3, 3)),
        conv(1, 4, 64, (14, 14), (3, 3)),
        conv(1, 64, 4, (14, 14), (3, 3)),
        conv(1, 96, 200, (8, 8), (1, 1)),
        conv(2, 900, 300, (1, 3), (1, 1)),
    ];
    for conv in shapes {
        let (x, weight) = (noise(conv.input_len(), 1), noise(conv.weight_len(), 2));
        let grad = noise(conv.output_len(), 3);
        on_every_isa(|isa| {
            let all = |threads| {
                with_threads(threads, || {
                    let y = conv2d(&conv, &x, &Packed::new(weight.clone()), None, Activation::Relu, None);
                    let gx = grad_input(&conv, &weight, &grad);
                    (
                        grad_sum(&grad, Some(&y), conv.c_out, conv.h * conv.w),
                        y,
                        gx,
                        grad_weight(&conv, &x, &grad),
                    )
                })
            };
            let one = all(1);
            for threads in [2, 3, 5] {
                assert!(all(threads) == one, "{threads} threads differ on {isa:?} {conv:?}");
            }
        });
    }
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    for (c_in, c_out, plane, kernel) in [
        (32, 32, (20, 36), (3, 3)),
        (16, 24, (9, 124), (3, 3)),
        (4, 8, (9, 9), (3, 3)),
        (16, 24, (8, 8), (1, 1)),
        (70, 33, (1, 1), (1, 1)),
    ] {
        let many = conv(3, c_in, c_out, plane, kernel);
        let one = Conv { batch: 1, ..many };
        let (x, weight) = (noise(many.input_len(), 1), Packed::new(noise(many.weight_len(), 2)));
        on_every_isa(|_| {
            let all = conv2d(&many, &x, &weight, None, Activation::None, None);
            let last = conv2d(&one, &x[2 * one.input_len()..], &weight, None, Activation::None, None);
            assert_eq!(all[2 * one.output_len()..], last);
        });
    }
}

/// Few positions and many take different paths.
#[test]
fn a_place_does_not_depend_on_how_many_there_are() {
    let many = conv(1, 70, 41, (1, 19), (1, 1));
    let x = noise(many.input_len(), 1);
    let (weight, bias) = (noise(many.weight_len(), 2), noise(many.c_out, 3));
    on_every_isa(|_| {
        let weight = Packed::new(weight.clone());
        let run = |conv: &Conv, x: &[f32]| conv2d(conv, x, &weight, Some(&bias), Activation::Relu, None);
        let all = run(&many, &x);
        for few in [1, 2, 8, 9] {
            let part =
                |rows: &[f32]| rows.chunks(19).flat_map(|row| &row[..few]).copied().collect::<Vec<_>>();
            assert_eq!(run(&Conv { w: few, ..many }, &part(&x)), part(&all), "{few}");
        }
    });
}

/// Small enough for `benches/check-memory.sh`, which checks every memory access.
#[test]
fn bounds_are_kept_on_every_path() {
    for shape in [
        conv(2, 16, 24, (6, 7), (3, 3)),
        conv(1, 16, 16, (9, 8), (3, 3)),
        conv(2, 16, 24, (7, 60), (3, 3)),
        conv(1, 24, 16, (6, 127), (3, 3)),
        conv(3, 5, 3, (4, 6), (3, 3)),
        conv(1, 1, 9, (1, 1), (3, 3)),
        conv(2, 7, 18, (5, 5), (1, 1)),
        conv(2, 7, 37, (1, 2), (1, 1)),
        conv(1, 3, 2, (1, 61), (1, 3)),
    ] {
        let (x, weight) = (noise(shape.input_len(), 1), noise(shape.weight_len(), 2));
        let (grad, bias) = (noise(shape.output_len(), 3), noise(shape.c_out, 4));
        let want = reference::conv2d(&shape, &x, &weight, &bias, Activation::Relu, Some(&grad));
        let (gx, gw, _) = reference::conv2d_grad(&shape, &x, &weight, &grad);
        on_every_isa(|isa| {
            let packed = Packed::new(weight.clone());
            let got = conv2d(&shape, &x, &packed, Some(&bias), Activation::Relu, Some(&grad));
            assert!(error(&got, &want) <= 2e-5, "{isa:?} {shape:?}");
            assert!(error(&grad_input(&shape, &weight, &grad), &gx) <= 2e-5, "input {isa:?} {shape:?}");
            assert!(error(&grad_weight(&shape, &x, &grad), &gw) <= 2e-5, "weight {isa:?} {shape:?}");
        });
    }
}
