//! Compares what the clients have seen with the ledger.

use crate::clients::Seen;
use crate::plan::{Fault, INPUT_NANOS, OUTPUT_NANOS};
use crate::provider::{Provider, Sent};
use crate::support::gateway::Gateway;
use crate::support::until;
use crate::tally::Tally;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A checkpoint: so much text may pass before the journal has it.
const CHECKPOINT_BYTES: u64 = 1_024;
/// Waits until nothing runs any more and everything is in the store.
pub(crate) async fn quiet(gateway: &Gateway) {
    let started = std::time::Instant::now();
    // It listens there a moment after it answers elsewhere.
    while tokio::net::TcpStream::connect(gateway.metrics_address).await.is_err() {
        assert!(started.elapsed() < crate::support::PATIENCE, "no metrics page");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    loop {
        let page = gateway.metrics().await;
        let value = |name: &str| {
            let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
            line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")
        };
        let names = [
            "tollgate_holds_open ",
            "tollgate_holds_inherited ",
            "tollgate_requests_in_flight ",
            "tollgate_drains_running ",
            "tollgate_journal_pending_records ",
            "tollgate_applier_lag_bytes ",
        ];
        let open: Vec<_> =
            names.into_iter().map(|name| (name, value(name))).filter(|(_, count)| *count != 0.0).collect();
        if open.is_empty() {
            return;
        }
        assert!(started.elapsed() < crate::support::PATIENCE, "still open: {open:?}\n{}", gateway.said());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn number(record: &Value, field: &str) -> u64 {
    record[field].as_u64().unwrap_or_else(|| panic!("{field} in {record}"))
}

/// Everything that must hold between what was seen and what was written, when nothing runs.
pub(crate) fn join(gateway: &Gateway, seen: &[Seen], providers: &[&Provider]) -> Tally {
    let mut tally = Tally::default();
    let records = gateway.records();
    let mut by_id: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in &records {
        by_id.entry(record["request_id"].as_str().expect("an id")).or_default().push(record);
    }
    for (id, all) in &by_id {
        tally.duplicate += u64::from(all.len() > 1);
        tally.check(all.len() == 1, || format!("{id}: {} records", all.len()));
    }
    let mut known = BTreeSet::new();
    for seen in seen {
        count(&mut tally, seen);
        let Some(id) = &seen.id else { continue };
        let is_new = known.insert(id.as_str());
        tally.check(is_new, || format!("{id} was given to two requests"));
        let record = by_id.get(id.as_str()).and_then(|all| all.first().copied());
        let sent = providers.iter().map(|provider| provider.sent(seen.plan.number)).fold(Sent::default(), Sent::and);
        compare(&mut tally, seen, record, sent);
    }
    // A request that died before its head came may have a record; nobody else may.
    let unseen = by_id.keys().filter(|id| !known.contains(*id)).count();
    let headless = seen.iter().filter(|seen| seen.id.is_none()).count();
    tally.check(unseen <= headless, || {
        format!("{unseen} records of requests that nobody sent ({headless} got no head)")
    });
    tally.interrupted = records.iter().filter(|record| record["outcome"] == "interrupted").count() as u64;
    balances(&mut tally, gateway, &records);
    tally
}

fn count(tally: &mut Tally, seen: &Seen) {
    tally.requests += 1;
    tally.answered += u64::from(seen.id.is_some());
    tally.whole += u64::from(seen.whole);
    tally.left += u64::from(seen.left);
    tally.refused += u64::from(seen.refused.is_some());
}

/// The keys' balances are what their records say.
fn balances(tally: &mut Tally, gateway: &Gateway, records: &[Value]) {
    let mut spent: BTreeMap<i64, u64> = BTreeMap::new();
    for record in records {
        *spent.entry(record["key_id"].as_i64().expect("an id")).or_default() += number(record, "cost_nanos");
    }
    for row in gateway.run_json(&["key", "list", "--json"]) {
        let sum = spent.get(&row["id"].as_i64().expect("an id")).copied().unwrap_or_default();
        tally.check(row["held_nanos"] == 0, || format!("held when nothing runs: {row}"));
        tally.check(row["spent_nanos"] == sum, || format!("the records cost {sum}: {row}"));
        let quota = row["quota_nanos"].as_u64();
        tally.check(quota.is_none_or(|quota| sum <= quota), || format!("overspent: {row}"));
    }
}

/// One request.
fn compare(tally: &mut Tally, seen: &Seen, record: Option<&Value>, sent: Sent) {
    let context = |record: &Value| format!("{seen:?}\n  {sent:?}\n  {record}");
    match seen.refused.as_deref() {
        Some("QUOTA_INSUFFICIENT") => {
            let none = Value::Null;
            let record = record.unwrap_or(&none);
            tally.check(record.is_null() && sent.attempts == 0, || format!("refused, and sent: {}", context(record)));
            return;
        }
        // Of these some were tried before, and some were not.
        Some("UPSTREAM_UNAVAILABLE" | "UPSTREAM_TIMEOUT" | "BILLING_UNAVAILABLE") if record.is_none() => return,
        Some("UPSTREAM_UNAVAILABLE" | "UPSTREAM_TIMEOUT" | "BILLING_UNAVAILABLE") => {}
        Some(other) => tally.problem(format!("refused: {other}: {seen:?}")),
        None => tally.check(seen.forwarded, || format!("answered by nobody: {seen:?}")),
    }
    let Some(record) = record else {
        tally.missing += 1;
        tally.problem(format!("no record: {seen:?}, {sent:?}"));
        return;
    };
    let problems = Bill { seen, sent, record }.problems(tally);
    for problem in problems {
        tally.problem(format!("{problem}: {}", context(record)));
    }
}

/// The least time that gateways of these tests wait for an answer to go on ([`setup`](crate::leaks::setup)). A machine that is busy keeps
/// an upstream from sending for that long.
const PATIENCE_MIN: Duration = Duration::from_millis(300);

/// One request's record beside what its client and its provider have seen.
struct Bill<'a> {
    seen: &'a Seen,
    sent: Sent,
    record: &'a Value,
}

impl Bill<'_> {
    fn number(&self, field: &str) -> u64 {
        number(self.record, field)
    }

    fn problems(&self, tally: &mut Tally) -> Vec<&'static str> {
        let (seen, record) = (self.seen, self.record);
        let mut problems = self.common();
        let mut check = |holds: bool, what: &'static str| {
            if !holds {
                problems.push(what);
            }
        };
        match record["outcome"].as_str().unwrap_or_default() {
            "ok" => check(self.is_exact() && record["status"] == 200, "whole, and not billed as reported"),
            // A web page is no answer, however whole it is.
            "upstream_error" if seen.plan.fault == Fault::Page => {}
            _ if seen.whole => check(false, "the client has it all, and the record says something else"),
            "client_aborted" => {
                check(seen.left, "the client had not left");
                // Gemini counts as it goes: what it reported so far is a report.
                let partly = seen.plan.wire.is_gemini() && seen.plan.stream;
                let reported = record["usage_source"] == "reported";
                check(!reported || partly || self.is_exact(), "reported, and billed otherwise");
                check(self.number("output_tokens") > 0 || seen.tokens == 0, "text was delivered for nothing");
            }
            // The answer came, and could not be given.
            "upstream_error" if record["error_code"] == "BILLING_UNAVAILABLE" => {
                check(self.number("cost_nanos") == 0 && seen.status != 200, "billed, and not given");
            }
            "upstream_error" if seen.plan.fault == Fault::None => {
                check(self.sent.silence >= PATIENCE_MIN, "the upstream did not fail");
            }
            "upstream_error" => {
                let costs = self.number("cost_nanos") > 0;
                check(!costs || seen.status == 200, "an error was billed");
                check(costs || seen.tokens == 0, "text was delivered for nothing");
            }
            "interrupted" => {
                check(seen.plan.stream, "a document's head went out before it was settled");
                self.interrupted(tally, &mut check);
            }
            _ => check(false, "an outcome that there is not"),
        }
        problems
    }

    fn is_exact(&self) -> bool {
        let plan = &self.seen.plan;
        self.record["usage_source"] == "reported"
            && self.number("input_tokens") == plan.input
            && self.number("output_tokens") == plan.tokens
            && self.number("cost_nanos") == plan.cost_nanos()
    }

    /// What holds for every record, however the request ended.
    fn common(&self) -> Vec<&'static str> {
        let (seen, plan, record) = (self.seen, &self.seen.plan, self.record);
        let (input, output, cost) =
            (self.number("input_tokens"), self.number("output_tokens"), self.number("cost_nanos"));
        let limited = record["key_name"] != "free";
        // It died before its first checkpoint: nothing is known but that it was.
        let is_unknown = record["outcome"] == "interrupted" && record["status"] == 0 && cost == 0;
        let text_bytes = self.sent.tokens * plan.token_bytes;
        let checks = [
            (cost == input * INPUT_NANOS + output * OUTPUT_NANOS, "the cost is not that of the counts"),
            (!limited || cost <= self.number("held_nanos"), "it cost more than was held"),
            (record["overshoot"] == false, "an overshoot of a provider that keeps to the limits"),
            (output <= plan.tokens_max(), "more billed than the request allowed"),
            // One more than nothing: Anthropic's first event counts a token before there is one.
            (output <= text_bytes.max(self.sent.tokens).max(1), "more billed than the provider sent"),
            (input <= plan.prompt_text_bytes() + 500, "more prompt billed than there was"),
            (record["stream"] == plan.stream, "stream"),
            (record["model"] == "m" && record["price_missing"] == false, "model and price"),
            (record["status"] == seen.status || seen.left || is_unknown, "another status than the client's"),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what).collect()
    }

    /// Billed within one checkpoint of what was delivered: as much text as there is between two, or a second. A token is a word.
    fn interrupted(&self, tally: &mut Tally, check: &mut impl FnMut(bool, &'static str)) {
        let plan = &self.seen.plan;
        let (input, output) = (self.number("input_tokens"), self.number("output_tokens"));
        check(output <= self.sent.tokens.max(1), "more billed than was sent");
        let reports_early = plan.wire.is_gemini() || plan.wire == crate::wire::Wire::Messages;
        if output > 0 && reports_early {
            check(input == plan.input, "the prompt was reported with the first piece, and billed otherwise");
        } else if output > 0 {
            check(input >= plan.prompt_bytes as u64 / 5, "the prompt was not billed by its words");
        }
        if self.seen.tokens == 0 {
            return;
        }
        tally.interrupted_with_text += 1;
        tally.interrupted_for_nothing += u64::from(output == 0);
        let token_bytes = plan.token_bytes;
        // An estimate ends where the request's limit is.
        let is_full = output >= plan.tokens_max();
        let delivered = if is_full { 0 } else { self.seen.tokens * plan.token_bytes };
        let unbilled = delivered.saturating_sub(output * token_bytes);
        let within_tokens = unbilled <= CHECKPOINT_BYTES + plan.piece_bytes();
        let within_second = self.seen.tokens_second_before * plan.token_bytes <= output * token_bytes || is_full;
        check(within_tokens || within_second, "more than one checkpoint was delivered for nothing");
        tally.unbilled_bytes_max = tally.unbilled_bytes_max.max(unbilled);
        if delivered > CHECKPOINT_BYTES + plan.piece_bytes() && self.seen.tokens_second_before > 0 {
            tally.bills_compared += 1;
            tally.bills_within_tokens += u64::from(within_tokens);
        }
    }
}

/// Waits until the store has a record of everything that was forwarded.
pub(crate) async fn arrived(gateway: &Gateway, seen: &[Seen]) {
    until("the records", || {
        let records = gateway.records();
        let ids: BTreeSet<_> = records.iter().filter_map(|record| record["request_id"].as_str()).collect();
        seen.iter()
            .filter(|seen| seen.forwarded)
            .all(|seen| seen.id.as_deref().is_some_and(|id| ids.contains(id)))
            .then_some(())
    })
    .await;
}
