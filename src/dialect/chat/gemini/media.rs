//! What kind of media bytes and addresses are: Gemini wants a MIME type for each.

use crate::dialect::chat::MediaKind;
use std::borrow::Cow;

/// How the bytes of a format begin, in base64. RIFF is a sound or a picture: the kind decides.
const BEGINNINGS: [(&str, &str); 12] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("JVBERi", "application/pdf"),
    ("UklGR", "audio/wav"),
    ("SUQz", "audio/mpeg"),
    ("//uQ", "audio/mpeg"),
    ("//sQ", "audio/mpeg"),
    ("//vQ", "audio/mpeg"),
    ("T2dnUw", "audio/ogg"),
    ("ZkxhQw", "audio/flac"),
    ("GkXfo", "video/webm"),
];

/// File names' endings.
const ENDINGS: [(&str, &str); 27] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("csv", "text/csv"),
    ("xml", "text/xml"),
    ("json", "application/json"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("aac", "audio/aac"),
    ("aiff", "audio/aiff"),
    ("m4a", "audio/mp4"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("avi", "video/x-msvideo"),
];

/// The kind that a MIME type is.
pub(super) fn kind(mime_type: Option<&str>) -> MediaKind {
    match mime_type.and_then(|mime_type| mime_type.split('/').next()) {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// The MIME type of these bytes, by how they begin.
pub(super) fn of_base64(base64: &str, kind: Option<MediaKind>) -> Option<&'static str> {
    let (_, mime_type) = BEGINNINGS.iter().find(|(beginning, _)| base64.starts_with(beginning))?;
    let is_picture = *mime_type == "audio/wav" && kind == Some(MediaKind::Image);
    Some(if is_picture { "image/webp" } else { mime_type })
}

/// The MIME type of a file or an address, by its ending.
pub(super) fn of_name(name: &str) -> Option<&'static str> {
    let path = name.split(['?', '#']).next().unwrap_or(name);
    let ending = path.rsplit('/').next().and_then(|file| file.rsplit_once('.'))?.1.to_ascii_lowercase();
    ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, mime_type)| *mime_type)
}

/// What a medium of this kind most likely is.
pub(super) const fn usual(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Document => "application/pdf",
        MediaKind::Audio => "audio/mpeg",
        MediaKind::Video => "video/mp4",
    }
}

/// Files that Google keeps for the account: its Files API, its Cloud Storage.
pub(super) fn is_googles(uri: &str) -> bool {
    uri.starts_with("gs://") || uri.starts_with("files/") || uri.contains("generativelanguage.googleapis.com/")
}

/// Base64 as all others take it (RFC 4648, section 4): Google's own SDK for Python writes the URL-safe alphabet, and may leave out
/// the padding.
pub(super) fn standard_base64(base64: Cow<'_, str>) -> Cow<'_, str> {
    let is_standard = base64.len().is_multiple_of(4) && !base64.bytes().any(|byte| matches!(byte, b'-' | b'_'));
    // What is broken into lines has no length that tells.
    if is_standard || base64.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return base64;
    }
    let mut standard = base64.replace('-', "+").replace('_', "/");
    while !standard.len().is_multiple_of(4) {
        standard.push('=');
    }
    Cow::Owned(standard)
}

/// A `data:` URL's MIME type and base64.
pub(super) fn of_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
    let mime_type = head.strip_suffix(";base64")?;
    Some((mime_type.split(';').next().unwrap_or_default(), base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_are_known_by_their_bytes_names_and_urls() {
        assert_eq!(of_base64("iVBORw0KGgo=", None), Some("image/png"));
        assert_eq!(of_base64("UklGRg==", None), Some("audio/wav"));
        assert_eq!(of_base64("UklGRg==", Some(MediaKind::Image)), Some("image/webp"));
        assert_eq!(of_base64("AAAA", None), None);
        assert_eq!(of_name("https://example.com/a.b/cat.JPG?x=1.png"), Some("image/jpeg"));
        assert_eq!(of_name("https://example.com/cat"), None);
        assert_eq!(of_data_url("data:image/png;base64,AA=="), Some(("image/png", "AA==")));
        assert_eq!(of_data_url("https://example.com"), None);
        assert!(is_googles("https://generativelanguage.googleapis.com/v1beta/files/a") && !is_googles("https://a.b/c"));
        assert_eq!(kind(Some("text/plain")), MediaKind::Document);
    }
}
