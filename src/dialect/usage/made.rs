//! What an answer says was made or heard, where that may be billed by the piece.

use super::millis::Millis;
use super::places::Slot;
use super::report::Report;

/// The longest word for a quality or a size that is kept, in bytes.
const WORD_BYTES_MAX: usize = 32;
/// More images than this are not believed of one answer: OpenAI makes ten at most.
const IMAGES_MAX: u64 = 128;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Images, as far as the answer has come. `None`: it says nothing of them.
    pub images: Option<u64>,
    /// The images' quality.
    pub quality: Option<String>,
    /// Their size.
    pub size: Option<String>,
    /// How long the audio is that was heard, in milliseconds.
    pub audio_ms: Option<u64>,
    /// The end of the last cue of subtitles, in milliseconds.
    pub last_cue_ms: Option<u64>,
    /// Some of it was said and is not believed.
    pub disbelieved: bool,
}

/// The same as one event, or the document, says it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    /// Elements of the list of images; in a stream, images that are complete.
    pub(super) images: u64,
    /// There is a list of images, be it empty.
    pub(super) has_list: bool,
    quality: Option<String>,
    size: Option<String>,
    /// As the answer has it, as its usage has it, and as Mistral's has it, in this order.
    audio: [Millis; 3],
}

impl Pieces {
    /// A value in one of the places for these.
    pub(super) fn captured(&mut self, slot: Slot, json: &[u8]) {
        match slot {
            Slot::ImageQuality => self.quality = word(json).or(self.quality.take()),
            Slot::ImageSize => self.size = word(json).or(self.size.take()),
            _ => self.audio[0] = Millis::of_seconds(json),
        }
    }

    /// A report of usage.
    pub(super) fn reported(&mut self, report: Option<&Report>) {
        if let Some(Report::OpenAi(usage)) = report {
            self.audio[1..].copy_from_slice(&usage.audio());
        }
    }

    /// Adds what a further event says.
    pub(super) fn add(&mut self, next: &mut Self) {
        self.images = self.images.saturating_add(next.images);
        self.has_list |= next.has_list;
        self.quality = next.quality.take().or(self.quality.take());
        self.size = next.size.take().or(self.size.take());
        for (audio, next) in self.audio.iter_mut().zip(next.audio) {
            *audio = next.or(*audio);
        }
    }

    /// All that was said. `counts_images`: an answer of this kind that has no image says so by that.
    pub(super) fn made(&self, counts_images: bool, last_cue_ms: Option<u64>) -> Made {
        let images = (self.has_list || counts_images || self.images > 0).then_some(self.images);
        let believed = images.filter(|images| *images <= IMAGES_MAX);
        let told = self.audio.iter().find(|ms| ms.get().is_some()).and_then(|ms| ms.get());
        let is_bad = told.is_none() && self.audio.contains(&Millis::Bad);
        Made {
            images: believed,
            quality: self.quality.clone(),
            size: self.size.clone(),
            audio_ms: told,
            last_cue_ms,
            disbelieved: is_bad || images != believed,
        }
    }
}

fn word(json: &[u8]) -> Option<String> {
    serde_json::from_slice::<String>(json).ok().filter(|word| word.len() <= WORD_BYTES_MAX)
}
