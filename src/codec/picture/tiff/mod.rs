//! TIFF, by the `tiff` crate itself: the `image` crate in front of it knows no gray float, which is what
//! microscopes write, and no gray with opacity.

mod fax;
mod read;
mod storage;
#[cfg(test)]
mod tests;
mod write;

pub(super) use read::{decoded_bytes, read};
pub(super) use write::write;

/// How the numbers of a TIFF are stored, where its depth does not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// As whole numbers without sign, or 32-bit floats, by depth.
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

/// How a TIFF is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// LZW.
    Lzw,
    /// Deflate; also what takes the place of kinds that are read and not written.
    Deflate,
    /// Run lengths of bytes.
    PackBits,
}
