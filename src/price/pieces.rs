//! Prices of what is billed by the piece: images that were made, audio that was heard, characters that were spoken.
//!
//! They stand among a row's fees. An answer's [`ExtraUsage`] has them as something that was done so
//! often: `image_hd_1024x1792`, `audio_ms`, `character`.

use super::cost::{GRAINS_PER_NANO, Item, Price, Tariff};
use super::fees::Fee;
use tollgate_plugin_api::ExtraUsage;

/// Images: the fee's name, and the beginning of those of particular ones.
const IMAGE: &str = "image";
/// What an hour of audio costs, and what is counted of it.
pub(super) const AUDIO_HOUR: &str = "audio_hour";
const AUDIO_MS: &str = "audio_ms";
const CHARACTER: &str = "character";

/// The milliseconds of an hour.
pub(super) const MS_PER_HOUR: u128 = 3_600_000;
/// The longest word for a quality or a size that a name is made with, in bytes.
const WORD_BYTES_MAX: usize = 24;
/// What says that the provider chooses.
const AUTO: &str = "auto";

/// Words for qualities that vendors have (OpenAI's image models), from the plain one on. There may be others.
const QUALITIES: [&str; 5] = ["standard", "hd", "low", "medium", "high"];
const STANDARD: &str = QUALITIES[0];

/// First words of names that somebody may write for a fee, and what it is called.
const NEAR_NAMES: [(&str, &str); 14] = [
    ("images", IMAGE),
    ("picture", IMAGE),
    ("pictures", IMAGE),
    ("audio", AUDIO_HOUR),
    ("second", AUDIO_HOUR),
    ("seconds", AUDIO_HOUR),
    ("minute", AUDIO_HOUR),
    ("minutes", AUDIO_HOUR),
    ("hour", AUDIO_HOUR),
    ("hours", AUDIO_HOUR),
    ("characters", CHARACTER),
    (CHARACTER, CHARACTER),
    ("char", CHARACTER),
    ("chars", CHARACTER),
];

/// What is billed by the piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An image that was made.
    Image,
    /// A millisecond of audio that was heard.
    AudioMs,
    /// A character (a Unicode code point) of text to be spoken.
    Character,
}

impl Piece {
    /// What something is that an answer says was done so often. `None`: it is billed by the time.
    pub(super) fn of(kind: &str) -> Option<Self> {
        match kind {
            AUDIO_MS => Some(Self::AudioMs),
            CHARACTER => Some(Self::Character),
            _ => is_image(kind).then_some(Self::Image),
        }
    }

    /// Its name in records; an image's by what is known of it, in small letters: `image_hd_1024x1792`. Words that no fee can have
    /// are left out, and so is `auto`.
    pub fn kind(self, quality: Option<&str>, size: Option<&str>) -> String {
        match self {
            Self::AudioMs => AUDIO_MS.to_owned(),
            Self::Character => CHARACTER.to_owned(),
            Self::Image => {
                let words = [Said::quality(quality).word(), Said::size(size).word()];
                words.into_iter().flatten().fold(IMAGE.to_owned(), |kind, word| kind + "_" + &word)
            }
        }
    }
}

/// What a field for an image's quality or size says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing, or that the provider chooses.
    Nothing,
    /// A word as names have it.
    Word(String),
    /// Something that no fee can be named by.
    Unclear,
}

impl Said {
    /// Of a quality. What has a size in it is none.
    pub fn quality(text: Option<&str>) -> Self {
        Self::of(text, |word| !word.split('_').any(is_measures))
    }

    /// Of a size. What begins with a quality is none.
    pub fn size(text: Option<&str>) -> Self {
        Self::of(text, |word| !word.split('_').next().is_some_and(|first| QUALITIES.contains(&first)))
    }

    fn of(text: Option<&str>, fits: impl Fn(&str) -> bool) -> Self {
        let word = text.unwrap_or_default().trim().to_ascii_lowercase().replace(['*', '\u{d7}'], "x");
        let word = word.replace(['-', ' ', ':'], "_");
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        match word {
            word if word.is_empty() || word == AUTO => Self::Nothing,
            word if word.len() <= WORD_BYTES_MAX && word.bytes().all(is_name) && fits(&word) => Self::Word(word),
            _ => Self::Unclear,
        }
    }

    fn word(self) -> Option<String> {
        match self {
            Self::Word(word) => Some(word),
            Self::Nothing | Self::Unclear => None,
        }
    }
}

/// `1024x1792`
fn is_measures(word: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    word.split_once('x').is_some_and(|(width, height)| is_number(width) && is_number(height))
}

