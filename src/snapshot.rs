//! The immutable runtime view of the whole configuration: what one request looks at from admission to settlement. Made by
//! `config::build`, swapped whole by a reload. Keys are not in it: they live in a map of their own and change one by one.

use crate::balance::{Failure, Observed, Pick, Plan, Strategy, UpstreamBreakers};
use crate::config::{Config, HttpVersion, Network, OnClientDisconnect, SharedSecret, UnknownModel};
use crate::dialect::answer::ListedModel;
use crate::dialect::chat::{ChatRules, OutputLimits};
use crate::dialect::endpoint::{Endpoint, is_vertex};
use crate::dialect::{Answer, DialectId};
use crate::price::{Price, PriceBook};
use crate::provider::{Provider, Tiers};
use crate::proxy::{Addresses, Fragments, Signer};
use crate::quick::QuickMap;
use arc_swap::ArcSwapOption;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tollgate_plugin_api::{Plugin, ServiceTier};

/// Everything that is configured, in force at one moment.
pub struct Snapshot {
    /// Every upstream, in the file's order; candidates refer to them by index.
    pub upstreams: Vec<Arc<Upstream>>,
    /// The price book in force.
    pub prices: Arc<PriceBook>,
    /// What happens to models without a price.
    pub unknown_model: UnknownModel,
    /// Routing limits and time-outs.
    pub routing: Routing,
    /// How one of a tier's candidates is chosen.
    pub strategy: &'static dyn Strategy,
    /// The plugins, by phase, in order.
    pub plugins: PluginChain,
    /// The largest request body, in bytes.
    pub request_body_bytes_max: usize,
    /// Networks whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<Network>,
    /// What `POST /console/internal/reload` must show; none: that page does not exist.
    pub reload_secret: Option<SharedSecret>,
    /// What all of this was made from.
    pub config: Arc<Config>,
    pub(crate) groups: QuickMap<Arc<str>, Group>,
}

/// What a group's keys may use.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) models: QuickMap<Arc<str>, ModelRoutes>,
    pub(crate) listed: Vec<ListedModel>,
}

impl Snapshot {
    /// Where requests of this group for this model may go. `None`: the group has no such model.
    pub fn routes(&self, group: &str, model: &str) -> Option<&ModelRoutes> {
        self.groups.get(group)?.models.get(model)
    }

    /// The group's models, in order of name.
    pub fn listed(&self, group: &str) -> &[ListedModel] {
        self.groups.get(group).map_or(&[], |group| &group.listed)
    }
}

/// One model of one group: a route for each dialect that some candidate speaks, and, for what can be translated, those with
/// the candidates of other dialects too.
#[derive(Clone, Default)]
pub struct ModelRoutes {
    pub(crate) by_dialect: [Option<Arc<Route>>; DialectId::ALL.len()],
    pub(crate) chat: [Option<Arc<Route>>; DialectId::ALL.len()],
    pub(crate) embeddings: [Option<Arc<Route>>; DialectId::ALL.len()],
}

impl ModelRoutes {
    /// The route of requests for this operation.
    pub fn for_endpoint(&self, endpoint: &Endpoint) -> Option<&Arc<Route>> {
        let routes = match endpoint.answer {
            _ if endpoint.is_chat() => &self.chat,
            Answer::Embeddings | Answer::EmbedContent | Answer::BatchEmbedContents => &self.embeddings,
            _ => &self.by_dialect,
        };
        routes.get(endpoint.dialect.index())?.as_ref()
    }

    /// The dialects there is a route for.
    pub fn dialects(&self) -> impl Iterator<Item = DialectId> {
        DialectId::ALL.into_iter().filter(|dialect| self.by_dialect[dialect.index()].is_some())
    }
}

/// Where requests for one model in one dialect may go, and at what prices.
pub struct Route {
    /// The model as clients call it.
    pub model: Arc<str>,
    /// The candidates, by tier.
    pub plan: Plan,
    /// What each candidate charges, in the plan's own order: by tier, then by index.
    pub charges: Vec<Vec<Charges>>,
    /// Those that have a price, without repetition: a hold is taken at the dearest.
    pub distinct_charges: Vec<Charges>,
    /// Some candidate has no price.
    pub unpriced: bool,
}

/// What a candidate charges, and by what the most that it can charge goes.
#[derive(Clone)]
pub struct Charges {
    /// `None`: nobody knows.
    pub price: Option<Arc<Price>>,
    /// Which service tiers it may charge for.
    pub tiers: Tiers,
    /// The most tokens that an image is there.
    pub image_tokens: u64,
    /// What is put in front of a conversation there, in tokens, at most.
    pub front_tokens: u64,
    /// How its output is limited.
    pub output_limits: OutputLimits,
}

impl Charges {
    /// Both charge the same for whatever it is.
    pub fn are_same(&self, other: &Self) -> bool {
        let price = |charges: &Self| charges.price.as_ref().map(|price| Arc::as_ptr(price).addr());
        let bounds = |charges: &Self| (charges.image_tokens, charges.front_tokens, charges.output_limits);
        (price(self), self.tiers) == (price(other), other.tiers) && bounds(self) == bounds(other)
    }
}

impl Route {
    /// What a chosen candidate charges.
    pub fn charges(&self, pick: &Pick) -> Option<&Charges> {
        self.charges.get(pick.tier as usize)?.get(pick.index as usize)
    }

