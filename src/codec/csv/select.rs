//! Selection: which columns of a table are measured, and the table of results that takes their place.

use super::text::{Dialect, Kept, is_date};
use super::{Result, Table, axis, malformed};
use crate::codec::Error;
use crate::sample::{Kind, Spec};

/// How the columns of a table stand, without their numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    dialect: Dialect,
    head: Vec<String>,
    /// For each column, its fields as they were; none for columns that are measured.
    kept: Vec<Option<Kept>>,
    length: usize,
}

impl Table {
    /// Rows.
    pub fn length(&self) -> usize {
        self.lines.len()
    }

    /// The columns that are measured, for a model that takes `spec`, and the form of the whole table.
    ///
    /// Columns of text or numbers that say when a row was measured are none: those named so, a first column of dates, and,
    /// for signals, a first column in even steps unless the model takes as many channels as there are columns. A vector has
    /// all columns if that makes its length.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a column of other text, by its name, for times with a gap, by their line, and where no
    /// column is left.
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
        let (mut measured, mut kept) = (Vec::new(), Vec::new());
        for (column, is_axis) in self.columns.into_iter().zip(is_axis) {
            kept.push(column.kept.filter(|_| is_axis));
            measured.extend(column.numbers.filter(|_| !is_axis));
        }
        Ok((measured, Columns { dialect: self.dialect, head: self.head, kept, length }))
    }

    /// The table without its columns of text: dates and labels are no measurements.
    pub fn without_text(mut self) -> Self {
        let is_number: Vec<bool> = self.columns.iter().map(|column| column.numbers.is_some()).collect();
        let mut each = is_number.iter();
        self.columns.retain(|_| *each.next().unwrap_or(&true));
        let mut each = is_number.iter();
        self.names.retain(|_| *each.next().unwrap_or(&true));
        self
    }

    /// Refuses a column of text that is neither named as time nor a first column of dates.
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
    /// The table with `measured` in place of the columns that were: head and times as they were, numbers as short as they
    /// are, in the same dialect.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are other columns or rows than there were.
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
            let mut columns = measured.iter();
            let field = |kept: &Option<Kept>| match kept {
                Some(kept) => kept.get(row).to_owned(),
                None => self.number(columns.next().map_or(0.0, |column| column[row])),
            };
            let fields: Vec<String> = self.kept.iter().map(field).collect();
            writer.write_record(&fields).map_err(malformed)?;
        }
        writer.flush().map_err(malformed)?;
        drop(writer);
        Ok(text)
    }

    /// A decimal comma alone on a line would read as two columns elsewhere, so that one column gets points.
    fn number(&self, value: f32) -> String {
        let text = value.to_string();
        if self.dialect.has_decimal_comma && self.kept.len() > 1 { text.replacen('.', ",", 1) } else { text }
    }
}
