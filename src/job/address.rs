//! Addresses: those that a webhook may call.
//!
//! An allowed name may resolve to any address, and its owner may change that at any time; so every call checks the addresses that
//! the connection uses, in the resolver itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Resolver that refuses names with an address that is not public.
#[derive(Debug, Default)]
pub(super) struct Checked {
    inner: DefaultResolver,
    may_be_private: bool,
}

impl Checked {
    pub(super) fn new(may_be_private: bool) -> Self {
        Self { may_be_private, ..Self::default() }
    }
}

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        // An address in place of a name was allowed by the operator as such.
        let is_address = uri
            .host()
            .is_some_and(|host| host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok());
        let is_private = |address: &&SocketAddr| !is_public(address.ip());
        match found.iter().find(is_private).filter(|_| !is_address && !self.may_be_private) {
            Some(address) => Err(Error::Io(io::Error::other(format!(
                "the name resolves to {}, which is not public; set jobs.webhook_private to allow that",
                address.ip()
            )))),
            None => Ok(found),
        }
    }
}

/// Returns `true` for an address of the public Internet (IANA's registries of special-purpose addresses).
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a, b, c) == (192, 0, 0)
        || a == 100 && (64..128).contains(&b)
        || a == 198 && (18..20).contains(&b);
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, ..] = ip.segments();
    let last = u32::from_be_bytes([ip.octets()[12], ip.octets()[13], ip.octets()[14], ip.octets()[15]]);
    match (a, b) {
        // Addresses of IPv4 behind a translator (RFC 6052), and 6to4.
        (0x64, 0xff9b) => c == 0 && is_public_v4(last.into()),
        (0x2002, _) => is_public_v4((u32::from(b) << 16 | u32::from(c)).into()),
        // Teredo and others of protocols, documentation.
        (0x2001, 0..0x200 | 0xdb8) => false,
        // What is given out so far.
        _ => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        let is_public = |text: &str| is_public(text.parse().unwrap());
        for text in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert!(is_public(text), "{text}");
        }
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "::ffff:10.0.0.1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(text), "{text}");
        }
    }
}
