//! Service tiers that are dearer than the standard one: which a candidate is asked for, and which it may bill.

use super::Provider;
use crate::dialect::DialectId;
use crate::dialect::endpoint::Endpoint;
use crate::dialect::request::tier;
use http::HeaderValue;
use serde::Deserialize;
use tollgate_plugin_api::ServiceTier;

/// In which tier a vendor serves what asks for none, or for the account's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnaskedTier {
    /// There is none but one, and words for others mean nothing: servers at home, and vendors who charge one price.
    None,
    /// In the standard one (docs.x.ai, "Priority Processing"; ai.google.dev, "Priority inference"). It is so wherever nothing else is
    /// known: what is dearer is asked for.
    #[default]
    Standard,
    /// In that of the account, which may be priority (OpenAI: a project's `default` tier, "Project service tier settings"; Azure: a
    /// deployment's).
    Account,
    /// In the standard one, or in one that is paid for in advance and has no price of its own: Anthropic's Priority Tier, which
    /// requests cannot ask for (platform.claude.com, "Service tiers").
    Prepaid,
}

/// How one candidate takes a request of one dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tiers {
    unasked: UnaskedTier,
    /// How dear the dearest tier is that the request can ask for there ([`ServiceTier::dearness`]).
    askable: u8,
    /// It gets the client's own word for a tier.
    is_told: bool,
}

impl Tiers {
    /// At this vendor, for requests to this endpoint. `is_asked`: an operator adds a header field that asks for a dearer one by itself
    /// ([`asks_for_dearer`]).
    pub fn of(provider: &Provider, endpoint: &Endpoint, is_asked: bool) -> Self {
        let askable = match provider.speaks(endpoint.dialect) {
            _ if provider.unasked_tier == UnaskedTier::None => 0,
            true => ServiceTier::Ultrafast.dearness(),
            // Translated; what the other dialect has no word for is left out.
            false => {
                let tiers = provider.translations(endpoint).map(|into| askable(endpoint.dialect, into));
                tiers.map(ServiceTier::dearness).max().unwrap_or(0)
            }
        };
        let unasked = match (provider.unasked_tier, is_asked) {
            (UnaskedTier::Standard, true) => UnaskedTier::Account,
            (unasked, _) => unasked,
        };
        Self { unasked, askable, is_told: provider.speaks(endpoint.dialect) && !is_asked }
    }

    /// The tier that the candidate is asked for where the client asks for this one.
    pub fn asked(self, by_client: ServiceTier) -> ServiceTier {
        if by_client.dearness() > self.askable { ServiceTier::Standard } else { by_client }
    }

    /// The dearest tier that an answer may come in. `is_named`: the client names this tier, and does not leave it to the account.
    pub fn dearest(self, by_client: ServiceTier, is_named: bool) -> ServiceTier {
        match (self.asked(by_client), self.unasked) {
            (asked, _) if asked.is_dearer() || (is_named && self.is_told) => asked,
            (_, UnaskedTier::Account) => ServiceTier::Priority,
            (asked, _) => asked,
        }
    }

    /// The tier by which an answer is billed that says it came in `served`.
    pub fn billed(self, by_client: ServiceTier, served: ServiceTier) -> ServiceTier {
        let is_standard = match self.unasked {
            // Perplexity calls one of its presets `fast`.
            UnaskedTier::None => served.is_dearer(),
            UnaskedTier::Prepaid => served.is_dearer() && !self.asked(by_client).is_dearer(),
            UnaskedTier::Standard | UnaskedTier::Account => false,
        };
        if is_standard { ServiceTier::Standard } else { served }
    }
}

/// Whether a header field with this value asks for a dearer tier (Vertex: `x-vertex-ai-llm-shared-request-type: priority`).
pub fn asks_for_dearer(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|word| tier(word.trim()).is_dearer())
}

/// The dearest tier that a translated request can ask for. Anthropic's fast mode is a hint that no other dialect has, and Anthropic's own
/// `service_tier` asks for what is paid for in advance.
fn askable(from: DialectId, into: DialectId) -> ServiceTier {
    match (from, into) {
        (DialectId::Anthropic, _) => ServiceTier::Standard,
        (_, DialectId::OpenAi | DialectId::OpenAiResponses) => ServiceTier::Ultrafast,
        (_, DialectId::Gemini | DialectId::Bedrock) => ServiceTier::Priority,
        _ => ServiceTier::Standard,
    }
}

