//! Trees: the memory that JSON takes once it is parsed, estimated from its text.

use axum::body::Bytes;

use crate::engine::{Error, Ticket};

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
    let count = |mark: u8| text.iter().filter(|byte| **byte == mark).count();
    let parts = [(count(b','), ELEMENT), (count(b'['), LIST), (count(b'{'), OBJECT), (text.len(), TEXT)];
    parts.into_iter().fold(0, |sum, (count, each)| sum.saturating_add(count.saturating_mul(each)))
}

/// [`bytes`], in the engine's pool where the text is long.
///
/// # Errors
/// Errors of [`Ticket::convert`].
pub(super) async fn measure(ticket: &Ticket, text: &Bytes) -> Result<usize, Error> {
    let text = text.clone();
    ticket.convert(text.len(), move || bytes(&text)).await
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn what_is_dense_in_marks_counts_for_more_than_its_text() {
        assert_eq!(bytes(b"[1,2]"), 5 * 8 + 136 + 136);
        assert!(bytes(br#"{"":1}"#) > 600);
        assert!(bytes(&b"[1],".repeat(1000)) > 250_000);
        assert!(bytes(&[b'a'; 1000]) <= 8000);
    }
}
