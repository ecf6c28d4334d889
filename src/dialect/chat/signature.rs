//! What a provider wants back unchanged with its own model's thoughts: a signature, or the thoughts encrypted.

use crate::dialect::DialectId;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Before a signature that stands in another dialect's place.
const MARK: &str = "tollgate.";
/// The same in base64: Google's SDKs take signatures for bytes, and refuse what is no base64. The mark ends with a group of
/// three bytes, so this is how all that begins with it begins.
const MARK_BASE64: &str = "dG9sbGdhdGUu";
/// Every request is searched for both.
static MARKS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [MARK, MARK_BASE64].map(Finder::new));
/// How Google's SDKs write them again: with the other alphabet.
const ANY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An opaque text and whose it is. Only an upstream of that dialect gets it again; what cannot be returned to its maker is
/// left out with the thoughts it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The dialect of the provider that made it.
    pub maker: DialectId,
    /// What it made.
    pub text: Cow<'a, str>,
}

impl<'a> Signature<'a> {
    /// What an upstream of this dialect made.
    pub fn new(maker: DialectId, text: impl Into<Cow<'a, str>>) -> Self {
        Self { maker, text: text.into() }
    }

    /// As it stands in a client's dialect: foreign ones are marked, so that they are known again.
    pub fn shown_in(&self, client: DialectId) -> Cow<'_, str> {
        if self.maker == client {
            return Cow::Borrowed(&self.text);
        }
        let marked = format!("{MARK}{}.{}", self.maker, self.text);
        Cow::Owned(if client == DialectId::Gemini { STANDARD.encode(marked) } else { marked })
    }

    /// As a client shows it again.
    pub fn read_in(client: DialectId, text: Cow<'a, str>) -> Self {
        let text = if client == DialectId::Gemini { unpacked(text) } else { text };
        let marked = text.strip_prefix(MARK).and_then(|rest| rest.split_once('.'));
        let found = marked.and_then(|(maker, rest)| Some((DialectId::parse(maker)?, rest.len())));
        match found {
            None => Self { maker: client, text },
            Some((maker, length)) => {
                let start = text.len() - length;
                let text = match text {
                    Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
                    Cow::Owned(text) => Cow::Owned(text[start..].to_owned()),
                };
                Self { maker, text }
            }
        }
    }

    /// What stands in a signature's place where nobody signed, as vendors of OpenAI's dialect do not: clients give it back, and
    /// it is known then that no provider has signed those thoughts.
    pub(super) fn of_nobody() -> Signature<'static> {
        Signature::new(DialectId::OpenAi, "")
    }

    /// The text, for its own maker alone.
    pub fn for_maker(&self, upstream: DialectId) -> Option<&str> {
        (self.maker == upstream && !self.text.is_empty()).then_some(&*self.text)
    }
}

/// Whether a client's request may hold a signature in another dialect's place; where it does, its reader knows.
pub fn may_hold_foreign_signature(body: &[u8]) -> bool {
    MARKS.iter().any(|mark| mark.find(body).is_some())
}

/// A marked signature out of its base64, in either alphabet; what is none as it is.
fn unpacked(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.starts_with(MARK_BASE64) {
        return text;
    }
    let bytes = ANY_BASE64.decode(text.replace('+', "-").replace('/', "_"));
    bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()).map_or(text, Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_signature_is_base64_for_googles_clients_in_either_alphabet() {
        let made = Signature::new(DialectId::Anthropic, "Ev?>~?>~~~/+=");
        let shown = made.shown_in(DialectId::Gemini).into_owned();
        assert!(shown.starts_with(MARK_BASE64) && STANDARD.decode(&shown).is_ok());
        let other = shown.replace('+', "-").replace('/', "_");
        assert_ne!(shown, other);
        for text in [shown.as_str(), other.as_str(), other.trim_end_matches('=')] {
            assert_eq!(Signature::read_in(DialectId::Gemini, text.into()), made);
        }
    }

    #[test]
    fn a_signature_comes_back_to_its_maker_whatever_dialect_carried_it() {
        for maker in DialectId::ALL {
            for client in DialectId::ALL {
                let made = Signature::new(maker, "Ev.AB+/=");
                let shown = made.shown_in(client).into_owned();
                assert_eq!(shown == "Ev.AB+/=", maker == client);
                let again = Signature::read_in(client, shown.into());
                assert_eq!(again, made);
                assert_eq!(again.for_maker(maker), Some("Ev.AB+/="));
            }
        }
        let nobody = Signature::of_nobody().shown_in(DialectId::Anthropic).into_owned();
        assert_eq!(nobody, "tollgate.openai.");
        let again = Signature::read_in(DialectId::Anthropic, nobody.into());
        assert!(DialectId::ALL.iter().all(|upstream| again.for_maker(*upstream).is_none()));
        let native = Signature::read_in(DialectId::Anthropic, "tollgate.nobody.x".into());
        assert_eq!(native, Signature::new(DialectId::Anthropic, "tollgate.nobody.x"));
        assert_eq!(native.for_maker(DialectId::Gemini), None);
    }
}
