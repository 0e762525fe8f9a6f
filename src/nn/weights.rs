//! The weights of a model by name: created from a seed or read from an artifact, by the same path.
//!
//! candle's own `VarMap` draws first weights from a thread's chance, which cannot be seeded on the
//! CPU; here every tensor draws from a stream named by the seed and its own name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use crate::rng::{Purpose, Rng};

/// Named weights, filled in while a model is built over [`Weights::builder`].
#[derive(Debug, Clone)]
pub struct Weights(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Weights to start from; a model that asks for another shape is refused.
    initial: HashMap<String, Tensor>,
    /// Draws the weights that `initial` lacks; without it a missing weight is an error.
    seed: Option<u64>,
    /// What the model has asked for so far.
    taken: Mutex<BTreeMap<String, Var>>,
}

impl Weights {
    /// Fresh weights drawn from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::new(HashMap::new(), Some(seed))
    }

    /// Stored weights only: the model must ask for exactly these.
    pub fn stored(tensors: HashMap<String, Tensor>) -> Self {
        Self::new(tensors, None)
    }

    fn new(initial: HashMap<String, Tensor>, seed: Option<u64>) -> Self {
        Self(Arc::new(Inner { initial, seed, taken: Mutex::default() }))
    }

    /// Reads the bytes of a safetensors file.
    ///
    /// # Errors
    /// The bytes are no safetensors file, or a number is not finite.
    pub fn from_safetensors(bytes: &[u8], device: &Device) -> Result<Self> {
        let mut tensors = candle_core::safetensors::load_buffer(bytes, device)?;
        for (name, tensor) in &mut tensors {
            *tensor = tensor.to_dtype(DType::F32)?;
            // The sum of squares is finite only if every number is (and none is absurdly large).
            if !tensor.sqr()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
                bail!("weight {name} holds numbers that are not finite");
            }
        }
        Ok(Self::stored(tensors))
    }

    /// The bytes of a safetensors file with these weights, in the order of their names.
    ///
    /// # Errors
    /// A tensor cannot be read back from its device.
    pub fn to_safetensors(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
        Ok(safetensors::serialize(tensors, None)?)
    }

    /// Where a model gets its weights from.
    pub fn builder(&self, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), DType::F32, device.clone())
    }

    /// Every weight a model has asked for, by name.
    pub fn vars(&self) -> BTreeMap<String, Var> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stored weights that no layer asked for: a sign that config and weights do not belong together.
    pub fn unused(&self) -> Vec<String> {
        let taken = self.vars();
        let mut names: Vec<_> = self.0.initial.keys().filter(|n| !taken.contains_key(*n)).cloned().collect();
        names.sort();
        names
    }

    fn create(&self, shape: &Shape, name: &str, init: Init, device: &Device) -> Result<Tensor> {
        let Some(seed) = self.0.seed else { bail!("weight {name} is missing") };
        // FNV-1a, 64 bits: a stable number for a name.
        let index =
            name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        let mut rng = Rng::new(seed, Purpose::Init, index);
        let draw: Box<dyn FnMut() -> f32> = match init {
            Init::Const(value) => Box::new(move || value as f32),
            Init::Randn { mean, stdev } => Box::new(move || (mean + stdev * f64::from(rng.normal())) as f32),
            Init::Uniform { lo, up } => Box::new(move || rng.range(lo as f32, up as f32)),
            Init::Kaiming { .. } => bail!("weight {name}: layers state their deviation themselves"),
        };
        let values: Vec<f32> = std::iter::repeat_with(draw).take(shape.elem_count()).collect();
        Tensor::from_vec(values, shape, device)
    }
}

impl SimpleBackend for Weights {
    fn get(&self, shape: Shape, name: &str, init: Init, _: DType, device: &Device) -> Result<Tensor> {
        let tensor = match self.0.initial.get(name) {
            Some(stored) if *stored.shape() == shape => stored.to_device(device)?,
            Some(stored) => {
                bail!("weight {name}: expected shape {:?}, got {:?}", shape.dims(), stored.dims())
            }
            None => self.create(&shape, name, init, device)?,
        };
        let var = Var::from_tensor(&tensor)?;
        let tensor = var.as_tensor().clone();
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        bail!("weight {name} was asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.seed.is_some() || self.0.initial.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, name: &str) -> Vec<f32> {
        let vb = Weights::seeded(seed).builder(&Device::Cpu);
        let init = Init::Randn { mean: 0.0, stdev: 1.0 };
        vb.get_with_hints((2, 3), name, init).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn first_weights_depend_on_the_seed_and_the_name_alone() {
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn stored_weights_must_have_the_shape_that_is_asked_for() {
        let stored =
            || HashMap::from([("a".to_owned(), Tensor::zeros((2, 2), DType::F32, &Device::Cpu).unwrap())]);
        let weights = Weights::stored(stored());
        assert!(weights.builder(&Device::Cpu).get((2, 2), "a").is_ok());
        assert!(weights.unused().is_empty());
        let vb = Weights::stored(stored()).builder(&Device::Cpu);
        assert!(vb.get((2, 3), "a").unwrap_err().to_string().contains("expected shape [2, 3]"));
        assert!(vb.get((2, 2), "b").unwrap_err().to_string().contains("missing"));
    }

    #[test]
    fn weights_that_are_not_finite_are_refused() {
        let bad = Tensor::new(&[1.0f32, f32::NAN], &Device::Cpu).unwrap();
        let bytes = Weights::to_safetensors(&BTreeMap::from([("w".to_owned(), bad)])).unwrap();
        assert!(Weights::from_safetensors(&bytes, &Device::Cpu).is_err());
    }
}
