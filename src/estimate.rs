//! Counts tokens with a tokenizer where a provider reports none. Slow (tens of megabytes a second at best, and the first
//! call loads a vocabulary), so it runs off the data path. Where a count is needed at once, text is counted by its look
//! (`dialect::Passed`).

use crate::dialect::{Passed, by_look};
use tiktoken_rs::CoreBPE;

/// Tokens of a text: exact as far as its beginning is kept. Behind it, what its look comes to, as many times as the windows on it have
/// more tokens than they look like, or fewer.
pub fn tokens(model: &str, text: &Passed) -> u64 {
    if text.bytes() == 0 {
        return 0;
    }
    let vocabulary = vocabulary(model);
    let count = |text: &str| vocabulary.encode_ordinary(text).len() as u64;
    let beginning = text.beginning();
    let counted = count(&beginning);
    if text.is_whole() {
        return counted;
    }
    let rest = text.tokens_by_look().saturating_sub(by_look(&beginning));
    let (mut exact, mut looked) = (0, 0);
    for window in text.windows() {
        exact += count(&window);
        looked += by_look(&window);
    }
    counted.saturating_add(corrected(rest, exact, looked))
}

/// The look of a text, corrected by windows that have `exact` tokens and look like `looked`. A look is twice what a text comes to at
/// most, and a fourth of it at least, but for texts that nobody writes: who fills the windows with such cannot make the rest cheap.
fn corrected(look: u64, exact: u64, looked: u64) -> u64 {
    if looked == 0 {
        return look;
    }
    let exact = exact.clamp(looked.div_ceil(2), looked.saturating_mul(4));
    u64::try_from(u128::from(look) * u128::from(exact) / u128::from(looked)).unwrap_or(u64::MAX)
}

/// Tokens by length alone, where the text is not at hand: four bytes a token, as English text has.
pub fn by_length(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// Pieces of a body that are looked at, and the bytes of each.
const PIECES: usize = 32;
const PIECE_BYTES: usize = 512;

/// Tokens of a prompt of so many bytes, by the look of pieces that are spread over its body as it was sent: in some microseconds, however
/// long it is. `None`: it is written with escapes for its letters, which look like nothing that they are.
pub fn by_sample(body: &[u8], text_bytes: u64) -> Option<u64> {
    let step = (body.len() / PIECES).max(1);
    let (mut looked, mut bytes) = (0_u64, 0_u64);
    for piece in
        (0..PIECES).filter_map(|piece| body.get(piece * step..)).map(|rest| &rest[..rest.len().min(PIECE_BYTES)])
    {
        if memchr::memmem::find(piece, br"\u").is_some() {
            return None;
        }
        looked += by_look(&String::from_utf8_lossy(piece));
        bytes += piece.len() as u64;
    }
    u64::try_from(u128::from(looked) * u128::from(text_bytes) / u128::from(bytes.max(1))).ok()
}

/// Bytes of text that are spoken in a minute: some 150 words, which is how fast people talk (National Center for Voice and Speech,
/// ncvs.org, "Voice Qualities"), of six bytes each; in scripts of three bytes a character, that is as much speech.
const SPOKEN_BYTES_A_MINUTE: u64 = 900;
/// Tokens of a minute of generated speech: OpenAI gives 0.015 USD a minute for `gpt-4o-mini-tts`, at 12 USD a million.
const SPEECH_TOKENS_A_MINUTE: u64 = 1250;

/// Tokens of the audio in which so many bytes of text are spoken.
pub fn spoken(bytes: u64) -> u64 {
    bytes.saturating_mul(SPEECH_TOKENS_A_MINUTE).div_ceil(SPOKEN_BYTES_A_MINUTE)
}

/// Milliseconds in which so many bytes of text are spoken, at the rate of conversation.
pub fn spoken_ms(bytes: u64) -> u64 {
    bytes.saturating_mul(60_000).div_ceil(SPOKEN_BYTES_A_MINUTE)
}

/// OpenAI's vocabulary for the model: the older one for its older models, the current one for everything else.
fn vocabulary(model: &str) -> &'static CoreBPE {
    let older =
        ["gpt-4-", "gpt-3.5", "text-embedding", "babbage", "davinci"].iter().any(|prefix| model.starts_with(prefix));
    if older || model == "gpt-4" { tiktoken_rs::cl100k_base_singleton() } else { tiktoken_rs::o200k_base_singleton() }
}

#[cfg(test)]
mod tests;
