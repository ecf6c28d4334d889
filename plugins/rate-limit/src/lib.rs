//! Limits on what keys, users and upstreams consume: requests, tokens, spend in a sliding window, and requests at once.
//! Always in the chain, for keys that have limits of their own; further rules come from `[plugins.rate-limit]`.
//!
//! At admission a request reserves its worst case, under the locks of its key and its user, so that no two requests take the
//! same room. Its real usage replaces the reservation when it is known.

mod meter;
mod meters;
mod rules;
mod window;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use meter::{Full, Meter};
use meters::{Meters, Whose};
use rules::{Limit, Per, Rule, Unit, own_limits};
use smallvec::SmallVec;
use std::sync::Arc;
use tollgate_plugin_api::{
    Allowance, Allowances, Amounts, Clock, Intent, Key, Lease, Lessor, Mistakes, Phases, Plugin, PluginRow, Ports,
    Reject, RejectCode, duration,
};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "rate-limit", always: true, paths: &[], build };

fn build(table: toml::Table, ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
    let rules = rules::read(&table, ports.upstreams.as_deref())?;
    Ok(Arc::new(RateLimit { rules, meters: ports.memory.get(), clock: ports.clock.clone() }))
}

/// What concerns one request of one key, user or upstream, in place unless it is very much.
type Limits = SmallVec<[Limit; 8]>;

struct RateLimit {
    rules: Arc<[Rule]>,
    meters: Arc<Meters>,
    clock: Arc<dyn Clock>,
}

impl RateLimit {
    /// The configured limits for somebody.
    fn limits(&self, per: Per, name: &str) -> Limits {
        self.rules.iter().filter(|rule| rule.concerns(per, name)).map(|rule| rule.limit).collect()
    }

    /// A key's limits: its own beside the configured ones; of two of the same kind the lower one. (A key's own may be its
    /// user's to set, the rules are not.)
    fn key_limits(&self, key: &Key) -> Limits {
        let mut limits = self.limits(Per::Key, &key.name);
        for own in own_limits(key) {
            let mut is_ruled = false;
            for rule in limits.iter_mut().filter(|rule| rule.unit == own.unit && rule.window_ms == own.window_ms) {
                rule.max = rule.max.min(own.max);
                is_ruled = true;
            }
            if !is_ruled {
                limits.push(own);
            }
        }
        limits
    }
}

/// What a request is taken for until its usage is known.
fn asked(intent: &Intent<'_>, limits: &[&[Limit]]) -> Amounts {
    let spends = limits.iter().copied().flatten().any(|limit| limit.unit == Unit::SpendUsd);
    Amounts {
        requests: 1,
        input_tokens: intent.input_tokens,
        output_tokens: intent.output_tokens,
        cost_nanos: if spends { u64::try_from((intent.cost_nanos_max)()).unwrap_or(0) } else { 0 },
    }
}

#[async_trait]
impl Plugin for RateLimit {
    fn name(&self) -> &'static str {
        PLUGIN.name
    }

    fn phases(&self) -> Phases {
        let upstream = self.rules.iter().any(|rule| rule.per == Per::Upstream);
        Phases { admission: true, upstream, ..Phases::default() }
    }

    fn admission_filter(&self, intent: &Intent<'_>) -> Result<Option<Lease>, Reject> {
        let of_key = self.key_limits(intent.key);
        let user = intent.key.user.as_deref();
        let of_user = user.map(|user| self.limits(Per::User, user)).unwrap_or_default();
        let of_whom = [
            (!of_key.is_empty()).then_some(Whose::Key(intent.key.id)),
            user.filter(|_| !of_user.is_empty()).map(Whose::User),
        ];
        if of_whom == [None, None] {
            return Ok(None);
        }
        let asked = asked(intent, &[&of_key, &of_user]);
        let now_ms = self.clock.steady_ms();
        let mut allowances = Allowances::default();
        let meters = loop {
            let meters = of_whom.map(|whose| whose.map(|whose| self.meters.of(whose, now_ms)));
            // Always in this order; both are held until both have been taken from.
            let [mut of_key_taken, mut of_user_taken] = [0, 1].map(|at| meters[at].as_deref().map(Meter::lock));
            if [&of_key_taken, &of_user_taken].into_iter().flatten().any(|taken| taken.is_retired()) {
                continue;
            }
            // Both are asked before either refuses: the request passes when both have room.
            let key_is_full = of_key_taken.as_mut().and_then(|taken| taken.check(&of_key, &asked, now_ms).err());
            let user_is_full = of_user_taken.as_mut().and_then(|taken| taken.check(&of_user, &asked, now_ms).err());
            if let Some(refused) = refusal_of_longer(key_is_full, user_is_full) {
                return Err(refused);
            }
            if let Some(taken) = &mut of_user_taken {
                allowances = taken.take(&of_user, &asked, now_ms);
            }
            if let Some(taken) = &mut of_key_taken {
                allowances = tighter(taken.take(&of_key, &asked, now_ms), allowances);
            }
            drop((of_key_taken, of_user_taken));
            break meters;
        };
        let lessor = |meter: Option<Arc<Meter>>| meter.map(|meter| meter as Arc<dyn Lessor>);
        Ok(Some(Lease::new(meters.map(lessor), now_ms, asked, allowances)))
    }

    fn upstream_filter(&self, upstream: &str, intent: &Intent<'_>) -> Result<Option<Lease>, Reject> {
        let limits = self.limits(Per::Upstream, upstream);
        if limits.is_empty() {
            return Ok(None);
        }
        let asked = asked(intent, &[&limits]);
        let now_ms = self.clock.steady_ms();
        let meter = loop {
            let meter = self.meters.of(Whose::Upstream(upstream), now_ms);
            let mut taken = meter.lock();
            if taken.is_retired() {
                continue;
            }
            taken.check(&limits, &asked, now_ms).map_err(|full| {
                // What an upstream is allowed is no business of the caller's.
                refusal(Per::Upstream, &Full { allowances: Allowances::default(), ..*full })
            })?;
            taken.take(&limits, &asked, now_ms);
            drop(taken);
            break meter;
        };
        Ok(Some(Lease::new([Some(meter), None], now_ms, asked, Allowances::default())))
    }
}

