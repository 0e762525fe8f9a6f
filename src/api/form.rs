//! Forms in memory: the parts of a multipart body (RFC 2046, RFC 7578), as slices of it.

use axum::body::Bytes;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;

use super::error::Problem;

/// Maximum bytes of the headers of one part.
const HEAD_BYTES: usize = 16 << 10;
/// Maximum number of headers of one part.
const HEADERS: usize = 32;

/// Reader of the parts of a form, in order. It copies nothing: a part is a slice of the body.
pub(super) struct Form {
    body: Bytes,
    /// Line break and boundary.
    delimiter: Vec<u8>,
    /// Position after the last boundary.
    at: usize,
}

/// One part of a form.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) file_name: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Form {
    /// Finds the first boundary, which the `Content-Type` among `headers` states.
    ///
    /// # Errors
    /// No boundary is stated, or it does not occur.
    pub(super) fn new(headers: &HeaderMap, body: Bytes) -> Result<Self, Problem> {
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(media_type).map_err(|error| broken(error.to_string()))?;
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        let found = memmem::find(&body, &delimiter[2..]);
        let at = found.ok_or_else(|| broken(format!("the boundary {boundary:?} is not in the body")))?;
        Ok(Self { at: at + delimiter.len() - 2, body, delimiter })
    }

    /// Returns the next part, or `None` after the last one.
    ///
    /// # Errors
    /// Its headers cannot be read, or it has no end.
    pub(super) fn next(&mut self) -> Result<Option<Field>, Problem> {
        let rest = &self.body[self.at..];
        if rest.starts_with(b"--") {
            return Ok(None);
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let rest = &rest[padding..];
        if !rest.starts_with(b"\r\n") {
            return Err(broken("a boundary is followed by neither a line break nor --"));
        }
        let head = memmem::find(&rest[..rest.len().min(HEAD_BYTES)], b"\r\n\r\n");
        let head = head
            .ok_or_else(|| broken(format!("the headers of a part do not end within {HEAD_BYTES} bytes")))?;
        let headers = parse(&rest[2..head + 4])?;
        let begin = self.at + padding + head + 4;
        let length =
            memmem::find(&self.body[begin..], &self.delimiter).ok_or_else(|| broken("a part has no end"))?;
        self.at = begin + length + self.delimiter.len();
        let disposition = headers.get(CONTENT_DISPOSITION).map_or(&b""[..], HeaderValue::as_bytes);
        Ok(Some(Field {
            name: parameter(disposition, "name").unwrap_or_default(),
            file_name: parameter(disposition, "filename"),
            bytes: self.body.slice(begin..begin + length),
            headers,
        }))
    }
}

fn broken(detail: impl AsRef<str>) -> Problem {
    Problem::invalid(format!("multipart/form-data: {}", detail.as_ref()))
}

/// The headers of a part; `head` ends with the empty line after them.
fn parse(head: &[u8]) -> Result<HeaderMap, Problem> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS];
    let (_, lines) = match httparse::parse_headers(head, &mut lines) {
        Ok(httparse::Status::Complete(complete)) => complete,
        Ok(httparse::Status::Partial) => return Err(broken("the headers of a part break off")),
        Err(error) => return Err(broken(format!("the headers of a part: {error}"))),
    };
    let mut headers = HeaderMap::new();
    for line in lines {
        let name = HeaderName::try_from(line.name).map_err(|error| broken(error.to_string()))?;
        let value = HeaderValue::try_from(line.value).map_err(|error| broken(error.to_string()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// A parameter of a header such as `form-data; name="a"; filename="b;c\"d"`.
fn parameter(header: &[u8], wanted: &str) -> Option<String> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = header.split(|byte| {
        let is_end = *byte == b';' && !is_quoted;
        is_quoted ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && is_quoted && !is_escaped;
        is_end
    });
    for part in parts.skip(1) {
        let Some(at) = part.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (part[..at].trim_ascii(), part[at + 1..].trim_ascii());
        if !name.eq_ignore_ascii_case(wanted.as_bytes()) {
            continue;
        }
        let value = std::str::from_utf8(value).ok()?;
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        // Only quotes are escaped: browsers send the backslashes of a path as they are.
        return Some(bare.map_or_else(|| value.to_owned(), |value| value.replace("\\\"", "\"")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::error::Code;

    fn form(body: &[u8]) -> Result<Form, Problem> {
        let media_type = HeaderValue::from_static("multipart/form-data; boundary=\"x y\"");
        Form::new(&HeaderMap::from_iter([(CONTENT_TYPE, media_type)]), Bytes::copy_from_slice(body))
    }

    fn all(body: &[u8]) -> Result<Vec<Field>, Problem> {
        let mut form = form(body)?;
        std::iter::from_fn(|| form.next().transpose()).collect()
    }

    const TWO: &[u8] = b"preamble\r\n--x y \t\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\n2\r\n--x y\r\n\
        content-type: image/png\r\ncontent-disposition: form-data; name=b; filename=\"c;\\\"d.png\"\r\n\r\n\r\n--x y--epilogue";

    #[test]
    fn parts_are_slices_of_the_body() {
        let fields = all(TWO).unwrap();
        let [a, b] = fields.as_slice() else { panic!("{} parts", fields.len()) };
        assert_eq!((a.name.as_str(), &a.file_name, &a.bytes[..]), ("a", &None, &b"1\r\n--x\r\n2"[..]));
        assert_eq!((b.name.as_str(), b.file_name.as_deref(), b.bytes.len()), ("b", Some("c;\"d.png"), 0));
        assert_eq!(b.headers[CONTENT_TYPE], "image/png");
        assert!(all(b"--x y--").unwrap().is_empty());
    }

    #[test]
    fn every_cut_is_an_error() {
        let end = TWO.len() - b"--epilogue".len();
        for at in 0..=end {
            let problem = all(&TWO[..at]).err().unwrap_or_else(|| panic!("cut at {at}"));
            assert_eq!(problem.code(), Code::InvalidInput);
        }
        assert!(all(&TWO[..end + 2]).is_ok());
    }

    #[test]
    fn headers_are_bounded() {
        let head = |headers: String| all(format!("--x y\r\n{headers}\r\n\r\n1\r\n--x y--").as_bytes());
        assert!(head("a: b".into()).is_ok());
        assert!(head(format!("a: {}", "b".repeat(HEAD_BYTES))).is_err());
        assert!(head(vec!["a: b"; HEADERS + 1].join("\r\n")).is_err());
        assert!(head("a b: c".into()).is_err());
    }

    #[test]
    fn parameters_are_read_as_browsers_write_them() {
        let of = |text: &str, name| parameter(text.as_bytes(), name);
        assert_eq!(of(r#"form-data; filename="C:\a\b.png"; name="n""#, "filename").unwrap(), r"C:\a\b.png");
        assert_eq!(of(r#"form-data; filename="; name=x"; NAME = n "#, "name").unwrap(), "n");
        assert_eq!(of("form-data; filename*=UTF-8''a; filename=b", "filename").unwrap(), "b");
        assert_eq!(of("form-data; name=", "name").unwrap(), "");
        assert_eq!(of("name=a", "name"), None);
        assert_eq!(parameter(b"form-data; name=\"\xff\"", "name"), None);
    }
}
