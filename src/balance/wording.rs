//! The words by which vendors say what is wrong, where the HTTP status does not.

use serde_json::{Map, Value};

/// What a word means: a [`Failure`](super::Failure) that an answer can spell out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    KeyDead,
    QuotaExhausted,
    RateLimited,
    ServerError,
    ModelMissing,
    Elsewhere,
    Client,
}

/// In which answers a code is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Any error, also one inside a stream.
    Anywhere,
    /// Refusals that concern our account: 401, 402, 403, 429. For numbers that only mean something there.
    Account,
    /// 400, 403, 404. Likewise.
    Refused,
    /// 403.
    Forbidden,
    /// Errors that are no 4xx but 429: inside streams, and where a rate limit says "overloaded".
    Fault,
}

impl Where {
    fn covers(self, status: u16) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Account => matches!(status, 401 | 402 | 403 | 429),
            Self::Refused => matches!(status, 400 | 403 | 404),
            Self::Forbidden => status == 403,
            Self::Fault => !matches!(status, 400..=428 | 430..=499),
        }
    }
}

struct Code {
    code: &'static str,
    believed: Where,
    means: Means,
}

const fn code(code: &'static str, believed: Where, means: Means) -> Code {
    Code { code, believed, means }
}

/// `code`, `type`, `status` and `details[].reason` of error objects, in lower case. The first code of an answer that is
/// listed decides.
static CODES: &[Code] = &[
    // The request.
    code("context_length_exceeded", Where::Anywhere, Means::Client),
    code("string_above_max_length", Where::Anywhere, Means::Client),
    code("too_many_tokens", Where::Anywhere, Means::Client),
    code("content_filter", Where::Anywhere, Means::Client),
    code("content_policy_violation", Where::Anywhere, Means::Client),
    code("moderation_blocked", Where::Anywhere, Means::Client),
    code("invalid_prompt", Where::Anywhere, Means::Client),
    code("sensitive_words_detected", Where::Anywhere, Means::Client),
    code("prompt_blocked", Where::Anywhere, Means::Client),
    // DashScope, native and compatible.
    code("datainspectionfailed", Where::Anywhere, Means::Client),
    code("data_inspection_failed", Where::Anywhere, Means::Client),
    // What another account has: OpenAI's and Azure's Responses of an answer that is to be gone on from, and of thoughts that another
    // organization's key encrypted (both as 400: github.com/maximhq/bifrost/issues/2441, github.com/openai/codex/issues/8145).
    code("previous_response_not_found", Where::Anywhere, Means::Elsewhere),
    code("invalid_encrypted_content", Where::Anywhere, Means::Elsewhere),
    // Zhipu: unsafe content.
    code("1301", Where::Refused, Means::Client),
    // The key.
    code("invalid_api_key", Where::Anywhere, Means::KeyDead),
    code("invalidapikey", Where::Anywhere, Means::KeyDead),
    code("authentication_error", Where::Anywhere, Means::KeyDead),
    code("invalid_authentication_error", Where::Anywhere, Means::KeyDead),
    code("unauthenticated", Where::Account, Means::KeyDead),
    code("unauthorized", Where::Account, Means::KeyDead),
    // Amazon: a key that is unknown, one that is over, a signature that is wrong
    // (docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html).
    code("unrecognizedclientexception", Where::Account, Means::KeyDead),
    code("expiredtokenexception", Where::Account, Means::KeyDead),
    code("invalidsignatureexception", Where::Account, Means::KeyDead),
    code("invalidclienttokenid", Where::Account, Means::KeyDead),
    code("account_deactivated", Where::Anywhere, Means::KeyDead),
    code("unsupported_country_region_territory", Where::Anywhere, Means::KeyDead),
    // Groq, as 400: an account that is shut (github.com/songquanpeng/one-api/issues/1764).
    code("organization_restricted", Where::Anywhere, Means::KeyDead),
    // Google's ErrorInfo reasons.
    code("api_key_invalid", Where::Anywhere, Means::KeyDead),
    code("api_key_expired", Where::Anywhere, Means::KeyDead),
    code("api_key_service_blocked", Where::Anywhere, Means::KeyDead),
    code("api_key_ip_address_blocked", Where::Anywhere, Means::KeyDead),
    code("consumer_suspended", Where::Anywhere, Means::KeyDead),
    code("consumer_invalid", Where::Anywhere, Means::KeyDead),
    code("service_disabled", Where::Anywhere, Means::KeyDead),
    // Volcengine Ark (www.volcengine.com/docs/82379/1299023).
    code("authenticationerror", Where::Account, Means::KeyDead),
    // Novita, as 401 (novita.ai/docs/guides/error; seen by github.com/juspay/neurolink/pull/1647).
    code("failed_to_auth", Where::Account, Means::KeyDead),
    // MiniMax (platform.minimax.io/docs/api-reference/errorcode): not authorized, no such key.
    code("1004", Where::Account, Means::KeyDead),
    code("2049", Where::Account, Means::KeyDead),
    // Zhipu: account inactive, missing, locked.
    code("1110", Where::Account, Means::KeyDead),
    code("1111", Where::Account, Means::KeyDead),
    code("1112", Where::Account, Means::KeyDead),
    code("1121", Where::Account, Means::KeyDead),
    // The account's money.
    code("insufficient_quota", Where::Anywhere, Means::QuotaExhausted),
    code("billing_hard_limit_reached", Where::Anywhere, Means::QuotaExhausted),
    code("billing_not_active", Where::Anywhere, Means::QuotaExhausted),
    code("billing_error", Where::Anywhere, Means::QuotaExhausted),
    code("billing_disabled", Where::Anywhere, Means::QuotaExhausted),
    code("insufficient_balance", Where::Anywhere, Means::QuotaExhausted),
    code("insufficient_credits", Where::Anywhere, Means::QuotaExhausted),
    // OpenRouter: what this key may spend (openrouter.ai/docs/api_reference/limits).
    code("openrouter_key_limit", Where::Anywhere, Means::QuotaExhausted),
    code("openrouter_guardrail_budget", Where::Anywhere, Means::QuotaExhausted),
    code("openrouter_workspace_budget", Where::Anywhere, Means::QuotaExhausted),
    // Groq, as 400: what its owner lets an account spend (console.groq.com/docs/spend-limits).
    code("blocked_api_access", Where::Anywhere, Means::QuotaExhausted),
    // Moonshot.
    code("exceeded_current_quota_error", Where::Anywhere, Means::QuotaExhausted),
    // DashScope.
    code("arrearage", Where::Anywhere, Means::QuotaExhausted),
    code("allocationquota.freetieronly", Where::Anywhere, Means::QuotaExhausted),
    // Volcengine Ark, as 403.
    code("accountoverdueerror", Where::Account, Means::QuotaExhausted),
    // Novita, as 403 (the table of its twin, docs.jiekou.ai/en/docs/models/reference-error-code).
    code("not_enough_balance", Where::Account, Means::QuotaExhausted),
    // One API and its kin.
    code("insufficient_user_quota", Where::Anywhere, Means::QuotaExhausted),
    code("pre_consume_token_quota_failed", Where::Anywhere, Means::QuotaExhausted),
    // SiliconFlow: balance.
    code("30001", Where::Account, Means::QuotaExhausted),
    // MiniMax: what the plan has for five hours.
    code("2056", Where::Account, Means::QuotaExhausted),
    // Zhipu: arrears; daily, five-hour and weekly limits; plan over.
    code("1113", Where::Account, Means::QuotaExhausted),
    code("1304", Where::Account, Means::QuotaExhausted),
    code("1308", Where::Account, Means::QuotaExhausted),
    code("1309", Where::Account, Means::QuotaExhausted),
    code("1310", Where::Account, Means::QuotaExhausted),
    // The model at this upstream.
    code("model_not_found", Where::Anywhere, Means::ModelMissing),
    code("model_not_exist", Where::Anywhere, Means::ModelMissing),
    code("invalid_model", Where::Anywhere, Means::ModelMissing),
    code("model_decommissioned", Where::Anywhere, Means::ModelMissing),
    code("model_not_available", Where::Anywhere, Means::ModelMissing),
    code("model_not_supported", Where::Anywhere, Means::ModelMissing),
    code("model_terms_required", Where::Anywhere, Means::ModelMissing),
    code("modelnotfound", Where::Anywhere, Means::ModelMissing),
    code("model.accessdenied", Where::Anywhere, Means::ModelMissing),
    code("deploymentnotfound", Where::Anywhere, Means::ModelMissing),
    code("not_found_error", Where::Anywhere, Means::ModelMissing),
    code("resource_not_found_error", Where::Anywhere, Means::ModelMissing),
    // OpenAI: a restricted key that may not do this, and other things.
    code("missing_scope", Where::Anywhere, Means::ModelMissing),
    // Anthropic: the key may not use this resource.
    code("permission_error", Where::Forbidden, Means::ModelMissing),
    // OpenRouter, as 402: one request that is dearer than all that may run at once; smaller ones are served.
    code("weight_exceeds_budget", Where::Anywhere, Means::ModelMissing),
    // Amazon, as 424: the model failed at this request; another may not.
    code("modelerrorexception", Where::Anywhere, Means::ModelMissing),
    // Zhipu, SiliconFlow: no such model.
    code("1211", Where::Refused, Means::ModelMissing),
    code("20012", Where::Refused, Means::ModelMissing),
    // The upstream.
    code("overloaded_error", Where::Fault, Means::ServerError),
    code("engine_overloaded_error", Where::Fault, Means::ServerError),
    code("service_unavailable", Where::Fault, Means::ServerError),
    // The rate.
    code("rate_limit_exceeded", Where::Anywhere, Means::RateLimited),
    code("rate_limit_error", Where::Anywhere, Means::RateLimited),
    code("rate_limit_reached_error", Where::Anywhere, Means::RateLimited),
    code("resource_exhausted", Where::Anywhere, Means::RateLimited),
    code("throttling", Where::Anywhere, Means::RateLimited),
    code("throttling.ratequota", Where::Anywhere, Means::RateLimited),
    code("throttling.allocationquota", Where::Anywhere, Means::RateLimited),
    // Amazon, as 400: "You can resubmit your request later"
    // (docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html).
    code("servicequotaexceededexception", Where::Anywhere, Means::RateLimited),
    // OpenRouter, as 402 with a time: what is running may cost all that there is; it is over when that has ended.
    code("in_flight_budget_exhausted", Where::Anywhere, Means::RateLimited),
    code("openrouter_in_flight_budget", Where::Anywhere, Means::RateLimited),
];

