//! How the gateway ends: it stops listening, what runs may finish within `shutdown_ms`, the journal and the store are
//! closed in order. After a hand-over it is the same, but that another process has the listeners.

use super::succession::Succession;
use crate::proxy::{LINGER, Shared};
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch};
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};
use tokio::signal::unix::Signal;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

/// How often it is looked whether anything still runs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is dropped at the end of its time is settled within this, as a rule at once.
const STOP_MAX: Duration = Duration::from_secs(1);

/// SIGTERM and Ctrl-C end gracefully; SIGQUIT hands over first.
pub(super) struct Signals {
    succession: Arc<Succession>,
    /// Taken when somebody listens.
    heard: Mutex<Option<[Signal; 3]>>,
}

/// A hand-over that is under way.
type Handing = JoinHandle<Result<(), String>>;

impl Signals {
    pub(super) fn new(succession: Arc<Succession>, terminate: Signal, interrupt: Signal, quit: Signal) -> Self {
        Self { succession, heard: Mutex::new(Some([terminate, interrupt, quit])) }
    }

    /// Another process has taken over: this one ends in its own time, unless it is told to hurry.
    fn finish(&self, mut terminate: Signal, mut interrupt: Signal) -> ShutdownSignal {
        let succession = self.succession.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if succession.told_to_end() {
                    return tracing::info!("told to end again: running requests are cut off now");
                }
                tracing::info!(
                    "told to end: running requests are already being finished; another signal cuts them off"
                );
            }
        });
        ShutdownSignal::GracefulTerminate
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let heard = self.heard.lock().take();
        // Asked once.
        let Some([mut terminate, mut interrupt, mut quit]) = heard else { return std::future::pending().await };
        let mut handing: Option<Handing> = None;
        let mut interrupted = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {
                    tracing::info!("SIGTERM: finishing running requests");
                    break;
                }
                _ = interrupt.recv() => {
                    tracing::info!("interrupted: finishing running requests; another interrupt cuts them off");
                    interrupted = true;
                    break;
                }
                _ = quit.recv() => if handing.is_some() {
                    tracing::warn!("SIGQUIT: ignored, another process is already taking over");
                } else {
                    let succession = self.succession.clone();
                    handing = Some(tokio::task::spawn_blocking(move || succession.hand_over()));
                },
                is_over = outcome(&mut handing, &self.succession) => if is_over {
                    return self.finish(terminate, interrupt);
                }
            }
        }
        if handing.is_some() {
            self.succession.give_up();
            if outcome(&mut handing, &self.succession).await {
                return self.finish(terminate, interrupt);
            }
        }
        if interrupted {
            tokio::spawn(async move {
                interrupt.recv().await;
                // What is in the journal is safe; what runs is settled at the next start.
                std::process::exit(130);
            });
        }
        // Nobody else takes connections: clients need not be told to make new ones.
        self.succession.shared.set_lingering(false);
        ShutdownSignal::GracefulTerminate
    }
}

/// Waits for the end of the hand-over, if there is one. True: another process has taken over.
async fn outcome(handing: &mut Option<Handing>, succession: &Succession) -> bool {
    let Some(running) = handing else { return std::future::pending().await };
    let why = match running.await {
        Ok(Ok(())) => return true,
        Ok(Err(why)) => why,
        Err(panic) => {
            if succession.is_over_all_the_same() {
                tracing::error!("another process has taken over, but: {panic}");
                return true;
            }
            panic.to_string()
        }
    };
    *handing = None;
    tracing::error!("no other process takes over, this one goes on: {why}");
    false
}

/// What must be closed, in order.
pub(super) struct Closing {
    shared: Arc<Shared>,
    scratch_folder: Option<PathBuf>,
    done: Once,
}

impl Closing {
    pub(super) fn new(shared: Arc<Shared>, scratch_folder: Option<PathBuf>) -> Self {
        Self { shared, scratch_folder, done: Once::new() }
    }

    /// Writes what is still in memory. Whoever comes second waits for the first.
    pub(super) fn close(&self) {
        self.done.call_once(|| self.close_now());
    }

    fn close_now(&self) {
        if !self.shared.close() {
            tracing::warn!("something is left for the next start to finish");
        }
        if let Some(folder) = &self.scratch_folder {
            // What is left of it is in the system's temporary folder, which is cleaned.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Ends the process as soon as nothing runs any more: Pingora itself always waits its whole grace period. What still
/// runs at its end is dropped, which settles it.
pub(super) fn end_when_idle(
    mut phases: Receiver<ExecutionPhase>,
    closing: Arc<Closing>,
    succession: Arc<Succession>,
    limit: Duration,
) {
    std::thread::spawn(move || {
        loop {
            match phases.blocking_recv() {
                Ok(ExecutionPhase::GracefulTerminate) => break,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
        let shared = &closing.shared;
        let deadline = Instant::now() + limit;
        // Connections are answered for so long after their last answer, too.
        let quiet = if shared.lingers() { LINGER } else { Duration::ZERO };
        if !wait_until_idle(shared, quiet, deadline, || succession.is_to_stop()) {
            shared.stop();
            wait_until_idle(shared, Duration::ZERO, Instant::now() + STOP_MAX, || false);
        }
        closing.close();
        std::process::exit(i32::from(succession.lost_balances().is_err()));
    });
}

/// Waits until nothing has run for so long. False: the time is over before that, or it is given up.
fn wait_until_idle(shared: &Shared, quiet: Duration, deadline: Instant, is_given_up: impl Fn() -> bool) -> bool {
    let mut idle_looks = 0;
    // Twice: the last bytes of an HTTP/2 stream leave a moment after its exchange has ended.
    let looks = 2 + quiet.as_millis() / LOOK_EVERY.as_millis();
    while Instant::now() < deadline && !is_given_up() {
        std::thread::sleep(LOOK_EVERY);
        idle_looks = if shared.metrics.in_flight.get() == 0 { idle_looks + 1 } else { 0 };
        if idle_looks >= looks {
            return true;
        }
    }
    false
}
