//! The log: records by what they are looked for, one by one with where it went and why, and as a file.

use super::access::USER;
use super::extract::{Limit, Name, rows};
use super::query::{Asked, Both, Whole};
use super::refusal::Refusal;
use super::routes::{Route, Verb};
use super::session::Caller;
use super::times::Time;
use super::word::Word;
use super::{Desk, streamed};
use crate::explain::Explained;
use crate::ledger::{LedgerRecord, Outcome};
use crate::shown::RecordJson;
use crate::store::{KeyRef, LedgerFilter, RecordCursor, RecordPage};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Records of an export that are read at once.
const EXPORT_PAGE: u64 = 1_000;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/api/logs", USER, |verb| on(verb, list), "Records, the latest first; a user's own.")
        .asks::<Both<Wanted, LogPart>>()
        .lists::<RecordJson<'static>>(),
    Route::new(
        Verb::Get,
        "/api/logs/export",
        USER,
        |verb| on(verb, export),
        "The same records as a file, as CSV or one JSON object a line: all of them. One that cannot be read to its end breaks off: \
         the transfer is not completed.",
    )
    .asks::<Both<ExportForm, Wanted>>()
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
type OutcomeWord = Word<Outcome>;

/// Which records.
#[derive(Clone, Debug, Deserialize, ToSchema)]
struct Wanted {
    /// That arrived then or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Time>,
    /// That arrived before.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
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
    /// With this status; 0: nothing was answered.
    #[schema(inline)]
    status: Option<Whole<0, 999>>,
}

/// Which part of them.
#[derive(Debug, Deserialize, ToSchema)]
struct LogPart {
    /// The one with this request id.
    #[schema(value_type = Option<String>, format = "uuid")]
    q: Option<RequestId>,
    /// What the page before said comes next.
    #[schema(value_type = Option<String>, pattern = "^-?[0-9]{1,19}_[0-9]{1,19}$")]
    cursor: Option<Cursor>,
    /// Rows at most; 50 if nobody says. A page may have fewer although there is a next one.
    #[schema(inline)]
    limit: Option<Limit>,
}

/// As `x-request-id` says it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct RequestId(Uuid);

impl TryFrom<String> for RequestId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let id = Uuid::parse_str(&text);
        id.map(Self).map_err(|_| "expected a request id, as `x-request-id` says it")
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Cursor(RecordCursor);

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let parts = text.split_once('_').and_then(|(at, sequence)| Some((at.parse().ok()?, sequence.parse().ok()?)));
        let (started_at_ms, sequence) = parts.ok_or("expected the cursor that the previous page gave")?;
        Ok(Self(RecordCursor { started_at_ms, sequence }))
    }
}

/// The form of a file.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    Csv,
    Jsonl,
}

/// How a file has them.
#[derive(Debug, Deserialize, ToSchema)]
struct ExportForm {
    #[schema(inline)]
    format: Format,
}

impl Wanted {
    /// As the store has it; of one's own records alone, for whoever may see no others.
    fn filter(&self, caller: &Caller, limit: u64) -> LedgerFilter {
        LedgerFilter {
            since_ms: self.since.map(|Time(ms)| ms),
            until_ms: self.until.map(|Time(ms)| ms),
            key: self.key.as_deref().map(KeyRef::parse),
            user: caller.owner().or(self.user.as_deref()).map(str::to_owned),
            model: self.model.clone(),
            upstream: self.upstream.clone(),
            outcome: self.outcome.map(|Word(outcome)| outcome),
            status: self.status.and_then(|Whole(status)| status.try_into().ok()),
            limit: Some(limit),
        }
    }

    /// Whether nobody may have this, whoever the records are of: a user asks for another's.
    fn asks_for_others(&self, caller: &Caller) -> bool {
        caller.owner().is_some_and(|owner| self.user.as_deref().is_some_and(|user| user != owner))
    }
}

async fn list(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Asked(Both(wanted, part)): Asked<Both<Wanted, LogPart>>,
) -> Result<Json<Value>, Refusal> {
    if wanted.asks_for_others(&caller) {
        return Ok(listed(&RecordPage::default()));
    }
    if let Some(RequestId(id)) = part.q {
        let found = desk.ask(move |store| store.ledger_find(id)).await?;
        let own = found.filter(|record| is_own(record, &caller));
        return Ok(listed(&RecordPage { records: own.into_iter().collect(), next: None }));
    }
    let filter = wanted.filter(&caller, rows(part.limit).into());
    Ok(listed(&page(&desk, filter, part.cursor.map(|Cursor(after)| after)).await?))
}

fn is_own(record: &LedgerRecord, caller: &Caller) -> bool {
    caller.owner().is_none_or(|owner| record.user.as_deref() == Some(owner))
}

