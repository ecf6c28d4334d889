//! What an answer says was made or heard, where that may be billed by the piece.

use super::count::Count;
use super::millis::Millis;
use super::places::Slot;
use super::report::Report;

/// The longest word for a quality or a size that is kept, in bytes.
const WORD_BYTES_MAX: usize = 32;
/// More images than this are not believed of one answer: OpenAI makes ten at most.
const IMAGES_MAX: u64 = 128;
/// So many kinds of images are told apart in one answer; what is of further ones has the kind of the last of these.
const KINDS_MAX: usize = 8;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Images, as far as the answer has come. `None`: it says nothing of them.
    pub images: Option<u64>,
    /// How many there are of each kind, in the order in which they came. It may be fewer or more than there are.
    pub kinds: Vec<ImageKind>,
    /// The quality of the last, or of all.
    pub quality: Option<String>,
    /// Its size.
    pub size: Option<String>,
    /// It says in words of its own that it failed.
    pub has_failed_in_words: bool,
    /// How long the audio is that was heard, in milliseconds.
    pub audio_ms: Option<u64>,
    /// The end of the last cue of subtitles, or of the last segment, in milliseconds.
    pub last_cue_ms: Option<u64>,
    /// Some of it was said and is not believed.
    pub disbelieved: bool,
}

/// Images that are alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageKind {
    /// Their quality, as the answer says it.
    pub quality: Option<String>,
    /// Their size, likewise.
    pub size: Option<String>,
    /// How many there are.
    pub images: u64,
}

/// The same as one event, or the document, says it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    /// Elements of the list of images; in a stream, images that are complete.
    pub(super) images: u64,
    /// There is a list of images, be it empty.
    pub(super) has_list: bool,
    /// It says in words of its own that it failed.
    pub(super) has_failed_in_words: bool,
    /// Elements of the list that failed.
    failed: u64,
    /// The vendor's own count of images.
    counted: Count,
    kinds: Vec<ImageKind>,
    quality: Option<String>,
    size: Option<String>,
    /// As the answer has it, as its usage has it, and as Mistral's has it, in this order.
    audio: [Millis; 3],
    /// Where the last segment ends.
    last_segment: Millis,
}

impl Pieces {
    /// A value in one of the places for these.
    pub(super) fn captured(&mut self, slot: Slot, json: &[u8]) {
        match slot {
            Slot::ImageQuality => self.quality = word(json).or(self.quality.take()),
            Slot::ImageSize => self.size = word(json).or(self.size.take()),
            Slot::SegmentEnd => self.last_segment = self.last_segment.longer(Millis::of_seconds(json)),
            _ => self.audio[0] = self.audio[0].longer(Millis::of_seconds(json)),
        }
    }

    /// An element of the list has an error in the place of an image.
    pub(super) fn fails(&mut self) {
        self.failed = self.failed.saturating_add(1);
        self.has_list = true;
    }

    /// A report of usage.
    pub(super) fn reported(&mut self, report: Option<&Report>) {
        if let Some(Report::OpenAi(usage)) = report {
            self.audio[1..].copy_from_slice(&usage.audio());
            self.counted = usage.images().or(self.counted);
        }
    }

    /// Adds what a further event says.
    pub(super) fn add(&mut self, next: Self) {
        let Self { quality, size, .. } = &next;
        let images = next.images.saturating_sub(next.failed);
        self.add_kind(ImageKind { quality: quality.clone(), size: size.clone(), images });
        self.images = self.images.saturating_add(images);
        self.has_list |= next.has_list || next.images > 0;
        self.has_failed_in_words |= next.has_failed_in_words;
        self.counted = next.counted.or(self.counted);
        self.last_segment = self.last_segment.longer(next.last_segment);
        self.quality = next.quality.or(self.quality.take());
        self.size = next.size.or(self.size.take());
        for (audio, next) in self.audio.iter_mut().zip(next.audio) {
            *audio = next.or(*audio);
        }
    }

    fn add_kind(&mut self, next: ImageKind) {
        if next.images == 0 {
            return;
        }
        let is_full = self.kinds.len() >= KINDS_MAX;
        let same = self.kinds.iter().position(|kind| (&kind.quality, &kind.size) == (&next.quality, &next.size));
        match same.or_else(|| is_full.then_some(KINDS_MAX - 1)) {
            Some(at) => self.kinds[at].images = self.kinds[at].images.saturating_add(next.images),
            None => self.kinds.push(next),
        }
    }

    /// All that was said. `counts_images`: an answer of this kind that has no image says so by that.
    pub(super) fn made(&self, counts_images: bool, last_cue_ms: Option<u64>) -> Made {
        let listed = (self.has_list || counts_images).then_some(self.images);
        let images = self.counted.get().or(listed);
        let believed = images.filter(|images| *images <= IMAGES_MAX);
        let told = self.audio.iter().find(|ms| ms.get().is_some()).and_then(|ms| ms.get());
        let is_bad = told.is_none() && self.audio.contains(&Millis::Bad);
        Made {
            images: believed,
            kinds: self.kinds.clone(),
            has_failed_in_words: self.has_failed_in_words,
            quality: self.quality.clone(),
            size: self.size.clone(),
            audio_ms: told,
            last_cue_ms: last_cue_ms.max(self.last_segment.get()),
            disbelieved: is_bad || images != believed || self.counted == Count::Bad,
        }
    }
}

fn word(json: &[u8]) -> Option<String> {
    serde_json::from_slice::<String>(json).ok().filter(|word| word.len() <= WORD_BYTES_MAX)
}
