use super::{ENDPOINTS, Target, dialect_of, target};
use crate::dialect::DialectId;
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use std::collections::HashSet;
use tollgate_plugin_api::{Reject, RejectCode};

fn find(method: &str, path_and_query: &str) -> Result<Target, Reject> {
    find_with(method, path_and_query, &[])
}

fn find_with(method: &str, path_and_query: &str, headers: &[(&'static str, &'static str)]) -> Result<Target, Reject> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    target(&Method::from_bytes(method.as_bytes()).unwrap(), path, query, &headers)
}

/// Dialect, name, model in the path, path for the vendor's usual base URL.
fn told(target: &Target, base: &str, model: &str) -> String {
    format!(
        "{} {} {} {}",
        target.endpoint.dialect,
        target.endpoint.name,
        target.model_in_path.as_deref().unwrap_or("-"),
        target.upstream_path_and_query(base, model)
    )
}

#[test]
fn names_are_unique_in_their_dialect() {
    let names: HashSet<_> = ENDPOINTS.iter().map(|row| (row.dialect, row.name)).collect();
    assert_eq!(names.len(), ENDPOINTS.len());
}

#[test]
fn openai_paths_are_found() {
    for (path, name) in [
        ("chat/completions", "chat"),
        ("completions", "completions"),
        ("embeddings", "embeddings"),
        ("images/generations", "images_generations"),
        ("images/edits", "images_edits"),
        ("images/variations", "images_variations"),
        ("audio/speech", "audio_speech"),
        ("audio/transcriptions", "audio_transcriptions"),
        ("audio/translations", "audio_translations"),
        ("moderations", "moderations"),
        ("rerank", "rerank"),
    ] {
        let found = find("POST", &format!("/v1/{path}")).unwrap();
        assert_eq!(told(&found, "/v1", "m"), format!("openai {name} - /v1/{path}"));
    }
    for (path, name) in [
        ("responses", "responses"),
        ("responses/compact", "responses_compact"),
        ("responses/input_tokens", "responses_input_tokens"),
    ] {
        let found = find("POST", &format!("/v1/{path}")).unwrap();
        assert_eq!(told(&found, "/v1/", "m"), format!("openai-responses {name} - /v1/{path}"));
    }
}

#[test]
fn prefixes_are_forgiven() {
    for path in [
        "/v1/chat/completions",
        "/v1/v1/chat/completions",
        "//v1///chat/completions/",
        "/chat/completions",
        "/openai/v1/chat/completions",
        "/api/v1/chat/completions",
        "/api/openai/v1/v1/chat/completions",
        "/v1beta/openai/chat/completions",
        "/v1beta/openai/v1/chat/completions",
        "/v1/chat%2Fcompletions",
    ] {
        let found = find("POST", path).unwrap_or_else(|reject| panic!("{path}: {reject:?}"));
        assert_eq!(told(&found, "/openai/v1", "m"), "openai chat - /openai/v1/chat/completions", "{path}");
    }
    for path in ["/v1/messages", "/anthropic/v1/messages", "/anthropic/messages", "/v1/v1/messages/", "/messages"] {
        assert_eq!(told(&find("POST", path).unwrap(), "", "m"), "anthropic messages - /v1/messages", "{path}");
    }
    for path in [
        "/v1beta/models/g:generateContent",
        "/v1beta/v1beta/models/g:generateContent",
        "/v1/v1beta/models/g:generateContent",
        "/gemini/v1beta/models/g:generateContent",
        "/models/g:generateContent",
        "/v1beta/models/g%3AgenerateContent",
    ] {
        let found = find("POST", path).unwrap();
        assert_eq!(told(&found, "/", "g"), "gemini generate_content g /v1beta/models/g:generateContent", "{path}");
    }
}