/// A member of an error object that says by being there what a code would.
struct Member {
    /// The names that lead to it.
    path: &'static [&'static str],
    /// What it must be.
    is: fn(&Value) -> bool,
    /// One of [`CODES`].
    code: &'static str,
}

/// Of errors whose codes do not say it; what these stand for comes before the codes.
static MEMBERS: &[Member] = &[
    // OpenRouter, whose code is the status: why its moderation refused (openrouter.ai/docs/errors, "Moderation Errors").
    Member { path: &["metadata", "reasons"], is: Value::is_array, code: "moderation_blocked" },
];

/// The codes that an error object's members stand for.
pub(super) fn implied(error: &Map<String, Value>) -> impl Iterator<Item = &'static str> {
    let find = |path: &[&str]| {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(error.get(*first)?, |value, name| value.get(*name))
    };
    MEMBERS.iter().filter(move |member| find(member.path).is_some_and(member.is)).map(|member| member.code)
}

struct Phrase {
    statuses: &'static [u16],
    /// How the message begins, in lower case.
    begins: &'static str,
    /// What it contains besides, in lower case.
    contains: &'static str,
    means: Means,
}

const fn phrase(statuses: &'static [u16], begins: &'static str, means: Means) -> Phrase {
    Phrase { statuses, begins, contains: "", means }
}

