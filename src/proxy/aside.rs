//! What takes long for a large body, and would keep others waiting on the thread that serves them.

use std::panic::resume_unwind;
use tollgate_plugin_api::{Reject, RejectCode};

/// Does it on a thread of its own.
///
/// # Errors
/// What `work` says; `UPSTREAM_UNAVAILABLE` when the process ends meanwhile.
///
/// # Panics
/// As `work` does.
pub(super) async fn aside<T, W>(work: W) -> Result<T, Reject>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T, Reject> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => Err(RejectCode::UpstreamUnavailable.into()),
    }
}
