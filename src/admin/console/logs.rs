//! The log: records by what they are looked for, one by one with where it went and why, and as a file.

use super::access::USER;
use super::extract::{Asked, limit};
use super::refusal::Refusal;
use super::routes::{Route, Verb};
use super::session::Caller;
use super::{Desk, streamed, times};
use crate::explain::Explained;
use crate::ledger::{LedgerRecord, Outcome};
use crate::shown::RecordJson;
use crate::store::{KeyRef, LedgerFilter, RecordCursor, RecordPage};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Records that one file holds at most.
const EXPORT_ROWS_MAX: usize = 5_000_000;
/// Records of an export that are read at once.
const EXPORT_PAGE: u64 = 1_000;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/api/logs", USER, |verb| on(verb, list), "Records, the latest first; a user's own.")
        .asks::<LogQuery>()
        .lists::<RecordJson<'static>>(),
    Route::new(
        Verb::Get,
        "/api/logs/export",
        USER,
        |verb| on(verb, export),
        "The same records as a file, as CSV or one JSON object a line.",
    )
    .asks::<ExportQuery>()
    .gives_raw(&["text/csv", "application/x-ndjson"]),
    Route::new(
        Verb::Get,
        "/api/logs/{request_id}",
        USER,
        |verb| on(verb, show),
        "A record, where the request went and why, and the arithmetic of its price.",
    )
    .gives::<Explained<'static>>(),
];

/// How a request may have ended.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OutcomeWord {
    Ok,
    ClientAborted,
    UpstreamError,
    Interrupted,
}

impl OutcomeWord {
    fn outcome(self) -> Outcome {
        match self {
            Self::Ok => Outcome::Ok,
            Self::ClientAborted => Outcome::ClientAborted,
            Self::UpstreamError => Outcome::UpstreamError,
            Self::Interrupted => Outcome::Interrupted,
        }
    }
}

/// Which records.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// That arrived then or later.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// That arrived before.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Of this key: its id or its name.
    key: Option<String>,
    /// Of this user.
    user: Option<String>,
    /// For this model, as the client named it.
    model: Option<String>,
    /// That went to this upstream.
    upstream: Option<String>,
    #[schema(inline)]
    outcome: Option<OutcomeWord>,
    /// With this status.
    status: Option<u16>,
    /// With this request id.
    #[schema(format = "uuid")]
    q: Option<String>,
    /// What the page before said comes next.
    #[schema(pattern = "^-?[0-9]{1,18}_[0-9]{1,18}$")]
    cursor: Option<String>,
    /// Rows at most: 1 to 1000, 50 if nobody says. A page may have fewer although there is a next one.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The form of a file.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    Csv,
    Jsonl,
}

/// Which records, and how.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    #[schema(inline)]
    format: Format,
    /// That arrived then or later.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// That arrived before.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Of this key: its id or its name.
    key: Option<String>,
    /// Of this user.
    user: Option<String>,
    /// For this model, as the client named it.
    model: Option<String>,
    /// That went to this upstream.
    upstream: Option<String>,
    #[schema(inline)]
    outcome: Option<OutcomeWord>,
    /// With this status.
    status: Option<u16>,
}

impl ExportQuery {
    fn query(self) -> LogQuery {
        let Self { format: _, since, until, key, user, model, upstream, outcome, status } = self;
        LogQuery { since, until, key, user, model, upstream, outcome, status, ..LogQuery::default() }
    }
}

impl LogQuery {
    /// As the store has it; of one's own records alone, for whoever may see no others.
    fn filter(&self, caller: &Caller) -> Result<LedgerFilter, Refusal> {
        let time =
            |field: &str, text: &Option<String>| text.as_deref().map(|text| times::parse(field, text)).transpose();
        Ok(LedgerFilter {
            since_ms: time("since", &self.since)?,
            until_ms: time("until", &self.until)?,
            key: self.key.as_deref().map(KeyRef::parse),
            user: self.user.clone(),
            model: self.model.clone(),
            upstream: self.upstream.clone(),
            outcome: self.outcome.map(OutcomeWord::outcome),
            status: self.status,
            limit: Some(limit(self.limit)?.into()),
        })
        .map(|filter| match caller.owner() {
            Some(owner) => LedgerFilter { user: Some(owner.to_owned()), ..filter },
            None => filter,
        })
    }
}

/// Whether nobody may have this, whoever the records are of: a user asks for another's.
fn asks_for_others(query: &LogQuery, caller: &Caller) -> bool {
    caller.owner().is_some_and(|owner| query.user.as_deref().is_some_and(|user| user != owner))
}

async fn list(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Asked(query): Asked<LogQuery>,
) -> Result<Json<Value>, Refusal> {
    let after = query.cursor.as_deref().map(cursor).transpose()?;
    let filter = query.filter(&caller)?;
    if asks_for_others(&query, &caller) {
        return Ok(listed(&RecordPage::default()));
    }
    if let Some(text) = &query.q {
        let expected = || Refusal::field("q", "expected a request id, as `x-request-id` says it");
        let id = Uuid::parse_str(text).map_err(|_| expected())?;
        let found = desk.ask(move |store| store.ledger_find(id)).await?;
        let own = found.filter(|record| is_own(record, &caller));
        return Ok(listed(&RecordPage { records: own.into_iter().collect(), next: None }));
    }
    Ok(listed(&page(&desk, filter, after).await?))
}

