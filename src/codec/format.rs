//! Formats: their media types, file extensions and magic bytes.

use super::Depth;

/// Representation of samples or latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// TIFF, one or more pages.
    Tiff,
    /// WebP, one frame.
    WebP,
    /// Netpbm: PBM, PGM, PPM, PAM.
    Pnm,
    /// NumPy array file.
    Npy,
    /// WAV sound, or any other signal.
    Wav,
    /// Comma-separated values: one vector per row, or one time step per row with one channel per column.
    Csv,
    /// Bare little-endian numbers; shape and dtype are passed separately.
    Raw,
    /// JSON.
    Json,
    /// Limpid latent file.
    Latent,
}

/// Properties of one format.
struct Row {
    format: Format,
    name: &'static str,
    /// Media types; the first is used for writing.
    media_types: &'static [&'static str],
    /// File extensions without the dot; the first is used for writing.
    extensions: &'static [&'static str],
    /// Returns `true` if bytes begin with the magic bytes of the format; always `false` for formats without any.
    begins: fn(&[u8]) -> bool,
    /// Supported depths, for images only.
    depths: &'static [Depth],
}

const WHOLE: &[Depth] = &[Depth::U8, Depth::U16];

/// One row per format, in the order of the variants.
const TABLE: [Row; 11] = [
    Row {
        format: Format::Png,
        name: "PNG",
        media_types: &["image/png", "image/x-png", "image/apng"],
        extensions: &["png"],
        begins: |b| b.starts_with(b"\x89PNG\r\n\x1a\n"),
        depths: WHOLE,
    },
    Row {
        format: Format::Jpeg,
        name: "JPEG",
        media_types: &["image/jpeg", "image/jpg", "image/pjpeg"],
        extensions: &["jpg", "jpeg", "jpe", "jfif"],
        // Marker 0xf7 is JPEG-LS or lossless JPEG, which is not supported.
        begins: |b| matches!(b, [0xff, 0xd8, 0xff, marker, ..] if *marker != 0xf7) || b == [0xff, 0xd8, 0xff],
        depths: &[Depth::U8],
    },
    Row {
        format: Format::Tiff,
        name: "TIFF",
        media_types: &["image/tiff", "image/tif", "image/x-tiff", "image/geotiff"],
        extensions: &["tif", "tiff", "btf", "tf8"],
        begins: |b| matches!(b, [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..]),
        depths: &[Depth::U8, Depth::U16, Depth::F32],
    },
    Row {
        format: Format::WebP,
        name: "WebP",
        media_types: &["image/webp"],
        extensions: &["webp"],
        begins: |b| b.starts_with(b"RIFF") && b.get(8..12) == Some(b"WEBP"),
        depths: &[Depth::U8],
    },
    Row {
        format: Format::Pnm,
        name: "PNM",
        media_types: &[
            "image/x-portable-anymap",
            "image/x-portable-graymap",
            "image/x-portable-pixmap",
            "image/x-portable-bitmap",
            "image/x-portable-arbitrarymap",
        ],
        extensions: &["pnm", "pgm", "ppm", "pbm", "pam"],
        begins: |b| matches!(b, [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace() || *space == b'#'),
        depths: WHOLE,
    },
    Row {
        format: Format::Npy,
        name: "npy array",
        media_types: &["application/x-npy", "application/npy", "application/vnd.numpy"],
        extensions: &["npy"],
        begins: |b| b.starts_with(b"\x93NUMPY"),
        depths: &[],
    },
    Row {
        format: Format::Wav,
        name: "WAV",
        media_types: &["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"],
        extensions: &["wav", "wave"],
        begins: |b| b.starts_with(b"RIFF") && b.get(8..12) == Some(b"WAVE"),
        depths: &[],
    },
    Row {
        format: Format::Csv,
        name: "CSV",
        media_types: &[
            "text/csv",
            "text/tab-separated-values",
            "application/csv",
            "application/vnd.ms-excel",
        ],
        extensions: &["csv", "tsv", "txt", "dat"],
        begins: |_| false,
        depths: &[],
    },
    Row {
        format: Format::Raw,
        name: "raw tensor",
        media_types: &["application/octet-stream"],
        extensions: &["raw", "bin"],
        begins: |_| false,
        depths: &[],
    },
    Row {
        format: Format::Json,
        name: "JSON",
        media_types: &["application/json", "text/json"],
        extensions: &["json"],
        begins: |b| matches!(b.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'[')),
        depths: &[],
    },
    Row {
        format: Format::Latent,
        name: "latent file",
        media_types: &["application/vnd.limpid.latent"],
        extensions: &["latent"],
        begins: |b| b.starts_with(&super::latent::MAGIC),
        depths: &[],
    },
];

