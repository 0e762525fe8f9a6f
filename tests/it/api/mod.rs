//! Mirrors `src/api`.

mod about;
mod auth;
mod cors;
mod decode;
mod denoise;
mod encode;
mod errors;
mod evaluate;
mod health;
mod input;
mod models;
mod serve;
mod signals;
mod train;
