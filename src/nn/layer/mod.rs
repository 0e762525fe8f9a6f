//! Layers: operations with their weights, created and loaded by the same path.

mod conv;

pub use conv::Conv2d;
