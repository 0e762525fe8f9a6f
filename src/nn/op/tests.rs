//! Comparison of the operations with candle's own, forward and backward.

use candle_core::{Device, Tensor, Var};

use super::*;
use crate::kernel::with_threads;

fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = crate::rng::Rng::new(seed, crate::rng::Purpose::Init, 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(x: &Tensor) -> Vec<f32> {
    x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(got: &Tensor, want: &Tensor, what: &str) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let (got, want) = (values(got), values(want));
    let top = want.iter().fold(1e-6, |top: f32, w| top.max(w.abs()));
    for (g, w) in got.iter().zip(&want) {
        assert!((g - w).abs() <= 1e-4 * top, "{what}: {g} for {w} (largest {top})");
    }
}

struct Case {
    x: Var,
    weight: Var,
    bias: Var,
    residual: Option<Var>,
    act: Activation,
}

impl Case {
    fn new(
        b: usize,
        c: usize,
        z: usize,
        (h, w): (usize, usize),
        k: usize,
        act: Activation,
        residual: bool,
    ) -> Self {
        let var = |t: Tensor| Var::from_tensor(&t).unwrap();
        Self {
            x: var(noise(&[b, c, h, w], 1)),
            weight: var(noise(&[z, c, k, k], 2)),
            bias: var(noise(&[z], 3)),
            residual: residual.then(|| var(noise(&[b, z, h, w], 4))),
            act,
        }
    }

    fn vars(&self) -> Vec<&Tensor> {
        let residual = self.residual.as_ref().map(|r| r.as_tensor());
        [self.x.as_tensor(), self.weight.as_tensor(), self.bias.as_tensor()]
            .into_iter()
            .chain(residual)
            .collect()
    }

    fn ours(&self) -> Tensor {
        conv2d(&self.x, &self.weight, &self.bias, self.act, self.residual.as_ref().map(|r| r.as_tensor()))
            .unwrap()
    }

    /// candle's composition, differentiated by candle.
    fn candle(&self) -> Tensor {
        let (z, _, k, _) = self.weight.dims4().unwrap();
        let sum = self.x.conv2d(&self.weight, k / 2, 1, 1, 1).unwrap();
        let sum = sum.broadcast_add(&self.bias.reshape((1, z, 1, 1)).unwrap()).unwrap();
        let sum = self.residual.as_ref().map_or(sum.clone(), |r| (sum + r.as_tensor()).unwrap());
        if self.act == Activation::Relu { sum.relu().unwrap() } else { sum }
    }

    /// Returns the result and each argument's gradient for a loss that weights every output differently.
    fn evaluate(&self, y: Tensor) -> Vec<Tensor> {
        let loss = (&y * noise(y.dims(), 5).to_dtype(y.dtype()).unwrap()).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        let grad = |v: &&Tensor| grads.get(v).expect("every variable gets a gradient").clone();
        std::iter::once(y).chain(self.vars().iter().map(grad)).collect()
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for act in [Activation::None, Activation::Relu] {
        for residual in [false, true] {
            for (c, z, plane, k) in [
                (3, 5, (7, 9), 3),
                (32, 32, (16, 20), 3),
                (24, 8, (8, 8), 1),
                (1, 16, (1, 5), 3),
                (64, 64, (17, 18), 3),
            ] {
                cases.push(Case::new(2, c, z, plane, k, act, residual));
            }
        }
    }
    cases
}

#[test]
fn results_and_all_gradients_are_those_of_candle() {
    for case in cases() {
        let (got, want) = (case.evaluate(case.ours()), case.evaluate(case.candle()));
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_close(got, want, &format!("part {i} of {:?} {:?}", case.weight.shape(), case.act));
        }
    }
}

#[test]
fn elsewhere_all_gradients_are_those_of_candle_too() {
    // f64 takes the path of other devices.
    for case in cases() {
        let double = |v: &Var| Var::from_tensor(&v.to_dtype(DType::F64).unwrap()).unwrap();
        let case = Case {
            x: double(&case.x),
            weight: double(&case.weight),
            bias: double(&case.bias),
            residual: case.residual.as_ref().map(double),
            act: case.act,
        };
        let (got, want) = (case.evaluate(case.ours()), case.evaluate(case.candle()));
        for (got, want) in got.iter().zip(&want) {
            assert_close(got, want, "elsewhere");
        }
    }
}

/// Compares a flat kernel over one row on other devices with Limpid's own kernel.
#[test]
fn elsewhere_a_flat_kernel_over_one_row_does_what_ours_does() {
    let run = |dtype| {
        let var =
            |shape: &[usize], seed| Var::from_tensor(&noise(shape, seed).to_dtype(dtype).unwrap()).unwrap();
        let (x, weight, bias) = (var(&[2, 3, 1, 11], 1), var(&[4, 3, 1, 5], 2), var(&[4], 3));
        let y = conv2d(&x, &weight, &bias, Activation::Relu, None).unwrap();
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let of = |v: &Var| grads.get(v.as_tensor()).unwrap().clone();
        [of(&x), of(&weight), of(&bias), y]
    };
    for (ours, elsewhere) in run(DType::F32).iter().zip(&run(DType::F64)) {
        assert_close(ours, elsewhere, "a flat kernel");
    }
}

#[test]
fn gradients_are_slopes() {
    let case = Case::new(1, 2, 3, (4, 5), 3, Activation::None, true);
    let grads = case.evaluate(case.ours());
    let weigh = noise(&[1, 3, 4, 5], 5);
    for (var, grad) in
        [&case.x, &case.weight, &case.bias, case.residual.as_ref().unwrap()].into_iter().zip(&grads[1..])
    {
        let start = var.as_tensor().copy().unwrap();
        let loss = |to: &Tensor| {
            var.set(to).unwrap();
            let y = case.ours();
            values(&y).iter().zip(values(&weigh)).map(|(y, w)| *y as f64 * w as f64).sum::<f64>()
        };
        for (i, want) in values(grad).into_iter().enumerate() {
            let moved = |by: f32| {
                let mut at = values(&start);
                at[i] += by;
                Tensor::from_vec(at, start.shape(), &Device::Cpu).unwrap()
            };
            let slope = (loss(&moved(0.05)) - loss(&moved(-0.05))) / 0.1;
            assert!((slope - want as f64).abs() < 2e-3, "{slope} for {want}");
        }
        var.set(&start).unwrap();
    }
}

#[test]
fn training_is_bit_identical_for_any_number_of_threads() {
    for case in cases() {
        let bits = |threads| {
            with_threads(threads, || case.evaluate(case.ours()).iter().map(values).collect::<Vec<_>>())
        };
        let one = bits(1);
        for threads in [2, 3, 5] {
            assert_eq!(bits(threads), one);
        }
    }
}

#[test]
fn frozen_weights_give_the_same_bits() {
    for case in cases() {
        let frozen = Frozen::new(&case.weight, &case.bias).unwrap().expect("f32 on the CPU");
        let want = case.ours();
        let residual = case.residual.as_ref().map(|r| r.as_tensor().detach().copy().unwrap());
        let got = frozen.conv2d(&case.x, case.act, residual).unwrap();
        assert_eq!(values(&got), values(&want));
    }
}

#[test]
fn strided_arguments_are_read_right() {
    let (x, weight, bias) = (noise(&[2, 6, 5, 4], 1), noise(&[4, 5, 3, 3], 2), noise(&[4], 3));
    let turned = x.transpose(1, 2).unwrap();
    let got = conv2d(&turned, &weight, &bias, Activation::None, None).unwrap();
    let want = conv2d(&turned.contiguous().unwrap(), &weight, &bias, Activation::None, None).unwrap();
    assert_eq!(values(&got), values(&want));
    let part = noise(&[3, 5, 6, 4], 1).narrow(0, 1, 2).unwrap();
    let got = conv2d(&part, &weight, &bias, Activation::None, None).unwrap();
    let want = conv2d(&part.copy().unwrap(), &weight, &bias, Activation::None, None).unwrap();
    assert_eq!(values(&got), values(&want));
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let (weight, bias) = (noise(&[4, 3, 3, 3], 1), noise(&[4], 2));
    let conv = |x: &[usize], weight: &Tensor, bias: &Tensor, residual: Option<&Tensor>| {
        conv2d(&noise(x, 3), weight, bias, Activation::None, residual).is_err()
    };
    assert!(conv(&[1, 2, 5, 5], &weight, &bias, None), "channels");
    assert!(conv(&[1, 3, 5, 5], &weight, &noise(&[3], 1), None), "bias");
    assert!(conv(&[1, 3, 5, 5], &noise(&[4, 3, 2, 2], 1), &bias, None), "even kernel");
    assert!(conv(&[1, 3, 5, 5], &weight, &bias, Some(&noise(&[1, 4, 5, 4], 1))), "residual");
    assert!(conv(&[3, 5, 5], &weight, &bias, None), "rank");
}

#[test]
fn shuffles_and_their_gradients_are_those_of_candle() {
    let x = Var::from_tensor(&noise(&[2, 8, 6, 10], 1)).unwrap();
    let grad_of = |y: Tensor| {
        let loss = (&y * noise(y.dims(), 2)).unwrap().sum_all().unwrap();
        (values(&y), values(loss.backward().unwrap().get(&x).unwrap()))
    };
    let ours = grad_of(pixel_unshuffle(&x).unwrap());
    assert_eq!(ours, grad_of(candle_nn::ops::pixel_unshuffle(&x, 2).unwrap()));
    let ours = grad_of(pixel_shuffle(&x).unwrap());
    assert_eq!(ours, grad_of(candle_nn::ops::pixel_shuffle(&x, 2).unwrap()));
    assert!(pixel_unshuffle(&noise(&[1, 1, 5, 4], 1)).is_err());
    assert!(pixel_shuffle(&noise(&[1, 6, 5, 4], 1)).is_err());
}
