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
//! # Layers
//!
//! A module imports only from lower layers, which `tests/it/architecture.rs` checks.
//!
//! | layer | modules | purpose |
//! |---|---|---|
//! | 0 ground | [`sample`], [`name`], [`rng`], [`limits`], [`bounds`], [`pointer`], [`code`], [`file`](mod@file), [`hex`](mod@hex), [`memory`] | data types; writing a file |
//! | 1 pure | [`codec`], [`corruption`], [`page`], [`quality`], [`kernel`] | computation on slices |
//! | 2 substrate | [`nn`], [`media`], [`store`], [`db`], [`map`], [`index`] | tensors; bytes to samples and back; bytes by key; rows; maps of latents and search in them |
//! | 3 data | [`dataset`], [`registry`] | samples and models from stored bytes |
//! | 4 inference | [`infer`] | one model, one sample, synchronous |
//! | none | [`telemetry`] | metrics, for layer 5 and up |
//! | 5 work | [`train`], [`engine`] | training; scheduling of inference |
//! | 6 jobs | [`job`] | life cycle of training jobs |
//! | 7 API | [`api`] | HTTP |
//! | 8 CLI | [`cli`] | flags and environment; building, starting and stopping the other parts |

// layer 0: ground
pub(crate) mod bounds;
pub(crate) mod code;
pub(crate) mod file;
pub(crate) mod hex;
pub mod limits;
pub mod memory;
pub mod name;
pub(crate) mod pointer;
pub mod rng;
pub mod sample;

// layer 1: pure
pub mod codec;
pub mod corruption;
pub mod kernel;
pub(crate) mod page;
pub(crate) mod quality;

// layer 2: substrate
pub mod db;
pub mod index;
pub mod map;
pub mod media;
pub mod nn;
pub mod store;

// layer 3: data
pub mod dataset;
pub mod registry;

// layer 4: inference
pub mod infer;

// in no layer
pub mod telemetry;

// layer 5: work
pub mod engine;
pub mod train;

// layer 6: jobs
pub mod job;

// layer 7: API
pub mod api;

// layer 8: CLI
pub mod cli;