    /// The dearer service tier that some candidate is asked for where the client asks for this one, and has no price for at that
    /// time.
    pub fn unpriced_tier(&self, by_client: ServiceTier, unix_ms: i64) -> Option<ServiceTier> {
        let priced = self.distinct_charges.iter().filter_map(|charges| Some((charges.price.as_ref()?, charges.tiers)));
        let mut asked = priced.map(|(price, tiers)| (price, tiers.asked(by_client)));
        asked.find(|(price, asked)| !price.has_price_in(*asked, unix_ms)).map(|(_, asked)| asked)
    }

    /// How the output of a chosen candidate is limited.
    pub fn output_limits(&self, pick: &Pick) -> OutputLimits {
        self.charges(pick).map(|charges| charges.output_limits).unwrap_or_default()
    }
}

/// One configured provider account. No `Debug`: it holds a credential.
pub struct Upstream {
    /// Its name, unique.
    pub name: Arc<str>,
    /// The name as it stands in `x-tollgate-upstream`.
    pub name_header: HeaderValue,
    /// Its vendor's row.
    pub provider: &'static Provider,
    /// The host to connect to, also its TLS server name.
    pub host: String,
    /// The port to connect to.
    pub port: u16,
    /// HTTPS.
    pub tls: bool,
    /// What is spoken there; what was opened for one is not used for the other.
    pub http_version: HttpVersion,
    /// The `Host` field: with the port where it is not the scheme's own.
    pub host_header: HeaderValue,
    /// The base URL's path, without a slash at the end.
    pub base_path: String,
    /// The header field that shows our key.
    pub credential: Option<(HeaderName, HeaderValue)>,
    /// What signs its requests, where our key is not shown.
    pub signer: Option<Signer>,
    /// Parts of our key, to mask an echo.
    pub secret_fragments: Fragments,
    /// Sent as they are.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether it may be used now; kept over reloads while name, provider, host and key stay.
    pub breakers: UpstreamBreakers,
    /// How fast and how reliable it was lately; kept likewise.
    pub observed: Arc<Observed>,
    /// The last of its failures that counted; kept likewise.
    pub last_failure: Arc<ArcSwapOption<SeenFailure>>,
    /// The host's addresses; kept likewise.
    pub addresses: Arc<Addresses>,
    /// Keeps its pooled connections apart from other accounts'.
    pub group_key: u64,
}

impl Upstream {
    /// What its requests are to be like: as the vendor has them, at this base URL.
    pub fn chat_rules(&self) -> ChatRules {
        let rules = self.provider.chat.clone();
        ChatRules { anonymous_calls: rules.anonymous_calls || is_vertex(&self.base_path), ..rules }
    }
}

/// A failure of an upstream, for who asks what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct SeenFailure {
    /// What kind.
    pub failure: Failure,
    /// The answer's status; `None`: there was no answer.
    pub status: Option<u16>,
    /// Unix time in milliseconds.
    pub at_ms: i64,
}

/// `[routing]`, in the data plane's own units.
#[derive(Clone, Debug)]
pub struct Routing {
    /// Attempts for one request, the first included.
    pub attempts_max: u32,
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// Streaming: until the first token.
    pub first_token_timeout: Duration,
    /// Not streaming: until the whole answer is here.
    pub response_timeout: Duration,
    /// Between two pieces of a stream.
    pub idle_timeout: Duration,
    /// How long what comes before the first token is held.
    pub first_token_hold: Duration,
    /// What happens upstream when the client goes away.
    pub on_client_disconnect: OnClientDisconnect,
    /// A drain's time.
    pub drain_time_max: Duration,
    /// A drain's bytes.
    pub drain_bytes_max: usize,
    /// Drains at once.
    pub drains_max: usize,
    /// Output tokens of a hold where nobody says a limit.
    pub output_tokens_default: u64,
    /// Prompt tokens of a hold for what stands elsewhere, where the price does not say the model's context window.
    pub context_tokens_default: u64,
}

/// The plugins of a chain, by the phase in which they act.
#[derive(Clone, Default)]
pub struct PluginChain {
    /// Called on every request's head.
    pub request: Vec<Arc<dyn Plugin>>,
    /// Called on the head of what is asked of the console.
    pub console: Vec<Arc<dyn Plugin>>,
    /// Called when it is known what a request is about to take.
    pub admission: Vec<Arc<dyn Plugin>>,
    /// Called before an upstream is tried.
    pub upstream: Vec<Arc<dyn Plugin>>,
    /// Called on the head of what goes upstream.
    pub upstream_request: Vec<Arc<dyn Plugin>>,
    /// Called on every answer's head.
    pub response: Vec<Arc<dyn Plugin>>,
    /// Called at the end.
    pub logging: Vec<Arc<dyn Plugin>>,
    /// One of these wants to know what was said.
    pub content: bool,
    all: Vec<Arc<dyn Plugin>>,
}

impl PluginChain {
    /// Sorts plugins into the phases they declare; the order stays.
    pub fn new(plugins: Vec<Arc<dyn Plugin>>) -> Self {
        let mut chain = Self::default();
        for plugin in &plugins {
            let phases = plugin.phases();
            chain.content |= phases.logging && phases.content;
            for (wanted, list) in [
                (phases.request, &mut chain.request),
                (phases.request && phases.console, &mut chain.console),
                (phases.admission, &mut chain.admission),
                (phases.upstream, &mut chain.upstream),
                (phases.upstream_request, &mut chain.upstream_request),
                (phases.response, &mut chain.response),
                (phases.logging, &mut chain.logging),
            ] {
                if wanted {
                    list.push(plugin.clone());
                }
            }
        }
        chain.all = plugins;
        chain
    }

    /// The process ends.
    pub fn close(&self) {
        for plugin in &self.all {
            plugin.close();
        }
    }
}
