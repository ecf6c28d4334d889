//! Prices of what is billed by the piece: images that were made, audio that was heard, characters that were spoken.
//!
//! They stand among a row's fees. An answer's [`ExtraUsage`] has them as something that was done so
//! often: `image_hd_1024x1792`, `audio_ms`, `character`.

use super::cost::{GRAINS_PER_NANO, Item, Price, Tariff};
use tollgate_plugin_api::ExtraUsage;

/// Images: the fee's name, and the beginning of those of particular ones.
const IMAGE: &str = "image";
/// What an hour of audio costs, and what is counted of it.
const AUDIO_HOUR: &str = "audio_hour";
const AUDIO_MS: &str = "audio_ms";
const CHARACTER: &str = "character";

/// The milliseconds of an hour.
pub(super) const MS_PER_HOUR: u128 = 3_600_000;
/// The longest word for a quality or a size that a name is made with, in bytes.
const WORD_BYTES_MAX: usize = 24;
/// What says that the provider chooses.
const AUTO: &str = "auto";

/// Names that somebody may write for a fee, and what it is called.
const NEAR_NAMES: [(&str, &str); 14] = [
    ("images", IMAGE),
    ("picture", IMAGE),
    ("audio", AUDIO_HOUR),
    (AUDIO_MS, AUDIO_HOUR),
    ("audio_second", AUDIO_HOUR),
    ("audio_seconds", AUDIO_HOUR),
    ("audio_minute", AUDIO_HOUR),
    ("audio_minutes", AUDIO_HOUR),
    ("audio_hours", AUDIO_HOUR),
    ("second", AUDIO_HOUR),
    ("minute", AUDIO_HOUR),
    ("hour", AUDIO_HOUR),
    ("characters", CHARACTER),
    ("char", CHARACTER),
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
                let words = [quality, size].into_iter().flatten().filter_map(word);
                words.fold(IMAGE.to_owned(), |kind, word| kind + "_" + &word)
            }
        }
    }
}

/// A quality or a size as names have it. `None`: it is none, or no fee can be named so.
fn word(text: &str) -> Option<String> {
    let word = text.trim().to_ascii_lowercase().replace('*', "x").replace(['-', ' ', ':'], "_");
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let fits = !word.is_empty() && word.len() <= WORD_BYTES_MAX && word.bytes().all(is_name);
    (fits && word != AUTO).then_some(word)
}

fn is_image(name: &str) -> bool {
    name.strip_prefix(IMAGE).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// What a fee is probably meant to be called.
pub(super) fn near_name(fee: &str) -> Option<&'static str> {
    NEAR_NAMES.iter().find(|(near, _)| *near == fee).map(|(_, name)| *name)
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

/// Quality and size in the name of an image's fee. A size begins with a digit.
fn parts(fee: &str) -> [Option<&str>; 2] {
    let words = fee.strip_prefix(IMAGE).and_then(|rest| rest.strip_prefix('_'));
    let is_size = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    match words.map(|words| (words, words.rsplit_once('_'))) {
        None => [None, None],
        Some((_, Some((quality, size)))) if is_size(size) => [Some(quality), Some(size)],
        Some((size, None)) if is_size(size) => [None, Some(size)],
        Some((quality, _)) => [Some(quality), None],
    }
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

    /// The dearest fee that an image can have of which no more is known than what was asked for.
    fn image_fee_max(&self, pieces: &PieceCounts<'_>) -> u64 {
        let stated = [pieces.quality.and_then(word), pieces.size.and_then(word)];
        if stated.iter().all(Option::is_some) {
            let kind = Piece::Image.kind(pieces.quality, pieces.size);
            return self.piece_fee(Piece::Image, &kind).unwrap_or(0);
        }
        let can_be = |fee: &str| {
            let mut pairs = parts(fee).into_iter().zip(&stated);
            is_image(fee) && pairs.all(|(own, stated)| own.zip(stated.as_deref()).is_none_or(|(own, is)| own == is))
        };
        self.fees.iter().filter(|fee| can_be(&fee.kind)).map(|fee| fee.nanos).max().unwrap_or(0)
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

    /// The most that pieces cost at any time.
    pub(super) fn pieces_grains_max(&self, pieces: &PieceCounts<'_>) -> u128 {
        self.tariffs().map(|tariff| tariff.pieces_grains(pieces)).max().unwrap_or(0)
    }
}
