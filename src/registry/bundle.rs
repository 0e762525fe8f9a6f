//! Bundles: one version as a tar archive of `config.json`, `model.safetensors`, `README.md` and, if it has a map, `map.json`.

use std::io::Read as _;

use super::artifact::{CARD, MANIFEST, MAP, WEIGHTS, digest};
use super::{Artifact, Draft, Error, Manifest, Result};
use crate::map::Map;
use crate::name::Name;

/// Maximum number of entries of an archive, headers of other entries included.
const MOST_BLOCKS: usize = 64;

/// Maximum size of the long name or the attributes of an entry, in bytes.
const HEADER_BYTES: u64 = 64 << 10;

/// Packs a version, with its map if it has one, as a tar archive.
///
/// # Errors
/// The config cannot be written as JSON.
pub fn write(artifact: &Artifact, map: Option<&Map>) -> Result<Vec<u8>> {
    let fail = |e: &dyn std::fmt::Display| Error::Invalid(e.to_string());
    let config = serde_json::to_vec_pretty(&artifact.manifest).map_err(|e| fail(&e))?;
    let mut tar = tar::Builder::new(Vec::new());
    let map = map.map(Map::write);
    let three =
        [(MANIFEST, config.as_slice()), (WEIGHTS, &artifact.weights), (CARD, artifact.card.as_bytes())];
    for (name, bytes) in three.into_iter().chain(map.as_deref().map(|map| (MAP, map))) {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, name, bytes).map_err(|e| fail(&e))?;
    }
    tar.into_inner().map_err(|e| fail(&e))
}

/// Unpacks a tar archive into a draft, to be published as a version of `name`, or of the name in its config.
///
/// # Errors
/// The archive is malformed, holds any other file, or its weights do not match its config.
pub fn read(bytes: &[u8], name: Option<Name>) -> Result<Draft> {
    let invalid = |reason: String| Error::Invalid(reason);
    let mut parts: [Option<Vec<u8>>; 4] = Default::default();
    let names = [MANIFEST, WEIGHTS, CARD, MAP];
    check_headers(bytes)?;
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().map_err(|e| invalid(format!("tar: {e}")))? {
        let mut entry = entry.map_err(|e| invalid(format!("tar: {e}")))?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type().is_dir() && matches!(path.as_str(), "./" | ".") {
            continue;
        }
        let place = names.iter().position(|name| path.strip_prefix("./").unwrap_or(&path) == *name);
        let place = place.filter(|_| entry.header().entry_type().is_file()).ok_or_else(|| {
            let shown: String = path.chars().take(80).collect();
            invalid(format!("{shown:?} has no place here; the files are {}", names.join(", ")))
        })?;
        if parts[place].is_some() {
            return Err(invalid(format!("{} is there twice", names[place])));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|e| invalid(format!("tar: {path}: {e}")))?;
        parts[place] = Some(content);
    }
    let [config, weights, card, map] = parts;
    let missing = |name: &str| invalid(format!("{name} is missing"));
    let manifest = parse(&config.ok_or_else(|| missing(MANIFEST))?)?;
    let weights = weights.ok_or_else(|| missing(WEIGHTS))?;
    let (seen, said) = (digest(&weights), &manifest.weights.sha256);
    if seen != *said {
        return Err(invalid(format!("{WEIGHTS} has SHA-256 {seen}, {MANIFEST} says {said}")));
    }
    let map = map.map(|map| Map::parse(&map, said)).transpose();
    let map = map.map_err(|reason| invalid(format!("{MAP}: {reason}")))?;
    Ok(Draft {
        name: name.unwrap_or(manifest.name),
        model: manifest.model,
        weights,
        training: manifest.training,
        scores: manifest.scores,
        familiarity: manifest.familiarity,
        prediction: manifest.prediction,
        kept_back: manifest.kept_back,
        compared_with: None,
        map,
        card: String::from_utf8_lossy(&card.unwrap_or_default()).into_owned(),
    })
}

/// Checks the blocks of a tar archive before long names and attributes are gathered: three short names need none.
fn check_headers(bytes: &[u8]) -> Result<()> {
    let invalid = |reason: &dyn std::fmt::Display| Error::Invalid(format!("tar: {reason}"));
    let mut archive = tar::Archive::new(bytes);
    for (index, entry) in archive.entries().map_err(|e| invalid(&e))?.raw(true).enumerate() {
        let entry = entry.map_err(|e| invalid(&e))?;
        if index == MOST_BLOCKS {
            return Err(invalid(&format!("more than {MOST_BLOCKS} entries, three files are expected")));
        }
        let kind = entry.header().entry_type();
        let is_header = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if is_header && entry.size() > HEADER_BYTES {
            let size = entry.size();
            return Err(invalid(&format!("a header of {size} bytes, the limit is {HEADER_BYTES}")));
        }
    }
    Ok(())
}

/// Parses a config of any name and version.
fn parse(text: &[u8]) -> Result<Manifest> {
    #[derive(serde::Deserialize)]
    struct Id {
        name: Name,
        version: u32,
    }
    let id: Id = serde_json::from_slice(text).map_err(|e| Error::Invalid(format!("{MANIFEST}: {e}")))?;
    Manifest::parse(text, &id.name, id.version).map_err(Error::Invalid)
}
