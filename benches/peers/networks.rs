//! The networks that are compared, each once on Limpid's layers and once on candle's own.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{AdamW, Optimizer, VarBuilder, VarMap};
use limpid::nn::layer::Conv2d;
use limpid::nn::op::{self, Activation};

/// One network with its input, ready to run forward or to take a training step.
pub(crate) struct Run {
    network: N1,
    candle: bool,
    x: Tensor,
    optimizer: Option<AdamW>,
}

impl Run {
    pub(crate) fn new(runner: &str, network: &str, pass: &str, [b, h, w]: [usize; 3]) -> Self {
        assert_eq!(network, "n1", "unknown network: {network}");
        let candle = runner == "candle";
        let vars = VarMap::new();
        let vb = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
        let mut network = N1::new(vb).expect("the network can be made");
        let x = Tensor::randn(0f32, 1f32, (b, 1, h, w), &Device::Cpu).expect("the input fits");
        let optimizer =
            (pass == "train").then(|| AdamW::new_lr(vars.all_vars(), 1e-4).expect("AdamW can be made"));
        if optimizer.is_none() {
            network.freeze().expect("weights can be copied");
        }
        Self { network, candle, x, optimizer }
    }

    pub(crate) fn once(&mut self) {
        self.try_once().expect("the network runs");
    }

    fn try_once(&mut self) -> Result<()> {
        let y = if self.candle { self.network.candle(&self.x)? } else { self.network.forward(&self.x)? };
        if let Some(optimizer) = &mut self.optimizer {
            let loss = (y - &self.x)?.sqr()?.mean_all()?;
            optimizer.backward_step(&loss)?;
        }
        Ok(())
    }
}

/// PixelUnshuffle(2), conv 3x3 4 -> 64, 13 times 64 -> 64, each with ReLU, 64 -> 4, PixelShuffle(2).
struct N1 {
    layers: Vec<Conv2d>,
    weights: Vec<(Tensor, Tensor)>,
}

impl N1 {
    fn new(vb: VarBuilder) -> Result<Self> {
        let mut this = Self { layers: Vec::new(), weights: Vec::new() };
        for i in 0..15 {
            let c_in = if i == 0 { 4 } else { 64 };
            let c_out = if i == 14 { 4 } else { 64 };
            let vb = vb.pp(i);
            this.layers.push(Conv2d::new(c_in, c_out, 3, 1.41, vb.clone())?);
            this.weights.push((vb.get((c_out, c_in, 3, 3), "weight")?, vb.get(c_out, "bias")?));
        }
        Ok(this)
    }

    fn freeze(&mut self) -> Result<()> {
        for (layer, (weight, bias)) in self.layers.iter_mut().zip(&mut self.weights) {
            *layer = layer.freeze()?;
            (*weight, *bias) = (weight.detach(), bias.detach());
        }
        Ok(())
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = op::pixel_unshuffle(x)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let act = if i + 1 < self.layers.len() { Activation::Relu } else { Activation::None };
            x = layer.forward(&x, act, None)?;
        }
        op::pixel_shuffle(&x)
    }

    /// The same as candle offers it.
    fn candle(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = candle_nn::ops::pixel_unshuffle(x, 2)?;
        for (i, (weight, bias)) in self.weights.iter().enumerate() {
            x = x.conv2d(weight, 1, 1, 1, 1)?.broadcast_add(&bias.reshape((1, (), 1, 1))?)?;
            if i + 1 < self.weights.len() {
                x = x.relu()?;
            }
        }
        candle_nn::ops::pixel_shuffle(&x, 2)
    }
}