#[test]
#[rustfmt::skip]
fn gemini_actions_models_and_versions_are_read() {
    for (path, base, model, expected) in [
        ("/v1/models/g:generateContent", "", "g", "generate_content g /v1/models/g:generateContent"),
        ("/v1alpha/models/g:countTokens", "", "g", "count_tokens g /v1alpha/models/g:countTokens"),
        ("/v1beta/models/g:embedContent", "", "h", "embed_content g /v1beta/models/h:embedContent"),
        ("/v1beta/models/g:batchEmbedContents", "/v1beta", "g", "batch_embed_contents g /v1beta/models/g:batchEmbedContents"),
        ("/v1beta/models/g:generateContent", "/v1/projects/p/publishers/google", "g",
            "generate_content g /v1/projects/p/publishers/google/models/g:generateContent"),
        ("/v1beta/models/a%2Fb:generateContent", "", "a/b", "generate_content a/b /v1beta/models/a%2Fb:generateContent"),
        ("/v1beta/models/a/b:generateContent", "", "c d?", "generate_content a/b /v1beta/models/c%20d%3F:generateContent"),
        ("/v1beta/models/ft:x:generateContent", "", "ft:x", "generate_content ft:x /v1beta/models/ft:x:generateContent"),
        ("/v1beta/tunedModels/x:generateContent", "", "tunedModels/x",
            "generate_content tunedModels/x /v1beta/tunedModels/x:generateContent"),
        ("/v1beta/models/g:generateContent", "", "models/h", "generate_content g /v1beta/models/h:generateContent"),
        ("/v1beta/models/%E6%97%A5:generateContent", "", "日", "generate_content 日 /v1beta/models/%E6%97%A5:generateContent"),
    ] {
        assert_eq!(told(&find("POST", path).unwrap(), base, model), format!("gemini {expected}"), "{path}");
    }
    let stream = find("POST", "/v1beta/models/g:streamGenerateContent?alt=sse&key=sk-tg-1").unwrap();
    assert!(stream.streams_by_path);
    assert_eq!(stream.upstream_path_and_query("", "g"), "/v1beta/models/g:streamGenerateContent?alt=sse");
    assert!(!find("POST", "/v1beta/models/g:generateContent").unwrap().streams_by_path);
}

#[test]
fn lists_of_models_follow_path_and_header() {
    let anthropic: &[_] = &[("anthropic-version", "2023-06-01")];
    for (method, path, headers, expected) in [
        ("GET", "/v1/models", &[][..], "openai models -"),
        ("HEAD", "/v1/models/", &[], "openai models -"),
        ("GET", "/v1/models", anthropic, "anthropic models -"),
        ("GET", "/anthropic/v1/models", &[], "anthropic models -"),
        ("GET", "/openai/v1/models", anthropic, "openai models -"),
        ("GET", "/v1beta/models", &[], "gemini models -"),
        ("GET", "/v1beta/models", anthropic, "gemini models -"),
        ("GET", "/v1beta/openai/models", &[], "openai models -"),
        ("GET", "/v1/models/gpt-4o", &[], "openai model gpt-4o"),
        ("GET", "/v1/models/openai/gpt-4o", &[], "openai model openai/gpt-4o"),
        ("GET", "/v1/models/openai%2Fgpt-4o", &[], "openai model openai/gpt-4o"),
        ("GET", "/v1/models/claude", anthropic, "anthropic model claude"),
        ("GET", "/v1beta/models/g", &[], "gemini model g"),
        ("GET", "/v1beta/tunedModels/g", &[], "gemini model tunedModels/g"),
    ] {
        let found = find_with(method, path, headers).unwrap();
        assert!(told(&found, "", "m").starts_with(expected), "{method} {path}: {}", told(&found, "", "m"));
    }
}

#[test]
fn what_is_not_there_is_not_found_and_says_so() {
    for (method, path, message) in [
        ("GET", "/v1/chat/completions", "GET /v1/chat/completions is not supported: this path takes POST"),
        ("DELETE", "/v1/models/x", "DELETE /v1/models/x is not supported: this path takes GET"),
        ("POST", "/v1/models", "POST /v1/models is not supported: this path takes GET"),
        ("POST", "/v1/nothing", "There is no POST /v1/nothing"),
        ("GET", "/", "There is no GET /"),
        ("POST", "/v1beta/chat/completions", "There is no POST /v1beta/chat/completions"),
        ("POST", "/anthropic/v1/chat/completions", "There is no POST /anthropic/v1/chat/completions"),
        ("POST", "/v1beta/models/:generateContent", "There is no POST /v1beta/models/:generateContent"),
        ("POST", "/v1beta/models/g:deleteEverything", "There is no POST /v1beta/models/g:deleteEverything"),
        ("POST", "/v1/v1/v1/v1/v1/v1/v1/completions", "There is no POST /v1/v1/v1/v1/v1/v1/v1/completions"),
        ("POST", "/v1/Chat/Completions", "There is no POST /v1/Chat/Completions"),
    ] {
        let reject = find(method, path).unwrap_err();
        assert_eq!((reject.code, reject.message.as_deref()), (RejectCode::NotFound, Some(message)));
    }
}

