//! Interrupts: the first Ctrl-C (or SIGTERM) requests a clean stop, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code after a second signal, as in shells: 128 + SIGINT.
const EXIT_CODE: i32 = 130;

/// Flag that is set by the first signal; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Installs the signal handlers. If the system provides no thread or no signals, its default handling of signals remains.
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

    /// Returns `true` after the first signal.
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
