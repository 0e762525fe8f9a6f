//! A job as it goes on: events, rest, and word to others when it is over.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::train::{config, finish, submit};
use crate::support::*;

/// One event as it came.
#[derive(Debug)]
struct Event {
    id: i64,
    kind: String,
    data: Value,
}

/// The events of a job until their end, or until `is_enough`.
fn listen(service: &Service, id: &str, after: Option<i64>, is_enough: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut request = service.request("GET", &format!("/train/{id}/events"));
    if let Some(after) = after {
        request = request.header("last-event-id", after.to_string());
    }
    let response = request.send().unwrap();
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let mut events = Vec::new();
    let (mut number, mut kind, mut data) = (0, String::new(), Value::Null);
    for line in BufReader::new(response).lines() {
        let line = line.unwrap();
        match line.split_once(": ") {
            Some(("id", text)) => number = text.parse().unwrap(),
            Some(("event", text)) => text.clone_into(&mut kind),
            Some(("data", text)) => data = serde_json::from_str(text).unwrap(),
            _ if line.is_empty() && number > 0 => {
                let event = Event { id: number, kind: std::mem::take(&mut kind), data: data.take() };
                number = 0;
                let is_last = is_enough(&event);
                events.push(event);
                if is_last {
                    break;
                }
            }
            _ => {}
        }
    }
    events
}

#[test]
fn listeners_beyond_the_limit_are_refused_until_one_leaves() {
    let mut setup = Setup::default();
    setup.config.event_streams = 2;
    let service = Service::with(setup);
    let id = id_of(&ok_json(submit(&service, &config("heard", 1_000_000))));
    let path = format!("/train/{id}/events");
    let (one, two) = (service.get(&path), service.get(&path));
    assert_eq!((one.status().as_u16(), two.status().as_u16()), (200, 200));
    refused(service.get(&path), "queue_full");
    drop(one);
    let begun = Instant::now();
    while service.get(&path).status().as_u16() != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the place of one that left is not free");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(two);
    ok(service.request("POST", &format!("/train/{id}/cancel")).send().unwrap());
    finish(&service, &id);
}

fn id_of(job: &Value) -> String {
    job["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_job_is_told_from_its_beginning_to_its_end_and_after_a_break_without_gap_or_double() {
    let service = Service::that_trains();
    let id = id_of(&ok_json(submit(&service, &config("told", 3000))));
    let begun = listen(&service, &id, None, |event| event.kind == "progress");
    let last = begun.last().unwrap().id;
    let rest = listen(&service, &id, Some(last), |_| false);
    let all: Vec<&Event> = begun.iter().chain(&rest).collect();
    assert_eq!(all.iter().map(|e| e.id).collect::<Vec<_>>(), (1..=all.len() as i64).collect::<Vec<_>>());
    let statuses: Vec<_> =
        all.iter().filter(|e| e.kind == "status").map(|e| e.data["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["queued", "validating", "running", "succeeded"]);
    for kind in ["progress", "metrics", "sample", "done"] {
        assert!(all.iter().any(|event| event.kind == kind), "{kind}: {all:?}");
    }
    let done = all.last().unwrap();
    assert_eq!((done.kind.as_str(), &done.data["result"]["version"]), ("done", &json!(1)));

    let over = service.request("GET", &format!("/train/{id}/events"));
    let over = over.header("last-event-id", done.id.to_string()).send().unwrap();
    assert_eq!(over.status().as_u16(), 204);
    let odd = service.request("GET", &format!("/train/{id}/events")).header("last-event-id", "x");
    refused(odd.send().unwrap(), "invalid_input");
    refused(service.get("/train/none/events"), "job_not_found");
}

#[test]
fn a_job_can_rest_and_go_on() {
    let service = Service::that_trains();
    let id = id_of(&ok_json(submit(&service, &config("rests", 1_000_000))));
    let ask = |what: &str| service.request("POST", &format!("/train/{id}/{what}")).send().unwrap();
    listen(&service, &id, None, |event| event.kind == "progress");
    ok(ask("pause"));
    let events = listen(&service, &id, None, |event| event.data["status"] == "paused");
    let step = |event: &Event| event.data["step"].as_u64();
    let before = events.iter().filter_map(step).max().unwrap();
    ok(ask("pause"));
    ok(ask("resume"));
    let last = events.last().unwrap().id;
    let events = listen(&service, &id, Some(last), |event| event.kind == "progress");
    assert!(step(events.last().unwrap()).unwrap() >= before, "it goes on where it was: {events:?}");
    ok(ask("cancel"));
    assert_eq!(finish(&service, &id)["status"], "cancelled");
    for what in ["pause", "resume"] {
        refused(ask(what), "job_state_conflict");
    }
    refused(service.request("POST", "/train/none/pause").send().unwrap(), "job_not_found");
}

#[test]
fn the_same_key_gives_the_same_job_and_another_body_is_refused() {
    let service = Service::start();
    let send = |steps: usize, key: &str| {
        let body = json!({"config": config("once", steps), "samples": [{"data": [1, 2, 3]}]});
        let request = service.request("POST", "/train").header("idempotency-key", key);
        request.header("content-type", "application/json").body(body.to_string()).send().unwrap()
    };
    let first = id_of(&ok_json(send(5, "k1")));
    assert_eq!(id_of(&ok_json(send(5, "k1"))), first);
    assert_ne!(id_of(&ok_json(send(5, "k2"))), first);
    let problem = refused(send(6, "k1"), "idempotency_conflict");
    assert!(problem["detail"].as_str().unwrap().contains("k1"));
    refused(send(5, &"k".repeat(256)), "invalid_input");
    let listed =
        |query: &str| ok_json(service.get(&format!("/train{query}")))["jobs"].as_array().unwrap().len();
    assert_eq!((listed(""), listed("?status=queued&name=once"), listed("?status=failed")), (2, 2, 0));
}

/// A server that refuses once and then takes what comes.
fn receiver() -> (String, std::sync::mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let mut reader = BufReader::new(socket.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head += &line.to_ascii_lowercase();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = if number == 0 { "503 Later" } else { "204 Taken" };
            let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            reader.get_mut().write_all(reply.as_bytes()).unwrap();
            if tx.send((head, String::from_utf8(body).unwrap())).is_err() {
                return;
            }
        }
    });
    (host, rx)
}

#[test]
fn the_end_of_a_job_is_told_to_an_allowed_host_signed_and_until_it_is_heard() {
    let (host, heard) = receiver();
    let mut setup = Setup::default();
    (setup.jobs.webhook_hosts, setup.jobs.webhook_secret) = (host.clone(), "secret".into());
    let service = Service::with(setup);
    let mut config = config("hooked", 5);
    config["webhook"] = format!("http://{host}/done?x=1").into();
    let id = id_of(&ok_json(submit(&service, &config)));
    ok(service.request("POST", &format!("/train/{id}/cancel")).send().unwrap());
    let begun = Instant::now();
    for _ in 0..2 {
        let (head, body) = heard.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(
            head.starts_with("post /done?x=1 ") && head.contains("x-limpid-signature: sha256="),
            "{head}"
        );
        let job: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&job["id"], &job["status"]), (&json!(id), &json!("cancelled")));
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "it is tried again after a while");

    config["webhook"] = "http://169.254.169.254/latest".into();
    let problem = refused(submit(&service, &config), "invalid_input");
    assert_eq!(pointers(&problem), ["/config/webhook"]);
    assert!(problem["detail"].as_str().unwrap().contains("169.254.169.254"));
}
