//! ZIP archives: uploads of many files, and replies of several samples.

use std::collections::HashSet;
use std::io::{Cursor, Read, Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::{Error, Result, within};
use crate::limits::Limits;

/// Maximum compression ratio of an entry larger than [`RATIO_FREE_BYTES`].
const MAX_RATIO: u64 = 100;
/// Entries up to this size may have any compression ratio: a blank image has a high one.
const RATIO_FREE_BYTES: u64 = 1 << 20;
/// Maximum length of a name, in bytes.
const MAX_NAME: usize = 1024;

/// Reads all files in an archive in order, with their names (`/` between folders). Folders are skipped. All files are
/// in memory at once; [`walk_zip`] holds one at a time.
///
/// # Errors
/// As [`walk_zip`].
pub fn read_zip(bytes: &[u8], limits: &Limits) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    walk_zip(bytes, limits, |name, content| {
        files.push((name, content));
        Ok(())
    })?;
    Ok(files)
}

/// Calls `visit` with the name and the bytes of each file in an archive, in order; the first error of `visit` ends the
/// walk.
///
/// # Errors
/// [`Error::TooLarge`] over `archive_entries` or `archive_bytes`; [`Error::Malformed`] for a damaged archive, an entry
/// larger than 1 MiB with a compression ratio over 100, and, each by name: absolute paths, `..`, backslashes, links,
/// archives within the archive, encrypted entries, and duplicate names.
pub fn walk_zip(
    bytes: &[u8],
    limits: &Limits,
    mut visit: impl FnMut(String, Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(failed)?;
    within("archive entries", archive.len(), limits.archive_entries)?;
    if archive.has_duplicate_names() {
        return Err(Error::malformed("zip archive", "two entries have the same name"));
    }
    if archive.has_overlapping_entries().map_err(failed)? {
        return Err(Error::malformed("zip archive", "entries share bytes, as they do in a zip bomb"));
    }
    let mut seen = HashSet::new();
    let mut unpacked = 0;
    for index in 0..archive.len() {
        let Some((name, stated)) = check_entry(&mut archive, index, &mut seen)? else { continue };
        within("archive bytes", to_usize(stated).saturating_add(unpacked), limits.archive_bytes)?;
        let content = unpack(&mut archive, index, &name, stated)?;
        unpacked += content.len();
        if is_archive(&content) {
            return Err(refused(&name, "is an archive itself; unpack it first"));
        }
        visit(name, content)?;
    }
    Ok(())
}

/// Checks an archive as [`walk_zip`] does, but decompresses only the first 512 bytes of each entry.
///
/// # Errors
/// As [`walk_zip`], except for overlapping entries and entries that differ from their header: [`walk_zip`] detects
/// those.
pub fn check_zip(source: impl Read + Seek, limits: &Limits) -> Result<()> {
    let mut archive = ZipArchive::new(source).map_err(failed)?;
    within("archive entries", archive.len(), limits.archive_entries)?;
    if archive.has_duplicate_names() {
        return Err(Error::malformed("zip archive", "two entries have the same name"));
    }
    let mut seen = HashSet::new();
    let mut unpacked = 0;
    for index in 0..archive.len() {
        let Some((name, stated)) = check_entry(&mut archive, index, &mut seen)? else { continue };
        unpacked = to_usize(stated).saturating_add(unpacked);
        within("archive bytes", unpacked, limits.archive_bytes)?;
        let mut head = Vec::new();
        let read = archive.by_index(index).map_err(failed)?.take(512).read_to_end(&mut head);
        read.map_err(|e| refused(&name, &format!("cannot be unpacked: {e}")))?;
        if is_archive(&head) {
            return Err(refused(&name, "is an archive itself; unpack it first"));
        }
    }
    Ok(())
}

/// Returns name and stated size of an entry, checked by its header alone; `None` for a folder.
fn check_entry(
    archive: &mut ZipArchive<impl Read + Seek>,
    index: usize,
    seen: &mut HashSet<String>,
) -> Result<Option<(String, u64)>> {
    let entry = archive.by_index_raw(index).map_err(failed)?;
    let name = entry.name().map_err(failed)?.into_owned();
    check_name(&name)?;
    let wrong = |reason: &str| Err(refused(&name, reason));
    if entry.encrypted() {
        return wrong("is encrypted");
    }
    if entry.is_symlink() {
        return wrong("is a link");
    }
    if !seen.insert(name.trim_end_matches('/').to_owned()) {
        return wrong("comes twice");
    }
    if entry.is_dir() {
        return Ok(None);
    }
    let (packed, stated) = (entry.compressed_size(), entry.size());
    if stated > packed.saturating_mul(MAX_RATIO).max(RATIO_FREE_BYTES) {
        return wrong(&format!("grows from {packed} to {stated} bytes, more than {MAX_RATIO}-fold"));
    }
    Ok(Some((name, stated)))
}

/// Decompresses one entry, at most to its stated size.
fn unpack(archive: &mut ZipArchive<Cursor<&[u8]>>, index: usize, name: &str, stated: u64) -> Result<Vec<u8>> {
    let entry = archive.by_index(index).map_err(failed)?;
    let mut content = Vec::new();
    // One byte more than stated, so that a larger entry is detected.
    let read = entry.take(stated.saturating_add(1)).read_to_end(&mut content);
    read.map_err(|e| refused(name, &format!("cannot be unpacked: {e}")))?;
    if content.len() as u64 != stated {
        return Err(refused(name, &format!("states {stated} bytes and holds another count")));
    }
    Ok(content)
}

fn check_name(name: &str) -> Result<()> {
    check_entry_name(name).map_err(|reason| refused(name, reason))
}

/// Checks that a file name is relative and cannot escape its folder on any operating system.
///
/// # Errors
/// Description of the defect, to be appended to the name.
pub fn check_entry_name(name: &str) -> std::result::Result<(), &'static str> {
    let wrong = |reason| Err(reason);
    if name.is_empty() || name.len() > MAX_NAME {
        return wrong("has no name, or one beyond 1024 bytes");
    }
    if name.contains('\\') || name.contains('\0') || name.chars().any(char::is_control) {
        return wrong("has a backslash or a control character in its name");
    }
    if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
        return wrong("has an absolute path");
    }
    if name.split('/').any(|part| part == ".." || part == ".") {
        return wrong("has '.' or '..' in its path");
    }
    Ok(())
}

