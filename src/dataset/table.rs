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
    let text = std::str::from_utf8(bytes).map_err(|_| error.to_string())?;
    let words = text_columns(text);
    if words.is_empty() {
        return Err(error.to_string());
    }
    let kept = without(text, &words);
    codec::read_csv(kept.as_bytes(), limits).map_err(|e| e.to_string())
}

/// Which columns hold text. The first two lines decide, so that a header is not taken for text.
fn text_columns(text: &str) -> BTreeSet<usize> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let (first, second) = (lines.next().unwrap_or_default(), lines.next());
    let separator = separator(first);
    let is_text = |line: &str| -> BTreeSet<usize> {
        let fields = line.split(separator).enumerate();
        fields.filter(|(_, field)| number(field).is_none()).map(|(i, _)| i).collect()
    };
    match second {
        // A header names every column; a row of values does not.
        Some(second) if is_text(first).len() == first.split(separator).count() => is_text(second),
        _ => is_text(first),
    }
}

fn without(text: &str, columns: &BTreeSet<usize>) -> String {
    let separator = separator(text.lines().next().unwrap_or_default());
    let mut kept = String::with_capacity(text.len());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let fields = line.split(separator).enumerate().filter(|(i, _)| !columns.contains(i));
        let fields: Vec<&str> = fields.map(|(_, field)| field).collect();
        kept.push_str(&fields.join(separator.encode_utf8(&mut [0; 4])));
        kept.push('\n');
    }
    kept
}

fn separator(line: &str) -> char {
    [',', ';', '\t'].into_iter().find(|&c| line.contains(c)).unwrap_or(' ')
}

fn number(field: &str) -> Option<f64> {
    field.trim().trim_matches('"').trim().parse().ok()
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
