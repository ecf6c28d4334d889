//! The plugin trait and what its hooks are given.

use crate::{Clock, CredentialDigest, Key, KeyHandle, KeyRing, Lease, Loss, Losses, Memory, Metered, Mistakes, Reject};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

/// An answer that a plugin gives itself.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Response headers; content-length is added by the gateway.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// A JSON document as an answer that nobody keeps. `document` is shown as JSON, as `serde_json::Value` is.
    pub fn json(status: StatusCode, document: &impl Display) -> Self {
        let headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        Self { status, headers, body: format!("{document}\n").into() }
    }
}

/// What happens to the request after a hook.
#[derive(Clone, Debug)]
pub enum Flow {
    /// The next plugin, then the gateway.
    Continue,
    /// This answer, at once; nothing goes upstream and nothing is billed.
    Respond(Reply),
    /// The request is for a page of the plugin's own: its body is read, and [`Plugin::answer`] answers. What is longer is refused.
    TakeBody {
        /// The most that may come.
        bytes_max: usize,
    },
}

/// The head of a request, before its body is read.
pub struct RequestHead<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path without the query.
    pub path: &'a str,
    /// Query without the question mark.
    pub query: Option<&'a str>,
    /// Header fields.
    pub headers: &'a HeaderMap,
    /// The client's address, as far as trusted proxies tell.
    pub client: Option<IpAddr>,
    /// Who calls: set by an authenticating plugin, read by those behind it.
    pub key: Option<Arc<dyn KeyHandle>>,
}

/// What a request is about to take: known when its body has been read.
pub struct Intent<'a> {
    /// Who calls.
    pub key: &'a Key,
    /// The prompt's tokens, estimated by its length.
    pub input_tokens: u64,
    /// The most tokens that the client asks for; 0: it does not say.
    pub output_tokens: u64,
    /// The most that it can cost, in nano-USD.
    pub cost_nanos_max: &'a dyn Fn() -> i64,
}

/// What was said in an exchange, for plugins that ask for it ([`Phases::content`]): lists of messages as OpenTelemetry's GenAI
/// conventions have them (`gen_ai.input.messages`, `gen_ai.output.messages`), in JSON. Texts are cut at a limit of the gateway's, and
/// what looks like a credential is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// What was asked.
    pub input: &'a str,
    /// What was delivered; `None`: nothing.
    pub output: Option<&'a str>,
}

/// How an exchange ended, for plugins that log or count.
#[derive(Clone, Copy)]
pub struct Summary<'a> {
    /// Our id of the request.
    pub request_id: &'a str,
    /// The same, as a number.
    pub request_number: u128,
    /// Who called.
    pub key: Option<&'a Key>,
    /// Status that the client got; where it got none, the ledger's: 499.
    pub status: u16,
    /// What was consumed.
    pub metered: &'a Metered,
    /// What it cost, in nano-USD.
    pub cost_nanos: i64,
    /// Unix time in milliseconds at which its head had been read.
    pub started_at_ms: i64,
    /// From then to its end.
    pub duration_ms: u64,
    /// From then to the first token; streams only.
    pub ttft_ms: Option<u64>,
    /// The client's address, as far as trusted proxies tell, as it is displayed.
    pub client: Option<&'a str>,
    /// Method; as all of the client's words here, short and with what looks like a credential masked.
    pub method: &'a str,
    /// The client's header fields as they came, credentials among them.
    pub headers: &'a HeaderMap,
    /// Path without the query.
    pub path: &'a str,
    /// The dialect in which the client was answered.
    pub dialect: &'a str,
    /// The operation; `None`: refused before it was known.
    pub endpoint: Option<&'a str>,
    /// What OpenTelemetry's GenAI conventions call the operation (`gen_ai.operation.name`).
    pub conventional_operation: Option<&'a str>,
    /// The model that was asked for; `None`: none, or refused before it was known.
    pub model: Option<&'a str>,
    /// Whether a stream was asked for; `None`: refused before it was known.
    pub stream: Option<bool>,
    /// The provider's row at the last attempt.
    pub provider: Option<&'a str>,
    /// What those conventions call the provider (`gen_ai.provider.name`).
    pub conventional_provider: Option<&'a str>,
    /// The upstream of the last attempt.
    pub upstream: Option<&'a str>,
    /// What that upstream calls the model.
    pub upstream_model: Option<&'a str>,
    /// Attempts at upstreams.
    pub attempts: u32,
    /// The ledger's word for how it ended; `None`: it has no record.
    pub outcome: Option<&'a str>,
    /// The code of our refusal, or the ledger's of what went wrong.
    pub error_code: Option<&'a str>,
    /// Who refused, if we did: the value of `x-tollgate-rejected-by`.
    pub rejected_by: Option<&'a str>,
    /// What was said, if the plugin asks for it and there was a prompt.
    pub content: Option<Content<'a>>,
}

