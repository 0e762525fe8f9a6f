//! Memory: its limit, buffers that are reused, and the time at which freed pages return to the system.

pub mod buffers;
mod limit;
pub mod pages;

pub use limit::limit;
