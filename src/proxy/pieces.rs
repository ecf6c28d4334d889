//! What of an exchange is billed by the piece: images that were made, audio that was heard, characters that were spoken.
//!
//! Images are counted as the answer has them, a recording has the length that the answer tells, and text the characters that the
//! request has. What the answer does not tell is estimated.

use super::exchange::Answer;
use crate::dialect::Answer as AnswerKind;
use crate::dialect::request::{AskedPieces, RequestFacts};
use crate::dialect::usage::Made;
use crate::estimate;
use crate::price::{Charged, Piece, PieceCounts, Price, Said};
use tollgate_plugin_api::{ExtraUsage, Metered, UsageSource};

/// What is billed, and where it is known from.
pub(super) struct Billed {
    extras: Vec<ExtraUsage>,
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
        metered.extras.extend(self.extras.into_iter().filter(|extra| extra.times > 0));
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
    let piece = piece_of(asked, &facts.pieces)?;
    if answer.status >= 400 || answer.error.is_some() {
        return None;
    }
    let made = answer.scanner.made();
    if asked.generates() && made.audio_ms.is_none() {
        return None;
    }
    let is_absurd = made.audio_ms.is_some_and(|ms| facts.pieces.is_absurd(ms));
    let (told, estimate) = match piece {
        Piece::Image => (made.images, images(&made, answer, facts)),
        Piece::AudioMs => (made.audio_ms.filter(|_| !is_absurd), audio_ms(&made, answer, facts)),
        Piece::Character if answer.scanner.token_seen() => (None, facts.pieces.characters),
        Piece::Character => (None, 0),
    };
    let dearest = |known: &PieceCounts<'_>| {
        let price = price.filter(|_| piece == Piece::Image)?;
        price.dearest_image(known, started_at_ms)
    };
    let (extras, is_unclear) = extras(piece, &made, &facts.pieces, told.unwrap_or(estimate), dearest);
    let charged =
        |extra: &ExtraUsage| price.map_or(Charged::Not, |price| price.charged(piece, &extra.kind, started_at_ms));
    let has_fee = |charged: &Charged| matches!(charged, Charged::ByPiece | Charged::ByPieceAndToken);
    let ways: Vec<Charged> = extras.iter().map(charged).collect();
    let is_all = match ways.iter().find(|way| has_fee(way)).or(ways.first())? {
        Charged::ByPiece => true,
        Charged::ByPieceAndToken => false,
        Charged::ByRequest => return None,
        // Speech is estimated in tokens from the text; what was drawn or heard is not.
        Charged::ByToken if has_tokens || piece == Piece::Character => return None,
        Charged::Not if has_tokens => return None,
        Charged::ByToken | Charged::Not => false,
    };
    let is_guess = is_unclear || (told.is_none() && piece != Piece::Character);
    let disbelieved = made.disbelieved || is_absurd;
    Some(Billed { extras, is_told: told.is_some(), is_guess, is_all, disbelieved })
}

/// So many pieces, by their kinds: images that are not alike in the order in which they came. There is one at least, be it of none.
/// `dearest`: what an image is billed as whose quality or size is said in no words that a fee can have; true: there is one.
fn extras(
    piece: Piece,
    made: &Made,
    asked: &AskedPieces,
    times: u64,
    dearest: impl Fn(&PieceCounts<'_>) -> Option<String>,
) -> (Vec<ExtraUsage>, bool) {
    let mut is_unclear = false;
    let mut kind = |quality: &Option<String>, size: &Option<String>| {
        let quality = clearer(quality.as_deref(), asked.quality.as_deref(), Said::quality);
        let size = clearer(size.as_deref(), asked.size.as_deref(), Said::size);
        let dearest = dearest(&PieceCounts { quality, size, ..PieceCounts::default() });
        is_unclear |= dearest.is_some();
        dearest.unwrap_or_else(|| piece.kind(quality, size))
    };
    let mut extras: Vec<ExtraUsage> = Vec::new();
    let mut add = |kind: String, times: u64| match extras.iter_mut().find(|extra| extra.kind == kind) {
        Some(extra) => extra.times = extra.times.saturating_add(times),
        None => extras.push(ExtraUsage::of_times(kind, times)),
    };
    let mut left = times;
    for alike in &made.kinds {
        let of_these = alike.images.min(left);
        left -= of_these;
        if of_these > 0 {
            add(kind(&alike.quality, &alike.size), of_these);
        }
    }
    // Who counts more than were seen, or tells no kinds: they are as the last was.
    if left > 0 || times == 0 {
        add(kind(&made.quality, &made.size), left);
    }
    (extras, is_unclear)
}

/// How many images there probably are where the answer does not say: as many as were asked for, if they stand in places that nobody here
/// knows, or are not believed. None where nothing has come, or it says by a code that it failed.
fn images(made: &Made, answer: &Answer, facts: &RequestFacts) -> u64 {
    let is_elsewhere = answer.scanner.token_seen() && !made.has_failed_in_words;
    if made.disbelieved || is_elsewhere { facts.answers_max() } else { 0 }
}

/// What the answer says, where it says a word for it; else what the request says.
fn clearer<'t>(answer: Option<&'t str>, request: Option<&'t str>, read: fn(Option<&str>) -> Said) -> Option<&'t str> {
    answer.filter(|text| matches!(read(Some(*text)), Said::Word(_))).or(request)
}

/// How long a recording probably was of which the answer tells no length: up to the last subtitle, else as long as its text takes to be
/// spoken, but no longer than its bytes can be. Nor is it shorter than these.
fn audio_ms(made: &Made, answer: &Answer, facts: &RequestFacts) -> u64 {
    let (least, most) = (facts.pieces.audio_ms_min(), facts.pieces.audio_ms_max());
    let spoken = || estimate::spoken_ms(answer.scanner.delivered().total_bytes()).min(most);
    made.last_cue_ms.unwrap_or_else(spoken).max(least)
}

/// The most that a request can be billed for by the piece.
pub(super) fn most(answer: AnswerKind, facts: &RequestFacts) -> PieceCounts<'_> {
    let asked = &facts.pieces;
    let mut most = PieceCounts::default();
    match piece_of(answer, asked) {
        Some(Piece::Image) => {
            most.images = facts.answers_max();
            (most.quality, most.size) = (asked.quality.as_deref(), asked.size.as_deref());
        }
        Some(Piece::AudioMs) => most.audio_ms = asked.audio_ms_max(),
        Some(Piece::Character) => most.characters = asked.characters,
        None => {}
    }
    most
}

/// What answers of this kind to such a request are made of, or made from. What is heard in a conversation is billed by the time where
/// the answer tells how long it was and that has a fee (Mistral's Voxtral, Alibaba's `qwen3-asr`).
fn piece_of(answer: AnswerKind, asked: &AskedPieces) -> Option<Piece> {
    match answer {
        _ if answer.generates() && asked.hears_anything() => Some(Piece::AudioMs),
        AnswerKind::Image => Some(Piece::Image),
        AnswerKind::Transcription => Some(Piece::AudioMs),
        AnswerKind::Speech => Some(Piece::Character),
        _ => None,
    }
}
