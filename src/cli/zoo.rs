//! Models of one command, each loaded when a sample first needs it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::place;
use crate::infer::fit::{Choice, Traits, Unsure, Usual, choose};
use crate::infer::{Mode, Session};
use crate::name::ModelRef;
use crate::registry::Registry;
use crate::sample::{Kind, Shape};

/// Models of one command.
#[derive(Debug)]
pub struct Zoo {
    registry: Registry,
    /// Requested model.
    stated: Option<ModelRef>,
    /// Models used if none is requested.
    usual: Usual,
    loaded: Mutex<HashMap<ModelRef, Arc<Session>>>,
}

impl Zoo {
    /// Creates the cache over `registry`.
    pub fn new(registry: Registry, stated: Option<ModelRef>, usual: Usual) -> Self {
        Self { registry, stated, usual, loaded: Mutex::default() }
    }

    /// Returns the requested model, loaded.
    ///
    /// # Errors
    /// One line: it does not exist or is damaged.
    pub fn stated(&self) -> Result<Option<Arc<Session>>, String> {
        self.stated.as_ref().map(|reference| self.get(reference)).transpose()
    }

    /// Returns the model for a sample: the requested one, else the one for its kind.
    ///
    /// # Errors
    /// One line: there is none for this kind, or it does not exist or is damaged.
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

    /// Returns `true` if a sample may be treated as a page: no model is requested, or one of pages.
    ///
    /// # Errors
    /// As [`Zoo::stated`].
    pub fn may_take_pages(&self) -> Result<bool, String> {
        Ok(self.stated()?.is_none_or(|session| session.manifest().strokes().is_some()))
    }

    /// Returns the model to denoise a sample with: the requested one, else the usual one with the reason.
    ///
    /// # Errors
    /// One line: none can be chosen, or it does not exist or is damaged.
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
            let usual = match mode {
                Mode::Full => self.registry.usual_to_denoise(shape),
                Mode::Strict => self.registry.usual(shape),
            };
            let session = self.get(&usual.map_err(|unsure| format!("{unsure} (--model)"))?)?;
            return Ok((session, Some(format!("the usual model for a {}", shape.kind()))));
        }
        let choice = choose(&self.registry, &self.usual, shape, traits, mode);
        let Choice { model, reason } = choice.map_err(|e| format!("{e} with --model"))?;
        Ok((self.get(&model)?, Some(reason)))
    }

    /// Returns the usual model for a signal or a vector.
    fn usual_of(&self, shape: Shape) -> Result<Arc<Session>, String> {
        let usual = self.registry.usual(shape).map_err(|unsure| format!("{unsure} (--model)"))?;
        self.get(&usual)
    }

    /// Returns a model by name.
    ///
    /// # Errors
    /// One line: it does not exist or is damaged.
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
