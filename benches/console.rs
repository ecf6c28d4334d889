//! How long lists and charts take with a million rows, and what the sums beside the rows cost when rows are added. `cargo
//! bench --bench console`; `TOLLGATE_BENCH_ROWS` changes the number.

mod rows;

use rows::BATCH;
use std::time::{Duration, Instant};
use tollgate::ledger::{Durability, Outcome};
use tollgate::store::{KeyRef, LedgerFilter, OverviewRange, Store, UsageBy};

const ROWS: usize = 1_000_000;
/// Times that each question is asked; the slowest counts.
const ROUNDS: usize = 7;
/// 2026-11-28T12:34:56Z
const NOW_MS: i64 = 1_795_869_296_000;
/// No list and no chart may take longer.
const LIMIT: Duration = Duration::from_millis(100);

fn main() {
    let rows = std::env::var("TOLLGATE_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS);
    let folder = tempfile::tempdir().expect("a folder");
    let url = tollgate::store::StoreUrl::Sqlite(folder.path().join("t.db"));
    let store = tollgate::store::open(&url, Durability::Process).expect("a store");
    let written = rows::fill(&*store, rows, NOW_MS).expect("it is written");
    let per_row = written.time.as_nanos() as f64 / rows as f64 / 1000.0;
    println!("{rows} rows written: {per_row:.1} us a row, the last batch of {BATCH}: {:.1?}", written.last);
    let bytes = std::fs::metadata(folder.path().join("t.db")).map_or(0, |file| file.len());
    println!("{} MB", bytes >> 20);
    ask(&*store);
    println!("first start with rows from before: {:.1?}", caught_up(folder.path(), &url));
}

fn ask(store: &dyn Store) {
    let any = LedgerFilter::default();
    let text = |text: &str| Some(text.to_owned());
    let page = |filter: LedgerFilter| move || drop(store.ledger_page(&filter, None).expect("a page"));
    let deep = store.ledger_page(&LedgerFilter { until_ms: Some(NOW_MS - 20 * 86_400_000), ..any.clone() }, None);
    let deep = deep.expect("a page").next;
    let sums = |by: UsageBy, filter: LedgerFilter| move || drop(store.usage_sums(by, &filter).expect("sums"));
    let overview = |range, user: Option<&'static str>| move || drop(store.overview(range, user, NOW_MS).expect("one"));
    let mut questions: Vec<(String, Box<dyn Fn() + '_>)> = vec![
        ("page: latest".into(), Box::new(page(any.clone()))),
        ("page: behind a cursor, 20 days back".into(), {
            let any = any.clone();
            Box::new(move || drop(store.ledger_page(&any, deep).expect("a page")))
        }),
        ("page: 1,000 rows".into(), Box::new(page(LedgerFilter { limit: Some(1_000), ..any.clone() }))),
        ("page: key".into(), Box::new(page(LedgerFilter { key: Some(KeyRef::Id(7)), ..any.clone() }))),
        ("page: user".into(), Box::new(page(LedgerFilter { user: text("user-7"), ..any.clone() }))),
        ("page: user and model".into(), {
            Box::new(page(LedgerFilter { user: text("user-7"), model: text("model-3"), ..any.clone() }))
        }),
        ("page: nobody".into(), Box::new(page(LedgerFilter { user: text("nobody"), ..any.clone() }))),
        ("page: model".into(), Box::new(page(LedgerFilter { model: text("model-3"), ..any.clone() }))),
        ("page: rare model".into(), Box::new(page(LedgerFilter { model: text("rare"), ..any.clone() }))),
        ("page: model that is not".into(), Box::new(page(LedgerFilter { model: text("none"), ..any.clone() }))),
        ("page: upstream".into(), Box::new(page(LedgerFilter { upstream: text("upstream-1"), ..any.clone() }))),
        ("page: failed".into(), Box::new(page(LedgerFilter { outcome: Some(Outcome::UpstreamError), ..any.clone() }))),
        ("page: status 404".into(), Box::new(page(LedgerFilter { status: Some(404), ..any.clone() }))),
        (
            "page: key name".into(),
            Box::new(page(LedgerFilter { key: Some(KeyRef::Name("key-9".into())), ..any.clone() })),
        ),
    ];
    for (word, by) in [
        ("key", UsageBy::Key),
        ("user", UsageBy::User),
        ("model", UsageBy::Model),
        ("upstream", UsageBy::Upstream),
        ("day", UsageBy::Day),
    ] {
        questions.push((format!("usage by {word}: all"), Box::new(sums(by, any.clone()))));
        let week = LedgerFilter { since_ms: Some(NOW_MS - 7 * 86_400_000), ..any.clone() };
        questions.push((format!("usage by {word}: 7 days"), Box::new(sums(by, week))));
        let own = LedgerFilter { user: text("user-7"), ..any.clone() };
        questions.push((format!("usage by {word}: one user"), Box::new(sums(by, own))));
    }
    for (word, range) in OverviewRange::ALL {
        questions.push((format!("overview {word}"), Box::new(overview(range, None))));
        questions.push((format!("overview {word}: one user"), Box::new(overview(range, Some("user-7")))));
    }
    let mut slowest = Duration::ZERO;
    for (name, question) in &questions {
        let mut worst = Duration::ZERO;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            question();
            worst = worst.max(started.elapsed());
        }
        slowest = slowest.max(worst);
        let mark = if worst > LIMIT { "  TOO SLOW" } else { "" };
        println!("{name:40} {:8.2} ms{mark}", worst.as_secs_f64() * 1000.0);
    }
    println!("{:40} {:8.2} ms", "the slowest", slowest.as_secs_f64() * 1000.0);
}

/// How long it takes to sum up all rows anew.
fn caught_up(folder: &std::path::Path, url: &tollgate::store::StoreUrl) -> Duration {
    let forget = "DELETE FROM rollup; DELETE FROM rollup_key; UPDATE chain_head SET rolled_up = 0";
    let database = rusqlite::Connection::open(folder.join("t.db")).expect("the database");
    database.execute_batch(forget).expect("nothing is summed up");
    let started = Instant::now();
    tollgate::store::open(url, Durability::Process).expect("it is up to date").is_up_to_date().expect("it is");
    started.elapsed()
}
