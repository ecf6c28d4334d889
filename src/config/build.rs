//! Config → Snapshot: upstreams, routes and prices put together, and every check that needs more than the file.

use super::pricing::Prices;
use super::{Config, ConfigError, is_named_as_secret};
use crate::balance::{self, BreakerPolicy, Candidate, Plan, Tier, UpstreamBreakers};
use crate::dialect::answer::ListedModel;
use crate::dialect::chat::{OutputLimits, RESPONSES_OUTPUT_TOKENS_MIN};
use crate::dialect::endpoint::{self, Endpoint, Target};
use crate::dialect::request::{front_prompt_tokens, image_tokens_bound};
use crate::dialect::{DialectId, embed};
use crate::price::{PieceCounts, Price, PriceBook};
use crate::provider::{self, AuthScheme, Provider, Tiers, asks_for_dearer};
use crate::proxy::{Fragments, Signer};
use crate::quick::QuickMap;
use crate::snapshot::{Charges, Group, ModelRoutes, PluginChain, Route, Routing, Snapshot, Upstream};
use http::HeaderValue;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tollgate_plugin_api::Ports;

/// The largest context window that is common: what a hold assumes where the price book does not say one.
const CONTEXT_TOKENS_DEFAULT: u64 = 1_048_576;

/// Builds the runtime view. `previous` lends its breakers and resolved addresses to the upstreams that stayed.
///
/// # Errors
/// Everything that is wrong, each with its place in the file.
pub fn build(
    config: &Config,
    prices: Arc<PriceBook>,
    ports: &Ports,
    previous: Option<&Snapshot>,
) -> Result<Snapshot, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let upstreams = upstreams(config, previous, &mut errors);
    let (plugins, mistakes) = config.build_plugins(ports);
    errors.extend(mistakes);
    errors.extend(config.price_errors(&prices));
    let strategy = balance::strategy(&config.routing.strategy);
    if strategy.is_none() {
        let strategies: Vec<_> = balance::STRATEGIES.iter().map(|strategy| strategy.name()).collect();
        let message = format!("unknown strategy, expected one of {}", strategies.join(", "));
        errors.push(config.error("routing.strategy", message));
    }
    let (Some(strategy), true) = (strategy, errors.is_empty()) else { return Err(errors) };
    let groups = groups(config, &upstreams, &prices);
    Ok(Snapshot {
        upstreams,
        prices,
        unknown_model: config.pricing.unknown_model,
        routing: routing(config),
        strategy,
        plugins: PluginChain::new(plugins),
        request_body_bytes_max: config.server.request_body_bytes_max,
        trusted_proxies: config.server.trusted_proxies.clone(),
        reload_secret: config.server.reload_secret.clone(),
        config: Arc::new(config.clone()),
        groups,
    })
}

fn upstreams(config: &Config, previous: Option<&Snapshot>, errors: &mut Vec<ConfigError>) -> Vec<Arc<Upstream>> {
    let policy = BreakerPolicy {
        failures_to_open: config.breaker.failures_to_open,
        open_ms: config.breaker.open_ms,
        // A probe that has not reported by the time a request would have failed is lost.
        probe_ms: config.routing.first_token_timeout_ms.max(config.routing.connect_timeout_ms),
    };
    let mut built = Vec::with_capacity(config.upstreams.len());
    for (index, row) in config.upstreams.iter().enumerate() {
        let Some(provider) = provider::providers().get(&row.provider) else {
            errors.push(config.error(&format!("upstream[{index}].provider"), "unknown provider"));
            continue;
        };
        let before = previous.and_then(|snapshot| {
            snapshot
                .upstreams
                .iter()
                .find(|upstream| *upstream.name == *row.name && upstream.provider.name == row.provider)
        });
        match upstream(row, provider, policy, before.map(|upstream| &**upstream)) {
            Ok(upstream) => built.push(Arc::new(upstream)),
            Err((key, message)) => errors.push(config.error(&format!("upstream[{index}].{key}"), message)),
        }
    }
    built
}

