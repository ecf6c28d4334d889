//! How the gateway ends: it stops listening, what runs may finish within `shutdown_ms`, the journal and the store are
//! closed in order.

use crate::proxy::Shared;
use crate::store::Store;
use async_trait::async_trait;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How often it is looked whether anything still runs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the ledger may take to write what is in memory.
const LEDGER_CLOSE_MAX: Duration = Duration::from_secs(10);

/// SIGTERM and Ctrl-C end gracefully.
pub(super) struct Signals;

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::error!("no signal can be received");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing what runs"),
            _ = interrupt.recv() => {
                tracing::info!("interrupted: finishing what runs; once more ends it at once");
                tokio::spawn(async move {
                    interrupt.recv().await;
                    // What is in the journal is safe; what runs is settled at the next start.
                    std::process::exit(130);
                });
            }
        }
        ShutdownSignal::GracefulTerminate
    }
}

/// What must be closed, in order.
#[derive(Clone)]
pub(super) struct Closing {
    pub(super) store: Arc<dyn Store>,
    pub(super) shared: Arc<Shared>,
    pub(super) scratch_folder: Option<PathBuf>,
}

impl Closing {
    /// Writes what is still in memory.
    pub(super) fn close(&self) {
        if !self.shared.ledger.shutdown(LEDGER_CLOSE_MAX) {
            tracing::warn!("something is left for the next start to finish");
        }
        let touched = self.shared.keys.take_touched();
        if let Err(error) = self.store.write_accessed(&touched) {
            tracing::warn!("times of last use are not written: {error}");
        }
        self.shared.snapshot.load().plugins.close();
        if let Some(folder) = &self.scratch_folder {
            // What is left of it is in the system's temporary folder, which is cleaned.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Ends the process as soon as nothing runs any more: Pingora itself always waits its whole grace period. What still
/// runs at its end is dropped by Pingora, which settles it.
pub(super) fn end_when_idle(mut phases: Receiver<ExecutionPhase>, closing: Closing, limit: Duration) {
    std::thread::spawn(move || {
        loop {
            match phases.blocking_recv() {
                Ok(ExecutionPhase::GracefulTerminate) => break,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
        let deadline = Instant::now() + limit;
        let mut idle_looks = 0;
        while Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
            idle_looks = if closing.shared.metrics.in_flight.get() == 0 { idle_looks + 1 } else { 0 };
            // Twice: the last bytes of an HTTP/2 stream leave a moment after its exchange has ended.
            if idle_looks == 2 {
                closing.close();
                std::process::exit(0);
            }
        }
        closing.shared.stop();
    });
}
