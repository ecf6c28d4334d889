//! Threads for what people wait for at the console: questions to the store, and passwords. They have less priority than those that
//! serve requests: where both want a processor, a page comes later, and not an answer.

use std::io;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Most of them. A page asks one or two questions at once.
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
        let mut builder = Builder::new_current_thread();
        builder.thread_name("console").max_blocking_threads(THREADS_MAX).on_thread_start(step_back);
        let runtime = builder.build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Does this on one of them.
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

/// On Linux, niceness is a thread's own.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!("a thread of the console keeps its priority: {error}");
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
        assert_eq!(tokio::task::spawn_blocking(niceness).await.unwrap(), before, "the others stay");
        drop(backstage);
    }
}
