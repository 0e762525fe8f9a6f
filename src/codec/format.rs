//! Formats: which there are, their media types and file endings, and how to tell them by their first bytes.

use super::Depth;

/// A representation of samples or latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// TIFF, one page.
    Tiff,
    /// WebP, one frame.
    WebP,
    /// Netpbm: PBM, PGM, PPM, PAM.
    Pnm,
    /// NumPy array file.
    Npy,
    /// PCM sound, and any other signal.
    Wav,
    /// Comma-separated values: a vector a row, or a step in time with a column for each channel.
    Csv,
    /// Bare little-endian numbers; shape and dtype are told beside them.
    Raw,
    /// JSON.
    Json,
    /// Limpid's latent file.
    Latent,
}

/// All that tells one format from the others.
struct Row {
    format: Format,
    name: &'static str,
    /// The first is the one that it is written with.
    media_types: &'static [&'static str],
    /// File endings without the dot; the first is the one that it is written with.
    extensions: &'static [&'static str],
    /// Whether bytes begin as it does; never for formats without a mark.
    begins: fn(&[u8]) -> bool,
    /// For images, the depths that it holds.
    depths: &'static [Depth],
}

const WHOLE: &[Depth] = &[Depth::U8, Depth::U16];

/// A row for each format, in the order of the variants.
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
        // The one with 0xf7 is another coding, which is not read.
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

    /// The media type it is written with.
    pub fn media_type(self) -> &'static str {
        self.row().media_types[0]
    }

    /// The file ending it is written with, without the dot. A PNM is PGM or PPM inside; `pnm` is true of both.
    pub fn extension(self) -> &'static str {
        self.row().extensions[0]
    }

    /// The format of a media type; parameters (`; charset=...`) and case do not matter, common aliases are known.
    pub fn from_media_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        TABLE.iter().find(|row| row.media_types.contains(&essence.as_str())).map(|row| row.format)
    }

    /// The format of a file ending, with or without the dot, in any case.
    pub fn from_extension(text: &str) -> Option<Self> {
        let ending = text.trim_start_matches('.').to_ascii_lowercase();
        TABLE.iter().find(|row| row.extensions.contains(&ending.as_str())).map(|row| row.format)
    }

    /// The format by its first bytes. Raw numbers and tables have no mark and are never the answer.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        TABLE.iter().find(|row| (row.begins)(bytes)).map(|row| row.format)
    }

    /// Whether it holds an image.
    pub fn is_image(self) -> bool {
        !self.row().depths.is_empty()
    }

    /// The depths that an image of it holds, ascending; none for other formats.
    pub fn depths(self) -> &'static [Depth] {
        self.row().depths
    }

    /// The names of all formats of images, as a sentence has them.
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
