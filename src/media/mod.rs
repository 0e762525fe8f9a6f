//! Media: bytes to samples and back, in one place for HTTP, command line and training.
//!
//! [`read`] gives the samples of a file and a [`Carrier`], which says what they came in, so that [`Carrier::write`] puts
//! results into a file alike. Everything that a file cannot hold is refused by [`Carrier::check`] before anything is
//! computed.

mod carrier;
mod error;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use carrier::Carrier;
pub use error::Error;
pub use read::{Content, read, samples_of, settle_format};
pub use write::File;

/// What calls of this module give.
pub type Result<T> = std::result::Result<T, Error>;
