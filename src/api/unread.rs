//! Unread requests: replies to a request whose head cannot be read or is too long. The HTTP library writes these by itself,
//! with a status and no body; here they become problems like all others.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::Problem;

/// A connection that gives a body to replies without one.
#[derive(Debug)]
pub(super) struct Spoken<S> {
    inner: S,
    /// Bytes of the replacement reply that are not written yet.
    instead: Vec<u8>,
}

impl<S> Spoken<S> {
    /// Over a connection.
    pub(super) fn new(inner: S) -> Self {
        Self { inner, instead: Vec::new() }
    }
}

/// The reply in place of `head`, if that is a bare one of the HTTP library: all of ours have a body.
fn instead_of(head: &[u8]) -> Option<Vec<u8>> {
    let status = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    let detail = match status {
        b"414" => {
            "the address of the request is longer than 65,534 bytes; parameters may also go into a form or into JSON"
        }
        b"431" => "the headers of the request are too many or too long (100 headers, about 400 KiB)",
        b"400" => "the head of the request is no HTTP/1.1 that can be read",
        _ => return None,
    };
    let is_bare = head.ends_with(b"\r\n\r\n")
        && head.windows(19).any(|w| w.eq_ignore_ascii_case(b"content-length: 0\r\n"));
    is_bare.then(|| reply(detail))
}

/// A whole reply, behind which the connection is closed.
fn reply(detail: &'static str) -> Vec<u8> {
    let id = uuid::Uuid::now_v7().to_string();
    let body = Problem::invalid(detail).body(&id);
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nx-request-id: {id}\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

impl<S: AsyncWrite + Unpin> Spoken<S> {
    /// Writes what stands in place of `head`, if something does; ready with nothing where nothing does.
    fn poll_instead(&mut self, cx: &mut Context<'_>, head: &[u8]) -> Poll<io::Result<Option<usize>>> {
        if self.instead.is_empty() {
            match instead_of(head) {
                Some(reply) => self.instead = reply,
                None => return Poll::Ready(Ok(None)),
            }
        }
        while !self.instead.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.drain(..written);
        }
        Poll::Ready(Ok(Some(head.len())))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Spoken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Spoken<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(self.poll_instead(cx, buf))? {
            Some(written) => Poll::Ready(Ok(written)),
            None => Pin::new(&mut self.inner).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first: &[u8] = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[], |buf| buf);
        match ready!(self.poll_instead(cx, first))? {
            Some(written) => Poll::Ready(Ok(written)),
            None => Pin::new(&mut self.inner).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_refusals_get_a_body_and_nothing_else_does() {
        let bare = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let reply = String::from_utf8(instead_of(bare).unwrap()).unwrap();
        assert!(reply.starts_with("HTTP/1.1 400") && reply.contains("application/problem+json"), "{reply}");
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())) && body.contains("65,534"),
            "{reply}"
        );
        for other in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 12\r\n\r\n{\"code\": 1}\r\n",
            b"HTTP/1.1 414",
            b"",
        ] {
            assert_eq!(instead_of(other), None);
        }
    }
}
