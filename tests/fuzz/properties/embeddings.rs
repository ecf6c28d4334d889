//! Embeddings of one dialect for the other.

use super::input::Input;
use super::json::assert_object;
use tollgate::dialect::embed::{translate_answer, translate_request};
use tollgate::dialect::endpoint::ENDPOINTS;
use tollgate::dialect::{Answer, DialectId};

const KINDS: [(DialectId, Answer); 3] = [
    (DialectId::OpenAi, Answer::Embeddings),
    (DialectId::Gemini, Answer::EmbedContent),
    (DialectId::Gemini, Answer::BatchEmbedContents),
];

/// What is written is a JSON object.
pub(crate) fn request(input: &Input<'_>) {
    let Some(body) = input.text() else { return };
    for (dialect, kind) in KINDS {
        let endpoint = ENDPOINTS.iter().find(|row| row.dialect == dialect && row.answer == kind).expect("it is a row");
        if let Ok((translated, _)) = translate_request(endpoint, body, "m") {
            assert_object(&translated.body, dialect.as_str());
        }
    }
}

/// What the client gets is a JSON object, whatever it had asked for.
pub(crate) fn answer(input: &Input<'_>) {
    const REQUESTS: [(usize, &str); 4] = [
        (0, r#"{"model":"m","input":"Hi"}"#),
        (0, r#"{"model":"m","input":["Hi","Ho"],"encoding_format":"base64"}"#),
        (1, r#"{"content":{"parts":[{"text":"Hi"}]}}"#),
        (2, r#"{"requests":[{"model":"models/m","content":{"parts":[{"text":"Hi"}]}}]}"#),
    ];
    let Some(body) = input.text() else { return };
    for (kind, request) in REQUESTS {
        let (dialect, kind) = KINDS[kind];
        let endpoint = ENDPOINTS.iter().find(|row| row.dialect == dialect && row.answer == kind).expect("it is a row");
        let (_, shape) = translate_request(endpoint, request, "m").expect("a good request");
        if let Ok(translated) = translate_answer(body, shape, "m", 7) {
            assert_object(&translated, dialect.as_str());
        }
    }
}
