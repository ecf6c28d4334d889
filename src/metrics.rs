//! What `/metrics` shows. OpenTelemetry's GenAI names in Prometheus form for what they cover, `tollgate_*` for the rest.
//! Every label value comes from the configuration or from a table of ours: no client can make a new series.

use crate::quick::QuickMap;
use parking_lot::{Mutex, RwLock};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::sync::{Arc, OnceLock};
use tollgate_plugin_api::{Loss, Losses, Metered, UsageSource};

const NAMES: [&str; 2] = ["gen_ai_provider_name", "gen_ai_request_model"];
/// Token counts, from the GenAI semantic conventions: powers of four.
const TOKEN_BUCKETS: [f64; 14] = [
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
    67108864.0,
];
/// Seconds of a whole operation, from the same conventions, and on to the ten minutes that an answer may take.
const OPERATION_BUCKETS: [f64; 17] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36];
/// Seconds to the first token, from the same conventions, and on to the two minutes that one may be waited for.
const FIRST_TOKEN_BUCKETS: [f64; 19] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0];
/// Seconds for one output token, from the same conventions.
const OUTPUT_TOKEN_BUCKETS: [f64; 12] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0];

/// The series of one gateway. Cheap to share: every series is atomic inside.
pub struct Metrics {
    registry: Registry,
    conventional: Conventional,
    tokens: IntCounterVec,
    requests: IntCounterVec,
    rejected: IntCounterVec,
    attempts: IntCounterVec,
    cost_nanos: IntCounterVec,
    price_missing: IntCounterVec,
    usage_source: IntCounterVec,
    overshoot: IntCounterVec,
    reloads: IntCounterVec,
    telemetry_lost: IntCounterVec,
    /// What was found before, by all the labels of an exchange: to find each of its series anew takes longer than all else.
    lines: RwLock<QuickMap<String, Arc<Line>>>,
    /// Answers that were given again, to who came with the same idempotency key.
    pub(crate) replayed: IntCounter,
    /// Exchanges that run now.
    pub in_flight: IntGauge,
    /// Answers read on for a client that left.
    pub drains: IntGauge,
    /// Holds that are neither settled nor void.
    pub holds: IntGauge,
    /// The same of the process that handed over to this one.
    pub inherited_holds: IntGauge,
    /// Records that wait for the journal.
    pub journal_pending_records: IntGauge,
    /// What the journal takes of the disk.
    pub(crate) journal_bytes: IntGauge,
    /// Journal bytes, and records, that are not in the store yet.
    pub applier_lag_bytes: IntGauge,
    pub(crate) applier_lag_records: IntGauge,
    /// 1: what is journaled gets into the store.
    pub(crate) store_healthy: IntGauge,
    /// 1: the journal takes records.
    pub journal_healthy: IntGauge,
    breaker_state: IntGaugeVec,
    /// The upstreams of which it tells.
    breakers_shown: Mutex<Vec<String>>,
}

/// The series that OpenTelemetry's GenAI conventions have.
struct Conventional {
    token_usage: HistogramVec,
    operation_seconds: HistogramVec,
    first_token_seconds: HistogramVec,
    output_token_seconds: HistogramVec,
}

/// The series of exchanges with the same labels, each made when it first counts something.
#[derive(Default)]
struct Line {
    ok: OnceLock<IntCounter>,
    reported: OnceLock<IntCounter>,
    operation_seconds: OnceLock<Histogram>,
    first_token_seconds: OnceLock<Histogram>,
    output_token_seconds: OnceLock<Histogram>,
    cost_nanos: OnceLock<IntCounter>,
    /// As [`CLASSES`]: of all answers, and of one.
    classes: [(OnceLock<IntCounter>, OnceLock<Histogram>); CLASSES.len()],
}

/// A class of tokens.
struct TokenClass {
    name: &'static str,
    /// The GenAI conventions have it.
    in_conventions: bool,
}

