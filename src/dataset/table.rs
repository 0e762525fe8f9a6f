//! Tables as people keep them: numbers beside dates, names and labels.

use std::collections::BTreeSet;

use crate::codec;
use crate::limits::Limits;

/// The rows of a table, without the columns that hold no numbers in its first row of values: a column of
/// dates in a sensor's log is not a measurement.
///
/// # Errors
/// One line: what `codec` says of the rest, or that there is no column of numbers.
pub(super) fn read_table(bytes: &[u8], limits: &Limits) -> Result<Vec<Vec<f32>>, String> {
    let whole = codec::read_csv(bytes, limits);
    let Err(error) = whole else { return whole.map_err(|e| e.to_string()) };
    let text = codec::csv_text(bytes).map_err(|e| e.to_string())?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let separator = lines.first().and_then(|first| codec::csv_separator(first));
    let words = text_columns(&lines, separator);
    if words.is_empty() {
        return Err(error.to_string());
    }
    let kept = without(&lines, separator, &words);
    codec::read_csv(kept.as_bytes(), limits).map_err(|e| e.to_string())
}

/// Which columns hold text. The first two lines decide, so that a header is not taken for text.
fn text_columns(lines: &[&str], separator: Option<char>) -> BTreeSet<usize> {
    let is_text = |line: &str| -> BTreeSet<usize> {
        let fields = codec::csv_fields(line, separator).enumerate();
        fields.filter(|(_, field)| field.parse::<f64>().is_err()).map(|(i, _)| i).collect()
    };
    match *lines {
        // A header names every column; a row of values does not.
        [first, second, ..] if is_text(first).len() == codec::csv_fields(first, separator).count() => {
            is_text(second)
        }
        [first, ..] => is_text(first),
        [] => BTreeSet::new(),
    }
}

fn without(lines: &[&str], separator: Option<char>, columns: &BTreeSet<usize>) -> String {
    let between = separator.unwrap_or(' ').to_string();
    let kept = |line: &&str| {
        let fields = codec::csv_fields(line, separator).enumerate().filter(|(i, _)| !columns.contains(i));
        fields.map(|(_, field)| field).collect::<Vec<_>>().join(&between) + "\n"
    };
    lines.iter().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Vec<f32>>, String> {
        read_table(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn columns_of_dates_and_labels_are_left_out() {
        let expected = Ok(vec![vec![1.5, 2.0], vec![3.0, 4.0]]);
        assert_eq!(
            read("date,a,label,b\n2016-07-01 00:00:00,1.5,x,2\n2016-07-02 00:00:00,3,y,4\n"),
            expected
        );
        assert_eq!(read("2016-07-01;1.5;2\n2016-07-02;3;4\n"), expected);
    }

    #[test]
    fn blanks_marks_and_empty_lines_do_not_move_columns() {
        let expected = Ok(vec![vec![1.5, 2.0], vec![3.0, 4.0]]);
        assert_eq!(read("x   1.5  2\n y  3   4\n"), expected);
        assert_eq!(read("\u{feff}x,1.5,2\ny,3,4\n"), expected);
        assert_eq!(read(" \nx,1.5,2\ny,3,4\n"), expected);
    }

    #[test]
    fn tables_of_numbers_are_as_they_are() {
        assert_eq!(read("a,b\n1,2\n"), Ok(vec![vec![1.0, 2.0]]));
        assert_eq!(read("1,2\n3,4\n"), Ok(vec![vec![1.0, 2.0], vec![3.0, 4.0]]));
    }

    #[test]
    fn a_gap_in_a_column_of_numbers_is_still_an_error() {
        assert!(read("date,a\n2016,1\n2017,x\n").unwrap_err().contains("not a number"));
        assert!(read("name\nx\ny\n").is_err());
        assert!(read("").is_err());
    }
}
