//! Webhooks: a finished job is sent to the URL in its request, if the operator allows the host.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sqlx::Row as _;
use ureq::unversioned::transport::DefaultConnector;

use super::{Config, Error, Place, address, rows};
use crate::hex::hex;
use crate::train;

/// Interval of polling for due deliveries.
const LOOK: Duration = Duration::from_millis(500);

/// Number of tries of a delivery; see [`wait`].
const TRIES: i64 = 5;

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Checks that webhooks may be sent to `url`.
///
/// # Errors
/// It is not an HTTP URL, or its host is not allowed; the message names the host.
pub(super) fn check(url: &str, config: &Config) -> Result<(), Error> {
    let invalid = |reason: String| Error::Train(train::Error::Invalid { field: "webhook".into(), reason });
    let uri: ureq::http::Uri =
        url.parse().map_err(|_| invalid("expected an http or https address".into()))?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|_| is_http && url.len() <= 2000);
    let authority = authority.ok_or_else(|| invalid("expected an http or https address".into()))?;
    if authority.as_str().contains('@') {
        return Err(invalid("an address with a user in it is not taken".into()));
    }
    let allowed = config.webhook_hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
    let fits = |host: &str| host == authority.host() || host == authority.as_str();
    if !allowed.clone().any(fits) {
        let host: String = authority.as_str().chars().take(200).collect();
        let known: Vec<&str> = allowed.collect();
        let known = if known.is_empty() {
            "none is allowed".into()
        } else {
            format!("allowed are {}", known.join(", "))
        };
        let reason = format!("host {host} is not among jobs.webhook_hosts: {known}");
        return Err(invalid(reason));
    }
    Ok(())
}

/// Sends due deliveries, until `stop`.
pub(super) fn run(place: &Place, stop: &AtomicBool) {
    let agent = agent(place.queue.config.webhook_private);
    while !stop.load(Ordering::Acquire) {
        match next(place) {
            Ok(Some(due)) => deliver(place, &agent, &due),
            Ok(None) => thread::sleep(LOOK),
            Err(error) => {
                tracing::warn!(%error, "webhooks cannot be looked for");
                thread::sleep(LOOK * 10);
            }
        }
    }
}

/// HTTP client without redirects and proxies, for allowed addresses.
fn agent(may_be_private: bool) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .http_status_as_error(true)
        .proxy(None)
        .build();
    ureq::Agent::with_parts(config, DefaultConnector::default(), address::Checked::new(may_be_private))
}

struct Due {
    job: String,
    url: String,
    tries: i64,
}

/// Returns a due delivery, rescheduled to its next try before it is sent: another program that polls at the same time does
/// not send it as well, and a crash does not lose it.
fn next(place: &Place) -> Result<Option<Due>, Error> {
    let db = &place.queue.db;
    let any: i64 = db.read(async |conn| {
        let now = db.now(conn).await?;
        let sql = "SELECT COUNT(*) FROM deliveries WHERE due_at <= $1 AND tries < $2";
        Ok::<_, Error>(sqlx::query_scalar(sql).bind(now).bind(TRIES).fetch_one(conn).await?)
    })?;
    if any == 0 {
        return Ok(None);
    }
    db.transact(async |conn| {
        let now = db.now(conn).await?;
        let sql = "SELECT job, url, tries FROM deliveries WHERE due_at <= $1 AND tries < $2 ORDER BY due_at LIMIT 1";
        let row = sqlx::query(sql).bind(now).bind(TRIES).fetch_optional(&mut *conn).await?;
        let Some(row) = row else { return Ok(None) };
        let due = Due { job: row.try_get(0)?, url: row.try_get(1)?, tries: row.try_get(2)? };
        let again = now + wait(due.tries).as_millis() as i64;
        let sql = "UPDATE deliveries SET tries = tries + 1, due_at = $1 WHERE job = $2 AND tries = $3";
        let query = sqlx::query(sql).bind(again).bind(&due.job).bind(due.tries);
        let is_ours = query.execute(conn).await?.rows_affected() == 1;
        Ok(is_ours.then_some(due))
    })
}