#[test]
fn paths_of_two_meanings_are_refused() {
    let long = format!("/v1/models/{}", "x".repeat(3000));
    for path in [
        "/v1/../v1/chat/completions",
        "/v1/./chat/completions",
        "/v1/%2e%2e/chat/completions",
        "/v1/.%2E/chat/completions",
        "/v1beta/models/..%2f..%2fx:generateContent/..",
        "/v1/chat\\completions",
        "/v1/chat/completions%00",
        "/v1/chat/completions%0d%0aHost:x",
        "/v1/chat/completions%",
        "/v1/chat/completions%2",
        "/v1/chat/completions%zz",
        "/v1/models/%ff",
        "/v1/models/a\u{7f}",
        &long,
    ] {
        assert_eq!(find("POST", path).unwrap_err().code, RejectCode::InvalidRequest, "{path}");
    }
    // Decoded once only: what is left is a name.
    assert_eq!(find("GET", "/v1/models/%252e%252e").unwrap().model_in_path.as_deref(), Some("%2e%2e"));
}

#[test]
fn credentials_leave_the_query() {
    for (query, expected) in [
        ("?key=a", None),
        ("?beta=true&key=a&api-version=1", Some("beta=true&api-version=1")),
        ("?Key=a&%6bey=b&%4b%45%59=c&$key=d", None),
        ("?x-api-key=a&access_token=b&api_key=c&keys=d&monkey=e", Some("keys=d&monkey=e")),
        ("?&&a=%20&", Some("a=%20")),
        ("?", None),
        ("?flag", Some("flag")),
    ] {
        let found = find("POST", &format!("/v1/chat/completions{query}")).unwrap();
        assert_eq!(found.query.as_deref(), expected, "{query}");
    }
}

