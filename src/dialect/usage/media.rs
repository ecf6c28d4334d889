//! Images and sounds that stand in an answer beside its text: what they come to in tokens if nobody counts them.

/// An image's tokens: as many as those of up to 1024 x 1024 pixels have (ai.google.dev/gemini-api/docs/pricing, "Gemini 2.5 Flash
/// Image").
const IMAGE_TOKENS: u64 = 1_290;

/// A second of sound, in Base64: 24,000 samples of 16 bits (ai.google.dev/gemini-api/docs/speech-generation; OpenAI's `pcm16`, the one
/// format that it streams in).
const SOUND_BASE64_BYTES_PER_S: u64 = 24_000 * 2 * 4 / 3;
/// Tokens of such a second: Google's, …
const GEMINI_TOKENS_PER_S: u64 = 25;
/// … and OpenAI's, one every 50 ms (platform.openai.com/docs/guides/realtime-costs).
const OPENAI_TOKENS_PER_S: u64 = 20;

/// What has passed of media, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaTokens {
    /// Of images.
    pub image: u64,
    /// Of sounds.
    pub audio: u64,
}

impl MediaTokens {
    /// All of them.
    pub fn sum(self) -> u64 {
        self.image.saturating_add(self.audio)
    }
}

/// Media of one event as Gemini has them: parts with a type and Base64.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InlineMedia {
    images: u64,
    has_sound: bool,
    base64_bytes: u64,
}

impl InlineMedia {
    /// The type of one, as JSON.
    pub(super) fn is_of_type(&mut self, json: &[u8]) {
        self.images += u64::from(json.starts_with(b"\"image/"));
        self.has_sound |= json.starts_with(b"\"audio/");
    }

    /// A piece of its Base64.
    pub(super) fn has_bytes(&mut self, bytes: usize) {
        self.base64_bytes = self.base64_bytes.saturating_add(bytes as u64);
    }
}

/// Media of all events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PassedMedia {
    images: u64,
    gemini_sound_bytes: u64,
}

impl PassedMedia {
    /// An event's. One with an image has no sound.
    pub(super) fn add(&mut self, media: InlineMedia) {
        self.images = self.images.saturating_add(media.images);
        if media.images == 0 && media.has_sound {
            self.gemini_sound_bytes = self.gemini_sound_bytes.saturating_add(media.base64_bytes);
        }
    }

    /// With the sounds of OpenAI's chat, in bytes of Base64.
    pub(super) fn tokens(self, openai_sound_bytes: u64) -> MediaTokens {
        let tokens = |bytes: u64, per_s: u64| {
            (bytes / SOUND_BASE64_BYTES_PER_S)
                .saturating_mul(per_s)
                .saturating_add((bytes % SOUND_BASE64_BYTES_PER_S * per_s).div_ceil(SOUND_BASE64_BYTES_PER_S))
        };
        let gemini = tokens(self.gemini_sound_bytes, GEMINI_TOKENS_PER_S);
        MediaTokens {
            image: self.images.saturating_mul(IMAGE_TOKENS),
            audio: gemini.saturating_add(tokens(openai_sound_bytes, OPENAI_TOKENS_PER_S)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_sound_has_its_tokens_and_an_image_those_of_one() {
        let mut passed = PassedMedia::default();
        for (kind, bytes) in
            [("\"audio/L16;rate=24000\"", 64_000), ("\"image/png\"", 900_000), ("\"text/plain\"", 64_000)]
        {
            let mut media = InlineMedia::default();
            media.is_of_type(kind.as_bytes());
            media.has_bytes(bytes);
            passed.add(media);
        }
        assert_eq!(passed.tokens(0), MediaTokens { image: 1_290, audio: 25 });
        assert_eq!(passed.tokens(32_000), MediaTokens { image: 1_290, audio: 35 });
        assert_eq!(PassedMedia::default().tokens(1).sum(), 1, "rounded up");
    }
}
