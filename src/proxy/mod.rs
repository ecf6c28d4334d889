//! The data plane: five stages in the order of a request. Only here is Pingora's proxy known.
//!
//! admit → route → forward → receive → settle; failover alone goes back, to route. Stages meet only in [`Exchange`].

mod admit;
mod aside;
mod attempts;
mod body;
mod checkpoint;
mod collected;
mod console;
mod content;
mod control;
mod count;
mod downstream;
mod end;
mod error_answer;
mod exchange;
mod failure;
mod farewell;
mod form;
mod forward;
mod forwarded;
mod frames;
mod gate;
mod gathered;
mod head;
mod http1;
mod idempotency;
mod lane;
mod logging;
mod mask;
mod memory;
mod models;
mod packing;
mod pages;
mod patience;
mod peer;
mod pieces;
mod pool;
mod probe;
mod prompt;
mod receive;
mod reject;
mod relay;
mod reloads;
mod route;
mod server;
mod settle;
mod shared;
mod signature;
mod sound;
mod timer;
mod trail;
mod trial;
mod tries;
mod uncounted;
mod upstream;
mod user;
mod veil;

pub use console::{Console, ConsoleRequest, Pieces};
pub use exchange::Exchange;
pub use mask::Fragments;
pub use peer::Addresses;
pub use probe::{model_to_probe, probe};
pub use reloads::{AskedBy, ReloadRequest, Reloaded};
pub use server::{GatewayServer, LINGER};
pub use shared::Shared;
pub use signature::Signer;
pub use trial::Trial;

use logging::Running;
use pingora::protocols::http::ServerSession;
use std::pin::pin;
use std::sync::Arc;
use tollgate_plugin_api::Reject;

/// The gateway as a Pingora `ProxyHttp`, to be mounted in the `tollgate` binary's server or in one's own.
///
/// ```no_run
/// use pingora::prelude::Server;
/// use pingora::proxy::http_proxy_service;
/// use pingora::server::RunArgs;
/// use std::path::Path;
/// use tollgate::config::Config;
///
/// let environment = |name: &str| std::env::var(name).ok();
/// let config = Config::load(Path::new("tollgate.toml"), &environment).expect("a sound configuration");
/// let gateway = tollgate::serve::gateway(&config).expect("store and journal open");
/// let closing = gateway.clone();
///
/// let mut server = Server::new(None).expect("Pingora's defaults");
/// server.bootstrap();
/// let mut service = http_proxy_service(&server.configuration, gateway);
/// service.add_tcp("127.0.0.1:8080");
/// server.add_service(service);
/// server.run(RunArgs::default()); // returns when a signal has ended it
/// closing.close();
/// ```
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    door: Door,
}

/// Which of the gateway's pages a listener has. Health pages are everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// All.
    #[default]
    Everything,
    /// The clients' APIs: the console has a listener of its own.
    Clients,
    /// The console.
    Console,
}

impl Gateway {
    /// A gateway on these parts.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, door: Door::default() }
    }

    /// The same gateway for a listener that has other pages.
    #[must_use]
    pub fn behind(self, door: Door) -> Self {
        Self { door, ..self }
    }

    /// What its exchanges share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Writes what is still in memory: the journal, and what plugins have gathered. To be called once, when the server that
    /// it is mounted in has ended. True: nothing is left for the next start to finish.
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Answers a request whose head has been read. True: the connection can be used again.
    pub(crate) async fn answer(&self, session: &mut ServerSession) -> bool {
        self.answer_as(session, None).await
    }

    /// The same; `unsound`: what is wrong with the head, as far as that is known already.
    async fn answer_as(&self, session: &mut ServerSession, unsound: Option<Reject>) -> bool {
        let mut running = Running::new(session, Exchange::new(self.shared.clone()));
        let Running { session, exchange, .. } = &mut running;
        exchange.unsound = unsound;
        exchange.door = self.door;
        let outcome = match admit::admit(session, exchange).await {
            Ok(admit::Outcome::Answered) => Ok(()),
            Ok(admit::Outcome::Admitted) => relay::relay(session, exchange).await,
            Err(error) => Err(error),
        };
        let is_whole = match &outcome {
            Ok(()) => true,
            Err(error) => {
                // A client that does not read must not keep what it is told from ending.
                let told = pin!(failure::at_last(session, error, exchange));
                timer::within(downstream::CLIENT_WRITE_TIMEOUT, told).await.unwrap_or(false)
            }
        };
        running.end(outcome.as_ref().err().map(|error| &**error)).await;
        is_whole
    }
}
