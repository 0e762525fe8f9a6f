//! `limpid worker`: runs training jobs in a process of its own.

use std::io::{self, BufRead as _, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::interrupt::Interrupt;
use super::kept::Kept;
use super::{Config, Error};
use crate::job::Worker;

const EXAMPLES: &str = "\
Examples:
  limpid worker --data-dir /mnt/limpid               a training machine, with the service's data folder mounted
  LIMPID_DATABASE__URL=postgres://... limpid worker  and its database, which must be Postgres then

`limpid serve` starts a worker of its own; set jobs.workers = 0 there to train on other machines alone.
SIGTERM or Ctrl-C: the job continues from a checkpoint, here or elsewhere.";

/// Time that a worker has for its last checkpoint after a stop signal.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// Run queued training jobs of a service (`serve` starts one worker itself).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Id of a worker started by `limpid serve`: the first line of the standard input is its configuration, and the end of the
    /// input its stop signal.
    #[arg(long, hide = true, value_name = "ID")]
    supervised: Option<String>,
}

impl Args {
    /// Replaces the configuration of this process by that of the service.
    ///
    /// # Errors
    /// The first line of the standard input is not a configuration.
    pub(super) fn take_config(&self, config: &mut Config) -> Result<(), Error> {
        if self.supervised.is_none() {
            return Ok(());
        }
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(Error::io("standard input"))?;
        *config = serde_json::from_str(&line)
            .map_err(|e| Error::Usage(format!("--supervised is for limpid serve: {e}")))?;
        Ok(())
    }
}

/// Runs jobs until a stop signal.
///
/// # Errors
/// There is no data folder, or the database cannot be opened.
pub fn run(args: &Args, config: &Config) -> Result<(), Error> {
    // Before anything else: threads started later inherit the priority.
    be_modest(config.jobs.nice);
    let stop = Arc::new(AtomicBool::new(false));
    let interrupt = Interrupt::listen();
    let asked = Arc::clone(&stop);
    watch("limpid-stop", move || {
        while !interrupt.is_asked() {
            thread::sleep(Duration::from_millis(50));
        }
        end_soon(&asked);
    })?;
    if args.supervised.is_some() {
        let asked = Arc::clone(&stop);
        watch("limpid-parent", move || {
            // The pipe closes when the parent ends, for any reason.
            let _ = io::stdin().lock().read_to_end(&mut Vec::new());
            end_soon(&asked);
        })?;
    }
    let kept = Kept::open(config)?;
    let kept =
        kept.ok_or_else(|| Error::Usage("a worker needs a data folder: give --data-dir DIR".into()))?;
    let id = args.supervised.clone().unwrap_or_else(|| format!("worker-{}", uuid::Uuid::now_v7()));
    tracing::info!(worker = %id, threads = crate::kernel::threads(), nice = config.jobs.nice, "worker starts");
    let Kept { db, store, registry } = kept;
    let exit = if args.supervised.is_some() { end_at_once } else { start_again };
    let worker = Worker::new(config.jobs.clone(), config.limits.clone(), db.clone(), store, registry, id);
    worker.with_exit(exit).run(&stop);
    db.close();
    tracing::info!("worker stops");
    Ok(())
}

/// Requests a clean stop, and ends the process if it takes too long.
fn end_soon(stop: &AtomicBool) {
    stop.store(true, Ordering::Release);
    thread::sleep(LAST_WORDS);
    tracing::warn!("ended without a last checkpoint");
    std::process::exit(1);
}

/// Ends a process that the service starts again.
fn end_at_once() {
    std::process::exit(1);
}

/// Replaces the process by a new one of the same command, or ends it where that is not possible.
fn start_again() {
    #[cfg(unix)]
    if let Ok(program) = std::env::current_exe() {
        use std::os::unix::process::CommandExt as _;
        let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
        tracing::error!(%error, "the worker cannot be started again");
    }
    std::process::exit(1);
}

fn watch(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map(drop).map_err(|e| Error::Failed(format!("no thread: {e}")))
}

/// Gives the service precedence: for CPU time, and for memory, where this process is killed first.
fn be_modest(nice: u8) {
    // A nice thread keeps its core until its time slice ends when another one wakes; an idle one yields at once.
    #[cfg(target_os = "linux")]
    if nice >= 19 {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let this = thread_priority::thread_native_id();
        if let Err(error) = thread_priority::set_thread_priority_and_policy(this, ThreadPriority::Min, idle) {
            tracing::warn!(?error, "training is nice, but not idle");
        }
    }
    #[cfg(unix)]
    if let Err(error) = rustix::process::setpriority_process(None, nice.min(19).into()) {
        tracing::warn!(%error, "training keeps the priority of serving");
    }
    #[cfg(target_os = "linux")]
    {
        // Half of the scale; some containers do not permit it.
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    }
    #[cfg(not(unix))]
    let _ = nice;
}
