//! The words that the rest of `dialect` shares: which wire format, what kind of answer, how its bytes are framed.

use serde::{Deserialize, Serialize};

/// A wire format: of clients and upstreams, or of upstreams alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DialectId {
    /// OpenAI's Chat Completions and everything beside it: embeddings, images, audio, moderation, rerank.
    #[serde(rename = "openai")]
    OpenAi,
    /// OpenAI's Responses.
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    /// Anthropic's Messages.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Google's Gemini API (`generateContent` and its like).
    #[serde(rename = "gemini")]
    Gemini,
    /// Alibaba Cloud's DashScope: text and multimodal generation.
    #[serde(rename = "dashscope")]
    DashScope,
    /// Cohere's Chat, version 2.
    #[serde(rename = "cohere")]
    Cohere,
    /// Ollama's `/api/chat`.
    #[serde(rename = "ollama")]
    Ollama,
    /// Amazon Bedrock's Converse and ConverseStream.
    #[serde(rename = "bedrock")]
    Bedrock,
}

impl DialectId {
    /// Every dialect that clients speak, in the order in which they are listed to users.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::OpenAiResponses, Self::Anthropic, Self::Gemini];
    /// Those that upstreams alone speak: a conversation is translated into them.
    pub const UPSTREAM_ONLY: [Self; 4] = [Self::DashScope, Self::Cohere, Self::Ollama, Self::Bedrock];

    /// The word used in configuration, ledger records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::DashScope => "dashscope",
            Self::Cohere => "cohere",
            Self::Ollama => "ollama",
            Self::Bedrock => "bedrock",
        }
    }

    /// Its place in [`Self::ALL`], and behind it in [`Self::UPSTREAM_ONLY`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The dialect of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain(Self::UPSTREAM_ONLY).find(|dialect| dialect.as_str() == name)
    }
}

impl std::fmt::Display for DialectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of answer an endpoint gives: where its usage, its text and its end are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// OpenAI chat completion, whole or in chunks.
    Chat,
    /// OpenAI legacy text completion, whole or in chunks.
    Completion,
    /// OpenAI response object, or the events of one.
    Responses,
    /// OpenAI embeddings.
    Embeddings,
    /// OpenAI images (generation, edit, variation), whole or in events.
    Image,
    /// OpenAI speech: audio bytes, or `speech.audio.*` events.
    Speech,
    /// OpenAI transcription or translation: JSON, plain text, or `transcript.text.*` events.
    Transcription,
    /// OpenAI moderation.
    Moderation,
    /// Rerank (Cohere's and Jina's shape, as compatible vendors serve it).
    Rerank,
    /// Anthropic message, or the events of one.
    Messages,
    /// Anthropic `count_tokens`: says how many tokens a prompt would have; uses none.
    CountTokens,
    /// Gemini `generateContent` / `streamGenerateContent`.
    GenerateContent,
    /// Gemini `countTokens`: uses none.
    CountGeminiTokens,
    /// Gemini `embedContent`.
    EmbedContent,
    /// Gemini `batchEmbedContents`.
    BatchEmbedContents,
    /// A list of models, or one of them, in any dialect: uses none.
    ModelList,
    /// DashScope's generation, whole or in events.
    Generation,
    /// Cohere's chat, whole or in events.
    CohereChat,
    /// Ollama's chat, whole or a value a line.
    OllamaChat,
    /// Bedrock's Converse, whole or in frames.
    Converse,
}

impl Answer {
    /// A model's own words, or calls, are in it.
    pub const fn generates(self) -> bool {
        matches!(
            self,
            Self::Chat
                | Self::Completion
                | Self::Responses
                | Self::Messages
                | Self::GenerateContent
                | Self::Generation
                | Self::CohereChat
                | Self::OllamaChat
                | Self::Converse
        )
    }

    /// False: answers that cost nothing, because no model worked for them.
    pub const fn uses_tokens(self) -> bool {
        !matches!(self, Self::CountTokens | Self::CountGeminiTokens | Self::ModelList)
    }
}

/// How the bytes of an answer's body are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Server-sent events (`text/event-stream`).
    Sse,
    /// One JSON value.
    JsonDocument,
    /// One JSON array whose elements arrive one after the other (Gemini's stream without `alt=sse`).
    JsonArray,
    /// One JSON value a line.
    NdJson,
    /// Amazon's binary frames (`application/vnd.amazon.eventstream`), with a JSON value in each.
    EventStream,
    /// Bytes that carry no usage (audio, plain text).
    Opaque,
}

#[cfg(test)]
mod tests {
    use super::DialectId;

    #[test]
    fn a_dialects_name_reads_back_as_itself() {
        for (index, dialect) in DialectId::ALL.into_iter().chain(DialectId::UPSTREAM_ONLY).enumerate() {
            assert_eq!(DialectId::parse(dialect.as_str()), Some(dialect));
            assert_eq!(dialect.index(), index);
            assert_eq!(serde_json::to_string(&dialect).unwrap(), format!("\"{dialect}\""));
        }
        assert_eq!(DialectId::parse("OpenAI"), None);
    }
}
