//! How an answer under 200 says, where it has no error object, that it failed: by the word that stands where the reason why it
//! ended should, or by a code that is not zero. Each has the status that such an error would have had.

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

/// MiniMax's `base_resp.status_code` (platform.minimax.io/docs/api-reference/errorcode), as far as conversations can have it;
/// 2061, a model that the account's plan does not have, is answered and not listed there.
const CODES: [(u64, u16); 17] = [
    (1000, 500),
    (1001, 504),
    (1002, 429),
    (1004, 401),
    (1008, 402),
    (1024, 500),
    (1026, 400),
    (1027, 400),
    (1033, 500),
    (1039, 429),
    (1041, 429),
    (1042, 400),
    (2013, 400),
    (2045, 429),
    (2049, 401),
    (2056, 429),
    (2061, 404),
];

/// The status of a finish reason of this dialect's that is a failure. `None`: it is none.
pub(super) fn status_of_word(dialect: DialectId, word: &str) -> Option<u16> {
    WORDS.iter().find(|(of, failure, _)| *of == dialect && *failure == word).map(|&(_, _, status)| status)
}

/// The status of a code of MiniMax's. `None`: it is not known.
pub(super) fn status_of_code(code: u64) -> Option<u16> {
    CODES.iter().find(|(known, _)| *known == code).map(|&(_, status)| status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_failure_is_there_once_and_has_an_errors_status() {
        let words: HashSet<_> = WORDS.iter().map(|(dialect, word, _)| (dialect, word)).collect();
        let codes: HashSet<_> = CODES.iter().map(|(code, _)| code).collect();
        assert_eq!((words.len(), codes.len()), (WORDS.len(), CODES.len()));
        let statuses = WORDS.iter().map(|(_, _, status)| status).chain(CODES.iter().map(|(_, status)| status));
        assert!(statuses.into_iter().all(|status| (400..600).contains(status)) && !codes.contains(&0));
    }
}
