//! A ledger as a company's is after a month: many keys, users, models and upstreams, in order of time.

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use std::time::{Duration, Instant};
use tollgate::ledger::{LedgerRecord, Outcome};
use tollgate::store::{Batch, Store};
use uuid::Uuid;

const KEYS: i64 = 1_000;
const USERS: i64 = 200;
const MODELS: u32 = 12;
const UPSTREAMS: u32 = 5;
const DAYS: i64 = 30;
/// Rows of one batch, as the applier has them under load.
pub(crate) const BATCH: usize = 1_000;

/// What writing the rows took.
pub(crate) struct Written {
    /// In all.
    pub(crate) time: Duration,
    /// The last whole batch.
    pub(crate) last: Duration,
}

/// Adds so many rows, the last of which is of `now_ms`.
pub(crate) fn fill(store: &dyn Store, rows: usize, now_ms: i64) -> Result<Written, tollgate::store::StoreError> {
    let mut random = SmallRng::seed_from_u64(7);
    let mut written = Written { time: Duration::ZERO, last: Duration::ZERO };
    for from in (0..rows).step_by(BATCH) {
        let settled = (from..rows.min(from + BATCH)).map(|at| record(&mut random, at, rows, now_ms)).collect();
        let batch = Batch { settled, ..Batch::default() };
        let started = Instant::now();
        store.apply(&batch)?;
        written.last = started.elapsed();
        written.time += written.last;
    }
    Ok(written)
}

fn record(random: &mut SmallRng, at: usize, rows: usize, now_ms: i64) -> LedgerRecord {
    let span_ms = DAYS * 24 * 3_600_000;
    let started_at_ms = now_ms - span_ms + (span_ms as i128 * at as i128 / rows as i128) as i64;
    let key_id = random.random_range(1..=KEYS);
    let mut record = LedgerRecord {
        request_id: Uuid::from_u128(random.random()),
        started_at_ms,
        key_id,
        key_name: format!("key-{key_id}").into(),
        user: Some(format!("user-{}", key_id % USERS).into()),
        group: "default".into(),
        endpoint: "chat".into(),
        dialect: "openai".into(),
        model: format!("model-{}", random.random_range(0..MODELS)).into(),
        upstream: format!("upstream-{}", random.random_range(0..UPSTREAMS)).into(),
        upstream_model: "gpt-4o-2024-08-06".into(),
        price_version: "0123456789abcdef".into(),
        stream: true,
        status: 200,
        cost_nanos: random.random_range(0..10_000_000),
        attempts: 1,
        ttft_ms: Some(random.random_range(100..2_000)),
        duration_ms: random.random_range(500..20_000),
        ..LedgerRecord::default()
    };
    record.metered.usage.input_tokens = random.random_range(10..10_000);
    record.metered.usage.output_tokens = random.random_range(10..2_000);
    if at.is_multiple_of(100) {
        (record.outcome, record.status) = (Outcome::UpstreamError, 503);
    }
    if at.is_multiple_of((rows / 3).max(1)) {
        record.model = "rare".into();
    }
    record
}
