//! Origin: the host that a request names and the web page that sends it.
//!
//! A web page in a browser reaches every service that its machine reaches: by a form, which needs no preflight (cross-site
//! request forgery), or under a name of its own that it lets point to the service (DNS rebinding). A page has no API key, so the
//! name matters only where none is needed; the origin of a request that changes something always does. The order of the checks
//! of an origin is that of Go's `net/http.CrossOriginProtection`.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Version};
use axum::middleware::Next;
use axum::response::Response;

use super::body::discard_request;
use super::config::Config;
use super::error::{Code, Problem};
use super::health;
use super::state::App;

/// Longest host or origin that is repeated in a refusal, characters.
const SHOWN: usize = 100;

/// Lets a request through if its host may be answered and no foreign page sends it.
///
/// # Errors
/// 400 for a host that is missing, given twice or malformed; 421 for one that is not served; 403 for a foreign page.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let checked = host(&request).and_then(|host| {
        // Their replies are of no use to a page, and probes use any name.
        let is_probe = health::PATHS.contains(&request.uri().path());
        if app.keys().is_open() && !is_probe {
            check_host(host.as_ref(), app.config())?;
        }
        check_page(&request, host.as_ref(), app.config())
    });
    if let Err(problem) = checked {
        discard_request(request).await;
        return Err(problem);
    }
    Ok(next.run(request).await)
}

/// The host of a request: that of its target, else of its header. Only HTTP/1.0 may leave it out (RFC 9112, 3.2).
fn host(request: &Request) -> Result<Option<Authority>, Problem> {
    let mut stated = request.headers().get_all(HOST).into_iter();
    match (stated.next(), stated.next()) {
        (Some(_), Some(_)) => Err(Problem::invalid("Host: given twice; send it once")),
        _ if request.uri().authority().is_some() => Ok(request.uri().authority().cloned()),
        (Some(value), None) => {
            let host = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
            let host = host.filter(|host| !host.as_str().contains('@'));
            let expected = "Host: expected a name or an address, with or without a port";
            host.map(Some).ok_or_else(|| Problem::invalid(expected))
        }
        (None, _) if request.version() < Version::HTTP_11 => Ok(None),
        (None, _) => Err(Problem::invalid("Host: missing; HTTP/1.1 requires it")),
    }
}

/// Refuses hosts that are not served. A request without a host comes from no browser.
fn check_host(host: Option<&Authority>, config: &Config) -> Result<(), Problem> {
    let Some(host) = host.map(Authority::host).filter(|host| !is_served(host, config)) else { return Ok(()) };
    let host: String = host.chars().take(SHOWN).collect();
    let detail = format!(
        "without API keys, host {host} is not served: call localhost or an address, add the name to \
         server.allowed_hosts, or make keys with `limpid keys add`"
    );
    Err(Problem::new(Code::HostNotServed, detail))
}

/// Returns `true` if a host without its port is served. A page can let a name of its own point here, but not an address.
fn is_served(host: &str, config: &Config) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.eq_ignore_ascii_case("localhost")
        || config.allowed_hosts.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(name))
    {
        return true;
    }
    let bind = config.bind.ip();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|ip| ip.to_canonical().is_loopback() || ip == bind || !bind.is_loopback())
}

/// Refuses requests that change something or cost work, and that a page of another origin sends.
fn check_page(request: &Request, host: Option<&Authority>, config: &Config) -> Result<(), Problem> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return Ok(());
    }
    let text = |name: &str| text(request.headers(), name);
    let origin = text(ORIGIN.as_str());
    if origin.is_some_and(|origin| config.cors_origins.iter().any(|known| known == origin)) {
        return Ok(());
    }
    let is_own = match (text("sec-fetch-site"), origin) {
        // The browser itself vouches for it, also where a proxy changes the host.
        (Some("same-origin" | "none"), _) | (None, None) => true,
        (Some(_), _) => false,
        (None, Some(origin)) => host.is_some_and(|host| is_same(origin, host)),
    };
    if is_own {
        return Ok(());
    }
    let origin: String = origin.unwrap_or("unknown").chars().take(SHOWN).collect();
    let detail = format!(
        "a page of another origin ({origin}) sends this request; add the origin to server.cors_origins to allow it"
    );
    Err(Problem::new(Code::CrossOrigin, detail))
}

/// A header as text; a value that is not text equals no valid one.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"))
}

/// Returns `true` if an origin, such as `https://lab.example`, is that of a host. The scheme is not compared: a proxy may
/// terminate TLS.
fn is_same(origin: &str, host: &Authority) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let Ok(origin) = rest.parse::<Authority>() else { return false };
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    origin.host().eq_ignore_ascii_case(host.host()) && port(&origin) == port(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(bind: &str) -> Config {
        let allowed_hosts = vec!["lab.example".to_owned()];
        Config { bind: bind.parse().unwrap(), allowed_hosts, ..Config::default() }
    }

    #[test]
    fn names_that_a_page_could_own_are_not_served() {
        let (local, open) = (config("127.0.0.1:8080"), config("0.0.0.0:8080"));
        for host in
            ["localhost", "LocalHost.", "127.0.0.1", "127.8.9.1", "[::1]", "lab.example", "LAB.example."]
        {
            assert!(is_served(host, &local) && is_served(host, &open), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "lab.example.evil", ""] {
            assert!(!is_served(host, &local) && !is_served(host, &open), "{host}");
        }
        for address in ["192.168.1.7", "[fe80::1]", "0.0.0.0"] {
            assert!(!is_served(address, &local) && is_served(address, &open), "{address}");
        }
        assert!(
            is_served("10.0.0.5", &config("10.0.0.5:80")) && is_served("127.0.0.1", &config("10.0.0.5:80"))
        );
        let all = Config { allowed_hosts: vec!["*".into()], ..Config::default() };
        assert!(is_served("any.example", &all));
    }

    #[test]
    fn an_origin_is_that_of_its_host_and_port() {
        let is_same = |origin, host: &str| is_same(origin, &host.parse().unwrap());
        assert!(is_same("http://localhost:8080", "localhost:8080"));
        assert!(is_same("https://lab.example", "Lab.example"));
        assert!(is_same("https://lab.example", "lab.example:443"));
        for (origin, host) in [
            ("http://localhost:3000", "localhost:8080"),
            ("https://evil.example", "lab.example"),
            ("http://lab.example.evil", "lab.example"),
            ("null", "lab.example"),
            ("", "lab.example"),
        ] {
            assert!(!is_same(origin, host), "{origin} {host}");
        }
    }
}
