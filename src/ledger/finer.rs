//! What was metered, as the journal has it. Its first formats know nothing of where a model ran, nor of the finer classes of what is
//! billed on top; what there is of that stands behind the event.

use serde::{Deserialize, Serialize};
use tollgate_plugin_api::{ExtraUsage, Metered, ServiceTier, Usage, UsageDetail, UsageSource};

/// What formats 1 to 3 lack of a [`Metered`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finer {
    inference_geo: Option<String>,
    /// Of each extra, in their order: counts that are not zero, by their numbers in [`CLASSES`].
    extras: Vec<Vec<(u8, u64)>>,
}

/// The first format of the journal that has this.
const FORMAT_MIN: u8 = 5;

/// Where an extra has a count.
type CountOf = fn(&mut ExtraUsage) -> &mut u64;

/// The finer counts of an extra, each with the oldest format of the journal that has it. One more needs a number of its own, and a
/// format: an older gateway takes a class that it does not know for damage.
const CLASSES: [(u8, u8, CountOf); 4] = [
    (1, 5, |extra| &mut extra.cache_write_1h_tokens),
    (2, 5, |extra| &mut extra.input_image_tokens),
    (3, 5, |extra| &mut extra.output_image_tokens),
    (4, 6, |extra| &mut extra.times),
];

impl Finer {
    /// `None`: nothing.
    pub(super) fn of(metered: &Metered) -> Option<Self> {
        let of_extra = |extra: &ExtraUsage| {
            let mut extra = extra.clone();
            let counts = CLASSES.into_iter().map(|(number, _, count)| (number, *count(&mut extra)));
            counts.filter(|(_, count)| *count > 0).collect()
        };
        let extras = metered.extras.iter().map(of_extra).collect();
        let finer = Self { inference_geo: metered.inference_geo.clone(), extras };
        finer.says_something().then_some(finer)
    }

    fn says_something(&self) -> bool {
        self.inference_geo.is_some() || self.extras.iter().flatten().any(|(_, count)| *count > 0)
    }

    /// The oldest format that has all of it.
    pub(super) fn format(&self) -> u8 {
        let counted = |number: u8| self.extras.iter().flatten().any(|(other, _)| *other == number);
        CLASSES.iter().filter(|(number, ..)| counted(*number)).map(|(_, format, _)| *format).max().unwrap_or(FORMAT_MIN)
    }

    /// Puts it back where it belongs. `None`: it is not of this one, or says nothing, or what nobody knows here.
    pub(super) fn add_to(self, metered: &mut Metered) -> Option<()> {
        if !self.says_something() || self.extras.len() != metered.extras.len() {
            return None;
        }
        let mut extras = metered.extras.clone();
        for (extra, counts) in extras.iter_mut().zip(self.extras) {
            for (number, count) in counts {
                let (.., place) = CLASSES.iter().find(|(known, ..)| *known == number)?;
                *place(extra) = count;
            }
        }
        (metered.extras, metered.inference_geo) = (extras, self.inference_geo);
        Some(())
    }
}

/// The same, as format 4 has it.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub(super) struct FinerOfFormat4 {
    pub(super) inference_geo: Option<String>,
    /// Of the extras, in their order.
    pub(super) cache_write_1h_tokens: Vec<u64>,
}

impl From<FinerOfFormat4> for Finer {
    fn from(FinerOfFormat4 { inference_geo, cache_write_1h_tokens }: FinerOfFormat4) -> Self {
        Self { inference_geo, extras: cache_write_1h_tokens.into_iter().map(|count| vec![(1, count)]).collect() }
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
        let extras = extras.iter().map(|ExtraUsage { kind, model, usage, .. }| FirstExtra {
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
