//! Why bytes are no samples, or samples no file.

use crate::codec::{self, Format};
use crate::sample::Kind;

/// Why a file cannot be read or written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The format says so.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// Several samples for a file that holds one.
    #[error("{format} holds one {what}, this has {count}; ask for {instead}")]
    Several {
        /// The format asked for.
        format: Format,
        /// A word for what it holds.
        what: &'static str,
        /// Samples there are.
        count: usize,
        /// Formats that hold them all.
        instead: &'static str,
    },
    /// Samples of a kind that the format does not hold.
    #[error("{format} holds {holds}, this is of the kind {kind}; ask for {instead}")]
    Kind {
        /// The format asked for.
        format: Format,
        /// What it holds.
        holds: &'static str,
        /// The kind of the samples.
        kind: Kind,
        /// Formats that hold it.
        instead: &'static str,
    },
    /// A depth that the format does not hold.
    #[error("{format} cannot hold numbers of this depth; it holds {holds}: ask for tiff or npy")]
    Depth {
        /// The format asked for.
        format: Format,
        /// The depths that it holds.
        holds: String,
    },
    /// Numbers beyond the range of whole numbers.
    #[error(
        "the numbers go from {low} to {high}, and whole numbers of {format} stand for 0 to 1; divide before sending \
         (by {most} for images of {bits} bits), or ask for tiff or npy with floats"
    )]
    Range {
        /// The format asked for.
        format: Format,
        /// The least number of the input.
        low: f32,
        /// The greatest number of the input.
        high: f32,
        /// The full scale that these numbers most likely have.
        most: u32,
        /// Bits of that scale.
        bits: u32,
    },
    /// Opacity for a format without a place for it.
    #[error(
        "{0} cannot hold the opacity (alpha channel) of this image; ask for png, webp or tiff, or flatten it before sending"
    )]
    Opacity(Format),
}
