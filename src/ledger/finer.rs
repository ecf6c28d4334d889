//! What was metered, as the journal has it. Its first formats know nothing of where a model ran, nor of how long an extra's
//! cache writes stay; what there is of that stands behind the event, in a format of its own.

use serde::{Deserialize, Serialize};
use tollgate_plugin_api::{ExtraUsage, Metered, ServiceTier, Usage, UsageDetail, UsageSource};

/// What formats 1 to 3 lack of a [`Metered`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finer {
    inference_geo: Option<String>,
    /// Of the extras, in their order.
    cache_write_1h_tokens: Vec<u64>,
}

impl Finer {
    /// `None`: nothing.
    pub(super) fn of(metered: &Metered) -> Option<Self> {
        let Metered { inference_geo, extras, .. } = metered;
        if inference_geo.is_none() && extras.iter().all(|extra| extra.cache_write_1h_tokens == 0) {
            return None;
        }
        let written = extras.iter().map(|extra| extra.cache_write_1h_tokens);
        Some(Self { inference_geo: inference_geo.clone(), cache_write_1h_tokens: written.collect() })
    }

    /// Puts it back where it belongs.
    pub(super) fn add_to(self, metered: &mut Metered) {
        metered.inference_geo = self.inference_geo;
        for (extra, tokens) in metered.extras.iter_mut().zip(self.cache_write_1h_tokens) {
            extra.cache_write_1h_tokens = tokens;
        }
    }
}

/// For serde: a [`Metered`] as it is in formats 1 to 3.
pub(super) mod first {
    use super::{ExtraUsage, Metered, ServiceTier, Usage, UsageDetail, UsageSource};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize)]
    struct Written<'m> {
        usage: &'m Usage,
        detail: &'m UsageDetail,
        extras: Vec<WrittenExtra<'m>>,
        tier: ServiceTier,
        source: UsageSource,
        disbelieved: bool,
    }

    #[derive(Serialize)]
    struct WrittenExtra<'m> {
        kind: &'m str,
        model: Option<&'m str>,
        usage: &'m Usage,
    }

    #[derive(Deserialize)]
    struct Read {
        usage: Usage,
        detail: UsageDetail,
        extras: Vec<ReadExtra>,
        tier: ServiceTier,
        source: UsageSource,
        disbelieved: bool,
    }

    #[derive(Deserialize)]
    struct ReadExtra {
        kind: String,
        model: Option<String>,
        usage: Usage,
    }

    pub(in crate::ledger) fn serialize<S: Serializer>(metered: &Metered, serializer: S) -> Result<S::Ok, S::Error> {
        let Metered { usage, detail, extras, tier, inference_geo: _, source, disbelieved } = metered;
        let extras = extras.iter().map(|ExtraUsage { kind, model, usage, .. }| WrittenExtra {
            kind,
            model: model.as_deref(),
            usage,
        });
        let extras = extras.collect();
        let written = Written { usage, detail, extras, tier: *tier, source: *source, disbelieved: *disbelieved };
        written.serialize(serializer)
    }

    pub(in crate::ledger) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metered, D::Error> {
        let Read { usage, detail, extras, tier, source, disbelieved } = Read::deserialize(deserializer)?;
        let extras = extras.into_iter().map(|ReadExtra { kind, model, usage }| ExtraUsage {
            kind,
            model,
            usage,
            ..ExtraUsage::default()
        });
        let extras = extras.collect();
        Ok(Metered { usage, detail, extras, tier, inference_geo: None, source, disbelieved })
    }
}