fn is_image(name: &str) -> bool {
    name.strip_prefix(IMAGE).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// What a fee is probably meant to be called that can never apply. `None`: it can, as far as anybody knows.
pub(super) fn near_name(fee: &str) -> Option<String> {
    if fee == AUDIO_HOUR || fee == CHARACTER {
        return None;
    }
    let first = fee.split('_').next().unwrap_or(fee);
    if first == IMAGE {
        // Measures stand last, and no answer has a word that is empty or leaves the choice.
        let words = fee.split('_').filter(|word| !word.is_empty() && *word != AUTO);
        let (sizes, others): (Vec<&str>, Vec<&str>) = words.partition(|word| is_measures(word));
        return Some([others, sizes].concat().join("_")).filter(|near| near != fee);
    }
    NEAR_NAMES.iter().find(|(near, _)| *near == first).map(|(_, name)| (*name).to_owned())
}

/// What a fee is for, in words: `for each image`. `None`: each time.
pub fn per_piece(fee: &str) -> Option<&'static str> {
    match fee {
        AUDIO_HOUR => Some("an hour of audio"),
        CHARACTER => Some("a character"),
        _ => is_image(fee).then_some("for each image"),
    }
}

/// Whether an image's fee holds for an image of this kind: it is that of all images, or names the same quality and size, or one of
/// the two.
fn holds_for(fee: &str, kind: &str) -> bool {
    let (Some(fee), Some(kind)) = (fee.strip_prefix(IMAGE), kind.strip_prefix(IMAGE)) else { return false };
    let ends_between = |rest: &str| rest.is_empty() || rest.starts_with('_');
    // What stands at the end begins with its `_`.
    kind.strip_prefix(fee).is_some_and(ends_between) || kind.ends_with(fee)
}

/// Whether a word is one of those in an image's fee.
fn names(fee: &str, word: &str) -> bool {
    is_image(fee) && format!("{fee}_").contains(&format!("_{word}_"))
}

/// Whether an image's fee can hold for an image of which this is known. What surely names another quality or size cannot; of other
/// words nobody knows which of the two they are.
fn can_hold_for(fee: &str, [quality, size]: [Option<&str>; 2]) -> bool {
    let (true, Some(rest)) = (is_image(fee), fee.strip_prefix(IMAGE)) else { return false };
    let first_is_quality = rest.split('_').nth(1).is_some_and(|first| QUALITIES.contains(&first));
    let is_other_quality =
        quality.is_some_and(|own| first_is_quality && !format!("{rest}_").starts_with(&format!("_{own}_")));
    let last_is_size = rest.rsplit('_').next().is_some_and(is_measures);
    let is_other_size = size.is_some_and(|own| last_is_size && !rest.ends_with(&format!("_{own}")));
    !is_other_quality && !is_other_size
}

/// What one request is billed for by the piece, or can be at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct PieceCounts<'a> {
    /// Images.
    pub images: u64,
    /// Of what quality, if that is said.
    pub quality: Option<&'a str>,
    /// Of what size, likewise.
    pub size: Option<&'a str>,
    /// Milliseconds of audio.
    pub audio_ms: u64,
    /// Characters to be spoken.
    pub characters: u64,
}

impl PieceCounts<'_> {
    /// What is said of images' quality and size.
    fn said(&self) -> [Said; 2] {
        [Said::quality(self.quality), Said::size(self.size)]
    }

    /// As an answer has them. What was not done at all is left out.
    pub fn extras(&self) -> Vec<ExtraUsage> {
        let pieces =
            [(Piece::Image, self.images), (Piece::AudioMs, self.audio_ms), (Piece::Character, self.characters)];
        let done = pieces.into_iter().filter(|(_, times)| *times > 0);
        done.map(|(piece, times)| ExtraUsage::of_times(piece.kind(self.quality, self.size), times)).collect()
    }
}

/// How a price charges for something that is billed by the piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// A fee for it.
    ByPiece,
    /// A fee for it, and there are token prices beside it.
    ByPieceAndToken,
    /// By tokens alone.
    ByToken,
    /// By the request.
    ByRequest,
    /// Not at all.
    Not,
}

impl Tariff {
    /// The fee for a piece of this kind.
    pub(super) fn piece_fee(&self, piece: Piece, kind: &str) -> Option<u64> {
        match piece {
            Piece::AudioMs => self.fee(AUDIO_HOUR),
            Piece::Character => self.fee(CHARACTER),
            Piece::Image => {
                let fits = self.fees.iter().filter(|fee| holds_for(&fee.kind, kind));
                // The most particular one; of two, the dearer.
                let particular = |name: &str| name.bytes().filter(|byte| *byte == b'_').count();
                fits.max_by_key(|fee| (particular(&fee.kind), fee.nanos)).map(|fee| fee.nanos)
            }
        }
    }

