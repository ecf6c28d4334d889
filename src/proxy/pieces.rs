//! What of an exchange is billed by the piece: images that were made, audio that was heard, characters that were spoken.
//!
//! Images are counted as the answer has them, a recording has the length that the answer tells, and text the characters that the
//! request has. What the answer does not tell is estimated.

use super::exchange::Answer;
use crate::dialect::Answer as AnswerKind;
use crate::dialect::request::RequestFacts;
use crate::dialect::usage::Made;
use crate::estimate;
use crate::price::{Charged, Piece, PieceCounts, Price, Said};
use tollgate_plugin_api::{ExtraUsage, Metered, UsageSource};

/// What is billed, and where it is known from.
pub(super) struct Billed {
    extra: ExtraUsage,
    /// The answer itself says so.
    is_told: bool,
    /// It may be more or less than this: the answer does not say, nor does the request.
    is_guess: bool,
    /// It is all that is billed: no token has a price.
    is_all: bool,
    /// The answer said something that is not believed.
    disbelieved: bool,
}

impl Billed {
    /// There is nothing to estimate: the answer says all that is billed.
    pub(super) fn stands_alone(&self) -> bool {
        self.is_told && self.is_all
    }

    /// Adds it to what was counted in tokens. `are_tokens_estimated`: nobody has reported these.
    pub(super) fn add_to(self, metered: &mut Metered, are_tokens_estimated: bool) {
        let is_estimated = self.is_guess || (are_tokens_estimated && !self.stands_alone());
        metered.source = if is_estimated { UsageSource::Estimated } else { UsageSource::Reported };
        metered.disbelieved |= self.disbelieved;
        // What was not done at all is no line of a bill.
        metered.extras.extend(Some(self.extra).filter(|extra| extra.times > 0));
    }
}

/// What an answer to this request is billed for by the piece at that price. `has_tokens`: it counts its tokens. `None`: nothing; tokens
/// or the request are billed.
pub(super) fn billed(
    (asked, facts): (AnswerKind, &RequestFacts),
    answer: &Answer,
    (price, started_at_ms): (Option<&Price>, i64),
    has_tokens: bool,
) -> Option<Billed> {
    let piece = piece_of(asked)?;
    if answer.status >= 400 || answer.error.is_some() {
        return None;
    }
    let made = answer.scanner.made();
    let asked = &facts.pieces;
    let quality = clearer(made.quality.as_deref(), asked.quality.as_deref(), Said::quality);
    let size = clearer(made.size.as_deref(), asked.size.as_deref(), Said::size);
    let known = PieceCounts { quality, size, ..PieceCounts::default() };
    let dearest = price.filter(|_| piece == Piece::Image).and_then(|price| price.dearest_image(&known, started_at_ms));
    let is_unclear = dearest.is_some();
    let kind = dearest.unwrap_or_else(|| piece.kind(quality, size));
    let charged = price.map_or(Charged::Not, |price| price.charged(piece, &kind, started_at_ms));
    let is_all = match charged {
        Charged::ByPiece => true,
        Charged::ByPieceAndToken => false,
        Charged::ByRequest => return None,
        // Speech is estimated in tokens from the text; what was drawn or heard is not.
        Charged::ByToken if has_tokens || piece == Piece::Character => return None,
        Charged::Not if has_tokens => return None,
        Charged::ByToken | Charged::Not => false,
    };
    let (told, estimate): (Option<u64>, u64) = match piece {
        // Who sends no list of images has failed in words of its own: all that make some have one.
        Piece::Image => (made.images, if made.disbelieved { facts.choices } else { 0 }),
        Piece::AudioMs => (made.audio_ms, audio_ms(&made, answer, facts)),
        Piece::Character if answer.scanner.token_seen() => (None, asked.characters),
        Piece::Character => (None, 0),
    };
    let extra = ExtraUsage::of_times(kind, told.unwrap_or(estimate));
    let is_guess = is_unclear || (told.is_none() && piece != Piece::Character);
    Some(Billed { extra, is_told: told.is_some(), is_guess, is_all, disbelieved: made.disbelieved })
}

/// What the answer says, where it says a word for it; else what the request says.
fn clearer<'t>(answer: Option<&'t str>, request: Option<&'t str>, read: fn(Option<&str>) -> Said) -> Option<&'t str> {
    answer.filter(|text| matches!(read(Some(*text)), Said::Word(_))).or(request)
}

/// How long a recording probably was of which the answer tells no length: up to the last subtitle, else as long as its text takes to be
/// spoken. Never longer than what was held, nor shorter than its bytes can be.
fn audio_ms(made: &Made, answer: &Answer, facts: &RequestFacts) -> u64 {
    let spoken = || estimate::spoken_ms(answer.scanner.delivered().total_bytes());
    let (least, most) = (facts.pieces.audio_ms_min(), facts.pieces.audio_ms_max());
    made.last_cue_ms.unwrap_or_else(spoken).max(least).min(most)
}

/// The most that a request can be billed for by the piece.
pub(super) fn most(answer: AnswerKind, facts: &RequestFacts) -> PieceCounts<'_> {
    let asked = &facts.pieces;
    let mut most = PieceCounts::default();
    match piece_of(answer) {
        Some(Piece::Image) => {
            most.images = facts.choices;
            (most.quality, most.size) = (asked.quality.as_deref(), asked.size.as_deref());
        }
        Some(Piece::AudioMs) => most.audio_ms = asked.audio_ms_max(),
        Some(Piece::Character) => most.characters = asked.characters,
        None => {}
    }
    most
}

/// What answers of this kind are made of.
fn piece_of(answer: AnswerKind) -> Option<Piece> {
    match answer {
        AnswerKind::Image => Some(Piece::Image),
        AnswerKind::Transcription => Some(Piece::AudioMs),
        AnswerKind::Speech => Some(Piece::Character),
        _ => None,
    }
}
