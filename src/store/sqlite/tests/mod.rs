//! The SQLite store on real files.

mod damage;
mod keys;
mod ledger;
mod open;
mod pages;
mod sums;

use super::*;
use crate::ledger::Outcome;
use crate::store::by_test::ByTest;
use crate::store::{KeyChange, NewKey, Position};
use proptest::prelude::*;
use tempfile::TempDir;
use tollgate_plugin_api::{ExtraUsage, Metered, ServiceTier, Usage, UsageDetail, UsageSource};

/// A store in a folder of its own.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("t.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path(), Durability::Process).unwrap()
    }

    fn open_error(&self) -> StoreError {
        SqliteStore::open(&self.path(), Durability::Process).err().unwrap()
    }
}

fn new_key(name: &str) -> NewKey {
    NewKey { name: name.into(), group: "default".into(), ..NewKey::default() }
}

fn record(id: u128, key_id: i64, cost_nanos: i64) -> LedgerRecord {
    LedgerRecord {
        request_id: Uuid::from_u128(id),
        key_id,
        key_name: "k".into(),
        cost_nanos,
        ..LedgerRecord::default()
    }
}

fn settled(records: impl IntoIterator<Item = LedgerRecord>) -> Batch {
    Batch { settled: records.into_iter().collect(), ..Batch::default() }
}

fn rows(store: &SqliteStore, filter: &LedgerFilter) -> Vec<LedgerRecord> {
    let mut rows = Vec::new();
    store.ledger_rows(filter, &mut |row| rows.push(row)).unwrap();
    rows
}

prop_compose! {
    fn any_usage()(counts in prop::array::uniform5(0..=1_u64 << 40)) -> Usage {
        let [input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens] = counts;
        Usage { input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens }
    }
}

prop_compose! {
    fn any_extra()(
        kind in any::<String>(), model in any::<Option<String>>(), usage in any_usage(),
        [cache_write_1h_tokens, input_image_tokens, output_image_tokens, times] in prop::array::uniform4(0..3_u64),
    ) -> ExtraUsage {
        ExtraUsage { kind, model, usage, cache_write_1h_tokens, input_image_tokens, output_image_tokens, times }
    }
}

prop_compose! {
    fn any_metered()(
        usage in any_usage(),
        counts in prop::array::uniform7(0..3_u64),
        extras in prop::collection::vec(any_extra(), 0..3),
        tier in prop::sample::select(vec![
            ServiceTier::Standard, ServiceTier::Batch, ServiceTier::Flex, ServiceTier::Priority, ServiceTier::Ultrafast,
        ]),
        inference_geo in prop::option::of("us|eu"),
        source in prop::sample::select(vec![UsageSource::Reported, UsageSource::Estimated, UsageSource::None]),
        disbelieved in any::<bool>(),
    ) -> Metered {
        let detail = UsageDetail {
            cache_write_1h_tokens: counts[0],
            input_audio_tokens: counts[1],
            cached_audio_tokens: counts[2],
            input_image_tokens: counts[3],
            output_audio_tokens: counts[4],
            output_image_tokens: counts[5],
            web_searches: counts[6],
        };
        Metered { usage, detail, extras, tier, inference_geo, source, disbelieved }
    }
}

prop_compose! {
    fn any_record()(
        id in any::<u128>(),
        numbers in any::<(i64, i64, u32, u16)>(),
        costs in (0..=i64::MAX / 1_000, 0..=i64::MAX),
        names in prop::array::uniform8(any::<String>()),
        price_version in any::<String>(),
        options in any::<(Option<String>, Option<String>, Option<u32>)>(),
        flags in any::<(bool, bool, bool)>(),
        outcome in prop::sample::select(Outcome::WORDS.iter().map(|row| row.1).collect::<Vec<_>>()),
        metered in any_metered(),
        duration_ms in 0..1_u64 << 40,
    ) -> LedgerRecord {
        let [key_name, group, endpoint, dialect, model, upstream, upstream_model, _] = names;
        LedgerRecord {
            request_id: Uuid::from_u128(id),
            started_at_ms: numbers.0,
            key_id: numbers.1,
            attempts: numbers.2,
            status: numbers.3,
            cost_nanos: costs.0,
            held_nanos: costs.1,
            key_name: key_name.into(),
            group: group.into(),
            endpoint: endpoint.into(),
            dialect: dialect.into(),
            model: model.into(),
            upstream: upstream.into(),
            upstream_model: upstream_model.into(),
            price_version: price_version.into(),
            user: options.0.map(Into::into),
            error_code: options.1,
            ttft_ms: options.2.map(u64::from),
            stream: flags.0,
            overshoot: flags.1,
            price_missing: flags.2,
            outcome,
            metered,
            duration_ms,
        }
    }
}
