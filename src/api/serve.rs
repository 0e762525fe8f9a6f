//! The server loop: connections with limits on time and count, and an end within a stated time.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum_server::Handle;

use super::connection::Acceptor;
use super::state::App;

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
/// Once `shutdown` is done, `/readyz` says so at once; after `drain_delay_seconds` no connection is taken any more, and requests
/// in flight have `drain_seconds` to finish; then the rest are closed.
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
        .acceptor(Acceptor::new(config))
        // HTTP/2 without TLS is not needed behind a proxy, and its silent connections have no time limit.
        .http1_only();
    let header_time = Duration::from_secs(config.header_seconds);
    server.http_builder().http1().header_read_timeout(header_time);
    tracing::info!(%address, "listening");
    // An unspecified address cannot be opened in a browser.
    let host = if address.ip().is_unspecified() { "localhost".into() } else { address.ip().to_string() };
    let host = if address.is_ipv6() && host != "localhost" { format!("[{host}]") } else { host };
    tracing::info!("open http://{host}:{}", address.port());
    if app.keys().is_open() {
        let beside = config.allowed_hosts.join(",");
        tracing::info!(allowed_hosts = %beside, "without API keys, only localhost, addresses and server.allowed_hosts are answered");
    }

    let mut serving = std::pin::pin!(server.serve(super::router(app.clone()).into_make_service()));
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = shutdown => {}
    }
    app.start_draining();
    let delay = Duration::from_secs(config.drain_delay_seconds);
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = tokio::time::sleep(delay) => {}
    }
    let time = app.drain_time();
    tracing::info!(connections = handle.connection_count(), seconds = time.as_secs(), "stopping");
    handle.graceful_shutdown(Some(time));
    Ok(serving.await?)
}
