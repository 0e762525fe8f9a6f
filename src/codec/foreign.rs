//! Foreign formats: unsupported formats, detected by their first bytes, with advice on how to convert them.

use super::{Error, Format};

/// An unsupported format.
struct Foreign {
    name: &'static str,
    /// Advice on how to convert it to a supported format.
    advice: &'static str,
    is_it: fn(&[u8]) -> bool,
}

const MAGICK: &str = "convert it, for example: magick IN out.png";
const RAW: &str = "it has to be developed first, for example: darktable-cli IN out.tif";
const SOUND: &str = "convert it, for example: ffmpeg -i IN out.wav";
const VIDEO: &str = "take its frames out, for example: ffmpeg -i IN frame%04d.png";
const ARRAY: &str = "save the array as npy: numpy.save('out.npy', array)";

/// Returns `true` if the brand after `ftyp` of an ISO base media file is one of `brands`.
fn is_brand(bytes: &[u8], brands: &[&[u8]]) -> bool {
    bytes.get(4..8) == Some(b"ftyp") && bytes.get(8..12).is_some_and(|brand| brands.contains(&brand))
}

const FOREIGN: &[Foreign] = &[
    Foreign {
        name: "HEIC",
        advice: MAGICK,
        is_it: |b| {
            is_brand(b, &[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif"])
        },
    },
    Foreign { name: "AVIF", advice: MAGICK, is_it: |b| is_brand(b, &[b"avif", b"avis"]) },
    Foreign { name: "camera raw (CR3)", advice: RAW, is_it: |b| is_brand(b, &[b"crx "]) },
    Foreign { name: "camera raw (RAF)", advice: RAW, is_it: |b| b.starts_with(b"FUJIFILMCCD-RAW") },
    Foreign {
        name: "camera raw (ORF)",
        advice: RAW,
        is_it: |b| b.starts_with(b"IIRO") || b.starts_with(b"IIRS") || b.starts_with(b"MMOR"),
    },
    Foreign { name: "camera raw (RW2)", advice: RAW, is_it: |b| b.starts_with(b"IIU\0") },
    Foreign { name: "camera raw (X3F)", advice: RAW, is_it: |b| b.starts_with(b"FOVb") },
    Foreign { name: "camera raw (MRW)", advice: RAW, is_it: |b| b.starts_with(b"\0MRM") },
    Foreign { name: "MP4 or QuickTime video", advice: VIDEO, is_it: |b| b.get(4..8) == Some(b"ftyp") },
    Foreign {
        name: "Matroska or WebM video",
        advice: VIDEO,
        is_it: |b| b.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]),
    },
    Foreign {
        name: "AVI video",
        advice: VIDEO,
        is_it: |b| b.starts_with(b"RIFF") && b.get(8..12) == Some(b"AVI "),
    },
    Foreign {
        name: "GIF",
        advice: "convert its frames, for example: magick IN frame%04d.png",
        is_it: |b| b.starts_with(b"GIF87a") || b.starts_with(b"GIF89a"),
    },
    Foreign { name: "BMP", advice: MAGICK, is_it: |b| b.starts_with(b"BM") && b.get(6..10) == Some(&[0; 4]) },
    Foreign { name: "Windows icon", advice: MAGICK, is_it: |b| b.starts_with(&[0, 0, 1, 0]) && b.len() > 22 },
    Foreign { name: "Photoshop document", advice: MAGICK, is_it: |b| b.starts_with(b"8BPS") },
    Foreign {
        name: "JPEG XL",
        advice: MAGICK,
        is_it: |b| b.starts_with(&[0xff, 0x0a]) || b.starts_with(b"\0\0\0\x0cJXL "),
    },
    Foreign {
        name: "JPEG 2000",
        advice: MAGICK,
        is_it: |b| b.starts_with(b"\0\0\0\x0cjP  ") || b.starts_with(&[0xff, 0x4f, 0xff, 0x51]),
    },
    Foreign {
        name: "JPEG-LS or lossless JPEG",
        advice: MAGICK,
        is_it: |b| b.starts_with(&[0xff, 0xd8, 0xff, 0xf7]),
    },
    Foreign {
        name: "OpenEXR",
        advice: "convert it, for example: oiiotool IN -o out.tif",
        is_it: |b| b.starts_with(&[0x76, 0x2f, 0x31, 0x01]),
    },
    Foreign {
        name: "Radiance HDR",
        advice: "convert it, for example: oiiotool IN -o out.tif",
        is_it: |b| b.starts_with(b"#?RADIANCE") || b.starts_with(b"#?RGBE"),
    },
    Foreign {
        name: "PFM",
        advice: "convert it, for example: oiiotool IN -o out.tif",
        is_it: |b| b.starts_with(b"PF\n") || b.starts_with(b"Pf\n"),
    },
    Foreign { name: "DDS", advice: MAGICK, is_it: |b| b.starts_with(b"DDS ") },
    Foreign { name: "QOI", advice: MAGICK, is_it: |b| b.starts_with(b"qoif") },
    Foreign { name: "XCF (GIMP)", advice: MAGICK, is_it: |b| b.starts_with(b"gimp xcf") },
    Foreign {
        name: "DjVu",
        advice: "convert its pages, for example: ddjvu -format=tiff IN out.tif",
        is_it: |b| b.starts_with(b"AT&TFORM"),
    },
    Foreign {
        name: "PDF",
        advice: "convert its pages, for example: pdftoppm -r 300 -png IN page",
        is_it: |b| b[..b.len().min(1024)].windows(5).any(|w| w == b"%PDF-"),
    },
    Foreign {
        name: "PostScript",
        advice: "convert its pages, for example: gs -sDEVICE=png16m -r300 -o page%d.png IN",
        is_it: |b| b.starts_with(b"%!PS") || b.starts_with(&[0xc5, 0xd0, 0xd3, 0xc6]),
    },
    Foreign {
        name: "SVG",
        advice: "draw it first, for example: rsvg-convert IN -o out.png",
        is_it: |b| {
            let head = &b[..b.len().min(1024)];
            head.trim_ascii_start().starts_with(b"<") && head.windows(4).any(|w| w == b"<svg")
        },
    },
    Foreign {
        name: "HTML or XML",
        advice: "send the file itself, not a page about it",
        is_it: |b| {
            let head = b.trim_ascii_start();
            head.starts_with(b"<!") || head.starts_with(b"<?xml") || head.starts_with(b"<html")
        },
    },
    Foreign {
        name: "DICOM",
        advice: "convert it, for example: dcm2pnm --write-16-bit-png IN out.png",
        is_it: |b| b.get(128..132) == Some(b"DICM"),
    },
    Foreign {
        name: "FITS",
        advice: "save its image as npy: numpy.save('out.npy', astropy.io.fits.getdata('IN'))",
        is_it: |b| b.starts_with(b"SIMPLE  ="),
    },
    Foreign { name: "NIfTI", advice: ARRAY, is_it: |b| matches!(b.get(344..348), Some(b"n+1\0" | b"ni1\0")) },
    Foreign { name: "MRC", advice: ARRAY, is_it: |b| b.get(208..212) == Some(b"MAP ") },
    Foreign { name: "NRRD", advice: ARRAY, is_it: |b| b.starts_with(b"NRRD000") },
    Foreign {
        name: "HDF5 (also MATLAB 7.3 and NetCDF 4)",
        advice: ARRAY,
        is_it: |b| b.starts_with(b"\x89HDF\r\n\x1a\n"),
    },
    Foreign {
        name: "NetCDF",
        advice: ARRAY,
        is_it: |b| b.starts_with(b"CDF\x01") || b.starts_with(b"CDF\x02"),
    },
    Foreign { name: "MATLAB file", advice: ARRAY, is_it: |b| b.starts_with(b"MATLAB 5.0 MAT-file") },
    Foreign {
        name: "Zeiss CZI",
        advice: "convert it, for example: bfconvert IN out.tif",
        is_it: |b| b.starts_with(b"ZISRAWFILE"),
    },
    Foreign {
        name: "Nikon ND2",
        advice: "convert it, for example: bfconvert IN out.tif",
        is_it: |b| b.starts_with(&[0xda, 0xce, 0xbe, 0x0a]),
    },
    Foreign {
        name: "Leica LIF",
        advice: "convert it, for example: bfconvert IN out.tif",
        is_it: |b| b.starts_with(&[0x70, 0, 0, 0]) && b.get(8) == Some(&0x2a),
    },
    Foreign {
        name: "EDF or BDF signals",
        advice: "save a channel as CSV or npy",
        is_it: |b| b.starts_with(b"0       ") || b.starts_with(b"\xffBIOSEMI"),
    },
    Foreign { name: "FLAC", advice: SOUND, is_it: |b| b.starts_with(b"fLaC") },
    Foreign { name: "Ogg sound", advice: SOUND, is_it: |b| b.starts_with(b"OggS") },
    Foreign {
        name: "MP3",
        advice: SOUND,
        is_it: |b| b.starts_with(b"ID3") || matches!(b, [0xff, 0xfb | 0xf3 | 0xf2, ..]),
    },
    Foreign {
        name: "AIFF",
        advice: SOUND,
        is_it: |b| b.starts_with(b"FORM") && b.get(8..11) == Some(b"AIF"),
    },
    Foreign {
        name: "RF64 or Wave64",
        advice: SOUND,
        is_it: |b| b.starts_with(b"RF64") || b.starts_with(b"riff"),
    },
    Foreign { name: "big-endian WAV (RIFX)", advice: SOUND, is_it: |b| b.starts_with(b"RIFX") },
    Foreign {
        name: "ZIP, or a file made of one (npz, xlsx, docx)",
        advice: "unpack it and send what is inside",
        is_it: |b| b.starts_with(b"PK\x03\x04"),
    },
    Foreign { name: "gzip", advice: "unpack it: gunzip IN", is_it: |b| b.starts_with(&[0x1f, 0x8b]) },
    Foreign {
        name: "Zstandard",
        advice: "unpack it: unzstd IN",
        is_it: |b| b.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
    },
    Foreign { name: "xz", advice: "unpack it: unxz IN", is_it: |b| b.starts_with(b"\xfd7zXZ\0") },
    Foreign { name: "7z", advice: "unpack it: 7z x IN", is_it: |b| b.starts_with(b"7z\xbc\xaf\x27\x1c") },
    Foreign { name: "RAR", advice: "unpack it: unrar x IN", is_it: |b| b.starts_with(b"Rar!\x1a\x07") },
    Foreign {
        name: "old Excel or Word file",
        advice: "save it as CSV",
        is_it: |b| b.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]),
    },
    Foreign { name: "Parquet", advice: "save it as CSV", is_it: |b| b.starts_with(b"PAR1") },
    Foreign {
        name: "pickle",
        advice: ARRAY,
        is_it: |b| matches!(b, [0x80, 2..=5, 0x95 | b'}' | b']' | b'c', ..]),
    },
    Foreign {
        name: "safetensors",
        advice: "weights of a model belong to PUT /models",
        is_it: |b| b.get(8..10) == Some(b"{\"") && b.get(5..8) == Some(&[0; 3]),
    },
];

