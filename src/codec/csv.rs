//! CSV of numbers: one vector a line, or one step in time.

use std::fmt::Write as _;

use super::{Error, Result, within};
use crate::limits::Limits;

/// The rows of `bytes`: numbers separated by commas, semicolons, tabs or blanks, one separator throughout.
/// A first line without any number is a header and is left out; empty lines are too.
///
/// # Errors
/// [`Error::Malformed`] with the line, where it is no text, a field is no number or a row is of another
/// length; [`Error::NonFinite`]; [`Error::TooLarge`] where one row is over `array_numbers` or there are more rows
/// than `archive_entries`, as if each were a file of its own.
pub fn read_csv(bytes: &[u8], limits: &Limits) -> Result<Vec<Vec<f32>>> {
    let text = csv_text(bytes)?;
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
    let Some(&(_, first)) = lines.peek() else {
        return Err(Error::malformed("csv", "no rows"));
    };
    let separator = csv_separator(first);
    if csv_fields(first, separator).all(|field| field.parse::<f64>().is_err()) {
        lines.next();
    }
    let mut rows: Vec<Vec<f32>> = Vec::new();
    let mut seen = 0;
    for (number, line) in lines {
        let row = read_row(line, separator, number + 1, seen)?;
        let width = rows.first().map_or(row.len(), Vec::len);
        if row.len() != width {
            let reason = format!("line {} has {} fields, the rows before it {width}", number + 1, row.len());
            return Err(Error::malformed("csv", reason));
        }
        within("array numbers", row.len(), limits.array_numbers)?;
        within("csv rows", rows.len() + 1, limits.archive_entries)?;
        seen += row.len();
        rows.push(row);
    }
    if rows.is_empty() { Err(Error::malformed("csv", "no rows below the header")) } else { Ok(rows) }
}

/// The text of a table, without the byte order mark that some programs put before it.
///
/// # Errors
/// [`Error::Malformed`] where it is no text.
pub fn csv_text(bytes: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(bytes).map_err(|e| Error::malformed("csv", format!("not UTF-8: {e}")))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// What separates the fields of a table, told by its first line that is not empty; none for blanks.
pub fn csv_separator(first: &str) -> Option<char> {
    [',', ';', '\t'].into_iter().find(|&c| first.contains(c))
}

/// The fields of a line, without blanks and quotes around them.
pub fn csv_fields(line: &str, separator: Option<char>) -> Box<dyn Iterator<Item = &str> + '_> {
    match separator {
        Some(separator) => Box::new(line.split(separator).map(|f| f.trim().trim_matches('"').trim())),
        None => Box::new(line.split_whitespace()),
    }
}

/// The text of `rows`, the fields apart by commas, every number as short as it is.
pub fn write_csv<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Vec<u8> {
    let mut text = String::new();
    for row in rows {
        for (i, value) in row.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{value}", if i == 0 { "" } else { "," });
        }
        text.push('\n');
    }
    text.into_bytes()
}

fn read_row(line: &str, separator: Option<char>, number: usize, seen: usize) -> Result<Vec<f32>> {
    let mut row = Vec::new();
    for field in csv_fields(line, separator) {
        let value: f32 = field.parse().map_err(|_| {
            let shown: String = field.chars().take(40).collect();
            Error::malformed(
                "csv",
                format!("line {number}, field {}: {shown:?} is not a number", row.len() + 1),
            )
        })?;
        if !value.is_finite() {
            return Err(Error::NonFinite { index: seen + row.len(), value });
        }
        row.push(value);
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Vec<f32>>> {
        read_csv(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn rows_are_read_with_every_separator() {
        for text in [
            "1,2.5\n-3,4e2\n",
            "1;2.5\r\n-3;4e2",
            "1\t2.5\n-3\t4e2",
            "1 2.5\n -3   4e2",
            "\u{feff}1, \"2.5\"\n\n-3,4e2",
        ] {
            assert_eq!(read(text), Ok(vec![vec![1.0, 2.5], vec![-3.0, 400.0]]), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let rows = vec![vec![1.0, -2.5e-7], vec![f32::MAX, 0.1]];
        let text = write_csv(rows.iter().map(Vec::as_slice));
        assert_eq!(read_csv(&text, &Limits::default()), Ok(rows));
    }

    #[test]
    fn a_header_is_left_out() {
        assert_eq!(read("width,height\n1,2\n"), Ok(vec![vec![1.0, 2.0]]));
    }

    #[test]
    fn what_is_no_table_of_numbers_is_refused_with_its_line() {
        for (text, says) in [
            ("", "no rows"),
            ("a,b\n", "no rows"),
            ("1,2\n3\n", "line 2"),
            ("1,2\n\n3,x\n", "line 3, field 2"),
            ("1,2\n3,\n", "line 2, field 2"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(says), "{text:?}: {error}");
        }
        assert!(matches!(read_csv(&[0xff, b'1'], &Limits::default()), Err(Error::Malformed { .. })));
    }

    #[test]
    fn numbers_that_are_not_finite_are_counted_through_the_table() {
        for bad in ["nan", "inf", "1e39"] {
            let error = read(&format!("1,2\n3,{bad}\n")).unwrap_err();
            assert!(matches!(error, Error::NonFinite { index: 3, .. }), "{error}");
        }
    }

    #[test]
    fn a_row_over_the_limit_is_refused() {
        let limits = Limits { array_numbers: 2, ..Limits::default() };
        assert!(matches!(read_csv(b"1,2,3", &limits), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn rows_are_limited() {
        let limits = Limits { archive_entries: 2, ..Limits::default() };
        assert!(read_csv(b"1\n2\n", &limits).is_ok());
        assert!(matches!(read_csv(b"1\n2\n3\n", &limits), Err(Error::TooLarge { what: "csv rows", .. })));
    }
}