/// Returns `true` if bytes begin as zip, gzip, 7z, xz, zstd, bzip2 or rar, or are a tar archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    let marks: [&[u8]; 8] = [
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"\x1f\x8b",
        b"7z\xbc\xaf\x27\x1c",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"BZh",
        b"Rar!\x1a\x07",
    ];
    marks.iter().any(|mark| bytes.starts_with(mark)) || bytes.get(257..262) == Some(b"ustar")
}

fn refused(name: &str, reason: &str) -> Error {
    let shown: String = name.chars().take(80).collect();
    Error::malformed("zip archive", format!("entry {shown:?} {reason}"))
}

fn failed(error: zip::result::ZipError) -> Error {
    Error::malformed("zip archive", error)
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Builds an archive of `files` in order. Equal files always give identical bytes: every entry is dated 1980-01-01 and
/// compressed with deflate.
///
/// # Errors
/// [`Error::Malformed`] for a name that [`read_zip`] would reject.
pub fn write_zip(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        check_name(name)?;
        writer.start_file(name.as_str(), options).map_err(failed)?;
        writer.write_all(content).map_err(|e| refused(name, &e.to_string()))?;
    }
    Ok(writer.finish().map_err(failed)?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        read_zip(bytes, &Limits::default())
    }

    fn files() -> Vec<(String, Vec<u8>)> {
        vec![("noisy/a.png".into(), vec![1; 300]), ("clean/a.png".into(), Vec::new()), ("b".into(), vec![7])]
    }

    /// Builds an archive with one entry, without the checks of [`write_zip`].
    fn foreign(name: &str, content: &[u8]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap().into_inner()
    }

    fn says(bytes: &[u8], text: &str) {
        let error = read(bytes).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }) && error.to_string().contains(text),
            "{text}: {error}"
        );
    }

    #[test]
    fn files_survive_a_round_trip_in_order() {
        assert_eq!(read(&write_zip(&files()).unwrap()).unwrap(), files());
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        assert_eq!(write_zip(&files()).unwrap(), write_zip(&files()).unwrap());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["../a", "a/../../b", "/etc/x", "a\\b", "C:x", "./a"] {
            assert!(check_name(name).is_err(), "{name}");
            assert!(write_zip(&[(name.into(), vec![])]).is_err(), "{name}");
        }
        // The library sanitizes some names on writing, so the raw bytes are forged.
        let mut bytes = foreign("aa/x", b"hello");
        while let Some(at) = bytes.windows(4).position(|w| w == b"aa/x") {
            bytes[at..at + 2].copy_from_slice(b"..");
        }
        says(&bytes, "'..'");
    }

    #[test]
    fn links_are_refused() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("a", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        says(&writer.finish().unwrap().into_inner(), "link");
    }

    #[test]
    fn archives_within_the_archive_are_refused() {
        let inner = write_zip(&files()).unwrap();
        says(&write_zip(&[("x.png".into(), inner)]).unwrap(), "archive itself");
    }

    #[test]
    fn an_entry_that_grows_too_much_is_refused() {
        says(&write_zip(&[("zeros".into(), vec![0; 4 << 20])]).unwrap(), "grows");
        assert!(read(&write_zip(&[("zeros".into(), vec![0; 1 << 20])]).unwrap()).is_ok());
    }

    #[test]
    fn an_encrypted_entry_is_refused() {
        let mut bytes = foreign("a.png", b"hello");
        let central = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        bytes[6] |= 1;
        bytes[central + 8] |= 1;
        says(&bytes, "encrypted");
    }

    #[test]
    fn names_that_come_twice_are_refused() {
        let mut bytes = write_zip(&[("a.png".into(), vec![1]), ("b.png".into(), vec![2])]).unwrap();
        while let Some(at) = bytes.windows(5).position(|w| w == b"b.png") {
            bytes[at] = b'a';
        }
        assert!(read(&bytes).is_err());
    }

    #[test]
    fn entries_and_bytes_are_limited() {
        let bytes = write_zip(&files()).unwrap();
        let few = Limits { archive_entries: 2, ..Limits::default() };
        assert!(matches!(read_zip(&bytes, &few), Err(Error::TooLarge { what: "archive entries", .. })));
        let small = Limits { archive_bytes: 300, ..Limits::default() };
        assert!(matches!(read_zip(&bytes, &small), Err(Error::TooLarge { what: "archive bytes", .. })));
    }

    #[test]
    fn a_damaged_archive_never_panics() {
        let whole = write_zip(&files()).unwrap();
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "cut at {end}");
        }
        for position in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[position] ^= flip;
                let _ = read(&bytes);
            }
        }
    }

    #[test]
    fn a_flipped_byte_of_content_is_noticed() {
        let mut bytes = foreign("a", &[5; 64]);
        let start = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        bytes[start - 2] ^= 0x10;
        assert!(read(&bytes).is_err());
    }
}