/// Of each the one of which less remains.
fn tighter(one: Allowances, other: Allowances) -> Allowances {
    let less = |one: Option<Allowance>, other: Option<Allowance>| match (one, other) {
        (Some(one), Some(other)) => Some(if other.remaining < one.remaining { other } else { one }),
        (one, other) => one.or(other),
    };
    Allowances { requests: less(one.requests, other.requests), tokens: less(one.tokens, other.tokens) }
}

/// The refusal by whichever of the two keeps the request away for longer.
fn refusal_of_longer(key: Option<Box<Full>>, user: Option<Box<Full>>) -> Option<Reject> {
    match (key, user) {
        (None, None) => None,
        (Some(key), Some(user)) if key.or_longer(*user) == *user => Some(refusal(Per::User, &user)),
        (Some(key), _) => Some(refusal(Per::Key, &key)),
        (None, Some(user)) => Some(refusal(Per::User, &user)),
    }
}

/// The refusal, as the caller reads it.
fn refusal(per: Per, full: &Full) -> Reject {
    let Full { limit, used, asked, wait_ms, allowances } = *full;
    // The contract has a `retry-after` for every refusal by a limit; of whom asks for more than there ever is, the message tells.
    let fits_ever = full.fits_ever();
    let window = match limit.unit {
        Unit::Concurrency => String::new(),
        _ => format!(" in {}", duration(limit.window_ms)),
    };
    let currency = if limit.unit == Unit::SpendUsd { " USD" } else { "" };
    let told = |amount: u64| format!("{}{currency}", limit.unit.told(amount));
    let reached = if fits_ever { "Rate limit reached" } else { "The request is larger than the limit allows" };
    let mut message = format!("{reached} for {} of this {}{window}", limit.unit.name(), per.name());
    if per != Per::Upstream {
        message.push_str(&format!(": limit {}, used {}, requested {}", told(limit.max), told(used), told(asked)));
    }
    message.push('.');
    if fits_ever {
        message.push_str(&format!(" Please try again in {}.", duration(wait_ms)));
    }
    let mut reject = Reject::new(RejectCode::RateLimitExceeded).message(message);
    reject.retry_after_s = Some(wait_ms.div_ceil(1000).max(1));
    reject.not_again = !fits_ever;
    reject.headers = allowances.fields();
    if per != Per::Upstream {
        let remaining = limit.max.saturating_sub(used);
        reject.headers.extend(own_fields(limit, remaining, wait_ms));
    }
    reject
}

/// The fields that tell a limit for which OpenAI has none.
fn own_fields(limit: Limit, remaining: u64, wait_ms: u64) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let unit = limit.unit;
    let told = [("limit", unit.told(limit.max)), ("remaining", unit.told(remaining)), ("reset", duration(wait_ms))];
    told.into_iter().filter_map(move |(what, value)| {
        let name = format!("x-ratelimit-{what}-{}", unit.field()?);
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    })
}
