//! The models of one command: each loaded once, when the first sample needs it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::place;
use crate::infer::fit::{Choice, Traits, Unsure, Usual, choose};
use crate::infer::{Mode, Session};
use crate::name::ModelRef;
use crate::registry::Registry;
use crate::sample::{Kind, Shape};

/// The models of one command.
#[derive(Debug)]
pub struct Zoo {
    registry: Registry,
    /// The model that was asked for.
    stated: Option<ModelRef>,
    /// The models that serve where none is asked for.
    usual: Usual,
    loaded: Mutex<HashMap<ModelRef, Arc<Session>>>,
}

impl Zoo {
    /// Over `registry`, for the model that was asked for.
    pub fn new(registry: Registry, stated: Option<ModelRef>, usual: Usual) -> Self {
        Self { registry, stated, usual, loaded: Mutex::default() }
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
        let name = match (shape.kind(), shape.channels()) {
            (Kind::Image, 1) => &self.usual.gray,
            (Kind::Image, 3) => &self.usual.color,
            (Kind::Image, _) => return Err(format!("{} with --model", Unsure::Kind(shape))),
            (Kind::Signal | Kind::Vector, _) => return self.usual_of(shape),
        };
        self.get(&ModelRef { name: name.clone(), version: None })
    }

    /// Whether a sample may go as a page: no model is asked for, or one of pages.
    ///
    /// # Errors
    /// As [`Zoo::stated`].
    pub fn may_take_pages(&self) -> Result<bool, String> {
        Ok(self.stated()?.is_none_or(|session| session.manifest().strokes().is_some()))
    }

    /// The model to denoise a sample with: the one asked for, else the usual one with the reason for it.
    ///
    /// # Errors
    /// A line: none can be chosen, or it is not there, or damaged.
    pub fn for_sample(
        &self,
        shape: Shape,
        traits: &Traits,
        mode: Mode,
    ) -> Result<(Arc<Session>, Option<String>), String> {
        if let Some(stated) = &self.stated {
            return Ok((self.get(stated)?, None));
        }
        if shape.kind() != Kind::Image {
            return Ok((self.usual_of(shape)?, None));
        }
        let choice = choose(&self.registry, &self.usual, shape, traits, mode);
        let Choice { model, reason } = choice.map_err(|e| format!("{e} with --model"))?;
        Ok((self.get(&model)?, Some(reason)))
    }

    /// The usual model for a signal or a vector.
    fn usual_of(&self, shape: Shape) -> Result<Arc<Session>, String> {
        let usual = self.registry.usual(shape).map_err(|unsure| format!("{unsure} (--model)"))?;
        self.get(&usual)
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
