//! The models of one command: each loaded once, when the first sample needs it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::place;
use crate::infer::Session;
use crate::name::ModelRef;
use crate::registry::Registry;
use crate::sample::{Kind, Shape};

/// The models of one command.
#[derive(Debug)]
pub struct Zoo {
    registry: Registry,
    /// The model that was asked for.
    stated: Option<ModelRef>,
    loaded: Mutex<HashMap<ModelRef, Arc<Session>>>,
}

impl Zoo {
    /// Over `registry`, for the model that was asked for.
    pub fn new(registry: Registry, stated: Option<ModelRef>) -> Self {
        Self { registry, stated, loaded: Mutex::default() }
    }

    /// The model that was asked for, loaded.
    ///
    /// # Errors
    /// A line: it is not there, or damaged.
    pub fn stated(&self) -> Result<Option<Arc<Session>>, String> {
        self.stated.as_ref().map(|reference| self.get(reference)).transpose()
    }

    /// The model for a sample: the one asked for, else the one for its kind.
    ///
    /// # Errors
    /// A line: there is none for this kind, or it is not there, or damaged.
    pub fn for_shape(&self, shape: Shape) -> Result<Arc<Session>, String> {
        if let Some(stated) = &self.stated {
            return self.get(stated);
        }
        let name = usual(shape)?;
        self.get(&name.parse().map_err(|e| format!("{name}: {e}"))?)
    }

    /// A model by name.
    ///
    /// # Errors
    /// A line: it is not there, or damaged.
    pub fn get(&self, reference: &ModelRef) -> Result<Arc<Session>, String> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = loaded.get(reference) {
            return Ok(Arc::clone(session));
        }
        let session = place::load(&self.registry, reference).map_err(|e| e.to_string())?;
        let session = Arc::new(session);
        loaded.insert(reference.clone(), Arc::clone(&session));
        Ok(session)
    }
}

/// The bundled model for a sample when none is named.
fn usual(shape: Shape) -> Result<&'static str, String> {
    match (shape.kind(), shape.channels()) {
        (Kind::Image, 1) => Ok("photo-gray"),
        (Kind::Image, 3) => Ok("photo-color"),
        _ => Err(format!("there is no usual model for a {shape}; name one with --model")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_a_usual_model_by_their_channels() {
        assert_eq!(usual(Shape::image(1, 4, 4)), Ok("photo-gray"));
        assert_eq!(usual(Shape::image(3, 4, 4)), Ok("photo-color"));
        assert!(usual(Shape::Vector { features: 3 }).unwrap_err().contains("--model"));
    }
}