/// The beginnings of messages whose codes say nothing or too little. They come before the codes.
static PHRASES: &[Phrase] = &[
    // Anthropic, as invalid_request_error.
    phrase(&[400, 402, 403], "your credit balance is too low", Means::QuotaExhausted),
    // Likewise: what its owner lets an account or a workspace spend (github.com/anthropics/claude-code/issues/38035); an account that is
    // shut (github.com/anthropics/claude-code/issues/8327).
    Phrase {
        contains: "usage limits",
        ..phrase(&[400, 403], "you have reached your specified ", Means::QuotaExhausted)
    },
    phrase(&[400, 403], "this organization has been disabled", Means::KeyDead),
    // Fireworks, as 412: the month's spending, or bills that are not paid (github.com/pollinations/pollinations/issues/12136).
    Phrase { contains: " is suspended, possibly due to", ..phrase(&[412], "account ", Means::QuotaExhausted) },
    // Gemini, as FAILED_PRECONDITION: nothing is served where we are (github.com/google-gemini/gemini-cli/issues/24641).
    phrase(&[400], "user location is not supported for the api use", Means::KeyDead),
    // xAI: a team without credits.
    Phrase { contains: "credits", ..phrase(&[403, 429], "your newly created team", Means::QuotaExhausted) },
    Phrase { contains: "credits", ..phrase(&[403, 429], "your team ", Means::QuotaExhausted) },
    // xAI, as 400.
    phrase(&[400, 401], "incorrect api key provided", Means::KeyDead),
    // OpenAI, as invalid_request_error: a restricted key that may not do this, and other things.
    phrase(&[401, 403], "you have insufficient permissions for this operation", Means::ModelMissing),
    // Vendors who give a key that they do not know no code, or the status as one: Mistral, Cohere, SiliconFlow, Voyage, Azure,
    // OpenRouter.
    phrase(&[401], "unauthorized", Means::KeyDead),
    phrase(&[401], "invalid api", Means::KeyDead),
    phrase(&[401], "invalid token", Means::KeyDead),
    phrase(&[401], "invalid authentication", Means::KeyDead),
    phrase(&[401], "provided api key is invalid", Means::KeyDead),
    phrase(&[401], "access denied due to invalid subscription key", Means::KeyDead),
    phrase(&[401], "no auth credentials", Means::KeyDead),
    phrase(&[401], "user not found", Means::KeyDead),
    // Nebius, whose errors have a `detail`, and no code.
    phrase(&[401], "couldn't authenticate", Means::KeyDead),
    // Gemini, whose code is the status.
    phrase(&[403], "your api key was reported as leaked", Means::KeyDead),
    // xAI: content policy, as 403.
    phrase(&[403], "content violates usage guidelines", Means::Client),
    // Gemini: a file of another project's, a cache that is not there.
    phrase(&[403], "you do not have permission to access the file", Means::Elsewhere),
    phrase(&[403], "cachedcontent not found", Means::Elsewhere),
    // OpenAI, where the code is null or something else: an answer, its items, a conversation, encrypted thoughts; and what an account
    // that keeps nothing says (github.com/anomalyco/opencode/issues/7724, github.com/can1357/oh-my-pi/issues/2341).
    Phrase { contains: "not found", ..phrase(&[400, 404], "previous response with id", Means::Elsewhere) },
    Phrase { contains: "not found", ..phrase(&[400, 404], "item with id", Means::Elsewhere) },
    Phrase { contains: "not found", ..phrase(&[400, 404], "conversation with id", Means::Elsewhere) },
    Phrase { contains: "could not be verified", ..phrase(&[400], "the encrypted content", Means::Elsewhere) },
    phrase(&[400], "previous response cannot be used for this organization", Means::Elsewhere),
    phrase(&[400], "conversation id cannot be used for this organization", Means::Elsewhere),
    // OpenRouter: this request is dearer than what is left; smaller ones are served.
    Phrase { contains: "max_tokens", ..phrase(&[402], "this request requires more credits", Means::ModelMissing) },
    // OpenAI, and Groq as 413: one request above the limit of a whole minute; waiting does not help it, another account may.
    phrase(&[413, 429], "request too large for", Means::ModelMissing),
    // DeepSeek, as invalid_request_error.
    phrase(&[400], "model not exist", Means::ModelMissing),
    phrase(&[400], "model not found", Means::ModelMissing),
    // Amazon, as ValidationException: no such model, or none by this name.
    phrase(&[400], "the provided model identifier is invalid", Means::ModelMissing),
    Phrase { contains: "on-demand throughput", ..phrase(&[400], "invocation of model id", Means::ModelMissing) },
    // What one vendor's models take no request with, and another's do: as 400, with a code for everything or none. DeepSeek.
    phrase(&[400], "this response_format type is unavailable now", Means::Elsewhere),
    phrase(&[400], "thinking mode does not support this tool_choice", Means::Elsewhere),
    // Moonshot.
    phrase(&[400], "invalid temperature: only ", Means::Elsewhere),
    phrase(&[400], "cannot specify both 'thinking' and 'reasoning_effort'", Means::Elsewhere),
    Phrase { contains: "is incompatible with thinking enabled", ..phrase(&[400], "tool_choice ", Means::Elsewhere) },
    // DashScope.
    Phrase {
        contains: "the tool_choice parameter does not support",
        ..phrase(&[400], "<400> internalerror.algo.invalidparameter", Means::Elsewhere)
    },
    // xAI.
    Phrase { contains: "does not support parameter", ..phrase(&[400], "model ", Means::Elsewhere) },
    phrase(&[400], "argument not supported on this model", Means::Elsewhere),
    // Mistral.
    phrase(&[400], "tool call id was ", Means::Elsewhere),
    phrase(&[400], "unexpected role '", Means::Elsewhere),
    phrase(&[400], "expected last role ", Means::Elsewhere),
    // Fireworks, whose documents may not be long.
    Phrase { contains: "must have stream=true", ..phrase(&[400], "requests with max_tokens", Means::Elsewhere) },
    // Amazon Bedrock, of Meta's models.
    Phrase { contains: "blocks cannot be provided in the same turn", ..phrase(&[400], "messages.", Means::Elsewhere) },
];

