//! `limpid denoise - --stream`: an endless pipe of lines, CSV or JSON, denoised as its steps become certain.

mod chunks;
mod table;

use std::io::{self, BufRead, Read as _, Write};
use std::sync::Arc;

use super::Error;
use crate::infer::{Piece, SignalStream};
use crate::limits::Limits;
use chunks::Chunks;
use table::Table;

/// Maximum number of bytes of a line.
const LINE_BYTES: u64 = 1 << 20;

/// Maximum number of lines that are computed together if they arrive together.
const LINES: usize = 256;

/// A line with its number, counted from 1.
type Line = (usize, String);

/// Form of the lines, that of the first one.
enum Form<'a> {
    Table(Table),
    Chunks(Chunks<'a>),
}

impl<'a> Form<'a> {
    /// Returns the form of the first line.
    fn of(line: &str, channels: usize, keeps_gaps: bool, limits: &'a Limits) -> Self {
        match line.trim_start().starts_with('{') {
            true => Self::Chunks(Chunks::new(limits)),
            false => Self::Table(Table::new(channels, keeps_gaps)),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Table(table) => table.is_empty(),
            Self::Chunks(chunks) => chunks.is_empty(),
        }
    }

    /// Reads lines as a chunk of all channels, and passes a header on.
    fn read(&mut self, lines: Vec<Line>, output: &mut impl Write) -> Result<Vec<Vec<f32>>, Error> {
        match self {
            Self::Table(table) => table.read(lines, output),
            Self::Chunks(chunks) => chunks.read(lines),
        }
    }

    /// Writes results, and sends them on.
    fn write(&mut self, piece: Piece, output: &mut impl Write) -> Result<(), Error> {
        match self {
            Self::Table(table) => table.write(&piece, output),
            Self::Chunks(chunks) => chunks.write(piece, output),
        }
    }
}

/// Denoises the lines of `input` and writes them to `output`, in the form in which they came.
///
/// # Errors
/// A line is too long or not of the form of the first, the model does not take the signal, or the output is closed.
fn denoise(
    mut input: impl Arriving,
    mut output: impl Write,
    mut stream: SignalStream,
    keeps_gaps: bool,
    limits: &Limits,
) -> Result<(), Error> {
    let (mut form, mut number) = (None, 0);
    loop {
        let lines = arrived(&mut input, &mut number)?;
        let Some((_, first)) = lines.first() else { break };
        let channels = stream.session().input().channels;
        let form = form.get_or_insert_with(|| Form::of(first, channels, keeps_gaps, limits));
        let chunk = form.read(lines, &mut output)?;
        if chunk.is_empty() {
            continue;
        }
        if let Some(piece) = stream.push(&chunk)? {
            form.write(piece, &mut output)?;
        }
    }
    match form.filter(|form| !form.is_empty()) {
        None => Err(Error::Failed("no line of numbers came".into())),
        Some(mut form) => match stream.finish()? {
            Some(piece) => form.write(piece, &mut output),
            None => Ok(()),
        },
    }
}

/// Waits for a line, and returns it with those that have arrived after it; none at the end.
fn arrived(input: &mut impl Arriving, number: &mut usize) -> Result<Vec<Line>, Error> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < LINES && bytes < LINE_BYTES {
        let mut line = String::new();
        let read = input.by_ref().take(LINE_BYTES).read_line(&mut line);
        let count = read.map_err(|source| Error::Io { path: "standard input".into(), source })? as u64;
        if count == 0 {
            break;
        }
        *number += 1;
        if count == LINE_BYTES && !line.ends_with('\n') {
            return Err(Error::Failed(format!("line {number} has more than {LINE_BYTES} bytes")));
        }
        bytes += count;
        lines.push((*number, line));
        // Data that has arrived is passed on at once, without waiting for more.
        if !input.has_line() {
            break;
        }
    }
    Ok(lines)
}

/// Lines that arrive in time.
trait Arriving: BufRead {
    /// Returns `true` if a whole line has arrived already, without waiting for one.
    fn has_line(&mut self) -> bool;
}

impl<R: io::Read> Arriving for io::BufReader<R> {
    fn has_line(&mut self) -> bool {
        self.buffer().contains(&b'\n')
    }
}

fn closed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::ClosedPipe,
        _ => Error::Io { path: "standard output".into(), source: error },
    }
}

/// Denoises standard input to standard output.
///
/// # Errors
/// As [`denoise`].
pub(super) fn run(stream: SignalStream, keeps_gaps: bool, limits: &Limits) -> Result<(), Error> {
    let session = Arc::clone(stream.session());
    eprintln!(
        "{}: a line comes back at most {} lines after it, once there are statistics; the network sees {} on either side",
        session.id(),
        stream.latency(),
        stream.reach()
    );
    denoise(io::BufReader::new(io::stdin()), io::stdout().lock(), stream, keeps_gaps, limits)
}