fn upstream(
    row: &super::Upstream,
    provider: &'static Provider,
    policy: BreakerPolicy,
    before: Option<&Upstream>,
) -> Result<Upstream, (&'static str, String)> {
    let url = &row.base_url;
    let host = url.host().ok_or(("base_url", "has no host".to_owned()))?.to_owned();
    let tls = url.scheme_str() == Some("https");
    let default_port = if tls { 443 } else { 80 };
    let port = url.port_u16().unwrap_or(default_port);
    let host_text = if port == default_port { host.clone() } else { format!("{host}:{port}") };
    let secret = row.api_key.as_ref().map(|key| key.expose_secret()).unwrap_or_default();
    let credential = provider.auth.header(secret).map_err(|error| ("api_key", error.to_string()))?;
    let signs = provider.auth == AuthScheme::AwsSigv4;
    let signer = if signs { Signer::of(secret, &host).map_err(|error| ("api_key", error.to_owned()))? } else { None };
    let mut hasher = DefaultHasher::new();
    (&row.name, &host, port, tls, secret).hash(&mut hasher);
    let group_key = hasher.finish();
    // Another key or another host is another account: what was learned of the old one says nothing.
    let before = before.filter(|before| before.group_key == group_key);
    let models = row.models.iter().map(|model| &*model.upstream_model);
    let breakers = UpstreamBreakers::new(models, policy, before.map(|before| &before.breakers));
    Ok(Upstream {
        name: row.name.as_str().into(),
        name_header: HeaderValue::from_str(&row.name).map_err(|_| ("name", "cannot stand in a header".to_owned()))?,
        provider,
        host_header: HeaderValue::from_str(&host_text).map_err(|_| ("base_url", "has no valid host".to_owned()))?,
        host,
        port,
        tls,
        http_version: row.http_version,
        base_path: url.path().trim_end_matches('/').to_owned(),
        credential,
        signer,
        secret_fragments: Fragments::of(secrets_of(row)),
        headers: row.headers.clone(),
        breakers,
        observed: before.map_or_else(Arc::default, |before| before.observed.clone()),
        last_failure: before.map_or_else(Arc::default, |before| before.last_failure.clone()),
        addresses: before.map_or_else(Arc::default, |before| before.addresses.clone()),
        group_key,
    })
}

/// What an upstream must not tell our clients of: its key, and what of the configured headers is named as a credential is.
fn secrets_of(row: &super::Upstream) -> impl Iterator<Item = &str> {
    let headers = row.headers.iter().filter(|(name, _)| is_named_as_secret(name.as_str()));
    let values = headers.filter_map(|(_, value)| value.to_str().ok());
    row.api_key.iter().map(ExposeSecret::expose_secret).chain(values)
}

fn routing(config: &Config) -> Routing {
    let from = &config.routing;
    Routing {
        attempts_max: from.attempts_max,
        connect_timeout: Duration::from_millis(from.connect_timeout_ms),
        first_token_timeout: Duration::from_millis(from.first_token_timeout_ms),
        response_timeout: Duration::from_millis(from.response_timeout_ms),
        idle_timeout: Duration::from_millis(from.idle_timeout_ms),
        first_token_hold: Duration::from_millis(from.first_token_hold_ms),
        on_client_disconnect: from.on_client_disconnect,
        drain_time_max: Duration::from_millis(from.drain_ms_max),
        drain_bytes_max: usize::try_from(from.drain_bytes_max).unwrap_or(usize::MAX),
        drains_max: from.drains_max,
        output_tokens_default: from.output_tokens_default,
        context_tokens_default: CONTEXT_TOKENS_DEFAULT,
    }
}

/// One upstream's offer of one model.
struct Offer {
    upstream: u32,
    upstream_model: Arc<str>,
    weight: u32,
    priority: u32,
}

