//! `limpid serve`: starts, runs and stops the service.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::{Config, Flag, Models};
use super::kept::Kept;
use super::{Error, open_registry};
use crate::api::keys::Keys;
use crate::api::{self, App, ServeError};
use crate::db::{self, Db};
use crate::engine::Engine;
use crate::job::{Jobs, Program};
use crate::kernel;
use crate::name::ModelRef;
use crate::registry::Registry;
use crate::store::Store;

const EXAMPLES: &str = "\
Examples:
  limpid                                                    on 127.0.0.1:8080, for this machine only
  limpid serve --bind 127.0.0.1:9000 --data-dir /var/lib/limpid
  limpid keys add lab && limpid serve --bind 0.0.0.0:8080   for others, who need the key
  limpid serve --bind 0.0.0.0:8080 --allow-anonymous        for everyone who can reach it

  curl --data-binary @noisy.png -H 'Content-Type: image/png' localhost:8080/denoise -o clean.png

SIGTERM or Ctrl-C: requests under way are finished, then the service ends; a second one ends it at once.
Every setting, also those without a flag: limpid config print.";

/// Serve over HTTP (the default command).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Address and port to listen on; port 0 selects a free one [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<SocketAddr>,
    /// Accept requests without keys from everyone who can reach the address.
    #[arg(long)]
    allow_anonymous: bool,
    /// File of API keys, which must contain at least one [default: keys.jsonl in the data folder].
    #[arg(long, value_name = "FILE")]
    keys_file: Option<String>,
    /// Let API keys take turns in training, instead of the oldest job first.
    #[arg(long)]
    fair: bool,
}

impl Args {
    /// Returns the settings of these flags.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let bind = self.bind.map(|bind| ("--bind", "server.bind", bind.to_string()));
        let open =
            self.allow_anonymous.then(|| ("--allow-anonymous", "server.allow_anonymous", "true".to_owned()));
        let keys = self.keys_file.clone().map(|file| ("--keys-file", "server.keys_file", file));
        let fair = self.fair.then(|| ("--fair", "jobs.fair", "true".to_owned()));
        [bind, open, keys, fair].into_iter().flatten().collect()
    }
}

/// Runs the service until a signal stops it.
///
/// # Errors
/// The service cannot start, or did not stop in time.
pub fn run(_args: Args, config: &Config) -> Result<(), Error> {
    let keys = Keys::open(config.keys())?;
    let (registry, place) = open_models(config)?;
    if registry.list().is_empty() && !config.models.is_none() {
        return Err(Error::Failed(no_models(config)));
    }
    for (model, reason) in registry.quarantined() {
        tracing::warn!(%model, %reason, "model cannot be used");
    }
    let address = config.server.bind;
    let listener = TcpListener::bind(address).map_err(|source| ServeError::Bind { address, source })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("limpid-http")
        // These threads only do I/O and short work. Each additional one interrupts computations and keeps memory of its own;
        // a single one would let a request that keeps it busy silence probes.
        .worker_threads(kernel::threads().div_ceil(4).max(2))
        .on_thread_park(crate::memory::pages::settle)
        .enable_all()
        .build()
        .map_err(|error| Error::Failed(format!("no threads to serve with: {error}")))?;
    let result = runtime.block_on(serve(config, registry, place, keys, listener));
    // A thread that is still blocked must not keep the process from ending.
    runtime.shutdown_background();
    result
}

/// Builds the parts, serves, and shuts the parts down.
async fn serve(
    config: &Config,
    registry: Arc<Registry>,
    place: Option<Place>,
    keys: Keys,
    listener: TcpListener,
) -> Result<(), Error> {
    let engine = Engine::start(config.engine.clone(), registry);
    let db = place.as_ref().map(|(db, _)| db.clone());
    let jobs = Jobs::start(config.jobs.clone(), engine.clone(), place, Some(trainer(config)?));
    let app = App::new(config.server.clone(), config.limits.clone(), engine.clone(), jobs.clone(), keys);
    announce(&engine);
    tokio::spawn(preload(engine.clone(), defaults(config, engine.registry())));

    let stop = stop_signal()?;
    let mut told = Instant::now();
    let training = jobs.clone();
    let drain =
        Duration::from_secs(config.server.drain_delay_seconds.saturating_add(config.server.drain_seconds));
    let stopping = async {
        stop.await;
        told = Instant::now();
        // Training stops with a checkpoint while requests are finished.
        training.begin_shutdown();
    };
    api::serve_on(listener, app, stopping).await?;

    let rest = || drain.saturating_sub(told.elapsed());
    let is_idle = engine.shutdown(rest()).await & jobs.shutdown(rest()).await;
    if let Some(db) = db {
        let _ = tokio::task::spawn_blocking(move || db.close()).await;
    }
    if !is_idle {
        let seconds = drain.as_secs();
        return Err(Error::Failed(format!("work was left undone after server.drain_seconds ({seconds} s)")));
    }
    tracing::info!("stopped");
    Ok(())
}

