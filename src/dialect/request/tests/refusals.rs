use super::{CHAT, COMPLETIONS, GEMINI, MESSAGES, RESPONSES, at, facts, read, refused};
use crate::dialect::request::read_request;
use bytes::Bytes;

#[test]
fn bodies_that_are_not_json_objects_are_refused() {
    for body in [
        "",
        "  \n",
        "[]",
        "\"x\"",
        "1",
        "null",
        "{",
        "{]",
        "{\"model\":\"m\"",
        "{\"model\":\"m\"} x",
        "{\"model\":\"m\"}{}",
        "{'model':'m'}",
        "{\"model\":\"m\",}",
        "{\"a\":01,\"model\":\"m\"}",
        "{\"a\":\"\n\",\"model\":\"m\"}",
        "\u{feff}{\"model\":\"m\"}",
        r#"{"model":"m","a":"\ud800"}"#,
        r#"{"model":"m","a":1e999}"#,
        "model=m",
    ] {
        let (message, param) = refused(CHAT, body);
        assert!(message.starts_with("The body"), "{body}: {message}");
        assert_eq!(param, None);
    }
    let target = at(CHAT);
    let body = Bytes::from_static(b"{\"model\":\"m\",\"user\":\"\xff\"}");
    let reject = read_request(target.endpoint, &target, None, &body).unwrap_err();
    assert_eq!(reject.message.as_deref(), Some("The body is not UTF-8 (at byte 21)"));
}