/// Returns `true` if bytes begin as a known unsupported format, or as a PNG without its line ends.
pub fn is_foreign(bytes: &[u8]) -> bool {
    is_stripped(bytes) || FOREIGN.iter().any(|foreign| (foreign.is_it)(bytes))
}

/// Returns the error for bytes of no supported format: names the format if it is known, with advice on how to convert
/// it. `stated` is the format that the client claimed.
pub fn unknown(bytes: &[u8], stated: Option<Format>) -> Error {
    if let Some(found) = FOREIGN.iter().find(|foreign| (foreign.is_it)(bytes)) {
        return Error::unsupported(format!(
            "this is {}, which is not read here; {}",
            found.name, found.advice
        ));
    }
    if is_stripped(bytes) {
        return Error::malformed("image/png", STRIPPED);
    }
    match (Format::sniff(bytes), stated) {
        (Some(seen), _) => {
            Error::unsupported(format!("{seen} is not an image format; use {}", Format::images()))
        }
        (None, Some(stated)) if !matches!(stated, Format::Raw | Format::Json | Format::Csv) => {
            Error::malformed(stated.media_type(), format!("the bytes do not begin as a {stated} does"))
        }
        (None, _) => Error::unsupported(format!(
            "this is no format known here; send an image ({}), an array (npy), sound (WAV) or a table (CSV)",
            Format::images()
        )),
    }
}

