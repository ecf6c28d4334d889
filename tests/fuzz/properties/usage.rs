//! The usage scanner.

use super::input::Input;
use bytes::Bytes;
use tollgate::dialect::usage::{Scanner, UsageRules};
use tollgate::dialect::{Answer, DialectId, Framing};

/// Whose answers there are, and of what kind.
const ANSWERS: [(DialectId, Answer); 16] = [
    (DialectId::OpenAi, Answer::Chat),
    (DialectId::OpenAiResponses, Answer::Responses),
    (DialectId::Anthropic, Answer::Messages),
    (DialectId::Gemini, Answer::GenerateContent),
    (DialectId::DashScope, Answer::Generation),
    (DialectId::Cohere, Answer::CohereChat),
    (DialectId::Ollama, Answer::OllamaChat),
    (DialectId::Bedrock, Answer::Converse),
    (DialectId::OpenAi, Answer::Completion),
    (DialectId::OpenAi, Answer::Embeddings),
    (DialectId::OpenAi, Answer::Image),
    (DialectId::OpenAi, Answer::Speech),
    (DialectId::OpenAi, Answer::Transcription),
    (DialectId::OpenAi, Answer::Rerank),
    (DialectId::Gemini, Answer::EmbedContent),
    (DialectId::Gemini, Answer::BatchEmbedContents),
];

const FRAMINGS: [Framing; 6] =
    [Framing::Sse, Framing::JsonDocument, Framing::JsonArray, Framing::NdJson, Framing::EventStream, Framing::Opaque];

/// All that a scanner says of an answer, and what went on of it.
fn scanned(answer: (DialectId, Answer), framing: Framing, takes_out: bool, pieces: Vec<Bytes>) -> (String, Vec<u8>) {
    let mut scanner = Scanner::new(answer.1, answer.0, framing, UsageRules::default(), takes_out);
    let mut passed = Vec::new();
    for piece in pieces {
        passed.extend_from_slice(&scanner.push(piece));
    }
    let open = scanner.open_bytes();
    assert!(takes_out || (open == 0) == scanner.at_event_boundary(), "{framing:?}: {open}");
    let complete = Bytes::copy_from_slice(&passed[..passed.len().saturating_sub(open)]);
    let mut before = Scanner::new(answer.1, answer.0, framing, UsageRules::default(), false);
    let _ = before.push(complete);
    // A number ends where the next value begins: before that, it may go on.
    let may_be_number = !matches!(framing, Framing::Sse | Framing::EventStream);
    assert!(may_be_number || before.at_event_boundary(), "{framing:?}: no event begins {open} from the end");
    let (token, boundary) = (scanner.token_seen(), takes_out || scanner.at_event_boundary());
    passed.extend_from_slice(&scanner.finish());
    let ends = (scanner.is_whole(), scanner.has_terminal(), scanner.is_final(), scanner.at_event_boundary());
    let delivered = (scanner.delivered().sample().into_owned(), scanner.delivered().total_bytes());
    let counts = (scanner.metered(), scanner.made(), scanner.disbelieved(), scanner.error_event());
    (format!("{:?}", (token, boundary, ends, delivered, counts)), passed)
}

/// However the bytes are cut, it says the same; what it does not take out passes as it is.
pub(crate) fn scan(input: &Input<'_>) {
    let (answer, takes_out) = (input.choose(&ANSWERS), input.says(0));
    for framing in FRAMINGS {
        let (says, passed) = scanned(answer, framing, takes_out, input.whole());
        let (says_cut, passed_cut) = scanned(answer, framing, takes_out, input.pieces());
        assert_eq!(says, says_cut, "{answer:?} {framing:?}");
        assert!(passed == passed_cut, "{answer:?} {framing:?}: {passed:?}, in pieces {passed_cut:?}");
        let may_change = takes_out && framing == Framing::Sse;
        assert!(may_change || passed == input.body, "{answer:?} {framing:?}: {passed:?}");
    }
}
