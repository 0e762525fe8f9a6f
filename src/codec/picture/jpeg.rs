//! JPEG: completeness check, colour model and metadata segments of a file. The decoder fills missing data with gray; a
//! wrong picture is worse than an error.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::super::{Error, Format, Result, within};
use super::metadata::MOST_PARTS;

/// Maximum total size of copied segments, in bytes.
const MOST_KEPT: usize = 16 << 20;

/// Maximum number of scans, each of which is a pass over the image; encoders write up to a dozen.
const MOST_SCANS: usize = 256;

/// Properties of a complete file, read from its markers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Outline {
    /// `true` if there are four components: inks, not light.
    pub(super) is_cmyk: bool,
    /// Segments copied from file to file, with their markers: XMP, IPTC, comments.
    pub(super) kept: Vec<(u8, Vec<u8>)>,
}

/// Parses the markers up to the end of the image. A file without an end marker is accepted if it has only one scan and
/// that is complete.
///
/// # Errors
/// [`Error::Malformed`] if the file ends before the image does; [`Error::TooLarge`] for more than 256 scans.
///
/// # Source
/// ITU-T T.81, annex B: segments state their length; a scan header is followed by entropy-coded data in which `FF` is
/// followed by 00 or a restart marker.
pub(super) fn check(bytes: &[u8]) -> Result<Outline> {
    let cut = || Error::malformed(Format::Jpeg.media_type(), "the file ends before the image does");
    let mut outline = Outline::default();
    let (mut at, mut room) = (2, MOST_KEPT);
    let (mut components, mut is_sequential, mut is_one_scan) = (0, false, false);
    let (mut segments, mut scans) = (0, 0);
    loop {
        let marker = bytes.get(at..).and_then(|rest| Some((rest, rest.iter().position(|&b| b == 0xff)?)));
        let marker = marker.and_then(|(rest, skip)| Some((at + skip, *rest.get(skip + 1)?)));
        let Some((place, marker)) = marker else {
            let is_whole = is_sequential && is_one_scan && is_complete(bytes);
            return if is_whole { Ok(outline) } else { Err(cut()) };
        };
        at = place;
        let body = match marker {
            0xd9 => return Ok(outline),
            // Fill byte: the marker itself may begin at the next byte.
            0xff => {
                at += 1;
                continue;
            }
            // Stuffed bytes, restart markers and markers without a segment.
            0x00 | 0x01 | 0xd0..=0xd8 => {
                at += 2;
                continue;
            }
            _ => {
                let length = bytes.get(at + 2..at + 4).ok_or_else(cut)?;
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                let body = bytes.get(at + 4..(at + 2 + length).max(at + 4)).ok_or_else(cut)?;
                at += 2 + length;
                segments += 1;
                within("image segments", segments, MOST_PARTS)?;
                body
            }
        };
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                components = *body.get(5).ok_or_else(cut)?;
                is_sequential = matches!(marker, 0xc0 | 0xc1);
                outline.is_cmyk = components == 4;
            }
            0xda => {
                is_one_scan = body.first() == Some(&components);
                scans += 1;
                within("image scans", scans, MOST_SCANS)?;
            }
            0xe1 | 0xed | 0xfe if is_kept(marker, body) && body.len() <= room => {
                room -= body.len();
                outline.kept.push((marker, body.to_vec()));
            }
            _ => {}
        }
    }
}

/// Returns `true` if a segment is metadata that can be copied to another file unchanged.
fn is_kept(marker: u8, body: &[u8]) -> bool {
    match marker {
        0xe1 => body.starts_with(b"http://ns.adobe.com/"),
        0xed => body.starts_with(b"Photoshop 3.0\0"),
        _ => true,
    }
}

/// Returns `true` if a file without an end marker has all its blocks. Decodes the file several times with different
/// bits appended: if any of them are needed, the decoded pictures differ. Some bits form no code of the file and end
/// the decoding at the same block, so two decodings are not enough.
fn is_complete(bytes: &[u8]) -> bool {
    // Drops the first half of a marker or of a stuffed byte.
    let bytes = bytes.strip_suffix(&[0xff]).unwrap_or(bytes);
    let options = DecoderOptions::default().set_strict_mode(false);
    let decoded = |fill: u8| {
        let whole = [bytes, &[fill; 512], &[0xff, 0xd9]].concat();
        JpegDecoder::new_with_options(ZCursor::new(whole.as_slice()), options).decode().ok()
    };
    let fills = [0xaa, 0x00, 0x92, 0x24, 0xdb, 0x33, 0xfe];
    decoded(0x55).is_some_and(|one| fills.iter().all(|fill| decoded(*fill).as_ref() == Some(&one)))
}

/// Inserts segments after the start marker and the first segment of a file.
pub(super) fn put(file: &mut Vec<u8>, segments: &[(u8, Vec<u8>)]) {
    let first = file.get(4..6).map_or(0, |length| usize::from(u16::from_be_bytes([length[0], length[1]])));
    let at = (4 + first).min(file.len());
    let fits = |(marker, body): &(u8, Vec<u8>)| {
        let length = u16::try_from(body.len() + 2).ok()?.to_be_bytes();
        Some([&[0xff, *marker][..], &length, body].concat())
    };
    let all: Vec<u8> = segments.iter().filter_map(fits).flatten().collect();
    file.splice(at..at, all);
}

#[cfg(test)]
mod tests {
    use super::super::super::write_image;
    use super::super::{Carrier, Depth, testing::example};
    use super::*;

    fn file() -> Vec<u8> {
        let carrier = Carrier::plain(Format::Jpeg, Depth::U8);
        write_image(&example(3, 21, 17), &carrier, Format::Jpeg, None).unwrap()
    }

    #[test]
    fn a_whole_file_is_whole_and_every_cut_is_noticed() {
        let whole = file();
        assert_eq!(check(&whole), Ok(Outline::default()));
        // All blocks are present without the end marker.
        assert!(check(&whole[..whole.len() - 2]).is_ok());
        for end in 0..whole.len() - 3 {
            assert!(check(&whole[..end]).is_err(), "cut at {end} of {}", whole.len());
        }
    }

    #[test]
    fn an_end_marker_inside_a_segment_is_not_the_end() {
        let thumbnail = [0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 0, 0];
        assert!(check(&thumbnail).is_err());
        assert!(check(&[&thumbnail[..], &[0xff, 0xff, 0xd9]].concat()).is_ok());
    }

    #[test]
    fn notes_are_kept_and_put_back() {
        let mut noted = file();
        put(&mut noted, &[(0xfe, b"a note".to_vec()), (0xe1, b"Exif\0\0".to_vec())]);
        assert_eq!(check(&noted).unwrap().kept, [(0xfe, b"a note".to_vec())]);
    }
}
