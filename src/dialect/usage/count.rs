//! One number of a usage object, believed or not.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use tollgate_plugin_api::{INFERENCE_GEO_BYTES_MAX, ServiceTier, is_inference_geo};

/// A count above this is not believed.
pub const COUNT_MAX: u64 = 1_000_000_000;

/// A count as a provider wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Count {
    /// Not there, or `null`.
    #[default]
    Absent,
    /// A whole number of at most [`COUNT_MAX`].
    Good(u32),
    /// Anything else: negative, fractional, too large, a string, a container.
    Bad,
}

impl Count {
    /// The number, if it is there and believed.
    pub(super) fn get(self) -> Option<u64> {
        match self {
            Self::Good(count) => Some(u64::from(count)),
            Self::Absent | Self::Bad => None,
        }
    }

    /// This one, or if it is absent the other.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::Absent { other } else { self }
    }

    /// This one, or if it is absent or nothing the other: of several names for the same, those that are not in use may be zero.
    pub(super) fn or_more(self, other: Self) -> Self {
        match (self, other) {
            (Self::Absent, _) | (Self::Good(0), Self::Good(_)) => other,
            _ => self,
        }
    }

    /// Both together, as far as they are there.
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Good(one), Self::Good(other)) => Self::of(u64::from(one) + u64::from(other)),
            (Self::Absent, other) | (other, Self::Absent) => other,
            _ => Self::Bad,
        }
    }

    fn of(count: u64) -> Self {
        u32::try_from(count).ok().filter(|_| count <= COUNT_MAX).map_or(Self::Bad, Self::Good)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
        Ok(Count::of(count))
    }

    fn visit_i64<E>(self, count: i64) -> Result<Count, E> {
        Ok(u64::try_from(count).map_or(Count::Bad, Count::of))
    }

    fn visit_f64<E>(self, count: f64) -> Result<Count, E> {
        // Some vendors' languages have no integers: 12.0 is 12. What has a fraction, a sign, or no end is not a count.
        let whole = count.fract() == 0.0 && count.is_sign_positive() && count <= COUNT_MAX as f64;
        Ok(if whole { Count::of(count as u64) } else { Count::Bad })
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count::Absent)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count::Bad)
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count::Bad)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count::Bad)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count::Bad)
    }
}

/// An object of counts; whatever is not an object (`null`, an empty array in place of an empty object) has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(std::marker::PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of counts")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }
}

/// Words for service tiers that are not the standard one, by vendor: OpenAI `flex`, `priority` or `fast`, `ultrafast`; Anthropic
/// `priority`, `batch` and, as `speed`, `fast` (its premium is a row's `priority` price); Gemini `flex`, `priority` and, on Vertex,
/// `trafficType`.
const TIERS: [(&str, ServiceTier); 7] = [
    ("batch", ServiceTier::Batch),
    ("flex", ServiceTier::Flex),
    ("priority", ServiceTier::Priority),
    ("fast", ServiceTier::Priority),
    ("ultrafast", ServiceTier::Ultrafast),
    ("ON_DEMAND_FLEX", ServiceTier::Flex),
    ("ON_DEMAND_PRIORITY", ServiceTier::Priority),
];

/// The service tier an answer names; `None` when it names none, the standard one for a word that is not in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tier(pub(super) Option<ServiceTier>);

impl Tier {
    /// This one, or if there is none the other.
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }
}

impl<'de> Deserialize<'de> for Tier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = serde_json::Value::deserialize(deserializer)?;
        let known =
            |word: &str| TIERS.iter().find(|(name, _)| *name == word).map_or(ServiceTier::Standard, |row| row.1);
        Ok(Self(word.as_str().map(known)))
    }
}

/// Where an answer says that the model ran; `None` when it says nothing of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Geo(Option<String>);

impl Geo {
    /// This one, or if there is none the other.
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }

    /// The place, if it had to be there.
    pub(super) fn place(&self) -> Option<&str> {
        self.0.as_deref().filter(|place| is_inference_geo(place))
    }
}

impl<'de> Deserialize<'de> for Geo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(word.as_str().filter(|word| word.len() <= INFERENCE_GEO_BYTES_MAX).map(str::to_owned)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Geo, Object, Tier};
    use serde::Deserialize;
    use tollgate_plugin_api::ServiceTier;

    #[test]
    fn what_is_and_is_not_a_count() {
        let count = |text: &str| serde_json::from_str::<Count>(text).unwrap();
        for (text, number) in [("0", 0), ("12", 12), ("12.0", 12), ("1e3", 1000), ("1000000000", 1_000_000_000)] {
            assert_eq!(count(text), Count::Good(number), "{text}");
        }
        assert_eq!(count("null"), Count::Absent);
        for text in [
            "-1",
            "-0.0",
            "1.5",
            "1000000001",
            "9223372036854775808",
            "18446744073709551616",
            "1e308",
            "\"12\"",
            "true",
            "[]",
            "{\"a\":1}",
            "-9223372036854775809",
            "1000000000.5",
        ] {
            assert_eq!(count(text), Count::Bad, "{text}");
        }
        for text in ["NaN", "1e999", "01", ""] {
            assert!(serde_json::from_str::<Count>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_object_has_no_counts() {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
        #[serde(default)]
        struct Details {
            audio: Count,
        }
        for text in ["null", "[]", "[1,{}]", "3", "-3", "2.5", "\"x\"", "false", "{}"] {
            assert_eq!(serde_json::from_str::<Object<Details>>(text).unwrap().0, Details::default(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Object<Details>>("{\"audio\":7}").unwrap().0.audio, Count::Good(7));
    }

    #[test]
    fn places() {
        let long = format!("\"{}\"", "x".repeat(33));
        for (text, place) in [
            ("\"us\"", Some("us")),
            ("\"global\"", None),
            ("\"not_available\"", None),
            ("\"\"", None),
            (&long, None),
            ("null", None),
            ("{\"us\":1}", None),
        ] {
            assert_eq!(serde_json::from_str::<Geo>(text).unwrap().place(), place, "{text}");
        }
    }

    #[test]
    fn service_tiers() {
        for (text, tier) in [
            ("\"priority\"", Some(ServiceTier::Priority)),
            ("\"batch\"", Some(ServiceTier::Batch)),
            ("\"default\"", Some(ServiceTier::Standard)),
            ("\"ON_DEMAND_FLEX\"", Some(ServiceTier::Flex)),
            ("null", None),
            ("1", None),
        ] {
            assert_eq!(serde_json::from_str::<Tier>(text).unwrap().0, tier, "{text}");
        }
    }
}