#[test]
fn deep_bodies_are_refused() {
    let nested = |levels: usize| format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    facts(CHAT, &nested(63));
    assert_eq!(refused(CHAT, &nested(64)).0, "The body is nested more than 64 levels deep");
    refused(CHAT, &nested(200_000));
    let options = |levels: usize| {
        format!(r#"{{"model":"m","stream_options":{{"x":{}{}}}}}"#, "[".repeat(levels), "]".repeat(levels))
    };
    facts(CHAT, &options(62));
    refused(CHAT, &options(63));
    let objects = format!(r#"{{"model":"m","messages":{}1{}}}"#, r#"{"content":"#.repeat(70), "}".repeat(70));
    refused(CHAT, &objects);
}

#[test]
#[rustfmt::skip]
fn wrong_fields_are_named() {
    for (path, body, param) in [
        (CHAT, r#"{}"#, "model"),
        (CHAT, r#"{"model":null}"#, "model"),
        (CHAT, r#"{"model":1}"#, "model"),
        (CHAT, r#"{"model":["m"]}"#, "model"),
        (CHAT, r#"{"model":""}"#, "model"),
        (CHAT, r#"{"model":"  "}"#, "model"),
        (CHAT, r#"{"model":"a\nb"}"#, "model"),
        (CHAT, r#"{"model":"\ud800"}"#, "model"),
        (CHAT, r#"{"model":"m","model":"n"}"#, "model"),
        (CHAT, r#"{"model":"m","mod\u0065l":"n"}"#, "model"),
        (CHAT, r#"{"model":"m","Model":"n"}"#, "Model"),
        (CHAT, r#"{"model":"m","STREAM":true}"#, "STREAM"),
        (CHAT, "{\"model\":\"m\",\"max_to\u{212a}ens\":1}", "max_to\u{212a}ens"),
        (CHAT, r#"{"model":"m","stream":"true"}"#, "stream"),
        (CHAT, r#"{"model":"m","stream":1}"#, "stream"),
        (CHAT, r#"{"model":"m","stream":[]}"#, "stream"),
        (CHAT, r#"{"model":"m","stream":false,"stream":true}"#, "stream"),
        (CHAT, r#"{"model":"m","stream_options":[]}"#, "stream_options"),
        (CHAT, r#"{"model":"m","stream_options":"x"}"#, "stream_options"),
        (CHAT, r#"{"model":"m","stream_options":{"include_usage":1}}"#, "stream_options.include_usage"),
        (CHAT, r#"{"model":"m","stream_options":{"include_usage":true,"include_usage":false}}"#, "include_usage"),
        (CHAT, r#"{"model":"m","stream_options":{"Include_Usage":true}}"#, "Include_Usage"),
        (CHAT, r#"{"model":"m","stream_options":null,"stream_options":{}}"#, "stream_options"),
        (CHAT, r#"{"model":"m","max_tokens":-1}"#, "max_tokens"),
        (CHAT, r#"{"model":"m","max_tokens":1.5}"#, "max_tokens"),
        (CHAT, r#"{"model":"m","max_tokens":"10"}"#, "max_tokens"),
        (CHAT, r#"{"model":"m","max_tokens":true}"#, "max_tokens"),
        (CHAT, r#"{"model":"m","max_tokens":{}}"#, "max_tokens"),
        (CHAT, r#"{"model":"m","max_tokens":1000000001}"#, "max_tokens"),
        (CHAT, r#"{"model":"m","max_tokens":18446744073709551616}"#, "max_tokens"),
        (CHAT, r#"{"model":"m","max_tokens":1,"max_tokens":2}"#, "max_tokens"),
        (CHAT, r#"{"model":"m","max_completion_tokens":1e300}"#, "max_completion_tokens"),
        (CHAT, r#"{"model":"m","n":0}"#, "n"),
        (CHAT, r#"{"model":"m","n":-1}"#, "n"),
        (CHAT, r#"{"model":"m","n":129}"#, "n"),
        (CHAT, r#"{"model":"m","n":"2"}"#, "n"),
        (CHAT, r#"{"model":"m","service_tier":1}"#, "service_tier"),
        (CHAT, r#"{"model":"m","models":["n"]}"#, "models"),
        (CHAT, r#"{"model":"m","models":"n"}"#, "models"),
        (CHAT, r#"{"model":"m","messages":[],"messages":[]}"#, "messages"),
        (COMPLETIONS, r#"{"model":"m","best_of":0}"#, "best_of"),
        (COMPLETIONS, r#"{"model":"m","prompt":"a","prompt":["a","b"]}"#, "prompt"),
        (RESPONSES, r#"{"model":"m","background":true}"#, "background"),
        (CHAT, r#"{"model":"m","deferred":true}"#, "deferred"),
        (CHAT, r#"{"model":"m","deferred":"yes"}"#, "deferred"),
        (RESPONSES, r#"{"model":"m","deferred":true}"#, "deferred"),
        (CHAT, r#"{"model":"m","Deferred":true}"#, "Deferred"),
        (CHAT, r#"{"model":"m","route":"fallback"}"#, "route"),
        (CHAT, r#"{"model":"m","fallbacks":["n"]}"#, "fallbacks"),
        (COMPLETIONS, r#"{"model":"m","fallbacks":[{"n":["o"]}]}"#, "fallbacks"),
        (CHAT, r#"{"model":"m","context_window_fallbacks":[{"m":["o"]}]}"#, "context_window_fallbacks"),
        (CHAT, r#"{"model":"m","content_policy_fallbacks":[{"m":["o"]}]}"#, "content_policy_fallbacks"),
        (RESPONSES, r#"{"model":"m","context_window_fallback_dict":{"m":"o"}}"#, "context_window_fallback_dict"),
        (CHAT, r#"{"model":"m","preset":"p"}"#, "preset"),
        (RESPONSES, r#"{"model":"m","prompt_id":"p"}"#, "prompt_id"),
        (CHAT, r#"{"model":"m","providerOptions":{"gateway":{"models":["o"]}}}"#, "providerOptions.gateway.models"),
        (MESSAGES, r#"{"model":"m","providerOptions":{"gateway":{"order":[],"models":["o"]}}}"#, "providerOptions.gateway.models"),
        ("/v1/embeddings", r#"{"model":"m","providerOptions":{"gateway":{"models":["o"]}}}"#, "providerOptions.gateway.models"),
        (CHAT, r#"{"model":"m","providerOptions":{"Gateway":{"models":["o"]}}}"#, "Gateway"),
        (CHAT, r#"{"model":"m","extra_body":{"models":["o"]}}"#, "extra_body.models"),
        (CHAT, r#"{"model":"m","extra_body":{"model":"o"}}"#, "extra_body.model"),
        (CHAT, r#"{"model":"m","extra_body":{"providerOptions":{"gateway":{"models":["o"]}}}}"#, "providerOptions.gateway.models"),
        (CHAT, r#"{"model":"m","tools":[{"type":"function"},{"type":"openrouter:advisor","parameters":{"model":"o"}}]}"#, "tools"),
        (RESPONSES, r#"{"model":"m","tools":[{"type":"openrouter:fusion"}]}"#, "tools"),
        (CHAT, r#"{"model":"m","tools":[{"type":"openrouter:subagent"}]}"#, "tools"),
        (CHAT, r#"{"model":"m","plugins":[{"id":"web"},{"id":"fusion","model":"o"}]}"#, "plugins"),
        (CHAT, r#"{"model":"m","compound_custom":{"models":{"answering_model":"o"}}}"#, "compound_custom.models"),
        (RESPONSES, r#"{"prompt":{"id":"p"}}"#, "model"),
        (RESPONSES, r#"{"model":"m","max_output_tokens":-5}"#, "max_output_tokens"),
        (MESSAGES, r#"{"model":"m","fallbacks":[{"model":"n"}]}"#, "fallbacks"),
        (MESSAGES, r#"{"model":"m","fallbacks":"default"}"#, "fallbacks"),
        (MESSAGES, r#"{"model":"m","max_tokens":null,"max_tokens":1}"#, "max_tokens"),
        (MESSAGES, r#"{"model":"m","messages":[{"content":[{"source":{"type":"text","type":"base64","data":"x"}}]}]}"#, "type"),
        (GEMINI, r#"{"generationConfig":{"maxOutputTokens":-1}}"#, "generationConfig.maxOutputTokens"),
        (GEMINI, r#"{"generationConfig":{"max_output_tokens":"x"}}"#, "generationConfig.maxOutputTokens"),
        (GEMINI, r#"{"generationConfig":{"candidateCount":0}}"#, "generationConfig.candidateCount"),
        (GEMINI, r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}"#, "max_output_tokens"),
        (GEMINI, r#"{"generationConfig":{},"generation_config":{}}"#, "generation_config"),
        (GEMINI, r#"{"model":"models/other"}"#, "model"),
        ("/v1beta/models/g:batchEmbedContents", r#"{"requests":[{"model":"models/g"},{"model":"models/h"}]}"#, "model"),
        ("/v1beta/models/g:countTokens", r#"{"generateContentRequest":{"model":"h"}}"#, "model"),
        ("/v1/embeddings", r#"{"input":"x"}"#, "model"),
    ] {
        let (message, named) = refused(path, body);
        assert_eq!(named.as_deref(), Some(param), "{body}: {message}");
        assert!(message.contains(param), "{body}: {message}");
    }
    assert!(refused(CHAT, &format!(r#"{{"model":"{}"}}"#, "x".repeat(257))).0.contains("too long"));
    let batch = format!(r#"{{"requests":[{}]}}"#, vec![r#"{"model":"models/g"}"#; 1025].join(","));
    assert_eq!(refused("/v1beta/models/g:batchEmbedContents", &batch).1.as_deref(), Some("requests"));
}

#[test]
fn other_peoples_fields_are_left_alone() {
    for body in [
        r#"{"model":"m","temperature":2,"unknown":{"model":1,"stream":"x","n":0},"logit_bias":{"1":-100}}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"x","model":3,"stream":"y"}],"metadata":{"Model":"z"}}"#,
        r#"{"model":"m","messages":"not even a list","tools":7}"#,
        r#"{"model":"m","a":1,"a":2}"#,
        r#"{"model":"m","deferred":false,"route":null,"fallbacks":[]}"#,
        r#"{"model":"m","providerOptions":{"gateway":{"order":["a"],"only":["b"]},"anthropic":{"models":["x"]}}}"#,
        r#"{"model":"m","extra_body":{"stream":true,"stream_options":{"include_usage":true},"top_k":1,"model":null}}"#,
        r#"{"model":"m","preset":null,"compound_custom":{"models":null}}"#,
        r#"{"model":"m","preset":"","prompt_id":""}"#,
    ] {
        assert!(read(CHAT, body).is_ok(), "{body}");
    }
}

/// What a gateway behind this one may put into the next body counts, but what the client gets is what it asked for outside.
#[test]
fn an_extra_body_is_held_for_and_settles_nothing() {
    let body = r#"{"model":"m","max_tokens":10,"extra_body":{"max_tokens":90,"n":3,"stream":true,"stream_options":{"include_usage":true}}}"#;
    let facts = facts(CHAT, body);
    assert_eq!((facts.output_tokens_max, facts.choices), (Some(90), 3));
    assert_eq!((facts.stream, facts.wants_usage_chunk), (false, false));
}

/// Most servers ignore it, so that nothing in it makes less of what is asked for beside it, wherever it stands.
#[test]
fn an_extra_body_never_lowers_what_is_held() {
    for (beside, extra, most) in [
        ("", r#""max_tokens":1"#, None),
        ("", r#""max_completion_tokens":1,"n_predict":1"#, None),
        (r#","max_tokens":10"#, r#""max_tokens":1"#, Some(10)),
        (r#","max_tokens":10"#, r#""max_completion_tokens":90"#, Some(90)),
        (r#","max_tokens":10"#, r#""n_predict":80"#, Some(80)),
        (r#","max_tokens":10"#, r#""n_predict":-1"#, None),
        (r#","max_tokens":0"#, r#""max_tokens":5"#, None),
    ] {
        for body in [
            format!(r#"{{"model":"m"{beside},"extra_body":{{{extra}}}}}"#),
            format!(r#"{{"extra_body":{{{extra}}},"model":"m"{beside}}}"#),
        ] {
            assert_eq!(facts(CHAT, &body).output_tokens_max, most, "{body}");
        }
    }
    let nested = r#"{"model":"m","extra_body":{"extra_body":{"max_tokens":70},"max_tokens":20},"max_tokens":10}"#;
    assert_eq!(facts(CHAT, nested).output_tokens_max, Some(70));
}