/// Advice for a file whose line ends were removed in transfer.
const STRIPPED: &str = "the line ends within the file were taken out on the way, as `curl -d` does; send it with curl \
                        --data-binary @FILE";

/// Returns `true` if a PNG lacks the line ends of its signature, which are there to detect this damage.
fn is_stripped(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\x1a") || bytes.starts_with(b"\x89PNG\n\x1a")
}

/// Returns `true` if a file that cannot be decoded probably lost its line ends in transfer: it has at least 2048 bytes
/// and no line end among them.
pub fn may_be_stripped(bytes: &[u8]) -> bool {
    const ENOUGH: usize = 2048;
    is_stripped(bytes) || bytes.len() >= ENOUGH && !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_formats_are_named_with_a_way_out() {
        for (bytes, says) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0"[..], "HEIC"),
            (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
            (b"\0\0\0\x18ftypcrx \0\0\0\0", "camera raw"),
            (b"GIF89a\x01\0", "GIF"),
            (b"BM\x10\0\0\0\0\0\0\0", "BMP"),
            (b"%PDF-1.7\n", "pdftoppm"),
            (b"SIMPLE  =                    T", "FITS"),
            (&[&[0; 128][..], b"DICM"].concat(), "DICOM"),
            (b"ID3\x04", "ffmpeg"),
            (b"PK\x03\x04", "unpack"),
            (b"<svg xmlns='x'>", "SVG"),
            (b"\x89PNG\x1a\0\0\0", "--data-binary"),
        ] {
            let error = unknown(bytes, Some(Format::Png)).to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(unknown(b"hello", None).to_string().contains("TIFF"));
    }

    #[test]
    fn no_format_that_is_read_is_foreign() {
        for start in [
            &b"\x89PNG\r\n\x1a\n"[..],
            b"\xff\xd8\xff\xe0",
            b"II*\0",
            b"MM\0*",
            b"RIFF\0\0\0\0WEBP",
            b"RIFF\0\0\0\0WAVE",
            b"P5\n1 1\n",
            b"\x93NUMPY",
            b"{}",
            b"1,2\n3,4\n",
            b"",
        ] {
            assert!(!FOREIGN.iter().any(|foreign| (foreign.is_it)(start)), "{start:?}");
        }
    }
}
