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

/// For serde: a [`Metered`] in journals as it is in formats 1 to 3; in JSON, where a field may be left out, as it is.
pub(super) mod first {
    use super::{ExtraUsage, Metered, ServiceTier, Usage, UsageDetail, UsageSource};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::borrow::Cow;

    #[derive(Serialize, Deserialize)]
    struct First<'m> {
        usage: Usage,
        detail: UsageDetail,
        extras: Vec<FirstExtra<'m>>,
        tier: ServiceTier,
        source: UsageSource,
        disbelieved: bool,
    }

    #[derive(Serialize, Deserialize)]
    struct FirstExtra<'m> {
        kind: Cow<'m, str>,
        model: Option<Cow<'m, str>>,
        usage: Usage,
    }

    pub(in crate::ledger) fn serialize<S: Serializer>(metered: &Metered, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return metered.serialize(serializer);
        }
        let Metered { usage, detail, extras, tier, inference_geo: _, source, disbelieved } = metered;
        let extras = extras.iter().map(|ExtraUsage { kind, model, usage, cache_write_1h_tokens: _ }| FirstExtra {
            kind: Cow::Borrowed(kind),
            model: model.as_deref().map(Cow::Borrowed),
            usage: *usage,
        });
        let extras = extras.collect();
        let first =
            First { usage: *usage, detail: *detail, extras, tier: *tier, source: *source, disbelieved: *disbelieved };
        first.serialize(serializer)
    }

    pub(in crate::ledger) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metered, D::Error> {
        if deserializer.is_human_readable() {
            return Metered::deserialize(deserializer);
        }
        let First { usage, detail, extras, tier, source, disbelieved } = First::deserialize(deserializer)?;
        let extras = extras.into_iter().map(|FirstExtra { kind, model, usage }| ExtraUsage {
            kind: kind.into_owned(),
            model: model.map(Cow::into_owned),
            usage,
            ..ExtraUsage::default()
        });
        let extras = extras.collect();
        Ok(Metered { usage, detail, extras, tier, inference_geo: None, source, disbelieved })
    }
}