impl Format {
    /// Every format.
    pub const ALL: [Format; 11] = {
        let mut all = [Format::Png; 11];
        let mut at = 0;
        while at < all.len() {
            all[at] = TABLE[at].format;
            at += 1;
        }
        all
    };

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Returns the media type used for writing.
    pub fn media_type(self) -> &'static str {
        self.row().media_types[0]
    }

    /// Returns the file extension used for writing, without the dot. A PNM file is PGM or PPM; `pnm` covers both.
    pub fn extension(self) -> &'static str {
        self.row().extensions[0]
    }

    /// Returns the format of a media type, ignoring parameters (`; charset=...`) and case; common aliases are known.
    pub fn from_media_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        TABLE.iter().find(|row| row.media_types.contains(&essence.as_str())).map(|row| row.format)
    }

    /// Returns the format of a file extension, with or without the dot, in any case.
    pub fn from_extension(text: &str) -> Option<Self> {
        let ending = text.trim_start_matches('.').to_ascii_lowercase();
        TABLE.iter().find(|row| row.extensions.contains(&ending.as_str())).map(|row| row.format)
    }

    /// Detects the format from the first bytes. Raw tensors and CSV have no magic bytes and are never detected.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        TABLE.iter().find(|row| (row.begins)(bytes)).map(|row| row.format)
    }

    /// Returns `true` for image formats.
    pub fn is_image(self) -> bool {
        !self.row().depths.is_empty()
    }

    /// Returns the depths that an image of this format supports, ascending; empty for other formats.
    pub fn depths(self) -> &'static [Depth] {
        self.row().depths
    }

    /// Returns the names of all image formats, joined by commas.
    pub fn images() -> String {
        let names: Vec<_> = TABLE.iter().filter(|row| row.format.is_image()).map(|row| row.name).collect();
        names.join(", ")
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.row().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_variant_in_order() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.format as usize, at, "{}", row.name);
        }
    }

    #[test]
    fn media_types_and_endings_lead_back_to_their_format() {
        for format in Format::ALL {
            assert_eq!(Format::from_media_type(format.media_type()), Some(format));
            assert_eq!(Format::from_extension(format.extension()), Some(format));
        }
    }

    #[test]
    fn a_media_type_may_carry_parameters_and_capitals() {
        assert_eq!(Format::from_media_type("Application/JSON; charset=utf-8"), Some(Format::Json));
        assert_eq!(Format::from_media_type("image/gif"), None);
        assert_eq!(Format::from_extension(".TIFF"), Some(Format::Tiff));
    }

    #[test]
    fn unknown_first_bytes_have_no_format() {
        for bytes in [&b""[..], b"GIF89a", b"P", b"P8 ", b"hello", b"\x89PNG"] {
            assert_eq!(Format::sniff(bytes), None, "{bytes:?}");
        }
        assert_eq!(Format::sniff(b" \n[1, 2]"), Some(Format::Json));
        assert_eq!(Format::sniff(b"P5\n1 1\n255\n\0"), Some(Format::Pnm));
    }
}