const CLASSES: [TokenClass; 5] = [
    TokenClass { name: "input", in_conventions: true },
    TokenClass { name: "cached_input", in_conventions: false },
    TokenClass { name: "cache_write", in_conventions: false },
    TokenClass { name: "output", in_conventions: true },
    TokenClass { name: "reasoning", in_conventions: false },
];

/// One finished exchange, as the metrics see it.
pub struct Observation<'a> {
    /// Provider row.
    pub provider: &'a str,
    /// The model as configured.
    pub model: &'a str,
    /// Upstream name.
    pub upstream: &'a str,
    /// Endpoint name.
    pub endpoint: &'a str,
    /// The ledger's word.
    pub outcome: &'a str,
    /// What was consumed.
    pub metered: &'a Metered,
    /// What it cost.
    pub cost_nanos: i64,
    /// The model had no price.
    pub price_missing: bool,
    /// It cost more than was held.
    pub overshoot: bool,
    /// From the request to the end of the answer.
    pub duration_seconds: f64,
    /// From the request to the first token; streams only.
    pub first_token_seconds: Option<f64>,
}

impl Metrics {
    /// A new set of series in a registry of its own.
    ///
    /// # Errors
    /// Never in practice: names and labels are constants, and a test makes one.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let series = Series { registry: &registry };
        let build = series.gauges("tollgate_build_info", "The running version.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self::in_registry(&series)?;
        // So that the first one is an increase.
        ["ok", "refused"].into_iter().for_each(|result| drop(metrics.reloads.with_label_values(&[result])));
        Ok(metrics)
    }

    fn in_registry(series: &Series<'_>) -> prometheus::Result<Self> {
        let by_class = [NAMES[0], NAMES[1], "gen_ai_token_type"];
        Ok(Self {
            conventional: Conventional::new(series)?,
            tokens: series.counter("tollgate_tokens_total", "Tokens by class.", &by_class)?,
            requests: series.counter(
                "tollgate_requests_total",
                "Requests that were sent towards an upstream, by outcome.",
                &["endpoint", "outcome"],
            )?,
            rejected: series.counter("tollgate_rejected_total", "Requests that the gateway refused.", &["code"])?,
            attempts: series.counter(
                "tollgate_attempts_total",
                "Attempts at an upstream, by how they ended.",
                &["upstream", "result"],
            )?,
            cost_nanos: series.counter(
                "tollgate_cost_nanos_total",
                "Cost in nano-USD.",
                &["upstream", NAMES[0], NAMES[1]],
            )?,
            price_missing: series.counter(
                "tollgate_price_missing_total",
                "Answers of models without a price.",
                &[NAMES[0], NAMES[1]],
            )?,
            usage_source: series.counter("tollgate_usage_source_total", "Where counts came from.", &["source"])?,
            overshoot: series.counter(
                "tollgate_overshoot_total",
                "Answers that cost more than was held.",
                &["upstream"],
            )?,
            reloads: series.counter("tollgate_reloads_total", "Configuration reloads.", &["result"])?,
            telemetry_lost: series.counter(
                "tollgate_telemetry_lost_total",
                "Log lines and spans that found no room in their queue, or were not delivered.",
                &["plugin", "reason"],
            )?,
            replayed: series
                .counter("tollgate_replayed_total", "Answers given again for an idempotency key.", &[])?
                .with_label_values(&[] as &[&str]),
            in_flight: series.gauge("tollgate_requests_in_flight", "Exchanges that run now.")?,
            drains: series.gauge("tollgate_drains_running", "Answers read on for a client that left.")?,
            holds: series.gauge("tollgate_holds_open", "Holds that are neither settled nor void.")?,
            inherited_holds: series.gauge("tollgate_holds_inherited", "Open holds of the process before this one.")?,
            journal_pending_records: series.gauge("tollgate_journal_pending_records", "Records to be journaled.")?,
            journal_bytes: series
                .gauge("tollgate_journal_bytes", "Bytes of the journal on disk, reserved ones too.")?,
            applier_lag_bytes: series.gauge("tollgate_applier_lag_bytes", "Journal bytes not yet in the store.")?,
            applier_lag_records: series.gauge("tollgate_applier_lag_records", "Records not yet in the store.")?,
            store_healthy: series.gauge("tollgate_store_healthy", "1: the store takes what the journal has.")?,
            journal_healthy: series.gauge("tollgate_journal_healthy", "1: the journal takes records.")?,
            breaker_state: series.gauges("tollgate_breaker_state", "0 closed, 1 half open, 2 open.", &["upstream"])?,
            breakers_shown: Mutex::default(),
            lines: RwLock::default(),
            registry: series.registry.clone(),
        })
    }

