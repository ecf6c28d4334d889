//! The port through which a request asks for what is configured to be looked at again: whoever reads configurations takes the
//! requests out of a channel.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Requests that wait at once; more are refused.
const WAITING_MAX: usize = 8;
/// A reload that takes longer is answered as one that nobody does; it may still come into force.
const RELOAD_WAIT_MAX: Duration = Duration::from_secs(30);
/// So long whoever has changed a weight waits for it to be in force; it is so soon after, in any case.
const WEIGHTS_WAIT_MAX: Duration = Duration::from_secs(2);

/// What came of a reload: the version of the price book in force, or everything that is wrong, one a line.
pub type Reloaded = Result<Arc<str>, String>;

/// Who asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// Somebody at the console, which notes it in the audit.
    Console,
    /// Whoever has shown the reload secret.
    Secret,
}

/// What is asked for; to be answered when it is in force, or refused.
pub enum ReloadRequest {
    /// Configuration and prices are to be read again.
    Files(AskedBy, oneshot::Sender<Reloaded>),
    /// The store has other weights of upstreams.
    Weights(oneshot::Sender<()>),
}

/// Both ends of the channel, until somebody takes the second.
pub(super) struct Reloads {
    sender: mpsc::Sender<ReloadRequest>,
    receiver: Mutex<Option<mpsc::Receiver<ReloadRequest>>>,
}

impl Default for Reloads {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

impl Reloads {
    /// The requests, for the one who answers them.
    pub(super) fn take_requests(&self) -> Option<mpsc::Receiver<ReloadRequest>> {
        self.receiver.lock().take()
    }

    /// Asks for a reload, and waits for the answer. `None`: nobody reloads here, or not now.
    pub(super) async fn files(&self, by: AskedBy) -> Option<Reloaded> {
        self.ask(|answer| ReloadRequest::Files(by, answer), RELOAD_WAIT_MAX).await
    }

    /// Waits until the store's weights are in force. `None`: nobody looks at them here, or not now.
    pub(super) async fn weights(&self) -> Option<()> {
        self.ask(ReloadRequest::Weights, WEIGHTS_WAIT_MAX).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> ReloadRequest, wait_max: Duration) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        if self.receiver.lock().is_some() || self.sender.try_send(request(answer)).is_err() {
            return None;
        }
        tokio::time::timeout(wait_max, answered).await.ok()?.ok()
    }
}
