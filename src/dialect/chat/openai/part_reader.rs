//! A message's content: a text, or parts.

use super::chunk::{Loose, PartChunk};
use crate::dialect::chat::data_url::{data_url, source};
use crate::dialect::chat::event::ReasoningKind;
use crate::dialect::chat::json::{Json, Text};
use crate::dialect::chat::members::{Object, invalid, read as typed, untranslatable};
use crate::dialect::chat::request::{Media, MediaKind, Part, Source};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tollgate_plugin_api::Reject;

/// Reads it; `path` names it in refusals.
pub(super) fn content<'a>(value: &'a RawValue, path: &str) -> Result<Vec<Part<'a>>, Reject> {
    if value.get().starts_with('"') {
        let text = typed::<Text<'a>>(value, path)?.0;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] });
    }
    let list: Vec<&RawValue> = typed(value, path)?;
    let mut parts = Vec::with_capacity(list.len());
    for (index, raw) in list.into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        if raw.get().starts_with('"') {
            parts.push(Part::text(typed::<Text<'a>>(raw, &path)?.0));
            continue;
        }
        let object = Object::read(raw.get(), &path)?;
        parts.push(part(&object, raw, &path)?);
        parts.extend(cache_mark(&object));
    }
    Ok(parts)
}

fn part<'a>(object: &Object<'a>, raw: &'a RawValue, path: &str) -> Result<Part<'a>, Reject> {
    let kind_path = format!("{path}.type");
    let kind = object.get("type").ok_or_else(|| invalid(&kind_path, "it is missing"))?;
    let kind: Text<'a> = typed(kind, &kind_path)?;
    let kind = kind.as_str();
    let path = format!("{path}.{kind}");
    let inside = || object.get(kind).ok_or_else(|| invalid(&path, "it is missing"));
    match kind {
        "text" => Ok(Part::text(typed::<Text<'a>>(inside()?, &path)?.0)),
        "refusal" => Ok(Part::Refusal(typed::<Text<'a>>(inside()?, &path)?.0)),
        "thinking" => {
            let said: PartChunk<'a> = typed(raw, &path)?;
            let text = said.thoughts().concat();
            Ok(Part::Reasoning { text: text.into(), kind: ReasoningKind::Full, signature: None })
        }
        "image_url" => at(inside()?, MediaKind::Image, &path),
        "audio_url" => at(inside()?, MediaKind::Audio, &path),
        "video_url" => at(inside()?, MediaKind::Video, &path),
        "input_audio" => sound(inside()?, &path),
        "file" => file(inside()?, &path),
        _ => Err(untranslatable(&kind_path)),
    }
}

/// A mark after the part: OpenAI's breakpoint, or Anthropic's as OpenRouter and LiteLLM take it.
fn cache_mark<'a>(object: &Object<'a>) -> Option<Part<'a>> {
    #[derive(Deserialize)]
    struct Breakpoint<'a> {
        #[serde(borrow, default)]
        ttl: Loose<Text<'a>>,
    }
    if let Some(mark) = object.get("cache_control") {
        return Some(Part::CacheMark(Json::raw(mark)));
    }
    let mark = object.get("prompt_cache_breakpoint")?;
    let breakpoint: Breakpoint<'_> = serde_json::from_str(mark.get()).ok()?;
    // Anthropic has five minutes and an hour: not less than what is wanted, as far as there is as much.
    let json =
        if breakpoint.ttl.0.is_some() { r#"{"type":"ephemeral","ttl":"1h"}"# } else { r#"{"type":"ephemeral"}"# };
    Json::parse(json.into()).map(Part::CacheMark)
}

/// Bytes in a `data:` URL, or behind another one.
fn at<'a>(value: &'a RawValue, kind: MediaKind, path: &str) -> Result<Part<'a>, Reject> {
    #[derive(Deserialize)]
    struct Address<'a> {
        #[serde(borrow)]
        url: Text<'a>,
        #[serde(borrow, default)]
        detail: Option<Text<'a>>,
    }
    let address = match value.get().starts_with('"') {
        true => Address { url: typed(value, path)?, detail: None },
        false => typed(value, path)?,
    };
    let (url, detail) = (address.url.0, address.detail.map(|detail| detail.0));
    let (source, mime_type) = source(url, path)?;
    Ok(Part::Media(Media { kind, source, mime_type, name: None, detail }))
}

fn sound<'a>(value: &'a RawValue, path: &str) -> Result<Part<'a>, Reject> {
    #[derive(Deserialize)]
    struct Sound<'a> {
        #[serde(borrow)]
        data: Text<'a>,
        #[serde(borrow)]
        format: Text<'a>,
    }
    let sound: Sound<'a> = typed(value, path)?;
    // Qwen's has a data URL here.
    let base64 = data_url(&sound.data.0).map_or(sound.data.0, |(_, base64)| base64);
    let mime_type = match sound.format.as_str() {
        "mp3" => Cow::Borrowed("audio/mpeg"),
        format => Cow::Owned(format!("audio/{format}")),
    };
    let source = Source::Base64(base64);
    Ok(Part::Media(Media { kind: MediaKind::Audio, source, mime_type: Some(mime_type), name: None, detail: None }))
}

fn file<'a>(value: &'a RawValue, path: &str) -> Result<Part<'a>, Reject> {
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(borrow, default)]
        file_data: Option<Text<'a>>,
        #[serde(borrow, default)]
        file_id: Option<Text<'a>>,
        #[serde(borrow, default)]
        filename: Option<Text<'a>>,
    }
    let file: File<'a> = typed(value, path)?;
    let name = file.filename.map(|name| name.0);
    let (mime_type, source) = match (file.file_data, file.file_id) {
        (Some(Text(data)), _) => match data_url(&data) {
            Some((mime_type, base64)) => (Some(mime_type), Source::Base64(base64)),
            None if data.contains("://") => (None, Source::Url(data)),
            // Bare base64 is a PDF: chat takes nothing else.
            None => (Some(Cow::Borrowed("application/pdf")), Source::Base64(data)),
        },
        (None, Some(id)) => (None, Source::File(id.0)),
        (None, None) => return Err(invalid(path, "`file_data` or `file_id` is expected")),
    };
    let kind = match mime_type.as_deref().and_then(|mime_type| mime_type.split('/').next()) {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    };
    Ok(Part::Media(Media { kind, source, mime_type, name, detail: None }))
}