async fn page(desk: &Desk, filter: LedgerFilter, after: Option<RecordCursor>) -> Result<RecordPage, Refusal> {
    desk.ask(move |store| store.ledger_page(&filter, after)).await
}

fn listed(page: &RecordPage) -> Json<Value> {
    let items: Vec<RecordJson<'_>> = page.records.iter().map(RecordJson::of).collect();
    let next = page.next.map(|next| format!("{}_{}", next.started_at_ms, next.sequence));
    Json(json!({ "items": items, "next": next }))
}

async fn show(State(desk): State<Arc<Desk>>, caller: Caller, Name(id): Name) -> Result<Response, Refusal> {
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
    Asked(Both(ExportForm { format }, wanted)): Asked<Both<ExportForm, Wanted>>,
) -> Result<Response, Refusal> {
    let filter = wanted.filter(&caller, EXPORT_PAGE);
    let head = match format {
        Format::Csv => csv_head().map(Bytes::from),
        Format::Jsonl => Ok(Bytes::new()),
    };
    // A page is read when the one before is on its way, so a file may have any number of them. What cannot be read breaks the
    // transfer off: nobody may take a part for the whole.
    let from = (!wanted.asks_for_others(&caller)).then_some(None);
    let rows = stream::unfold(from, move |from| {
        let (desk, filter) = (desk.clone(), filter.clone());
        async move {
            match page(&desk, filter, from?).await {
                Err(_) => Some((Err("the records cannot be read any more".to_owned()), None)),
                Ok(RecordPage { records, next }) => Some((lines(&records, format), next.map(Some))),
            }
        }
    });
    let (content_type, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"tollgate-log.csv\""),
        Format::Jsonl => ("application/x-ndjson", "attachment; filename=\"tollgate-log.jsonl\""),
    };
    let body = streamed(futures::StreamExt::chain(stream::once(async move { head }), rows));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(response)
}

fn lines(records: &[LedgerRecord], format: Format) -> Result<Bytes, String> {
    let mut out = String::new();
    for record in records {
        let fields = fields(record)?;
        match format {
            Format::Jsonl => out.push_str(&Value::Object(fields).to_string()),
            Format::Csv => {
                out.push_str(&fields.values().map(cell).collect::<Vec<_>>().join(","));
                out.push('\r');
            }
        }
        out.push('\n');
    }
    Ok(out.into())
}

fn csv_head() -> Result<String, String> {
    let fields = fields(&LedgerRecord::default())?;
    Ok(fields.keys().map(String::as_str).collect::<Vec<_>>().join(",") + "\r\n")
}

fn fields(record: &LedgerRecord) -> Result<Map<String, Value>, String> {
    match serde_json::to_value(RecordJson::of(record)) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) | Err(_) => Err("a record has no JSON form".to_owned()),
    }
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

    /// Whether a text has the form of `^-?[0-9]{1,N}_[0-9]{1,M}$`.
    fn has_form(pattern: &str, text: &str) -> bool {
        let digits =
            |part: &str| part.trim_start_matches('{').trim_end_matches('}').parse::<usize>().expect("a number");
        let form = pattern.strip_prefix("^-?[0-9]{1,").and_then(|rest| rest.strip_suffix("}$")).expect("the pattern");
        let (most, least) = form.split_once("}_[0-9]{1,").expect("two numbers");
        let (at, sequence) = text.split_once('_').expect("a cursor");
        let fits = |number: &str, most: usize| {
            (1..=most).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        };
        fits(at.strip_prefix('-').unwrap_or(at), digits(most)) && fits(sequence, digits(least))
    }

    #[test]
    fn every_cursor_that_is_given_is_one_by_the_description_and_is_taken() {
        let schema = serde_json::to_value(<LogPart as utoipa::PartialSchema>::schema()).unwrap_or_default();
        let pattern = schema["properties"]["cursor"]["pattern"].as_str().expect("a pattern");
        let sequences = [0, 7, i64::MAX - 1, i64::MAX];
        for started_at_ms in [i64::MIN, -5, 0, 1_769_860_800_000, i64::MAX] {
            // A page that stopped where a stretch of time begins gives the last number there is.
            for next in sequences.map(|sequence| RecordCursor { started_at_ms, sequence }) {
                let Json(told) = listed(&RecordPage { records: Vec::new(), next: Some(next) });
                let text = told["next"].as_str().expect("a cursor").to_owned();
                assert!(has_form(pattern, &text), "{pattern}: {text}");
                assert_eq!(Cursor::try_from(text), Ok(Cursor(next)));
            }
        }
    }

    #[test]
    fn a_cursor_is_read_back() {
        let next = RecordCursor { started_at_ms: -5, sequence: 7 };
        assert_eq!(Cursor::try_from("-5_7".to_owned()), Ok(Cursor(next)));
        for text in ["", "5", "5_", "_5", "x_5", "99999999999999999999_1"] {
            assert!(Cursor::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
