//! How the gateway ends: it stops listening, what runs may finish within `shutdown_ms`, the journal and the store are
//! closed in order. After a hand-over it is the same, but that another process has the listeners.

use super::succession::Succession;
use crate::proxy::{LINGER, Shared};
use crate::store::Store;
use async_trait::async_trait;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

/// How often it is looked whether anything still runs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the ledger may take to write what is in memory.
const LEDGER_CLOSE_MAX: Duration = Duration::from_secs(10);

/// SIGTERM and Ctrl-C end gracefully; SIGQUIT hands over first.
pub(super) struct Signals {
    pub(super) succession: Arc<Succession>,
}

/// A hand-over that is under way.
type Handing = JoinHandle<Result<(), String>>;

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut terminate), Ok(mut interrupt), Ok(mut quit)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::quit()))
        else {
            tracing::error!("no signal can be received");
            return std::future::pending().await;
        };
        let mut handing: Option<Handing> = None;
        loop {
            tokio::select! {
                _ = terminate.recv() => {
                    tracing::info!("SIGTERM: finishing what runs");
                    break;
                }
                _ = interrupt.recv() => {
                    tracing::info!("interrupted: finishing what runs; once more ends it at once");
                    tokio::spawn(async move {
                        interrupt.recv().await;
                        // What is in the journal is safe; what runs is settled at the next start.
                        std::process::exit(130);
                    });
                    break;
                }
                _ = quit.recv() => if handing.is_some() {
                    tracing::warn!("SIGQUIT: ignored, another process is just taking over");
                } else {
                    let succession = self.succession.clone();
                    handing = Some(tokio::task::spawn_blocking(move || succession.hand_over()));
                },
                is_over = outcome(&mut handing) => if is_over {
                    return ShutdownSignal::GracefulTerminate;
                }
            }
        }
        if handing.is_some() {
            self.succession.give_up();
            if outcome(&mut handing).await {
                return ShutdownSignal::GracefulTerminate;
            }
        }
        // Nobody else takes connections: clients need not be told to make new ones.
        self.succession.shared.set_lingering(false);
        ShutdownSignal::GracefulTerminate
    }
}

/// Waits for the end of the hand-over, if there is one. True: another process has taken over.
async fn outcome(handing: &mut Option<Handing>) -> bool {
    let Some(running) = handing else { return std::future::pending().await };
    let why = match running.await {
        Ok(Ok(())) => return true,
        Ok(Err(why)) => why,
        Err(panic) => panic.to_string(),
    };
    *handing = None;
    tracing::error!("no other process takes over, this one goes on: {why}");
    false
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
        if closing.shared.lingers() {
            // Old connections are answered for so long, whether anything runs on them at the moment or not.
            std::thread::sleep(LINGER.min(limit));
        }
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