/// The status of an answer to a request that is too large, whatever its words are.
const TOO_LARGE: u16 = 413;

/// How much of a message is compared, in bytes.
const MESSAGE_BYTES_MAX: usize = 512;

/// What an answer with this status, these codes and this message means beyond its status, if anything. 200: an error
/// inside a stream that named no status.
pub(super) fn means(status: u16, codes: &[String], message: &str) -> Option<Means> {
    let cut = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    let message = message[..cut].trim_start().to_ascii_lowercase();
    let said = |phrase: &&Phrase| {
        phrase.statuses.contains(&status) && message.starts_with(phrase.begins) && message.contains(phrase.contains)
    };
    if let Some(phrase) = PHRASES.iter().find(said) {
        return Some(phrase.means);
    }
    // A 5xx is the upstream's fault whatever it says; only what concerns the request itself is believed there.
    let believed = |row: &&Code| row.believed.covers(status) && (status < 500 || row.means == Means::Client);
    let row = codes.iter().find_map(|code| CODES.iter().filter(believed).find(|row| row.code == code))?;
    Some(match row.means {
        // Of this one request, which is above what is left of a limit, or all of it: Groq calls it as it calls a rate that is reached
        // (github.com/assafelovic/gpt-researcher/issues/985). Smaller ones are served.
        Means::RateLimited if status == TOO_LARGE => Means::ModelMissing,
        means => means,
    })
}

#[cfg(test)]
mod tests {
    use super::{CODES, MEMBERS, PHRASES};
    use std::collections::HashSet;

    #[test]
    fn the_tables_hold_what_is_compared() {
        let codes: HashSet<_> = CODES.iter().map(|row| row.code).collect();
        assert_eq!(codes.len(), CODES.len(), "a code twice");
        assert!(CODES.iter().all(|row| row.code == row.code.to_ascii_lowercase()));
        assert!(MEMBERS.iter().all(|member| !member.path.is_empty() && codes.contains(member.code)));
        for phrase in PHRASES {
            assert!(!phrase.begins.is_empty() && phrase.begins == phrase.begins.to_ascii_lowercase());
            assert!(phrase.contains == phrase.contains.to_ascii_lowercase());
        }
    }
}
