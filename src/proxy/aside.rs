//! What takes long for a large body (to understand it, to write it anew, to count its tokens), and would keep others waiting on
//! the thread that serves them.

use std::panic::resume_unwind;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use tokio::sync::Semaphore;
use tollgate_plugin_api::{Reject, RejectCode};

/// As many at once as there are processors: more would not be done sooner, and all that they take of memory would be there together.
static PLACES: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from))));

/// So many bytes are read at once, in a millisecond or two; more, aside.
pub(super) const AT_ONCE_BYTES_MAX: usize = 1024 * 1024;

/// Does what reads so many bytes: at once, or [`aside`].
///
/// # Errors
/// As there.
pub(super) async fn reading<T, W>(bytes: usize, work: W) -> Result<T, Reject>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    if bytes <= AT_ONCE_BYTES_MAX { Ok(work()) } else { aside(|| Ok(work())).await }
}

/// Does it on a thread of its own, in its turn.
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
    let Ok(place) = PLACES.clone().acquire_owned().await else { return Err(RejectCode::UpstreamUnavailable.into()) };
    let done = tokio::task::spawn_blocking(move || {
        // Until it is done, whether or not somebody still waits for it.
        let _place = place;
        work()
    });
    match done.await {
        Ok(done) => done,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => Err(RejectCode::UpstreamUnavailable.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test(flavor = "current_thread")]
    async fn no_more_is_done_at_once_than_there_are_processors_even_if_nobody_waits_for_it() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let places = available_parallelism().map_or(1, usize::from);
        let work = || {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            NOW.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        for round in 0..20 * places {
            let waiting = tokio::spawn(aside(work));
            tokio::task::yield_now().await;
            if round % 2 == 0 {
                waiting.abort();
            }
        }
        for _ in 0..places {
            aside(work).await.unwrap();
        }
        let most = MOST.load(Ordering::SeqCst);
        assert!((1..=places).contains(&most), "{most} at once");
    }
}