/// Returns the delay from the start of a try to the next one, after `tries` earlier ones: the timeout plus 2, 8, 32 and
/// 128 s. A request that is still being sent is therefore never sent a second time.
fn wait(tries: i64) -> Duration {
    TIMEOUT + Duration::from_secs(2 << (2 * tries.clamp(0, 10)))
}

fn deliver(place: &Place, agent: &ureq::Agent, due: &Due) {
    let Due { job, url, tries } = due;
    let sent =
        place.queue.db.read(async |conn| rows::get(conn, job).await).map_err(|e| e.to_string()).and_then(
            |held| {
                let body = rows::json(&held.job);
                let mut request =
                    agent.post(url).content_type("application/json").header("X-Limpid-Job", job);
                let secret = &place.queue.config.webhook_secret;
                if !secret.is_empty() {
                    request = request
                        .header("X-Limpid-Signature", format!("sha256={}", sign(secret, body.as_bytes())));
                }
                request.send(body.as_bytes()).map(drop).map_err(|e| e.to_string())
            },
        );
    match sent {
        Ok(()) => tracing::info!(%job, %url, "webhook delivered"),
        Err(error) if tries + 1 >= TRIES => {
            tracing::error!(%job, %url, %error, "webhook given up");
        }
        Err(error) => {
            tracing::warn!(%job, %url, %error, "webhook failed; it is tried again");
            return;
        }
    }
    let done = place.queue.db.transact(async |conn| {
        sqlx::query("DELETE FROM deliveries WHERE job = $1").bind(job).execute(conn).await?;
        Ok::<_, Error>(())
    });
    if let Err(error) = done {
        tracing::warn!(%error, "a delivered webhook is sent again");
    }
}

/// Returns the HMAC-SHA256, hexadecimal.
fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length will do");
    mac.update(body);
    hex(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_hosts_are_told() {
        let config = Config { webhook_hosts: "ci.example.org, 10.0.0.7:9000".into(), ..Config::default() };
        let allowed = |url: &str| check(url, &config).is_ok();
        for url in ["https://ci.example.org/x", "http://ci.example.org:81/", "http://10.0.0.7:9000/a?b=c"] {
            assert!(allowed(url), "{url}");
        }
        for url in [
            "http://10.0.0.7/",
            "http://10.0.0.7:9001/",
            "http://evil.example.org/",
            "http://ci.example.org@evil.org/",
            "http://ci.example.org.evil.org/",
            "ftp://ci.example.org/",
            "ci.example.org",
            "",
        ] {
            assert!(!allowed(url), "{url}");
        }
        let refused = check("http://evil.org/", &Config::default()).unwrap_err().to_string();
        assert!(refused.contains("evil.org") && refused.contains("none is allowed"), "{refused}");
    }

    #[test]
    fn a_delivery_is_tried_again_only_when_its_time_is_over() {
        assert_eq!([0, 1, 2, 3].map(|tries| wait(tries).as_secs()), [12, 18, 42, 138]);
    }

    #[test]
    fn a_name_that_leads_to_a_private_address_is_not_called() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let call = |host: &str, may_be_private| {
            agent(may_be_private).post(format!("http://{host}:{port}/")).send("x").unwrap_err().to_string()
        };
        let refused = call("localhost", false);
        assert!(refused.contains("jobs.webhook_private"), "{refused}");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody called");
        // Those that may be called get through to a service that closes at once.
        listener.set_nonblocking(false).unwrap();
        let taken = std::thread::spawn(move || (0..2).for_each(|_| drop(listener.accept().unwrap())));
        call("localhost", true);
        call("127.0.0.1", false);
        taken.join().unwrap();
    }

    #[test]
    fn a_body_is_signed_as_rfc_4231_says() {
        // Test case 2.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign("Jefe", b"what do ya want for nothing?"), expected);
    }
}
