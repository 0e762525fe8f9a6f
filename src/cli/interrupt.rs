//! Interrupts: a first Ctrl-C (or SIGTERM) asks a command to end well, a second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a command that is ended at once exits with, as shells have it: 128 + SIGINT.
const EXIT_CODE: i32 = 130;

/// Whether someone asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on. Where the system gives no thread or no signals, the system's own way of
    /// ending a program stays in force.
    pub fn listen() -> Self {
        let asked = Self::default();
        let flag = asked.clone();
        let listening = std::thread::Builder::new().name("limpid-signals".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(flag.wait());
            }
        });
        drop(listening);
        asked
    }

    /// Whether a signal came.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    async fn wait(self) {
        while signal().await.is_ok() {
            if self.0.swap(true, Ordering::Relaxed) {
                std::process::exit(EXIT_CODE);
            }
        }
    }
}

#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        asked = tokio::signal::ctrl_c() => asked,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