/// The phases in which a plugin wants to be called; it is never called in another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// [`Plugin::request_filter`].
    pub request: bool,
    /// There with `request`: it is also called on what is asked of the console, where nobody shows a key.
    pub console: bool,
    /// [`Plugin::admission_filter`].
    pub admission: bool,
    /// [`Plugin::upstream_filter`].
    pub upstream: bool,
    /// [`Plugin::upstream_request_filter`].
    pub upstream_request: bool,
    /// [`Plugin::response_filter`].
    pub response: bool,
    /// [`Plugin::logging`].
    pub logging: bool,
    /// There with [`Summary::content`]: nothing is kept of what is said where no plugin asks for it.
    pub content: bool,
}

/// A feature that acts on requests. Every hook has a default that does nothing.
#[async_trait::async_trait]
pub trait Plugin: Send + Sync {
    /// The name in `[plugins.NAME]`.
    fn name(&self) -> &'static str;

    /// Where it wants to be called.
    fn phases(&self) -> Phases;

    /// Runs in `admit`, before the body is read and before anything is billed.
    ///
    /// # Errors
    /// A [`Reject`] refuses the request in the caller's dialect.
    async fn request_filter(&self, _request: &mut RequestHead<'_>) -> Result<Flow, Reject> {
        Ok(Flow::Continue)
    }

    /// Answers the request whose body it has asked for ([`Flow::TakeBody`]). Nothing goes upstream and nothing is billed.
    ///
    /// # Errors
    /// A [`Reject`] refuses the request in the caller's dialect.
    async fn answer(&self, _request: &RequestHead<'_>, _body: &[u8]) -> Result<Reply, Reject> {
        Err(crate::RejectCode::NotFound.into())
    }

    /// Runs at the end of `admit`, when it is known what the request is about to take, before anything is held for it. What
    /// is returned lives until the request's end.
    ///
    /// # Errors
    /// A [`Reject`] refuses the request in the caller's dialect.
    fn admission_filter(&self, _intent: &Intent<'_>) -> Result<Option<Lease>, Reject> {
        Ok(None)
    }

    /// Runs in `route`, before an upstream is tried. What is returned lives as long as the attempt.
    ///
    /// # Errors
    /// This upstream cannot be used now: another one is. If there is none, the [`Reject`] is the answer.
    fn upstream_filter(&self, _upstream: &str, _intent: &Intent<'_>) -> Result<Option<Lease>, Reject> {
        Ok(None)
    }

    /// Runs on the head of every request that goes upstream. `request_headers` are the client's.
    fn upstream_request_filter(&self, _request_id: u128, _request_headers: &HeaderMap, _headers: &mut HeaderMap) {}

    /// Runs on the head of every answer, our own included, before it goes to the client. What limits tell of an upstream's answer is
    /// added behind it.
    fn response_filter(&self, _request_headers: &HeaderMap, _status: StatusCode, _headers: &mut HeaderMap) {}

    /// Runs once, after the answer. Must not wait.
    fn logging(&self, _summary: &Summary<'_>) {}

    /// The process ends: what is still in memory is written now, within a second or two.
    fn close(&self) {}
}

/// What a plugin may use of the gateway.
#[derive(Clone)]
pub struct Ports {
    /// Looks up keys.
    pub keys: Arc<dyn KeyRing>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What a plugin keeps over reloads.
    pub memory: Arc<Memory>,
    /// Counts what is lost on its way to those who look on.
    pub losses: Arc<dyn Losses>,
    /// The names of the upstreams that the configuration has, for a table that names some; `None`: nobody knows them, and no name
    /// is wrong.
    pub upstreams: Option<Arc<BTreeSet<String>>>,
}

/// No keys, a clock that stands still, and nobody who counts.
struct Nothing;

impl KeyRing for Nothing {
    fn find(&self, _digest: &CredentialDigest) -> Option<Arc<dyn KeyHandle>> {
        None
    }
}

impl Clock for Nothing {
    fn now_ms(&self) -> i64 {
        0
    }
}

impl Losses for Nothing {
    fn lost(&self, _plugin: &'static str, _loss: Loss, _count: u64) {}
}

impl Ports {
    /// Ports with nothing behind them: for a configuration that is only checked, and for tests.
    pub fn to_nothing() -> Self {
        let nothing = Arc::new(Nothing);
        let (keys, clock) = (nothing.clone(), nothing.clone());
        Self { keys, clock, memory: Arc::default(), losses: nothing, upstreams: None }
    }
}

/// Makes a plugin from its `[plugins.NAME]` table. The error has all that is wrong with it ([`crate::Settings`] finds it), each
/// with its key. A configuration is also built to be checked: nothing is changed here.
pub type Build = fn(toml::Table, &Ports) -> Result<Arc<dyn Plugin>, Mistakes>;

/// One line of the list of built-in plugins.
#[derive(Clone, Copy)]
pub struct PluginRow {
    /// The name in `[plugins.NAME]`.
    pub name: &'static str,
    /// True: always in the chain, even without a `[plugins.NAME]` table.
    pub always: bool,
    /// Keys of its table that are paths. What it gets of them is absolute, or starts from the working directory: the gateway has put the
    /// config file's folder before relative ones.
    pub paths: &'static [&'static str],
    /// Makes it; the table is empty if there is none.
    pub build: Build,
}
