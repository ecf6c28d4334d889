mod elsewhere;
mod status;

use super::*;
use proptest::prelude::*;

const LIMITED: Failure = Failure::RateLimited { retry_after_ms: None };

fn judged(status: u16, body: &str) -> Failure {
    classify(status, &ErrorHead::default(), body.as_bytes(), &Borrowed::new(), 0)
}

fn after(status: u16, retry_after: Option<&str>, body: &str) -> Failure {
    let head = ErrorHead { retry_after: retry_after.map(str::to_owned), ..ErrorHead::default() };
    classify(status, &head, body.as_bytes(), &Borrowed::new(), 0)
}

fn event(codes: &[&str], status: Option<u16>, message: &str) -> Failure {
    classify_event(codes, status, message, &Borrowed::new())
}

/// Another vendor may take what one refuses; what none takes is the client's fault.
/// Bodies in the vendors' shapes: what each means.
#[test]
fn what_vendors_say() {
    let rows: &[(&str, u16, &str, Failure)] = &[
        (
            "OpenAI, no money",
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "OpenAI, hard limit",
            400,
            r#"{"error":{"code":"billing_hard_limit_reached","message":"Billing hard limit has been reached","param":null,"type":"image_generation_user_error"}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "OpenAI, rate",
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4o","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            LIMITED,
        ),
        (
            "OpenAI, one request above the minute's limit",
            429,
            r#"{"error":{"message":"Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 90000.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            Failure::ModelMissing,
        ),
        (
            "Groq, one request above the minute's limit",
            413,
            r#"{"error":{"message":"Request too large for model `m` in organization `org_1` on tokens per minute (TPM): Limit 6000, Requested 14368, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Failure::ModelMissing,
        ),
        (
            "Groq, the same in other words",
            413,
            r#"{"error":{"message":"Limit 6000, Requested 14368","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Failure::ModelMissing,
        ),
        (
            "Somebody's, with the words alone",
            413,
            r#"{"error":{"message":"Request too large for m","type":"tokens","code":null}}"#,
            Failure::ModelMissing,
        ),
        (
            "OpenRouter, one request above what is left",
            402,
            r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, but can only afford 4231. To increase, visit https://openrouter.ai/settings/credits and upgrade to a paid account","code":402}}"#,
            Failure::ModelMissing,
        ),
        (
            "OpenRouter, nothing left",
            402,
            r#"{"error":{"message":"Insufficient credits. Add more using https://openrouter.ai/settings/credits","code":402}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "Gemini, somebody's cache",
            403,
            r#"{"error":{"code":403,"message":"CachedContent not found (or permission denied)","status":"PERMISSION_DENIED"}}"#,
            Failure::Elsewhere,
        ),
        (
            "OpenAI, key",
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-x","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            Failure::KeyDead,
        ),
        (
            "OpenAI, model not in this project",
            403,
            r#"{"error":{"message":"Project `p` does not have access to model `m`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            Failure::ModelMissing,
        ),
        (
            "OpenAI Responses, model",
            400,
            r#"{"error":{"message":"The requested model 'x' does not exist.","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#,
            Failure::ModelMissing,
        ),
        (
            "OpenAI, too long",
            400,
            r#"{"error":{"message":"maximum context length","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            Failure::Client,
        ),
        (
            "Azure, deployment",
            404,
            r#"{"error":{"code":"DeploymentNotFound","message":"none"}}"#,
            Failure::ModelMissing,
        ),
        (
            "Azure, content",
            400,
            r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            Failure::Client,
        ),
        (
            "Anthropic, no money",
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "Anthropic, what may be spent",
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-12-31 at 00:00 UTC."}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "Anthropic, what a workspace may spend",
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified workspace API usage limits."}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "Anthropic, account shut",
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"This organization has been disabled."}}"#,
            Failure::KeyDead,
        ),
        (
            "Fireworks, account suspended",
            412,
            r#"{"error":{"message":"Account x is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices.","param":null,"code":"PRECONDITION_FAILED","type":"error"}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "Fireworks, another precondition",
            412,
            r#"{"error":{"message":"Account x has no deployment y","param":null,"code":"PRECONDITION_FAILED","type":"error"}}"#,
            Failure::Client,
        ),
        (
            "Gemini, from here",
            400,
            r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
            Failure::KeyDead,
        ),
        (
            "Groq, account shut",
            400,
            r#"{"error":{"message":"Organization has been restricted. Please reach out to support if you believe this was in error.","type":"invalid_request_error","code":"organization_restricted"}}"#,
            Failure::KeyDead,
        ),
        (
            "Groq, what may be spent",
            400,
            r#"{"error":{"message":"API access blocked: spend limit reached","type":"invalid_request_error","code":"blocked_api_access"}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "Anthropic, overloaded",
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Failure::ServerError,
        ),
        (
            "Anthropic, permission",
            403,
            r#"{"type":"error","error":{"type":"permission_error","message":"no"}}"#,
            Failure::ModelMissing,
        ),
        (
            "Anthropic, model",
            404,
            r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}"#,
            Failure::ModelMissing,
        ),
        (
            "Anthropic, request",
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages.0: wrong"}}"#,
            Failure::Client,
        ),
        (
            "Gemini, key",
            400,
            r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
            Failure::KeyDead,
        ),
        (
            "Gemini, key, in a stream's array",
            400,
            r#"[{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"","details":[{"reason":"API_KEY_INVALID"}]}}]"#,
            Failure::KeyDead,
        ),
        (
            "Gemini, request",
            400,
            r#"{"error":{"code":400,"message":"Please use a valid role","status":"INVALID_ARGUMENT","details":[]}}"#,
            Failure::Client,
        ),
        (
            "Gemini, leaked key",
            403,
            r#"{"error":{"code":403,"message":"Your API key was reported as leaked.","status":"PERMISSION_DENIED"}}"#,
            Failure::KeyDead,
        ),
        (
            "Gemini, another's file",
            403,
            r#"{"error":{"code":403,"message":"You do not have permission to access the File abc or it may not exist.","status":"PERMISSION_DENIED"}}"#,
            Failure::Elsewhere,
        ),
        (
            "Gemini, rate",
            429,
            r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37.5s"}]}}"#,
            Failure::RateLimited { retry_after_ms: Some(37_500) },
        ),
        (
            "DashScope, arrears",
            400,
            r#"{"code":"Arrearage","message":"Access denied","request_id":"r"}"#,
            Failure::QuotaExhausted,
        ),
        (
            "DashScope compatible, arrears",
            400,
            r#"{"error":{"code":"Arrearage","param":null,"message":"Access denied","type":"Arrearage"},"request_id":"r"}"#,
            Failure::QuotaExhausted,
        ),
        ("DashScope, key", 401, r#"{"code":"InvalidApiKey","message":"Invalid API-key provided."}"#, Failure::KeyDead),
        ("DashScope, content", 400, r#"{"code":"DataInspectionFailed","message":"no"}"#, Failure::Client),
        ("DashScope, rate", 429, r#"{"code":"Throttling.RateQuota","message":"slow"}"#, LIMITED),
        (
            "DashScope, free tier",
            403,
            r#"{"error":{"code":"AllocationQuota.FreeTierOnly","message":"over"}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "DeepSeek, money",
            402,
            r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "DeepSeek, model",
            400,
            r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error","code":"invalid_request_error"}}"#,
            Failure::ModelMissing,
        ),
        (
            "Moonshot, money",
            429,
            r#"{"error":{"message":"suspended","type":"exceeded_current_quota_error"}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "Moonshot, overloaded",
            429,
            r#"{"error":{"message":"busy","type":"engine_overloaded_error"}}"#,
            Failure::ServerError,
        ),
        ("Zhipu, arrears", 429, r#"{"error":{"code":"1113","message":"arrears"}}"#, Failure::QuotaExhausted),
        ("Zhipu, rate", 429, r#"{"error":{"code":"1302","message":"slow"}}"#, LIMITED),
        ("Zhipu, model", 400, r#"{"error":{"code":"1211","message":"none"}}"#, Failure::ModelMissing),
        (
            "SiliconFlow, model",
            400,
            r#"{"code":20012,"message":"Model does not exist. Please check it carefully.","data":null}"#,
            Failure::ModelMissing,
        ),
        (
            "SiliconFlow, money",
            403,
            r#"{"code":30001,"message":"balance is insufficient","data":null}"#,
            Failure::QuotaExhausted,
        ),
        (
            "xAI, no credits",
            403,
            r#"{"code":"The caller does not have permission","error":"Your newly created team doesn't have any credits yet."}"#,
            Failure::QuotaExhausted,
        ),
        (
            "xAI, key",
            400,
            r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***x."}"#,
            Failure::KeyDead,
        ),
        (
            "xAI, content",
            403,
            r#"{"code":"The caller does not have permission","error":"Content violates usage guidelines."}"#,
            Failure::Client,
        ),
        (
            "OpenRouter, money",
            402,
            r#"{"error":{"message":"Insufficient credits","code":402}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "OpenRouter, moderation",
            403,
            r#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"…"}}}"#,
            Failure::Client,
        ),
        (
            "OpenRouter, moderation beside another code",
            403,
            r#"{"error":{"code":"insufficient_credits","message":"flagged","metadata":{"reasons":[]}}}"#,
            Failure::Client,
        ),
        (
            "OpenRouter, another's refusal",
            403,
            r#"{"error":{"code":403,"message":"no","metadata":{"provider_name":"x","raw":{"reasons":["violence"]}}}}"#,
            Failure::Denied,
        ),
        (
            "OpenAI, a key without this scope",
            401,
            r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.model.audio.request. Check that you have the correct role in your organization","type":"invalid_request_error","param":null,"code":null}}"#,
            Failure::ModelMissing,
        ),
        (
            "OpenAI, the same with a code",
            401,
            r#"{"error":{"message":"Missing scopes: api.responses.write","type":"invalid_request_error","param":null,"code":"missing_scope"}}"#,
            Failure::ModelMissing,
        ),
        (
            "Gemini, something that the key may not do",
            403,
            r#"{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}"#,
            Failure::Denied,
        ),
        (
            "Volcengine Ark, key",
            401,
            r#"{"error":{"code":"AuthenticationError","message":"The API key or AK/SK in the request is missing or invalid. Request ID: x","param":"","type":"Unauthorized"}}"#,
            Failure::KeyDead,
        ),
        (
            "Volcengine Ark, arrears",
            403,
            r#"{"error":{"code":"AccountOverdueError","message":"The request failed because your account has an overdue balance. Request ID: x","param":"","type":"Forbidden"}}"#,
            Failure::QuotaExhausted,
        ),
        (
            "Novita, key",
            401,
            r#"{"code":401,"reason":"FAILED_TO_AUTH","message":"failed to authenticate API key"}"#,
            Failure::KeyDead,
        ),
        (
            "Novita, no money",
            403,
            r#"{"code":403,"reason":"NOT_ENOUGH_BALANCE","message":"not enough balance"}"#,
            Failure::QuotaExhausted,
        ),
        ("Novita, forbidden", 403, r#"{"code":403,"reason":"ACCESS_DENY","message":"access deny"}"#, Failure::Denied),
        ("Nebius, key", 401, r#"{"detail":"Couldn't authenticate. Reason: token is not present"}"#, Failure::KeyDead),
        ("Crusoe, key", 401, r#"{"errors":["Authentication failed"]}"#, Failure::KeyDead),
        (
            "StepFun, key",
            401,
            r#"{"error":{"message":"Incorrect API key provided","type":"invalid_api_key"}}"#,
            Failure::KeyDead,
        ),
        (
            "Qianfan, a minute's requests",
            429,
            r#"{"error":{"code":"rpm_rate_limit_exceeded","message":"Rate limit reached for RPM","type":"rate_limit_exceeded"},"id":"as-x"}"#,
            LIMITED,
        ),
        ("Somebody's unknown reason", 401, r#"{"error":{"message":"Not today"}}"#, Failure::Denied),
        (
            "Vertex AI, token",
            401,
            r#"{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}"#,
            Failure::KeyDead,
        ),
        (
            "Azure, key",
            401,
            r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#,
            Failure::KeyDead,
        ),
        ("OpenRouter, key", 401, r#"{"error":{"message":"No auth credentials found","code":401}}"#, Failure::KeyDead),
        ("Voyage, key", 401, r#"{"detail":"Provided API key is invalid."}"#, Failure::KeyDead),
        ("Cohere, key", 401, r#"{"message":"invalid api token"}"#, Failure::KeyDead),
        ("Mistral, no key", 401, r#"{"message":"Unauthorized","request_id":"1"}"#, Failure::KeyDead),
        ("Mistral, key", 401, r#"{"detail":"Invalid API Key"}"#, Failure::KeyDead),
        (
            "Mistral, model",
            400,
            r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}"#,
            Failure::ModelMissing,
        ),
        ("Cohere, too long", 400, r#"{"error_type":"TOO_MANY_TOKENS","message":"too many tokens"}"#, Failure::Client),
        (
            "Groq, model gone",
            400,
            r#"{"error":{"message":"gone","type":"invalid_request_error","code":"model_decommissioned"}}"#,
            Failure::ModelMissing,
        ),
        (
            "Groq, tool call",
            400,
            r#"{"error":{"code":"tool_use_failed","type":"invalid_request_error","message":"none"}}"#,
            Failure::Client,
        ),
        ("Ollama", 404, r#"{"error":"model 'x' not found, try pulling it first"}"#, Failure::ModelMissing),
        (
            "One API, money",
            403,
            r#"{"error":{"message":"no","type":"new_api_error","code":"insufficient_user_quota"}}"#,
            Failure::QuotaExhausted,
        ),
        ("an error as a success", 200, r#"{"error":{"message":"oops"}}"#, Failure::ErrorEvent),
        ("a rate limit as a success", 200, r#"{"error":{"type":"rate_limit_error","message":"oops"}}"#, LIMITED),
    ];
    for (name, status, body, expected) in rows {
        assert_eq!(judged(*status, body), *expected, "{name}");
    }
}

#[test]
fn a_web_page_is_no_verdict_of_the_vendor() {
    for page in ["<!DOCTYPE html><html>", "  \n<html lang=en>", "<HEAD>"] {
        assert_eq!(judged(200, page), Failure::ServerError);
        assert_eq!(judged(400, page), Failure::ServerError);
        assert_eq!(judged(403, page), Failure::ServerError);
        assert_eq!(judged(404, page), Failure::ModelMissing);
        assert_eq!(judged(413, page), Failure::ModelMissing);
        assert_eq!(judged(502, page), Failure::ServerError);
    }
}

#[test]
fn the_time_to_come_back() {
    let limited = |ms| Failure::RateLimited { retry_after_ms: Some(ms) };
    assert_eq!(after(429, Some("7"), ""), limited(7_000));
    assert_eq!(after(429, Some("0.25"), ""), limited(250));
    assert_eq!(after(429, Some("x"), ""), LIMITED);
    assert_eq!(after(503, Some("7"), ""), Failure::Overloaded { retry_after_ms: 7_000 });
    assert_eq!(after(529, Some("7"), ""), Failure::Overloaded { retry_after_ms: 7_000 });
    assert_eq!(after(500, Some("7"), ""), Failure::ServerError);
    assert_eq!(after(401, Some("7"), ""), Failure::KeyDead);
    assert_eq!(after(429, Some("7"), r#"{"error":{"code":"insufficient_quota"}}"#), Failure::QuotaExhausted);
    // The head is believed before the body.
    let body = r#"{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"9s"}]}}"#;
    assert_eq!(after(429, Some("7"), body), limited(7_000));
    assert_eq!(after(429, None, body), limited(9_000));
}

#[test]
fn a_name_in_the_head_is_the_first_code() {
    let named = |status, name: &str, body: &str| {
        let head = ErrorHead { code: Some(name.to_owned()), ..ErrorHead::default() };
        classify(status, &head, body.as_bytes(), &Borrowed::new(), 0)
    };
    let message = r#"{"message":"The security token included in the request is expired"}"#;
    assert_eq!(
        (judged(403, message), named(403, "expiredtokenexception", message)),
        (Failure::Denied, Failure::KeyDead)
    );
    assert_eq!(named(400, "servicequotaexceededexception", message), LIMITED);
    assert_eq!(named(400, "servicequotaexceededexception", "no json"), LIMITED);
    assert_eq!(named(424, "modelerrorexception", message), Failure::ModelMissing);
    assert_eq!(named(400, "validationexception", message), Failure::Client);
    let missing = r#"{"message":"The provided model identifier is invalid."}"#;
    assert_eq!(named(400, "validationexception", missing), Failure::ModelMissing);
}

#[test]
fn a_borrowed_code_is_read_as_what_it_stands_for() {
    let borrowed = Borrowed::from([("insufficient_quota".to_owned(), "throttling.allocationquota".to_owned())]);
    let body = br#"{"error":{"code":"Insufficient_Quota","type":"insufficient_quota","message":"quota"}}"#;
    assert_eq!(classify(429, &ErrorHead::default(), body, &borrowed, 0), LIMITED);
    assert_eq!(classify_event(&["Insufficient_Quota"], None, "", &borrowed), LIMITED);
    let other = br#"{"error":{"code":"arrearage"}}"#;
    assert_eq!(classify(400, &ErrorHead::default(), other, &borrowed, 0), Failure::QuotaExhausted);
}

/// A client's text that comes back inside a message must not open a breaker.
#[test]
fn quoted_text_is_not_believed() {
    for text in
        ["insufficient_quota", "invalid_api_key", "Your credit balance is too low", "API_KEY_INVALID", "Arrearage"]
    {
        let message = format!("Invalid value: '{text}'.");
        let body = serde_json::json!({"error": {"message": message, "type": "invalid_request_error", "param": text}});
        assert_eq!(judged(400, &body.to_string()), Failure::Client, "{text}");
        assert_eq!(
            judged(422, &serde_json::json!({"detail": [{"input": {"code": text}}]}).to_string()),
            Failure::Client
        );
    }
    // A 5xx is a 5xx.
    assert_eq!(judged(500, r#"{"error":{"code":"invalid_api_key"}}"#), Failure::ServerError);
    assert_eq!(judged(500, r#"{"error":{"code":"context_length_exceeded"}}"#), Failure::Client);
}

#[test]
fn a_body_without_end_is_not_parsed() {
    let body =
        format!(r#"{{"error":{{"code":"insufficient_quota","message":"{}"}}}}"#, "x".repeat(ERROR_BODY_BYTES_MAX));
    assert_eq!(judged(429, &body), LIMITED);
}

#[test]
fn events() {
    assert_eq!(event(&["overloaded_error"], None, "Overloaded"), Failure::ServerError);
    assert_eq!(event(&["server_error"], None, ""), Failure::ErrorEvent);
    assert_eq!(event(&[], None, ""), Failure::ErrorEvent);
    assert_eq!(event(&["429"], None, ""), LIMITED);
    assert_eq!(event(&["UNAVAILABLE"], Some(503), ""), Failure::ServerError);
    assert_eq!(event(&["RESOURCE_EXHAUSTED"], None, ""), LIMITED);
    assert_eq!(event(&["insufficient_quota"], None, ""), Failure::QuotaExhausted);
    assert_eq!(event(&["content_filter"], None, ""), Failure::Client);
    assert_eq!(event(&["invalid_request_error"], Some(400), ""), Failure::Client);
    assert_eq!(event(&["1302"], None, ""), Failure::ErrorEvent);
    assert_eq!(event(&[], Some(200), ""), Failure::ErrorEvent);
}

proptest! {
    #[test]
    fn nothing_panics(status: u16, body in prop::collection::vec(any::<u8>(), 0..200), header in "\\PC{0,20}", now: u64) {
        let head = ErrorHead { retry_after: Some(header.clone()), code: Some(header) };
        let failure = classify(status, &head, &body, &Borrowed::new(), now);
        prop_assert!(!failure.name().is_empty());
    }

    #[test]
    fn any_json_is_read(status in 200u16..600, code in "\\PC{0,20}", message in "\\PC{0,900}") {
        let body = serde_json::json!({"error": {"code": code, "message": message, "details": [1, {"reason": 2}, null]}});
        judged(status, &body.to_string());
        event(&[&code], Some(status), &message);
    }
}