#[test]
fn azures_older_paths_name_a_model_and_its_dates_do_not_go_where_they_are_refused() {
    for (path, expected) in [
        ("/openai/deployments/gpt-4o/chat/completions", "openai chat gpt-4o /openai/v1/chat/completions"),
        ("/openai/deployments/a%2Fb/completions", "openai completions a/b /openai/v1/completions"),
        ("/openai/deployments/chat/completions", "openai completions chat /openai/v1/completions"),
        ("/openai/deployments/e/embeddings", "openai embeddings e /openai/v1/embeddings"),
        (
            "/openai/v1/deployments/w/audio/transcriptions",
            "openai audio_transcriptions w /openai/v1/audio/transcriptions",
        ),
    ] {
        let found = find("POST", &format!("{path}?api-version=2024-10-21")).unwrap();
        assert_eq!(told(&found, "/openai/v1", "m"), expected);
    }
    for path in ["/openai/deployments", "/openai/deployments/m/messages"] {
        let refused = find("POST", path).map(|found| found.endpoint.name);
        assert_eq!(refused.map_err(|refusal| refusal.code), Err(RejectCode::NotFound), "{path}");
    }
    assert!(find("POST", "/deployments/m/chat/completions").is_err());
    assert!(find("GET", "/openai/deployments/m/models").is_err());
    for (query, base, expected) in [
        ("api-version=2024-10-21&a=1", "/openai/v1", "/openai/v1/chat/completions?a=1"),
        ("a=1&api-version=2025-04-01-preview", "", "/chat/completions?a=1&api-version=2025-04-01-preview"),
        ("api-version=2024-05-01-preview", "/models", "/models/chat/completions?api-version=2024-05-01-preview"),
        ("api-version=preview", "/openai/v1", "/openai/v1/chat/completions?api-version=preview"),
        (
            "api-version=2024-10-21",
            "/openai/deployments/m",
            "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        ),
    ] {
        let found = find("POST", &format!("/v1/chat/completions?{query}")).unwrap();
        assert_eq!(found.upstream_path_and_query(base, "m"), expected);
    }
}

#[test]
fn queries_that_hide_the_usage_are_refused() {
    for query in [
        "fields=candidates",
        "%24fields=candidates",
        "$FIELDS=x",
        "callback=f",
        "alt=media",
        "$alt=proto",
        "a b",
        "a=%zz&%zz",
    ] {
        let reject = find("POST", &format!("/v1beta/models/g:generateContent?{query}")).unwrap_err();
        assert_eq!(reject.code, RejectCode::InvalidRequest, "{query}");
    }
    for query in ["alt=sse", "alt=json", "%24alt=json%3Benum-encoding%3Dint", "prettyPrint=false"] {
        let found = find("POST", &format!("/v1beta/models/g:streamGenerateContent?{query}")).unwrap();
        assert_eq!(found.query.as_deref(), Some(query));
    }
    assert!(find("GET", "/v1beta/models?fields=models").is_ok());
    let masked = find_with("POST", "/v1beta/models/g:generateContent", &[("x-goog-fieldmask", "candidates")]);
    assert_eq!(masked.unwrap_err().param.as_deref(), Some("x-goog-fieldmask"));
}

#[test]
fn base_urls_with_a_version_get_no_second_one() {
    let messages = find("POST", "/v1/messages?beta=true").unwrap();
    for (base, expected) in [
        ("", "/v1/messages?beta=true"),
        ("/", "/v1/messages?beta=true"),
        ("/v1", "/v1/messages?beta=true"),
        ("/v1/", "/v1/messages?beta=true"),
        ("/anthropic", "/anthropic/v1/messages?beta=true"),
        ("/anthropic/v1", "/anthropic/v1/messages?beta=true"),
    ] {
        assert_eq!(messages.upstream_path_and_query(base, "m"), expected);
    }
    let chat = find("POST", "/v1/chat/completions").unwrap();
    assert_eq!(chat.upstream_path_and_query("", "m"), "/chat/completions");
    assert_eq!(chat.upstream_path_and_query("/api/paas/v4", "m"), "/api/paas/v4/chat/completions");
}

#[test]
fn the_dialect_of_an_unknown_request_is_guessed() {
    let none = HeaderMap::new();
    for (path, expected) in [
        ("/v1/chat/completions", DialectId::OpenAi),
        ("/v1/responses", DialectId::OpenAiResponses),
        ("/v1/messages", DialectId::Anthropic),
        ("/v1beta/cachedContents", DialectId::Gemini),
        ("/anthropic/v1/nothing", DialectId::Anthropic),
        ("/nothing", DialectId::OpenAi),
        ("/..", DialectId::OpenAi),
    ] {
        assert_eq!(dialect_of(path, &none), expected, "{path}");
    }
    let with = |name: &'static str| {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static("x"))])
    };
    assert_eq!(dialect_of("/nothing", &with("anthropic-version")), DialectId::Anthropic);
    assert_eq!(dialect_of("/nothing", &with("x-goog-api-key")), DialectId::Gemini);
}

proptest! {
    #[test]
    fn any_path_is_read_or_refused(path in "[ -~é]{0,60}", query in prop::option::of("[ -~]{0,40}")) {
        let _ = target(&Method::POST, &path, query.as_deref(), &HeaderMap::new());
        let _ = dialect_of(&path, &HeaderMap::new());
    }

    #[test]
    fn a_model_name_survives_the_path(name in "[^\\p{Cc}/\\\\%.][^\\p{Cc}/\\\\%]{0,20}") {
        let mut encoded = String::new();
        super::path::encode_segment(&name, &mut encoded);
        let found = find("POST", &format!("/v1beta/models/{encoded}:generateContent")).unwrap();
        prop_assert_eq!(found.model_in_path.as_deref(), Some(name.as_str()));
        let upstream = found.upstream_path_and_query("/v1beta", &name);
        prop_assert_eq!(&upstream, &format!("/v1beta/models/{encoded}:generateContent"));
        prop_assert!(upstream.parse::<http::Uri>().is_ok());
    }
}
