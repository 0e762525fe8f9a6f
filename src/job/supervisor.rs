//! Supervisor of the training process.
//!
//! The process reads its configuration from its standard input, which stays open as long as its parent lives: the end of
//! that pipe is its signal to stop. A process that ends for any other reason is restarted.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::queue::Queue;
use crate::telemetry;

/// Lifetime after which the end of a process resets the count of consecutive failures.
const STEADY: Duration = Duration::from_secs(10);

/// Longest wait before a restart.
const MOST_WAIT: Duration = Duration::from_secs(30);

/// Interval of checking the lease of the process.
const LOOK: Duration = Duration::from_secs(2);

/// Description of a process that was ended because it hung.
const HUNG: &str = "the training process did not renew its lease and was ended";

/// Command line and input of a training process.
#[derive(Debug, Clone)]
pub struct Program {
    /// Path of the `limpid` binary.
    pub path: PathBuf,
    /// First line of its standard input: its configuration.
    pub hello: String,
    /// Number of threads it may use.
    pub threads: usize,
}

/// Training process that is restarted when it ends.
#[derive(Debug)]
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    program: Program,
    queue: Queue,
    is_stopping: AtomicBool,
    /// Set when the deadline for a clean stop has passed.
    must_kill: AtomicBool,
    has_ended: AtomicBool,
}

impl Supervisor {
    /// Starts the thread that spawns the process. The system kills a child when the thread that spawned it ends, so this thread
    /// has no other work.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn start(program: Program, queue: Queue) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            program,
            queue,
            is_stopping: AtomicBool::new(false),
            must_kill: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        let run = move || {
            own.run();
            own.has_ended.store(true, Ordering::Release);
        };
        let thread = thread::Builder::new().name("limpid-trainer".into()).spawn(run)?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Asks the process to stop.
    pub fn begin_stop(&self) {
        self.shared.is_stopping.store(true, Ordering::Release);
    }

    /// Waits at most `deadline` for the process to end, then kills it. Returns `true` if it ended by itself.
    pub fn stop(&self, deadline: Duration) -> bool {
        self.begin_stop();
        let begun = Instant::now();
        while !self.shared.has_ended.load(Ordering::Acquire) && begun.elapsed() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        let ended = self.shared.has_ended.load(Ordering::Acquire);
        self.shared.must_kill.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended & thread.is_none_or(|thread| thread.join().is_ok())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.begin_stop();
        self.shared.must_kill.store(true, Ordering::Release);
    }
}

impl Shared {
    fn run(&self) {
        let mut failures = 0;
        while !self.is_stopping.load(Ordering::Acquire) {
            let (id, begun) = (format!("worker-{}", uuid::Uuid::now_v7()), Instant::now());
            let (reason, how) = match self.spawn(&id) {
                Ok((child, pipe)) => self.watch(&id, child, pipe),
                Err(error) => ("start", format!("could not be started: {error}")),
            };
            if let Err(error) = self.queue.release(&id, &how) {
                tracing::warn!(%error, "its job waits for the end of its lease");
            }
            if self.is_stopping.load(Ordering::Acquire) {
                return;
            }
            telemetry::worker_restarted(reason);
            failures = if begun.elapsed() > STEADY { 0 } else { failures + 1 };
            let wait = Duration::from_millis(100 << failures.min(10)).min(MOST_WAIT);
            tracing::warn!(%how, ?wait, "the training process ended; it is started again");
            self.sleep(wait);
        }
    }

    fn spawn(&self, id: &str) -> io::Result<(Child, ChildStdin)> {
        let Program { path, hello, threads } = &self.program;
        let mut child = Command::new(path)
            .args(["worker", "--supervised", id])
            .env("RAYON_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut pipe = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // A write to a child that has ended already fails; `watch` reports its end.
        let _ = writeln!(pipe, "{hello}");
        Ok((child, pipe))
    }

    /// Waits for a process to end; returns the reason, as a metric label and as text. One that hangs is ended.
    fn watch(&self, id: &str, mut child: Child, pipe: ChildStdin) -> (&'static str, String) {
        let (mut pipe, mut looked) = (Some(pipe), Instant::now());
        let (mut was_overdue, mut is_hung) = (false, false);
        loop {
            match child.try_wait() {
                Ok(Some(_)) if is_hung => return ("hung", HUNG.to_owned()),
                Ok(Some(status)) => return describe(status),
                Ok(None) => {}
                Err(error) => return ("exit", format!("cannot be waited for: {error}")),
            }
            if self.is_stopping.load(Ordering::Acquire) {
                drop(pipe.take());
            }
            if looked.elapsed() > LOOK && !self.is_stopping.load(Ordering::Acquire) {
                looked = Instant::now();
                let is_overdue = self.queue.is_overdue(id).unwrap_or(false);
                // Twice: it may just come back from an outage of the database that all had.
                is_hung |= is_overdue && was_overdue;
                was_overdue = is_overdue;
            }
            if is_hung || self.must_kill.load(Ordering::Acquire) {
                let _ = child.kill();
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn sleep(&self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time && !self.is_stopping.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn describe(status: ExitStatus) -> (&'static str, String) {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            6 => "SIGABRT: it aborted, or its stack overflowed",
            9 => "SIGKILL: out of memory, or by hand",
            11 => "SIGSEGV",
            15 => "SIGTERM",
            _ => "see signal(7)",
        };
        return ("signal", format!("the training process was ended by signal {signal} ({name})"));
    }
    ("exit", format!("the training process ended with {status}"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::db::{self, Db};
    use crate::job::Config;

    #[test]
    fn an_end_that_nobody_asked_for_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&db::Config::default(), &folder.path().join("a.db"), || false).unwrap();
        let queue = Queue { db, config: Config::default() };
        let program = Program { path: "/bin/false".into(), hello: String::new(), threads: 1 };
        let supervisor = Supervisor::start(program, queue).unwrap();
        let begun = Instant::now();
        while !telemetry::text().contains(r#"limpid_worker_restarts_total{reason="exit"}"#) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{}", telemetry::text());
            thread::sleep(Duration::from_millis(10));
        }
        assert!(supervisor.stop(Duration::from_secs(10)));
    }
}
