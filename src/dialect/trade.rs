//! What a model does, as far as its name tells: no vendor's list of models says that in a way that others do, too.

use super::endpoint::{self, Target};
use super::shape::{Answer, DialectId};

/// What a model does. In this order it shows better, and for less, whether its upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trade {
    /// It talks: nearly every model.
    Talks,
    /// It makes vectors of texts.
    Embeds,
    /// It sorts documents by a question.
    Reranks,
    /// It says what a text should not be passed on for.
    Moderates,
    /// It writes down what it hears.
    Transcribes,
    /// It reads aloud, in one of its vendor's voices.
    Speaks,
    /// It makes pictures.
    Draws,
}

/// How a word of such models' names begins, behind their maker's, as vendors' lists have them (autumn of 2026). The first row that
/// fits counts: a reranker may be called after what it was made of.
static NAMES: [(Trade, &[&str]); 6] = [
    (Trade::Reranks, &["rerank"]),
    (Trade::Embeds, &["embed", "bge-", "e5-", "gte-", "m3e-", "mxbai-", "voyage-"]),
    (Trade::Moderates, &["moderation"]),
    (Trade::Transcribes, &["whisper", "transcribe", "sensevoice"]),
    (Trade::Speaks, &["tts", "orpheus", "kokoro", "cosyvoice"]),
    (
        Trade::Draws,
        &[
            "dall-e",
            "gpt-image",
            "chatgpt-image",
            "grok-2-image",
            "grok-imagine",
            "qwen-image",
            "flux",
            "stable-diffusion",
        ],
    ),
];

impl Trade {
    /// What this model does for an upstream that speaks these dialects. What none of them has an operation for is talked about.
    pub fn of(model: &str, dialects: &[DialectId]) -> Self {
        let model = model.to_ascii_lowercase();
        let name = model.rsplit('/').next().unwrap_or(&model);
        let begins_a_word = |part: &str| {
            let mut found = name.match_indices(part).map(|(at, _)| &name[..at]);
            found.any(|before| !before.ends_with(|last: char| last.is_ascii_alphanumeric()))
        };
        let named = NAMES.iter().find(|(_, parts)| parts.iter().any(|part| begins_a_word(part)));
        let named = named.map_or(Self::Talks, |(trade, _)| *trade);
        if named.operation(dialects).is_some() { named } else { Self::Talks }
    }

    /// The operation for it in the first of these dialects that has one. `None`: it is a conversation, or there is none.
    pub fn operation(self, dialects: &[DialectId]) -> Option<Target> {
        let answers: &[Answer] = match self {
            Self::Talks => &[],
            Self::Embeds => &[Answer::Embeddings, Answer::BatchEmbedContents],
            Self::Reranks => &[Answer::Rerank],
            Self::Moderates => &[Answer::Moderation],
            Self::Transcribes => &[Answer::Transcription],
            Self::Speaks => &[Answer::Speech],
            Self::Draws => &[Answer::Image],
        };
        let pairs = dialects.iter().flat_map(|dialect| answers.iter().map(|answer| (*dialect, *answer)));
        pairs.into_iter().find_map(|(dialect, answer)| endpoint::operation_target(dialect, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: &[DialectId] = &[DialectId::OpenAi];

    #[test]
    fn what_models_do_is_known_by_their_names() {
        for (trade, models) in [
            (
                Trade::Embeds,
                &[
                    "text-embedding-3-small",
                    "gemini-embedding-001",
                    "mistral-embed",
                    "embed-v4.0",
                    "cohere.embed-english-v3",
                    "BAAI/bge-m3",
                    "intfloat/multilingual-e5-large",
                    "Qwen/Qwen3-Embedding-8B",
                    "voyage-3.5-lite",
                ][..],
            ),
            (Trade::Reranks, &["BAAI/bge-reranker-v2-m3", "rerank-v3.5", "jina-reranker-v3", "Qwen/Qwen3-Reranker-8B"]),
            (Trade::Moderates, &["omni-moderation-latest", "mistral-moderation-2411"]),
            (Trade::Transcribes, &["whisper-1", "distil-whisper-large-v3-en", "gpt-4o-mini-transcribe"]),
            (Trade::Speaks, &["tts-1-hd", "gpt-4o-mini-tts", "canopylabs/orpheus-v1-english"]),
            (Trade::Draws, &["dall-e-3", "gpt-image-1.5", "black-forest-labs/FLUX.1-schnell", "Qwen/Qwen-Image"]),
            (
                Trade::Talks,
                &[
                    "gpt-4o",
                    "claude-sonnet-4-5",
                    "qwen3-max",
                    "voyager",
                    "o3",
                    "gpt-4o-audio-preview",
                    "google/gemini-2.5-flash-image",
                    "influx-7b",
                    "",
                ],
            ),
        ] {
            for model in models {
                assert_eq!(Trade::of(model, OPENAI), trade, "{model}");
            }
        }
    }

    #[test]
    fn a_trade_that_no_dialect_has_an_operation_for_is_none() {
        assert_eq!(Trade::of("gemini-embedding-001", &[DialectId::Gemini]), Trade::Embeds);
        assert_eq!(Trade::of("gemini-2.5-flash-preview-tts", &[DialectId::Gemini]), Trade::Talks);
        assert_eq!(Trade::of("rerank-v3.5", &[DialectId::Cohere]), Trade::Talks);
        assert_eq!(Trade::of("rerank-v3.5", &[DialectId::Cohere, DialectId::OpenAi]), Trade::Reranks);
    }
}
