//! The networks that are compared, each once on Limpid's layers and once on candle's own.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{AdamW, Optimizer, VarBuilder, VarMap};
use limpid::nn::layer::Conv2d;
use limpid::nn::model::{Family, PyramidConfig, Scales};
use limpid::nn::op::{self, Activation};
use limpid::registry::Manifest;

/// One network with its input, ready to run forward or to take a training step.
pub(crate) struct Run {
    network: Box<dyn Network>,
    candle: bool,
    x: Tensor,
    optimizer: Option<AdamW>,
}

trait Network {
    /// What is trained towards the clean image, on Limpid's layers.
    fn limpid(&self, x: &Tensor) -> Result<Vec<Tensor>>;
    /// The same as candle offers it.
    fn candle(&self, x: &Tensor) -> Result<Vec<Tensor>>;
}

impl Run {
    pub(crate) fn new(runner: &str, network: &str, pass: &str, [b, h, w]: [usize; 3]) -> Self {
        Self::try_new(runner == "candle", network, pass == "train", [b, h, w]).expect("the network is made")
    }

    fn try_new(candle: bool, network: &str, train: bool, [b, h, w]: [usize; 3]) -> Result<Self> {
        let vars = VarMap::new();
        let pyramid = if network.ends_with(".json") { read(network) } else { PyramidConfig::default() };
        let shape = (b, pyramid.channels, h, w);
        let new = |vb: VarBuilder<'static>| -> Result<Box<dyn Network>> {
            Ok(match network {
                "n1" => Box::new(N1::new(vb)?),
                _ => Box::new(Bundled::new(pyramid.clone(), vb)?),
            })
        };
        let mut made = new(VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
        if !train {
            // For serving, weights are plain tensors.
            let vars = vars.data().lock().expect("no one else holds the variables");
            let weights = vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().detach())).collect();
            made = new(VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu))?;
        }
        let optimizer = train.then(|| AdamW::new_lr(vars.all_vars(), 1e-4)).transpose()?;
        Ok(Self { network: made, candle, x: Tensor::randn(0f32, 1f32, shape, &Device::Cpu)?, optimizer })
    }

    pub(crate) fn once(&mut self) {
        self.try_once().expect("the network runs");
    }

    fn try_once(&mut self) -> Result<()> {
        let results =
            if self.candle { self.network.candle(&self.x)? } else { self.network.limpid(&self.x)? };
        if let Some(optimizer) = &mut self.optimizer {
            let losses = results.iter().map(|y| (y - &self.x)?.sqr()?.mean_all());
            let loss = losses.reduce(|a, b| a? + b?).expect("a network gives a result")?;
            optimizer.backward_step(&loss)?;
        }
        Ok(())
    }
}

/// PixelUnshuffle(2), conv 3x3 4 -> 64, 13 times 64 -> 64, each with ReLU, 64 -> 4, PixelShuffle(2).
struct N1 {
    layers: Vec<Conv2d>,
    plain: Plain,
}

impl N1 {
    fn new(vb: VarBuilder<'static>) -> Result<Self> {
        let channels = |i: usize| (if i == 0 { 4 } else { 64 }, if i == 14 { 4 } else { 64 });
        let layer = |i: usize| Conv2d::new(channels(i).0, channels(i).1, (3, 3), 1.41, vb.pp(i));
        Ok(Self { layers: (0..15).map(layer).collect::<Result<_>>()?, plain: Plain(vb) })
    }
}

impl Network for N1 {
    fn limpid(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = op::pixel_unshuffle(x)?;
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, if i < 14 { Activation::Relu } else { Activation::None }, None)?;
        }
        Ok(vec![op::pixel_shuffle(&x)?])
    }

    fn candle(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = candle_nn::ops::pixel_unshuffle(x, 2)?;
        for i in 0..15 {
            let (c_in, c_out) = (if i == 0 { 4 } else { 64 }, if i == 14 { 4 } else { 64 });
            x = self.plain.conv(&i.to_string(), &x, (c_in, c_out, 3))?;
            if i < 14 {
                x = x.relu()?;
            }
        }
        Ok(vec![candle_nn::ops::pixel_shuffle(&x, 2)?])
    }
}

