//! Encoding of latent files.

use super::{FORMAT_VERSION, MAGIC};
use crate::name::ModelId;
use crate::sample::{Kind, Latent};

/// Encodes `latent`, made by the model `id`. Equal latents always give identical bytes.
pub fn write_latent(id: &ModelId, latent: &Latent) -> Vec<u8> {
    let mut file = Vec::with_capacity(4 * latent.numbers() + 256);
    file.extend(MAGIC);
    file.extend(FORMAT_VERSION.to_le_bytes());
    let length_at = file.len();
    file.extend([0; 8]);
    let name = id.name.as_str().as_bytes();
    file.push(u8::try_from(name.len()).expect("names have at most 64 characters"));
    file.extend(name);
    file.extend(id.version.to_le_bytes());
    file.extend(id.digest);
    file.push(match latent.shape.kind() {
        Kind::Image => 1,
        Kind::Signal => 2,
        Kind::Vector => 3,
    });
    put_dims(&mut file, &latent.shape.dims());
    // Flag 1 is kept for a single pair, so that these files are the same as before there were several channels.
    file.push(latent.stats.len().min(2) as u8);
    if latent.stats.len() > 1 {
        file.extend(u16::try_from(latent.stats.len()).expect("a signal has few channels").to_le_bytes());
    }
    for stats in &latent.stats {
        file.extend(stats.mean.to_le_bytes());
        file.extend(stats.std.to_le_bytes());
    }
    file.extend(u16::try_from(latent.planes.len()).expect("a model has few scales").to_le_bytes());
    for plane in &latent.planes {
        file.push(u8::try_from(plane.dims.len()).expect("a plane has at most 3 axes"));
        put_dims(&mut file, &plane.dims);
    }
    for plane in &latent.planes {
        file.extend(plane.data.iter().flat_map(|v| v.to_le_bytes()));
    }
    let length = (file.len() + 4) as u64;
    file[length_at..length_at + 8].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&file);
    file.extend(checksum.to_le_bytes());
    file
}

fn put_dims(file: &mut Vec<u8>, dims: &[usize]) {
    for &extent in dims {
        file.extend(u32::try_from(extent).expect("limits keep extents below 2^32").to_le_bytes());
    }
}
