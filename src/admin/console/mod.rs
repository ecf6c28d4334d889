//! The control plane: what answers at `/console`. THE table of what there is stands in `routes`; a request passes `guard`, which alone
//! decides whether it may, and one endpoint. All of that is done `backstage`, not on the threads that serve requests.

mod access;
mod assets;
mod attempts;
mod audit;
mod backstage;
mod codes;
mod extract;
mod groups;
mod guard;
mod health;
mod keys;
mod logs;
mod openapi;
mod operations;
mod overview;
mod password;
mod people;
mod price_file;
mod prices;
mod query;
mod refusal;
mod routes;
mod schema;
mod session;
mod settings;
mod times;
mod trial;
mod upstreams;
mod usage;
mod uses;
mod word;

pub use password::{FirstAdmin, first_admin, reset_password};

use crate::clock::{steady_ms, unix_ms};
use crate::proxy::{Console, ConsoleRequest, Pieces, Shared};
use crate::store::{self, Act, Store};
use async_trait::async_trait;
use attempts::Attempts;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::IntoResponse;
use backstage::Backstage;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use refusal::{Code, Refusal};
use session::Caller;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tollgate_plugin_api::RejectCode;
use tower::ServiceExt;
use uses::Uses;

/// Pieces of a body that are made before they go out.
const PIECES_AHEAD: usize = 1;

/// Passwords that are hashed at once: each takes 19 MiB and a core.
const HASHING_MAX: usize = 2;

/// What endpoints share.
struct Desk {
    /// The gateway.
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    /// Prices that stand in where the pricing file is missing.
    default_prices: &'static str,
    /// Passwords that were given.
    attempts: Attempts,
    /// When sessions were last used, on its way to the store.
    uses: Arc<Uses>,
    /// Leave to hash a password.
    hashing: Semaphore,
    /// Whoever has it writes the pricing file.
    pricing: tokio::sync::Mutex<()>,
    /// Whoever has it walks the ledger.
    verifying: tokio::sync::Mutex<()>,
    /// Where the store is asked, and passwords are hashed.
    backstage: Backstage,
    started_ms: i64,
}

impl Desk {
    /// Asks the store, where waiting for it holds nobody up.
    ///
    /// # Errors
    /// What the store says, in the console's words.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Store) -> store::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = self.store.clone();
        Ok(self.beside(move || ask(&*store)).await??)
    }

    /// Does what takes long, where that holds nobody up.
    ///
    /// # Errors
    /// It has panicked.
    async fn beside<T: Send + 'static>(&self, run: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let done = self.backstage.run(run).await;
        done.map_err(|error| Refusal::new(Code::Unavailable, error.to_string()))
    }

    /// What the audit says of who does this.
    fn act(caller: &Caller) -> Act {
        Act { at_ms: unix_ms(), actor: caller.person.name.clone() }
    }

    /// So long a session may be unused, in milliseconds.
    fn idle_ms_max(&self) -> i64 {
        i64::from(self.shared.snapshot.load().config.console.session_hours) * 3_600_000
    }
}

/// Where a request comes from: beside it, for those who ask.
#[derive(Clone, Copy, Debug, Default)]
struct Remote {
    /// The client's address; `None`: nobody knows it.
    address: Option<IpAddr>,
    /// By HTTPS.
    is_secure: bool,
}

/// The console as the gateway knows it.
struct Pages {
    router: Router,
    desk: Arc<Desk>,
}

/// The console of a gateway.
///
/// # Errors
/// The system gives no threads for it.
pub fn console(
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    default_prices: &'static str,
) -> io::Result<Arc<dyn Console>> {
    let desk = Arc::new(Desk {
        shared,
        store,
        default_prices,
        attempts: Attempts::default(),
        uses: Arc::default(),
        hashing: Semaphore::new(HASHING_MAX),
        pricing: tokio::sync::Mutex::default(),
        verifying: tokio::sync::Mutex::default(),
        backstage: Backstage::new()?,
        started_ms: steady_ms(),
    });
    Ok(Arc::new(Pages { router: routes::router(&desk), desk }))
}

#[async_trait]
impl Console for Pages {
    async fn answer(&self, request: ConsoleRequest) -> Response<Pieces> {
        let ConsoleRequest { head, body, client, is_secure } = request;
        let mut response = match body {
            Ok(body) => {
                let mut request = http::Request::from_parts(head, Body::from(body));
                request.extensions_mut().insert(Remote { address: client, is_secure });
                let answered = self.desk.backstage.go(self.router.clone().oneshot(request)).await;
                let failed = || Refusal::new(Code::Unavailable, "the endpoint has failed; the log says more");
                answered.map_or_else(|_| failed().into_response(), |Ok(response)| response)
            }
            Err(reject) => {
                let code = match reject.code {
                    RejectCode::RequestTooLarge => Code::TooLarge,
                    RejectCode::Overloaded => Code::Unavailable,
                    _ => Code::Invalid,
                };
                let message = reject.message.unwrap_or_else(|| reject.code.row().message.to_owned());
                Refusal::new(code, message).into_response()
            }
        };
        secure(response.headers_mut());
        let has_none = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = response.body().size_hint().exact();
        if let Some(length) = length.filter(|_| !has_none) {
            response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
        }
        response.map(|body| {
            let pieces = body.into_data_stream().map(|piece| piece.map_err(|error| error.to_string()));
            // What is there already goes out as it is.
            if length.is_some() { Box::pin(pieces) } else { self.made_backstage(Box::pin(pieces)) }
        })
    }
}

impl Pages {
    /// The pieces of a body, each made backstage while those before it go out.
    fn made_backstage(&self, mut pieces: Pieces) -> Pieces {
        let (sender, mut receiver) = mpsc::channel(PIECES_AHEAD);
        self.desk.backstage.go(async move {
            while let Some(piece) = pieces.next().await {
                // Nobody reads any more.
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
        });
        Box::pin(stream::poll_fn(move |context| receiver.poll_recv(context)))
    }
}

/// What every answer tells browsers.
const SECURITY: [(header::HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

fn secure(headers: &mut HeaderMap) {
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What may be kept says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// An answer's body that is made as it goes out.
fn streamed(pieces: impl futures::Stream<Item = Result<Bytes, String>> + Send + 'static) -> Body {
    Body::from_stream(pieces.map(|piece| piece.map_err(std::io::Error::other)))
}
