//! Layers: operations with their weights, created and loaded by the same path.

mod conv;
mod linear;
mod resample;
mod residual;

pub use conv::Conv2d;
pub use linear::Linear;
pub use resample::{Down, Fold, Up};
pub use residual::Residual;