fn is_own(record: &LedgerRecord, caller: &Caller) -> bool {
    caller.owner().is_none_or(|owner| record.user.as_deref() == Some(owner))
}

/// A page; a key that is named is looked for by its id.
async fn page(desk: &Desk, filter: LedgerFilter, after: Option<RecordCursor>) -> Result<RecordPage, Refusal> {
    let ask = move |store: &dyn crate::store::Store| {
        let mut filter = filter;
        if let Some(name @ KeyRef::Name(_)) = &filter.key
            && let Some(found) = store.key_find(name)?
        {
            filter.key = Some(KeyRef::Id(found.key.id));
        }
        store.ledger_page(&filter, after)
    };
    desk.ask(ask).await
}

fn listed(page: &RecordPage) -> Json<Value> {
    let items: Vec<RecordJson<'_>> = page.records.iter().map(RecordJson::of).collect();
    let next = page.next.map(|next| format!("{}_{}", next.started_at_ms, next.sequence));
    Json(json!({ "items": items, "next": next }))
}

fn cursor(text: &str) -> Result<RecordCursor, Refusal> {
    let parts = text.split_once('_').and_then(|(at, sequence)| Some((at.parse().ok()?, sequence.parse().ok()?)));
    let (started_at_ms, sequence) =
        parts.ok_or_else(|| Refusal::field("cursor", "expected what the page before said comes next"))?;
    Ok(RecordCursor { started_at_ms, sequence })
}

async fn show(State(desk): State<Arc<Desk>>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refusal> {
    let id = Uuid::parse_str(&id).map_err(|_| Refusal::not_found())?;
    let ask = move |store: &dyn crate::store::Store| Ok((store.ledger_find(id)?, store.trail(id)?));
    let (record, trail) = desk.ask(ask).await?;
    let record = record.filter(|record| is_own(record, &caller)).ok_or_else(Refusal::not_found)?;
    let snapshot = desk.shared.snapshot.load_full();
    let explained = Explained::of(&record, trail.as_deref(), &snapshot.config, &snapshot.prices);
    Ok(Json(explained).into_response())
}

async fn export(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Asked(query): Asked<ExportQuery>,
) -> Result<Response, Refusal> {
    let format = query.format;
    let query = query.query();
    let filter = LedgerFilter { limit: Some(EXPORT_PAGE), ..query.filter(&caller)? };
    let head = match format {
        Format::Csv => Bytes::from(csv_head()),
        Format::Jsonl => Bytes::new(),
    };
    let from = (!asks_for_others(&query, &caller)).then_some((None, 0));
    let rows = stream::unfold(from, move |from| {
        let (desk, filter) = (desk.clone(), filter.clone());
        async move {
            let (after, count) = from?;
            match page(&desk, filter, after).await {
                Err(_) => Some((Err("the records cannot be read any more".to_owned()), None)),
                Ok(RecordPage { records, next }) => {
                    let count = count + records.len();
                    let next = next.filter(|_| count < EXPORT_ROWS_MAX).map(|next| (Some(next), count));
                    Some((Ok(lines(&records, format)), next))
                }
            }
        }
    });
    let (content_type, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"tollgate-log.csv\""),
        Format::Jsonl => ("application/x-ndjson", "attachment; filename=\"tollgate-log.jsonl\""),
    };
    let body = streamed(futures::StreamExt::chain(stream::once(async move { Ok(head) }), rows));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(response)
}

fn lines(records: &[LedgerRecord], format: Format) -> Bytes {
    let mut out = String::new();
    for record in records {
        let value = serde_json::to_value(RecordJson::of(record)).unwrap_or_default();
        match format {
            Format::Jsonl => out.push_str(&value.to_string()),
            Format::Csv => {
                let cells = value.as_object().into_iter().flat_map(|fields| fields.values());
                out.push_str(&cells.map(cell).collect::<Vec<_>>().join(","));
                out.push('\r');
            }
        }
        out.push('\n');
    }
    out.into()
}

fn csv_head() -> String {
    let record = LedgerRecord::default();
    let value = serde_json::to_value(RecordJson::of(&record)).unwrap_or_default();
    let names = value.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str));
    names.collect::<Vec<_>>().join(",") + "\r\n"
}

/// A cell. One that a spreadsheet would take for a formula begins with an apostrophe.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => return number.to_string(),
        other => other.to_string(),
    };
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let text = if is_formula { format!("'{text}") } else { text };
    match text.contains([',', '"', '\r', '\n', ';']) || is_formula {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::refusal::Code;
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_two_cells() {
        for (text, written) in [
            ("gpt-4o", "gpt-4o"),
            ("=HYPERLINK(1)", "\"'=HYPERLINK(1)\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\r\n=1", "\"a\r\n=1\""),
        ] {
            assert_eq!(cell(&Value::from(text)), written);
        }
        assert_eq!(cell(&Value::Null), "");
        assert_eq!(cell(&json!(-5)), "-5");
        assert_eq!(cell(&json!([])), "[]");
    }

    #[test]
    fn a_cursor_is_read_back() {
        let next = RecordCursor { started_at_ms: -5, sequence: 7 };
        assert_eq!(cursor("-5_7").ok(), Some(next));
        for text in ["", "5", "5_", "_5", "x_5", "99999999999999999999_1"] {
            assert_eq!(cursor(text).err().map(|refusal| refusal.code()), Some(Code::Invalid));
        }
    }
}
