//! The chain of hashes over the ledger's rows: each row's hash covers the row and, through the hash of the row before
//! it, every row before. Whatever is changed, added or taken away later, the chain no longer closes.

use super::record::LedgerRecord;
use sha2::{Digest, Sha256};
use tollgate_plugin_api::{ExtraUsage, Usage, UsageDetail};

/// The hash of the row with this number, behind a row with hash `previous` (zeros before the first).
///
/// What is hashed is a list of fields, each with a number of its own and its length. A field that is added later takes
/// the next number and is left out where it has its default: rows from before it keep their hashes.
pub fn row_hash(previous: &[u8; 32], sequence: i64, record: &LedgerRecord) -> [u8; 32] {
    let mut fields = Fields(Vec::with_capacity(768));
    fields.0.extend_from_slice(previous);
    fields.number(1, sequence);
    fields.bytes(2, record.request_id.as_bytes());
    fields.number(3, record.started_at_ms);
    fields.number(4, record.key_id);
    fields.text(5, &record.key_name);
    fields.optional_text(6, record.user.as_deref());
    fields.text(7, &record.group);
    fields.text(8, &record.endpoint);
    fields.text(9, &record.dialect);
    fields.text(10, &record.model);
    fields.text(11, &record.upstream);
    fields.text(12, &record.upstream_model);
    fields.flag(13, record.stream);
    fields.number(14, i64::from(record.status));
    fields.text(15, record.outcome.as_str());
    fields.usage(16, &record.metered.usage);
    fields.text(17, record.metered.source.as_str());
    fields.number(18, record.cost_nanos);
    fields.number(19, record.held_nanos);
    fields.text(20, &record.price_version);
    fields.flag(21, record.price_missing);
    fields.flag(22, record.overshoot);
    fields.flag(23, record.metered.disbelieved);
    fields.number(24, i64::from(record.attempts));
    if let Some(ttft_ms) = record.ttft_ms {
        fields.count(25, ttft_ms);
    }
    fields.count(26, record.duration_ms);
    fields.optional_text(27, record.error_code.as_deref());
    fields.text(28, record.metered.tier.as_str());
    fields.detail(29, &record.metered.detail);
    record.metered.extras.iter().for_each(|extra| fields.extra(30, extra));
    fields.optional_text(31, record.metered.inference_geo.as_deref());
    Sha256::digest(&fields.0).into()
}

struct Fields(Vec<u8>);

impl Fields {
    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.0.push(field);
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u8, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn optional_text(&mut self, field: u8, text: Option<&str>) {
        if let Some(text) = text {
            self.text(field, text);
        }
    }

    fn number(&mut self, field: u8, number: i64) {
        self.bytes(field, &number.to_le_bytes());
    }

    fn count(&mut self, field: u8, count: u64) {
        self.bytes(field, &count.to_le_bytes());
    }

    fn flag(&mut self, field: u8, flag: bool) {
        self.bytes(field, &[u8::from(flag)]);
    }

    fn counts(&mut self, field: u8, counts: &[u64]) {
        self.0.push(field);
        self.0.extend_from_slice(&(size_of_val(counts) as u64).to_le_bytes());
        counts.iter().for_each(|count| self.0.extend_from_slice(&count.to_le_bytes()));
    }

    fn usage(&mut self, field: u8, usage: &Usage) {
        let Usage { input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens } = *usage;
        self.counts(field, &[input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens]);
    }

    fn detail(&mut self, field: u8, detail: &UsageDetail) {
        let UsageDetail {
            cache_write_1h_tokens,
            input_audio_tokens,
            cached_audio_tokens,
            input_image_tokens,
            output_audio_tokens,
            output_image_tokens,
            web_searches,
        } = *detail;
        let counts = [
            cache_write_1h_tokens,
            input_audio_tokens,
            cached_audio_tokens,
            input_image_tokens,
            output_audio_tokens,
            output_image_tokens,
            web_searches,
        ];
        self.counts(field, &counts);
    }