    /// What is charged for so much audio: there may be a least that is.
    pub(super) fn audio_ms_charged(&self, ms: u64) -> u64 {
        if ms == 0 { 0 } else { ms.max(self.audio_seconds_min.saturating_mul(1000)) }
    }

    /// The dearest fee that an image can have of which no more is known than these words.
    fn dearest_image(&self, [quality, size]: [Option<&str>; 2]) -> Option<&Fee> {
        let fits = self.fees.iter().filter(|fee| can_hold_for(&fee.kind, [quality, size]));
        fits.max_by_key(|fee| fee.nanos)
    }

    /// The dearest fee that an image can have of which no more is known than what was asked for. Where none holds for it, the least that
    /// there is for any.
    fn image_fee_max(&self, pieces: &PieceCounts<'_>) -> u64 {
        // A provider may not know a word that stands in no fee, and take another.
        let is_known =
            |word: &String| is_measures(word) || word == STANDARD || self.fees.iter().any(|fee| names(&fee.kind, word));
        let stated = pieces.said().map(|said| said.word().filter(is_known));
        let fee = match &stated {
            [Some(_), Some(_)] => self.piece_fee(Piece::Image, &Piece::Image.kind(pieces.quality, pieces.size)),
            [quality, size] => self.dearest_image([quality.as_deref(), size.as_deref()]).map(|fee| fee.nanos),
        };
        let least = || self.fees.iter().filter(|fee| is_image(&fee.kind)).map(|fee| fee.nanos).min();
        fee.or_else(least).unwrap_or(0)
    }

    fn pieces_grains(&self, pieces: &PieceCounts<'_>) -> u128 {
        let grains = |item: Item, count: u64, rate: u64| {
            u128::from(count).saturating_mul(rate.into()).saturating_mul(item.grains_per_rate())
        };
        let fee = |name: &str| self.fee(name).unwrap_or(0);
        let images = || grains(Item::Images, pieces.images, self.image_fee_max(pieces));
        let audio = || grains(Item::AudioMs, self.audio_ms_charged(pieces.audio_ms), fee(AUDIO_HOUR));
        let characters = || grains(Item::Characters, pieces.characters, fee(CHARACTER));
        if self.fees.is_empty() { 0 } else { images().saturating_add(audio()).saturating_add(characters()) }
    }
}

impl Item {
    /// Grains in what one piece costs at a nano-USD, of what is not a token.
    pub(super) const fn grains_per_rate(self) -> u128 {
        match self {
            // Prices of tokens are multiplied, too: see `Part::grains`.
            Self::Tokens(_) => GRAINS_PER_NANO / 1_000_000,
            Self::WebSearches => GRAINS_PER_NANO / 1_000,
            Self::AudioMs => GRAINS_PER_NANO / MS_PER_HOUR,
            Self::Request | Self::Fee | Self::Images | Self::Characters => GRAINS_PER_NANO,
        }
    }
}

impl Price {
    /// How it charges for a piece of this kind at that time.
    pub fn charged(&self, piece: Piece, kind: &str, unix_ms: i64) -> Charged {
        let terms = self.plain_terms(unix_ms);
        let has_token_prices = terms.sheet.steps().iter().any(|step| step.rates.iter().any(|rate| *rate > 0));
        match terms.tariff.piece_fee(piece, kind).is_some() {
            true if has_token_prices => Charged::ByPieceAndToken,
            true => Charged::ByPiece,
            false if has_token_prices => Charged::ByToken,
            false if terms.tariff.per_request > 0 => Charged::ByRequest,
            false => Charged::Not,
        }
    }

    /// What an image is billed as at that time where quality or size are said in no words that a fee can have, or are left open and no
    /// fee holds without them: the dearest that can come, so that no such request is cheaper. `None`: all is clear, or there is no such
    /// fee.
    pub fn dearest_image(&self, pieces: &PieceCounts<'_>, unix_ms: i64) -> Option<String> {
        let (said, tariff) = (pieces.said(), self.tariff_at(unix_ms));
        let kind = || Piece::Image.kind(pieces.quality, pieces.size);
        let is_open = || said.contains(&Said::Nothing) && tariff.piece_fee(Piece::Image, &kind()).is_none();
        if !said.contains(&Said::Unclear) && !is_open() {
            return None;
        }
        let words = said.map(Said::word);
        let fee = tariff.dearest_image(words.each_ref().map(|word| word.as_deref()));
        fee.map(|fee| fee.kind.to_string())
    }

    /// The most that pieces cost at any time.
    pub(super) fn pieces_grains_max(&self, pieces: &PieceCounts<'_>) -> u128 {
        self.tariffs().map(|tariff| tariff.pieces_grains(pieces)).max().unwrap_or(0)
    }
}
