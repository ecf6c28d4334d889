//! Addresses that have the bytes in them (RFC 2397).

use super::members::invalid;
use super::request::Source;
use std::borrow::Cow;
use tollgate_plugin_api::Reject;

/// A `data:` URL's media type and base64; `None`: it is no such URL, or its bytes are written otherwise.
pub(super) fn data_url<'a>(url: &Cow<'a, str>) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    fn split(url: &str) -> Option<(&str, &str)> {
        let (kind, base64) = url.get("data:".len()..)?.split_once(',')?;
        let kind = kind.strip_suffix(";base64")?;
        is_data(url).then(|| (kind.split(';').next().unwrap_or(kind), base64))
    }
    match url {
        Cow::Borrowed(url) => split(url).map(|(kind, base64)| (kind.into(), base64.into())),
        Cow::Owned(url) => split(url).map(|(kind, base64)| (kind.to_owned().into(), base64.to_owned().into())),
    }
}

/// What an address in a request stands for, and its media type where that is known: the bytes where it has them, else what is
/// behind it.
///
/// # Errors
/// `INVALID_REQUEST`, naming `path`: a `data:` URL that is not in base64, which no provider takes.
pub(super) fn source<'a>(url: Cow<'a, str>, path: &str) -> Result<(Source<'a>, Option<Cow<'a, str>>), Reject> {
    match data_url(&url) {
        Some((mime_type, base64)) => Ok((Source::Base64(base64), Some(mime_type))),
        None if is_data(&url) => Err(invalid(path, "a data URL in base64 is expected")),
        None => Ok((Source::Url(url), None)),
    }
}

fn is_data(url: &str) -> bool {
    url.get(.."data:".len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::DialectId;
    use crate::dialect::chat::translate_request;
    use crate::dialect::chat::{ChatRules, Manner};

    #[test]
    fn an_address_is_its_bytes_or_what_is_behind_it() {
        let known = |url: &'static str| source(url.into(), "u").map_err(|refusal| refusal.param);
        let bytes = |text: &'static str, kind: &'static str| Ok((Source::Base64(text.into()), Some(kind.into())));
        assert_eq!(known("data:image/png;base64,AA=="), bytes("AA==", "image/png"));
        assert_eq!(known("DATA:image/png;name=a;base64,"), bytes("", "image/png"));
        assert_eq!(known("https://example.com/a"), Ok((Source::Url("https://example.com/a".into()), None)));
        for wrong in ["data:", "data:text/plain,Hi", "data:image/png;base6$,AA=="] {
            assert_eq!(known(wrong), Err(Some("u".to_owned())), "{wrong}");
        }
    }

    #[test]
    fn a_data_url_that_is_not_in_base64_is_refused_in_every_dialect() {
        let manner =
            Manner { model: "m", output_tokens_default: 1, asks_for_usage: false, rules: ChatRules::default() };
        for (client, body) in [
            (
                DialectId::OpenAi,
                r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,A"}}]}]}"#,
            ),
            (
                DialectId::OpenAiResponses,
                r#"{"store":false,"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:,A"}]}]}"#,
            ),
            (
                DialectId::Anthropic,
                r#"{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"data:,A"}}]}]}"#,
            ),
            (DialectId::Gemini, r#"{"contents":[{"parts":[{"fileData":{"fileUri":"data:,A"}}]}]}"#),
        ] {
            for target in DialectId::ALL {
                let refusal = translate_request(client, target, body, false, &manner).expect_err(body);
                assert!(refusal.message.unwrap_or_default().contains("base64"), "{client} to {target}");
            }
        }
    }
}
