//! Text of a table: encoding, separators and decimals, header and rows.

use std::borrow::Cow;

use encoding_rs::{Encoding, WINDOWS_1252};

use super::{Result, Row, malformed};

/// Maximum number of lines of a header.
const MOST_HEAD: usize = 32;
/// Number of rows examined to distinguish decimal commas from separators.
const LOOKED_AT: usize = 4096;

/// Notation of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dialect {
    /// Separator of fields; `None` for blanks.
    pub(super) separator: Option<u8>,
    pub(super) has_decimal_comma: bool,
    /// `true` if lines end in CR LF.
    pub(super) has_carriage_returns: bool,
}

/// Unchanged fields of one column, concatenated.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Kept {
    text: String,
    ends: Vec<u32>,
}

impl Kept {
    pub(super) fn push(&mut self, field: &str) {
        self.text.push_str(field);
        self.ends.push(self.text.len() as u32);
    }

    pub(super) fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[row] as usize]
    }
}

/// Decodes the bytes of a file to text.
///
/// # Errors
/// The file has bytes that are not text, or is larger than 4 GiB.
pub(super) fn decode(bytes: &[u8]) -> Result<String> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(malformed("larger than 4 GiB"));
    }
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if std::str::from_utf8(bytes).is_ok() => encoding_rs::UTF_8,
        None => WINDOWS_1252,
    };
    let (text, _, had_errors) = encoding.decode(bytes);
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1a}');
    if had_errors || !text.chars().all(is_text) {
        return Err(malformed(format!("is no text in {}", encoding.name())));
    }
    // Old programs end a text file with Ctrl-Z.
    Ok(text.trim_end_matches('\u{1a}').to_owned())
}

/// Returns the dialect, the header lines, the text below them and the number of lines above it.
pub(super) fn split_head(text: &str) -> Result<(Dialect, Vec<String>, &str, u32)> {
    let has_carriage_returns = text.contains("\r\n");
    let (mut head, mut rest, mut above) = (Vec::new(), text, 0u32);
    let mut separator = None;
    while !rest.is_empty() && head.len() < MOST_HEAD {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.strip_suffix('\r').unwrap_or(line);
        let stated = line.strip_prefix("sep=").and_then(|s| s.bytes().next());
        separator = separator.or(stated);
        let trial = Dialect {
            separator: separator.or_else(|| separator_of(line)),
            has_decimal_comma: true,
            has_carriage_returns,
        };
        let is_comment = line.starts_with(['#', '%']) || stated.is_some();
        let has_number =
            || fields(line, &trial).iter().any(|field| number(field, &trial).is_some() || is_gap(field));
        if !line.trim().is_empty() && !is_comment && (has_number() || is_dates(line, after, &trial)) {
            let dialect = Dialect { has_decimal_comma: false, ..trial };
            return Ok((dialect, head, rest, above));
        }
        if !line.trim().is_empty() {
            head.push(line.to_owned());
        }
        (rest, above) = (after, above + 1);
    }
    let dialect = Dialect { separator, has_decimal_comma: false, has_carriage_returns };
    Ok((dialect, head, "", above))
}

/// Returns `true` if a line without numbers is already a row of dates: the next line has a date too.
fn is_dates(line: &str, after: &str, dialect: &Dialect) -> bool {
    let is_dated = |line: &str| fields(line, dialect).iter().any(|field| is_date(field));
    is_dated(line) && is_dated(after.lines().next().unwrap_or_default())
}

/// Returns `true` if a field is a date or a time of day: digits with marks between them.
pub(super) fn is_date(field: &str) -> bool {
    let marks = field.bytes().filter(|byte| b"-:/. TZ+,[]'".contains(byte)).count();
    let digits = field.bytes().filter(u8::is_ascii_digit).count();
    digits >= 3 && marks >= 2 && digits + marks == field.len()
}

/// Returns the separator of the fields of a line; `None` for blanks.
fn separator_of(line: &str) -> Option<u8> {
    if line.contains(';') {
        return Some(b';');
    }
    // In a line with tabs and commas, tabs separate (the commas are decimal); with commas and blanks, commas do.
    [b'\t', b',', b'|'].into_iter().find(|&byte| line.bytes().any(|b| b == byte))
}

/// Splits one line into fields.
fn fields(line: &str, dialect: &Dialect) -> Vec<String> {
    match dialect.separator {
        None => line.split_whitespace().map(|field| bare(field).to_owned()).collect(),
        Some(separator) => {
            let mut reader = reader(line, separator);
            let first = reader.records().next().and_then(std::result::Result::ok);
            first.map_or_else(Vec::new, |record| record.iter().map(|f| bare(f).to_owned()).collect())
        }
    }
}

fn reader(text: &str, separator: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(text.as_bytes())
}

/// Trims blanks and quotes around a field.
fn bare(field: &str) -> &str {
    field.trim().trim_matches('"').trim()
}

