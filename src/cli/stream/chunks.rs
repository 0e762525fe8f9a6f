//! Chunks: a pipe of JSON lines, `{"data": [...]}` each, as of `POST /denoise`.

use std::io::Write;

use super::{Line, closed};
use crate::cli::Error;
use crate::codec::Chunk;
use crate::infer::Piece;
use crate::limits::Limits;

/// Form of the chunks of a pipe.
pub(super) struct Chunks<'a> {
    limits: &'a Limits,
    /// `true` if the numbers of one channel come without a list around them.
    is_flat: bool,
    is_empty: bool,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, is_flat: true, is_empty: true }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Reads lines as one chunk; no channels if all are blank.
    ///
    /// # Errors
    /// A line is no chunk, or has other channels than those before it.
    pub(super) fn read(&mut self, lines: Vec<Line>) -> Result<Vec<Vec<f32>>, Error> {
        let mut joined: Vec<Vec<f32>> = Vec::new();
        for (number, line) in lines.into_iter().filter(|(_, line)| !line.trim().is_empty()) {
            let failed = |reason: String| Error::Failed(format!("line {number}: {reason}"));
            let Chunk { channels, is_flat } =
                Chunk::from_line(line.as_bytes(), self.limits).map_err(|e| failed(e.to_string()))?;
            if joined.is_empty() {
                joined = vec![Vec::new(); channels.len()];
            }
            if channels.len() != joined.len() {
                let (own, first) = (channels.len(), joined.len());
                return Err(failed(format!("{own} channel(s) after chunks of {first}")));
            }
            joined.iter_mut().zip(channels).for_each(|(all, own)| all.extend(own));
            (self.is_flat, self.is_empty) = (is_flat, false);
        }
        Ok(joined)
    }

    /// Writes the steps of a piece as a line.
    ///
    /// # Errors
    /// The output is closed.
    pub(super) fn write(&self, piece: Piece, output: &mut impl Write) -> Result<(), Error> {
        let chunk = Chunk { channels: piece.channels, is_flat: self.is_flat };
        output.write_all(&chunk.to_line(piece.start)).and_then(|()| output.flush()).map_err(closed)
    }
}
