//! Rates: limits of one API key, counted in token buckets.
//!
//! A bucket holds the amount of one minute, refills evenly, and may go below zero: bytes and numbers are known only after a
//! request is admitted, so the next one waits until the debt is refilled. The headers are those of the draft
//! `draft-ietf-httpapi-ratelimit-headers-10`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::error::{Code, Problem};
use super::keys::Entry;

/// Seconds in which a bucket is filled.
const WINDOW: f64 = 60.0;

/// Rate limits of each API key; without keys, all callers share them. 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = RateConfig)]
pub struct Config {
    /// Requests per minute of each API key, or of all callers together without keys; 0 is no limit.
    pub requests_per_minute: u64,
    /// Numbers in samples per minute (pixels or points times channels); 0 is no limit.
    pub numbers_per_minute: u64,
    /// Bytes of request bodies per minute; 0 is no limit.
    pub bytes_per_minute: u64,
    /// Minutes of training in 24 hours, checked when a job is submitted; 0 is no limit.
    pub training_minutes_per_day: u64,
}

/// Rate limits of one key in place of the common ones; absent members are as in [`Config`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// See [`Config::requests_per_minute`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// See [`Config::numbers_per_minute`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers_per_minute: Option<u64>,
    /// See [`Config::bytes_per_minute`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_minute: Option<u64>,
    /// See [`Config::training_minutes_per_day`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_minutes_per_day: Option<u64>,
}

impl Own {
    /// Returns the limits of a key with these, where `all` are the common ones.
    fn or(self, all: Config) -> Config {
        Config {
            requests_per_minute: self.requests_per_minute.unwrap_or(all.requests_per_minute),
            numbers_per_minute: self.numbers_per_minute.unwrap_or(all.numbers_per_minute),
            bytes_per_minute: self.bytes_per_minute.unwrap_or(all.bytes_per_minute),
            training_minutes_per_day: self.training_minutes_per_day.unwrap_or(all.training_minutes_per_day),
        }
    }
}

/// A counted quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Requests,
    Numbers,
    Bytes,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Requests, Kind::Numbers, Kind::Bytes];

    fn name(self) -> &'static str {
        match self {
            Kind::Requests => "requests",
            Kind::Numbers => "numbers",
            Kind::Bytes => "bytes",
        }
    }

    fn limit(self, config: &Config) -> u64 {
        match self {
            Kind::Requests => config.requests_per_minute,
            Kind::Numbers => config.numbers_per_minute,
            Kind::Bytes => config.bytes_per_minute,
        }
    }
}

/// The accounts of all keys that called.
#[derive(Debug, Default)]
pub(super) struct Rates {
    accounts: Mutex<HashMap<String, Arc<Account>>>,
}

impl Rates {
    /// The account of a key; none where nothing is limited for it.
    pub(super) fn account(&self, key: Option<&Entry>, all: Config) -> Option<Arc<Account>> {
        let limits = key.and_then(|entry| entry.rate).unwrap_or_default().or(all);
        if limits == Config::default() {
            return None;
        }
        // A key that is removed and made again under the same name starts with a new account.
        let name = key.map_or("", |entry| entry.sha256.as_str());
        let mut accounts = lock(&self.accounts);
        let known = accounts.get(name).filter(|account| account.limits == limits);
        if let Some(account) = known {
            return Some(Arc::clone(account));
        }
        let account = Arc::new(Account::new(limits, Instant::now()));
        accounts.insert(name.to_owned(), Arc::clone(&account));
        Some(account)
    }
}

/// Remaining limits of one key.
#[derive(Debug)]
pub(super) struct Account {
    limits: Config,
    buckets: Mutex<[Bucket; 3]>,
}