/// Splits `body` into rows with their line numbers; `above` is the number of lines before it. An empty line between two
/// rows is a row without fields, or of empty ones.
pub(super) fn records(body: &str, dialect: &Dialect, above: u32) -> Result<Vec<Row>> {
    let body = body.trim_end_matches(['\n', '\r', ' ']);
    let Some(separator) = dialect.separator else {
        let fields = |line: &str| line.split_whitespace().map(|field| bare(field).to_owned()).collect();
        return Ok((above + 1..).zip(body.lines().map(fields)).collect());
    };
    // The reader skips empty lines, which would shorten a signal unnoticed.
    let body = with_separators(body, separator);
    let mut reader = reader(&body, separator);
    let mut rows = Vec::new();
    for (line, record) in (above + 1..).zip(reader.records()) {
        rows.push((line, record.map_err(malformed)?.iter().map(|field| bare(field).to_owned()).collect()));
    }
    Ok(rows)
}

/// Puts a separator in every empty line.
fn with_separators(body: &str, separator: u8) -> Cow<'_, str> {
    let is_empty = |line: &str| line.trim_end_matches([' ', '\r']).is_empty();
    if !body.split('\n').any(is_empty) {
        return body.into();
    }
    let line = |line| if is_empty(line) { char::from(separator).to_string() } else { String::from(line) };
    body.split('\n').map(line).collect::<Vec<_>>().join("\n").into()
}

/// Parses a field as a number in the notation of the dialect.
pub(super) fn number(field: &str, dialect: &Dialect) -> Option<f64> {
    if dialect.has_decimal_comma && field.contains(',') {
        return if field.contains('.') { None } else { field.replacen(',', ".", 1).parse().ok() };
    }
    field.parse().ok()
}

/// Returns `true` if the number of a field is missing: it is a mark for that, or stands for infinity.
pub fn is_missing(field: &str) -> bool {
    is_gap(field)
        || field.parse::<f64>().is_ok_and(f64::is_infinite) && !field.bytes().any(|b| b.is_ascii_digit())
}

/// Returns `true` if a field marks a missing number.
fn is_gap(field: &str) -> bool {
    ["", "na", "n/a", "#n/a", "null", "none", "-", "--", "?", "nan"]
        .contains(&field.to_ascii_lowercase().as_str())
}

/// Returns the names of `width` columns, from the first header line with as many fields.
pub(super) fn names(head: &[String], dialect: &Dialect, width: usize) -> Vec<String> {
    let of = |line: &String| fields(line.trim_start_matches(['#', '%', ' ']), dialect);
    let quoted = |name: String| name.trim_matches('\'').trim().to_owned();
    // Further header lines with as many fields hold units.
    let found = head.iter().map(of).find(|fields| fields.len() == width);
    found.unwrap_or_default().into_iter().map(quoted).collect()
}

impl Dialect {
    /// Detects decimal commas. Returns `true` if the commas that seemed to separate two columns are decimal commas, so
    /// that each line is one number.
    ///
    /// # Errors
    /// The table mixes decimal commas and points, or uses commas both as decimal commas and as separators.
    pub(super) fn settle_decimals(&mut self, rows: &[Row], header: Option<&str>) -> Result<bool> {
        let looked_at = || rows.iter().take(LOOKED_AT);
        let has =
            |mark: char| looked_at().flat_map(|(_, fields)| fields).any(|field| is_decimal(field, mark));
        if has(',') {
            if has('.') {
                return Err(malformed(
                    "decimal commas and decimal points in one table; write all numbers in one way",
                ));
            }
            self.has_decimal_comma = true;
            return Ok(false);
        }
        if self.separator != Some(b',') || has('.') {
            return Ok(false);
        }
        // An integer is never written with a leading zero or as -0.
        let is_fraction = |field: &str| field.len() > 1 && field.starts_with('0');
        let is_plain = |field: &str| !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
        let is_cut = |pair: &[String]| match pair {
            [whole, rest] => (is_fraction(rest) || whole == "-0") && is_plain(rest) && !is_fraction(whole),
            _ => false,
        };
        let may_be_cut = |pair: &[String]| match pair {
            [whole, rest] => {
                is_plain(rest) && is_plain(whole.trim_start_matches(['-', '+'])) && !is_fraction(whole)
            }
            _ => false,
        };
        let all_pairs = |test: &dyn Fn(&[String]) -> bool| looked_at().all(|(_, f)| f.chunks(2).all(test));
        let is_likely = all_pairs(&may_be_cut) && looked_at().any(|(_, f)| f.chunks(2).any(is_cut));
        let width = rows.first().map_or(0, |(_, fields)| fields.len());
        let one_name = header.is_some_and(|line| !line.contains(',')) && all_pairs(&may_be_cut);
        match width {
            2 if is_likely || one_name => {
                // With another separator, a comma can be part of a field.
                (self.separator, self.has_decimal_comma) = (Some(b';'), true);
                Ok(true)
            }
            4.. if is_likely => Err(malformed(
                "commas seem to be both decimal commas and separators; separate the columns by semicolons, or write \
                 numbers with a decimal point",
            )),
            _ => Ok(false),
        }
    }

    /// Returns the separator used for writing.
    pub(super) fn delimiter(&self) -> u8 {
        self.separator.unwrap_or(b' ')
    }
}

/// Returns `true` if a field is a number with `mark` as its decimal mark.
fn is_decimal(field: &str, mark: char) -> bool {
    field.matches(mark).count() == 1
        && field.bytes().any(|byte| byte.is_ascii_digit())
        && field.bytes().all(|byte| byte.is_ascii_digit() || b"+-eE".contains(&byte) || byte == mark as u8)
}
