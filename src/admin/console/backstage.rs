//! Threads for what people wait for at the console: its endpoints, what they ask the store, and passwords. They have less priority
//! than those that serve requests: where both want a processor, a page comes later, and not an answer.

use std::io;
#[cfg(target_os = "linux")]
use std::sync::Once;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Most of those that may wait. A page asks one or two questions at once.
const THREADS_MAX: usize = 16;

/// What is added to their niceness: they get a tenth of what a thread gets that serves requests and has as much to do. Enough for
/// somebody to sign in while nothing else is left.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// See the module.
pub(super) struct Backstage {
    handle: Handle,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Backstage {
    /// # Errors
    /// The system gives nothing to make it of.
    pub(super) fn new() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        // One is enough for endpoints: they compute little, and wait for the others.
        builder.worker_threads(1).max_blocking_threads(THREADS_MAX).enable_all();
        builder.thread_name("console").on_thread_start(step_back);
        let runtime = builder.build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Does this on the one that may not wait. It goes on if nobody waits for it any more.
    pub(super) fn go<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(future)
    }

    /// Does this on one of those that may wait.
    pub(super) fn run<T: Send + 'static>(&self, run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn_blocking(run)
    }
}

impl Drop for Backstage {
    fn drop(&mut self) {
        // Waits for none of them.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// On Linux, niceness is a thread's own. What forbids it forbids it for all of them: it is said once.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            tracing::warn!(
                "the console's threads keep the priority of those that serve requests (setpriority): {error}"
            );
        });
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Niceness of the thread that asks (proc_pid_stat(5), the 19th field).
    fn niceness() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(16).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn its_threads_step_back_behind_all_others() {
        let before = niceness();
        let backstage = Backstage::new().unwrap();
        assert_eq!(backstage.run(niceness).await.unwrap(), (before + NICENESS).min(19));
        assert_eq!(backstage.go(async { niceness() }).await.unwrap(), (before + NICENESS).min(19));
        assert_eq!(tokio::task::spawn_blocking(niceness).await.unwrap(), before, "the others stay");
        drop(backstage);
    }
}
