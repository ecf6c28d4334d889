//! A Pingora service whose accepting can pause and go on. Pingora's own ends for good when it is told to stop; so each time a
//! new one is made, on copies of the same sockets, and what came to the one before ends with it.

use super::sockets::Sockets;
use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service as PingoraService;
use pingora::services::listening::Service;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Pause before accepting is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Makes the service that accepts until the next pause.
pub(super) type Make<A> = Box<dyn Fn() -> Result<Service<A>, String> + Send + Sync>;

/// See the module.
pub(super) struct Accepting<A> {
    pub(super) name: &'static str,
    /// `None`: as many as the server has by its configuration.
    pub(super) threads: Option<usize>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) sockets: Arc<Sockets>,
    /// True: accept.
    pub(super) gate: watch::Receiver<bool>,
    pub(super) make: Make<A>,
}

impl<A> Accepting<A> {
    /// A service, and then the sockets: nobody would close those of a service that cannot be made.
    fn begin(&self) -> Result<(Service<A>, ListenFds), String> {
        let service = (self.make)()?;
        let fds = self.sockets.for_pingora(&self.addresses).map_err(|error| error.to_string())?;
        Ok((service, fds))
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> PingoraService for Accepting<A> {
    async fn start_service(&mut self, _fds: Option<ListenFds>, mut shutdown: ShutdownWatch, listeners_per_fd: usize) {
        let mut rounds = JoinSet::new();
        // Kept: connections look at them as long as they are open.
        let mut ends = Vec::new();
        let mut failing = false;
        loop {
            tokio::select! { biased;
                _ = shutdown.wait_for(|stop| *stop) => break,
                _ = self.gate.wait_for(|open| *open) => {}
            }
            let (mut service, fds) = match self.begin() {
                Ok(begun) => begun,
                Err(error) => {
                    // Out of descriptors, perhaps: what runs gives them back.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!("{}: nothing is accepted until this passes: {error}", self.name);
                    }
                    tokio::time::sleep(RETRY_EVERY).await;
                    continue;
                }
            };
            if std::mem::take(&mut failing) {
                tracing::warn!("{}: connections are accepted again", self.name);
            }
            let (end, ending) = watch::channel(false);
            rounds.spawn(async move {
                PingoraService::start_service(&mut service, Some(fds), ending, listeners_per_fd).await;
            });
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => {}
                _ = self.gate.wait_for(|open| !*open) => {}
            }
            end.send_replace(true);
            ends.push(end);
        }
        self.sockets.close(&self.addresses);
        while rounds.join_next().await.is_some() {}
    }

    fn name(&self) -> &str {
        self.name
    }

    fn threads(&self) -> Option<usize> {
        self.threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora::protocols::Stream;
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Closes every connection at once.
    struct Closer;

    #[async_trait]
    impl ServerApp for Closer {
        async fn process_new(self: &Arc<Self>, _stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
            None
        }
    }

    /// On a free port; `failing` times no service can be made. With it, how often one was asked for.
    fn accepting(failing: u32, gate: &watch::Sender<bool>) -> (Accepting<Closer>, Arc<AtomicU32>) {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let sockets = Sockets::bind([address].into_iter(), Vec::new()).unwrap();
        sockets.listen().unwrap();
        let asked = Arc::new(AtomicU32::new(0));
        let make: Make<Closer> = Box::new({
            let asked = asked.clone();
            move || {
                if asked.fetch_add(1, Ordering::Relaxed) < failing {
                    return Err("out of something".to_owned());
                }
                let mut service = Service::new("test".into(), Closer);
                service.add_tcp(&address.to_string());
                Ok(service)
            }
        });
        let accepting =
            Accepting { name: "test", threads: None, addresses: vec![address], sockets, gate: gate.subscribe(), make };
        (accepting, asked)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_fails_for_a_moment_is_tried_again() {
        let gate = watch::Sender::new(true);
        let (mut accepting, asked) = accepting(2, &gate);
        let address = accepting.addresses[0];
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(async move { accepting.start_service(None, stopped, 1).await });
        let client = tokio::task::spawn_blocking(move || {
            // It waits in the kernel until it is accepted.
            let mut client = TcpStream::connect(address).unwrap();
            std::io::Read::read(&mut client, &mut [0]).unwrap()
        });
        assert_eq!(client.await.unwrap(), 0, "accepted, and closed");
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        stop.send_replace(true);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn one_that_is_told_to_stop_does_not_begin() {
        for _ in 0..20 {
            let gate = watch::Sender::new(true);
            let (mut accepting, asked) = accepting(0, &gate);
            let (_stop, stopped) = watch::channel(true);
            accepting.start_service(None, stopped, 1).await;
            assert_eq!(asked.load(Ordering::Relaxed), 0);
        }
    }
}
