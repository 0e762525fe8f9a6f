//! `limpid health`: readiness check of a service, for the health check of a container.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::Error;
use super::config::Config;

const EXAMPLES: &str = "\
Examples:
  limpid health                              the address of the configuration
  limpid health --bind 127.0.0.1:9000

Exit code 0 if GET /readyz says yes (204), else 1. In a Dockerfile: HEALTHCHECK CMD [\"limpid\", \"health\"]";

/// Check that a running service is ready.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Address of the service.
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<SocketAddr>,
    /// Seconds to wait for the reply.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    timeout: u64,
}

/// Runs the command.
///
/// # Errors
/// The service does not reply, or is not ready.
pub fn run(args: Args, config: &Config) -> Result<(), Error> {
    let address = reachable(args.bind.unwrap_or(config.server.bind));
    let timeout = Duration::from_secs(args.timeout.max(1));
    match status(address, timeout) {
        Ok(200..=299) => Ok(()),
        Ok(status) => Err(Error::Failed(format!("{address} is not ready: /readyz answers {status}"))),
        Err(error) => Err(Error::Failed(format!("{address} does not answer: {error}"))),
    }
}

/// Replaces an unspecified address, which listens on every interface, by the loopback one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let is_v4 = address.is_ipv4();
        address.set_ip(if is_v4 { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) });
    }
    address
}

/// Returns the status code of `/readyz`.
fn status(address: SocketAddr, timeout: Duration) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    // One write: a server may reply and close after it has read the first line.
    stream.write_all(
        format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    // Only `HTTP/1.1 200` is read: the rest is not needed.
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status =
        std::str::from_utf8(&head).ok().and_then(|head| head.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok());
    status.ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "not an HTTP answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered_with(answer: &'static str) -> std::io::Result<u16> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let n = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let status = status(address, Duration::from_secs(5));
        assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
        status
    }

    #[test]
    fn the_status_is_read_from_the_answer() {
        assert_eq!(answered_with("HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap(), 503);
        assert_eq!(answered_with("HTTP/1.1 200 OK\r\n\r\n").unwrap(), 200);
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        assert!(answered_with("SSH-2.0-OpenSSH_9").is_err());
    }

    #[test]
    fn every_interface_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()).to_string(), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80".parse().unwrap()).to_string(), "[::1]:80");
        assert_eq!(reachable("10.0.0.7:80".parse().unwrap()).to_string(), "10.0.0.7:80");
    }
}
