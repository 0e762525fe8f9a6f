//! Media: converts bytes to samples and back, for HTTP, command line and training alike.
//!
//! [`read`] returns the samples of a file and a [`Carrier`], which describes their container, so that
//! [`Carrier::write`] writes results to the same kind of file. [`Carrier::check`] rejects everything that a file cannot
//! hold before anything is computed.

mod carrier;
mod error;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use carrier::Carrier;
pub use error::Error;
pub use read::{Content, Reading, read, samples_of, settle_format};
pub use write::File;

/// Result of calls of this module.
pub type Result<T> = std::result::Result<T, Error>;
