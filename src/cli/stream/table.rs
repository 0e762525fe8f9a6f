//! Table: a pipe of CSV lines.

use std::collections::VecDeque;
use std::io::Write;

use super::{Line, closed};
use crate::cli::Error;
use crate::codec::is_missing_field;
use crate::infer::Piece;

/// Form of CSV lines, and those whose results are not there yet.
///
/// The last columns, as many as the model has channels, are measured; those before them, such as times, stay as they are.
/// Lines without numbers before the first one are the header. An empty field, `NA` and the like are missing numbers: they
/// stay as they are, or are filled if `keeps_gaps` is not set.
pub(super) struct Table {
    channels: usize,
    keeps_gaps: bool,
    separator: Option<char>,
    /// `true` once a number with a decimal comma came.
    has_decimal_comma: bool,
    waiting: VecDeque<Vec<String>>,
    count: usize,
}

impl Table {
    pub(super) fn new(channels: usize, keeps_gaps: bool) -> Self {
        Self {
            channels,
            keeps_gaps,
            separator: None,
            has_decimal_comma: false,
            waiting: VecDeque::new(),
            count: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads lines as a chunk, and passes the header on.
    ///
    /// # Errors
    /// A line has another number of fields, or a field is no number.
    pub(super) fn read(&mut self, lines: Vec<Line>, output: &mut impl Write) -> Result<Vec<Vec<f32>>, Error> {
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
    pub(super) fn write(&mut self, piece: &Piece, output: &mut impl Write) -> Result<(), Error> {
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
