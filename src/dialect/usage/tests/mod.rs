//! The scanner as a whole. What the layers do by themselves is tested beside them.

mod anthropic;
mod counts;
mod ends;
mod errors;
mod made;
mod recordings;
mod searches;
mod sides;
mod spoofs;
mod streams;
mod take_out;

use bytes::Bytes;
use tollgate_plugin_api::Usage;

use super::{Scanner, UsageRules};
use crate::dialect::shape::{Answer, DialectId, Framing};

/// An answer to be scanned.
#[derive(Clone, Copy, Debug)]
struct Case {
    answer: Answer,
    dialect: DialectId,
    framing: Framing,
    rules: UsageRules,
    take_out: bool,
}

const fn case(answer: Answer, dialect: DialectId, framing: Framing) -> Case {
    let rules = UsageRules {
        reasoning: super::Placement::ByTotal,
        prompt_audio: super::Placement::ByTotal,
        hidden_in_total: false,
        usage_in_choice: false,
        citation_tokens: super::CitationTokens::Ignored,
    };
    Case { answer, dialect, framing, rules, take_out: false }
}

const CHAT: Case = case(Answer::Chat, DialectId::OpenAi, Framing::Sse);
const CHAT_JSON: Case = case(Answer::Chat, DialectId::OpenAi, Framing::JsonDocument);
const COMPLETION: Case = case(Answer::Completion, DialectId::OpenAi, Framing::Sse);
const RESPONSES: Case = case(Answer::Responses, DialectId::OpenAiResponses, Framing::Sse);
const RESPONSES_JSON: Case = case(Answer::Responses, DialectId::OpenAiResponses, Framing::JsonDocument);
const MESSAGES: Case = case(Answer::Messages, DialectId::Anthropic, Framing::Sse);
const MESSAGES_JSON: Case = case(Answer::Messages, DialectId::Anthropic, Framing::JsonDocument);
const GEMINI: Case = case(Answer::GenerateContent, DialectId::Gemini, Framing::Sse);
const GEMINI_JSON: Case = case(Answer::GenerateContent, DialectId::Gemini, Framing::JsonDocument);
const GEMINI_ARRAY: Case = case(Answer::GenerateContent, DialectId::Gemini, Framing::JsonArray);
const COHERE: Case = case(Answer::CohereChat, DialectId::Cohere, Framing::Sse);
const COHERE_JSON: Case = case(Answer::CohereChat, DialectId::Cohere, Framing::JsonDocument);
const BEDROCK_JSON: Case = case(Answer::Converse, DialectId::Bedrock, Framing::JsonDocument);
const RERANK: Case = case(Answer::Rerank, DialectId::OpenAi, Framing::JsonDocument);
const EMBEDDINGS: Case = case(Answer::Embeddings, DialectId::OpenAi, Framing::JsonDocument);

impl Case {
    fn with(mut self, change: impl FnOnce(&mut UsageRules)) -> Self {
        change(&mut self.rules);
        self
    }

    fn scanner(self) -> Scanner {
        Scanner::new(self.answer, self.dialect, self.framing, self.rules, self.take_out)
    }

    /// Scans these pieces; what came out is behind the scanner.
    fn scan<'a>(self, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Scanner, Vec<u8>) {
        let (mut scanner, mut out) = (self.scanner(), Vec::new());
        for piece in pieces {
            out.extend_from_slice(&scanner.push(Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&scanner.finish());
        (scanner, out)
    }

    fn whole(self, text: &str) -> Scanner {
        self.scan([text.as_bytes()]).0
    }

    /// The five counts that are reported for this text.
    fn counts(self, text: &str) -> Option<[u64; 5]> {
        self.whole(text).metered().map(|metered| five(&metered.usage))
    }
}

fn five(usage: &Usage) -> [u64; 5] {
    [
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    ]
}

/// The text in pieces of these lengths, over and over.
fn cut_up<'t>(text: &'t str, lengths: &[usize]) -> Vec<&'t [u8]> {
    let (mut pieces, mut rest, mut lengths) = (Vec::new(), text.as_bytes(), lengths.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*lengths.next().expect("a length")).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Everything that a scanner says, to be compared.
fn said(scanner: &Scanner) -> String {
    format!(
        "{:?} {:?} {:?} {:?} token={} whole={} final={} boundary={} disbelieved={} text={} {:?}",
        scanner.metered(),
        scanner.made(),
        scanner.error_event(),
        scanner.is_final(),
        scanner.token_seen(),
        scanner.is_whole(),
        scanner.is_final(),
        scanner.at_event_boundary(),
        scanner.disbelieved(),
        scanner.delivered().total_bytes(),
        scanner.delivered().sample(),
    )
}
