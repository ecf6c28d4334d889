//! What is counted of finished exchanges.

use super::series::Series;
use crate::quick::QuickMap;
use parking_lot::RwLock;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Result};
use std::sync::{Arc, OnceLock};
use tollgate_plugin_api::{Metered, UsageSource};

/// More lines than this are not remembered: a configuration that is made by a program, and reloaded, may have new names each time.
const LINES_MAX: usize = 16_384;
const NAMES: [&str; 2] = ["gen_ai_provider_name", "gen_ai_request_model"];
/// The conventions require it of each of their series.
const OPERATION: &str = "gen_ai_operation_name";
/// … and this one of an operation that ended in an error, so that what fails at once makes no answer look fast.
const ERROR: &str = "error_type";
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

/// See the module.
pub(super) struct Exchanges {
    conventional: Conventional,
    tokens: IntCounterVec,
    requests: IntCounterVec,
    failed: IntCounter,
    cost_nanos: IntCounterVec,
    price_missing: IntCounterVec,
    usage_source: IntCounterVec,
    overshoot: IntCounterVec,
    /// What was found before, by all the labels of an exchange: to find each of its series anew takes longer than all else.
    lines: RwLock<QuickMap<String, Arc<Line>>>,
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
    /// What the conventions call the provider.
    pub provider: &'a str,
    /// The model as configured.
    pub model: &'a str,
    /// Upstream name.
    pub upstream: &'a str,
    /// Endpoint name.
    pub endpoint: &'a str,
    /// What the conventions call the operation.
    pub operation: &'a str,
    /// The ledger's word.
    pub outcome: &'a str,
    /// It failed at its upstream, and not for what was asked.
    pub failed: bool,
    /// What went wrong: the record's code.
    pub error_type: Option<&'a str>,
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

impl Exchanges {
    pub(super) fn new(series: &Series<'_>) -> Result<Self> {
        let by_class = [NAMES[0], NAMES[1], "gen_ai_token_type"];
        Ok(Self {
            conventional: Conventional::new(series)?,
            tokens: series.counter("tollgate_tokens_total", "Tokens by class.", &by_class)?,
            requests: series.counter(
                "tollgate_requests_total",
                "Requests that were sent towards an upstream, by outcome.",
                &["endpoint", "outcome"],
            )?,
            failed: series
                .counter(
                    "tollgate_requests_failed_total",
                    "Requests that failed at their upstreams, except those refused for their own contents.",
                    &[],
                )?
                .with_label_values(&[] as &[&str]),
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
            lines: RwLock::default(),
        })
    }

    /// Counts one finished exchange.
    pub(super) fn observe(&self, seen: &Observation<'_>) {
        let names = [seen.provider, seen.model];
        let line = self.line(seen);
        if seen.failed {
            self.failed.inc();
        }
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
        self.conventional.observe_time(seen, &line);
        let usage = &seen.metered.usage;
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
                let labels = [seen.provider, seen.model, seen.operation, class.name];
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
        let mut lines = self.lines.write();
        if lines.len() >= LINES_MAX {
            // They are found again.
            lines.clear();
        }
        lines.entry(key).or_default().clone()
    }
}

impl Conventional {
    fn new(series: &Series<'_>) -> Result<Self> {
        Ok(Self {
            token_usage: series.histogram(
                "gen_ai_client_token_usage",
                "Tokens of one answer.",
                &TOKEN_BUCKETS,
                &[NAMES[0], NAMES[1], OPERATION, "gen_ai_token_type"],
            )?,
            operation_seconds: series.histogram(
                "gen_ai_client_operation_duration_seconds",
                "Seconds from the request to the end of the answer.",
                &OPERATION_BUCKETS,
                &[NAMES[0], NAMES[1], OPERATION, ERROR],
            )?,
            first_token_seconds: series.histogram(
                "gen_ai_server_time_to_first_token_seconds",
                "Seconds from the request to the first token of a stream.",
                &FIRST_TOKEN_BUCKETS,
                &[NAMES[0], NAMES[1], OPERATION],
            )?,
            output_token_seconds: series.histogram(
                "gen_ai_server_time_per_output_token_seconds",
                "Seconds for each output token after the first.",
                &OUTPUT_TOKEN_BUCKETS,
                &[NAMES[0], NAMES[1], OPERATION],
            )?,
        })
    }

    /// How long it took, and its first token, and each of the others.
    fn observe_time(&self, seen: &Observation<'_>, line: &Line) {
        let labels = [seen.provider, seen.model, seen.operation];
        let operation = |error| self.operation_seconds.with_label_values(&[labels[0], labels[1], labels[2], error]);
        match seen.error_type {
            None => line.operation_seconds.get_or_init(|| operation("")).observe(seen.duration_seconds),
            Some(error) => operation(error).observe(seen.duration_seconds),
        }
        let Some(first) = seen.first_token_seconds else { return };
        let first_token = || self.first_token_seconds.with_label_values(&labels);
        line.first_token_seconds.get_or_init(first_token).observe(first);
        let output_tokens = seen.metered.usage.output_tokens;
        if output_tokens > 1 {
            let each = (seen.duration_seconds - first).max(0.0) / (output_tokens - 1) as f64;
            let output_token = || self.output_token_seconds.with_label_values(&labels);
            line.output_token_seconds.get_or_init(output_token).observe(each);
        }
    }
}
