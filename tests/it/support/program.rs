//! The real program as processes, for tests of what happens when they end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use reqwest::blocking::Client;
use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

use super::process::{self, signal};

/// Seconds between two checkpoints.
pub const CHECKPOINT: f64 = 0.3;

/// Steps of each job.
const STEPS: u64 = 12_000;

/// A service that is started again after each of its ends, on one folder and one port; tiny jobs for it.
pub struct Program {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
    client: Client,
    /// Settings beyond those of all tests, as variables.
    settings: Vec<(&'static str, String)>,
}

impl Program {
    /// A service with a training process of its own.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A service with more settings: names without their `LIMPID_`, and values.
    pub fn with(settings: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let child = serve(folder.path(), port, &settings);
        let client =
            Client::builder().timeout(Duration::from_secs(10)).pool_max_idle_per_host(0).build().unwrap();
        Self { folder, port, child, client, settings }
    }

    /// A training process that knows nothing of the service but its data folder and its database.
    pub fn spawn_worker(&self) -> Child {
        let mut command = limpid(self.folder.path(), &self.settings);
        command.args(["worker", "--data-dir"]).arg(self.folder.path().join("data"));
        command.spawn().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The JSON of a reply; none where there was no success.
    pub fn get(&self, path: &str) -> Option<Value> {
        let response = self.client.get(self.url(path)).send().ok()?;
        response.status().is_success().then(|| response.json().ok())?
    }

    /// A number without labels that the service tells of itself.
    pub fn counter(&self, name: &str) -> u64 {
        let text = self.client.get(self.url("/metrics")).send().unwrap().text().unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is not in\n{text}"))
    }

    /// Sends a job until it is accepted, always under the same key; its id.
    pub fn submit(&self, name: &str, seed: u64) -> String {
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

    /// The state of a job, if the service answers.
    pub fn status(&self, id: &str) -> Option<String> {
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

    /// Sends a signal to the service's own training process; whether there was one.
    pub fn signal_worker(&self, name: &str) -> bool {
        self.worker().is_some_and(|pid| signal(pid, name))
    }

    /// Ends the service at once, and starts it again.
    pub fn kill_service(&mut self) {
        signal(self.child.id(), "-KILL");
        self.child.wait().unwrap();
        self.child = serve(self.folder.path(), self.port, &self.settings);
    }

    /// How long the work since the last checkpoint took, of the job that runs; none where it has not written
    /// one `since` its worker was ended.
    pub fn unsaved(&self, since: SystemTime) -> Option<Duration> {
        let jobs = self.get("/train?status=running&limit=1")?;
        let id = jobs["jobs"][0]["id"].as_str()?;
        let file = self.folder.path().join(format!("data/checkpoints/jobs/{id}.safetensors"));
        let written = fs::metadata(file).ok()?.modified().ok().filter(|written| *written > since)?;
        SystemTime::now().duration_since(written).ok()
    }

    /// Waits until jobs have succeeded.
    ///
    /// # Panics
    /// One failed, or ten minutes are over.
    pub fn wait_for(&self, ids: &[String]) {
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
    pub fn digests(&self) -> BTreeMap<String, Vec<String>> {
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
    pub fn litter(&self) -> Vec<String> {
        let homes = fs::read_dir(self.folder.path().join("data/models")).unwrap().flatten();
        let entries = homes.flat_map(|home| fs::read_dir(home.path()).unwrap().flatten());
        let name = |entry: fs::DirEntry| entry.path().display().to_string();
        entries
            .map(name)
            .filter(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with('.')))
            .collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(folder: &Path, port: u16, settings: &[(&'static str, String)]) -> Child {
    let mut command = limpid(folder, settings);
    command.args(["serve", "--bind", &format!("127.0.0.1:{port}"), "--models", "none"]).spawn().unwrap()
}

/// `limpid` in the folder, which gets its log, with the settings of these tests.
fn limpid(folder: &Path, settings: &[(&'static str, String)]) -> Command {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = process::limpid(folder);
    let common = [
        // The program would find the models of its source.
        ("MODELS__DIR", "none".to_owned()),
        ("JOBS__QUEUE", "1000".to_owned()),
        ("JOBS__CHECKPOINT_SECONDS", CHECKPOINT.to_string()),
        ("JOBS__NICE", "0".to_owned()),
        ("JOBS__LEASE_SECONDS", "2".to_owned()),
        // More ends than a job that ends its worker would have.
        ("JOBS__ATTEMPTS", "100000".to_owned()),
    ];
    let all = common.iter().chain(settings);
    command.envs(all.map(|(name, value)| (format!("LIMPID_{name}"), value)));
    command.stdout(Stdio::null()).stderr(log);
    command
}

/// Sixty vectors of twelve numbers.
fn table() -> String {
    let number = |i: usize, j: usize| ((i * 3 + j) as f32 * 0.7).sin() + (i % 7) as f32;
    let row = |i: usize| (0..12).map(|j| number(i, j).to_string()).collect::<Vec<_>>().join(",");
    (0..60).map(row).collect::<Vec<_>>().join("\n")
}
