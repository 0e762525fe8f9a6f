//! Spec: what kind of sample is wanted, so that axes and columns can be told apart.

use super::{Kind, Shape};

/// What a model takes in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Spec {
    /// Image, signal or vector.
    pub kind: Kind,
    /// Channels of an image or signal; 1 for vectors.
    pub channels: usize,
    /// The one shape that is taken, for models of fixed shape; it also decides between orders of axes.
    pub fixed: Option<Shape>,
}
