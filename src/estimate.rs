//! Counts tokens with a tokenizer where a provider reports none. Slow (tens of megabytes a second at best, and the first
//! call loads a vocabulary), so it runs off the data path. Where a count is needed at once, text is counted by its look (`look`).

mod look;

pub use look::{Growing, by_look};

use tiktoken_rs::CoreBPE;

/// Tokens of a text of which `sample` is the beginning and `bytes` the whole length: exact when the sample is the whole,
/// in proportion otherwise.
pub fn tokens(model: &str, sample: &str, bytes: u64) -> u64 {
    if sample.is_empty() {
        return by_length(bytes);
    }
    let counted = vocabulary(model).encode_ordinary(sample).len() as u64;
    in_proportion(counted, sample.len() as u64, bytes)
}

/// Tokens of a text of so many bytes, of which `sampled` have so many.
fn in_proportion(counted: u64, sampled: u64, bytes: u64) -> u64 {
    match sampled {
        0 => by_length(bytes),
        _ if bytes <= sampled => counted,
        _ => u64::try_from(u128::from(counted) * u128::from(bytes) / u128::from(sampled)).unwrap_or(u64::MAX),
    }
}

/// Tokens by length alone, where the text is not at hand: four bytes a token, as English text has.
pub fn by_length(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// Bytes of text that are spoken in a minute: some 150 words (and in scripts of three bytes a character, as much speech).
const SPOKEN_BYTES_A_MINUTE: u64 = 900;
/// Tokens of a minute of generated speech: OpenAI gives 0.015 USD a minute for `gpt-4o-mini-tts`, at 12 USD a million.
const SPEECH_TOKENS_A_MINUTE: u64 = 1250;

/// Tokens of the audio in which so many bytes of text are spoken.
pub fn spoken(bytes: u64) -> u64 {
    bytes.saturating_mul(SPEECH_TOKENS_A_MINUTE).div_ceil(SPOKEN_BYTES_A_MINUTE)
}

/// OpenAI's vocabulary for the model: the older one for its older models, the current one for everything else.
fn vocabulary(model: &str) -> &'static CoreBPE {
    let older =
        ["gpt-4-", "gpt-3.5", "text-embedding", "babbage", "davinci"].iter().any(|prefix| model.starts_with(prefix));
    if older || model == "gpt-4" { tiktoken_rs::cl100k_base_singleton() } else { tiktoken_rs::o200k_base_singleton() }
}

#[cfg(test)]
mod tests {
    use super::{by_length, tokens};

    #[test]
    fn short_texts_are_counted_and_long_ones_scaled() {
        assert_eq!(tokens("gpt-4o", "hello world", 11), 2);
        assert_eq!(tokens("gpt-4", "hello world", 11), 2);
        assert_eq!(tokens("gpt-4o", "hello world", 1100), 200);
        assert_eq!(tokens("gpt-4o", "", 0), 0);
        assert_eq!(tokens("gpt-4o", "", 9), 3);
        assert_eq!(by_length(9), 3);
    }
}
