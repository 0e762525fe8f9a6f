//! Neural networks on candle tensors, from custom operations up to whole autoencoders.
//!
//! Axes are letters throughout: `B` batch, `C` channels, `H` height, `W` width, `L` length, `D`
//! features, `Z` latent channels. Order is always `(B, C, H, W)`, `(B, C, L)`, `(B, D)`.
//!
//! [`op`] wraps the kernels as differentiable operations, [`layer`] adds their weights, [`model`] composes layers
//! into the families of autoencoders.

mod device;
pub mod layer;
pub mod loss;
pub mod model;
pub mod op;
pub mod optim;
pub mod schedule;
pub mod tsne;
mod weights;

pub use candle_core::{Device, Error, Result, Tensor};
pub use device::DeviceName;
pub use weights::Weights;

/// Message of a tensor error, without the stack that candle appends where `RUST_BACKTRACE` is set.
pub fn message(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
