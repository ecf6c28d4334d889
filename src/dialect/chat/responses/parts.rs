//! The parts of a message, or of a tool's output, in a request.

use super::super::data_url;
use super::super::members::{self, Object, invalid, untranslatable};
use super::super::request::{Media, MediaKind, Part, Source};
use super::super::{Json, Text};
use super::request_reader::{need, only, text};
use serde_json::value::RawValue;
use std::borrow::Cow;
use tollgate_plugin_api::Reject;

const BREAKPOINT: &str = "prompt_cache_breakpoint";

/// Reads a text, or a list of parts.
pub(super) fn read<'a>(
    content: &'a RawValue,
    path: &str,
    left_out: &mut Vec<Cow<'static, str>>,
) -> Result<Vec<Part<'a>>, Reject> {
    if content.get().starts_with('"') {
        return Ok(vec![Part::text(members::read::<Text<'a>>(content, path)?.0)]);
    }
    let mut parts = Vec::new();
    for (index, part) in members::read::<Vec<&RawValue>>(content, path)?.into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        let part = Object::read(part.get(), &path)?;
        parts.push(read_part(&part, &path, left_out)?);
        parts.extend(part.get(BREAKPOINT).map(cache_mark));
    }
    Ok(parts)
}

fn read_part<'a>(part: &Object<'a>, path: &str, left_out: &mut Vec<Cow<'static, str>>) -> Result<Part<'a>, Reject> {
    match &*need(part, "type", path)? {
        "input_text" | "output_text" | "text" => {
            // The SDKs' parsers add what they made of the text (`parsed`).
            only(part, &["type", "text", "annotations", "logprobs", "parsed", BREAKPOINT], path)?;
            Ok(Part::text(need(part, "text", path)?))
        }
        "refusal" => Ok(Part::Refusal(need(part, "refusal", path)?)),
        "input_image" => {
            only(part, &["type", "image_url", "file_id", "detail", BREAKPOINT], path)?;
            let (source, mime_type) = source(part, ["image_url", "file_id"], path)?;
            let detail = text(part, "detail", path)?;
            Ok(Part::Media(Media { kind: MediaKind::Image, source, mime_type, name: None, detail }))
        }
        "input_file" => {
            only(part, &["type", "file_data", "file_url", "file_id", "filename", "detail", BREAKPOINT], path)?;
            if text(part, "detail", path)?.is_some_and(|detail| detail != "auto") {
                left_out.push("input_file.detail".into());
            }
            let name = text(part, "filename", path)?;
            let (source, mime_type) = match text(part, "file_data", path)? {
                Some(bytes) => match data_url::data_url(&bytes) {
                    Some((mime_type, base64)) => (Source::Base64(base64), Some(mime_type)),
                    None => (Source::Base64(bytes), None),
                },
                None => source(part, ["file_url", "file_id"], path)?,
            };
            Ok(Part::Media(Media { kind: MediaKind::Document, source, mime_type, name, detail: None }))
        }
        "input_audio" => {
            let path = format!("{path}.input_audio");
            let audio = part.get("input_audio").ok_or_else(|| invalid(&path, "it is missing"))?;
            let audio = Object::read(audio.get(), &path)?;
            let source = Source::Base64(need(&audio, "data", &path)?);
            let mime_type = Some(format!("audio/{}", need(&audio, "format", &path)?).into());
            Ok(Part::Media(Media { kind: MediaKind::Audio, source, mime_type, name: None, detail: None }))
        }
        _ => Err(untranslatable(&format!("{path}.type"))),
    }
}

/// Where the bytes are: behind the URL member, or the file's.
fn source<'a>(
    part: &Object<'a>,
    [name, file]: [&str; 2],
    path: &str,
) -> Result<(Source<'a>, Option<Cow<'a, str>>), Reject> {
    if let Some(url) = text(part, name, path)? {
        return data_url::source(url, &format!("{path}.{name}"));
    }
    let id = text(part, file, path)?.ok_or_else(|| invalid(&format!("{path}.{name}"), "it is missing"))?;
    Ok((Source::File(id), None))
}

/// A breakpoint as Anthropic writes it; of its lifetimes the longer one is an hour.
fn cache_mark(breakpoint: &RawValue) -> Part<'static> {
    let lasts = Json::raw(breakpoint).value().get("ttl").is_some_and(|ttl| ttl == "12h");
    let mark = if lasts { r#"{"type":"ephemeral","ttl":"1h"}"# } else { r#"{"type":"ephemeral"}"# };
    Part::CacheMark(Json::parse(mark.into()).unwrap_or_else(|| Json::of(&())))
}

/// The texts of a reasoning item's `content` or `summary`, as one. `None`: there are none.
pub(super) fn thoughts<'a>(item: &Object<'a>, name: &str, path: &str) -> Result<Option<Cow<'a, str>>, Reject> {
    let path = format!("{path}.{name}");
    let Some(list) = item.get(name) else { return Ok(None) };
    let mut texts = Vec::new();
    for (index, part) in members::read::<Vec<&RawValue>>(list, &path)?.into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        texts.push(need(&Object::read(part.get(), &path)?, "text", &path)?);
    }
    Ok(match texts.len() {
        0 | 1 => texts.pop(),
        _ => Some(texts.join(super::BETWEEN_SUMMARIES).into()),
    })
}
