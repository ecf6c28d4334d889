//! The port through which a request asks for a reload: whoever reads configurations takes the requests out of a channel.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Requests for a reload that wait at once; more are refused.
const WAITING_MAX: usize = 8;
/// A reload that takes longer is answered as one that nobody does; it may still come into force.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What came of a reload: the version of the price book in force, or everything that is wrong, one a line.
pub type Reloaded = Result<Arc<str>, String>;

/// A request for a reload; to be answered when the reload is in force, or refused.
pub type ReloadRequest = oneshot::Sender<Reloaded>;

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

    /// Asks, and waits for the answer. `None`: nobody reloads here, or not now.
    pub(super) async fn ask(&self) -> Option<Reloaded> {
        let (answer, answered) = oneshot::channel();
        if self.receiver.lock().is_some() || self.sender.try_send(answer).is_err() {
            return None;
        }
        tokio::time::timeout(WAIT_MAX, answered).await.ok()?.ok()
    }
}
