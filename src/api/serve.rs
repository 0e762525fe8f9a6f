//! The server loop: connections with limits on time and count, and an end within a stated time.

use std::future::{Ready, ready};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::Handle;
use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

use super::state::App;
use super::unread::Spoken;

/// Time after which a connection is closed whose client takes none of the bytes sent (RFC 5482).
#[cfg(target_os = "linux")]
const STALL_MS: u32 = 60_000;

/// Why the service cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can be reached from outside, and no key is required.
    #[error(
        "{0} can be reached from other machines and there are no API keys: add one with `limpid keys add`, or \
         pass --allow-anonymous"
    )]
    Exposed(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Error of the system.
        source: io::Error,
    },
    /// The loop that takes connections failed.
    #[error("the server loop failed: {0}")]
    Loop(#[from] io::Error),
}

/// Serves on the configured address until `shutdown` is done, then finishes what is in flight.
///
/// # Errors
/// The address cannot be used, or may not be used without keys.
pub async fn serve(app: App, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let address = app.config().bind;
    let listener = TcpListener::bind(address).map_err(|source| Error::Bind { address, source })?;
    serve_on(listener, app, shutdown).await
}

/// [`serve`] on a listener that is there already.
///
/// Once `shutdown` is done, `/readyz` says so at once, no connection is taken any more, and requests in
/// flight have `drain_seconds` to finish; then what is left is cut.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let address = listener.local_addr()?;
    let config = app.config();
    if !address.ip().is_loopback() && app.keys().is_open() && !config.allow_anonymous {
        return Err(Error::Exposed(address));
    }
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle.clone())
        .first_request_timeout(Duration::from_secs(config.first_request_seconds))
        .acceptor(Capped { free: Arc::new(Semaphore::new(config.max_connections)) });
    let header_time = Duration::from_secs(config.header_seconds);
    server.http_builder().http1().header_read_timeout(header_time);
    tracing::info!(%address, "listening");

    let mut serving = std::pin::pin!(server.serve(super::router(app.clone()).into_make_service()));
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = shutdown => {}
    }
    app.start_draining();
    let time = app.drain_time();
    tracing::info!(connections = handle.connection_count(), seconds = time.as_secs(), "stopping");
    handle.graceful_shutdown(Some(time));
    Ok(serving.await?)
}

/// Takes connections up to a number; those beyond it are closed at once, so that they cost nothing.
#[derive(Debug, Clone)]
struct Capped {
    free: Arc<Semaphore>,
}

impl<S> Accept<TcpStream, S> for Capped {
    type Stream = Spoken<TcpStream>;
    type Service = Held<S>;
    type Future = Ready<io::Result<(Spoken<TcpStream>, Held<S>)>>;

    fn accept(&self, stream: TcpStream, inner: S) -> Self::Future {
        let permit = Arc::clone(&self.free).try_acquire_owned();
        // Replies are written whole; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        // Without it, a client that reads nothing would keep its reply in memory for good.
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, STALL_MS);
        ready(match permit {
            Ok(permit) => Ok((Spoken::new(stream), Held { inner, _permit: Arc::new(permit) })),
            Err(_) => Err(io::Error::other("too many connections")),
        })
    }
}

/// The service of one connection, with its place among them.
#[derive(Debug, Clone)]
struct Held<S> {
    inner: S,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<R>, R> Service<R> for Held<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}
