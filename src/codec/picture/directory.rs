//! Directory: the entries of a TIFF directory, parsed from a TIFF file or an EXIF block.
//!
//! The `tiff` crate decodes pixels; this module reads what is needed before decoding (the kind of each page) and the
//! tags that are copied from file to file. Every offset is checked against the length of the file.

/// Maximum number of entries of a directory.
const MOST_ENTRIES: u64 = 4096;

/// Maximum number of entries of all directories in the main chain of a file.
const MOST_IN_CHAIN: usize = 1 << 16;

/// Entries of one directory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Directory {
    order: Order,
    entries: Vec<Entry>,
    /// Offset of the next directory in the file; 0 for none.
    pub(super) next: u64,
}

/// Byte order and offset width of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Order {
    pub(super) is_big_endian: bool,
    /// `true` for 64-bit offsets (BigTIFF).
    is_wide: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// Offset of the entry itself.
    at: usize,
}

/// Returns the size in bytes of one value of a TIFF field type, and of the words within it that have a byte order.
fn widths(kind: u16) -> Option<(usize, usize)> {
    Some(match kind {
        1 | 2 | 6 | 7 => (1, 1),
        3 | 8 => (2, 2),
        4 | 9 | 11 | 13 => (4, 4),
        5 | 10 => (8, 4),
        12 | 16 | 17 | 18 => (8, 8),
        _ => return None,
    })
}

impl Order {
    /// Returns the byte order of a file, and the offset of its first directory.
    pub(super) fn of(bytes: &[u8]) -> Option<(Self, u64)> {
        let is_big_endian = match bytes.get(..2)? {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let order = Self { is_big_endian, is_wide: false };
        match order.number(bytes, 2, 2)? {
            42 => Some((order, order.number(bytes, 4, 4)?)),
            43 => Some((Self { is_wide: true, ..order }, order.number(bytes, 8, 8)?)),
            _ => None,
        }
    }

    fn number(self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(width)?)?;
        let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.is_big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }
}

impl Directory {
    /// Reads the directory at offset `position` of a file of `order`.
    pub(super) fn read(bytes: &[u8], order: Order, position: u64) -> Option<Self> {
        let start = usize::try_from(position).ok()?;
        let (head, step, link) = if order.is_wide { (8, 20, 8) } else { (2, 12, 4) };
        let count = order.number(bytes, start, head)?;
        if count > MOST_ENTRIES {
            return None;
        }
        let first = start + head;
        let entry = |at: usize| {
            let count_width = if order.is_wide { 8 } else { 4 };
            Some(Entry {
                tag: order.number(bytes, at, 2)? as u16,
                kind: order.number(bytes, at + 2, 2)? as u16,
                count: order.number(bytes, at + 4, count_width)?,
                at,
            })
        };
        let entries = (0..count as usize).map(|i| entry(first + i * step)).collect::<Option<_>>()?;
        let next = order.number(bytes, first + count as usize * step, link).unwrap_or(0);
        Some(Self { order, entries, next })
    }

    /// Reads the directories of the main chain of a file, at most `most`; none if they have more than 65,536 entries.
    pub(super) fn chain(bytes: &[u8], most: usize) -> Option<Vec<Self>> {
        let (order, mut position) = Order::of(bytes)?;
        let mut entries = 0;
        let (mut found, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        while position != 0 && found.len() < most && seen.insert(position) {
            let directory = Self::read(bytes, order, position)?;
            position = directory.next;
            entries += directory.entries.len();
            if entries > MOST_IN_CHAIN {
                return None;
            }
            found.push(directory);
        }
        Some(found)
    }

    /// Returns the byte order of the file.
    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Iterates over the ids of all tags in order.
    pub(super) fn tags(&self) -> impl Iterator<Item = u16> + '_ {
        self.entries.iter().map(|entry| entry.tag)
    }

    /// Returns `true` if the directory has the tag.
    pub(super) fn has(&self, tag: u16) -> bool {
        self.entries.iter().any(|entry| entry.tag == tag)
    }

    /// Returns the number of values of a tag.
    pub(super) fn count(&self, tag: u16) -> Option<u64> {
        self.entries.iter().find(|entry| entry.tag == tag).map(|entry| entry.count)
    }

    /// Returns the size of a tag's value as its entry states it, in bytes.
    pub(super) fn bytes(&self, tag: u16) -> u64 {
        let entry = self.entries.iter().find(|entry| entry.tag == tag);
        entry.map_or(0, |entry| {
            entry.count.saturating_mul(widths(entry.kind).map_or(0, |(width, _)| width as u64))
        })
    }

