//! Settings of the program.

use std::path::PathBuf;

use crate::limits::Limits;

/// The settings.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// How much a caller may make us read.
    pub limits: Limits,
    /// Where models are.
    pub models: Models,
}

/// Where models are.
#[derive(Debug, Clone)]
pub struct Models {
    /// The folder of the bundled models.
    pub dir: PathBuf,
    /// The folder everything is written to.
    pub data_dir: PathBuf,
}

impl Default for Models {
    fn default() -> Self {
        Self { dir: "models".into(), data_dir: "data".into() }
    }
}

impl Config {
    /// The bundled models.
    pub fn bundled(&self) -> Option<PathBuf> {
        Some(self.models.dir.clone()).filter(|dir| dir.is_dir())
    }

    /// The trained models.
    pub fn trained(&self) -> Option<PathBuf> {
        Some(self.models.data_dir.join("models"))
    }
}
