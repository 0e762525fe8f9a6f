//! Buffer: bytes that arrive piece by piece, within a limit, counted as held memory as they come.

use std::time::Duration;

use axum::body::Bytes;

use super::body::too_large;
use super::error::{Code, Problem};
use crate::engine::Held;

/// Bytes that arrive before room is reserved for all of them: the length is the client's word.
const FIRST: usize = 1 << 20;

/// Bytes that arrived so far.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    held: Held,
    limit: usize,
    /// Bytes expected in total.
    expected: usize,
}

impl Buffer {
    /// An empty buffer for at most `limit` bytes, of which `stated` are announced.
    pub(super) fn new(held: Held, limit: usize, stated: Option<usize>) -> Self {
        Self { bytes: Vec::new(), held, limit, expected: stated.unwrap_or(limit).min(limit) }
    }

    /// Appends `piece`.
    ///
    /// # Errors
    /// 413 over the limit; 429 if there is no memory now.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Problem> {
        let length = self.bytes.len() + piece.len();
        if length > self.limit {
            return Err(too_large(self.limit, length));
        }
        self.held.grow(piece.len())?;
        self.reserve(length)?;
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Reserves room for `length` bytes: first for little, then once for all that is expected. A buffer that grows by copies
    /// takes up to twice its size, while reserved pages that nothing was written to take no memory.
    fn reserve(&mut self, length: usize) -> Result<(), Problem> {
        if length <= self.bytes.capacity() {
            return Ok(());
        }
        let room = if length <= FIRST { FIRST.min(self.expected) } else { self.expected };
        let more = room.max(length) - self.bytes.len();
        self.bytes.try_reserve_exact(more).map_err(|_| {
            let detail = format!("no memory for a body of {} bytes now", room.max(length));
            Problem::new(Code::QueueFull, detail).retry_after(Duration::from_secs(1))
        })
    }

    /// The bytes, which count until the guard is dropped.
    pub(super) fn done(self) -> (Bytes, Held) {
        (self.bytes.into(), self.held)
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
        assert_eq!(buffer.bytes.capacity(), FIRST, "a length that is stated costs nothing");
        (0..40).for_each(|_| buffer.push(&piece).unwrap());
        assert_eq!(buffer.bytes.capacity(), 20 << 20);
        assert_eq!(engine.health().bytes, 41 * 300_000);
        let (bytes, held) = buffer.done();
        assert!(bytes.len() == 41 * 300_000 && bytes.iter().all(|byte| *byte == 7));
        drop(held);
        assert_eq!(engine.health().bytes, 0);
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
