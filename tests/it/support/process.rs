//! The real program as a process, that ends with the test.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `limpid` in a folder of its own, with no settings of this machine.
pub fn limpid(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limpid"));
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIMPID_")) {
        command.env_remove(name);
    }
    command
}

/// A service on a free port of this machine.
pub struct Process {
    child: Child,
    /// What it listens on.
    pub address: String,
}

impl Process {
    /// Starts `limpid serve`, `command` being without its arguments, and waits until it is ready.
    ///
    /// # Panics
    /// It is not, within a minute.
    pub fn serve(command: &mut Command) -> Self {
        command.args(["serve", "--bind", "127.0.0.1:0", "--log-format", "json"]).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).ok()?;
            line["address"].as_str().map(str::to_owned)
        });
        // Read on, so that the service never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let service = Self { child, address: address.expect("the log names the address") };
        let begun = Instant::now();
        while !reqwest::blocking::get(service.url("/readyz")).is_ok_and(|r| r.status().is_success()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "not ready within a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
        service
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, named as `kill` does; the exit code and the time it took.
    pub fn end(mut self, name: &str) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        assert!(signal(self.pid(), name));
        (self.child.wait().unwrap().code(), begun.elapsed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal, named as `kill` does; whether there was one to get it.
pub fn signal(pid: u32, name: &str) -> bool {
    Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}
