use super::{NOW_MS, Place, keys_of};
use crate::ledger::{Durability, LedgerRecord, Outcome};
use crate::store::{Batch, Position, SqliteStore, Store, Writer};
use tollgate_plugin_api::UsageSource;
use uuid::Uuid;

const CONTRACT: &[&str] = &[
    "request_id",
    "started_at",
    "key_id",
    "key_name",
    "user",
    "group",
    "endpoint",
    "dialect",
    "model",
    "upstream",
    "upstream_model",
    "stream",
    "status",
    "outcome",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "usage_source",
    "cost_nanos",
    "price_version",
    "price_missing",
    "attempts",
    "ttft_ms",
    "duration_ms",
    "error_code",
];

const HOUR_MS: i64 = 3_600_000;

fn record(id: u128, key_id: i64, key_name: &str, age_ms: i64) -> LedgerRecord {
    let mut record = LedgerRecord {
        request_id: Uuid::from_u128(id),
        started_at_ms: NOW_MS - age_ms,
        key_id,
        key_name: key_name.into(),
        group: "default".into(),
        endpoint: "chat".into(),
        dialect: "openai".into(),
        model: "gpt-4o".into(),
        upstream: "main".into(),
        upstream_model: "gpt-4o".into(),
        stream: true,
        status: 200,
        cost_nanos: 15_000_000,
        price_version: "v1".into(),
        attempts: 1,
        ttft_ms: Some(12),
        duration_ms: 345,
        ..LedgerRecord::default()
    };
    record.metered.usage.input_tokens = 1000;
    record.metered.usage.output_tokens = 50;
    record.metered.source = UsageSource::Reported;
    record
}

/// A place with two keys and three records.
fn place_with_records() -> Place {
    let place = Place::new();
    place.ok("key create alice");
    place.ok("key create bob");
    let store = SqliteStore::open(&place.path("state/t.db"), Durability::Process).unwrap();
    let writer = Writer { id: Uuid::from_u128(99), journal_dir: "none".into(), position: Position::default() };
    store.writer_open(&writer).unwrap();
    let mut failed = record(3, 2, "bob", 0);
    failed.model = "o\u{1b}[31m3".into();
    failed.outcome = Outcome::UpstreamError;
    failed.error_code = Some("UPSTREAM_UNAVAILABLE".into());
    (failed.status, failed.upstream, failed.cost_nanos, failed.ttft_ms) = (503, "".into(), 0, None);
    failed.metered.source = UsageSource::Estimated;
    failed.price_missing = true;
    let settled = vec![record(1, 1, "alice", 48 * HOUR_MS), record(2, 1, "alice", HOUR_MS), failed];
    store.apply(&Batch { writer_id: writer.id, settled, ..Batch::default() }).unwrap();
    store.writer_close(writer.id).unwrap();
    place
}

#[test]
fn records_have_the_contracts_fields() {
    let place = place_with_records();
    let rows = place.json("log list --json");
    assert_eq!(rows.len(), 3);
    for field in CONTRACT {
        assert!(keys_of(&rows[0]).contains(field), "{field}");
    }
    let alice = &rows[1];
    assert_eq!(alice["started_at"], "2026-01-31T11:00:00.000Z");
    assert_eq!((&alice["key_name"], &alice["status"], &alice["outcome"]), (&"alice".into(), &200.into(), &"ok".into()));
    assert_eq!((&alice["input_tokens"], &alice["usage_source"]), (&1000.into(), &"reported".into()));
    assert_eq!((&alice["cost_nanos"], &alice["ttft_ms"], &alice["user"]), (&15_000_000.into(), &12.into(), &().into()));
    let failed = &rows[0];
    assert_eq!(
        (&failed["upstream"], &failed["ttft_ms"], &failed["price_missing"]),
        (&().into(), &().into(), &true.into())
    );
    assert_eq!(failed["error_code"], "UPSTREAM_UNAVAILABLE");
}

