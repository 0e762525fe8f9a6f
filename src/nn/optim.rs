//! AdamW with moments that can be saved, and a moving average of the weights.
//!
//! candle-nn's own optimizer keeps its moments private, so a run could not be resumed exactly. One pass over each
//! weight updates weight, moments and average together.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Result, Tensor, Var, bail};

/// Settings of the optimizer, constant during a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// Decay of the mean of the gradients.
    pub beta1: f32,
    /// Decay of the mean of the squared gradients.
    pub beta2: f32,
    /// Added to the denominator, to avoid a division by zero.
    pub epsilon: f32,
    /// Decoupled weight decay, applied to weights but not to biases.
    pub weight_decay: f32,
    /// Maximum global norm of the gradients; larger ones are scaled down to it.
    pub max_norm: f32,
    /// Decay of the moving average of the weights, once the run is long enough: 0.999 averages about 1000 steps.
    pub average: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 1e-4, max_norm: 1.0, average: 0.999 }
    }
}

/// AdamW over the weights of one model.
///
/// # Source
/// I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
#[derive(Debug)]
pub struct AdamW {
    config: Config,
    step: u64,
    slots: BTreeMap<String, Slot>,
}

#[derive(Debug)]
struct Slot {
    var: Var,
    state: RefCell<State>,
}

/// State of one weight tensor; all three vectors have its length.
#[derive(Debug, Clone, PartialEq)]
struct State {
    mean: Vec<f32>,
    square: Vec<f32>,
    average: Vec<f32>,
}

impl AdamW {
    /// Creates an optimizer at step 0.
    ///
    /// # Errors
    /// A weight is not `f32`.
    pub fn new(vars: BTreeMap<String, Var>, config: Config) -> Result<Self> {
        let slot = |(name, var): (String, Var)| {
            let average = var.as_tensor().flatten_all()?.to_vec1::<f32>()?;
            let zeros = vec![0.0; average.len()];
            let state = RefCell::new(State { mean: zeros.clone(), square: zeros, average });
            Ok((name, Slot { var, state }))
        };
        Ok(Self { config, step: 0, slots: vars.into_iter().map(slot).collect::<Result<_>>()? })
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Takes one step at learning rate `rate` against `grads`; returns the gradients' global norm before clipping.
    ///
    /// If the norm is not finite, no step is taken: the caller decides what to do.
    ///
    /// # Errors
    /// A weight has no gradient: its layer is disconnected from the loss.
    pub fn step(&mut self, grads: &GradStore, rate: f32) -> Result<f32> {
        let mut total = 0f64;
        for (name, slot) in &self.slots {
            let Some(grad) = grads.get(slot.var.as_tensor()) else { bail!("weight {name} has no gradient") };
            total += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let norm = total.sqrt() as f32;
        if !norm.is_finite() {
            return Ok(norm);
        }

        self.step += 1;
        let scale = if norm > self.config.max_norm { self.config.max_norm / norm } else { 1.0 };
        for slot in self.slots.values() {
            let Some(grad) = grads.get(slot.var.as_tensor()) else { continue };
            let update = Update { config: self.config, step: self.step, rate, scale, state: &slot.state };
            update.run(&slot.var, grad)?;
        }
        Ok(norm)
    }

    /// Moving average of the weights, which is validated and published.
    ///
    /// # Errors
    /// Out of memory on the device.
    pub fn averaged(&self) -> Result<BTreeMap<String, Tensor>> {
        self.collect(|state| &state.average)
    }

    /// Collects the state that a later run needs to resume, by name, except for the step count.
    ///
    /// # Errors
    /// Out of memory on the device.
    pub fn save(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut all = BTreeMap::new();
        for (name, slot) in &self.slots {
            all.insert(format!("weight:{name}"), slot.var.as_tensor().copy()?);
        }
        for (kind, part) in PARTS {
            let tensors = self.collect(part)?;
            all.extend(tensors.into_iter().map(|(name, t)| (format!("{kind}:{name}"), t)));
        }
        Ok(all)
    }

    /// Restores the state that [`AdamW::save`] returned after `step` steps.
    ///
    /// # Errors
    /// A tensor is missing or has another size.
    pub fn restore(&mut self, saved: &BTreeMap<String, Tensor>, step: u64) -> Result<()> {
        let find = |kind: &str, name: &str, slot: &Slot| {
            let key = format!("{kind}:{name}");
            match saved.get(&key) {
                Some(tensor) if tensor.shape() == slot.var.shape() => Ok(tensor),
                Some(tensor) => bail!("checkpoint: {key} has shape {:?}", tensor.dims()),
                None => bail!("checkpoint: {key} is missing"),
            }
        };
        for (name, slot) in &self.slots {
            let flat = |kind| find(kind, name, slot)?.flatten_all()?.to_vec1::<f32>();
            let state = State { mean: flat("mean")?, square: flat("square")?, average: flat("average")? };
            slot.var.set(&find("weight", name, slot)?.to_device(slot.var.device())?)?;
            slot.state.replace(state);
        }
        self.step = step;
        Ok(())
    }

    fn collect(&self, part: impl Fn(&State) -> &Vec<f32>) -> Result<BTreeMap<String, Tensor>> {
        let tensor = |(name, slot): (&String, &Slot)| {
            let values = part(&slot.state.borrow()).clone();
            Ok((name.clone(), Tensor::from_vec(values, slot.var.shape(), &Device::Cpu)?))
        };
        self.slots.iter().map(tensor).collect()
    }
}

type Part = fn(&State) -> &Vec<f32>;

const PARTS: [(&str, Part); 3] =
    [("mean", |s| &s.mean), ("square", |s| &s.square), ("average", |s| &s.average)];

/// In-place update of one weight tensor by one step.
struct Update<'a> {
    config: Config,
    step: u64,
    rate: f32,
    scale: f32,
    state: &'a RefCell<State>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, w: &mut CpuStorage, layout: &Layout, g: &CpuStorage, g_layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(w), CpuStorage::F32(g)) = (w, g) else {
            bail!("adamw works on {:?} only", DType::F32);
        };
        let (Some((from, to)), Some((g_from, g_to))) =
            (layout.contiguous_offsets(), g_layout.contiguous_offsets())
        else {
            bail!("adamw needs contiguous weights and gradients");
        };
        let state = &mut *self.state.borrow_mut();
        let decays = layout.dims().len() > 1;
        self.apply(&mut w[from..to], &g[g_from..g_to], state, decays);
        Ok(())
    }
}

