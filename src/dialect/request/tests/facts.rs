use super::{CHAT, COMPLETIONS, GEMINI, MESSAGES, RESPONSES, at, facts};
use crate::dialect::DialectId;
use crate::dialect::chat::OutputLimits;
use crate::dialect::request::{front_prompt_tokens, image_tokens_bound, prompt_text};
use tollgate_plugin_api::ServiceTier;

/// What an image is in these tests.
const IMAGE: u64 = 100_000;

/// Base64 of nothing, long enough to be told from text.
const MEDIUM: &str = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODk=";

#[test]
fn a_plain_chat_is_read() {
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}"#;
    let facts = facts(CHAT, body);
    assert_eq!(facts.model.as_deref(), Some("gpt-4o"));
    assert_eq!((facts.stream, facts.wants_usage_chunk, facts.refers_elsewhere), (false, false, false));
    assert_eq!((facts.output_tokens_max, facts.choices, facts.media_parts), (None, 1, 0));
    assert_eq!(facts.prompt_text_bytes, body.len() as u64);
    assert_eq!(facts.service_tier, ServiceTier::Standard);
    assert_eq!(facts.input_tokens_bound(1_000_000, IMAGE), body.len() as u64);
}

#[test]
#[rustfmt::skip]
fn settings_are_read_in_any_order_and_spelling() {
    for (path, body, stream, usage, max, choices) in [
        (CHAT, r#"{"stream":true,"model":"m"}"#, true, false, None, 1),
        (CHAT, r#"{"model":"m","stream":null,"n":null,"max_tokens":null}"#, false, false, None, 1),
        (CHAT, r#" { "stream_options" : { "x":[1], "include_usage" : true } , "stream":true, "model":"m" } "#, true, true, None, 1),
        (CHAT, r#"{"model":"m","stream_options":{"include_usage":false}}"#, false, false, None, 1),
        (CHAT, r#"{"model":"m","max_tokens":10,"max_completion_tokens":20,"n":3}"#, false, false, Some(20), 3),
        (CHAT, r#"{"model":"m","max_tokens":1e2,"n":2,"best_of":5}"#, false, false, Some(100), 5),
        (CHAT, r#"{"m\u006fdel":"m","\u0073tream":true,"max_tokens":0}"#, true, false, None, 1),
        ("/v1/completions", r#"{"model":"m","max_tokens":0,"prompt":["a","b"],"echo":true,"logprobs":1}"#, false, false, Some(0), 2),
        (CHAT, r#"{"model":"m","max_tokens":1,"n_predict":30}"#, false, false, Some(30), 1),
        (CHAT, r#"{"model":"m","n_predict":-1,"max_tokens":1}"#, false, false, None, 1),
        (CHAT, r#"{"model":"m","n_predict":1,"max_tokens":30}"#, false, false, Some(30), 1),
        (CHAT, r#"{"model":"m","n_predict":1}"#, false, false, None, 1),
        (CHAT, r#"{"model":"m","max_tokens":5,"n":2,"n_cmpl":16}"#, false, false, Some(5), 16),
        (COMPLETIONS, r#"{"model":"m","prompt":"a","max_tokens":1,"n_predict":30,"n_cmpl":4}"#, false, false, Some(30), 4),
        (MESSAGES, r#"{"model":"m","max_tokens":0}"#, false, false, Some(0), 1),
        (RESPONSES, r#"{"model":"m","max_output_tokens":7,"stream":true,"background":false}"#, true, false, Some(7), 1),
        (MESSAGES, r#"{"model":"m","max_tokens":8,"thinking":{"type":"enabled","budget_tokens":4}}"#, false, false, Some(8), 1),
        (GEMINI, r#"{"generationConfig":{"maxOutputTokens":9,"candidateCount":2}}"#, false, false, Some(9), 2),
        (GEMINI, r#"{"generation_config":{"max_output_tokens":"9"}}"#, false, false, Some(9), 1),
        (GEMINI, r#"{"generationConfig":{"maxOutputTokens":0}}"#, false, false, None, 1),
        (GEMINI, "{}", false, false, None, 1),
    ] {
        let facts = facts(path, body);
        assert_eq!(
            (facts.stream, facts.wants_usage_chunk, facts.output_tokens_max, facts.choices),
            (stream, usage, max, choices),
            "{body}"
        );
    }
}

#[test]
fn each_prompt_of_a_completion_has_its_own_choices() {
    for (prompt, choices) in [
        (r#""a""#, 2),
        (r#"["a"]"#, 2),
        (r#"["a","b","c"]"#, 6),
        ("[1,2,3]", 2),
        ("[[1,2],[3]]", 4),
        ("[]", 2),
        ("null", 2),
    ] {
        let body = format!(r#"{{"model":"m","prompt":{prompt},"n":2}}"#);
        assert_eq!(facts(COMPLETIONS, &body).choices, choices, "{prompt}");
    }
    assert_eq!(facts(COMPLETIONS, r#"{"best_of":4,"n":2,"prompt":["a","b"],"model":"m"}"#).choices, 8);
}

#[test]
fn operations_without_output_have_none() {
    for (path, body) in [
        ("/v1/embeddings", r#"{"model":"m","input":["a",[1,2]],"stream":true}"#),
        ("/v1/moderations", r#"{"input":"a"}"#),
        ("/v1/rerank", r#"{"model":"m","query":"q","documents":["d"]}"#),
        ("/v1/messages/count_tokens", r#"{"model":"m","messages":[]}"#),
        ("/v1/responses/input_tokens", r#"{"model":"m","input":"x"}"#),
        ("/v1beta/models/g:countTokens", r#"{"contents":[]}"#),
        ("/v1beta/models/g:embedContent", r#"{"content":{"parts":[{"text":"x"}]}}"#),
    ] {
        let facts = facts(path, body);
        assert_eq!((facts.output_tokens_max, facts.stream), (Some(0), false), "{path}");
    }
}

#[test]
fn models_come_from_the_body_the_path_or_the_default() {
    assert_eq!(facts(GEMINI, "{}").model.as_deref(), Some("g"));
    assert_eq!(facts(GEMINI, r#"{"model":"models/g"}"#).model.as_deref(), Some("g"));
    assert_eq!(facts("/v1/moderations", r#"{"input":"a"}"#).model.as_deref(), Some("omni-moderation-latest"));
    assert_eq!(facts("/v1/images/generations", r#"{"model":null,"prompt":"a"}"#).model.as_deref(), Some("dall-e-2"));
    assert_eq!(facts("/v1/images/generations", r#"{"model":"x","prompt":"a","n":4}"#).choices, 4);
    let streamed = facts("/v1beta/models/g:streamGenerateContent", "{}");
    assert!(streamed.stream);
    assert!(facts("/v1/audio/speech", r#"{"model":"m","input":"x","stream_format":"sse"}"#).stream);
}

#[test]
fn service_tiers_are_read() {
    for (path, body, tier) in [
        (CHAT, r#"{"model":"m","service_tier":"flex"}"#, ServiceTier::Flex),
        (CHAT, r#"{"model":"m","service_tier":"priority"}"#, ServiceTier::Priority),
        (CHAT, r#"{"model":"m","service_tier":"ultrafast"}"#, ServiceTier::Ultrafast),
        (CHAT, r#"{"model":"m","service_tier":"auto"}"#, ServiceTier::Standard),
        (CHAT, r#"{"model":"m","service_tier":"default"}"#, ServiceTier::Standard),
        (CHAT, r#"{"model":"m","service_tier":null}"#, ServiceTier::Standard),
        (MESSAGES, r#"{"model":"m","service_tier":"standard_only"}"#, ServiceTier::Standard),
        (MESSAGES, r#"{"model":"m","speed":"fast","service_tier":"auto"}"#, ServiceTier::Priority),
        (MESSAGES, r#"{"model":"m","service_tier":"flex","speed":"fast"}"#, ServiceTier::Priority),
        (GEMINI, r#"{"serviceTier":"SERVICE_TIER_PRIORITY"}"#, ServiceTier::Priority),
    ] {
        assert_eq!(facts(path, body).service_tier, tier, "{body}");
    }
}

/// A body with `$` where a medium goes, and what becomes of it.
#[test]
#[rustfmt::skip]
fn media_are_taken_off_the_text_only_where_they_are_media() {
    for (path, body, media, parts, elsewhere) in [
        (CHAT, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,$"}}]}]}"#, Some((1, 0)), 1, false),
        (CHAT, r#"{"model":"m","messages":[{"role":"user","content":[{"image_url":"data:image/png;base64,$"}]}]}"#, Some((1, 0)), 1, false),
        (CHAT, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"$","format":"wav"}}]}]}"#, Some((0, 1_010)), 1, false),
        (CHAT, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,$"}}]}]}"#, Some((0, 0)), 1, true),
        (CHAT, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/plain;base64,$"}}]}]}"#, None, 0, false),
        (CHAT, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":"data:video/mp4;base64,$"}}]}]}"#, Some((0, 0)), 1, true),
        (RESPONSES, r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,$"}]}]}"#, Some((1, 0)), 1, false),
        (RESPONSES, r#"{"model":"m","input":[{"type":"computer_call_output","output":{"type":"computer_screenshot","image_url":"data:image/png;base64,$"}}]}"#, Some((1, 0)), 1, false),
        (RESPONSES, r#"{"model":"m","input":[{"result":"$","type":"image_generation_call"}]}"#, Some((1, 0)), 1, false),
        (MESSAGES, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"$"}}]}]}"#, Some((1, 0)), 1, false),
        (MESSAGES, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image","source":{"data":"$","media_type":"image/png","type":"base64"}}]}]}]}"#, Some((1, 0)), 1, false),
        (MESSAGES, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"$"}}]}]}"#, Some((0, 0)), 1, true),
        (GEMINI, r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"$"}}]}]}"#, Some((1, 0)), 1, false),
        (GEMINI, r#"{"contents":{"parts":[{"inline_data":{"data":"$","mime_type":"audio/wav"}}]}}"#, Some((0, 0)), 1, true),
        // Text, whatever it looks like.
        (MESSAGES, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"$"}}]}]}"#, None, 0, false),
        (MESSAGES, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"image/png","data":"$"}}]}]}"#, None, 0, false),
        (MESSAGES, r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","input":{"source":{"type":"base64","media_type":"image/png","data":"$"}}}]}]}"#, None, 0, false),
        (MESSAGES, r#"{"model":"m","source":{"type":"base64","media_type":"image/png","data":"$"}}"#, None, 0, false),
        (CHAT, r#"{"model":"m","image_url":{"url":"data:image/png;base64,$"},"messages":[]}"#, None, 0, false),
        (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"data:image/png;base64,$"}]}"#, None, 0, false),
        (CHAT, r#"{"model":"m","messages":[],"response_format":{"json_schema":{"image_url":{"url":"data:image/png;base64,$"}}}}"#, None, 0, false),
        (RESPONSES, r#"{"model":"m","input":[{"type":"mcp_call","result":"$"}]}"#, None, 0, false),
        (GEMINI, r#"{"contents":[{"parts":[{"functionCall":{"args":{"inlineData":{"mimeType":"image/png","data":"$"}}}}]}]}"#, None, 0, false),
        (GEMINI, r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"text/plain","data":"$"}}]}]}"#, None, 0, false),
    ] {
        let body = body.replace('$', MEDIUM);
        let facts = facts(path, &body);
        let text = if media.is_some() { body.len() - MEDIUM.len() } else { body.len() } as u64;
        // A data URL is taken off with its beginning.
        let slack = if media.is_some() { 40 } else { 0 };
        assert!((text - slack..=text).contains(&facts.prompt_text_bytes), "{body}: {}", facts.prompt_text_bytes);
        assert_eq!(
            ((facts.images, facts.media_tokens), facts.media_parts, facts.refers_elsewhere),
            (media.unwrap_or_default(), parts, elsewhere),
            "{body}"
        );
    }
}

#[test]
#[rustfmt::skip]
fn what_is_not_in_the_body_is_noticed() {
    for (path, body, elsewhere) in [
        (CHAT, r#"{"model":"m","messages":[{"content":[{"image_url":{"url":"https://x/y.png"}}]}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"content":[{"image_url":{"url":"QUJD"}}]}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"content":[{"file":{"file_id":"file-1"}}]}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"audio":{"id":"audio_1"}}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"audio":null}]}"#, false),
        (CHAT, r#"{"model":"m","web_search_options":{}}"#, true),
        (CHAT, r#"{"model":"m","enable_search":true}"#, true),
        (CHAT, r#"{"model":"m","enable_search":false}"#, false),
        (CHAT, r#"{"model":"m","enable_code_interpreter":true}"#, true),
        (CHAT, r#"{"model":"m","web_search":{"enable":true}}"#, true),
        (CHAT, r#"{"model":"m","web_search":null}"#, false),
        (CHAT, r#"{"model":"m","web_search":{"enable_citation":true}}"#, true),
        (CHAT, r#"{"model":"m","web_search":{"enable":false,"search_mode":"auto"}}"#, false),
        (CHAT, r#"{"model":"m","web_search":{"enable":false},"enable_search":true}"#, true),
        (CHAT, r#"{"model":"m","web_search":true}"#, true),
        (CHAT, r#"{"model":"m","enable_enhancement":true}"#, true),
        (CHAT, r#"{"model":"m","force_search_enhancement":true}"#, true),
        (CHAT, r#"{"model":"m","with_search_enhance":true}"#, true),
        (CHAT, r#"{"model":"m","knowledge_base":{"ids":["kb-1"]}}"#, true),
        (CHAT, r#"{"model":"m","data_sources":[{"type":"azure_search"}]}"#, true),
        (CHAT, r#"{"model":"m","dataSources":[{"type":"AzureCognitiveSearch"}]}"#, true),
        (CHAT, r#"{"model":"m","data_sources":[]}"#, false),
        (CHAT, r#"{"model":"m","compound_custom":{"tools":{"enabled_tools":["web_search"]}}}"#, true),
        (CHAT, r#"{"model":"m","extra_body":{"google":{"cached_content":"cachedContents/1"}}}"#, true),
        (CHAT, r#"{"model":"m","extra_body":{"google":{"thinking_config":{"thinking_budget":9}}}}"#, false),
        (CHAT, r#"{"model":"m","extra_body":{"enable_search":true}}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"content":[{"type":"video","video":["https://x/1.jpg","https://x/2.jpg"]}]}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"content":[{"type":"input_audio","input_audio":{"data":"https://x/y.mp3"}}]}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"content":[{"type":"input_audio","input_audio":{"data":"oss://x/y.mp3"}}]}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"content":[{"type":"input_audio","input_audio":{"data":"data:;base64,QUJD"}}]}]}"#, false),
        (CHAT, r#"{"model":"m","messages":[{"content":[{"type":"image_url","image_url":null,"uuid":"u"}]}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"role":"cache","content":"cache_id=c"}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"cache","id":"i"}]}"#, false),
        (CHAT, r#"{"model":"m","messages":[{"role":"system","content":"fileid://a,fileid://b"}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"content":[{"type":"text","text":" file\u0069d://a"}]}]}"#, true),
        (CHAT, r#"{"model":"m","messages":[{"role":"system","content":"what is fileid://?"}]}"#, false),
        (MESSAGES, r#"{"model":"m","system":"fileid://a"}"#, true),
        (GEMINI, r#"{"systemInstruction":{"parts":[{"text":"fileid://a"}]}}"#, true),
        (RESPONSES, r#"{"model":"m","input":[{"id":"msg_1"}]}"#, true),
        (RESPONSES, r#"{"model":"m","input":[{"id":"msg_1","role":"user","content":"x"}]}"#, false),
        (RESPONSES, r#"{"model":"m","input":[{"type":"reasoning","id":"rs_1"}]}"#, false),
        (CHAT, r#"{"model":"m","plugins":[{"id":"web"}]}"#, true),
        (CHAT, r#"{"model":"m","plugins":["plugin_web_search"]}"#, true),
        (CHAT, r#"{"model":"m","plugins":[]}"#, false),
        (CHAT, r#"{"model":"m","tools":[{"type":"openrouter:web_search"}]}"#, true),
        (CHAT, r#"{"model":"m","tools":[{"type":"function"},{"type":"custom"}]}"#, false),
        (CHAT, r#"{"model":"m","tools":[{"type":"web_search"}]}"#, true),
        (RESPONSES, r#"{"model":"m","previous_response_id":"resp_1"}"#, true),
        (RESPONSES, r#"{"model":"m","previous_response_id":null,"conversation":null,"prompt":null}"#, false),
        (RESPONSES, r#"{"model":"m","conversation":{"id":"c"}}"#, true),
        (RESPONSES, r#"{"model":"m","prompt":{"id":"p"}}"#, true),
        (RESPONSES, r#"{"model":"m","input":[{"type":"item_reference","id":"i"}]}"#, true),
        (RESPONSES, r#"{"model":"m","input":[{"content":[{"type":"input_file","file_url":"https://x"}]}]}"#, true),
        (RESPONSES, r#"{"model":"m","tools":[{"type":"file_search"}]}"#, true),
        (RESPONSES, r#"{"model":"m","tools":[{"type":"apply_patch"},{"type":"local_shell"},{"type":"computer"}]}"#, false),
        (RESPONSES, r#"{"model":"m","tools":[{"type":"shell","environment":{"type":"container_auto"}}]}"#, true),
        (RESPONSES, r#"{"model":"m","tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]}"#, false),
        (RESPONSES, r#"{"model":"m","tools":[{"type":"namespace","name":"n","tools":[{"type":"web_search"}]}]}"#, true),
        (MESSAGES, r#"{"model":"m","messages":[{"content":[{"source":{"type":"url","url":"https://x"}}]}]}"#, true),
        (MESSAGES, r#"{"model":"m","messages":[{"content":[{"source":{"type":"file","file_id":"f"}}]}]}"#, true),
        (MESSAGES, r#"{"model":"m","tools":[{"type":"web_search_20250305","name":"web_search"}]}"#, true),
        (MESSAGES, r#"{"model":"m","tools":[{"type":"advisor_20260301","name":"advisor","model":"o"}]}"#, true),
        (MESSAGES, r#"{"model":"m","tools":[{"type":"custom","name":"t"},{"name":"u"}]}"#, false),
        (MESSAGES, r#"{"model":"m","mcp_servers":[{"url":"https://x"}]}"#, true),
        (GEMINI, r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://x"}}]}]}"#, true),
        (GEMINI, r#"{"cachedContent":"cachedContents/1"}"#, true),
        (GEMINI, r#"{"cached_content":""}"#, false),
        (GEMINI, r#"{"tools":[{"functionDeclarations":[{"name":"f"}]}]}"#, false),
        (GEMINI, r#"{"tools":[{"googleSearch":{}}]}"#, true),
        (GEMINI, r#"{"generateContentRequest":{"cachedContent":"x"}}"#, true),
    ] {
        let facts = facts(path, body);
        assert_eq!(facts.refers_elsewhere, elsewhere, "{body}");
        assert_eq!(facts.input_tokens_bound(1_000_000, IMAGE) >= 1_000_000, elsewhere, "{body}");
    }
}

#[test]
fn tools_bring_text_of_their_own() {
    let plain = facts(MESSAGES, r#"{"model":"m","tools":[]}"#).prompt_text_bytes;
    assert_eq!(plain, 24);
    let custom = r#"{"model":"m","tools":[{"name":"t"}]}"#;
    assert_eq!(facts(MESSAGES, custom).prompt_text_bytes, custom.len() as u64 + 1_024);
    let function = r#"{"model":"m","tools":[{"type":"function"}]}"#;
    assert_eq!(facts(CHAT, function).prompt_text_bytes, function.len() as u64 + 1_024);
    let legacy =
        r#"{"model":"m","functions":[{"name":"t","type":"web_search","image_url":"data:image/png;base64,QUJD"}]}"#;
    let patch = r#"{"model":"m","input":"x","tools":[{"type":"apply_patch"}]}"#;
    assert_eq!(facts(RESPONSES, patch).prompt_text_bytes, patch.len() as u64 + 1_024 + 2_048);
    let cited = |enabled: bool| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"document","source":{{"type":"text","data":"x"}},"citations":{{"enabled":{enabled}}}}}]}}]}}"#
        );
        facts(MESSAGES, &body).prompt_text_bytes - body.len() as u64
    };
    assert_eq!((cited(true), cited(false)), (1_024, 0));
    let declared = r#"{"tools":[{"functionDeclarations":[{"name":"t"}]}]}"#;
    for (path, body) in [(CHAT, legacy), (GEMINI, declared)] {
        let facts = facts(path, body);
        assert_eq!((facts.prompt_text_bytes, facts.refers_elsewhere), (body.len() as u64 + 1_024, false), "{body}");
    }
    for (path, body) in
        [(CHAT, r#"{"model":"m","functions":[]}"#), (GEMINI, r#"{"tools":[{"functionDeclarations":[]}]}"#)]
    {
        assert_eq!(facts(path, body).prompt_text_bytes, body.len() as u64, "{body}");
    }
    let bash = r#"{"model":"m","tools":[{"type":"bash_20250124","name":"bash"}]}"#;
    assert_eq!(facts(MESSAGES, bash).prompt_text_bytes, bash.len() as u64 + 1_024 + 2_048);
}

#[test]
fn what_is_put_in_front_is_known_by_the_models_name_and_of_conversations_alone() {
    let of = ["grok-4.7", "x-ai/Grok-4", "mistral.voxtral-mini-3b-2507", "openai/gpt-oss-120b", "gpt-4o", ""];
    assert_eq!(of.map(front_prompt_tokens), [1_024, 1_024, 512, 128, 0, 0]);
    let hi = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    for (path, body, is_conversation) in [
        (CHAT, hi, true),
        (MESSAGES, hi, true),
        (RESPONSES, r#"{"model":"m","input":"Hi"}"#, true),
        (GEMINI, r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#, true),
        (COMPLETIONS, r#"{"model":"m","prompt":"Hi"}"#, false),
        ("/v1/embeddings", r#"{"model":"m","input":"Hi"}"#, false),
    ] {
        assert_eq!(facts(path, body).is_conversation(), is_conversation, "{path}");
    }
}

/// U+0FB9 is three bytes, and six tokens to Qwen.
#[test]
fn text_that_is_longer_in_its_normal_form_counts_as_that() {
    let of =
        |text: &str| facts(CHAT, &format!(r#"{{"model":"m","messages":[{{"content":"{text}"}}]}}"#)).prompt_text_bytes;
    assert_eq!(of(&"\u{fb9}".repeat(100)) - of(""), 600);
    assert_eq!(of(&"é".repeat(100)) - of(""), 200);
}

/// A reranker reads the query, and what else there is, once for each document.
#[test]
fn what_stands_beside_the_documents_counts_once_for_each() {
    let url = "data:image/png;base64,QUJD";
    for (documents, pairs, elsewhere) in [
        (r#""documents":["a","b","c"]"#.to_owned(), 3, false),
        (r#""documents":[]"#.to_owned(), 0, false),
        (r#""documents":"a""#.to_owned(), 0, false),
        (r#""documents":[{"text":"a"},{"text":"b"}]"#.to_owned(), 2, false),
        (r#""documents":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#.to_owned(), 2, false),
        (r#""texts":["a"],"documents":["b"]"#.to_owned(), 2, false),
        (r#""documents":["a",{"image":"https://x/y.png"}]"#.to_owned(), 2, true),
        (format!(r#""documents":[{{"image":"{url}"}},{{"content":[{{"image_url":{{"url":"{url}"}}}}]}}]"#), 2, false),
    ] {
        let body = format!(r#"{{"model":"m","query":"what?","instruction":"so",{documents},"top_n":1}}"#);
        let facts = facts("/v1/rerank", &body);
        let images = body.matches(url).count() as u64;
        let media = images * url.len() as u64;
        assert_eq!(facts.prompts, pairs, "{body}");
        let text = body.len() as u64 - media;
        let beside = r#"{"model":"m","query":"what?","instruction":"so","documents":,"top_n":1}"#.len() as u64;
        let least = text + beside * pairs.saturating_sub(1);
        assert!(
            (least..=least + pairs * 150).contains(&facts.prompt_text_bytes),
            "{body}: {}",
            facts.prompt_text_bytes
        );
        assert_eq!((facts.images, facts.media_tokens, facts.refers_elsewhere), (images, 0, elsewhere), "{body}");
        let windows = u64::from(elsewhere);
        let bound = facts.input_tokens_bound(1_000_000, IMAGE);
        assert_eq!(bound / 1_000_000, windows, "each document has a window, if it needs one: {body}");
    }
    let prompt = |body: &str| prompt_text(at("/v1/rerank").endpoint, body.as_bytes(), 99);
    let three = prompt(r#"{"query":"abcd","documents":["x","y","z"]}"#);
    assert_eq!((three.beginning().as_str(), three.bytes()), ("abcd\nx\ny\nz", 3 * 4 + 5), "the query three times");
    assert_eq!(three.tokens(|text| 100 * text.bytes()), 100 * (3 * 4 + 5));
    let two = prompt(r#"{"documents":["x y"],"query":"abcd","texts":["z"]}"#);
    assert_eq!((two.beginning().as_str(), two.bytes()), ("abcd\nx y\nz", 2 * 4 + 5), "two lists");
    let queried = format!(r#"{{"model":"m","query":{{"image":"{url}"}},"documents":["a","b"]}}"#);
    assert_eq!(facts("/v1/rerank", &queried).images, 2);
    // Inputs and requests have windows of their own, too.
    let inputs = r#"{"model":"m","input":[{"image":"https://x/1"},{"image":"https://x/2"}]}"#;
    assert_eq!(facts("/v1/embeddings", inputs).input_tokens_bound(1_000, IMAGE), 2_000);
    let one = r#"{"model":"m","input":["a","b",{"image":"https://x/2"}]}"#;
    assert_eq!(facts("/v1/embeddings", one).input_tokens_bound(1_000, IMAGE), 1_000 + one.len() as u64);
    let shared = r#"{"model":"m","query":{"image":"https://x/2"},"documents":["a","b",{"image":"https://x/2"}]}"#;
    assert_eq!(facts("/v1/rerank", shared).input_tokens_bound(1_000, IMAGE), 3_000);
    // Of images, none is text that is cut into chunks.
    let data = "A".repeat(200_000);
    let images = format!(r#"{{"model":"m","query":"q","documents":[{{"image":"data:image/png;base64,{data}"}}]}}"#);
    assert_eq!(facts("/v1/rerank", &images).requests_billed_max, 1);
}

#[test]
fn the_prompts_text_is_collected() {
    let text = |path: &str, body: &str, max: usize| {
        let prompt = prompt_text(at(path).endpoint, body.as_bytes(), max);
        (prompt.beginning(), prompt.bytes())
    };
    let chat = format!(
        r#"{{"model":"m","user":"me","messages":[{{"role":"user","content":[{{"type":"text","text":"h\u00e9llo\n"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{MEDIUM}"}}}}]}}],"tools":[{{"type":"function","function":{{"name":"f"}}}}]}}"#
    );
    let whole = "user\nhéllo\n\nname\nf";
    assert_eq!(text(CHAT, &chat, 1000), (whole.to_owned(), whole.len() as u64));
    assert_eq!(text(CHAT, &chat, 7), ("user\nh".to_owned(), whole.len() as u64), "cut before half a character");
    assert_eq!(text(CHAT, &chat, 0), (String::new(), whole.len() as u64));
    assert_eq!(text(COMPLETIONS, r#"{"prompt":["a","b"],"model":"m"}"#, 9).0, "a\nb");
    assert_eq!(text(MESSAGES, r#"{"system":"s","messages":[{"role":"user","content":"c"}]}"#, 99).0, "s\nuser\nc");
    assert_eq!(text(GEMINI, r#"{"contents":[{"parts":[{"text":"c"}]}],"model":"models/g"}"#, 99).0, "c");
    let declared = r#"{"tools":[{"functionDeclarations":[{"name":"f"}]}]}"#;
    assert_eq!(text(GEMINI, declared, 99).0, "name\nf");
    assert_eq!(text(CHAT, r#"{"functions":[{"name":"f"}],"messages":[{"id":"i","role":"r"}]}"#, 99).0, "name\nf\ni\nr");
    assert_eq!(text("/v1/embeddings", r#"{"input":["x","y"],"model":"m"}"#, 99).0, "x\ny");
    assert_eq!(text(CHAT, r#"{"messages":["seen", oops"#, 99).0, "seen");
}

/// vLLM takes prompts as vectors, each of which is completed, too; how many tokens they are does nobody see.
#[test]
fn prompts_that_are_vectors_are_prompts_and_each_may_fill_the_context() {
    for (asked, choices, windows) in [
        (r#""prompt":"x","prompt_embeds":["AAAA","AAAA","AAAA"]"#, 4, 3),
        (r#""prompt":["x","y"],"prompt_embeds":"AAAA","n":2"#, 6, 1),
        (r#""prompt":"x","prompt_embeds":null"#, 1, 0),
        (r#""prompt":"x","prompt_embeds":[]"#, 1, 1),
    ] {
        let facts = facts(COMPLETIONS, &format!(r#"{{"model":"m",{asked}}}"#));
        assert_eq!(
            (facts.choices, facts.input_tokens_bound(1_000_000, IMAGE) / 1_000_000),
            (choices, windows),
            "{asked}"
        );
    }
}

/// Who scores a text wants no tokens, and gets none, but of Ollama, whose runner takes 0 for no limit.
#[test]
fn no_tokens_of_a_legacy_completion_are_no_limit_where_the_row_says_so() {
    let ollama = OutputLimits { zero_is_no_limit: true, ..OutputLimits::default() };
    for (path, body, bounds) in [
        (COMPLETIONS, r#"{"model":"m","prompt":["a","b"],"max_tokens":0}"#, [0, 200]),
        (COMPLETIONS, r#"{"model":"m","prompt":"a","max_tokens":5}"#, [5, 5]),
        ("/v1/embeddings", r#"{"model":"m","input":"a"}"#, [0, 0]),
    ] {
        let facts = facts(path, body);
        let bound = |limits| facts.output_tokens_bound(limits, Some(100), 7);
        assert_eq!([bound(&OutputLimits::default()), bound(&ollama)], bounds, "{path} {body}");
    }
}

#[test]
fn output_is_bounded_by_the_request_else_the_model_else_the_default_for_each_answer() {
    let bound = |body: &str, of_model| facts(CHAT, body).output_tokens_bound(&OutputLimits::default(), of_model, 7);
    assert_eq!(bound(r#"{"model":"m","max_tokens":5,"n":3}"#, Some(100)), 15);
    assert_eq!(bound(r#"{"model":"m","n":3}"#, Some(100)), 300);
    assert_eq!(bound(r#"{"model":"m","n":3}"#, None), 21);
    assert_eq!(bound(r#"{"model":"m","n":3}"#, Some(u64::MAX)), u64::MAX);
}

/// A client's dialect says nothing of what an image is to the model.
#[test]
fn an_image_is_what_it_is_in_the_dialect_in_which_a_model_gets_it() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}}]}]}"#;
    let facts = facts(MESSAGES, body);
    let text = body.len() as u64 - 4;
    for (dialect, model, tokens) in [
        (DialectId::Anthropic, "m", 5_000),
        (DialectId::Gemini, "m", 8_000),
        (DialectId::OpenAi, "m", 50_000),
        (DialectId::OpenAiResponses, "m", 50_000),
        (DialectId::Bedrock, "amazon.nova-pro-v1:0", 50_000),
        // These are the same wherever they run.
        (DialectId::Bedrock, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", 5_000),
        (DialectId::OpenAi, "anthropic/Claude-Opus-5.5", 5_000),
        (DialectId::OpenAi, "google/gemini-3.8-flash", 8_000),
    ] {
        let bound = facts.input_tokens_bound(0, image_tokens_bound(model, dialect));
        assert_eq!(bound, text + tokens, "{dialect:?} {model}");
    }
    assert_eq!(facts.input_tokens_bound(0, u64::MAX), u64::MAX);
}
