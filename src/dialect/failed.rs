//! How an answer under 200 says, where it has no error object, that it failed: by the word that stands where the reason why it
//! ended should. Each has the status that such an error would have had.

use super::shape::DialectId;

/// Words in the place of a finish reason. What came before them is no whole answer.
const WORDS: [(DialectId, &str, u16); 5] = [
    // OpenRouter (openrouter.ai/docs/api-reference/errors), Mistral (docs.mistral.ai/api, `finish_reason`). An error object beside
    // it says more.
    (DialectId::OpenAi, "error", 500),
    // Zhipu: the model's inference failed (docs.bigmodel.cn, chat completions, `finish_reason`).
    (DialectId::OpenAi, "network_error", 500),
    // DeepSeek: interrupted for want of resources (api-docs.deepseek.com/api/create-chat-completion).
    (DialectId::OpenAi, "insufficient_system_resource", 503),
    // Cohere (docs.cohere.com/reference/chat). An `error` beside it may say more, or not be there.
    (DialectId::Cohere, "ERROR", 500),
    (DialectId::Cohere, "TIMEOUT", 504),
];

/// The status of a finish reason of this dialect's that is a failure. `None`: it is none.
pub(super) fn status_of_word(dialect: DialectId, word: &str) -> Option<u16> {
    WORDS.iter().find(|(of, failure, _)| *of == dialect && *failure == word).map(|&(_, _, status)| status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_failure_is_there_once_and_has_an_errors_status() {
        let words: HashSet<_> = WORDS.iter().map(|(dialect, word, _)| (dialect, word)).collect();
        assert_eq!(words.len(), WORDS.len());
        assert!(WORDS.iter().all(|(_, _, status)| (400..600).contains(status)));
    }
}
