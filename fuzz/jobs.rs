//! Jobs: sequences of calls of `/train`, beside a model of what they must do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::choices::Choices;
use super::house::House;

/// Calls of one run.
const MOST: usize = 24;

/// The jobs as they must be.
#[derive(Default)]
struct Model {
    /// Ids in the order of submission, with the status.
    jobs: Vec<(String, &'static str)>,
    /// Job and steps by the idempotency key.
    keys: HashMap<usize, (usize, u64)>,
}

/// Plays a sequence of calls. No worker is there, so that each job is where its caller put it.
pub fn jobs(bytes: &[u8]) {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let run = format!("{}-{}", std::process::id(), RUN.fetch_add(1, Ordering::Relaxed));
    let (mut choices, mut model) = (Choices(bytes), Model::default());
    for _ in 0..MOST {
        if choices.is_empty() {
            break;
        }
        match choices.below(8) {
            0 | 1 => model.submit(&run, choices.below(4), 10 + choices.below(2) as u64),
            2 => model.steer("pause", "paused", choices.byte().into()),
            3 => model.steer("resume", "queued", choices.byte().into()),
            4 => model.steer("cancel", "cancelled", choices.byte().into()),
            5 => model.look(choices.byte().into()),
            6 => model.list(),
            _ => unknown(choices.slice()),
        }
    }
    model.list();
    // The next run has the queue for itself.
    (0..model.jobs.len()).for_each(|index| model.steer("cancel", "cancelled", index));
}

impl Model {
    fn submit(&mut self, run: &str, key: usize, steps: u64) {
        let body = json!({
            "config": {"name": "fuzz", "family": "dense", "steps": steps},
            "samples": [{"data": [[1, 2], [3, 4], [5, 6]]}],
        });
        let text = format!("{run}-{key}");
        let mut headers = vec![("content-type", "application/json")];
        // Key 0 is none.
        headers.extend((key > 0).then_some(("idempotency-key", text.as_str())));
        let (status, reply) = House::get().ask("POST", "/train", &headers, body.to_string().into_bytes());
        match self.keys.get(&key) {
            Some((_, other)) if *other != steps => assert_eq!(status, 422, "{reply}"),
            Some((index, _)) => {
                assert_eq!(
                    (status, &reply["id"]),
                    (202, &json!(self.jobs[*index].0)),
                    "the job of the key: {reply}"
                );
            }
            None => {
                assert_eq!((status, &reply["status"]), (202, &json!("queued")), "{reply}");
                let id = reply["id"].as_str().expect("an id").to_owned();
                assert!(self.jobs.iter().all(|(other, _)| *other < id), "ids rise");
                if key > 0 {
                    self.keys.insert(key, (self.jobs.len(), steps));
                }
                self.jobs.push((id, "queued"));
            }
        }
    }

    fn steer(&mut self, verb: &str, to: &'static str, index: usize) {
        if self.jobs.is_empty() {
            return;
        }
        let index = index % self.jobs.len();
        let (id, was) = self.jobs[index].clone();
        let (status, reply) = House::get().ask("POST", &format!("/train/{id}/{verb}"), &[], Vec::new());
        if was == "cancelled" && to != "cancelled" {
            assert_eq!((status, &reply["code"]), (409, &json!("job_state_conflict")), "{verb}: {reply}");
            return;
        }
        assert_eq!((status, &reply["status"]), (200, &json!(to)), "{verb} of a job that was {was}: {reply}");
        self.jobs[index].1 = to;
    }

    fn look(&self, index: usize) {
        let Some((id, is)) = self.jobs.get(index % self.jobs.len().max(1)) else { return };
        let (status, reply) = House::get().ask("GET", &format!("/train/{id}"), &[], Vec::new());
        assert_eq!((status, &reply["status"]), (200, &json!(is)), "{reply}");
    }

    /// The newest jobs are those of this run, newest first.
    fn list(&self) {
        let (status, reply) = House::get().ask("GET", "/train?limit=100", &[], Vec::new());
        assert_eq!(status, 200, "{reply}");
        let listed = reply["jobs"].as_array().expect("a list").iter().take(self.jobs.len());
        let listed: Vec<(&Value, &Value)> = listed.map(|job| (&job["id"], &job["status"])).collect();
        let expected: Vec<(Value, Value)> =
            self.jobs.iter().rev().map(|(id, is)| (json!(id), json!(is))).collect();
        assert_eq!(listed, expected.iter().map(|(id, is)| (id, is)).collect::<Vec<_>>());
    }
}

/// A job that is not there is refused, whatever its name.
fn unknown(name: &[u8]) {
    let name: String = name.iter().map(|byte| format!("%{byte:02x}")).collect();
    let (status, reply) = House::get().ask("GET", &format!("/train/x{name}"), &[], Vec::new());
    assert!([400, 404].contains(&status), "{status} {reply}");
}
