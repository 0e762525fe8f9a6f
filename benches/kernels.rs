//! The kernels one by one: `cargo bench --bench kernels`.

use divan::{Bencher, counter::ItemsCount};
use limpid::kernel::{self, Activation, Conv, Packed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// `(batch, c_in, c_out, side, kernel)`: layers of the networks, in training and in serving.
const LAYERS: [(usize, usize, usize, usize, usize); 12] = [
    (1, 40, 40, 512, 3),
    (16, 96, 96, 7, 3),
    (16, 64, 64, 32, 3),
    (1, 64, 64, 256, 3),
    (16, 32, 32, 48, 3),
    (16, 96, 96, 12, 3),
    (16, 128, 128, 8, 3),
    (16, 4, 32, 48, 3),
    (16, 64, 4, 32, 3),
    (16, 96, 384, 12, 1),
    (16, 128, 96, 24, 1),
    (16, 8, 96, 12, 1),
];

fn layer((batch, c_in, c_out, side, k): (usize, usize, usize, usize, usize)) -> Conv {
    Conv { batch, c_in, c_out, h: side, w: side, kh: k, kw: k }
}

/// Items are floating-point operations: items a second are FLOP/s.
fn operations(conv: &Conv) -> ItemsCount {
    ItemsCount::new(2 * conv.output_len() * conv.c_in * conv.kh * conv.kw)
}

#[divan::bench(args = LAYERS)]
fn forward(bencher: Bencher, of: (usize, usize, usize, usize, usize)) {
    let conv = layer(of);
    let (x, weight, bias) =
        (vec![0.5; conv.input_len()], Packed::new(vec![0.1; conv.weight_len()]), vec![0.1; conv.c_out]);
    bencher
        .counter(operations(&conv))
        .bench(|| kernel::conv2d(&conv, &x, &weight, Some(&bias), Activation::Relu, None));
}

#[divan::bench(args = LAYERS)]
fn grad_input(bencher: Bencher, of: (usize, usize, usize, usize, usize)) {
    let conv = layer(of);
    let (grad, weight) = (vec![0.5; conv.output_len()], vec![0.1; conv.weight_len()]);
    bencher.counter(operations(&conv)).bench(|| kernel::grad_input(&conv, &weight, &grad));
}

#[divan::bench(args = LAYERS)]
fn grad_weight(bencher: Bencher, of: (usize, usize, usize, usize, usize)) {
    let conv = layer(of);
    let (x, grad) = (vec![0.5; conv.input_len()], vec![0.1; conv.output_len()]);
    bencher.counter(operations(&conv)).bench(|| kernel::grad_weight(&conv, &x, &grad));
}

#[divan::bench(args = [(1, 512), (16, 64)])]
fn pixel_unshuffle(bencher: Bencher, (batch, side): (usize, usize)) {
    let x = vec![0.5; batch * side * side];
    bencher.bench(|| kernel::pixel_unshuffle(&x, batch, side / 2, side / 2));
}

/// Exact search among 100,000 vectors of so many numbers, on one core.
#[divan::bench(args = [2, 32, 128])]
fn nearest_of_100_000(bencher: Bencher, numbers: usize) {
    let mut rng = limpid::rng::Rng::new(1, limpid::rng::Purpose::Evaluate, 0);
    let mut vector = vec![0.0; numbers];
    let mut index = limpid::index::Index::new([0; 32], numbers);
    for _ in 0..100_000 {
        rng.fill_normal(&mut vector);
        index.add("a", &vector).unwrap();
    }
    bencher.bench(|| index.nearest(&vector, 10));
}