#[cfg(test)]
mod tests {
    use super::{Tiers, asks_for_dearer};
    use crate::dialect::DialectId;
    use crate::dialect::endpoint::{self, Endpoint};
    use crate::provider::providers;
    use http::HeaderValue;
    use tollgate_plugin_api::ServiceTier::{self, Batch, Flex, Priority, Standard, Ultrafast};

    fn tiers(provider: &str, dialect: DialectId, is_asked: bool) -> Tiers {
        let endpoint: &Endpoint = endpoint::chat_target(dialect, false, "m", false).endpoint;
        Tiers::of(&providers()[provider], endpoint, is_asked)
    }

    #[test]
    fn a_tier_is_asked_for_where_the_dialect_of_the_candidate_has_a_word_for_it() {
        use DialectId::{Anthropic, Gemini, OpenAi};
        let rows: [(&str, DialectId, ServiceTier, ServiceTier); 9] = [
            ("openai", OpenAi, Ultrafast, Ultrafast),
            ("openai", Gemini, Ultrafast, Ultrafast),
            ("anthropic", Anthropic, Priority, Priority),
            ("anthropic", OpenAi, Priority, Standard),
            ("openai", Anthropic, Priority, Standard),
            ("gemini", OpenAi, Priority, Priority),
            ("gemini", OpenAi, Ultrafast, Standard),
            ("cohere-native", OpenAi, Priority, Standard),
            ("anthropic", OpenAi, Flex, Flex),
        ];
        for (provider, dialect, by_client, asked) in rows {
            assert_eq!(tiers(provider, dialect, false).asked(by_client), asked, "{provider} {dialect} {by_client:?}");
        }
    }

    #[test]
    fn a_field_asks_for_a_dearer_tier_by_its_value() {
        let asks = |value| asks_for_dearer(&HeaderValue::from_static(value));
        assert_eq!(["priority", "Priority", "ultrafast"].map(asks), [true; 3]);
        assert_eq!(["flex", "default", "team-a", ""].map(asks), [false; 4]);
    }

    #[test]
    fn what_asks_for_nothing_may_come_in_an_accounts_own_tier_or_in_one_paid_in_advance() {
        let own = |provider: &str, is_asked| {
            let dialect = providers()[provider].dialects[0];
            let tiers = tiers(provider, dialect, is_asked);
            (
                tiers.dearest(Standard, false),
                tiers.billed(Standard, Priority),
                tiers.dearest(Priority, true),
                tiers.billed(Priority, Priority),
            )
        };
        assert_eq!(own("openai", false), (Priority, Priority, Priority, Priority));
        assert_eq!(own("azure-openai", false), (Priority, Priority, Priority, Priority));
        for unknown in ["openrouter", "openai-compatible", "groq"] {
            assert_eq!(own(unknown, false), (Standard, Priority, Priority, Priority), "{unknown}");
        }
        for one in ["deepseek", "vllm", "perplexity"] {
            assert_eq!(own(one, false), (Standard, Standard, Standard, Standard), "{one}");
        }
        assert_eq!(own("xai", false), (Standard, Priority, Priority, Priority));
        assert_eq!(own("gemini", false), (Standard, Priority, Priority, Priority));
        assert_eq!(own("gemini", true), (Priority, Priority, Priority, Priority));
        assert_eq!(own("anthropic", true), (Standard, Standard, Priority, Priority));
        let openai = tiers("openai", DialectId::OpenAi, false);
        assert_eq!((openai.dearest(Ultrafast, true), openai.dearest(Standard, false)), (Ultrafast, Priority));
        assert_eq!((openai.dearest(Standard, true), openai.dearest(Flex, true)), (Standard, Flex), "as it is told");
        for untold in [self::tiers("openai", DialectId::Gemini, false), self::tiers("openai", DialectId::OpenAi, true)]
        {
            assert_eq!(untold.dearest(Standard, true), Priority);
        }
        assert_eq!(openai.billed(Batch, Flex), Flex);
    }
}
