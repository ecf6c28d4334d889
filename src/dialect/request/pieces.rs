//! What a request asks for that may be billed by the piece: images, audio to be heard, text to be spoken.

/// The lowest bit rate at which speech is sent, in bits a second: the lowest mode of AMR narrow-band is 4.75 kbit/s (3GPP TS 26.071;
/// Opus' lowest is 6, RFC 6716, section 2). What a file's head says of its length can be a lie; how long its speech is at most, its
/// bytes say. Silence is less still in some codecs: that is no bound, and what goes beyond it is recorded as overshoot.
const BITS_PER_SECOND_MIN: u64 = 4_750;
/// What nothing is below, in bits a second: an hour of digital silence is 12,220 bytes in FLAC, 27 bit/s. A length that is told beyond that
/// is not believed.
const BITS_PER_SECOND_SILENT: u64 = 20;
/// The highest at which it mostly is: two channels of 16 bits at 48 kHz. What is heard is no shorter than that.
const BITS_PER_SECOND_USUAL_MAX: u64 = 1_536_000;
/// The largest file that is fetched from elsewhere: what Groq takes (console.groq.com/docs/speech-to-text, "Max file size").
const ELSEWHERE_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// No shorter length is absurd: sound may be in places of a body that nobody here knows.
const ABSURD_MS_MIN: u64 = 60_000;
/// The longest word for a quality or a size that is kept, in bytes.
const WORD_BYTES_MAX: usize = 32;

/// As many images are made where a model decides how many, and no limit is told: Ark's `sequential_image_generation` makes up to 15
/// (volcengine.com/docs/82379/1541523).
const SERIES_IMAGES_MAX: u64 = 15;

/// How a request says there that the model is not to decide.
pub(super) const NO_SERIES: &str = "disabled";

/// What is asked for in no word: a provider may know it, so it is not as if nothing was asked for.
pub(super) const NO_WORD: &str = "?";

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct AskedPieces {
    /// The images' quality, as the request says it.
    pub quality: Option<Box<str>>,
    /// Their size, likewise.
    pub size: Option<Box<str>>,
    /// How many images are to be made for each answer, by fields of vendors' own: SiliconFlow's `batch_size`, fal's `num_images`, Ark's
    /// `max_images`. `None`: none of them is there.
    images: Option<u64>,
    /// The model decides how many.
    is_series: bool,
    /// Characters (Unicode code points) of the text to be spoken.
    pub characters: u64,
    /// Bytes of the sounds to be heard; of those that are elsewhere, the most that there can be.
    audio_bytes: u64,
    /// Sounds are in the body.
    has_audio: bool,
    /// There is text to be spoken, be it empty.
    is_spoken: bool,
    /// What is to be spoken is not, or not only, text.
    is_otherwise_spoken: bool,
}

impl AskedPieces {
    /// There are sounds to be heard, here or elsewhere.
    pub fn hears_anything(&self) -> bool {
        self.audio_bytes > 0
    }

    /// How long the audio is at most, in milliseconds: as long as so many bytes are at the lowest bit rate.
    pub fn audio_ms_max(&self) -> u64 {
        ms_of(self.audio_bytes, BITS_PER_SECOND_MIN)
    }

    /// How long it is at least, as far as its bytes tell: nothing is known of what is elsewhere.
    pub fn audio_ms_min(&self) -> u64 {
        if self.has_audio { ms_of(self.audio_bytes, BITS_PER_SECOND_USUAL_MAX).max(1) } else { 1 }
    }

    /// A length that no file of so many bytes can have, be it of silence.
    pub fn is_absurd(&self, audio_ms: u64) -> bool {
        audio_ms > ms_of(self.audio_bytes, BITS_PER_SECOND_SILENT).max(ABSURD_MS_MIN)
    }

    /// How many images there are at most for each answer that `n` asks for.
    pub(super) fn images_max(&self) -> u64 {
        self.images.unwrap_or(if self.is_series { SERIES_IMAGES_MAX } else { 1 }).max(1)
    }

    /// So many images for each answer.
    pub(super) fn asks_for(&mut self, images: u64) {
        self.images = self.images.max(Some(images));
    }

    /// As many images as the model decides.
    pub(super) fn asks_for_series(&mut self) {
        self.is_series = true;
    }

    /// A sound in the body.
    pub(super) fn hears(&mut self, bytes: usize) {
        self.audio_bytes = self.audio_bytes.saturating_add(bytes as u64);
        self.has_audio = true;
    }

    /// A sound that is fetched from elsewhere.
    pub(super) fn hears_elsewhere(&mut self) {
        self.audio_bytes = self.audio_bytes.max(ELSEWHERE_BYTES_MAX);
        self.has_audio = false;
    }

    /// Text to be spoken.
    pub(super) fn speaks(&mut self, text: &str) {
        self.is_spoken = true;
        self.characters = self.characters.saturating_add(text.chars().count() as u64);
    }

    /// Something else than text is to be spoken.
    pub(super) fn speaks_otherwise(&mut self) {
        self.is_otherwise_spoken = true;
    }

    /// Where no text stands in the place for what is to be spoken, or something else does: there is no more of it than in the whole body.
    pub(super) fn speaks_of(&mut self, body: &str) {
        if self.is_otherwise_spoken || !self.is_spoken {
            self.characters = body.chars().count() as u64;
        }
    }

    /// A field that says what images are to be like. What is too long is kept as a word that nothing is called by.
    pub(super) fn note(&mut self, field: &str, word: &str) {
        let word = Some(if word.len() <= WORD_BYTES_MAX { word } else { NO_WORD }.into());
        match field {
            "quality" => self.quality = word,
            _ => self.size = word,
        }
    }
}

/// Rounded up.
fn ms_of(bytes: u64, bits_per_second: u64) -> u64 {
    let ms = (u128::from(bytes) * 8_000).div_ceil(bits_per_second.into());
    u64::try_from(ms).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::AskedPieces;

    #[test]
    fn the_length_of_a_sound_is_bounded_by_its_bytes() {
        let mut asked = AskedPieces::default();
        assert_eq!(asked.audio_ms_max(), 0);
        asked.hears(750);
        assert_eq!((asked.audio_ms_max(), asked.audio_ms_min()), (1_264, 4));
        asked.hears(1);
        assert_eq!(asked.audio_ms_max(), 1_265, "rounded up");
        asked.hears_elsewhere();
        assert_eq!((asked.audio_ms_max(), asked.audio_ms_min()), (176_602_274, 1), "49 hours");
    }
}