fn groups(config: &Config, upstreams: &[Arc<Upstream>], prices: &PriceBook) -> QuickMap<Arc<str>, Group> {
    let mut offers: BTreeMap<&str, BTreeMap<&str, Vec<Offer>>> = BTreeMap::new();
    for (index, row) in config.upstreams.iter().enumerate() {
        for group in &row.groups {
            let group = offers.entry(group).or_default();
            for model in &row.models {
                group.entry(&model.name).or_default().push(Offer {
                    // A file of 8 MiB cannot name that many.
                    upstream: u32::try_from(index).unwrap_or(u32::MAX),
                    upstream_model: model.upstream_model.as_str().into(),
                    weight: config.weight_of(row),
                    priority: row.priority,
                });
            }
        }
    }
    let prices = Prices::new(prices);
    let group = |models: BTreeMap<&str, Vec<Offer>>| {
        let listed = models
            .iter()
            .map(|(name, offers)| ListedModel {
                id: (*name).into(),
                owned_by: upstreams[offers[0].upstream as usize].provider.name.as_str().into(),
            })
            .collect();
        let models = models
            .into_iter()
            .map(|(name, offers)| {
                let name: Arc<str> = name.into();
                let routes = model_routes(&name, &offers, (upstreams, &config.upstreams), &prices);
                (name, routes)
            })
            .collect();
        Group { models, listed }
    };
    offers.into_iter().map(|(name, models)| (name.into(), group(models))).collect()
}

/// The upstreams as they run, and as they are configured.
type Upstreams<'a> = (&'a [Arc<Upstream>], &'a [super::Upstream]);

fn model_routes(model: &Arc<str>, offers: &[Offer], upstreams: Upstreams<'_>, prices: &Prices<'_>) -> ModelRoutes {
    let mut routes = ModelRoutes::default();
    for dialect in DialectId::ALL {
        let provider = |offer: &Offer| upstreams.0[offer.upstream as usize].provider;
        let natives = offers.iter().filter(|offer| provider(offer).speaks(dialect));
        let natives: Vec<(bool, &Offer)> = natives.map(|offer| (false, offer)).collect();
        let chat = endpoint::chat_target(dialect, false, "", false);
        let native = route((model, dialect), &natives, chat.endpoint, upstreams, prices);
        let with_translated = |target: Target| {
            let foreign = offers.iter().filter(|offer| {
                !provider(offer).speaks(dialect) && provider(offer).translations(target.endpoint).next().is_some()
            });
            let foreign: Vec<(bool, &Offer)> = foreign.map(|offer| (true, offer)).collect();
            if foreign.is_empty() {
                return native.clone();
            }
            let offers = [natives.as_slice(), foreign.as_slice()].concat();
            route((model, dialect), &offers, target.endpoint, upstreams, prices)
        };
        routes.chat[dialect.index()] = with_translated(chat);
        routes.embeddings[dialect.index()] = match embed::counterpart(dialect) {
            Some(_) => with_translated(endpoint::embeddings_target(dialect)),
            None => native.clone(),
        };
        routes.by_dialect[dialect.index()] = native;
    }
    routes
}

/// How a candidate's output is limited for requests of this dialect. What a row says is of chat completions, and of what is translated;
/// a limit of Responses is one of answer and thoughts everywhere (volcengine.com/docs/82379/1956279; Alibaba Cloud's notice of
/// 2026-04-20 of changes to certain model fields).
fn output_limits(dialect: DialectId, provider: &Provider, candidate: &Candidate) -> OutputLimits {
    if !candidate.is_translated && dialect != DialectId::OpenAi {
        return OutputLimits::default();
    }
    let may_be_raised = candidate.is_translated && provider.speaks(DialectId::OpenAiResponses);
    let least = if may_be_raised { RESPONSES_OUTPUT_TOKENS_MIN } else { 0 };
    OutputLimits { least, ..provider.chat.output_limits(&candidate.upstream_model, candidate.is_translated) }
}

