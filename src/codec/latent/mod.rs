//! Latent files (`application/vnd.limpid.latent`): a latent, the shape of the sample it decodes to, and the id of its
//! model.
//!
//! # Layout
//! All numbers little-endian.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | magic `\x89LIMPID\n` |
//! | 2 | format version, 1 |
//! | 8 | length of the whole file |
//! | 1 + n | model name: its length, then its text |
//! | 4, 32 | model version, SHA-256 of its weights |
//! | 1, then 4 each | kind (1 image, 2 signal, 3 vector), extents of the sample, channels first |
//! | 1, then 4 + 4 | 0; or 1, then mean and standard deviation; or 2, then a 2-byte count and a pair per channel |
//! | 2 | count of planes |
//! | 1, then 4 each | per plane: rank, extents |
//! | 4 each | the numbers of all planes, `f32`, in order |
//! | 4 | CRC-32 of all bytes before it |

mod json;
mod read;
mod write;

pub use json::JsonLatent;
pub use read::read_latent;
pub use write::write_latent;

use super::{Error, Result, check_finite, check_shape, within};
use crate::limits::Limits;
use crate::sample::{Latent, Plane, Stats};

/// Magic bytes of a latent file. The first byte is not text and the last is a line end, so that a transfer in text mode
/// is detected.
pub(super) const MAGIC: [u8; 8] = *b"\x89LIMPID\n";
/// Format version that is written, and the only one that is read.
const FORMAT_VERSION: u16 = 1;
/// Maximum number of axes of a plane: `(Z,H,W)`.
const MAX_PLANE_RANK: usize = 3;
/// Maximum number of planes of a latent.
const MAX_PLANES: usize = 64;

/// Validates a latent from a client, decoded from a file or from JSON.
fn check(latent: Latent, limits: &Limits) -> Result<Latent> {
    check_shape(latent.shape, limits)?;
    if latent.shape.numbers() == 0 {
        return Err(Error::shape("axes of extent 1 or more", latent.shape));
    }
    if latent.planes.is_empty() || latent.planes.len() > MAX_PLANES {
        return Err(Error::shape(format!("1 to {MAX_PLANES} planes"), latent.planes.len()));
    }
    if latent.stats.len() > 1 && latent.stats.len() != latent.shape.channels() {
        let (seen, channels) = (latent.stats.len(), latent.shape.channels());
        return Err(Error::malformed("latent stats", format!("{seen} for {channels} channels")));
    }
    for Stats { mean, std } in &latent.stats {
        check_finite(&[*mean, *std], &[])?;
        // With several channels, a constant channel has a standard deviation of 0.
        if *std < 0.0 || *std == 0.0 && latent.stats.len() == 1 {
            return Err(Error::malformed("latent stats", format!("std is {std}, must be above 0")));
        }
    }
    let mut before = 0;
    for Plane { data, .. } in &latent.planes {
        if let Some(index) = data.iter().position(|v| !v.is_finite()) {
            let place = format!("number {}", before + index);
            return Err(Error::NonFinite { place, value: data[index], count: 1 });
        }
        before += data.len();
    }
    Ok(latent)
}

/// Returns the number of values of a plane with extents `dims`, checked against the limit.
fn plane_numbers(dims: &[usize], limits: &Limits) -> Result<usize> {
    if dims.is_empty() || dims.len() > MAX_PLANE_RANK || dims.contains(&0) {
        let expected = format!("1 to {MAX_PLANE_RANK} axes of extent 1 or more for a plane of a latent");
        return Err(Error::shape(expected, format!("{dims:?}")));
    }
    let numbers = dims.iter().fold(1, |n: usize, &d| n.saturating_mul(d));
    // A latent holds fewer numbers than its sample, so the limits of images and arrays both bound it.
    within("latent numbers", numbers, limits.array_numbers.max(limits.image_pixels.saturating_mul(3)))?;
    Ok(numbers)
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::name::ModelId;
    use crate::sample::Shape;

    /// Returns a small latent with all parts; its model does not exist.
    pub(in crate::codec) fn example() -> (ModelId, Latent) {
        let id = ModelId { name: "photo-gray".parse().unwrap(), version: 3, digest: [7; 32] };
        let planes = vec![
            Plane { dims: vec![2, 1, 2], data: vec![0.5, -1.25, 3.0, 1e-7] },
            Plane { dims: vec![1, 2, 3], data: vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6] },
        ];
        let stats = vec![Stats { mean: 0.4, std: 0.2 }];
        (id, Latent { shape: Shape::image(1, 7, 9), stats, planes })
    }
}