#[test]
fn records_can_be_narrowed_down() {
    let place = place_with_records();
    for (line, count) in [
        ("log list --json --since 2h", 2),
        ("log list --json --since 2026-01-30", 2),
        ("log list --json --since 2026-01-29", 3),
        ("log list --json --since 2026-01-31T11:30:00Z", 1),
        ("log list --json --key alice", 2),
        ("log list --json --key 2", 1),
        ("log list --json --key nobody", 0),
        ("log list --json --model gpt-4o", 2),
        ("log list --json --limit 1", 1),
        ("log list --json --key alice --since 2h", 1),
    ] {
        assert_eq!(place.json(line).len(), count, "{line}");
    }
}

#[test]
fn a_key_is_found_by_its_name_of_now_and_of_then() {
    let place = place_with_records();
    place.ok("key set alice --name anne");
    place.ok("key create alice");
    for (line, count) in [
        ("log list --json --key anne", 2),
        ("log list --json --key alice", 2),
        ("log list --json --key 1", 2),
        ("log list --json --key anne --since 2h --model gpt-4o", 1),
        ("usage --json --key anne", 1),
    ] {
        assert_eq!(place.json(line).len(), count, "{line}");
    }
    place.ok("key delete anne");
    assert_eq!(place.json("log list --json --key alice").len(), 2, "it had the name then");
}

#[test]
fn no_records_are_not_a_number_to_ask_for() {
    let place = place_with_records();
    for limit in ["0", "-1", "x"] {
        place.fails(&format!("log list --limit {limit}"), 2, &["--limit"]);
    }
}

#[test]
fn records_are_shown_to_people() {
    let place = place_with_records();
    let text = place.ok("log list");
    assert!(text.contains("$0.015000000") && text.contains("2026-01-31 11:00:00") && text.contains("~1000"), "{text}");
    assert!(!text.contains('\u{1b}'), "a model's name must not steer the terminal");
    assert!(place.run("log list --key nobody").err.contains("No record matches"));
    let fresh = Place::new();
    fresh.ok("key create a");
    assert!(fresh.run("log list").err.contains("no records yet"));
    assert!(fresh.run("usage").err.contains("nothing to sum up"));
}

#[test]
fn sums_add_up() {
    let place = place_with_records();
    let by_key = place.json("usage --json");
    assert_eq!(
        (&by_key[0]["by"], &by_key[0]["name"], &by_key[0]["key_id"]),
        (&"key".into(), &"alice".into(), &1.into())
    );
    assert_eq!((&by_key[0]["requests"], &by_key[0]["cost_nanos"]), (&2.into(), &30_000_000.into()));
    assert_eq!((&by_key[1]["estimated"], &by_key[1]["price_missing"]), (&1.into(), &1.into()));
    assert_eq!(place.json("usage --by day --json").len(), 2);
    assert_eq!(place.json("usage --by model --since 2h --json").len(), 2);
    assert_eq!(place.json("usage --by upstream --key alice --json").len(), 1);
    let text = place.ok("usage --by upstream");
    assert!(text.contains("total") && text.contains("$0.030000000") && text.contains("(unknown)"), "{text}");
    // Keys of nobody are known well enough.
    let text = place.ok("usage --by user");
    assert!(text.contains("(none)") && !text.contains("(unknown)"), "{text}");
    assert_eq!(place.json("usage --by user --json")[0]["name"], "");
}

#[test]
fn the_ledger_is_verified() {
    let place = place_with_records();
    assert!(place.ok("ledger verify").contains("agree"));
    let report = place.json("ledger verify --json");
    assert_eq!(
        (&report[0]["ok"], &report[0]["rows"], &report[0]["cost_nanos"]),
        (&true.into(), &3.into(), &30_000_000.into())
    );
    place.ok("key list");
    let fresh = Place::new();
    fresh.fails("ledger verify", 1, &["There is no database", "no ledger to verify"]);
}
