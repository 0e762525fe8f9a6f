//! Kills: whatever process of a service ends, at whatever moment, no job is lost, none is published twice,
//! and each ends with the weights it would have had undisturbed.
//!
//! `LIMPID_KILLS` says how many there are; `benches/drills/kills` makes it 200.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use limpid::rng::{Purpose, Rng};
use reqwest::blocking::Client;
use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

/// Seconds between two checkpoints.
const CHECKPOINT: f64 = 0.3;

/// What a step, a checkpoint and a busy machine may add to it.
const SLACK: Duration = Duration::from_millis(700);

/// Steps of each job.
const STEPS: u64 = 12_000;

/// A service that is started again after each of its ends, on one folder and one port.
struct Service {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
    client: Client,
}

impl Service {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = serve(folder.path(), port);
        let client =
            Client::builder().timeout(Duration::from_secs(10)).pool_max_idle_per_host(0).build().unwrap();
        Self { folder, port, child, client }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn get(&self, path: &str) -> Option<Value> {
        let response = self.client.get(self.url(path)).send().ok()?;
        response.status().is_success().then(|| response.json().ok())?
    }

    /// Sends a job until it is accepted, always under the same key; its id.
    fn submit(&self, name: &str, seed: u64) -> String {
        let config = json!({"name": name, "family": "dense", "steps": STEPS, "seed": seed, "batch": 16});
        loop {
            let rows = Part::bytes(table().into_bytes()).file_name("rows.csv");
            let form = Form::new().text("config", config.to_string()).part("samples", rows);
            let request =
                self.client.post(self.url("/train")).header("idempotency-key", name).multipart(form);
            if let Ok(response) = request.send()
                && response.status().as_u16() == 202
                && let Ok(job) = response.json::<Value>()
            {
                return job["id"].as_str().unwrap().to_owned();
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn status(&self, id: &str) -> Option<String> {
        Some(self.get(&format!("/train/{id}"))?["status"].as_str()?.to_owned())
    }

    /// The children of the service: its worker.
    fn worker(&self) -> Option<u32> {
        let path = format!("/proc/{0}/task", self.child.id());
        let tasks = fs::read_dir(path).ok()?.flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        children
            .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .find_map(|pid| pid.parse().ok())
    }

    fn kill_worker(&self) -> bool {
        self.worker().is_some_and(kill)
    }

    fn kill_service(&mut self) {
        kill(self.child.id());
        self.child.wait().unwrap();
        self.child = serve(self.folder.path(), self.port);
    }

    /// How long the work since the last checkpoint took, of the job that runs; none where it has not written
    /// one `since` its worker was ended.
    fn unsaved(&self, since: SystemTime) -> Option<Duration> {
        let jobs = self.get("/train?status=running&limit=1")?;
        let id = jobs["jobs"][0]["id"].as_str()?;
        let file = self.folder.path().join(format!("data/checkpoints/jobs/{id}.safetensors"));
        let written = fs::metadata(file).ok()?.modified().ok().filter(|written| *written > since)?;
        SystemTime::now().duration_since(written).ok()
    }

    fn wait_for(&self, ids: &[String]) {
        let begun = Instant::now();
        for id in ids {
            while self.status(id).as_deref() != Some("succeeded") {
                let job = self.get(&format!("/train/{id}"));
                let is_lost =
                    job.as_ref().is_some_and(|job| job["status"] == "failed" || job["status"] == "cancelled");
                assert!(!is_lost && begun.elapsed() < Duration::from_secs(600), "{job:?}");
                sleep(Duration::from_millis(50));
            }
        }
    }

    /// The digest of every version, by name.
    fn digests(&self) -> BTreeMap<String, Vec<String>> {
        let models = self.get("/models").unwrap();
        let of = |model: &Value| {
            assert_eq!(model["quarantined"], json!([]), "{model}");
            let name = model["name"].as_str().unwrap().to_owned();
            let digest = |version: &Value| {
                let card = self.get(&format!("/models/{name}/{version}")).unwrap();
                card["digest"].as_str().unwrap().to_owned()
            };
            let digests = model["versions"].as_array().unwrap().iter().map(digest).collect();
            (name, digests)
        };
        models["models"].as_array().unwrap().iter().map(of).collect()
    }

    /// What lies in the models' folders and is no version.
    fn litter(&self) -> Vec<String> {
        let homes = fs::read_dir(self.folder.path().join("data/models")).unwrap().flatten();
        let entries = homes.flat_map(|home| fs::read_dir(home.path()).unwrap().flatten());
        let name = |entry: fs::DirEntry| entry.path().display().to_string();
        entries
            .map(name)
            .filter(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with('.')))
            .collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(folder: &Path, port: u16) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_limpid"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIMPID_")) {
        command.env_remove(name);
    }
    let settings = [
        ("JOBS__QUEUE", "1000".to_owned()),
        ("JOBS__CHECKPOINT_SECONDS", CHECKPOINT.to_string()),
        ("JOBS__NICE", "0".to_owned()),
        ("JOBS__LEASE_SECONDS", "2".to_owned()),
        // More ends than a job that ends its worker would have.
        ("JOBS__ATTEMPTS", "100000".to_owned()),
    ];
    command
        .current_dir(folder)
        .args(["serve", "--bind", &format!("127.0.0.1:{port}"), "--models", "none"])
        .envs(settings.map(|(name, value)| (format!("LIMPID_{name}"), value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn kill(pid: u32) -> bool {
    Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

/// Sixty vectors of twelve numbers.
fn table() -> String {
    let number = |i: usize, j: usize| ((i * 3 + j) as f32 * 0.7).sin() + (i % 7) as f32;
    let row = |i: usize| (0..12).map(|j| number(i, j).to_string()).collect::<Vec<_>>().join(",");
    (0..60).map(row).collect::<Vec<_>>().join("\n")
}

#[cfg(target_os = "linux")]
#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_differs() {
    let kills: usize = std::env::var("LIMPID_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let mut rng = Rng::new(7, Purpose::Evaluate, kills as u64);

    let calm = Service::start();
    let ids: Vec<String> = (0..4).map(|seed| calm.submit(&format!("seed-{seed}"), seed)).collect();
    calm.wait_for(&ids);
    let expected = calm.digests();
    drop(calm);

    let mut service = Service::start();
    let (mut ids, mut of_worker, mut of_service, mut most) = (Vec::new(), 0, 0, Duration::ZERO);
    let (begun, mut killed) = (Instant::now(), SystemTime::now());
    while of_worker + of_service < kills {
        // There is always work, and every job comes again under names of its own.
        let left =
            ids.iter().filter(|id: &&String| service.status(id).is_none_or(|s| s != "succeeded")).count();
        if left < 2 {
            let round = ids.len();
            ids.push(service.submit(&format!("job-{round}-seed-{}", round % 4), round as u64 % 4));
        }
        sleep(Duration::from_millis(100 + rng.below(1400) as u64));
        most = most.max(service.unsaved(killed).unwrap_or_default());
        if rng.below(2) == 0 {
            service.kill_service();
            of_service += 1;
        } else if service.kill_worker() {
            of_worker += 1;
        }
        killed = SystemTime::now();
    }
    let killing = begun.elapsed();
    service.wait_for(&ids);

    let found = service.digests();
    let attempts: u64 =
        ids.iter().map(|id| service.get(&format!("/train/{id}")).unwrap()["attempt"].as_u64().unwrap()).sum();
    println!(
        "{kills} kills within {killing:.0?}: {of_worker} of the worker, {of_service} of the service; {} jobs, {attempts} \
         attempts; most work since a checkpoint {most:.2?} (interval {CHECKPOINT} s)",
        ids.len()
    );
    assert_eq!(found.len(), ids.len(), "each job gave one model");
    for (name, digests) in &found {
        let seed = name.split("seed-").nth(1).unwrap();
        assert_eq!(
            *digests,
            expected[&format!("seed-{seed}")],
            "{name} was published once, with the same weights"
        );
    }
    assert_eq!(service.litter(), Vec::<String>::new());
    assert!(most <= Duration::from_secs_f64(CHECKPOINT) + SLACK, "{most:?} of work were lost");
}
