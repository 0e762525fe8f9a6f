//! CSV of numbers: one vector per row, or one time step per row with one channel per column.

mod axis;
mod select;
mod text;

use crate::limits::Limits;

use super::{Error, Result, within};
use text::{Dialect, Kept, number};

pub use select::Columns;
pub use text::is_missing as is_missing_field;

/// Parsed table: its columns of numbers, and the text to restore on writing.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    dialect: Dialect,
    /// Unchanged lines above the numbers: names, units, comments.
    head: Vec<String>,
    /// Column names; empty if there are none.
    names: Vec<String>,
    columns: Vec<Column>,
    /// Line number of each row in the file, counted from 1.
    lines: Vec<u32>,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
struct Column {
    /// Parsed numbers, NaN where one is missing; `None` if the first field is text.
    numbers: Option<Vec<f32>>,
    /// Unchanged fields, for columns that may not be measurements (text, time) or in which numbers are missing.
    kept: Option<Kept>,
}

/// Parses a table: numbers separated by commas, semicolons, tabs or blanks, one separator throughout, with a decimal
/// point or, if fields show one, a decimal comma. Lines without numbers above the first row are the header. The text
/// may be UTF-8, UTF-16 with a byte order mark, or Windows-1252.
///
/// A field that is empty, or `NA`, `NaN`, `null`, `-` and the like, is a missing number; in an empty line between rows all
/// are missing.
///
/// # Errors
/// [`Error::Malformed`] with the line, if the file is not text, a field is not a number or a row has another length;
/// [`Error::NonFinite`] for a number beyond `f32`; [`Error::Inexact`]; [`Error::TooLarge`] if one row is over
/// `array_numbers`.
pub fn read_csv(bytes: &[u8], limits: &Limits) -> Result<Table> {
    let text = text::decode(bytes)?;
    let (mut dialect, head, body, first) = text::split_head(&text)?;
    let rows = text::records(body, &dialect, first)?;
    let Some((_, first_row)) = rows.first() else {
        return Err(malformed(if head.is_empty() { "no rows" } else { "no rows below the header" }));
    };
    let rows = if dialect.settle_decimals(&rows, head.last().map(String::as_str))? {
        // Each line was one number, split in two at its decimal comma.
        rows.iter().map(|(line, fields)| (*line, vec![fields.join(",")])).collect()
    } else {
        within("array numbers", first_row.len(), limits.array_numbers)?;
        rows
    };
    let rows = with_empty_lines(rows);
    let names = text::names(&head, &dialect, rows[0].1.len());
    let columns =
        (0..rows[0].1.len()).map(|at| column(&rows, at, &names, &dialect)).collect::<Result<Vec<_>>>()?;
    let lines = rows.iter().map(|(line, _)| *line).collect();
    Ok(Table { dialect, head, names, columns, lines })
}

fn malformed(reason: impl ToString) -> Error {
    Error::malformed("csv", reason)
}

/// Line number and fields of a row.
type Row = (u32, Vec<String>);

/// Gives empty lines as many empty fields as the first row has.
fn with_empty_lines(mut rows: Vec<Row>) -> Vec<Row> {
    let width = rows.first().map_or(0, |(_, fields)| fields.len());
    let empty = rows.iter_mut().filter(|(_, fields)| fields.iter().all(String::is_empty));
    empty.for_each(|(_, fields)| *fields = vec![String::new(); width]);
    rows
}

fn column(rows: &[Row], at: usize, names: &[String], dialect: &Dialect) -> Result<Column> {
    let width = rows[0].1.len();
    let is_text = number(&rows[0].1[at], dialect).is_none() && !text::is_missing(&rows[0].1[at]);
    let has_gap = rows.iter().any(|(_, fields)| fields.get(at).is_some_and(|field| text::is_missing(field)));
    let is_kept =
        is_text || has_gap || at == 0 || names.get(at).is_some_and(|name| axis::is_name_of_time(name));
    let mut numbers = Vec::with_capacity(rows.len());
    let mut kept = Kept::default();
    for (line, fields) in rows {
        if fields.len() != width {
            return Err(malformed(format!(
                "line {line} has {} fields, the rows before it {width}",
                fields.len()
            )));
        }
        if is_kept {
            kept.push(&fields[at]);
        }
        if !is_text {
            numbers.push(exact(&fields[at], dialect, *line, at)?);
        }
    }
    Ok(Column { numbers: (!is_text).then_some(numbers), kept: is_kept.then_some(kept) })
}

