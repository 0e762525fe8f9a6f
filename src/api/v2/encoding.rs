//! Content coding (RFC 9110, 8.4.1): gzip and deflate of requests and replies.

use std::io::{Read as _, Write as _};

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use flate2::read::MultiGzDecoder;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress, Status};

use crate::api::body::Received;
use crate::api::buffer::Buffer;
use crate::api::error::{Code, Problem};
use crate::api::state::App;
use crate::engine::Ticket;

/// Bytes that are unpacked at a time.
const PIECE: usize = 1 << 16;

/// Content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950: deflate in a zlib stream.
    Deflate,
}

impl Coding {
    /// Name in headers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// Coding of a request; `None` if its body is as it is.
    ///
    /// # Errors
    /// 415 for other codings, and for several.
    fn of_request(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
        let name = value.to_str().unwrap_or_default();
        if name.eq_ignore_ascii_case("identity") {
            return Ok(None);
        }
        Self::from_name(name).map(Some).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            let detail = format!("Content-Encoding {shown:?} is not read here; send gzip, deflate or none");
            Problem::new(Code::UnsupportedMediaType, detail)
        })
    }

    /// Coding that a client accepts, gzip before deflate; `None` if it accepts neither.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let accepted = values.flat_map(|value| value.split(',')).filter_map(|item| {
            let (name, rest) = item.split_once(';').unwrap_or((item, ""));
            let quality = rest.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
            Self::from_name(name).filter(|_| quality.unwrap_or(1.0) > 0.0)
        });
        accepted.min_by_key(|coding| *coding == Self::Deflate)
    }

    /// Packs a body at the fastest level: numbers of samples shrink little at any.
    pub(super) fn pack(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
                packer.write_all(body)?;
                packer.finish()
            }
            Self::Deflate => {
                let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
                packer.write_all(body)?;
                packer.finish()
            }
        }
    }

    fn unpack(self, packed: &[u8], unpacked: &mut Buffer) -> Result<(), Problem> {
        match self {
            Self::Gzip => unpack_gzip(packed, unpacked),
            Self::Deflate => unpack_zlib(packed, unpacked),
        }
    }
}

/// Unpacks the body of a request.
///
/// # Errors
/// 415 for codings that are not read, 400 for a stream that is damaged or cut short, 413 over `body_bytes` once unpacked; no room
/// now.
pub(super) async fn unpacked(app: &App, ticket: &Ticket, received: Received) -> Result<Received, Problem> {
    let Some(coding) = Coding::of_request(&received.head.headers)? else { return Ok(received) };
    let (packed, limit) = (received.body, app.limits().body_bytes);
    let mut unpacked = Buffer::new(ticket.hold(0)?, limit, None);
    let work = move || coding.unpack(&packed, &mut unpacked).map(|()| unpacked);
    // Always in the pool: a few bytes may unpack to a thousand times as many.
    let (body, held) = ticket.run(PIECE, work).await?.value?.done();
    Ok(Received { head: received.head, body, held: Some(held) })
}

fn unpack_gzip(packed: &[u8], unpacked: &mut Buffer) -> Result<(), Problem> {
    let (mut reader, mut piece) = (MultiGzDecoder::new(packed), vec![0; PIECE]);
    loop {
        match reader.read(&mut piece).map_err(|e| damaged(Coding::Gzip, &e))? {
            0 => return Ok(()),
            count => unpacked.push(&piece[..count])?,
        }
    }
}

/// By the raw decoder, which says if the stream has ended: a reader takes one that is cut short for a whole one.
fn unpack_zlib(packed: &[u8], unpacked: &mut Buffer) -> Result<(), Problem> {
    let (mut decoder, mut piece, mut rest) = (Decompress::new(true), vec![0; PIECE], packed);
    loop {
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(rest, &mut piece, FlushDecompress::None);
        let status = status.map_err(|e| damaged(Coding::Deflate, &e))?;
        let (read, written) = (decoder.total_in() - read, (decoder.total_out() - written) as usize);
        rest = &rest[read as usize..];
        unpacked.push(&piece[..written])?;
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(()),
            Status::StreamEnd => return Err(damaged(Coding::Deflate, &"bytes behind its end")),
            Status::Ok | Status::BufError if read == 0 && written == 0 => {
                return Err(damaged(Coding::Deflate, &"cut short"));
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

fn damaged(coding: Coding, reason: &dyn std::fmt::Display) -> Problem {
    Problem::invalid(format!("the body is not whole {}: {reason}", coding.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_the_coding() {
        let accepted = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
            Coding::accepted(&headers)
        };
        assert_eq!(accepted("deflate"), Some(Coding::Deflate));
        assert_eq!(accepted("br, deflate, GZIP;q=0.5"), Some(Coding::Gzip));
        assert_eq!(accepted("gzip;q=0, deflate"), Some(Coding::Deflate));
        assert_eq!(accepted("br, identity, *"), None);
        assert_eq!(Coding::accepted(&HeaderMap::new()), None);
    }
}