impl Update<'_> {
    /// Updates the weights. On devices other than the CPU they are copied to the CPU and back, where the moments are:
    /// a few megabytes a step.
    fn run(&self, var: &Var, grad: &Tensor) -> Result<()> {
        let device = var.device();
        if device.is_cpu() {
            return var.as_tensor().inplace_op2(&grad.contiguous()?, self);
        }
        let mut weights = var.flatten_all()?.to_vec1::<f32>()?;
        let grads = grad.flatten_all()?.to_vec1::<f32>()?;
        self.apply(&mut weights, &grads, &mut self.state.borrow_mut(), var.rank() > 1);
        var.set(&Tensor::from_vec(weights, var.shape(), device)?)
    }

    fn apply(&self, weights: &mut [f32], grads: &[f32], state: &mut State, decays: bool) {
        let Config { beta1, beta2, epsilon, weight_decay, average, .. } = self.config;
        let power = |beta: f32| 1.0 - f64::from(beta).powf(self.step as f64);
        let rate = (f64::from(self.rate) / power(beta1)) as f32;
        let unbias = (1.0 / power(beta2)) as f32;
        let decay = if decays { 1.0 - self.rate * weight_decay } else { 1.0 };
        // Short memory at first: the average must not retain the first, random weights.
        let memory = average.min(self.step as f32 / (self.step as f32 + 10.0));

        let moments = state.mean.iter_mut().zip(&mut state.square).zip(&mut state.average);
        for ((w, g), ((m, v), a)) in weights.iter_mut().zip(grads).zip(moments) {
            let g = g * self.scale;
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *w = *w * decay - rate * *m / ((*v * unbias).sqrt() + epsilon);
            *a = memory * *a + (1.0 - memory) * *w;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> (Var, AdamW) {
        let var = Var::from_tensor(&Tensor::new(&[[1f32, -2.0]], &Device::Cpu).unwrap()).unwrap();
        let config = Config { weight_decay: 0.0, max_norm: f32::INFINITY, ..Config::default() };
        let optimizer = AdamW::new(BTreeMap::from([("w".to_owned(), var.clone())]), config).unwrap();
        (var, optimizer)
    }

    fn descend(var: &Var, optimizer: &mut AdamW, steps: usize) -> Vec<f32> {
        for _ in 0..steps {
            let loss = var.as_tensor().sqr().unwrap().sum_all().unwrap();
            optimizer.step(&loss.backward().unwrap(), 0.1).unwrap();
        }
        var.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// With bias correction the first step is `rate * sign(gradient)`, independent of the gradient's size.
    #[test]
    fn the_first_step_has_the_length_of_the_rate() {
        let (var, mut optimizer) = fixture();
        let w = descend(&var, &mut optimizer, 1);
        assert!((w[0] - 0.9).abs() < 1e-6 && (w[1] + 1.9).abs() < 1e-6, "{w:?}");
    }

    #[test]
    fn a_restored_optimizer_goes_on_bit_for_bit() {
        let (var, mut optimizer) = fixture();
        descend(&var, &mut optimizer, 3);
        let (saved, steps) = (optimizer.save().unwrap(), optimizer.steps());
        let straight = descend(&var, &mut optimizer, 4);

        let (var, mut resumed) = fixture();
        resumed.restore(&saved, steps).unwrap();
        assert_eq!(descend(&var, &mut resumed, 4), straight);
    }

    #[test]
    fn a_weight_cut_off_from_the_loss_is_an_error() {
        let (_, mut optimizer) = fixture();
        let other = Var::new(1f32, &Device::Cpu).unwrap();
        assert!(optimizer.step(&other.sqr().unwrap().backward().unwrap(), 0.1).is_err());
    }
}
