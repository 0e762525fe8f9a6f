//! Interrupts: the first Ctrl-C (or SIGTERM) requests a clean stop, the second ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};

/// Exit code after a second signal, as in shells: 128 + SIGINT.
const EXIT_CODE: i32 = 130;

/// Flag that is set by the first signal; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Installs the signal handlers, and returns when they are. If the system provides no thread or no signals, its default handling of signals remains.
    pub fn listen() -> Self {
        let asked = Self::default();
        let flag = asked.clone();
        let (pending, installed) = mpsc::channel();
        let listening = std::thread::Builder::new().name("limpid-signals".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(flag.wait(pending));
            }
        });
        drop(listening);
        // A signal before the handlers would end the process at once, without a checkpoint. The channel closes once they are
        // installed, or cannot be.
        let _ = installed.recv();
        asked
    }

    /// Returns `true` after the first signal.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    async fn wait(self, pending: Sender<()>) {
        let Ok(mut signals) = Signals::install() else { return };
        drop(pending);
        while signals.next().await.is_ok() {
            if self.0.swap(true, Ordering::Relaxed) {
                std::process::exit(EXIT_CODE);
            }
        }
    }
}

/// Ctrl-C and SIGTERM.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        Ok(())
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