    /// Counts one finished exchange.
    pub fn observe(&self, seen: &Observation<'_>) {
        let names = [seen.provider, seen.model];
        let line = self.line(seen);
        match seen.outcome {
            "ok" => line.ok.get_or_init(|| self.requests.with_label_values(&[seen.endpoint, "ok"])).inc(),
            other => self.requests.with_label_values(&[seen.endpoint, other]).inc(),
        }
        match seen.metered.source {
            UsageSource::Reported => {
                line.reported
                    .get_or_init(|| self.usage_source.with_label_values(&[UsageSource::Reported.as_str()]))
                    .inc();
            }
            other => self.usage_source.with_label_values(&[other.as_str()]).inc(),
        }
        line.operation_seconds
            .get_or_init(|| {
                self.conventional.operation_seconds.with_label_values(&[seen.provider, seen.model, seen.endpoint])
            })
            .observe(seen.duration_seconds);
        let usage = &seen.metered.usage;
        if let Some(first) = seen.first_token_seconds {
            line.first_token_seconds
                .get_or_init(|| self.conventional.first_token_seconds.with_label_values(&names))
                .observe(first);
            if usage.output_tokens > 1 {
                let each = (seen.duration_seconds - first).max(0.0) / (usage.output_tokens - 1) as f64;
                line.output_token_seconds
                    .get_or_init(|| self.conventional.output_token_seconds.with_label_values(&names))
                    .observe(each);
            }
        }
        let counts = [
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
        ];
        for ((class, tokens), (total, answer)) in CLASSES.iter().zip(counts).zip(&line.classes) {
            if tokens == 0 {
                continue;
            }
            let labels = [seen.provider, seen.model, class.name];
            total.get_or_init(|| self.tokens.with_label_values(&labels)).inc_by(tokens);
            if class.in_conventions {
                answer.get_or_init(|| self.conventional.token_usage.with_label_values(&labels)).observe(tokens as f64);
            }
        }
        let cost = u64::try_from(seen.cost_nanos).unwrap_or(0);
        line.cost_nanos
            .get_or_init(|| self.cost_nanos.with_label_values(&[seen.upstream, seen.provider, seen.model]))
            .inc_by(cost);
        if seen.price_missing {
            self.price_missing.with_label_values(&names).inc();
        }
        if seen.overshoot {
            self.overshoot.with_label_values(&[seen.upstream]).inc();
        }
    }

    fn line(&self, seen: &Observation<'_>) -> Arc<Line> {
        let parts = [seen.provider, seen.model, seen.upstream, seen.endpoint];
        let mut key = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for part in parts {
            key.push_str(part);
            // No name has it.
            key.push('\0');
        }
        if let Some(line) = self.lines.read().get(&key) {
            return line.clone();
        }
        self.lines.write().entry(key).or_default().clone()
    }

    /// Counts one refusal.
    pub fn rejected(&self, code: &str) {
        self.rejected.with_label_values(&[code]).inc();
    }

    /// Counts one attempt at an upstream; `result` is a word of the failure table or `ok`.
    pub fn attempt(&self, upstream: &str, result: &str) {
        self.attempts.with_label_values(&[upstream, result]).inc();
    }

    /// Counts one reload.
    pub fn reload(&self, result: &str) {
        self.reloads.with_label_values(&[result]).inc();
    }

