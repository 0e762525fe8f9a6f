//! Errors of converting bytes to samples and samples to files.

use crate::codec::{self, Format};
use crate::sample::Kind;

/// Error of reading or writing a file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Error of the format.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// Several samples for a format that holds one.
    #[error("{format} holds one {what}, this has {count}; ask for {instead}")]
    Several {
        /// Requested format.
        format: Format,
        /// Name of its content.
        what: &'static str,
        /// Number of samples.
        count: usize,
        /// Formats that hold several.
        instead: &'static str,
    },
    /// Samples of a kind that the format does not hold.
    #[error("{format} holds {holds}, this is of the kind {kind}; ask for {instead}")]
    Kind {
        /// Requested format.
        format: Format,
        /// Content that it holds.
        holds: &'static str,
        /// Kind of the samples.
        kind: Kind,
        /// Formats that hold this kind.
        instead: &'static str,
    },
    /// A depth that the format does not hold.
    #[error("{format} cannot hold numbers of this depth; it holds {holds}: ask for tiff or npy")]
    Depth {
        /// Requested format.
        format: Format,
        /// Depths that it holds.
        holds: String,
    },
    /// Single bits where they cannot be written.
    #[error(
        "{0} cannot hold single bits, or the samples are no pictures without transparency; ask for png, tif or pnm, or for \
         another depth"
    )]
    Bits(Format),
    /// Numbers beyond the range of an integer depth.
    #[error(
        "the numbers go from {low} to {high}, and whole numbers of {format} stand for 0 to 1; divide before sending \
         (by {most} for images of {bits} bits), or ask for tiff or npy with floats"
    )]
    Range {
        /// Requested format.
        format: Format,
        /// Minimum of the input, or 0.
        low: f32,
        /// Maximum of the input, or 1.
        high: f32,
        /// Probable full scale of the numbers.
        most: u32,
        /// Bits of that scale.
        bits: u32,
    },
    /// Missing numbers for a file of whole numbers.
    #[error(
        "{count} number(s) are missing, and whole numbers of {format} cannot say so; ask for floats (tiff, npy, csv or \
         json), or say missing=fill"
    )]
    Gaps {
        /// Requested format.
        format: Format,
        /// Number of missing numbers.
        count: usize,
    },
    /// Opacity for a format that does not support it.
    #[error(
        "{0} cannot hold the opacity (alpha channel) of this image; ask for png, webp or tiff, or flatten it before sending"
    )]
    Opacity(Format),
}
