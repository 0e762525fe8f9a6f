//! Archives: entries of zip and tar files, gzipped or not.

use std::cell::Cell;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::iter;

use flate2::read::GzDecoder;
use tar::EntryType;

use crate::codec;
use crate::limits::Limits;

/// Largest ratio of unpacked to packed bytes of a gzipped tar larger than [`RATIO_FREE_BYTES`], as for zip.
const MOST_RATIO: u64 = 100;
const RATIO_FREE_BYTES: u64 = 1 << 20;

/// Largest size in bytes of the headers of a tar entry: header block, long name, attributes.
const HEADER_BYTES: u64 = 1 << 20;

/// Paths and contents, in the archive's order.
type Entries = Vec<(String, Vec<u8>)>;

/// Reads the entries of an archive; `None` if the bytes are not an archive.
///
/// # Errors
/// One line: the archive is damaged or exceeds `archive_entries` or `archive_bytes`.
pub(super) fn entries(bytes: &[u8], limits: &Limits) -> Option<Result<Entries, String>> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Some(codec::read_zip(bytes, limits).map_err(|e| e.to_string()));
    }
    if is_tar(bytes) {
        return Some(read_tar(bytes, limits));
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut head = Vec::new();
        // A truncated gzip stream is classified by the part that can be read.
        let _ = GzDecoder::new(bytes).take(512).read_to_end(&mut head);
        return is_tar(&head).then(|| read_tar(GzDecoder::new(bytes), limits));
    }
    None
}

/// Returns `true` for POSIX and GNU tar files, which have this magic in their first header.
fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

fn read_tar(stream: impl Read, limits: &Limits) -> Result<Entries, String> {
    let mut entries = Vec::new();
    walk_tar(stream, limits, |path, size, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|e| format!("tar: {path}: {e}"))?;
        if bytes.len() as u64 != size {
            return Err(format!("tar: {path} is cut after {} of {size} bytes", bytes.len()));
        }
        refuse_nested(path, &bytes)?;
        entries.push((path.to_owned(), bytes));
        Ok(())
    })?;
    Ok(entries)
}

/// Checks an archive as [`entries`] does, without storing its contents; files that are not archives pass.
///
/// # Errors
/// One line with the name of the entry.
pub(super) fn check(mut file: impl Read + Seek, packed: u64, limits: &Limits) -> Result<(), String> {
    let mut head = Vec::new();
    file.by_ref().take(512).read_to_end(&mut head).map_err(|e| e.to_string())?;
    file.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    if head.starts_with(b"PK\x03\x04") {
        return codec::check_zip(BufReader::new(file), limits).map_err(|e| e.to_string());
    }
    if is_tar(&head) {
        return check_tar(BufReader::new(file), limits);
    }
    if !head.starts_with(&[0x1f, 0x8b]) {
        return Ok(());
    }
    let mut inside = Vec::new();
    let _ = GzDecoder::new(file.by_ref()).take(512).read_to_end(&mut inside);
    file.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    if !is_tar(&inside) {
        return Ok(());
    }
    // Beyond this size it is a decompression bomb: stop there and report the limit.
    let most = packed.saturating_mul(MOST_RATIO).max(RATIO_FREE_BYTES);
    let limits = Limits { archive_bytes: limits.archive_bytes.min(most as usize), ..limits.clone() };
    check_tar(GzDecoder::new(BufReader::new(file)), &limits)
}

fn check_tar(stream: impl Read, limits: &Limits) -> Result<(), String> {
    walk_tar(stream, limits, |path, _, content| {
        let mut head = Vec::new();
        content.take(512).read_to_end(&mut head).map_err(|e| format!("tar: {path}: {e}"))?;
        refuse_nested(path, &head)
    })
}

fn refuse_nested(path: &str, bytes: &[u8]) -> Result<(), String> {
    if codec::is_archive(bytes) {
        return Err(refused(path, "is an archive itself; unpack it first"));
    }
    Ok(())
}

fn refused(path: &str, reason: &str) -> String {
    let shown: String = path.chars().take(80).collect();
    format!("tar: entry {shown:?} {reason}")
}

/// Stream that fails when more bytes are read than its budget, which is set again for each part of the archive.
struct Rationed<'a, R> {
    stream: R,
    ration: &'a Cell<u64>,
}

impl<R: Read> Read for Rationed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ration = self.ration.get();
        if ration == 0 {
            return Err(io::Error::other(format!("the headers of an entry are over {HEADER_BYTES} bytes")));
        }
        let most = buffer.len().min(usize::try_from(ration).unwrap_or(usize::MAX));
        let count = self.stream.read(&mut buffer[..most])?;
        self.ration.set(ration - count as u64);
        Ok(count)
    }
}

