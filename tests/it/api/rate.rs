//! Rates: what one key may ask for in a minute and in a day.

use limpid::api::keys::{self, Scope};
use limpid::api::{Config, OwnRate, RateConfig};
use limpid::db::{self, Db};
use reqwest::blocking::Response;
use serde_json::json;

use super::train::{config, finish_with, submit_with};
use crate::support::*;

fn service(rate: RateConfig) -> Service {
    let config = Config { rate, ..Setup::default().config };
    let keys = vec![("one", vec![Scope::Infer]), ("two", vec![Scope::Infer])];
    Service::with(Setup { config, keys, ..Setup::default() })
}

fn post(service: &Service, key: &str, side: u32) -> Response {
    let request = service.request("POST", "/denoise?model=photo-gray").bearer_auth(key);
    request.header("content-type", "image/png").body(png(side, side)).send().unwrap()
}

#[test]
fn each_key_has_its_requests_and_is_told_what_is_left() {
    let service = service(RateConfig { requests_per_minute: 3, ..RateConfig::default() });
    let get = |key: usize| service.request("GET", "/version").bearer_auth(&service.keys[key]).send().unwrap();
    let first = get(0);
    assert_eq!(header(&first, "ratelimit-policy"), "\"requests\";q=3;w=60");
    assert_eq!(header(&first, "ratelimit"), "\"requests\";r=2;t=20");
    get(0);
    get(0);
    let response = get(0);
    let wait: u64 = header(&response, "retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(header(&response, "ratelimit").starts_with("\"requests\";r=0;"), "{response:?}");
    let problem = refused(response, "rate_limited");
    assert!(problem["detail"].as_str().unwrap().contains("server.rate.requests_per_minute"), "{problem}");
    assert_eq!(get(1).status(), 200, "another key has its own");
    assert_eq!(service.get("/readyz").status(), 204, "probes are not counted");
}

#[test]
fn numbers_and_bytes_are_paid_for_by_the_next_request() {
    let service = service(RateConfig { numbers_per_minute: 1000, ..RateConfig::default() });
    ok(post(&service, &service.keys[0], 64));
    let problem = refused(post(&service, &service.keys[0], 8), "rate_limited");
    assert!(problem["detail"].as_str().unwrap().contains("1000 numbers"), "{problem}");
    ok(post(&service, &service.keys[1], 8));

    let service = self::service(RateConfig { bytes_per_minute: 500, ..RateConfig::default() });
    ok(post(&service, &service.keys[0], 64));
    refused(post(&service, &service.keys[0], 8), "rate_limited");
    ok(post(&service, &service.keys[1], 8));
}

#[test]
fn a_key_may_have_a_limit_of_its_own() {
    let service = service(RateConfig { requests_per_minute: 1, ..RateConfig::default() });
    let (file, own) =
        (service.folder().join("keys"), OwnRate { requests_per_minute: Some(0), ..OwnRate::default() });
    let free = keys::add_limited(&file, "free".parse().unwrap(), vec![Scope::Infer], Some(own)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for _ in 0..3 {
        let response = service.request("GET", "/version").bearer_auth(&free).send().unwrap();
        assert_eq!((response.status().as_u16(), header(&response, "ratelimit")), (200, ""));
    }
}

#[test]
fn training_time_is_limited_by_the_day() {
    let rate = RateConfig { training_minutes_per_day: 10, ..RateConfig::default() };
    let config = Config { rate, ..Setup::default().config };
    let keys = vec![("one", vec![Scope::Train]), ("two", vec![Scope::Train])];
    let jobs = limpid::job::Config { nice: 0, ..limpid::job::Config::default() };
    let service = Service::with(Setup { config, keys, jobs, ..Setup::default() });
    let ask =
        |key: usize, name: &str| submit_with(&service, &self::config(name, 5), Some(&service.keys[key]));
    let id = ok_json(ask(0, "first"))["id"].as_str().unwrap().to_owned();
    finish_with(&service, &id, Some(&service.keys[0]));
    assert_eq!(ask(0, "second").status(), 202, "some seconds of ten minutes are used");

    // As if it had trained for an hour.
    let db = Db::open(&db::Config::default(), &service.folder().join("limpid.db"), || false).unwrap();
    db.transact(async |conn| {
        let sql = "UPDATE jobs SET started_at = finished_at - 3600000 WHERE id = $1";
        sqlx::query(sql).bind(&id).execute(conn).await?;
        Ok::<_, db::Error>(())
    })
    .unwrap();
    let response = ask(0, "third");
    let wait: u64 = header(&response, "retry-after").parse().unwrap();
    assert!((22 * 3600..=24 * 3600).contains(&wait), "{wait}");
    refused(response, "rate_limited");
    assert_eq!(ask(1, "third").status(), 202, "another key has its own");
    let plan = json!({"config": self::config("third", 5), "samples": [{"data": [[1.0, 2.0], [3.0, 4.0]]}]});
    let plan =
        service.request("POST", "/train?plan=1").bearer_auth(&service.keys[0]).json(&plan).send().unwrap();
    assert_ne!(plan.status(), 429, "a plan trains nothing");
}
