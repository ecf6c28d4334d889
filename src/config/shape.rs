//! What `tollgate.toml` can say, checked and with every default filled in; the defaults stand here, too. Addresses, networks,
//! URLs and paths are already parsed, `${VAR}` is replaced, relative paths are joined to the config file's folder.

use super::error::{ConfigError, Positions};
use super::secret::SharedSecret;
use crate::ledger::Durability;
use crate::price::Multiplier;
use crate::store::StoreUrl;
use http::{HeaderName, HeaderValue, Uri};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::PathBuf;
use tollgate_plugin_api::{Network, words};

/// A whole configuration. Its `Debug` form holds no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from; none: made from environment variables.
    pub file: Option<PathBuf>,
    /// `[server]`
    pub server: Server,
    /// `[store]`
    pub store: Store,
    /// `[ledger]`
    pub ledger: Ledger,
    /// `[pricing]`
    pub pricing: Pricing,
    /// `[routing]`
    pub routing: Routing,
    /// `[breaker]`
    pub breaker: Breaker,
    /// `[console]`
    pub console: Console,
    /// `[[upstream]]`, in the file's order; names are unique.
    pub upstreams: Vec<Upstream>,
    /// `[plugins.NAME]`: the plugin's own table, `${VAR}` already replaced.
    pub plugins: BTreeMap<String, toml::Table>,
    /// Weights that operators have put in the place of the file's, by upstream: the store has them, no file.
    pub weights: BTreeMap<String, u32>,
    /// Where in the file each key stands; see [`Config::error`].
    pub(super) positions: Positions,
    /// Of the text it was read from.
    pub(super) text_hash: u64,
}

pub(super) fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl Config {
    /// Whether this is the text that it was read from.
    pub(crate) fn is_read_from(&self, text: &str) -> bool {
        self.text_hash == hash_of(text)
    }

    /// Whether the other one was read from the same text.
    pub(crate) fn is_of_same_text(&self, other: &Self) -> bool {
        self.text_hash == other.text_hash
    }

    /// An upstream's share among those of its tier: the file's, unless an operator has put another in its place.
    pub fn weight_of(&self, upstream: &Upstream) -> u32 {
        self.weights.get(&upstream.name).copied().unwrap_or(upstream.weight)
    }

    /// An error at a key of this configuration, for checks that need more than the file. `key` is written as in
    /// [`ConfigError::key`]: `upstream[0].models[1]`, `plugins.cors.allowed_origins`. A key that is not in the file (a
    /// default) takes the position of the nearest table around it.
    pub fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        self.positions.error(key, message)
    }
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where clients connect; at least one.
    pub listen: Vec<SocketAddr>,
    /// Where `GET /metrics` is served; none (`""` in the file): nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Worker threads; 0: one per core. At most 1024.
    pub threads: usize,
    /// The largest request body that is read, in bytes.
    pub request_body_bytes_max: usize,
    /// What the process may take of the memory, in bytes, 16 MiB at least; 0: nine tenths of what the machine, or the container, has.
    pub memory_bytes_max: u64,
    /// After SIGTERM, how long what runs may go on.
    pub shutdown_ms: u64,
    /// Networks whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<Network>,
    /// What `POST /console/internal/reload` must show; none: that page does not exist.
    pub reload_secret: Option<SharedSecret>,
    /// Where the master keys are that open sealed values, unless the environment has them.
    pub master_key_file: Option<PathBuf>,
    /// `[server.tls]`; none: plain HTTP.
    pub tls: Option<Tls>,
}

/// `[server.tls]`: PEM files, both exist at load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Which database.
    pub url: StoreUrl,
}

/// `[ledger]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// The journal's folder; made when missing.
    pub journal_dir: PathBuf,
    /// What the journal survives: `process` or `power`.
    pub durability: Durability,
}

/// `[pricing]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pricing {
    /// The price book; a missing file is a price book without prices.
    pub file: PathBuf,
    /// What happens to a request for a model without a price.
    pub unknown_model: UnknownModel,
}

/// `pricing.unknown_model`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownModel {
    /// `reject_if_quota`: refused for a key with a quota, flagged for others.
    RejectIfQuota,
    /// `reject`: always refused.
    Reject,
    /// `allow`: always flagged.
    Allow,
}

words!(UnknownModel { RejectIfQuota = "reject_if_quota", Reject = "reject", Allow = "allow" });

/// `[routing]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// A name of the strategy table.
    pub strategy: String,
    /// Attempts for one request, the first included; 1 to 16.
    pub attempts_max: u32,
    /// Until the connection to an upstream stands, TLS included.
    pub connect_timeout_ms: u64,
    /// Streaming: until the first token.
    pub first_token_timeout_ms: u64,
    /// Not streaming: until the whole answer is here.
    pub response_timeout_ms: u64,
    /// Between two pieces of a stream.
    pub idle_timeout_ms: u64,
    /// How long what comes before the first token is held back.
    pub first_token_hold_ms: u64,
    /// What happens upstream when the client goes away.
    pub on_client_disconnect: OnClientDisconnect,
    /// A drain's time.
    pub drain_ms_max: u64,
    /// A drain's bytes.
    pub drain_bytes_max: u64,
    /// Drains at once.
    pub drains_max: usize,
    /// Output tokens that a hold assumes where neither the request nor the price says a limit.
    pub output_tokens_default: u64,
}

