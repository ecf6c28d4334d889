//! What `/metrics` shows. OpenTelemetry's GenAI names in Prometheus form for what they cover, `tollgate_*` for the rest.
//! Every label value comes from the configuration or from a table of ours: no client can make a new series.

mod exchanges;
mod process;
mod series;

pub use exchanges::Observation;
pub use process::ProcessFigures;

use exchanges::Exchanges;
use parking_lot::Mutex;
use process::ProcessSeries;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};
use series::Series;
use std::sync::OnceLock;
use tollgate_plugin_api::{Loss, Losses, RejectCode};

/// The series of one gateway. Cheap to share: every series is atomic inside.
pub struct Metrics {
    registry: Registry,
    exchanges: Exchanges,
    process: OnceLock<Option<ProcessSeries>>,
    rejected: IntCounterVec,
    attempts: IntCounterVec,
    reloads: IntCounterVec,
    console_passwords: IntCounterVec,
    telemetry_lost: IntCounterVec,
    /// Answers that were given again, to who came with the same idempotency key.
    pub(crate) replayed: IntCounter,
    /// Exchanges that run now.
    pub in_flight: IntGauge,
    /// Answers read on for a client that left.
    pub drains: IntGauge,
    /// What the process may take, and what bodies of requests take of it.
    pub(crate) memory_bytes_max: IntGauge,
    pub(crate) request_bodies_bytes: IntGauge,
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
    models_limited: IntGaugeVec,
    /// The upstreams of which it tells.
    breakers_shown: Mutex<Vec<String>>,
}

/// What the breakers of an upstream let through.
pub struct BreakersShown<'a> {
    /// Its name.
    pub upstream: &'a str,
    /// For the model that is best off: 0 closed, 1 half open, 2 open.
    pub severity: u8,
    /// So many of its models are rate-limited.
    pub models_limited: usize,
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
        RejectCode::rows().iter().for_each(|row| drop(metrics.rejected.with_label_values(&[row.code])));
        for asked_for in ["sign_in", "password_change"] {
            for result in ["right", "wrong", "too_many"] {
                drop(metrics.console_passwords.with_label_values(&[asked_for, result]));
            }
        }
        ["ok", "refused"].into_iter().for_each(|result| drop(metrics.reloads.with_label_values(&[result])));
        Ok(metrics)
    }

    fn in_registry(series: &Series<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            exchanges: Exchanges::new(series)?,
            process: OnceLock::new(),
            rejected: series.counter("tollgate_rejected_total", "Requests that the gateway refused.", &["code"])?,
            attempts: series.counter(
                "tollgate_attempts_total",
                "Attempts at an upstream, by how they ended.",
                &["upstream", "result"],
            )?,
            reloads: series.counter("tollgate_reloads_total", "Configuration reloads.", &["result"])?,
            console_passwords: series.counter(
                "tollgate_console_passwords_total",
                "Passwords given at the console, by purpose and result.",
                &["asked_for", "result"],
            )?,
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
            memory_bytes_max: series.gauge("tollgate_memory_bytes_max", "Memory that the process may take.")?,
            request_bodies_bytes: series.gauge(
                "tollgate_request_bodies_bytes",
                "Bytes of request bodies above 16 KiB, present or announced.",
            )?,
            holds: series.gauge("tollgate_holds_open", "Holds that are neither settled nor void.")?,
            inherited_holds: series.gauge("tollgate_holds_inherited", "Open holds of the previous process.")?,
            journal_pending_records: series.gauge("tollgate_journal_pending_records", "Records to be journaled.")?,
            journal_bytes: series
                .gauge("tollgate_journal_bytes", "Bytes of the journal on disk, reserved ones too.")?,
            applier_lag_bytes: series.gauge("tollgate_applier_lag_bytes", "Journal bytes not yet in the store.")?,
            applier_lag_records: series.gauge("tollgate_applier_lag_records", "Records not yet in the store.")?,
            store_healthy: series.gauge("tollgate_store_healthy", "1: the store takes what the journal has.")?,
            journal_healthy: series.gauge("tollgate_journal_healthy", "1: the journal takes records.")?,
            breaker_state: series.gauges(
                "tollgate_breaker_state",
                "0 closed, 1 half open, 2 open: to all of its models.",
                &["upstream"],
            )?,
            models_limited: series.gauges(
                "tollgate_models_limited",
                "Models of the upstream that are not tried because they are rate-limited there.",
                &["upstream"],
            )?,
            breakers_shown: Mutex::default(),
            registry: series.registry.clone(),
        })
    }

    /// Counts one finished exchange.
    pub fn observe(&self, seen: &Observation<'_>) {
        self.exchanges.observe(seen);
    }

    /// Shows what the process takes of the machine.
    pub fn process(&self, figures: &ProcessFigures) {
        let series = self.process.get_or_init(|| ProcessSeries::new(&Series { registry: &self.registry }).ok());
        if let Some(series) = series {
            series.show(figures);
        }
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

    /// Counts one password that was given at the console.
    pub fn console_password(&self, asked_for: &str, result: &str) {
        self.console_passwords.with_label_values(&[asked_for, result]).inc();
    }

    /// Shows the breakers of these upstreams, and no others.
    pub fn breaker_states(&self, states: &[BreakersShown<'_>]) {
        let mut shown = self.breakers_shown.lock();
        for gone in shown.iter().filter(|name| states.iter().all(|other| other.upstream != **name)) {
            for gauges in [&self.breaker_state, &self.models_limited] {
                // It is there: it was put there.
                let _ = gauges.remove_label_values(&[gone]);
            }
        }
        for BreakersShown { upstream, severity, models_limited } in states {
            self.breaker_state.with_label_values(&[upstream]).set((*severity).into());
            self.models_limited.with_label_values(&[upstream]).set(i64::try_from(*models_limited).unwrap_or(i64::MAX));
        }
        *shown = states.iter().map(|one| one.upstream.to_owned()).collect();
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut families = self.registry.gather();
        for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
            // To Prometheus a label without a value is none.
            let mut labels = metric.take_label();
            labels.retain(|label| !label.value().is_empty());
            metric.set_label(labels);
        }
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }
}