/// Parses a field as a number that `f32` holds exactly or printed itself.
fn exact(field: &str, dialect: &Dialect, line: u32, at: usize) -> Result<f32> {
    let place = || format!("line {line}, field {}", at + 1);
    if text::is_missing(field) {
        return Ok(f32::NAN);
    }
    let Some(value) = number(field, dialect) else {
        let shown: String = field.chars().take(40).collect();
        return Err(malformed(format!("{}: {shown:?} is not a number", place())));
    };
    let is_whole = field.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'+');
    // `f32` prints large values as integers without a point: a field printed by `f32` is accepted although it is not
    // exact.
    let is_printed = || (value as f32).to_string() == field;
    if is_whole && value.is_finite() && f64::from(value as f32) != value && !is_printed() {
        return Err(Error::inexact(field));
    }
    if value.is_finite() && !(value as f32).is_finite() {
        return Err(Error::NonFinite { place: place(), value: value as f32, count: 1 });
    }
    Ok(value as f32)
}

impl Table {
    /// Checks that no number is missing.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with line, row and column of the first one.
    pub fn check_finite(&self) -> Result<()> {
        let numbers = self.columns.iter().enumerate().filter_map(|(at, c)| Some((at, c.numbers.as_ref()?)));
        let mut bad: Vec<(usize, usize, f32)> = Vec::new();
        for (at, numbers) in numbers {
            let missing = numbers.iter().enumerate().filter(|(_, v)| !v.is_finite());
            bad.extend(missing.map(|(row, v)| (row, at, *v)));
        }
        let Some(&(row, at, value)) = bad.iter().min_by_key(|(row, at, _)| (*row, *at)) else {
            return Ok(());
        };
        let place = format!("line {} of the file, row {row}, column {at}", self.lines[row]);
        Err(Error::NonFinite { place, value, count: bad.len() })
    }

    /// Marks all numbers equal to `sentinel` as missing.
    pub fn mark_missing(&mut self, sentinel: f32) {
        let numbers = self.columns.iter_mut().filter_map(|column| column.numbers.as_mut()).flatten();
        numbers.filter(|v| **v == sentinel).for_each(|v| *v = f32::NAN);
    }
}