/// `routing.on_client_disconnect`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnClientDisconnect {
    /// `drain`: read on for the real usage.
    Drain,
    /// `abort`: estimate what was delivered.
    Abort,
}

words!(OnClientDisconnect { Drain = "drain", Abort = "abort" });

/// `[breaker]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it; at least 1.
    pub failures_to_open: u32,
    /// How long it stays open.
    pub open_ms: u64,
}

/// `[console]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// Whether `/console` is there.
    pub enabled: bool,
    /// Where it is served, and nowhere else; none: on `server.listen`.
    pub listen: Option<SocketAddr>,
    /// A session ends that was not used for so long.
    pub session_hours: u32,
}

/// `upstream.weight`, where the file does not say: upstreams without it share evenly.
pub const WEIGHT_DEFAULT: u32 = 1;
/// `upstream.priority`, where the file does not say: the first tier.
pub const PRIORITY_DEFAULT: u32 = 0;
/// `upstream.groups`, where the file does not say: the group that keys have, too, unless they are made for another.
pub const GROUP_DEFAULT: &str = "default";

/// `[[upstream]]`
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name, unique: ASCII letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// A row of `providers.toml`.
    pub provider: String,
    /// Our credential there; none only where the provider takes none.
    pub api_key: Option<SecretString>,
    /// What one would give that vendor's own SDK as its base URL: the file's, else the provider's. http or https, no
    /// user, no query, no slash at the end.
    pub base_url: Uri,
    /// What is spoken there.
    pub http_version: HttpVersion,
    /// What it serves; at least one.
    pub models: Vec<Model>,
    /// Its share among the upstreams of its priority; without it [`WEIGHT_DEFAULT`]. 0: nothing goes there, whatever the strategy, as
    /// long as another one of its priority is available.
    pub weight: u32,
    /// Its tier, the lowest is tried first; without it [`PRIORITY_DEFAULT`].
    pub priority: u32,
    /// The groups it belongs to; at least one. Without it [`GROUP_DEFAULT`] alone.
    pub groups: Vec<String>,
    /// Sent upstream as they are; without it none. Values are marked sensitive, so that `Debug` does not show them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whose rows of the price book hold here, instead of the provider's: a reseller's, a region's. The book has a row with
    /// that `provider`, which need not be one of `providers.toml`. Without it the provider's.
    pub price_provider: Option<String>,
    /// What a cost here is multiplied by, before it is rounded, and a hold likewise: `0.85` is a discount of 15 %. At most
    /// four decimals and 1000; default 1; 0: everything here is free.
    pub price_multiplier: Multiplier,
}

/// `upstream.http_version`: what is offered where TLS lets both sides choose (RFC 7301). Without TLS it is HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// `"1.1"`, the default: a connection for each request that runs, which costs least.
    #[default]
    Http1,
    /// `"2"`: many requests on one connection, where the provider speaks HTTP/2; HTTP/1.1 where it does not.
    Http2,
}

words!(HttpVersion { Http1 = "1.1", Http2 = "2" });

/// One entry of `upstream.models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// What clients ask for.
    pub name: String,
    /// What the upstream calls it; without it the same.
    pub upstream_model: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 3000))],
            metrics_listen: Some(SocketAddr::from(([127, 0, 0, 1], 9464))),
            threads: 0,
            request_body_bytes_max: 32 * 1024 * 1024,
            memory_bytes_max: 0,
            shutdown_ms: 30_000,
            trusted_proxies: Vec::new(),
            reload_secret: None,
            master_key_file: None,
            tls: None,
        }
    }
}

/// These three have paths from the file's folder, or, where there is no file, from the working directory.
impl Default for Store {
    fn default() -> Self {
        Self { url: StoreUrl::Sqlite("data/tollgate.db".into()) }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self { journal_dir: "data/journal".into(), durability: Durability::Process }
    }
}

impl Default for Pricing {
    fn default() -> Self {
        Self { file: "pricing.toml".into(), unknown_model: UnknownModel::RejectIfQuota }
    }
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            strategy: "weighted".into(),
            attempts_max: 3,
            connect_timeout_ms: 10_000,
            first_token_timeout_ms: 120_000,
            response_timeout_ms: 600_000,
            idle_timeout_ms: 120_000,
            first_token_hold_ms: 15_000,
            on_client_disconnect: OnClientDisconnect::Drain,
            drain_ms_max: 10_000,
            drain_bytes_max: 1024 * 1024,
            drains_max: 256,
            output_tokens_default: 32_768,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures_to_open: 5, open_ms: 30_000 }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self { enabled: true, listen: None, session_hours: 12 }
    }
}