impl Losses for Metrics {
    fn lost(&self, plugin: &'static str, loss: Loss, count: u64) {
        self.telemetry_lost.with_label_values(&[plugin, loss.as_str()]).inc_by(count);
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
            endpoint: "messages",
            operation: "chat",
            outcome: "ok",
            failed: false,
            error_type: None,
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
        let conventional = format!(r#"gen_ai_operation_name="chat",{names}"#);
        for line in [
            &format!(r#"tollgate_tokens_total{{{names},gen_ai_token_type="cached_input"}} 40"#),
            &format!(r#"tollgate_cost_nanos_total{{{names},upstream="u"}} 15000000"#),
            &format!(r#"gen_ai_server_time_to_first_token_seconds_sum{{{conventional}}} 1"#),
            &format!(r#"gen_ai_server_time_per_output_token_seconds_sum{{{conventional}}} 0.1"#),
            &format!(r#"gen_ai_client_operation_duration_seconds_sum{{{conventional}}} 3"#),
            &format!(r#"gen_ai_client_token_usage_sum{{{conventional},gen_ai_token_type="output"}} 21"#),
            &format!(r#"tollgate_price_missing_total{{{names}}} 1"#),
            r#"tollgate_requests_total{endpoint="messages",outcome="ok"} 1"#,
            "tollgate_requests_failed_total 0",
            r#"tollgate_overshoot_total{upstream="u"} 1"#,
            r#"tollgate_rejected_total{code="FORBIDDEN"} 1"#,
        ] {
            assert!(text.contains(line), "{line} not in:\n{text}");
        }
    }
}
