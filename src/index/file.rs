//! File of an index.
//!
//! # Format
//! Little-endian: the magic `LMPDINDX`, the format (u32), the SHA-256 of the weights (32 bytes), the numbers of a vector (u32), the
//! number of vectors (u64); the vectors as f32; for each its name as length (u16) and UTF-8; the CRC-32 of all before it.

use std::io::{self, Write};

use super::{Error, Index, LONGEST_NAME, MOST_BYTES};

const MAGIC: &[u8; 8] = b"LMPDINDX";
const FORMAT: u32 = 1;
/// Bytes before the vectors.
const HEAD: usize = 8 + 4 + 32 + 4 + 8;
/// Bytes of the checksum.
const TAIL: usize = 4;
/// Number of bytes that are encoded at a time.
const PIECE: usize = 1 << 16;

impl Index {
    /// Largest size of a file, in bytes: vectors of one number, each with the longest name.
    pub const MOST_FILE_BYTES: u64 = (MOST_BYTES as u64 / 4) * (4 + 2 + 4 * LONGEST_NAME as u64);

    /// Writes the file.
    ///
    /// # Errors
    /// Error of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut crc = crc32fast::Hasher::new();
        let mut put = |bytes: &[u8]| {
            crc.update(bytes);
            out.write_all(bytes)
        };
        put(MAGIC)?;
        put(&FORMAT.to_le_bytes())?;
        put(&self.digest)?;
        put(&(self.numbers as u32).to_le_bytes())?;
        put(&(self.names.len() as u64).to_le_bytes())?;
        let mut piece = Vec::with_capacity(PIECE);
        for part in self.data.chunks(PIECE / 4) {
            piece.clear();
            part.iter().for_each(|v| piece.extend_from_slice(&v.to_le_bytes()));
            put(&piece)?;
        }
        for names in self.names.chunks(1 << 10) {
            piece.clear();
            for name in names {
                piece.extend_from_slice(&(name.len() as u16).to_le_bytes());
                piece.extend_from_slice(name.as_bytes());
            }
            put(&piece)?;
        }
        let checksum = crc.finalize().to_le_bytes();
        out.write_all(&checksum)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Damaged`]; nothing is allocated beyond what is there.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |reason: &str| Error::Damaged(reason.to_owned());
        let (body, checksum) =
            bytes.split_last_chunk::<TAIL>().ok_or_else(|| damaged("it ends within its head"))?;
        if body.len() < HEAD || !body.starts_with(MAGIC) {
            return Err(damaged("it does not begin as one"));
        }
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(damaged("its checksum is wrong"));
        }
        let word = |at: usize| u32::from_le_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
        if word(8) != FORMAT {
            return Err(Error::Damaged(format!("it has format {}, this program knows {FORMAT}", word(8))));
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(&body[12..44]);
        let numbers = word(44) as usize;
        let count = u64::from(word(48)) | u64::from(word(52)) << 32;
        let count = usize::try_from(count).map_err(|_| damaged("it is too large"))?;
        let size = numbers.checked_mul(count).and_then(|all| all.checked_mul(4));
        let size = size.filter(|size| *size <= MOST_BYTES && *size <= body.len() - HEAD && numbers > 0);
        let size = size.ok_or_else(|| damaged("its numbers are not there"))?;
        let (vectors, mut rest) = body[HEAD..].split_at(size);
        let (words, _) = vectors.as_chunks::<4>();
        let data: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        if data.iter().any(|v| !v.is_finite()) {
            return Err(damaged("a number is not finite"));
        }
        let mut names = Vec::new();
        for _ in 0..count {
            let (length, after) =
                rest.split_first_chunk::<2>().ok_or_else(|| damaged("its names are not there"))?;
            let length = usize::from(u16::from_le_bytes(*length));
            let (name, after) =
                after.split_at_checked(length).ok_or_else(|| damaged("its names are not there"))?;
            names.push(String::from_utf8(name.to_vec()).map_err(|_| damaged("a name is no text"))?);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(damaged("more follows than it has"));
        }
        Ok(Self { digest, numbers, data, names })
    }
}
