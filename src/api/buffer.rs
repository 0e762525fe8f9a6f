//! Buffer: bytes that arrive piece by piece, within a limit, counted as held memory as they come.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use memmap2::MmapMut;

use super::body::too_large;
use super::error::{Code, Problem};
use crate::engine::Held;

/// Bytes that arrive before room is reserved for all of them: the length is the client's word.
const FIRST: usize = 1 << 20;

/// Bytes that arrived so far.
pub(super) struct Buffer {
    room: Room,
    length: usize,
    held: Held,
    limit: usize,
    /// Bytes expected in total.
    expected: usize,
}

/// Memory of a buffer.
enum Room {
    /// Of the allocator, for up to [`FIRST`] bytes.
    Heap(Vec<u8>),
    /// Pages of its own: untouched ones take no memory, and all go back to the system at once, while the allocator keeps what is
    /// freed for a while.
    Pages(MmapMut),
}

impl Buffer {
    /// An empty buffer for at most `limit` bytes, of which `stated` are announced.
    pub(super) fn new(held: Held, limit: usize, stated: Option<usize>) -> Self {
        let expected = stated.unwrap_or(limit).min(limit);
        Self { room: Room::Heap(Vec::new()), length: 0, held, limit, expected }
    }

    /// Appends `piece`.
    ///
    /// # Errors
    /// 413 over the limit; 429 if there is no memory now.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Problem> {
        let length = self.length + piece.len();
        if length > self.limit {
            return Err(too_large(self.limit, length));
        }
        self.held.grow(piece.len())?;
        self.reserve(length).map_err(|_| {
            let detail = format!("no memory for a body of {} bytes now", self.expected.max(length));
            Problem::new(Code::QueueFull, detail).retry_after(Duration::from_secs(1))
        })?;
        match &mut self.room {
            Room::Heap(bytes) => bytes.extend_from_slice(piece),
            Room::Pages(pages) => pages[self.length..length].copy_from_slice(piece),
        }
        self.length = length;
        Ok(())
    }

    /// Reserves room for `length` bytes: first for few, then once for all that is expected. A buffer that grows by copies takes
    /// up to twice its size.
    fn reserve(&mut self, length: usize) -> io::Result<()> {
        match &mut self.room {
            Room::Heap(bytes) if length <= FIRST => {
                let more = FIRST.min(self.expected).max(length) - bytes.len();
                return Ok(bytes.try_reserve_exact(more)?);
            }
            Room::Pages(pages) if length <= pages.len() => return Ok(()),
            _ => {}
        }
        // More than was announced is rare: there is room for as much as is allowed then.
        let size = if length <= self.expected { self.expected } else { self.limit };
        let mut pages = MmapMut::map_anon(size)?;
        pages[..self.length].copy_from_slice(&self.bytes()[..self.length]);
        self.room = Room::Pages(pages);
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        match &self.room {
            Room::Heap(bytes) => bytes,
            Room::Pages(pages) => pages,
        }
    }

    /// The bytes, which count until the guard is dropped.
    pub(super) fn done(self) -> (Bytes, Held) {
        let bytes = match self.room {
            Room::Heap(bytes) => bytes.into(),
            Room::Pages(pages) => Bytes::from_owner(pages).slice(..self.length),
        };
        (bytes, self.held)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::{Config, Engine};
    use crate::registry::Registry;

    fn engine(queue_bytes: usize) -> Engine {
        let config = Config { workers: Some(1), queue_bytes: Some(queue_bytes), ..Config::default() };
        Engine::start(config, Arc::new(Registry::open(None, None).unwrap()))
    }

    fn buffer(engine: &Engine, limit: usize, stated: Option<usize>) -> Buffer {
        Buffer::new(engine.hold(0).unwrap(), limit, stated)
    }

    #[test]
    fn room_is_reserved_once_for_what_is_stated_after_a_first_part_came() {
        let engine = engine(64 << 20);
        let mut buffer = buffer(&engine, 32 << 20, Some(20 << 20));
        let piece = vec![7; 300_000];
        buffer.push(&piece).unwrap();
        assert!(
            matches!(&buffer.room, Room::Heap(bytes) if bytes.capacity() == FIRST),
            "a stated length costs nothing"
        );
        (0..40).for_each(|_| buffer.push(&piece).unwrap());
        assert!(matches!(&buffer.room, Room::Pages(pages) if pages.len() == 20 << 20));
        assert_eq!(engine.health().bytes, 41 * 300_000);
        let (bytes, held) = buffer.done();
        assert!(bytes.len() == 41 * 300_000 && bytes.iter().all(|byte| *byte == 7));
        drop(held);
        assert_eq!(engine.health().bytes, 0);
    }

    #[test]
    fn more_than_is_stated_is_kept_whole() {
        let engine = engine(64 << 20);
        for count in [2, 30] {
            let mut buffer = buffer(&engine, 12 << 20, Some(1000));
            let piece: Vec<u8> = (0..400_000).map(|i| (i % 251) as u8).collect();
            (0..count).for_each(|_| buffer.push(&piece).unwrap());
            assert_eq!(buffer.done().0, piece.repeat(count));
        }
    }

    #[test]
    fn limits_hold_whatever_is_stated() {
        let engine = engine(2000);
        let mut small = buffer(&engine, 1000, Some(1));
        small.push(&[1; 900]).unwrap();
        assert_eq!(small.push(&[1; 101]).unwrap_err().code(), Code::PayloadTooLarge);
        let mut other = buffer(&engine, 1 << 40, None);
        assert_eq!(other.push(&[1; 1101]).unwrap_err().code(), Code::QueueFull, "the first one holds 900");
    }
}
