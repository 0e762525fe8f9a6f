//! Artifact on disk: `config.json`, `model.safetensors`, the model card `README.md`, and `map.json` if a map is kept.
//!
//! A version is either complete or absent: `publish` renames it into place.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::manifest::Manifest;
use super::{Error, Result};
use crate::file::sync_folder;
use crate::hex::hex;
use crate::map::Map;
use crate::name::{ModelId, Name};
use crate::nn::{self, Device, Weights, model};

pub(super) const MANIFEST: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const CARD: &str = "README.md";
pub(super) const MAP: &str = "map.json";

/// Largest size of a manifest, card or map in bytes; a longer file was not written by this program.
const MOST_TEXT: u64 = 16 << 20;

/// One version, read completely and verified against its digest.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Name, version and digest.
    pub id: ModelId,
    /// Content of `config.json`.
    pub manifest: Manifest,
    /// Safetensors file.
    pub weights: Vec<u8>,
    /// Model card, Markdown.
    pub card: String,
}

impl Artifact {
    /// Reads the manifest of the version in `folder`, and checks that the weights file has the stated size.
    pub(super) fn manifest(folder: &Path, name: &Name, version: u32) -> Result<Manifest, String> {
        let text = read_bounded(&folder.join(MANIFEST), MOST_TEXT)?;
        let manifest = Manifest::parse(&text, name, version)?;
        let size = size_of_file(&folder.join(WEIGHTS))?;
        if size != manifest.weights.bytes {
            return Err(format!("{WEIGHTS} has {size} bytes, config.json says {}", manifest.weights.bytes));
        }
        Ok(manifest)
    }

    /// Returns `true` if the files of a version are in `folder`, whatever they hold.
    pub(super) fn is_whole(folder: &Path) -> bool {
        [MANIFEST, WEIGHTS].iter().all(|file| folder.join(file).exists())
    }

    /// Reads the version in `folder` completely and verifies its digest.
    pub(super) fn read(folder: &Path, name: &Name, version: u32) -> Result<Self, String> {
        let manifest = Self::manifest(folder, name, version)?;
        let weights = read_bounded(&folder.join(WEIGHTS), manifest.weights.bytes)?;
        let digest: [u8; 32] = Sha256::digest(&weights).into();
        let seen = hex(digest);
        if seen != manifest.weights.sha256 {
            return Err(format!(
                "{WEIGHTS} has SHA-256 {seen}, config.json says {}",
                manifest.weights.sha256
            ));
        }
        let id = ModelId { name: name.clone(), version, digest };
        Ok(Self { id, manifest, weights, card: Self::card(folder) })
    }

    /// Reads the model card of the version in `folder`; empty if there is none.
    pub(super) fn card(folder: &Path) -> String {
        let text = read_bounded(&folder.join(CARD), MOST_TEXT).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Reads the map of the version in `folder`, whose weights have this SHA-256; `None` if there is none.
    pub(super) fn map(folder: &Path, sha256: &str) -> Result<Option<Map>, String> {
        let path = folder.join(MAP);
        if !path.exists() {
            return Ok(None);
        }
        let map = Map::parse(&read_bounded(&path, MOST_TEXT)?, sha256);
        map.map(Some).map_err(|reason| format!("{MAP}: {reason}"))
    }

    /// Writes the files into `folder`, which must not exist yet, and syncs them. Deletes the folder on failure.
    pub(super) fn write(
        folder: &Path,
        manifest: &Manifest,
        weights: &[u8],
        card: &str,
        map: Option<&Map>,
    ) -> Result<()> {
        let write = || {
            let json = serde_json::to_vec_pretty(manifest)?;
            fs::create_dir(folder)?;
            let map = map.map(Map::write);
            let three = [(MANIFEST, json.as_slice()), (WEIGHTS, weights), (CARD, card.as_bytes())];
            for (file, bytes) in three.into_iter().chain(map.as_deref().map(|map| (MAP, map))) {
                let mut file = File::create_new(folder.join(file))?;
                file.write_all(bytes).and_then(|()| file.sync_all())?;
            }
            sync_folder(folder)?;
            folder.parent().map_or(Ok(()), sync_folder)
        };
        write().map_err(|source| {
            let _ = fs::remove_dir_all(folder);
            Error::Io { path: folder.to_owned(), source }
        })
    }
}

/// Checks that `weights` are finite and are exactly the tensors that `model` is built from.
///
/// # Errors
/// One line that names the problem.
pub(super) fn verify(model: &model::Config, weights: &[u8]) -> Result<(), String> {
    let device = &Device::Cpu;
    let tensors = Weights::read(weights, device).map_err(|e| format!("{WEIGHTS}: {}", nn::message(&e)))?;
    let weights = Weights::to_serve(tensors);
    model::Model::new(model, weights.builder(device))
        .map_err(|e| format!("{WEIGHTS}: {}", nn::message(&e)))?;
    match weights.unused().first() {
        Some(first) => Err(format!("{WEIGHTS} holds {first}, which the config has no place for")),
        None => Ok(()),
    }
}

/// Returns the SHA-256 of weights, hexadecimal, as [`Manifest`] stores it.
pub fn digest(weights: &[u8]) -> String {
    hex(Sha256::digest(weights))
}

fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let size = size_of_file(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if size > most {
        return Err(format!("{name} has {size} bytes, at most {most} are expected"));
    }
    fs::read(path).map_err(|e| format!("{name}: {e}"))
}

/// Bytes of a regular file; to open anything else, such as a pipe, could wait for ever.
fn size_of_file(path: &Path) -> Result<u64, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let about = fs::metadata(path).map_err(|e| format!("{name}: {e}"))?;
    if about.is_file() { Ok(about.len()) } else { Err(format!("{name} is no regular file")) }
}
