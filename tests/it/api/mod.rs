//! Mirrors `src/api`.

mod about;
mod artifact;
mod auth;
mod cors;
mod decode;
mod denoise;
mod encode;
mod errors;
mod evaluate;
mod events;
mod fitted;
mod health;
mod input;
mod load;
mod map;
mod metrics;
mod models;
mod origin;
mod pages;
mod pictures;
mod rate;
mod serve;
mod signals;
mod train;
mod upload;
