//! Spec: expected kind of sample, to distinguish axes from columns.

use super::{Kind, Shape};

/// Input of a model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Spec {
    /// Image, signal or vector.
    pub kind: Kind,
    /// Channels of an image or signal; 1 for vectors.
    pub channels: usize,
    /// Required shape, for models of fixed shape; it also decides between orders of axes.
    pub fixed: Option<Shape>,
}

impl Spec {
    /// Returns `true` if the model takes samples of this shape as they are; vectors of one length only.
    pub fn takes(&self, shape: Shape) -> bool {
        match self.fixed {
            Some(fixed) => fixed == shape,
            None => {
                let is_vector = shape.kind() == Kind::Vector;
                shape.kind() == self.kind && shape.channels() == self.channels && !is_vector
            }
        }
    }
}
