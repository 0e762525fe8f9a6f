//! Formats: which there are, their media types and file endings, and how to tell them by their first bytes.

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

impl Format {
    /// Every format.
    pub const ALL: [Format; 11] = [
        Format::Png,
        Format::Jpeg,
        Format::Tiff,
        Format::WebP,
        Format::Pnm,
        Format::Npy,
        Format::Wav,
        Format::Csv,
        Format::Raw,
        Format::Json,
        Format::Latent,
    ];

    /// The media type it is written with.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Png => "image/png",
            Format::Jpeg => "image/jpeg",
            Format::Tiff => "image/tiff",
            Format::WebP => "image/webp",
            Format::Pnm => "image/x-portable-anymap",
            Format::Npy => "application/x-npy",
            Format::Wav => "audio/wav",
            Format::Csv => "text/csv",
            Format::Raw => "application/octet-stream",
            Format::Json => "application/json",
            Format::Latent => "application/vnd.limpid.latent",
        }
    }

    /// The file ending it is written with, without the dot. A PNM is PGM or PPM inside; `pnm` is true of both.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Png => "png",
            Format::Jpeg => "jpg",
            Format::Tiff => "tif",
            Format::WebP => "webp",
            Format::Pnm => "pnm",
            Format::Npy => "npy",
            Format::Wav => "wav",
            Format::Csv => "csv",
            Format::Raw => "raw",
            Format::Json => "json",
            Format::Latent => "latent",
        }
    }

    /// The format of a media type; parameters (`; charset=...`) and case do not matter, common aliases are known.
    pub fn from_media_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match essence.as_str() {
            "image/png" | "image/x-png" => Format::Png,
            "image/jpeg" | "image/jpg" | "image/pjpeg" => Format::Jpeg,
            "image/tiff" | "image/tif" | "image/x-tiff" => Format::Tiff,
            "image/webp" => Format::WebP,
            "image/x-portable-anymap"
            | "image/x-portable-graymap"
            | "image/x-portable-pixmap"
            | "image/x-portable-bitmap"
            | "image/x-portable-arbitrarymap" => Format::Pnm,
            "application/x-npy" | "application/npy" | "application/vnd.numpy" => Format::Npy,
            "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Format::Wav,
            "text/csv" | "text/tab-separated-values" => Format::Csv,
            "application/octet-stream" => Format::Raw,
            "application/json" | "text/json" => Format::Json,
            "application/vnd.limpid.latent" => Format::Latent,
            _ => return None,
        })
    }

    /// The format of a file ending, with or without the dot, in any case.
    pub fn from_extension(text: &str) -> Option<Self> {
        Some(match text.trim_start_matches('.').to_ascii_lowercase().as_str() {
            "png" => Format::Png,
            "jpg" | "jpeg" | "jpe" | "jfif" => Format::Jpeg,
            "tif" | "tiff" => Format::Tiff,
            "webp" => Format::WebP,
            "pnm" | "pgm" | "ppm" | "pbm" | "pam" => Format::Pnm,
            "npy" => Format::Npy,
            "wav" | "wave" => Format::Wav,
            "csv" | "tsv" => Format::Csv,
            "raw" | "bin" => Format::Raw,
            "json" => Format::Json,
            "latent" => Format::Latent,
            _ => return None,
        })
    }

    /// The format by its first bytes. Raw numbers and tables have no mark and are never the answer.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Format::Tiff),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::WebP),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Format::Wav),
            [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace() || *space == b'#' => {
                Some(Format::Pnm)
            }
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Format::Npy),
            _ if bytes.starts_with(&super::latent::MAGIC) => Some(Format::Latent),
            _ => {
                let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
                matches!(first, Some(b'{' | b'[')).then_some(Format::Json)
            }
        }
    }

    /// Whether it holds an image.
    pub fn is_image(self) -> bool {
        matches!(self, Format::Png | Format::Jpeg | Format::Tiff | Format::WebP | Format::Pnm)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Png => "PNG",
            Format::Jpeg => "JPEG",
            Format::Tiff => "TIFF",
            Format::WebP => "WebP",
            Format::Pnm => "PNM",
            Format::Npy => "npy array",
            Format::Wav => "WAV",
            Format::Csv => "CSV",
            Format::Raw => "raw tensor",
            Format::Json => "JSON",
            Format::Latent => "latent file",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