/// Writes `rows` as comma-separated text, each number with the fewest digits that parse back to it. A field of a missing
/// number is empty, and `NaN` if it is alone in its row.
pub fn write_csv<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for row in rows {
        for (i, value) in row.iter().enumerate() {
            text.push_str(if i == 0 { "" } else { "," });
            // An empty line would be no row for some readers. Writing to a `String` cannot fail.
            if !value.is_nan() || row.len() == 1 {
                let _ = write!(text, "{value}");
            }
        }
        text.push('\n');
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Kind, Spec};

    fn read(text: &str) -> Result<Table> {
        read_csv(text.as_bytes(), &Limits::default())
    }

    fn rows(text: &str) -> Result<Vec<Vec<f32>>> {
        let (columns, _) = read(text)?.select(None)?;
        Ok((0..columns[0].len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect())
    }

    fn signal(channels: usize) -> Spec {
        Spec { kind: Kind::Signal, channels, fixed: None }
    }

    /// Reads a table and writes it with its measured numbers doubled.
    fn doubled(text: &str, spec: &Spec) -> Result<String> {
        let (columns, form) = read(text)?.select(Some(spec))?;
        let columns: Vec<Vec<f32>> =
            columns.iter().map(|column| column.iter().map(|v| 2.0 * v).collect()).collect();
        Ok(String::from_utf8(form.write(&columns).unwrap()).unwrap())
    }

    #[test]
    fn rows_are_read_with_every_separator() {
        for text in [
            "1,2.5\n-3,4e2\n",
            "1;2.5\r\n-3;4e2",
            "1;2,5\r\n-3;4e2",
            "1\t2.5\n-3\t4e2",
            "1\t2,5\n-3\t4e2",
            "1 2.5\n -3   4e2",
            "\u{feff}1, \"2.5\"\n-3,4e2\n\n",
            "\"1\",\"2,5\"\n\"-3\",\"4e2\"",
            "sep=;\n1;2,5\n-3;4e2\n",
            "# made by hand\n# a b\n1 2.5\n-3 4e2\n",
        ] {
            assert_eq!(rows(text), Ok(vec![vec![1.0, 2.5], vec![-3.0, 400.0]]), "{text:?}");
        }
        for text in ["\"0.25\"\n\"0.5\"\n", "0,25\n0,05\n-0,50\n"] {
            assert_eq!(rows(text).map(|rows| rows[0].clone()), Ok(vec![0.25]), "{text:?}");
        }
    }

    #[test]
    fn utf_16_and_windows_text_are_read() {
        let text = "Spannung \u{b5}V\n1,5\n2,05\n";
        for bytes in [
            [&[0xff, 0xfe][..], &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()].concat(),
            [&[0xfe, 0xff][..], &text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()].concat(),
            text.chars().map(|c| c as u8).collect(),
        ] {
            let table = read_csv(&bytes, &Limits::default()).unwrap();
            assert_eq!((table.names.clone(), table.columns.len()), (vec!["Spannung \u{b5}V".to_owned()], 1));
            assert_eq!(table.columns[0].numbers, Some(vec![1.5, 2.05]));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = vec![vec![1.0, -2.5e-7], vec![f32::MAX, 0.1]];
        let text = write_csv(written.iter().map(Vec::as_slice));
        assert_eq!(rows(std::str::from_utf8(&text).unwrap()), Ok(written));
    }

    #[test]
    fn a_table_comes_back_in_its_own_dialect() {
        let one = signal(1);
        for (text, expected) in [
            ("a;b\r\n0,5;1\r\n0,25;2\r\n", "a;b\r\n1;2\r\n0,5;4\r\n"),
            ("time,V\n0.00,1\n0.10,2\n0.20,4\n", "time,V\n0.00,2\n0.10,4\n0.20,8\n"),
            ("2016-07-01 00:00;1\n2016-07-01 01:00;2\n", "2016-07-01 00:00;2\n2016-07-01 01:00;4\n"),
            ("'t','V'\n'sec','mV'\n0,1\n1,2\n2,1\n", "'t','V'\n'sec','mV'\n0,2\n1,4\n2,2\n"),
            ("0,05\n0,10\n", "0.1\n0.2\n"),
        ] {
            assert_eq!(doubled(text, &one).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_first_column_that_counts_is_no_measurement() {
        let counted: String = (0..12).map(|t| format!("{},{}\n", t * 5, t % 3)).collect();
        let (columns, _) = read(&counted).unwrap().select(Some(&signal(1))).unwrap();
        assert_eq!(columns.len(), 1);
        // A model of two channels takes both columns.
        assert_eq!(read(&counted).unwrap().select(Some(&signal(2))).unwrap().0.len(), 2);
        let vectors = Spec { kind: Kind::Vector, channels: 1, fixed: None };
        assert_eq!(read(&counted).unwrap().select(Some(&vectors)).unwrap().0.len(), 2);
    }

    #[test]
    fn what_is_no_table_of_numbers_is_refused_with_its_line() {
        for (text, says) in [
            ("", "no rows"),
            ("a,b\n", "no rows below"),
            ("1,2\n3\n", "line 2 has 1"),
            ("a,b\n\n1,2\n3,x\n", "line 4, field 2"),
            ("0,1,0,05\n-0,1,0,2\n", "decimal comma"),
            ("1.5;2,5\n1;2\n", "decimal"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(says), "{text:?}: {error}");
        }
        for (text, says) in [
            ("time,V\n0,1\n1,2\n5,3\n6,4\n", "line 4"),
            ("V,who\n1,me\n2,you\n", "\"who\""),
            ("time\n0\n1\n", "no column"),
        ] {
            let error = doubled(text, &signal(1)).unwrap_err();
            assert!(error.to_string().contains(says), "{text:?}: {error}");
        }
        assert!(matches!(read_csv(&[0xff, 0, 1, b'1'], &Limits::default()), Err(Error::Malformed { .. })));
    }

    #[test]
    fn missing_numbers_stay_where_and_as_they_were() {
        let one = signal(1);
        for (text, expected) in [
            ("a;b\n1,5;x\n", None),
            ("a\n1\n\nNA\n2.5\n", Some("a\n2\n\"\"\nNA\n5\n")),
            ("a,b\n1,2\n,3\n\n4,NaN\n5,-\n", Some("a,b\n2,4\n,6\n,\n8,NaN\n10,-\n")),
            ("a;b\r\n0,5;\r\n;1,5\r\n", Some("a;b\r\n1;\r\n;3\r\n")),
            ("a\tb\n1\t\n2\t3\n4\t", Some("a\tb\n2\t\n4\t6\n8\t\n")),
        ] {
            assert_eq!(doubled(text, &one).ok().as_deref(), expected, "{text:?}");
        }
        let error = doubled("time,V\n0,1\n\n2,3\n", &one).unwrap_err().to_string();
        assert!(error.contains("line 3: the time is missing"), "{error}");
        let mut table = read("1,2\n-9999,4\n5,6\n").unwrap();
        table.mark_missing(-9999.0);
        let (columns, form) = table.select(None).unwrap();
        assert!(columns[0][1].is_nan() && columns[1] == [2.0, 4.0, 6.0]);
        let sentinel = vec![vec![1.0, -9999.0, 5.0], columns[1].clone()];
        assert_eq!(form.write(&sentinel).unwrap(), b"1,2\n-9999,4\n5,6\n");
        assert_eq!(write_csv([&[1.0, f32::NAN][..], &[f32::NAN, 2.0]].into_iter()), b"1,\n,2\n");
    }

    #[test]
    fn numbers_that_are_not_finite_or_not_exact_are_told_with_their_place() {
        for bad in ["nan", "inf", ""] {
            let error = read(&format!("1,2\n3,{bad}\n")).unwrap().check_finite().unwrap_err();
            let Error::NonFinite { place, count, .. } = error else { panic!("{error}") };
            assert_eq!((place.as_str(), count), ("line 2 of the file, row 1, column 1", 1));
        }
        let error = read("1,2\n3,1e39\n").unwrap_err();
        assert!(matches!(&error, Error::NonFinite { place, .. } if place == "line 2, field 2"), "{error}");
        assert!(matches!(read("16777217\n"), Err(Error::Inexact { .. })));
        assert!(read("16777216\n16777217.0\n").is_ok());
    }

    #[test]
    fn a_row_over_the_limit_is_refused() {
        let limits = Limits { array_numbers: 2, ..Limits::default() };
        assert!(matches!(read_csv(b"1,2,3", &limits), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn columns_of_dates_and_labels_can_be_left_out() {
        let expected = Ok(vec![vec![1.5, 3.0], vec![2.0, 4.0]]);
        for text in [
            "date,a,label,b\n2016-07-01 00:00:00,1.5,x,2\n2016-07-02 00:00:00,3,y,4\n",
            "2016-07-01;1.5;2\n2016-07-02;3;4\n",
            "x   1.5  2\n y  3   4\n",
            "\u{feff}x,1.5,2\ny,3,4\n",
            " \nx,1.5,2\ny,3,4\n",
        ] {
            assert_eq!(
                read(text).and_then(|t| t.without_text().select(None)).map(|(c, _)| c),
                expected,
                "{text:?}"
            );
        }
        assert!(read("name\nx\ny\n").and_then(|t| t.without_text().select(None)).is_err());
    }
}