/// Calls `visit` with path, size and content of each file in a tar stream.
fn walk_tar(
    stream: impl Read,
    limits: &Limits,
    mut visit: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), String>,
) -> Result<(), String> {
    // 1 MiB more than the limit, so that an archive at the limit can be distinguished from a larger one.
    let most = limits.archive_bytes as u64;
    let ration = Cell::new(0);
    let stream = Rationed { stream: stream.take(most.saturating_add(1 << 20)), ration: &ration };
    let mut archive = tar::Archive::new(stream);
    let mut entries = archive.entries().map_err(|e| format!("tar: {e}"))?;
    // The library buffers all header data of an entry, of any size stated in it.
    let next = || {
        ration.set(HEADER_BYTES);
        entries.next()
    };
    let (mut left, mut count) = (most, 0);
    for entry in iter::from_fn(next) {
        let mut entry = entry.map_err(|e| format!("tar: {e}"))?;
        let kind = entry.header().entry_type();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if matches!(kind, EntryType::XGlobalHeader) {
            continue;
        }
        if count == limits.archive_entries {
            return Err(format!("tar: has more than the limit of {} entries", limits.archive_entries));
        }
        count += 1;
        // Entries written by `tar -C folder .` have this prefix.
        let name = path.strip_prefix("./").unwrap_or(&path);
        if kind.is_dir() && matches!(name, "" | ".") {
            continue;
        }
        codec::check_entry_name(name).map_err(|reason| refused(&path, reason))?;
        if kind.is_dir() {
            continue;
        }
        if kind.is_symlink() || kind.is_hard_link() {
            return Err(refused(&path, "is a link"));
        }
        if !kind.is_file() && kind != EntryType::Continuous {
            return Err(refused(&path, "is neither a file nor a folder"));
        }
        let size = entry.size();
        if size > left {
            return Err(format!("tar: unpacks to more than the limit of {most} bytes"));
        }
        left -= size;
        ration.set(size);
        visit(name, size, &mut entry)?;
        // Unread content must not count towards the headers of the next entry.
        io::copy(&mut entry, &mut io::sink()).map_err(|e| format!("tar: {path}: {e}"))?;
    }
    Ok(())
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

    /// Returns a tar with one entry that may break the rules.
    fn foreign(path: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        let mut tar = tar::Builder::new(Vec::new());
        tar.append(&header, content).unwrap();
        tar.into_inner().unwrap()
    }

    fn checked(bytes: &[u8]) -> Result<(), String> {
        check(std::io::Cursor::new(bytes), bytes.len() as u64, &Limits::default())
    }

    #[test]
    fn what_leaves_its_place_or_is_no_file_is_refused_by_name_when_checked_and_when_read() {
        let nested = codec::write_zip(&[("a".to_owned(), vec![1])]).unwrap();
        for (path, kind, content, reason) in [
            ("../a.csv", EntryType::Regular, &b"1"[..], "'..'"),
            ("/etc/a.csv", EntryType::Regular, b"1", "absolute"),
            ("a/../../b.csv", EntryType::Regular, b"1", "'..'"),
            ("link.csv", EntryType::Symlink, b"", "link"),
            ("hard.csv", EntryType::Link, b"", "link"),
            ("pipe.csv", EntryType::Fifo, b"", "neither"),
            ("in.zip", EntryType::Regular, &nested, "archive itself"),
        ] {
            for bytes in [foreign(path, kind, content), gzip(&foreign(path, kind, content))] {
                let said = checked(&bytes).unwrap_err();
                assert!(said.contains(path) && said.contains(reason), "{path}: {said}");
                let read = entries(&bytes, &Limits::default()).unwrap().unwrap_err();
                assert!(read.contains(path), "{read}");
            }
        }
    }

    #[test]
    fn headers_are_bounded_apart_from_contents() {
        let most = HEADER_BYTES as usize;
        let long = tar_of(&[(&"n".repeat(99), &vec![7; 2 * most]), ("b.csv", b"1")]);
        checked(&long).unwrap();
        assert_eq!(entries(&long, &Limits::default()).unwrap().unwrap().len(), 2);
        for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
            let bytes = gzip(&foreign("a", kind, &vec![b'a'; most]));
            assert!(checked(&bytes).unwrap_err().contains("headers of an entry"), "{kind:?}");
            let read = entries(&bytes, &Limits::default()).unwrap().unwrap_err();
            assert!(read.contains("headers of an entry"), "{read}");
        }
    }

    #[test]
    fn a_bomb_is_refused_and_plain_files_pass() {
        let bomb = gzip(&tar_of(&[("zeros.csv", &vec![b'0'; 32 << 20])]));
        assert!(checked(&bomb).unwrap_err().contains("more than the limit"));
        checked(&tar_of(&[("./a/b.csv", b"1,2")])).unwrap();
        checked(b"1,2").unwrap();
        checked(&gzip(b"1,2")).unwrap();
        let zip = codec::write_zip(&[("a/b.csv".to_owned(), b"1".to_vec())]).unwrap();
        checked(&zip).unwrap();
        let inside = codec::write_zip(&[("c.zip".to_owned(), zip)]).unwrap();
        assert!(checked(&inside).unwrap_err().contains("c.zip"));
    }
}
