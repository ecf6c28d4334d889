//! The signals that the process is told something by. Each would kill it until it is heard; so they are heard before anybody
//! is told that this process serves, and before another one goes.

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// See the module. What comes before somebody listens is kept, each once.
pub(super) struct Heard {
    /// Reload.
    pub(super) hangup: Signal,
    /// End.
    pub(super) terminate: Signal,
    /// End, from a terminal.
    pub(super) interrupt: Signal,
    /// Hand over.
    pub(super) quit: Signal,
}

impl Heard {
    /// From here on they are heard.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn begin() -> Result<Self, String> {
        let cannot = |error: std::io::Error| format!("signals cannot be received: {error}");
        // Only to begin: the runtimes of the server wake whoever listens.
        let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let _inside = runtime.enter();
        let of = |kind| signal(kind).map_err(cannot);
        Ok(Self {
            hangup: of(SignalKind::hangup())?,
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            quit: of(SignalKind::quit())?,
        })
    }
}
