//! Images and documents as Messages takes them.

use super::super::super::fields::Field;
use super::super::super::request::{Media, MediaKind, Source};
use super::super::super::wire::Inexpressible;
use super::super::super::write::Members;
use std::borrow::Cow;

const PDF: &str = "application/pdf";
/// The types of images, and how their bytes begin in base64.
const IMAGES: [(&str, &str); 4] =
    [("image/png", "iVBORw0KGgo"), ("image/jpeg", "/9j/"), ("image/gif", "R0lGOD"), ("image/webp", "UklGR")];

/// A block that is an image or a document.
pub(super) struct Sent<'r> {
    kind: &'static str,
    title: Option<&'r str>,
    source: SentSource<'r>,
}

enum SentSource<'r> {
    Base64(Cow<'r, str>, &'r str),
    Text(Cow<'r, str>),
    Url(&'r str),
}

impl<'r> Sent<'r> {
    /// # Errors
    /// Messages takes no such thing.
    pub(super) fn of(media: &'r Media<'_>) -> Result<Self, Inexpressible> {
        let refuse = |what: String| Err(Inexpressible::new(Field::Messages, what));
        let mime_type = media.mime_type.as_deref().map(|kind| kind.split(';').next().unwrap_or(kind).trim());
        let (kind, title) = match media.kind {
            MediaKind::Image => ("image", None),
            MediaKind::Document => ("document", media.name.as_deref()),
            MediaKind::Audio => return refuse("a sound".to_owned()),
            MediaKind::Video => return refuse("a film".to_owned()),
        };
        let source = match &media.source {
            Source::File(_) => return refuse("a file that another provider keeps".to_owned()),
            Source::Url(url) if !is_web(url) => return refuse("an address that is not of the web".to_owned()),
            Source::Url(url) => SentSource::Url(url),
            Source::Text(text) => SentSource::Text(Cow::Borrowed(&**text)),
            Source::Base64(data) if kind == "image" => match image_type(mime_type, data) {
                Some(mime_type) => SentSource::Base64(mime_type.into(), data),
                None => return refuse(format!("an image of type {}", mime_type.unwrap_or("unknown"))),
            },
            Source::Base64(data) => match mime_type.unwrap_or(PDF) {
                PDF => SentSource::Base64(PDF.into(), data),
                text if is_text(text) => match decoded(data) {
                    Some(text) => SentSource::Text(text.into()),
                    None => return refuse("a text document that is not UTF-8".to_owned()),
                },
                other => return refuse(format!("a document of type {other}")),
            },
        };
        Ok(Self { kind, title, source })
    }

    pub(super) fn write(&self, element: &mut Members<'_>) {
        element.member("type", self.kind);
        element.object("source", |source| match &self.source {
            SentSource::Base64(mime_type, data) => {
                source.member("type", "base64");
                source.member("media_type", mime_type);
                source.member("data", data);
            }
            SentSource::Text(text) => {
                source.member("type", "text");
                source.member("media_type", "text/plain");
                source.member("data", text);
            }
            SentSource::Url(url) => {
                source.member("type", "url");
                source.member("url", url);
            }
        });
        element.some("title", self.title);
    }
}

fn is_web(url: &str) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
}

fn is_text(mime_type: &str) -> bool {
    mime_type.starts_with("text/") || mime_type == "application/json"
}

/// The type as it is said or, where it is not, as the bytes begin.
fn image_type(said: Option<&str>, data: &str) -> Option<&'static str> {
    let said = if said == Some("image/jpg") { Some("image/jpeg") } else { said };
    let is_one = |(mime_type, beginning): &&(&str, &str)| match said {
        Some(said) => said.eq_ignore_ascii_case(mime_type),
        None => data.starts_with(beginning),
    };
    IMAGES.iter().find(is_one).map(|(mime_type, _)| *mime_type)
}

/// The text that stands in base64, with either alphabet.
fn decoded(base64: &str) -> Option<String> {
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(base64.len() / 4 * 3), 0_u32, 0);
    for letter in base64.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xFF).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_from_base64_of_either_alphabet() {
        assert_eq!(decoded("SGVsbG8s\nIHdvcmxkIQ==").as_deref(), Some("Hello, world!"));
        assert_eq!(decoded("w7_Dvw").as_deref(), Some("ÿÿ"));
        assert_eq!(decoded("w7/Dvw==").as_deref(), Some("ÿÿ"));
        assert_eq!(decoded("/w=="), None);
        assert_eq!(decoded("a*"), None);
    }
}
