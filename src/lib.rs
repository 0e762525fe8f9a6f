//! Limpid: a self-hosted denoising service built on denoising autoencoders.
//!
//! An autoencoder has two halves: the encoder `h = f(x)` compresses a sample into a latent of fewer
//! numbers, the decoder `r = g(h)` rebuilds the sample from the latent and nothing else. Every
//! endpoint is a view of that idea: `/encode` is `f`, `/decode` is `g`, `/denoise` is `g(f(x))`
//! followed by a small refiner, `/train` learns both from the user's samples.
//!
//! # The two flows
//!
//! ```text
//! bytes -media::read-> Sample, Carrier -infer-> rows -nn-> rows -infer-> Sample, Carrier -media::write-> bytes
//!
//! dataset -> split -> crop -> augment -> corrupt -> (noisy, clean) -> forward -> loss -> step
//!         -> validate (through infer) -> checkpoint -> registry.publish -> engine swaps the model
//! ```
//!
//! # The floors
//!
//! A module imports only from lower floors; `tests/it/architecture.rs` keeps it so.
//!
//! | floor | modules | may do |
//! |---|---|---|
//! | 0 ground | [`sample`], [`name`], [`rng`], [`limits`], [`bounds`], [`pointer`] | hold values |
//! | 1 pure | [`codec`], [`corruption`], [`page`], [`quality`], [`kernel`] | compute on slices |
//! | 2 substrate | [`nn`], [`media`], [`store`], [`db`] | tensors; bytes to samples and back; bytes by key; rows |
//! | 3 data | [`dataset`], [`registry`] | turn stored bytes into samples and models |
//! | 4 inference | [`infer`] | one model, one sample, synchronous |
//! | beside | [`telemetry`] | count, for floor 5 and up |
//! | 5 work | [`train`], [`engine`] | long computing; scheduling |
//! | 6 jobs | [`job`] | life cycle of training |
//! | 7 face | [`api`] | speak HTTP |
//! | 8 door | [`cli`] | read flags and environment, build the parts, start and stop them |

// floor 0: ground
pub mod bounds;
pub mod limits;
pub mod name;
pub mod pointer;
pub mod rng;
pub mod sample;

// floor 1: pure
pub mod codec;
pub mod corruption;
pub mod kernel;
pub mod page;
pub mod quality;

// floor 2: substrate
pub mod db;
pub mod media;
pub mod nn;
pub mod store;

// floor 3: data
pub mod dataset;
pub mod registry;

// floor 4: inference
pub mod infer;

// beside the floors
pub mod telemetry;

// floor 5: work
pub mod engine;
pub mod train;

// floor 6: jobs
pub mod job;

// floor 7: face
pub mod api;

// floor 8: door
pub mod cli;
