//! JPEG: whether a file is whole, and of a colour model that is known. The decoder fills what is missing with gray and
//! takes inks for light; a wrong picture is worse than an error.

use super::super::{Error, Format, Result};

/// Walks the markers to the end of the image.
///
/// # Errors
/// [`Error::Malformed`] where the file ends before its end marker; [`Error::Unsupported`] for four components, which are
/// CMYK.
///
/// # Source
/// ITU-T T.81, annex B: segments carry their length; behind a scan header comes entropy-coded data in which
/// `FF` is followed by 00 or a restart marker.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    let cut = || Error::malformed(Format::Jpeg.media_type(), "the file ends before the image does");
    let mut at = 2;
    loop {
        while *bytes.get(at).ok_or_else(cut)? != 0xff {
            at += 1;
        }
        let marker = *bytes.get(at + 1).ok_or_else(cut)?;
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame && *bytes.get(at + 9).ok_or_else(cut)? == 4 {
            return Err(Error::unsupported("JPEG with CMYK is not accepted; convert it to RGB first"));
        }
        at += match marker {
            0xd9 => return Ok(()),
            // A fill byte: the marker itself may begin at the next one.
            0xff => 1,
            // Stuffing, restarts and markers without a segment.
            0x00 | 0x01 | 0xd0..=0xd8 => 2,
            _ => {
                let length = bytes.get(at + 2..at + 4).ok_or_else(cut)?;
                2 + usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::write_image;
    use super::super::{Carrier, Depth, testing::example};
    use super::*;

    #[test]
    fn a_whole_file_is_whole_and_every_cut_is_noticed() {
        let carrier = Carrier::plain(Format::Jpeg, Depth::U8);
        let whole = write_image(&example(3, 21, 17), &carrier, Format::Jpeg, None).unwrap();
        assert_eq!(check(&whole), Ok(()));
        for end in 0..whole.len() {
            assert!(check(&whole[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn an_end_marker_inside_a_segment_is_not_the_end() {
        let thumbnail = [0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 0, 0];
        assert!(check(&thumbnail).is_err());
        assert!(check(&[&thumbnail[..], &[0xff, 0xff, 0xd9]].concat()).is_ok());
    }
}
