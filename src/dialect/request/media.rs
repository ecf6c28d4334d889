//! Media in a body: what kind they are, and how many tokens they can be.

use super::super::shape::DialectId;

/// The most tokens that one image can be, whatever the dialect: the dearest known is a 2048 x 768 image in high detail for
/// gpt-4o-mini, 2,833 + 8 * 5,667 = 48,169 tokens by OpenAI's vision guide. An image's bytes tell nothing: a white one of
/// any size is small.
const IMAGE_TOKENS_BOUND: u64 = 50_000;

/// Anthropic scales images down to at most 4,784 tokens (1,568 on older models), by its vision guide.
const ANTHROPIC_IMAGE_TOKENS_BOUND: u64 = 5_000;
/// Gemini cuts images of at most 3072 x 3072 into tiles of 768 x 768 with 258 tokens each, by its token guide; Gemini 3 has
/// 2,240 at the highest resolution.
const GEMINI_IMAGE_TOKENS_BOUND: u64 = 8_000;

/// Base64 characters of sound that a token has at least: OpenAI's `input_audio` takes WAV and MP3, MP3 has at least 1,000
/// bytes a second, and no known model makes more than 32 tokens of one. That is 41; a margin is left for odd encoders.
const AUDIO_CHARS_PER_TOKEN: u64 = 8;
/// Tokens of a sound beside those that grow with its length.
const AUDIO_TOKENS_BASE: u64 = 1_000;

/// What a medium is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mime {
    /// An image.
    Image,
    /// Text, although in base64: it has fewer tokens than base64 characters.
    Text,
    /// Anything else. Compressed documents, videos and silence have no relation between bytes and tokens.
    #[default]
    Other,
}

impl Mime {
    /// The kind of a MIME type.
    pub(super) fn of(mime: &str) -> Self {
        let starts_with =
            |prefix: &str| mime.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        if starts_with("image/") {
            Self::Image
        } else if starts_with("text/") {
            Self::Text
        } else {
            Self::Other
        }
    }

    /// The kind of what is in a `data:` URL. `None`: it is not one.
    pub(super) fn of_data_url(url: &str) -> Option<Self> {
        let scheme = url.get(..5)?;
        let rest = &url[5..];
        scheme.eq_ignore_ascii_case("data:").then(|| Self::of(rest.split([';', ',']).next().unwrap_or_default()))
    }
}

/// Models whose images are so much wherever they run, by what stands in their names, in small letters.
const BY_NAME: [(&str, u64); 2] = [("claude", ANTHROPIC_IMAGE_TOKENS_BOUND), ("gemini", GEMINI_IMAGE_TOKENS_BOUND)];

/// The most tokens of one image, for this model of an upstream's, which is asked in this dialect.
pub fn image_tokens_bound(upstream_model: &str, dialect: DialectId) -> u64 {
    let name = upstream_model.to_ascii_lowercase();
    let by_name = BY_NAME.iter().find(|(word, _)| name.contains(word)).map(|(_, tokens)| *tokens);
    by_name.unwrap_or(match dialect {
        DialectId::Anthropic => ANTHROPIC_IMAGE_TOKENS_BOUND,
        DialectId::Gemini => GEMINI_IMAGE_TOKENS_BOUND,
        _ => IMAGE_TOKENS_BOUND,
    })
}

/// The most tokens of so much WAV or MP3 in base64.
pub(super) fn audio_tokens_bound(chars: u64) -> u64 {
    AUDIO_TOKENS_BASE + chars / AUDIO_CHARS_PER_TOKEN
}

#[cfg(test)]
mod tests {
    use super::Mime;

    #[test]
    fn mime_types_are_told_apart() {
        for (mime, expected) in [
            ("image/png", Mime::Image),
            ("IMAGE/JPEG", Mime::Image),
            ("text/plain; charset=utf-8", Mime::Text),
            ("application/pdf", Mime::Other),
            ("video/mp4", Mime::Other),
            ("", Mime::Other),
            ("imag", Mime::Other),
        ] {
            assert_eq!(Mime::of(mime), expected, "{mime}");
        }
        assert_eq!(Mime::of_data_url("data:image/png;base64,AAAA"), Some(Mime::Image));
        assert_eq!(Mime::of_data_url("DATA:text/plain,hello"), Some(Mime::Text));
        assert_eq!(Mime::of_data_url("data:;base64,AAAA"), Some(Mime::Other));
        assert_eq!(Mime::of_data_url("https://example.com/data:image/png"), None);
        assert_eq!(Mime::of_data_url("é"), None);
    }
}