    fn extra(&mut self, field: u8, extra: &ExtraUsage) {
        let mut fields = Fields(Vec::new());
        fields.text(1, &extra.kind);
        fields.optional_text(2, extra.model.as_deref());
        fields.usage(3, &extra.usage);
        // Not there where there is nothing: rows that are older than this have a hash without it.
        if extra.cache_write_1h_tokens > 0 {
            fields.counts(4, &[extra.cache_write_1h_tokens]);
        }
        let images = [extra.input_image_tokens, extra.output_image_tokens];
        if images != [0, 0] {
            fields.counts(5, &images);
        }
        if extra.times > 0 {
            fields.counts(6, &[extra.times]);
        }
        self.bytes(field, &fields.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::wire::tests::full_record;
    use std::sync::Arc;

    #[test]
    fn a_hash_covers_the_row_its_number_and_the_row_before() {
        let record = full_record();
        let hash = row_hash(&[0; 32], 1, &record);
        assert_eq!(hash, row_hash(&[0; 32], 1, &record));
        assert_ne!(hash, row_hash(&[1; 32], 1, &record));
        assert_ne!(hash, row_hash(&[0; 32], 2, &record));
    }

    fn lengthen(text: &mut Arc<str>) {
        *text = format!("{text}x").into();
    }

    #[test]
    fn every_field_counts() {
        let record = full_record();
        let mut hashes = vec![row_hash(&[0; 32], 1, &record)];
        let changes: [fn(&mut LedgerRecord); 35] = [
            |r| r.request_id = uuid::Uuid::from_u128(9),
            |r| r.started_at_ms += 1,
            |r| r.key_id += 1,
            |r| lengthen(&mut r.key_name),
            |r| r.user = None,
            |r| r.user = Some("".into()),
            |r| lengthen(&mut r.group),
            |r| r.endpoint.to_mut().push('x'),
            |r| r.dialect.to_mut().push('x'),
            |r| lengthen(&mut r.model),
            |r| lengthen(&mut r.upstream),
            |r| lengthen(&mut r.upstream_model),
            |r| r.stream = !r.stream,
            |r| r.status += 1,
            |r| r.outcome = crate::ledger::Outcome::Ok,
            |r| r.metered.usage.reasoning_tokens += 1,
            |r| r.metered.detail.cached_audio_tokens += 1,
            |r| r.metered.extras[0].usage.input_tokens += 1,
            |r| r.metered.extras[0].cache_write_1h_tokens += 1,
            |r| r.metered.extras[0].input_image_tokens += 1,
            |r| r.metered.extras[0].output_image_tokens += 1,
            |r| r.metered.extras[0].times += 1,
            |r| r.metered.extras.push(ExtraUsage::default()),
            |r| r.metered.inference_geo = Some("us".into()),
            |r| r.metered.tier = tollgate_plugin_api::ServiceTier::Flex,
            |r| r.metered.source = tollgate_plugin_api::UsageSource::None,
            |r| r.metered.disbelieved = !r.metered.disbelieved,
            |r| r.cost_nanos += 1,
            |r| r.held_nanos += 1,
            |r| r.overshoot = !r.overshoot,
            |r| lengthen(&mut r.price_version),
            |r| r.price_missing = !r.price_missing,
            |r| r.ttft_ms = None,
            |r| r.duration_ms += 1,
            |r| r.error_code = None,
        ];
        for change in changes {
            let mut changed = record.clone();
            change(&mut changed);
            hashes.push(row_hash(&[0; 32], 1, &changed));
        }
        let all = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all);
    }

    /// The hash that this row had when the ledger was introduced. If this fails, every existing ledger would fail to
    /// verify.
    #[test]
    fn hashes_do_not_change_with_the_code() {
        let hash = row_hash(&[7; 32], 5, &full_record());
        assert_eq!(hash[..4], FIRST_BYTES);
    }

    const FIRST_BYTES: [u8; 4] = [142, 231, 165, 86];
}