/// Convolutions by name, as candle computes them.
struct Plain(VarBuilder<'static>);

impl Plain {
    fn conv(&self, name: &str, x: &Tensor, (c_in, c_out, k): (usize, usize, usize)) -> Result<Tensor> {
        let vb = self.0.pp(name);
        let (weight, bias) = (vb.get((c_out, c_in, k, k), "weight")?, vb.get(c_out, "bias")?);
        x.conv2d(&weight, k / 2, 1, 1, 1)?.broadcast_add(&bias.reshape((1, (), 1, 1))?)
    }

    fn residual(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let w = x.dim(1)?;
        let inner = self.conv(&format!("{name}.first"), x, (w, w, 3))?.relu()?;
        self.conv(&format!("{name}.second"), &inner, (w, w, 3))? + x
    }

    fn stack(&self, name: &str, count: usize, x: Tensor) -> Result<Tensor> {
        (0..count).try_fold(x, |x, i| self.residual(&format!("{name}.{i}"), &x))
    }
}

/// The sizes of a bundled pyramid, from its manifest.
fn read(path: &str) -> PyramidConfig {
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(path).expect("the manifest is there"))
        .expect("it is a manifest");
    match manifest.model.family {
        Family::Pyramid(config) => config,
        other => panic!("{path} is no pyramid: {other:?}"),
    }
}

/// A `pyramid`, both results.
struct Bundled {
    config: PyramidConfig,
    pyramid: Scales,
    plain: Plain,
}

impl Bundled {
    fn new(config: PyramidConfig, vb: VarBuilder<'static>) -> Result<Self> {
        let pyramid = Scales::new(&config.sizes(), vb.clone())?;
        Ok(Self { config, pyramid, plain: Plain(vb) })
    }
}

impl Network for Bundled {
    fn limpid(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let code = self.pyramid.encode(x)?;
        let rebuilt = self.pyramid.decode(&code.planes)?;
        let features = rebuilt.features.expect("a pyramid has features");
        let detail = code.detail.expect("a pyramid has detail");
        let full = self.pyramid.refine(&rebuilt.strict, features, detail)?;
        Ok(vec![rebuilt.strict, full])
    }

    fn candle(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        use candle_nn::ops::{pixel_shuffle, pixel_unshuffle};
        let (p, c) = (&self.plain, &self.config);
        let ([w1, w2, w3], [z1, z2, z3]) = (c.widths, c.latent);
        let inner = 4 * c.channels;
        let head = p.conv("encoder.head", &pixel_unshuffle(x, 2)?, (inner, w1, 3))?.relu()?;
        let e1 = p.stack("encoder.blocks.0", c.encoder_blocks[0], head)?;
        let down = p.conv("encoder.down.0", &pixel_unshuffle(&e1, 2)?, (4 * w1, w2, 1))?;
        let e2 = p.stack("encoder.blocks.1", c.encoder_blocks[1], down)?;
        let down = p.conv("encoder.down.1", &pixel_unshuffle(&e2, 2)?, (4 * w2, w3, 1))?;
        let e3 = p.stack("encoder.blocks.2", c.encoder_blocks[2], down)?;
        let code = |i: usize, e: &Tensor, w, z| p.conv(&format!("encoder.latent.{i}"), e, (w, z, 1));
        let (m1, m2, m3) = (code(0, &e1, w1, z1)?, code(1, &e2, w2, z2)?, code(2, &e3, w3, z3)?);

        let d3 =
            p.stack("decoder.blocks.2", c.decoder_blocks[2], p.conv("decoder.latent.2", &m3, (z3, w3, 1))?)?;
        let up = pixel_shuffle(&p.conv("decoder.up.1", &d3, (w3, 4 * w2, 1))?, 2)?;
        let d2 = (p.conv("decoder.latent.1", &m2, (z2, w2, 1))? + up)?;
        let d2 = p.stack("decoder.blocks.1", c.decoder_blocks[1], d2)?;
        let up = pixel_shuffle(&p.conv("decoder.up.0", &d2, (w2, 4 * w1, 1))?, 2)?;
        let d1 = (p.conv("decoder.latent.0", &m1, (z1, w1, 1))? + up)?;
        let d1 = p.stack("decoder.blocks.0", c.decoder_blocks[0], d1)?;
        let strict = pixel_shuffle(&p.conv("decoder.tail", &d1, (w1, inner, 3))?, 2)?;

        let both =
            p.conv("refiner.features", &d1, (w1, w1, 1))? + p.conv("refiner.detail", &e1, (w1, w1, 1))?;
        let both = p.stack("refiner.blocks", c.refiner_blocks, both?.relu()?)?;
        let full = (pixel_shuffle(&p.conv("refiner.tail", &both, (w1, inner, 3))?, 2)? + &strict)?;
        Ok(vec![strict, full])
    }
}
