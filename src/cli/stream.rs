//! `limpid denoise - --stream`: an endless pipe of CSV lines, denoised as its steps become certain.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read as _, Write};
use std::sync::Arc;

use super::Error;
use crate::codec::is_missing_field;
use crate::infer::{Piece, SignalStream};

/// Most bytes of a line.
const LINE_BYTES: u64 = 1 << 16;

/// Lines that are computed together if they arrive together.
const LINES: usize = 256;

/// Denoises the lines of `input` and writes them to `output`.
///
/// The last columns, as many as the model has channels, are measured; those before them, such as times, stay as they are.
/// Lines without numbers before the first one are the header. An empty field, `NA` and the like are missing numbers: they
/// stay as they are, or are filled if `keeps_gaps` is not set.
///
/// # Errors
/// A line is too long or has another number of fields, a field is no number, the model does not take the signal, or the output is closed.
pub(super) fn denoise(
    input: impl Arriving,
    output: impl Write,
    mut stream: SignalStream,
    keeps_gaps: bool,
) -> Result<(), Error> {
    let mut table = Table::new(stream.session().input().channels, keeps_gaps);
    let (mut input, mut output, mut number) = (input, output, 0usize);
    loop {
        let mut lines = Vec::new();
        while lines.len() < LINES {
            let mut line = String::new();
            let read = input.by_ref().take(LINE_BYTES).read_line(&mut line);
            let count = read.map_err(|source| Error::Io { path: "standard input".into(), source })?;
            if count == 0 {
                break;
            }
            number += 1;
            if count as u64 == LINE_BYTES && !line.ends_with('\n') {
                return Err(Error::Failed(format!("line {number} has more than {LINE_BYTES} bytes")));
            }
            lines.push((number, line));
            // Data that has arrived is passed on at once, without waiting for more.
            if !input.has_line() {
                break;
            }
        }
        if lines.is_empty() {
            break;
        }
        let chunk = table.read(lines, &mut output)?;
        if let Some(piece) = stream.push(&chunk)? {
            table.write(&piece, &mut output)?;
        }
    }
    if table.is_empty() {
        return Err(Error::Failed("no line of numbers came".into()));
    }
    if let Some(piece) = stream.finish()? {
        table.write(&piece, &mut output)?;
    }
    Ok(())
}

/// Lines that arrive in time.
pub(super) trait Arriving: BufRead {
    /// Returns `true` if a whole line has arrived already, without waiting for one.
    fn has_line(&mut self) -> bool;
}

impl<R: io::Read> Arriving for io::BufReader<R> {
    fn has_line(&mut self) -> bool {
        self.buffer().contains(&b'\n')
    }
}

/// Form of the lines, and those that wait for their results.
struct Table {
    channels: usize,
    keeps_gaps: bool,
    separator: Option<char>,
    /// `true` once a number with a decimal comma came.
    has_decimal_comma: bool,
    waiting: VecDeque<Vec<String>>,
    count: usize,
}

impl Table {
    fn new(channels: usize, keeps_gaps: bool) -> Self {
        Self {
            channels,
            keeps_gaps,
            separator: None,
            has_decimal_comma: false,
            waiting: VecDeque::new(),
            count: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads lines as a chunk, and passes the header on.
    fn read(&mut self, lines: Vec<(usize, String)>, output: &mut impl Write) -> Result<Vec<Vec<f32>>, Error> {
        let mut chunk = vec![Vec::new(); self.channels];
        for (number, line) in lines {
            let line = line.trim_end_matches(['\n', '\r']);
            if self.is_empty() && !self.starts(line) {
                writeln!(output, "{line}").map_err(closed)?;
                continue;
            }
            let fields: Vec<String> = match self.separator {
                Some(separator) => line.split(separator).map(str::to_owned).collect(),
                None => vec![line.to_owned()],
            };
            let width = self.waiting.front().map_or(fields.len(), Vec::len);
            if fields.len() < self.channels || fields.len() != width {
                return Err(Error::Failed(format!(
                    "line {number} has {} field(s), expected {}: the model takes {} channel(s)",
                    fields.len(),
                    width.max(self.channels),
                    self.channels
                )));
            }
            let measured = &fields[fields.len() - self.channels..];
            for (channel, field) in chunk.iter_mut().zip(measured) {
                channel.push(number_of(field, self.separator, number)?);
                self.has_decimal_comma |= has_comma(field, self.separator);
            }
            self.waiting.push_back(fields);
            self.count += 1;
        }
        Ok(chunk)
    }

    /// Returns `true` for the first line with enough numbers, and takes its separator.
    fn starts(&mut self, line: &str) -> bool {
        let separator = [';', '\t', ','].into_iter().find(|mark| line.contains(*mark));
        let fields: Vec<&str> =
            separator.map_or_else(|| vec![line], |separator| line.split(separator).collect());
        let last = fields.iter().rev().take(self.channels);
        let is_number =
            |field: &str| field.trim().trim_matches('"').replacen(',', ".", 1).parse::<f32>().is_ok();
        let starts = fields.len() >= self.channels && last.clone().any(|field| is_number(field));
        if starts {
            self.separator = separator;
        }
        starts
    }

    /// Writes lines whose results are there, and sends them on.
    fn write(&mut self, piece: &Piece, output: &mut impl Write) -> Result<(), Error> {
        let separator = self.separator.map_or_else(String::new, String::from);
        for step in 0..piece.channels[0].len() {
            let Some(mut fields) = self.waiting.pop_front() else { break };
            let first = fields.len() - self.channels;
            for (field, channel) in fields[first..].iter_mut().zip(&piece.channels) {
                // A missing number stays as it was written.
                if !(self.keeps_gaps && channel[step].is_nan()) {
                    let number = channel[step].to_string();
                    *field = if self.has_decimal_comma { number.replacen('.', ",", 1) } else { number };
                }
            }
            writeln!(output, "{}", fields.join(&separator)).map_err(closed)?;
        }
        output.flush().map_err(closed)
    }
}

/// Parses a field; NaN if its number is missing.
fn number_of(field: &str, separator: Option<char>, line: usize) -> Result<f32, Error> {
    let bare = field.trim().trim_matches('"').trim();
    if is_missing_field(bare) {
        return Ok(f32::NAN);
    }
    let text = if has_comma(bare, separator) { bare.replacen(',', ".", 1) } else { bare.to_owned() };
    let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| {
        let shown: String = bare.chars().take(40).collect();
        Error::Failed(format!("line {line}: {shown:?} is no number of float32"))
    })
}

/// Returns `true` if a field has a decimal comma.
fn has_comma(field: &str, separator: Option<char>) -> bool {
    separator != Some(',') && field.contains(',') && !field.contains('.')
}

fn closed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::ClosedPipe,
        _ => Error::Io { path: "standard output".into(), source: error },
    }
}

/// Runs [`denoise`] between standard input and standard output.
///
/// # Errors
/// As [`denoise`].
pub(super) fn run(stream: SignalStream, keeps_gaps: bool) -> Result<(), Error> {
    let session = Arc::clone(stream.session());
    eprintln!(
        "{}: a line comes back at most {} lines after it, once there are statistics; the network sees {} on either side",
        session.id(),
        stream.latency(),
        stream.reach()
    );
    denoise(io::BufReader::new(io::stdin()), io::stdout().lock(), stream, keeps_gaps)
}