    /// Returns field type and bytes of a tag, in the byte order of the file.
    pub(super) fn value<'a>(&self, bytes: &'a [u8], tag: u16) -> Option<(u16, &'a [u8])> {
        let entry = self.entries.iter().find(|entry| entry.tag == tag)?;
        let (width, _) = widths(entry.kind)?;
        let length = usize::try_from(entry.count).ok()?.checked_mul(width)?;
        let start = match self.inline(entry) {
            (at, room) if length <= room => at,
            (at, room) => usize::try_from(self.order.number(bytes, at, room)?).ok()?,
        };
        Some((entry.kind, bytes.get(start..start.checked_add(length)?)?))
    }

    /// Returns field type and bytes of a tag, in native byte order.
    pub(super) fn native(&self, bytes: &[u8], tag: u16) -> Option<(u16, Vec<u8>)> {
        let (kind, value) = self.value(bytes, tag)?;
        let (_, word) = widths(kind)?;
        let mut value = value.to_vec();
        if self.order.is_big_endian != cfg!(target_endian = "big") {
            value.chunks_exact_mut(word).for_each(<[u8]>::reverse);
        }
        Some((kind, value))
    }

    /// Returns the integers of a tag.
    pub(super) fn numbers(&self, bytes: &[u8], tag: u16) -> Option<Vec<u64>> {
        self.integers(bytes, tag).map(Iterator::collect)
    }

    fn integers<'a>(&self, bytes: &'a [u8], tag: u16) -> Option<impl Iterator<Item = u64> + use<'a>> {
        let (kind, value) = self.value(bytes, tag)?;
        let width = match kind {
            1 | 7 => 1,
            3 => 2,
            4 | 13 => 4,
            16 | 18 => 8,
            _ => return None,
        };
        let order = self.order;
        Some(value.chunks_exact(width).filter_map(move |word| order.number(word, 0, width)))
    }

    /// Returns the first integer of a tag.
    pub(super) fn number(&self, bytes: &[u8], tag: u16) -> Option<u64> {
        self.integers(bytes, tag)?.next()
    }

    /// Returns the first rational of a tag.
    pub(super) fn fraction(&self, bytes: &[u8], tag: u16) -> Option<f64> {
        let (5, value) = self.value(bytes, tag)? else { return None };
        Some(self.order.number(value, 0, 4)? as f64 / self.order.number(value, 4, 4)? as f64)
    }

    /// Returns a tag as text, up to its first NUL.
    pub(super) fn text<'a>(&self, bytes: &'a [u8], tag: u16) -> Option<&'a str> {
        let (2, value) = self.value(bytes, tag)? else { return None };
        let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
        std::str::from_utf8(&value[..end]).ok()
    }

    /// Replaces the value of a tag by one 32-bit number, in a copy of the file.
    pub(super) fn put(&self, bytes: &mut [u8], tag: u16, value: u32) {
        let Some(entry) = self.entries.iter().find(|entry| entry.tag == tag) else { return };
        let mut write = |at: usize, width: usize, value: u64| {
            let le = value.to_le_bytes();
            if let Some(place) = bytes.get_mut(at..at + width) {
                place.copy_from_slice(&le[..width]);
                if self.order.is_big_endian {
                    place.reverse();
                }
            }
        };
        let (at, _) = self.inline(entry);
        write(entry.at + 2, 2, 4);
        write(entry.at + 4, if self.order.is_wide { 8 } else { 4 }, 1);
        write(at, 4, value.into());
    }

    /// Changes the id of a tag to 0xffff, which readers ignore, in a copy of the file.
    pub(super) fn hide(&self, bytes: &mut [u8], tag: u16) {
        let Some(entry) = self.entries.iter().find(|entry| entry.tag == tag) else { return };
        if let Some(place) = bytes.get_mut(entry.at..entry.at + 2) {
            place.copy_from_slice(&[0xff, 0xff]);
        }
    }

    /// Returns offset and size in bytes of the value field within an entry.
    fn inline(&self, entry: &Entry) -> (usize, usize) {
        if self.order.is_wide { (entry.at + 12, 8) } else { (entry.at + 8, 4) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a block with two tags: a number and a text of 6 bytes.
    fn block(is_big_endian: bool) -> Vec<u8> {
        let u16s = |v: u16| if is_big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let u32s = |v: u32| if is_big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut block = if is_big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        block.extend(u16s(42));
        block.extend(u32s(8));
        block.extend(u16s(2));
        for part in [u16s(256), u16s(3)] {
            block.extend(part);
        }
        block.extend(u32s(1));
        block.extend([u16s(7), [0, 0]].concat());
        for part in [u16s(270), u16s(2)] {
            block.extend(part);
        }
        block.extend([u32s(6), u32s(38), u32s(0)].concat());
        block.extend(b"hello\0");
        block
    }

    #[test]
    fn entries_are_read_in_both_orders_and_changed_in_place() {
        for is_big_endian in [false, true] {
            let mut bytes = block(is_big_endian);
            let directory = Directory::chain(&bytes, 9).unwrap().remove(0);
            assert_eq!(directory.number(&bytes, 256), Some(7));
            assert_eq!(directory.text(&bytes, 270), Some("hello"));
            assert_eq!(directory.native(&bytes, 256), Some((3, 7u16.to_ne_bytes().to_vec())));
            directory.put(&mut bytes, 256, 70_000);
            let changed = Directory::chain(&bytes, 9).unwrap().remove(0);
            assert_eq!(changed.number(&bytes, 256), Some(70_000));
            directory.hide(&mut bytes, 256);
            assert!(!Directory::chain(&bytes, 9).unwrap()[0].has(256));
        }
    }

    #[test]
    fn a_block_cut_anywhere_or_in_a_circle_ends() {
        let whole = block(true);
        for end in 0..whole.len() {
            let cut = &whole[..end];
            let _ = Directory::chain(cut, 9).map(|all| {
                all.iter().for_each(|d| {
                    d.tags().for_each(|tag| {
                        let _ = (d.value(cut, tag), d.numbers(cut, tag), d.text(cut, tag));
                    });
                })
            });
        }
        let mut circle = whole;
        circle[34..38].copy_from_slice(&8u32.to_be_bytes());
        assert_eq!(Directory::chain(&circle, 9).unwrap().len(), 1);
    }
}
