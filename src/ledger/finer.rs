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
    #[cfg(test)]
    pub(super) fn said(inference_geo: Option<String>, cache_write_1h_tokens: Vec<u64>) -> Self {
        Self { inference_geo, cache_write_1h_tokens }
    }

    /// `None`: nothing.
    pub(super) fn of(metered: &Metered) -> Option<Self> {
        let Metered { inference_geo, extras, .. } = metered;
        if inference_geo.is_none() && extras.iter().all(|extra| extra.cache_write_1h_tokens == 0) {
            return None;
        }
        let written = extras.iter().map(|extra| extra.cache_write_1h_tokens);
        Some(Self { inference_geo: inference_geo.clone(), cache_write_1h_tokens: written.collect() })
    }

    /// Puts it back where it belongs. `None`: it is not of this one, or says nothing.
    pub(super) fn add_to(self, metered: &mut Metered) -> Option<()> {
        let says_something =
            self.inference_geo.is_some() || self.cache_write_1h_tokens.iter().any(|tokens| *tokens > 0);
        if !says_something || self.cache_write_1h_tokens.len() != metered.extras.len() {
            return None;
        }
        metered.inference_geo = self.inference_geo;
        for (extra, tokens) in metered.extras.iter_mut().zip(self.cache_write_1h_tokens) {
            extra.cache_write_1h_tokens = tokens;
        }
        Some(())
    }
}

/// For serde: a [`Metered`] in journals as it is in formats 1 to 3, and whole in JSON, where a field may be left out.
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
        #[serde(skip_serializing_if = "Option::is_none")]
        inference_geo: Option<&'m str>,
    }

    #[derive(Serialize)]
    struct WrittenExtra<'m> {
        kind: &'m str,
        model: Option<&'m str>,
        usage: &'m Usage,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_write_1h_tokens: Option<u64>,
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

    #[derive(Deserialize)]
    struct ReadWhole {
        usage: Usage,
        detail: UsageDetail,
        extras: Vec<ExtraUsage>,
        tier: ServiceTier,
        source: UsageSource,
        disbelieved: bool,
        inference_geo: Option<String>,
    }

    pub(in crate::ledger) fn serialize<S: Serializer>(metered: &Metered, serializer: S) -> Result<S::Ok, S::Error> {
        let is_json = serializer.is_human_readable();
        let Metered { usage, detail, extras, tier, inference_geo, source, disbelieved } = metered;
        let extras = extras.iter().map(|ExtraUsage { kind, model, usage, cache_write_1h_tokens }| WrittenExtra {
            kind,
            model: model.as_deref(),
            usage,
            cache_write_1h_tokens: Some(*cache_write_1h_tokens).filter(|tokens| is_json && *tokens > 0),
        });
        let written = Written {
            usage,
            detail,
            extras: extras.collect(),
            tier: *tier,
            source: *source,
            disbelieved: *disbelieved,
            inference_geo: inference_geo.as_deref().filter(|_| is_json),
        };
        written.serialize(serializer)
    }

    pub(in crate::ledger) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metered, D::Error> {
        if deserializer.is_human_readable() {
            let whole = ReadWhole::deserialize(deserializer)?;
            let ReadWhole { usage, detail, extras, tier, source, disbelieved, inference_geo } = whole;
            return Ok(Metered { usage, detail, extras, tier, inference_geo, source, disbelieved });
        }
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
