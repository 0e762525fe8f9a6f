//! Weights of a model by name: created from a seed or read from an artifact, by the same path.
//!
//! candle's own `VarMap` initializes weights from the thread's random generator, which cannot be seeded on the CPU;
//! here every tensor draws from a stream determined by the seed and its own name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use crate::rng::{self, Rng};

/// Maximum bytes of the header that names the tensors: a network has some hundreds of them, of about 100 bytes each.
const HEADER_BYTES: u64 = 1 << 20;

/// Named weights, recorded while a model is built over [`Weights::builder`].
#[derive(Debug, Clone)]
pub struct Weights(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Stored weights; a model that requests one in another shape is rejected.
    initial: HashMap<String, Tensor>,
    purpose: Purpose,
    taken: Mutex<Taken>,
}

/// Use of the weights.
#[derive(Debug)]
enum Purpose {
    /// Inference: every weight must be stored, and gradients are not tracked.
    Serve,
    /// Training: weights that are not stored are drawn from the seed.
    Train(u64),
}

/// Weights that the model has requested so far.
#[derive(Debug, Default)]
struct Taken {
    names: BTreeSet<String>,
    vars: BTreeMap<String, Var>,
}

impl Weights {
    /// Creates weights for training: those of `initial`, and the rest drawn from `seed`.
    pub fn to_train(initial: HashMap<String, Tensor>, seed: u64) -> Self {
        Self::new(initial, Purpose::Train(seed))
    }

    /// Creates weights for inference: the model must request exactly these.
    pub fn to_serve(initial: HashMap<String, Tensor>) -> Self {
        let detached = initial.into_iter().map(|(name, tensor)| (name, tensor.detach())).collect();
        Self::new(detached, Purpose::Serve)
    }

    fn new(initial: HashMap<String, Tensor>, purpose: Purpose) -> Self {
        Self(Arc::new(Inner { initial, purpose, taken: Mutex::default() }))
    }

    /// Reads tensors from the bytes of a safetensors file.
    ///
    /// # Errors
    /// The bytes are not a safetensors file, its header is over 1 MiB, or a number is not finite.
    pub fn read(bytes: &[u8], device: &Device) -> Result<HashMap<String, Tensor>> {
        let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if header > HEADER_BYTES {
            bail!("the header of the tensors has {header} bytes, the limit is {HEADER_BYTES}");
        }
        let mut tensors = candle_core::safetensors::load_buffer(bytes, device)?;
        for (name, tensor) in &mut tensors {
            *tensor = tensor.to_dtype(DType::F32)?;
            // The sum of squares is finite only if every number is (and none is extremely large).
            if !tensor.sqr()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
                bail!("weight {name} holds numbers that are not finite");
            }
        }
        Ok(tensors)
    }

    /// Returns the bytes of a safetensors file with `tensors`, ordered by name.
    ///
    /// # Errors
    /// A tensor cannot be read back from its device.
    pub fn write(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
        Ok(safetensors::serialize(tensors, None)?)
    }

    /// Returns the builder from which a model requests its weights.
    pub fn builder(&self, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), DType::F32, device.clone())
    }

    /// Every trainable weight that a model has requested, by name.
    pub fn vars(&self) -> BTreeMap<String, Var> {
        self.taken().vars.clone()
    }

    /// Names of stored weights that no layer requested: a sign that config and weights do not match.
    pub fn unused(&self) -> Vec<String> {
        let taken = self.taken();
        let mut names: Vec<_> =
            self.0.initial.keys().filter(|name| !taken.names.contains(*name)).cloned().collect();
        names.sort();
        names
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, shape: &Shape, name: &str, init: Init, device: &Device) -> Result<Tensor> {
        let Purpose::Train(seed) = self.0.purpose else { bail!("weight {name} is missing") };
        // FNV-1a, 64 bits: a stable number for a name.
        let index =
            name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        let mut rng = Rng::new(seed, rng::Purpose::Init, index);
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
        let mut taken = self.taken();
        taken.names.insert(name.to_owned());
        if matches!(self.0.purpose, Purpose::Serve) {
            return Ok(tensor);
        }
        let var = Var::from_tensor(&tensor)?;
        let tensor = var.as_tensor().clone();
        taken.vars.insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        bail!("weight {name} was asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        matches!(self.0.purpose, Purpose::Train(_)) || self.0.initial.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, name: &str) -> Vec<f32> {
        let vb = Weights::to_train(HashMap::new(), seed).builder(&Device::Cpu);
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
        let weights = Weights::to_serve(stored());
        assert!(weights.builder(&Device::Cpu).get((2, 2), "a").is_ok());
        assert!(weights.unused().is_empty());
        let vb = Weights::to_serve(stored()).builder(&Device::Cpu);
        assert!(vb.get((2, 3), "a").unwrap_err().to_string().contains("expected shape [2, 3]"));
        assert!(vb.get((2, 2), "b").unwrap_err().to_string().contains("missing"));
    }

    #[test]
    fn weights_that_are_not_finite_are_refused() {
        let bad = Tensor::new(&[1.0f32, f32::NAN], &Device::Cpu).unwrap();
        let bytes = Weights::write(&BTreeMap::from([("w".to_owned(), bad)])).unwrap();
        assert!(Weights::read(&bytes, &Device::Cpu).is_err());
    }
    #[test]
    fn a_header_of_very_many_tensors_is_refused_before_it_is_parsed() {
        let empty = |i: usize| format!(r#""{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
        let header = format!("{{{}}}", (0..20_000).map(empty).collect::<Vec<_>>().join(","));
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        assert!(Weights::read(&bytes, &Device::Cpu).unwrap_err().to_string().contains("limit"));
    }
}
