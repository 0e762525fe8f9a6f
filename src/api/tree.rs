//! Trees: the memory that JSON takes once it is parsed, and the number of its samples, estimated from its text.

use axum::body::Bytes;

use super::error::Problem;
use super::extract::check_count;
use crate::engine::{Error, Ticket};
use crate::limits::Limits;

/// Bytes of memory for one element of a list or one member of an object, with its key.
const ELEMENT: usize = 136;
/// For a list: room for four elements comes first.
const LIST: usize = 136;
/// For an object: a node of its tree.
const OBJECT: usize = 640;
/// For a byte of text: a string as it is, as base64 of numbers of one byte, and these as floats, twice.
const TEXT: usize = 8;

/// Bytes that the value of `text` takes at most, with the samples that are read from it. Marks within strings count like all
/// others, and text that is no JSON as if it were.
pub(super) fn bytes(text: &[u8]) -> usize {
    let count = |mark| count(text, mark);
    let parts = [(count(b','), ELEMENT), (count(b'['), LIST), (count(b'{'), OBJECT), (text.len(), TEXT)];
    parts.into_iter().fold(0, |sum, (count, each)| sum.saturating_add(count.saturating_mul(each)))
}

fn count(text: &[u8], mark: u8) -> usize {
    text.iter().filter(|byte| **byte == mark).count()
}

/// [`bytes`], in the engine's pool where the text is long.
///
/// # Errors
/// Errors of [`Ticket::convert`].
pub(super) async fn measure(ticket: &Ticket, text: &Bytes) -> Result<usize, Error> {
    let text = text.clone();
    ticket.convert(text.len(), move || bytes(&text)).await
}

/// [`measure`] for a text with samples. Their number is checked before they are parsed, which takes many times the memory of
/// their text.
///
/// # Errors
/// 413 for more samples than the limit; errors of [`Ticket::convert`].
pub(super) async fn measure_samples(
    ticket: &Ticket,
    text: &Bytes,
    limits: &Limits,
) -> Result<usize, Problem> {
    let (length, text, limits) = (text.len(), text.clone(), limits.clone());
    let measure = move || -> Result<usize, Problem> {
        if count(&text, b'{') > limits.samples {
            check_count(listed(&text), &limits)?;
        }
        Ok(bytes(&text))
    };
    ticket.convert(length, measure).await?
}

/// Returns the number of objects that stand in lists that are members of the outermost object: the samples and pairs of a body.
fn listed(text: &[u8]) -> usize {
    let (mut depth, mut count, mut bytes) = (0usize, 0, text.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'{' | b'[' => {
                count += usize::from(*byte == b'{' && depth == 2);
                depth += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    count
}

/// Skips the rest of a string with its closing mark.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, listed};

    #[test]
    fn objects_in_lists_of_the_outermost_object_are_samples() {
        assert_eq!(listed(br#"{"samples": [{"data": [[1, 2]]}, {"image": "aA=="}], "model": "a"}"#), 2);
        assert_eq!(listed(br#"{"pairs": [{"noisy": {"data": [1]}, "clean": {"data": [2]}}]}"#), 1);
        assert_eq!(listed(br#"{"a": ["{{{", "\"{", "\\"], "b": {"c": [{}]}, "d": [{}]}"#), 1);
        assert_eq!(listed(br#"[{}, {}]]]]{"a": [{"#), 1);
        assert_eq!(listed(br#"{"a": ["{"#), 0);
    }

    #[test]
    fn what_is_dense_in_marks_counts_for_more_than_its_text() {
        assert_eq!(bytes(b"[1,2]"), 5 * 8 + 136 + 136);
        assert!(bytes(br#"{"":1}"#) > 600);
        assert!(bytes(&b"[1],".repeat(1000)) > 250_000);
        assert!(bytes(&[b'a'; 1000]) <= 8000);
    }
}