/// Remaining amount of one limit at one time; negative for a debt.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Account {
    fn new(limits: Config, now: Instant) -> Self {
        let full = |kind: Kind| Bucket { left: kind.limit(&limits) as f64, at: now };
        Self { limits, buckets: Mutex::new(Kind::ALL.map(full)) }
    }

    /// The limits.
    pub(super) fn limits(&self) -> &Config {
        &self.limits
    }

    /// Admits one more request.
    ///
    /// # Errors
    /// 429 `rate_limited`, with the time until the exhausted limit has refilled.
    pub(super) fn admit(&self) -> Result<(), Problem> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Result<(), Problem> {
        let mut buckets = self.filled(now);
        for kind in Kind::ALL {
            let (limit, left) = (kind.limit(&self.limits), buckets[kind as usize].left);
            if limit > 0 && left < 1.0 {
                let (name, seconds) = (kind.name(), (1.0 - left) * WINDOW / limit as f64);
                let detail = format!(
                    "the {limit} {name} a minute of this key (server.rate.{name}_per_minute) are used up; try again in \
                     {} s",
                    seconds.ceil()
                );
                let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
                return Err(Problem::new(Code::RateLimited, detail).retry_after(wait));
            }
        }
        buckets[Kind::Requests as usize].left -= 1.0;
        Ok(())
    }

    /// Deducts an amount that became known during a request.
    pub(super) fn charge(&self, kind: Kind, amount: usize) {
        self.filled(Instant::now())[kind as usize].left -= amount as f64;
    }

    /// Adds the headers `RateLimit-Policy` and `RateLimit` to a reply.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let buckets = self.filled(Instant::now());
        let limited = Kind::ALL.into_iter().filter(|kind| kind.limit(&self.limits) > 0);
        let (mut policies, mut lefts) = (Vec::new(), Vec::new());
        for kind in limited {
            let (name, limit, left) = (kind.name(), kind.limit(&self.limits), buckets[kind as usize].left);
            let unit = if kind == Kind::Bytes { ";qu=\"content-bytes\"" } else { "" };
            let full = ((limit as f64 - left) * WINDOW / limit as f64).ceil();
            policies.push(format!("\"{name}\";q={limit};w={WINDOW}{unit}"));
            lefts.push(format!("\"{name}\";r={};t={full}", left.max(0.0).floor()));
        }
        for (name, items) in [("ratelimit-policy", policies), ("ratelimit", lefts)] {
            if let Some(value) = HeaderValue::try_from(items.join(", ")).ok().filter(|_| !items.is_empty()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }

    /// The buckets, refilled up to `now`.
    fn filled(&self, now: Instant) -> MutexGuard<'_, [Bucket; 3]> {
        let mut buckets = lock(&self.buckets);
        for (bucket, kind) in buckets.iter_mut().zip(Kind::ALL) {
            let limit = kind.limit(&self.limits) as f64;
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            *bucket = Bucket { left: (bucket.left + passed * limit / WINDOW).min(limit), at: now };
        }
        buckets
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Changes are single steps that do not panic: whole even if poisoned.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(requests: u64, bytes: u64, now: Instant) -> Account {
        let limits = Config { requests_per_minute: requests, bytes_per_minute: bytes, ..Config::default() };
        Account::new(limits, now)
    }

    #[test]
    fn a_minute_allows_its_limit_and_then_as_much_as_time_gives() {
        let now = Instant::now();
        let account = account(60, 0, now);
        assert_eq!((0..100).filter(|_| account.admit_at(now).is_ok()).count(), 60);
        let refused = account.admit_at(now).unwrap_err();
        assert_eq!(refused.code(), Code::RateLimited);
        assert!(refused.detail().contains("60 requests") && refused.detail().contains("in 1 s"), "{refused}");
        let later = now + Duration::from_secs(5);
        assert_eq!((0..100).filter(|_| account.admit_at(later).is_ok()).count(), 5);
        let much_later = now + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| account.admit_at(much_later).is_ok()).count(), 60);
    }

    #[test]
    fn a_large_request_is_paid_for_by_those_after_it() {
        let now = Instant::now();
        let account = account(0, 1000, now);
        account.admit_at(now).unwrap();
        account.charge(Kind::Bytes, 3000);
        let refused = account.admit_at(now + Duration::from_secs(60)).unwrap_err();
        assert!(refused.detail().contains("bytes_per_minute"), "{refused}");
        assert!(account.admit_at(now + Duration::from_secs(119)).is_err());
        account.admit_at(now + Duration::from_secs(122)).unwrap();
    }

    #[test]
    fn what_is_left_is_told() {
        let account = account(10, 500, Instant::now());
        account.admit().unwrap();
        let mut headers = HeaderMap::new();
        account.tell(&mut headers);
        let policy = "\"requests\";q=10;w=60, \"bytes\";q=500;w=60;qu=\"content-bytes\"";
        assert_eq!(headers["ratelimit-policy"], policy);
        assert_eq!(headers["ratelimit"], "\"requests\";r=9;t=6, \"bytes\";r=500;t=0");
    }

    #[test]
    fn a_key_may_have_limits_of_its_own() {
        let all = Config { requests_per_minute: 5, bytes_per_minute: 7, ..Config::default() };
        let own = Own { requests_per_minute: Some(0), ..Own::default() }.or(all);
        assert_eq!(own, Config { bytes_per_minute: 7, ..Config::default() });
        assert!(Rates::default().account(None, Config::default()).is_none());
        let rates = Rates::default();
        let first = rates.account(None, all).unwrap();
        assert!(Arc::ptr_eq(&first, &rates.account(None, all).unwrap()));
        assert!(
            !Arc::ptr_eq(&first, &rates.account(None, own).unwrap()),
            "new limits start with a full budget"
        );
    }
}
