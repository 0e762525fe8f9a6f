//! Metadata: its count and its bytes in a file, bounded before a decoder reads it.
//!
//! Decoders allocate for each chunk, and unpack profiles, so a small file could cost gigabytes. Real files have dozens of chunks.

use std::io::{self, Read as _};

use flate2::read::ZlibDecoder;

use super::super::{Format, Result, within};
use super::png;

/// Maximum number of chunks or segments beside the pixels.
pub(super) const MOST_PARTS: usize = 4096;

/// Maximum bytes of metadata, packed and unpacked.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// Metadata counted so far.
#[derive(Debug, Default)]
struct Tally {
    parts: usize,
    bytes: usize,
}

impl Tally {
    fn add(&mut self, bytes: usize) -> Result<()> {
        self.parts += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        within("image chunks beside the pixels", self.parts, MOST_PARTS)?;
        within("image bytes of metadata", self.bytes, MOST_BYTES)
    }
}

/// Checks the metadata of a file that is read by the `image` crate.
///
/// # Errors
/// [`Error::TooLarge`](super::super::Error::TooLarge) for more than 4096 chunks or 16 MiB.
pub(super) fn check(bytes: &[u8], format: Format) -> Result<()> {
    match format {
        Format::Png => of_png(bytes),
        Format::Jpeg => of_jpeg(bytes),
        Format::WebP => of_webp(bytes),
        _ => Ok(()),
    }
}

fn of_png(bytes: &[u8]) -> Result<()> {
    let mut tally = Tally::default();
    for (kind, body) in png::chunks(bytes).filter(|(kind, _)| !matches!(*kind, b"IDAT" | b"fdAT")) {
        tally.add(body.len())?;
        if kind == b"iCCP" {
            tally.add(unpacked(body))?;
        }
    }
    Ok(())
}

/// Returns the bytes that the profile in an iCCP chunk unpacks to, up to the first one over the limit.
///
/// # Source
/// PNG, third edition, 11.3.2.3: a name, NUL, the method of compression, and a zlib stream.
fn unpacked(body: &[u8]) -> usize {
    let start = body.iter().position(|&byte| byte == 0).map_or(body.len(), |end| (end + 2).min(body.len()));
    let mut profile = ZlibDecoder::new(&body[start..]).take(MOST_BYTES as u64 + 1);
    let mut count = Count(0);
    // A damaged stream ends where the decoder ends, too.
    let _ = io::copy(&mut profile, &mut count);
    count.0
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts the segments up to the first scan.
fn of_jpeg(bytes: &[u8]) -> Result<()> {
    let (mut tally, mut at) = (Tally::default(), 2);
    while let Some(skip) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) {
        at += skip;
        at += match bytes.get(at + 1) {
            None | Some(0xd9 | 0xda) => break,
            // Fill byte: the marker itself may begin at the next byte.
            Some(0xff) => 1,
            Some(0x00 | 0x01 | 0xd0..=0xd8) => {
                tally.add(0)?;
                2
            }
            Some(_) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { break };
                let length = usize::from(u16::from_be_bytes([high, low]));
                tally.add(length)?;
                2 + length.max(2)
            }
        };
    }
    Ok(())
}

/// Counts the chunks of a RIFF file: four letters, a length in little-endian order, a body of even length.
fn of_webp(bytes: &[u8]) -> Result<()> {
    let (mut tally, mut rest) = (Tally::default(), bytes.get(12..).unwrap_or_default());
    while let Some((kind, after)) = rest.split_first_chunk::<4>()
        && let Some((length, after)) = after.split_first_chunk::<4>()
    {
        let length = u32::from_le_bytes(*length) as usize;
        let is_pixels = matches!(kind, b"VP8 " | b"VP8L" | b"ALPH" | b"ANMF");
        tally.add(if is_pixels { 0 } else { length.min(after.len()) })?;
        rest = after.get(length.saturating_add(length % 2)..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::super::{Carrier, Depth, Error, decoded_bytes, read_image, write_image};
    use super::super::testing::example;
    use super::*;
    use crate::limits::Limits;

    fn file(format: Format) -> Vec<u8> {
        write_image(&example(3, 9, 11), &Carrier::plain(format, Depth::U8), format, None).unwrap()
    }

    /// Fails unless a file is refused by its header and when it is read, for more than `limit`.
    fn is_refused(bytes: &[u8], limit: usize) {
        let limits = Limits::default();
        let by_header = decoded_bytes(bytes, None, &limits).map(drop);
        for refused in [by_header, read_image(bytes, None, &limits).map(drop)] {
            let Err(Error::TooLarge { limit: seen, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(seen, limit as u64);
        }
    }

    /// The file with `parts` after its first `head` bytes.
    fn with(file: &[u8], head: usize, parts: &[u8]) -> Vec<u8> {
        [&file[..head], parts, &file[head..]].concat()
    }

    #[test]
    fn many_parts_are_refused() {
        let mut png = file(Format::Png);
        (0..MOST_PARTS).for_each(|_| png::put(&mut png, b"tEXt", b"a\0b"));
        is_refused(&png, MOST_PARTS);
        let jpeg = with(&file(Format::Jpeg), 2, &[0xff, 0xe5, 0, 2].repeat(MOST_PARTS + 1));
        is_refused(&jpeg, MOST_PARTS);
        let jpeg = with(&file(Format::Jpeg), 2, &[0xff, 0xd0].repeat(MOST_PARTS + 1));
        is_refused(&jpeg, MOST_PARTS);
        let webp = file(Format::WebP);
        is_refused(&with(&webp, webp.len(), &b"teSt\0\0\0\0".repeat(MOST_PARTS + 1)), MOST_PARTS);
    }

    #[test]
    fn a_profile_that_unpacks_to_more_than_the_limit_is_refused() {
        let profile = |length: usize| {
            let mut packed = flate2::write::ZlibEncoder::new(b"x\0\0".to_vec(), flate2::Compression::best());
            packed.write_all(&vec![0; length]).unwrap();
            let mut png = file(Format::Png);
            png::put(&mut png, b"iCCP", &packed.finish().unwrap());
            png
        };
        is_refused(&profile(MOST_BYTES + 1), MOST_BYTES);
        decoded_bytes(&profile(1 << 20), None, &Limits::default()).unwrap();
    }

    #[test]
    fn many_bytes_of_metadata_are_refused() {
        let segment = [&[0xff, 0xe2, 0xff, 0xff][..], &vec![1; 0xfffd]].concat();
        is_refused(&with(&file(Format::Jpeg), 2, &segment.repeat(257)), MOST_BYTES);
        let mut png = file(Format::Png);
        png::put(&mut png, b"tEXt", &vec![b'a'; MOST_BYTES + 1]);
        is_refused(&png, MOST_BYTES);
    }
}