/// The most tokens that an image is to a candidate for requests of this dialect.
fn image_tokens(dialect: DialectId, provider: &Provider, candidate: &Candidate) -> u64 {
    let bound = |dialect: &DialectId| image_tokens_bound(&candidate.upstream_model, *dialect);
    match candidate.is_translated {
        false => bound(&dialect),
        true => provider.dialects.iter().map(bound).max().unwrap_or(0),
    }
}

/// The route over these offers of what is asked for in this dialect, each with whether it takes a translation, for requests to an
/// endpoint like this one.
fn route(
    (model, dialect): (&Arc<str>, DialectId),
    offers: &[(bool, &Offer)],
    endpoint: &Endpoint,
    (upstreams, rows): Upstreams<'_>,
    prices: &Prices<'_>,
) -> Option<Arc<Route>> {
    if offers.is_empty() {
        return None;
    }
    let price_of = |upstream: u32, upstream_model: &str| prices.at(&rows[upstream as usize], upstream_model, model);
    let ranks = cost_ranks(offers.iter().map(|(_, offer)| price_of(offer.upstream, &offer.upstream_model)));
    let candidates = offers.iter().zip(ranks).map(|((is_translated, offer), cost_rank)| {
        let upstream = &upstreams[offer.upstream as usize];
        let candidate = Candidate {
            upstream: offer.upstream,
            upstream_model: offer.upstream_model.clone(),
            weight: offer.weight,
            is_translated: *is_translated,
            cost_rank,
            breakers: upstream.breakers.of(&offer.upstream_model),
            observed: upstream.observed.clone(),
        };
        (offer.priority, candidate)
    });
    let plan = Plan::new(candidates);
    let charges = |candidate: &Candidate| {
        let upstream = &upstreams[candidate.upstream as usize];
        Charges {
            price: price_of(candidate.upstream, &candidate.upstream_model),
            tiers: Tiers::of(
                upstream.provider,
                endpoint,
                upstream.headers.iter().any(|(_, value)| asks_for_dearer(value)),
            ),
            image_tokens: image_tokens(dialect, upstream.provider, candidate),
            front_tokens: front_prompt_tokens(&candidate.upstream_model),
            output_limits: output_limits(dialect, upstream.provider, candidate),
        }
    };
    let in_tier = |tier: &Tier| tier.candidates.iter().map(charges).collect();
    let charges: Vec<Vec<Charges>> = plan.tiers.iter().map(in_tier).collect();
    let mut distinct_charges: Vec<Charges> = Vec::new();
    for priced in charges.iter().flatten().filter(|charges| charges.price.is_some()) {
        if !distinct_charges.iter().any(|other| other.are_same(priced)) {
            distinct_charges.push(priced.clone());
        }
    }
    let unpriced = charges.iter().flatten().any(|charges| charges.price.is_none());
    Some(Arc::new(Route { model: model.clone(), plan, charges, distinct_charges, unpriced }))
}

/// Each price's place in the order of what a typical request costs; those without a price come last.
fn cost_ranks(prices: impl Iterator<Item = Option<Arc<Price>>>) -> Vec<u32> {
    /// A prompt of a few pages, an answer of a few paragraphs.
    const TYPICAL_TOKENS: (u64, u64) = (4_000, 1_000);
    /// A plain image, a minute of audio, a paragraph to be spoken: a model has one of the three.
    const TYPICAL_PIECES: PieceCounts<'static> = PieceCounts {
        images: 1,
        quality: Some("standard"),
        size: Some("1024x1024"),
        audio_ms: 60_000,
        characters: 500,
    };
    let cost = |price: &Price| price.worst_case_anywhere_nanos(TYPICAL_TOKENS.0, TYPICAL_TOKENS.1, &TYPICAL_PIECES);
    let costs: Vec<i64> = prices.map(|price| price.as_deref().map_or(i64::MAX, cost)).collect();
    let mut order = costs.clone();
    order.sort_unstable();
    order.dedup();
    let rank = |cost: &i64| order.binary_search(cost).unwrap_or(usize::MAX);
    costs.iter().map(|cost| u32::try_from(rank(cost)).unwrap_or(u32::MAX)).collect()
}
