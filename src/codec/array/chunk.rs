//! Chunk: some steps of a signal as a line of JSON, the form of streams.

use serde_json::{Map, Value, json};

use super::super::{Error, Result};
use super::{Array, DType, array_from_json, array_to_json};
use crate::limits::Limits;

/// Steps of all channels of a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Numbers of each channel, all of one length; NaN where one is missing.
    pub channels: Vec<Vec<f32>>,
    /// `true` if the numbers of one channel have no list around them.
    pub is_flat: bool,
}

impl Chunk {
    /// Reads a line `{"data": [...]}`.
    ///
    /// # Errors
    /// The line is no JSON object or has other members; as [`Chunk::from_json`].
    pub fn from_line(line: &[u8], limits: &Limits) -> Result<Self> {
        let mut object = json_object(line)?;
        let data = object.remove("data").ok_or_else(|| malformed("expected {\"data\": [...]}".into()))?;
        if let Some(other) = object.keys().next() {
            let reason = format!("{other:?} is no member of a chunk; parameters go into the first line");
            return Err(malformed(reason));
        }
        Self::from_json(&data, limits)
    }

    /// Reads `(L)` or `(C, L)` numbers.
    ///
    /// # Errors
    /// As [`array_from_json`]; another number of axes.
    pub fn from_json(data: &Value, limits: &Limits) -> Result<Self> {
        let array = array_from_json(data, limits)?;
        let (count, is_flat) = match array.dims[..] {
            [_] => (1, true),
            [channels, _] => (channels, false),
            _ => return Err(malformed("expected numbers (L) or (C, L)".into())),
        };
        let length = array.data.len() / count;
        Ok(Self { channels: array.data.chunks_exact(length).map(<[f32]>::to_vec).collect(), is_flat })
    }

    /// Writes the steps from index `start` on as a line.
    pub fn to_line(&self, start: usize) -> Vec<u8> {
        let (count, length) = (self.channels.len(), self.channels.first().map_or(0, Vec::len));
        let dims = if self.is_flat && count == 1 { vec![length] } else { vec![count, length] };
        let data = array_to_json(&Array { dims, data: self.channels.concat(), dtype: DType::F32 });
        format!("{}\n", json!({ "start": start, "data": data })).into_bytes()
    }
}

/// Parses a line that holds a JSON object.
///
/// # Errors
/// It is no JSON, or no object.
pub fn json_object(line: &[u8]) -> Result<Map<String, Value>> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(malformed("expected a JSON object".into())),
        Err(e) => Err(malformed(format!("malformed JSON: {e}"))),
    }
}

fn malformed(reason: String) -> Error {
    Error::Malformed { what: "chunk".into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Chunk> {
        Chunk::from_line(line.as_bytes(), &Limits::default())
    }

    #[test]
    fn chunks_come_back_in_the_form_they_came_in() {
        let flat = read("{\"data\": [1, 2.5, 0.1]}").unwrap();
        assert_eq!(flat, Chunk { channels: vec![vec![1.0, 2.5, 0.1]], is_flat: true });
        assert_eq!(flat.to_line(7), b"{\"data\":[1.0,2.5,0.1],\"start\":7}\n");
        let two = read(" {\"data\": [[1, null], [3, 4]]} \n").unwrap();
        assert!(two.channels[0][1].is_nan() && two.channels[1] == [3.0, 4.0] && !two.is_flat);
        assert_eq!(two.to_line(0), b"{\"data\":[[1.0,null],[3.0,4.0]],\"start\":0}\n");
    }

    #[test]
    fn lines_that_are_no_chunks_are_refused() {
        for (line, reason) in [
            ("[1]", "expected a JSON object"),
            ("{\"data\": [1]", "malformed JSON"),
            ("{}", "expected {\"data\": [...]}"),
            ("{\"data\": [1], \"model\": \"a\"}", "\"model\" is no member"),
            ("{\"data\": [[[1]]]}", "(L) or (C, L)"),
            ("{\"data\": [[1, 2], [3]]}", "ragged"),
            ("{\"data\": []}", "empty"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
