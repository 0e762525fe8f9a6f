//! Archives: zip and tar files, gzipped or not, as their entries.

use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::codec;
use crate::limits::Limits;

/// Paths and bytes, in the archive's order.
type Entries = Vec<(String, Vec<u8>)>;

/// The entries of an archive; none when the bytes are no archive.
///
/// # Errors
/// One line: the archive is damaged or over `archive_entries` or `archive_bytes`.
pub(super) fn entries(bytes: &[u8], limits: &Limits) -> Option<Result<Entries, String>> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Some(codec::read_zip(bytes, limits).map_err(|e| e.to_string()));
    }
    if is_tar(bytes) {
        return Some(read_tar(bytes, limits));
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut head = Vec::new();
        // A gzipped file that is cut is judged by the part that can be read.
        let _ = GzDecoder::new(bytes).take(512).read_to_end(&mut head);
        return is_tar(&head).then(|| read_tar(GzDecoder::new(bytes), limits));
    }
    None
}

/// POSIX and GNU archives carry this mark in their first header.
fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

fn read_tar(stream: impl std::io::Read, limits: &Limits) -> Result<Entries, String> {
    // One byte more than allowed, so that an archive at the limit is told from one beyond it.
    let most = limits.archive_bytes as u64;
    let mut archive = tar::Archive::new(stream.take(most.saturating_add(1 << 20)));
    let mut entries = Vec::new();
    let mut left = most;
    for entry in archive.entries().map_err(|e| format!("tar: {e}"))? {
        let entry = entry.map_err(|e| format!("tar: {e}"))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if entries.len() == limits.archive_entries {
            return Err(format!("tar: has more than the limit of {} entries", limits.archive_entries));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        if size > left {
            return Err(format!("tar: unpacks to more than the limit of {most} bytes"));
        }
        let mut bytes = Vec::new();
        entry.take(left).read_to_end(&mut bytes).map_err(|e| format!("tar: {e}"))?;
        if bytes.len() as u64 != size {
            return Err(format!("tar: {path} is cut after {} of {size} bytes", bytes.len()));
        }
        left -= size;
        entries.push((path, bytes));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn tar_files_are_unpacked_gzipped_or_not() {
        let tar = tar_of(&[("a/b.csv", b"1,2"), ("c.csv", b"3")]);
        let expected = vec![("a/b.csv".to_owned(), b"1,2".to_vec()), ("c.csv".to_owned(), b"3".to_vec())];
        assert_eq!(entries(&tar, &Limits::default()), Some(Ok(expected.clone())));
        assert_eq!(entries(&gzip(&tar), &Limits::default()), Some(Ok(expected)));
    }

    #[test]
    fn other_files_are_no_archives() {
        assert_eq!(entries(b"1,2", &Limits::default()), None);
        assert_eq!(entries(&gzip(b"1,2"), &Limits::default()), None);
    }

    #[test]
    fn archives_over_a_limit_or_cut_are_refused() {
        let tar = tar_of(&[("a", &[7; 2000]), ("b", &[8; 2000])]);
        let refused = |limits: Limits, bytes: &[u8]| entries(bytes, &limits).unwrap().unwrap_err();
        assert!(refused(Limits { archive_bytes: 3000, ..Limits::default() }, &tar).contains("limit of 3000"));
        assert!(refused(Limits { archive_entries: 1, ..Limits::default() }, &tar).contains("limit of 1"));
        assert!(refused(Limits::default(), &tar[..1500]).contains("tar"));
    }
}
