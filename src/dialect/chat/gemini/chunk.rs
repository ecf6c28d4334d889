//! The pieces of a `GenerateContentResponse` as it is written.

use super::PLACEHOLDERS;
use super::spelling::compact;
use crate::dialect::DialectId;
use crate::dialect::chat::write::Members;
use crate::dialect::chat::{Json, Signature};
use tollgate_plugin_api::Metered;

/// A text, a thought: a part.
pub(super) fn text(text: &str, is_thought: bool, signature: Option<&Signature<'_>>, parts: &mut Members<'_>) {
    parts.object_element(|part| {
        part.member("text", text);
        if is_thought {
            part.member("thought", &true);
        }
        sign(signature, part);
    });
}

/// A call: a part. The first of a turn has a placeholder for its signature, where nobody signed it: as clients give it back,
/// Gemini 3 takes the turn.
pub(super) fn call(
    id: &str,
    name: &str,
    args: &Json<'_>,
    (signature, is_first): (Option<&Signature<'_>>, bool),
    parts: &mut Members<'_>,
) {
    parts.object_element(|part| {
        part.object("functionCall", |call| {
            call.member("id", id);
            call.member("name", name);
            call.raw("args", args);
        });
        match signature {
            None if is_first => part.member("thoughtSignature", PLACEHOLDERS[0]),
            signature => sign(signature, part),
        }
    });
}

/// An image, a sound: a part.
pub(super) fn media(mime_type: &str, base64: &str, parts: &mut Members<'_>) {
    parts.object_element(|part| {
        part.object("inlineData", |blob| {
            blob.member("mimeType", mime_type);
            blob.member("data", base64);
        });
    });
}

fn sign(signature: Option<&Signature<'_>>, part: &mut Members<'_>) {
    part.some("thoughtSignature", signature.map(|signature| signature.shown_in(DialectId::Gemini)).as_ref());
}

/// Arguments as the object that Google's clients expect; none at all are an empty one. `None`: the model wrote something else.
pub(super) fn args(text: &str) -> Option<Json<'_>> {
    let text = if text.trim_ascii().is_empty() { "{}" } else { text };
    Json::parse(text.into()).filter(Json::is_object).and_then(|_| Json::parse(compact(text)))
}

/// What was used. Google counts thoughts beside the answer, everybody else inside.
pub(super) fn usage(metered: Option<&Metered>, response: &mut Members<'_>) {
    let Some(usage) = metered.map(|metered| &metered.usage) else { return };
    let some = |count: u64| (count > 0).then_some(count);
    response.object("usageMetadata", |metadata| {
        metadata.member("promptTokenCount", &usage.input_tokens);
        metadata.some("cachedContentTokenCount", some(usage.cached_input_tokens).as_ref());
        metadata.member("candidatesTokenCount", &usage.output_tokens.saturating_sub(usage.reasoning_tokens));
        metadata.some("thoughtsTokenCount", some(usage.reasoning_tokens).as_ref());
        metadata.member("totalTokenCount", &usage.input_tokens.saturating_add(usage.output_tokens));
    });
}

/// Which answer this is: model, id, time.
pub(super) fn identity(model: &str, id: &str, created_s: Option<i64>, response: &mut Members<'_>) {
    response.member("modelVersion", model);
    response.member("responseId", id);
    let time = created_s.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    response.some("createTime", time.map(|time| time.to_string()).as_ref());
}
