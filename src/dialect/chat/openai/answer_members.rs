//! The members that a whole answer and the chunks of one have in common.

use crate::dialect::DialectId;
use crate::dialect::chat::event::Annotation;
use crate::dialect::chat::json::Json;
use crate::dialect::chat::signature::Signature;
use crate::dialect::chat::translation::Asked;
use crate::dialect::chat::write::{self, Members};
use tollgate_plugin_api::{Metered, ServiceTier};

/// What an answer, and each chunk of one, begins with. A provider's id is kept where it looks like OpenAI's.
pub(super) fn head(
    members: &mut Members<'_>,
    object: &str,
    asked: &Asked,
    id: Option<&str>,
    model: Option<&str>,
    created_s: Option<i64>,
) {
    match id.filter(|id| id.starts_with("chatcmpl-")) {
        Some(id) => members.member("id", id),
        None => members.member("id", &format_args!("chatcmpl-{}", asked.request_id.replace('-', ""))),
    }
    members.member("object", object);
    members.member("created", &created_s.unwrap_or(asked.started_s));
    members.member("model", model.unwrap_or(&asked.model));
}

/// A picture, as OpenRouter has it.
pub(super) fn image(entry: &mut Members<'_>, mime_type: &str, base64: &str) {
    entry.member("type", "image_url");
    entry.object("image_url", |members| {
        members.member("url", &format_args!("data:{mime_type};base64,{base64}"));
    });
}

/// A sound.
pub(super) fn audio(members: &mut Members<'_>, asked: &Asked, base64: &str) {
    members.member("id", &format_args!("audio_{}", asked.request_id.replace('-', "")));
    members.member("data", base64);
    // It is kept nowhere.
    members.member("expires_at", &asked.started_s);
    members.member("transcript", "");
}

/// What a text is based on: the members of an annotation, without braces. Only pages have a place here.
pub(super) fn annotation(annotation: &Annotation<'_>) -> Option<String> {
    if let Some((DialectId::OpenAi, native)) = &annotation.native {
        let inside = native.as_str().strip_prefix('{')?.strip_suffix('}')?;
        return Some(inside.trim_ascii().to_owned());
    }
    let url = annotation.url.as_deref()?;
    let (start, end) = annotation.range.unwrap_or_default();
    let mut object = Vec::new();
    write::object(&mut object, |members| {
        members.member("type", "url_citation");
        members.object("url_citation", |page| {
            page.member("url", url);
            page.member("title", annotation.title.as_deref().unwrap_or(url));
            page.member("start_index", &start);
            page.member("end_index", &end);
            page.some("content", annotation.cited_text.as_deref());
        });
    });
    let text = String::from_utf8(object).ok()?;
    text.strip_prefix('{')?.strip_suffix('}').map(str::to_owned)
}

/// `logprobs` of a choice: an array, as OpenAI has it.
pub(super) fn logprobs_member(choice: &mut Members<'_>, logprobs: Option<&str>) {
    let list = logprobs.and_then(|list| Json::parse(list.into()));
    match list {
        None => choice.member("logprobs", &None::<u8>),
        Some(list) => choice.object("logprobs", |members| {
            members.raw("content", &list);
            members.member("refusal", &None::<u8>);
        }),
    }
}

/// A call's function.
pub(super) fn function(members: &mut Members<'_>, name: Option<&str>, arguments: &str) {
    members.some("name", name);
    members.member("arguments", arguments);
}

/// A signature of a text or a call, where Google's own compatible API shows it.
pub(super) fn signed(members: &mut Members<'_>, signature: &Signature<'_>) {
    members.object("extra_content", |extra| {
        extra.object("google", |google| {
            google.member("thought_signature", &signature.shown_in(DialectId::OpenAi));
        });
    });
}

/// What was used, and how it was served where that was not as usual.
pub(super) fn served(members: &mut Members<'_>, metered: &Metered) {
    let tier = match metered.tier {
        ServiceTier::Standard | ServiceTier::Batch => None,
        ServiceTier::Flex => Some("flex"),
        ServiceTier::Priority => Some("priority"),
        ServiceTier::Ultrafast => Some("ultrafast"),
    };
    members.some("service_tier", tier);
    let (usage, detail) = (&metered.usage, &metered.detail);
    members.object("usage", |members| {
        members.member("prompt_tokens", &usage.input_tokens);
        members.member("completion_tokens", &usage.output_tokens);
        members.member("total_tokens", &usage.input_tokens.saturating_add(usage.output_tokens));
        members.object("prompt_tokens_details", |details| {
            details.member("cached_tokens", &usage.cached_input_tokens);
            details.member("cache_write_tokens", &usage.cache_write_tokens);
            details.member("audio_tokens", &detail.input_audio_tokens.saturating_add(detail.cached_audio_tokens));
        });
        members.object("completion_tokens_details", |details| {
            details.member("reasoning_tokens", &usage.reasoning_tokens);
            details.member("audio_tokens", &detail.output_audio_tokens);
            details.member("accepted_prediction_tokens", &0);
            details.member("rejected_prediction_tokens", &0);
        });
    });
}
