//! Limits: maximum sizes that a client's request may read, store and compute.
//!
//! A limit is checked before anything is allocated. `GET /limits` lists them all.

use serde::{Deserialize, Serialize};

/// Limits of one service, with defaults for a small machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(default)]
pub struct Limits {
    /// Maximum bytes of a request body on the inference routes.
    pub body_bytes: usize,
    /// Maximum bytes of an upload to `/train`.
    pub upload_bytes: usize,
    /// Maximum pixels of one image, width times height.
    pub image_pixels: usize,
    /// Maximum pixels along one side of an image.
    pub image_side: usize,
    /// Maximum numbers in one array, signal or vector.
    pub array_numbers: usize,
    /// Maximum samples in one inference request.
    pub samples: usize,
    /// Maximum entries of one uploaded archive.
    pub archive_entries: usize,
    /// Maximum bytes that an uploaded archive may unpack to.
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