/// Database and store of the jobs.
type Place = (Db, Arc<Store>);

/// Opens the models, and the state of the jobs; without the latter if the default data folder cannot be created, for example
/// on a read-only disk, or if the database is damaged.
fn open_models(config: &Config) -> Result<(Arc<Registry>, Option<Place>), Error> {
    let none = || Ok((Arc::new(open_registry(config)?), None));
    match Kept::open_to_serve(config) {
        Ok(Some(kept)) => Ok((Arc::new(kept.registry), Some((kept.db, kept.store)))),
        Ok(None) => none(),
        Err(Error::Io { path, source }) if config.models.data_dir == Models::default().data_dir => {
            let path = path.display();
            tracing::warn!(%path, error = %source, "trained models cannot be kept; give --data-dir DIR to train");
            none()
        }
        Err(Error::Db(error @ db::Error::Damaged(_))) if !config.database.required => {
            tracing::error!(%error, "models are served; training is off");
            none()
        }
        Err(other) => Err(other),
    }
}

/// Returns the reason for not starting without models, and the way out.
fn no_models(config: &Config) -> String {
    let dir = config.models.dir.display();
    let trained =
        config.trained().map_or_else(|| "no data folder".to_owned(), |dir| dir.display().to_string());
    format!(
        "no models are in {dir} or {trained}: give --models DIR with the bundled ones, or --models none to start \
         without any and train"
    )
}

/// Returns the command of the training process: this program with this configuration.
fn trainer(config: &Config) -> Result<Program, Error> {
    let path =
        std::env::current_exe().map_err(|e| Error::Failed(format!("this program cannot be found: {e}")))?;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let threads = config.jobs.threads_beside(config.threads.unwrap_or(cores));
    let hello = serde_json::to_string(&Config { threads: Some(threads), ..config.clone() });
    let hello = hello.map_err(|e| Error::Failed(e.to_string()))?;
    Ok(Program { path, hello, threads })
}

/// Returns the models used by default, if they exist.
fn defaults(config: &Config, registry: &Registry) -> Vec<ModelRef> {
    let server = &config.server;
    let names = [
        &server.gray_model,
        &server.color_model,
        &server.camera_gray_model,
        &server.camera_color_model,
        &server.page_model,
    ];
    let there = names.into_iter().filter(|name| registry.get(name).is_ok());
    there.map(|name| ModelRef { name: name.clone(), version: None }).collect()
}

async fn preload(engine: Engine, models: Vec<ModelRef>) {
    let begun = Instant::now();
    for (model, error) in engine.preload(&models).await {
        tracing::error!(%model, %error, "default model cannot be loaded");
    }
    tracing::info!(models = ?engine.health().models, took = ?begun.elapsed(), "ready");
}

fn announce(engine: &Engine) {
    let health = engine.health();
    let models: Vec<_> = engine
        .registry()
        .list()
        .into_iter()
        .filter_map(|m| Some(format!("{}@{}", m.name, m.default?)))
        .collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        instruction_set = kernel::isa(),
        threads = kernel::threads(),
        workers = health.workers,
        allocator = "mimalloc",
        models = %models.join(","),
        "limpid starts"
    );
    let shares = engine.shares();
    tracing::info!(memory = %shares, "shares of the memory that this process may use");
    if shares.is_over() {
        tracing::warn!(
            "engine.memory_bytes, queue_bytes and models_bytes are more than there is: the system may end the process"
        );
    }
}

/// Returns a future that completes at SIGTERM or Ctrl-C; a second signal then ends the process at once.
fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    let mut signals = signals()?;
    Ok(async move {
        signals.recv().await;
        tokio::spawn(async move {
            signals.recv().await;
            tracing::warn!("told to stop again: ending at once");
            std::process::exit(130);
        });
    })
}

/// Returns a channel with a message for each stop signal from now on.
fn signals() -> Result<tokio::sync::mpsc::Receiver<()>, Error> {
    let (tx, rx) = tokio::sync::mpsc::channel(2);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let mut signal = signal(kind).map_err(|error| Error::Failed(format!("signals: {error}")))?;
            let tx = tx.clone();
            tokio::spawn(async move { while signal.recv().await.is_some() && tx.send(()).await.is_ok() {} });
        }
    }
    #[cfg(not(unix))]
    tokio::spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && tx.send(()).await.is_ok() {} });
    Ok(rx)
}