    /// Shows the breakers of these upstreams, and no others: 0 closed, 1 half open, 2 open.
    pub fn breaker_states(&self, states: &[(&str, i64)]) {
        let mut shown = self.breakers_shown.lock();
        for gone in shown.iter().filter(|name| states.iter().all(|(other, _)| other != name)) {
            // It is there: it was put there.
            let _ = self.breaker_state.remove_label_values(&[gone]);
        }
        for (name, state) in states {
            self.breaker_state.with_label_values(&[name]).set(*state);
        }
        *shown = states.iter().map(|(name, _)| (*name).to_owned()).collect();
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Conventional {
    fn new(series: &Series<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            token_usage: series.histogram(
                "gen_ai_client_token_usage",
                "Tokens of one answer.",
                &TOKEN_BUCKETS,
                &[NAMES[0], NAMES[1], "gen_ai_token_type"],
            )?,
            operation_seconds: series.histogram(
                "gen_ai_client_operation_duration_seconds",
                "Seconds from the request to the end of the answer.",
                &OPERATION_BUCKETS,
                &[NAMES[0], NAMES[1], "gen_ai_operation_name"],
            )?,
            first_token_seconds: series.histogram(
                "gen_ai_server_time_to_first_token_seconds",
                "Seconds from the request to the first token of a stream.",
                &FIRST_TOKEN_BUCKETS,
                &NAMES,
            )?,
            output_token_seconds: series.histogram(
                "gen_ai_server_time_per_output_token_seconds",
                "Seconds for each output token after the first.",
                &OUTPUT_TOKEN_BUCKETS,
                &NAMES,
            )?,
        })
    }
}

impl Losses for Metrics {
    fn lost(&self, plugin: &'static str, loss: Loss, count: u64) {
        self.telemetry_lost.with_label_values(&[plugin, loss.as_str()]).inc_by(count);
    }
}

/// Makes series and registers them.
struct Series<'a> {
    registry: &'a Registry,
}

impl Series<'_> {
    fn histogram(&self, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> prometheus::Result<HistogramVec> {
        let series = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let series = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let series = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let series = IntGauge::new(name, help)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }
}

#[cfg(test)]
mod tests {
    use super::{Metrics, Observation};
    use tollgate_plugin_api::{Metered, Usage};

    #[test]
    fn one_exchange_shows_in_every_series_it_concerns() {
        let metrics = Metrics::new().unwrap();
        let usage = Usage { input_tokens: 100, cached_input_tokens: 40, output_tokens: 21, ..Usage::default() };
        metrics.observe(&Observation {
            provider: "openai",
            model: "m",
            upstream: "u",
            endpoint: "chat",
            outcome: "ok",
            metered: &Metered { usage, ..Metered::default() },
            cost_nanos: 15_000_000,
            price_missing: true,
            overshoot: true,
            duration_seconds: 3.0,
            first_token_seconds: Some(1.0),
        });
        metrics.rejected("FORBIDDEN");
        let text = String::from_utf8(metrics.text().unwrap()).unwrap();
        let names = r#"gen_ai_provider_name="openai",gen_ai_request_model="m""#;
        for line in [
            &format!(r#"tollgate_tokens_total{{{names},gen_ai_token_type="cached_input"}} 40"#),
            &format!(r#"tollgate_cost_nanos_total{{{names},upstream="u"}} 15000000"#),
            &format!(r#"gen_ai_server_time_to_first_token_seconds_sum{{{names}}} 1"#),
            &format!(r#"gen_ai_server_time_per_output_token_seconds_sum{{{names}}} 0.1"#),
            &format!(r#"gen_ai_client_token_usage_sum{{{names},gen_ai_token_type="output"}} 21"#),
            &format!(r#"tollgate_price_missing_total{{{names}}} 1"#),
            r#"tollgate_requests_total{endpoint="chat",outcome="ok"} 1"#,
            r#"tollgate_overshoot_total{upstream="u"} 1"#,
            r#"tollgate_rejected_total{code="FORBIDDEN"} 1"#,
        ] {
            assert!(text.contains(line), "{line} not in:\n{text}");
        }
    }
}
