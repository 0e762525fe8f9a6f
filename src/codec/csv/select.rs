//! Selection: chooses the measured columns of a table, and writes the results in their place.

use super::text::{Dialect, Kept, is_date};
use super::{Column, Result, Table, axis, malformed};
use crate::codec::Error;
use crate::sample::{Kind, Spec};

/// Smallest number of rows to take for steps in time.
const COURSE: usize = 32;

/// Form of a table without its measured numbers: dialect, header and other columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    dialect: Dialect,
    head: Vec<String>,
    /// Unchanged fields of each column; `None` for measured columns.
    kept: Vec<Option<Kept>>,
    /// Fields of each measured column in which numbers are missing, `None` for the others.
    gaps: Vec<Option<Kept>>,
    length: usize,
}

impl Table {
    /// Returns the number of rows.
    pub fn length(&self) -> usize {
        self.lines.len()
    }

    /// Returns `true` if the rows are surely steps in time: beside the measured columns there is one of times or dates, or one
    /// that counts, or there is one column alone.
    pub fn is_course(&self) -> bool {
        let all = self.columns.iter().filter(|column| column.numbers.is_some()).count();
        let tells = |(at, column): (usize, &Column)| {
            let is_named = self.names.get(at).is_some_and(|name| axis::is_name_of_time(name));
            let is_first = at == 0 && all > 1;
            match &column.numbers {
                None => is_named || at == 0 && is_date(column.kept.as_ref().map_or("", |kept| kept.get(0))),
                Some(numbers) => all > 1 && is_named || is_first && axis::is_even(numbers),
            }
        };
        self.length() >= COURSE && all > 0 && (all == 1 || self.columns.iter().enumerate().any(tells))
    }

    /// Splits the table into its measured columns, for a model with input `spec`, and the form of the table.
    ///
    /// Columns of text and of times are not measured: those named as time, a first column of dates, and, for signals, a
    /// first column in even steps unless the model takes as many channels as there are columns. A vector takes all
    /// columns if their number is its length.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a column of other text, by its name, for a time column with a gap, by its line, and if
    /// no column is left.
    pub fn select(self, spec: Option<&Spec>) -> Result<(Vec<Vec<f32>>, Columns)> {
        let is_signal = spec.is_some_and(|spec| spec.kind == Kind::Signal);
        let all = self.columns.iter().filter(|column| column.numbers.is_some()).count();
        let wanted = spec.map_or(0, |spec| match (spec.kind, spec.fixed) {
            (Kind::Vector, Some(fixed)) => fixed.numbers(),
            _ => spec.channels,
        });
        let takes_all = all == wanted && all > 1;
        let mut is_axis = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter().enumerate() {
            let is_named = self.names.get(at).is_some_and(|name| axis::is_name_of_time(name));
            is_axis.push(match &column.numbers {
                None => {
                    self.check_text(at, is_named)?;
                    true
                }
                Some(_) if takes_all && !(is_signal && is_named) => false,
                Some(_) if is_named => true,
                Some(numbers) => is_signal && at == 0 && all > 1 && axis::is_even(numbers),
            });
        }
        if is_axis.iter().all(|is_axis| *is_axis) {
            return Err(malformed("no column of measured numbers beside those of time"));
        }
        if is_signal {
            let times = self.columns.iter().zip(&is_axis).filter(|(_, is_axis)| **is_axis);
            let times = times.filter_map(|(column, _)| column.numbers.as_ref());
            times.into_iter().try_for_each(|times| axis::check_steps(times, &self.lines))?;
        }
        let length = self.length();
        let (mut measured, mut kept, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
        for (column, is_axis) in self.columns.into_iter().zip(is_axis) {
            let numbers = column.numbers.filter(|_| !is_axis);
            let has_gap = numbers.as_ref().is_some_and(|numbers| numbers.iter().any(|v| !v.is_finite()));
            let (own, gap) =
                if is_axis { (column.kept, None) } else { (None, column.kept.filter(|_| has_gap)) };
            kept.push(own);
            if let Some(numbers) = numbers {
                measured.push(numbers);
                gaps.push(gap);
            }
        }
        Ok((measured, Columns { dialect: self.dialect, head: self.head, kept, gaps, length }))
    }

    /// Removes text columns: dates and labels are not measurements.
    pub fn without_text(mut self) -> Self {
        let is_number: Vec<bool> = self.columns.iter().map(|column| column.numbers.is_some()).collect();
        let mut each = is_number.iter();
        self.columns.retain(|_| *each.next().unwrap_or(&true));
        let mut each = is_number.iter();
        self.names.retain(|_| *each.next().unwrap_or(&true));
        self
    }

    /// Rejects a text column that is neither named as time nor a first column of dates.
    fn check_text(&self, at: usize, is_named: bool) -> Result<()> {
        let first = self.columns[at].kept.as_ref().map_or("", |kept| kept.get(0));
        if is_named || at == 0 && is_date(first) {
            return Ok(());
        }
        let shown: String = first.chars().take(40).collect();
        let name = self.names.get(at).map_or_else(|| (at + 1).to_string(), |name| format!("{name:?}"));
        let line = self.lines[0];
        Err(malformed(format!(
            "column {name} holds text ({shown:?} in line {line} is not a number); leave this column out"
        )))
    }
}

impl Columns {
    /// Writes the table in its dialect with `measured` in place of the measured columns: header and time columns
    /// unchanged, each number with the fewest digits that parse back to it. Where one is NaN the field stays as it was.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of columns or rows has changed.
    pub fn write(&self, measured: &[Vec<f32>]) -> Result<Vec<u8>> {
        let places = self.kept.iter().filter(|kept| kept.is_none()).count();
        if measured.len() != places || measured.iter().any(|column| column.len() != self.length) {
            let expected = format!("{places} column(s) of {} numbers", self.length);
            return Err(Error::shape(expected, format!("{} column(s)", measured.len())));
        }
        let end = if self.dialect.has_carriage_returns { "\r\n" } else { "\n" };
        let mut text: Vec<u8> =
            self.head.iter().flat_map(|line| format!("{line}{end}").into_bytes()).collect();
        let terminator = match self.dialect.has_carriage_returns {
            true => csv::Terminator::CRLF,
            false => csv::Terminator::Any(b'\n'),
        };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.dialect.delimiter())
            .terminator(terminator)
            .from_writer(&mut text);
        for row in 0..self.length {
            let mut columns = measured.iter().zip(&self.gaps);
            let field = |kept: &Option<Kept>| match kept {
                Some(kept) => kept.get(row).to_owned(),
                None => columns.next().map_or_else(String::new, |(column, gap)| match gap {
                    _ if !column[row].is_nan() => self.number(column[row]),
                    Some(gap) => gap.get(row).to_owned(),
                    None => String::new(),
                }),
            };
            let fields: Vec<String> = self.kept.iter().map(field).collect();
            writer.write_record(&fields).map_err(malformed)?;
        }
        writer.flush().map_err(malformed)?;
        drop(writer);
        Ok(text)
    }

    /// Formats a number. A single column always gets a decimal point, because other programs would read a comma as a
    /// separator.
    fn number(&self, value: f32) -> String {
        let text = value.to_string();
        if self.dialect.has_decimal_comma && self.kept.len() > 1 { text.replacen('.', ",", 1) } else { text }
    }
}
