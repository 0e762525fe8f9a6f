//! Limits: how much a caller may make us read, hold and compute.
//!
//! A limit is asked before anything is allocated. `GET /limits` shows them all.

use serde::{Deserialize, Serialize};

/// The limits of one service, with defaults that suit a small machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(default)]
pub struct Limits {
    /// Bytes of a request body on the inference routes.
    pub body_bytes: usize,
    /// Bytes of an upload to `/train`.
    pub upload_bytes: usize,
    /// Pixels of one image, width times height.
    pub image_pixels: usize,
    /// Pixels along one side of an image.
    pub image_side: usize,
    /// Numbers in one array, signal or vector.
    pub array_numbers: usize,
    /// Samples in one inference request.
    pub samples: usize,
    /// Entries of one uploaded archive.
    pub archive_entries: usize,
    /// Bytes an uploaded archive may unpack to.
    pub archive_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 256 << 20,
            upload_bytes: 2 << 30,
            image_pixels: 128_000_000,
            image_side: 32_768,
            array_numbers: 16 << 20,
            samples: 256,
            archive_entries: 100_000,
            archive_bytes: 8 << 30,
        }
    }
}
