//! The last step of every exchange, however it ends: what is not settled is settled, and plugins are told, once.

use super::content;
use super::end::{CLIENT_CLOSED, Cut, End};
use super::exchange::Exchange;
use super::mask::harmless;
use super::settle;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorSource};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tollgate_plugin_api::{AddressText, Content, Metered, Summary};
use uuid::fmt::Hyphenated;

/// A settlement that somebody else began is waited for this long, to tell plugins what it came to.
const BILL_WAIT_MAX: Duration = Duration::from_secs(5);

/// A request and its connection, until plugins know how it ended: also when a stage panics, or the process ends and the
/// request is dropped in its middle.
pub(super) struct Running<'a> {
    pub(super) session: &'a mut ServerSession,
    pub(super) exchange: Exchange,
    told: bool,
}

impl<'a> Running<'a> {
    pub(super) fn new(session: &'a mut ServerSession, exchange: Exchange) -> Self {
        Self { session, exchange, told: false }
    }

    /// The last step of an exchange that was not cut off.
    pub(super) async fn end(&mut self, error: Option<&Error>) {
        let exchange = &mut self.exchange;
        let answered = exchange.answered().is_some();
        let broken = error.is_some_and(|error| *error.esource() == ErrorSource::Upstream);
        let end = if answered && broken { End::Broken(Cut::BrokeOff) } else { End::Aborted };
        if let Some(gate) = settle::settle(exchange, end) {
            let _ = gate.pass().await;
        }
        let is_billed = exchange.control.settled && exchange.attempts.count > 0;
        if let Some(bill) = exchange.bill.as_ref().filter(|bill| is_billed && bill.get().is_none()) {
            let _ = tokio::time::timeout(BILL_WAIT_MAX, bill.wait()).await;
        }
        self.tell(None);
    }

    /// Tells the plugins. `cut_off`: why the exchange ended before its end.
    fn tell(&mut self, cut_off: Option<&'static str>) {
        self.told = true;
        if !self.exchange.snapshot.plugins.logging.is_empty() {
            tell_plugins(self.session, &self.exchange, cut_off);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.told {
            let end = settle::abandoned(&mut self.exchange);
            self.tell(end.cut_off());
        }
    }
}

fn tell_plugins(session: &ServerSession, exchange: &Exchange, cut_off: Option<&'static str>) {
    let request = session.req_header();
    let mut request_id = [0; Hyphenated::LENGTH];
    let request_id = &*exchange.request_id.as_hyphenated().encode_lower(&mut request_id);
    let client = exchange.client.map(AddressText::of);
    let none = Metered::default();
    let bill = exchange.bill.as_ref().and_then(|bill| bill.get());
    let key = exchange.caller.as_ref().map(|caller| caller.row());
    let asked = exchange.asked.as_ref();
    let attempt = exchange.attempt.as_ref();
    let rejected = exchange.rejected.map(|code| code.row());
    let (method, path) = (harmless(request.method.as_str()), harmless(request.uri.path()));
    let model = asked.map(|asked| harmless(&asked.model)).filter(|model| !model.is_empty());
    // What is settled ended as its record says.
    let cut_off = cut_off.filter(|_| bill.is_none());
    let billed = || bill.and_then(|bill| bill.error_code.as_deref());
    // An interim answer is none: Pingora notes its own `100 Continue` as one.
    let written = session.response_written().map(|head| head.status).filter(|status| !status.is_informational());
    let output = delivered(exchange);
    let content =
        asked.and_then(|asked| asked.input.as_deref()).map(|input| Content { input, output: output.as_deref() });
    let summary = Summary {
        request_id,
        request_number: exchange.request_id.as_u128(),
        key: key.as_ref().map(|key| &***key),
        status: written.map(|status| status.as_u16()).or(bill.map(|bill| bill.status)).unwrap_or(CLIENT_CLOSED),
        metered: bill.map_or(&none, |bill| &bill.metered),
        cost_nanos: bill.map_or(0, |bill| bill.cost_nanos),
        started_at_ms: exchange.started_at_ms,
        duration_ms: exchange.elapsed_ms(),
        ttft_ms: bill.and_then(|bill| bill.ttft_ms),
        client: client.as_ref().map(AddressText::as_str),
        method: &method,
        path: &path,
        dialect: exchange.dialect.as_str(),
        endpoint: asked.map(|asked| asked.endpoint.name),
        conventional_operation: asked.map(|asked| asked.endpoint.conventional_name),
        model: model.as_deref(),
        stream: asked.map(|asked| asked.stream),
        headers: &request.headers,
        provider: attempt.map(|attempt| &*attempt.upstream.provider.name),
        conventional_provider: attempt.map(|attempt| attempt.upstream.provider.conventional_name()),
        upstream: attempt.map(|attempt| &*attempt.upstream.name),
        upstream_model: attempt.map(|attempt| &*attempt.upstream_model),
        attempts: exchange.attempts.count,
        outcome: bill.map(|bill| bill.outcome),
        error_code: cut_off.or(rejected.map(|row| row.code)).or_else(billed),
        rejected_by: rejected.and_then(|row| row.rejected_by),
        content: None,
    };
    let with_content = content.map(|content| Summary { content: Some(content), ..summary });
    for plugin in &exchange.snapshot.plugins.logging {
        // Nobody is told of what was said who does not ask for it.
        let summary = with_content.as_ref().filter(|_| plugin.phases().content).unwrap_or(&summary);
        // One that panics keeps the others from nothing; and here, a panic may be under way already.
        if catch_unwind(AssertUnwindSafe(|| plugin.logging(summary))).is_err() {
            tracing::error!("plugin {} panicked when it was told of request {request_id}", plugin.name());
        }
    }
}

/// What was delivered, for plugins that ask for it.
fn delivered(exchange: &Exchange) -> Option<String> {
    let attempt = exchange.attempt.as_ref().filter(|_| exchange.snapshot.plugins.content)?;
    let text = attempt.answer.as_ref()?.scanner.delivered().sample();
    (!text.is_empty()).then(|| content::output(&text, &attempt.upstream.secret_fragments))
}
