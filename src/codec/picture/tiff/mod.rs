//! TIFF, with the `tiff` crate directly: the `image` crate supports neither gray float, which microscopes write, nor
//! gray with opacity.

mod fax;
mod read;
mod storage;
#[cfg(test)]
mod tests;
mod write;

pub(super) use read::{decoded_bytes, read};
pub(super) use write::write;

/// Storage type of the numbers of a TIFF, if its depth does not determine it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Unsigned integers or 32-bit floats, by depth.
    Plain,
    /// One bit.
    Bit,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Double precision.
    F64,
}

/// Compression of a TIFF page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Uncompressed.
    None,
    /// LZW.
    Lzw,
    /// Deflate; also replaces compressions that are read but not written.
    Deflate,
    /// Run lengths of bytes.
    PackBits,
}
