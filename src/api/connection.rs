//! Connections: limits on their number, in total and per address, and spare places for probes.
//!
//! A client that takes all places shuts out all others, and the probes of an orchestrator, which then restarts a healthy service.
//! Therefore each address has its own limit, and a connection beyond the total limit is still accepted, for one probe. Few such
//! places exist; a new connection evicts the oldest one, so that silent connections cannot hold them.

use std::collections::{HashMap, VecDeque};
use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tower_service::Service;

use super::body::discard_request;
use super::config::Config;
use super::error::{Code, Problem};
use super::health;
use super::unread::Spoken;

/// Connections that are taken beyond `max_connections`, each for one probe.
const PROBE_PLACES: usize = 16;

/// Milliseconds after which a connection is closed whose client reads nothing (RFC 5482).
#[cfg(target_os = "linux")]
const STALL_MS: u32 = 60_000;

/// Accepts connections up to the limits and closes those beyond them at once.
#[derive(Debug, Clone)]
pub(super) struct Acceptor {
    free: Arc<Semaphore>,
    addresses: Addresses,
    probes: Arc<Mutex<VecDeque<oneshot::Sender<()>>>>,
}

impl Acceptor {
    /// For the limits of `config`.
    pub(super) fn new(config: &Config) -> Self {
        let free = Arc::new(Semaphore::new(config.max_connections));
        let most = match config.connections_per_address {
            0 => usize::MAX,
            most => most,
        };
        Self { free, addresses: Addresses { most, counts: Arc::default() }, probes: Arc::default() }
    }

    fn take(&self, stream: TcpStream) -> io::Result<(Connection, Option<OwnedSemaphorePermit>, Counted)> {
        let counted = self.addresses.count(stream.peer_addr()?.ip())?;
        let permit = Arc::clone(&self.free).try_acquire_owned().ok();
        let evicted = permit.is_none().then(|| {
            let (held, evicted) = oneshot::channel();
            let mut probes = lock(&self.probes);
            probes.push_back(held);
            if probes.len() > PROBE_PLACES {
                probes.pop_front();
            }
            evicted
        });
        Ok((Connection { inner: Spoken::new(stream), evicted }, permit, counted))
    }
}

impl<S> Accept<TcpStream, S> for Acceptor {
    type Stream = Connection;
    type Service = Placed<S>;
    type Future = Ready<io::Result<(Connection, Placed<S>)>>;

    fn accept(&self, stream: TcpStream, inner: S) -> Self::Future {
        // Replies are written whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        // Without it, a client that reads nothing would keep the reply in memory for good.
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, STALL_MS);
        ready(self.take(stream).map(|(connection, permit, counted)| {
            let is_spare = permit.is_none();
            (connection, Placed { inner, is_spare, _place: Arc::new((permit, counted)) })
        }))
    }
}

/// Connections of each address.
#[derive(Debug, Clone)]
struct Addresses {
    most: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Addresses {
    /// Counts one more connection of this address until the returned guard is dropped.
    fn count(&self, ip: IpAddr) -> io::Result<Counted> {
        let address = site(ip);
        let mut counts = lock(&self.counts);
        let count = counts.entry(address).or_default();
        if *count >= self.most {
            return Err(io::Error::other("too many connections of one address"));
        }
        *count += 1;
        Ok(Counted { address, counts: Arc::clone(&self.counts) })
    }
}

/// A connection that is counted for its address.
#[derive(Debug)]
struct Counted {
    address: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Returns the part of an address that is counted: of IPv6 the first 64 bits, since one site has all addresses that begin with
/// them (RFC 6177).
fn site(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip => ip,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Changes are single steps that do not panic: whole even if poisoned.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that ends when a newer one takes its place.
#[derive(Debug)]
pub(super) struct Connection {
    inner: Spoken<TcpStream>,
    /// Resolves when the connection is evicted; none for a regular place.
    evicted: Option<oneshot::Receiver<()>>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(evicted) = &mut self.evicted
            && Pin::new(evicted).poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
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

/// The service of one connection, with its place among them.
#[derive(Debug, Clone)]
pub(super) struct Placed<S> {
    inner: S,
    is_spare: bool,
    _place: Arc<(Option<OwnedSemaphorePermit>, Counted)>,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Placed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if self.is_spare {
            request.extensions_mut().insert(Spare);
        }
        self.inner.call(request)
    }
}

/// Mark of requests on a spare connection.
#[derive(Debug, Clone, Copy)]
struct Spare;

/// Answers only probes on a spare connection, and closes it.
pub(super) async fn check(request: Request, next: Next) -> Response {
    if request.extensions().get::<Spare>().is_none() {
        return next.run(request).await;
    }
    let mut response = if health::PATHS.contains(&request.uri().path()) {
        next.run(request).await
    } else {
        discard_request(request).await;
        let detail = "all connections are in use (server.max_connections); try again when some have ended";
        Problem::new(Code::QueueFull, detail).retry_after(Duration::from_secs(1)).into_response()
    };
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_until_their_connections_end() {
        let addresses = Addresses { most: 2, counts: Arc::default() };
        let count = |text: &str| addresses.count(text.parse().unwrap());
        let held = [count("10.0.0.1").unwrap(), count("::ffff:10.0.0.1").unwrap()];
        assert!(count("10.0.0.1").is_err());
        let _other = count("10.0.0.2").unwrap();
        drop(held);
        assert!(count("10.0.0.1").is_ok());
        assert_eq!(lock(&addresses.counts).len(), 1, "an address without connections is forgotten");
    }

    #[test]
    fn one_machine_is_one_address_of_ipv6() {
        let site = |text: &str| site(text.parse().unwrap());
        assert_eq!(site("2001:db8:1:2:3::4"), site("2001:db8:1:2:ffff::1"));
        assert_ne!(site("2001:db8:1:2::1"), site("2001:db8:1:3::1"));
    }
}
