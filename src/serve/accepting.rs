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
use tokio::sync::watch;
use tokio::task::JoinSet;

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

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> PingoraService for Accepting<A> {
    async fn start_service(&mut self, _fds: Option<ListenFds>, mut shutdown: ShutdownWatch, listeners_per_fd: usize) {
        let mut rounds = JoinSet::new();
        // Kept: connections look at them as long as they are open.
        let mut ends = Vec::new();
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                _ = self.gate.wait_for(|open| *open) => {}
            }
            let made = self.sockets.for_pingora(&self.addresses).map_err(|error| error.to_string());
            let (mut service, fds) = match (self.make)().and_then(|service| Ok((service, made?))) {
                Ok(made) => made,
                Err(error) => {
                    tracing::error!("{}: nothing more is accepted: {error}", self.name);
                    break;
                }
            };
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
