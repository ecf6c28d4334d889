//! What each vendor's usage comes to.

use tollgate_plugin_api::ServiceTier;

use super::{
    CHAT, CHAT_JSON, COMPLETION, EMBEDDINGS, GEMINI, GEMINI_ARRAY, GEMINI_JSON, MESSAGES_JSON, RESPONSES,
    RESPONSES_JSON, case,
};
use crate::dialect::shape::{Answer, DialectId, Framing};
use crate::dialect::usage::{CitationTokens, Placement, Scanner};

fn document(usage: &str) -> String {
    format!(r#"{{"id":"x","choices":[{{"message":{{"content":"hi"}},"finish_reason":"stop"}}],"usage":{usage}}}"#)
}

/// The five counts of a chat document with this usage, by the default rules.
fn chat(usage: &str) -> Option<[u64; 5]> {
    CHAT_JSON.counts(&document(usage))
}

#[test]
fn openai_chat_counts_include_their_details() {
    let usage = r#"{"prompt_tokens":1420,"completion_tokens":100,"total_tokens":1520,
        "prompt_tokens_details":{"cached_tokens":1280,"audio_tokens":0,"cache_write_tokens":3},
        "completion_tokens_details":{"reasoning_tokens":64,"audio_tokens":0}}"#;
    assert_eq!(chat(usage), Some([1420, 1280, 3, 100, 64]));
}

#[test]
fn the_names_for_cached_input_of_every_vendor() {
    for usage in [
        r#"{"prompt_tokens":50,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}"#,
        r#"{"prompt_tokens":50,"completion_tokens":5,"prompt_cache_hit_tokens":40,"prompt_cache_miss_tokens":10}"#,
        r#"{"prompt_tokens":50,"completion_tokens":5,"cached_tokens":40,"prompt_tokens_details":null}"#,
        r#"{"prompt_tokens":50,"completion_tokens":5,"num_cached_tokens":40,"prompt_tokens_details":[]}"#,
        r#"{"prompt_tokens":50,"completion_tokens":5,"cache_read_input_tokens":40}"#,
        r#"{"input_tokens":50,"output_tokens":5,"input_tokens_details":{"cache_read_input_tokens":40}}"#,
        // A name that is not in use.
        r#"{"prompt_tokens":50,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":0},"prompt_cache_hit_tokens":40}"#,
        r#"{"prompt_tokens":50,"completion_tokens":5,"prompt_cache_hit_tokens":40,"cached_tokens":0,"cache_read_input_tokens":0}"#,
    ] {
        assert_eq!(chat(usage), Some([50, 40, 0, 5, 0]), "{usage}");
    }
    let none =
        r#"{"prompt_tokens":50,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":0},"cached_tokens":0}"#;
    assert_eq!(chat(none), Some([50, 0, 0, 5, 0]));
    let written =
        r#"{"prompt_tokens":50,"completion_tokens":5,"prompt_tokens_details":{"cache_creation_input_tokens":9}}"#;
    assert_eq!(chat(written), Some([50, 0, 9, 5, 0]));
}

/// Gateways before Claude, and how long it stays in the cache.
#[test]
fn the_names_for_what_was_written_into_a_cache() {
    for (details, one_hour) in [
        (r#"{"cache_write_tokens":9}"#, 0),
        (r#"{"cache_creation_input_tokens":9,"cache_write_tokens":0}"#, 0),
        (r#"{"cached_creation_tokens":9}"#, 0),
        (
            r#"{"cached_creation_tokens":9,"claude_cache_creation_5_m_tokens":4,"claude_cache_creation_1_h_tokens":5}"#,
            5,
        ),
        (r#"{"claude_cache_creation_5_m_tokens":0,"claude_cache_creation_1_h_tokens":9}"#, 9),
        (r#"{"cache_creation_tokens":9,"cache_creation_token_details":{"ephemeral_1h_input_tokens":7}}"#, 7),
        (r#"{"cache_creation_token_details":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":7}}"#, 7),
    ] {
        let usage = format!(r#"{{"prompt_tokens":50,"completion_tokens":5,"prompt_tokens_details":{details}}}"#);
        assert_eq!(chat(&usage), Some([50, 0, 9, 5, 0]), "{details}");
        let metered = CHAT_JSON.whole(&document(&usage)).metered().unwrap();
        assert_eq!(metered.detail.cache_write_1h_tokens, one_hour, "{details}");
    }
    for absurd in ["claude_cache_creation_1_h_tokens", "cached_creation_tokens", "cache_creation_tokens"] {
        let usage =
            format!(r#"{{"prompt_tokens":50,"completion_tokens":5,"prompt_tokens_details":{{"{absurd}":-1}}}}"#);
        assert_eq!(chat(&usage), None, "{absurd}");
    }
}

#[test]
fn more_cached_than_prompt_is_never_a_credit() {
    let usage = r#"{"prompt_tokens":7,"completion_tokens":8,"total_tokens":15,
        "prompt_tokens_details":{"cached_tokens":161,"cache_write_tokens":5},"completion_tokens_details":{"reasoning_tokens":11}}"#;
    assert_eq!(chat(usage), Some([7, 7, 0, 8, 8]));
}

#[test]
fn xai_reasoning_stands_outside_in_chat_and_inside_in_responses() {
    let usage = r#"{"prompt_tokens":213,"completion_tokens":2,"total_tokens":413,
        "prompt_tokens_details":{"cached_tokens":192},"completion_tokens_details":{"reasoning_tokens":198}}"#;
    assert_eq!(chat(usage), Some([213, 192, 0, 200, 198]));
    // Where no total tells: outside in chat.
    let xai = CHAT_JSON.with(|rules| rules.reasoning = Placement::OutsideInChat);
    assert_eq!(xai.counts(&document(usage)), Some([213, 192, 0, 200, 198]));
    for total in ["", r#""total_tokens":null,"#, r#""total_tokens":0,"#, r#""total_tokens":211,"#] {
        let usage = format!(
            r#"{{"prompt_tokens":10,"completion_tokens":2,{total}"completion_tokens_details":{{"reasoning_tokens":198}}}}"#
        );
        assert_eq!(xai.counts(&document(&usage)), Some([10, 0, 0, 200, 198]), "{total}");
    }
    let in_total = r#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"completion_tokens_details":{"reasoning_tokens":15}}"#;
    assert_eq!(xai.counts(&document(in_total)), Some([10, 0, 0, 20, 15]));
    let untold = r#"{"usage":{"input_tokens":10,"output_tokens":20,"output_tokens_details":{"reasoning_tokens":15}}}"#;
    let responses_of_xai = RESPONSES_JSON.with(|rules| rules.reasoning = Placement::OutsideInChat);
    assert_eq!(responses_of_xai.counts(untold), Some([10, 0, 0, 20, 15]));
    let inside = CHAT_JSON.with(|rules| rules.reasoning = Placement::Inside);
    assert_eq!(inside.counts(&document(usage)), Some([213, 192, 0, 2, 2]));
    let responses = r#"{"usage":{"input_tokens":340,"output_tokens":108,"total_tokens":448,
        "input_tokens_details":{"cached_tokens":320},"output_tokens_details":{"reasoning_tokens":86}}}"#;
    assert_eq!(RESPONSES_JSON.counts(responses), Some([340, 320, 0, 108, 86]));
}

#[test]
fn mistral_audio_stands_outside_the_prompt() {
    let usage = r#"{"prompt_tokens":9,"completion_tokens":248,"total_tokens":632,"prompt_tokens_details":{"audio_tokens":375}}"#;
    let scanner = CHAT_JSON.whole(&document(usage));
    let metered = scanner.metered().unwrap();
    assert_eq!(super::five(&metered.usage), [384, 0, 0, 248, 0]);
    assert_eq!(metered.detail.input_audio_tokens, 375);
    let inside = r#"{"prompt_tokens":384,"completion_tokens":248,"total_tokens":632,"prompt_tokens_details":{"audio_tokens":375}}"#;
    assert_eq!(chat(inside), Some([384, 0, 0, 248, 0]));
    // As large as the reasoning: the total can mean but one of them.
    let both = r#"{"prompt_tokens":10,"completion_tokens":10,"total_tokens":25,"prompt_tokens_details":{"audio_tokens":5},
        "completion_tokens_details":{"reasoning_tokens":5}}"#;
    assert_eq!(chat(both), Some([10, 0, 0, 15, 5]));
    let sum = both.replace("25", "30");
    assert_eq!(chat(&sum), Some([15, 0, 0, 15, 5]));
}

#[test]
fn gemini_behind_openais_api_hides_its_thinking_in_the_total() {
    let usage = r#"{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}"#;
    let hidden = CHAT_JSON.with(|rules| rules.hidden_in_total = true);
    assert_eq!(hidden.counts(&document(usage)), Some([35, 0, 0, 74, 62]));
    assert_eq!(chat(usage), Some([35, 0, 0, 12, 0]), "no other vendor's total is trusted that far");
}

#[test]
fn vercels_totals_leave_geminis_reasoning_out() {
    let vercel = CHAT_JSON.with(|rules| rules.reasoning = Placement::OutsideForGemini);
    let usage = |model: &str, reasoning: u64| {
        format!(
            r#"{{"model":"{model}","usage":{{"prompt_tokens":28,"completion_tokens":9,"total_tokens":37,
            "completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}}}"#
        )
    };
    assert_eq!(vercel.counts(&usage("google/gemini-3-pro-preview", 61)), Some([28, 0, 0, 70, 61]));
    assert_eq!(vercel.counts(&usage("google/gemini-3-pro-preview", 4)), Some([28, 0, 0, 13, 4]));
    assert_eq!(vercel.counts(&usage("openai/gpt-5", 4)), Some([28, 0, 0, 9, 4]));
    assert_eq!(vercel.counts(&usage("some/other", 10)), Some([28, 0, 0, 19, 10]), "it cannot be inside");
}

/// As its SDK found it (npmjs.com/package/@ai-sdk/deepinfra): the thinking of Google's models is in no other count there.
#[test]
fn deepinfra_counts_the_thinking_of_googles_models_beside_the_rest() {
    let deepinfra = CHAT_JSON.with(|rules| *rules = crate::provider::providers()["deepinfra"].usage);
    let usage = |model: &str, output: u64, reasoning: u64| {
        format!(
            r#"{{"model":"{model}","usage":{{"prompt_tokens":10,"completion_tokens":{output},"total_tokens":{},
            "completion_tokens_details":{{"reasoning_tokens":{reasoning}}},"estimated_cost":0.001}}}}"#,
            10 + output
        )
    };
    assert_eq!(deepinfra.counts(&usage("google/gemma-4-31B-it", 84, 1081)), Some([10, 0, 0, 1165, 1081]));
    assert_eq!(deepinfra.counts(&usage("google/gemini-2.5-flash", 84, 20)), Some([10, 0, 0, 104, 20]));
    assert_eq!(deepinfra.counts(&usage("zai-org/GLM-5.2", 84, 20)), Some([10, 0, 0, 84, 20]));
}

/// iFlytek's Spark says in every chunk that nothing went wrong, and has no reason for its end.
#[test]
fn sparks_success_is_no_error_and_its_usage_is_in_the_last_chunk() {
    let head = r#""code":0,"message":"Success","sid":"cha000b000c@dx1","id":"cha000b000c@dx1","created":1719546385"#;
    let chunk = |rest: &str| {
        format!(
            "data:{{{head},\"choices\":[{{\"delta\":{{\"role\":\"assistant\",\"content\":\"Hi\"}},\"index\":0}}]{rest}}}\n\n"
        )
    };
    let usage = r#","usage":{"prompt_tokens":6,"completion_tokens":42,"total_tokens":48}"#;
    let scanner = CHAT.whole(&format!("{}{}data:[DONE]\n\n", chunk(""), chunk(usage)));
    assert!(scanner.error_event().is_none());
    assert_eq!(super::five(&scanner.metered().expect("it is reported").usage), [6, 0, 0, 42, 0]);
}

#[test]
fn perplexitys_research_has_reasoning_and_citations_of_its_own() {
    let usage = r#"{"prompt_tokens":33,"completion_tokens":7163,"total_tokens":7196,"citation_tokens":20016,
        "num_search_queries":30,"reasoning_tokens":73997}"#;
    let rules = CHAT_JSON.with(|rules| {
        rules.reasoning = Placement::OutsideIfBeside;
        rules.citation_tokens = CitationTokens::Input;
    });
    let metered = rules.whole(&document(usage)).metered().unwrap();
    assert_eq!(super::five(&metered.usage), [20049, 0, 0, 81160, 73997]);
    assert_eq!(metered.detail.web_searches, 30);
    let detail = r#"{"prompt_tokens":9,"completion_tokens":20,"completion_tokens_details":{"reasoning_tokens":5}}"#;
    assert_eq!(rules.counts(&document(detail)), Some([9, 0, 0, 20, 5]), "a detail is a part");
}

#[test]
fn a_total_of_nothing_alone_counts_nothing_that_was_generated() {
    assert_eq!(CHAT_JSON.counts(&document(r#"{"total_tokens":0,"total_characters":0}"#)), None);
    let chunk =
        |usage: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}],\"usage\":{usage}}}\n\n");
    let nothing = chunk(r#"{"total_tokens":0,"total_characters":0}"#);
    assert_eq!(CHAT.counts(&nothing), None);
    let counted = chunk(r#"{"total_tokens":13,"prompt_tokens":10,"completion_tokens":3}"#);
    assert_eq!(CHAT.counts(&(nothing.clone() + &counted)), Some([10, 0, 0, 3, 0]));
    assert_eq!(CHAT.counts(&(counted + &nothing)), Some([10, 0, 0, 3, 0]), "what is no report replaces none");
    // It is no first token either.
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}],\"usage\":{\"total_tokens\":0}}\n\n";
    assert!(!CHAT.whole(role).token_seen());
    assert_eq!(EMBEDDINGS.counts(r#"{"data":[],"usage":{"total_tokens":0}}"#), Some([0; 5]));
}

#[test]
fn embeddings_and_totals_alone() {
    let usage = |usage: &str| EMBEDDINGS.counts(&format!(r#"{{"data":[{{"embedding":[0.1]}}],"usage":{usage}}}"#));
    assert_eq!(usage(r#"{"prompt_tokens":2,"total_tokens":2}"#), Some([2, 0, 0, 0, 0]));
    assert_eq!(usage(r#"{"total_tokens":12}"#), Some([12, 0, 0, 0, 0]));
    assert_eq!(
        usage(r#"{"prompt_tokens":5,"total_tokens":5,"completion_tokens":0,"request_count":null}"#),
        Some([5, 0, 0, 0, 0])
    );
    let cohere = r#"{"meta":{"billed_units":{"input_tokens":7,"image_tokens":0},"tokens":{"input_tokens":9}}}"#;
    assert_eq!(EMBEDDINGS.counts(cohere), Some([7, 0, 0, 0, 0]), "what is billed, not what was counted");
    let rerank = case(Answer::Rerank, DialectId::OpenAi, Framing::JsonDocument);
    let units = r#"{"results":[],"meta":{"billed_units":{"search_units":1}}}"#;
    assert_eq!(rerank.counts(units), None, "billed, but not by tokens");
    assert_eq!(
        rerank.counts(r#"{"results":[],"tokens":{"input_tokens":31,"output_tokens":0}}"#),
        Some([31, 0, 0, 0, 0])
    );
}

#[test]
fn groq_says_the_same_in_three_places() {
    let stream = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\",\"usage\":",
        "{\"queue_time\":0.19,\"prompt_tokens\":20,\"completion_tokens\":4,\"total_tokens\":24,\"total_time\":0.02}}",
        "$TOP}\n\n$EXTRAdata: [DONE]\n\n"
    );
    let top = ",\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":4,\"total_tokens\":24}";
    let extra = format!("data: {{\"choices\":[]{top}}}\n\n");
    for (top, extra) in [("", ""), (top, ""), (top, extra.as_str())] {
        let stream = stream.replace("$TOP", top).replace("$EXTRA", extra);
        assert_eq!(CHAT.counts(&stream), Some([20, 0, 0, 4, 0]));
    }
}

#[test]
fn moonshots_usage_is_in_the_choice_and_nobody_elses() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\",\"usage\":{\"prompt_tokens\":8,\
                  \"completion_tokens\":3,\"total_tokens\":11,\"cached_tokens\":4}}]}\n\ndata: [DONE]\n\n";
    assert_eq!(CHAT.counts(stream), None);
    assert_eq!(CHAT.with(|rules| rules.usage_in_choice = true).counts(stream), Some([8, 4, 0, 3, 0]));
}

#[test]
fn repeated_usage_is_cumulative_the_last_wins() {
    let chunk = |n: u64| {
        format!(
            "data:{{\"choices\":[{{\"delta\":{{\"content\":\"x\"}},\"finish_reason\":null}}],\"usage\":{{\"prompt_tokens\":9,\
             \"completion_tokens\":{n},\"total_tokens\":{}}}}}\n\n",
            n + 9
        )
    };
    let stream: String = (0..20).map(chunk).collect();
    let scanner = CHAT.whole(&stream);
    assert_eq!(scanner.metered().unwrap().usage.output_tokens, 19);
    assert!(!scanner.is_final(), "it was cut off");
    let ended =
        format!("{stream}data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"stop\"}}],\"usage\":null}}\n\n");
    assert!(CHAT.whole(&ended).is_final());
    assert_eq!(CHAT.counts(&ended), Some([9, 0, 0, 19, 0]), "null takes nothing back");
}

#[test]
fn what_is_no_report() {
    for usage in ["null", "{}", "[]", "0", "\"x\"", "false", r#"{"cost":0.1}"#, r#"{"type":"duration","seconds":4}"#] {
        let scanner = CHAT_JSON.whole(&document(usage));
        assert_eq!(scanner.metered(), None, "{usage}");
        assert!(!scanner.disbelieved(), "{usage}");
    }
    assert_eq!(chat(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#), Some([0; 5]), "zero is reported");
}

#[test]
fn impossible_counts_are_not_believed() {
    for bad in [
        "-1",
        "1.5",
        "1e308",
        "1e999",
        "9223372036854775808",
        "18446744073709551616",
        "1000000001",
        "\"12\"",
        "true",
        "{}",
        "[1]",
        "NaN",
        "-0.5",
        "[",
        "",
    ] {
        for key in ["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"] {
            let usage =
                format!(r#"{{"prompt_tokens_details":{{"audio_tokens":1}},"a":1,"{key}":{bad},"input_tokens":5}}"#);
            let scanner = CHAT_JSON.whole(&document(&usage));
            assert_eq!(scanner.metered(), None, "{usage}");
            assert!(scanner.disbelieved() || bad == "[" || bad.is_empty(), "{usage}");
        }
    }
    let details = r#"{"prompt_tokens":5,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":-1}}"#;
    assert_eq!(chat(details), None);
    let twice = r#"{"prompt_tokens":5,"completion_tokens":5,"prompt_tokens":0}"#;
    assert_eq!(chat(twice), None, "a key that is there twice says nothing");
}

#[test]
fn a_believable_report_after_an_impossible_one_counts() {
    let chunk = |output: &str| {
        format!("data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{output}}}}}\n\n")
    };
    let scanner = CHAT.whole(&(chunk("1e300") + &chunk("7")));
    let metered = scanner.metered().unwrap();
    assert_eq!(metered.usage.output_tokens, 7);
    assert!(metered.disbelieved && scanner.disbelieved(), "but it is remembered");
    let scanner = CHAT.whole(&(chunk("7") + &chunk("-7")));
    assert_eq!(scanner.metered(), None);
    assert!(scanner.disbelieved());
}

#[test]
fn counts_up_to_the_limit_add_up_without_overflow() {
    let most = "1000000000";
    let usage = format!(
        r#"{{"prompt_tokens":{most},"completion_tokens":{most},"total_tokens":{most},"citation_tokens":{most},
        "prompt_tokens_details":{{"audio_tokens":{most},"cached_tokens":{most},"cache_write_tokens":{most},"image_tokens":{most}}},
        "completion_tokens_details":{{"reasoning_tokens":{most},"audio_tokens":{most},"image_tokens":{most}}}}}"#
    );
    let case = CHAT_JSON.with(|rules| {
        rules.reasoning = Placement::Outside;
        rules.prompt_audio = Placement::Outside;
        rules.hidden_in_total = true;
        rules.citation_tokens = CitationTokens::Input;
    });
    let metered = case.whole(&document(&usage)).metered().unwrap();
    assert_eq!(metered.usage.input_tokens, 3_000_000_000);
    assert_eq!(metered.usage.output_tokens, 2_000_000_000);
    let (usage, detail) = (metered.usage, metered.detail);
    let uncached = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens;
    assert!(detail.input_audio_tokens + detail.input_image_tokens <= uncached);
    assert!(detail.output_audio_tokens + detail.output_image_tokens <= usage.output_tokens - usage.reasoning_tokens);
}

#[test]
fn the_tier_and_the_finer_classes() {
    let text = r#"{"service_tier":"flex","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50,
        "prompt_tokens_details":{"audio_tokens":30,"image_tokens":20,"cached_tokens":10,"cached_tokens_details":{"audio_tokens":4}},
        "completion_tokens_details":{"audio_tokens":25,"image_tokens":5}}}"#;
    let metered = CHAT_JSON.whole(text).metered().unwrap();
    assert_eq!(metered.tier, ServiceTier::Flex);
    let detail = metered.detail;
    assert_eq!((detail.input_audio_tokens, detail.cached_audio_tokens), (26, 4));
    assert_eq!((detail.input_image_tokens, detail.output_audio_tokens, detail.output_image_tokens), (20, 25, 5));
    let messages = r#"{"type":"message","usage":{"input_tokens":1,"output_tokens":1,"service_tier":"batch"}}"#;
    assert_eq!(MESSAGES_JSON.whole(messages).metered().unwrap().tier, ServiceTier::Batch);
    for (speed, tier) in [("fast", ServiceTier::Priority), ("standard", ServiceTier::Batch)] {
        let messages = messages.replace("\"service_tier\"", &format!("\"speed\":\"{speed}\",\"service_tier\""));
        assert_eq!(MESSAGES_JSON.whole(&messages).metered().unwrap().tier, tier, "{speed}");
    }
    assert_eq!(CHAT_JSON.whole(&text.replace("flex", "ultrafast")).metered().unwrap().tier, ServiceTier::Ultrafast);
    let gemini = r#"{"usageMetadata":{"promptTokenCount":1,"trafficType":"ON_DEMAND_PRIORITY"}}"#;
    assert_eq!(GEMINI_JSON.whole(gemini).metered().unwrap().tier, ServiceTier::Priority);
}

#[test]
fn responses_report_in_their_last_event() {
    let stream = concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"usage\":null}}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"service_tier\":\"priority\",\"output\":",
        "[{\"usage\":{\"input_tokens\":1}}],\"tool_usage\":{\"image_gen\":{\"input_tokens\":10,\"output_tokens\":1000},",
        "\"web_search\":{\"num_requests\":3}},\"usage\":{\"input_tokens\":1586,\"input_tokens_details\":",
        "{\"cache_write_tokens\":2,\"cached_tokens\":1536},\"output_tokens\":393,\"output_tokens_details\":",
        "{\"reasoning_tokens\":320},\"total_tokens\":1979}}}\n\n"
    );
    let metered = RESPONSES.whole(stream).metered().unwrap();
    assert_eq!(super::five(&metered.usage), [1586, 1536, 2, 393, 320]);
    assert_eq!((metered.tier, metered.detail.web_searches), (ServiceTier::Priority, 3));
    assert_eq!(metered.extras.len(), 1);
    assert_eq!((metered.extras[0].kind.as_str(), metered.extras[0].usage.output_tokens), ("image_generation", 1000));
    assert_eq!(metered.extras[0].model, None);
    let images = |tool: &str| {
        let stream = stream.replace("\"input_tokens\":10,\"output_tokens\":1000", tool);
        let extra = RESPONSES.whole(&stream).metered().unwrap().extras.remove(0);
        (extra.input_image_tokens, extra.output_image_tokens)
    };
    assert_eq!(images("\"input_tokens\":10,\"output_tokens\":1000"), (0, 1000), "what is made there is images");
    let details = "\"input_tokens\":10,\"output_tokens\":1000,\"input_tokens_details\":{\"image_tokens\":8,\"text_tokens\":2},\
                   \"output_tokens_details\":{\"image_tokens\":900,\"text_tokens\":100}";
    assert_eq!(images(details), (8, 900));
    assert_eq!(images(&details.replace("900", "2000").replace(":8", ":80")), (10, 1000), "no more than there are");
    let tools =
        r#""tools":[{"type":"function","name":"f"},{"type":"image_generation","model":"gpt-image-1"}],"output""#;
    let metered = RESPONSES.whole(&stream.replace("\"output\"", tools)).metered().unwrap();
    assert_eq!(metered.extras[0].model.as_deref(), Some("gpt-image-1"));
    let incomplete = stream.replace("response.completed", "response.incomplete");
    assert_eq!(RESPONSES.counts(&incomplete), Some([1586, 1536, 2, 393, 320]));
}

#[test]
fn transcriptions_and_images_report_in_their_last_event() {
    let transcription = case(Answer::Transcription, DialectId::OpenAi, Framing::Sse);
    let stream = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}\r\n\r\ndata: {\"type\":\"transcript.text.done\",\
                  \"text\":\"Hi\",\"usage\":{\"type\":\"tokens\",\"total_tokens\":182,\"input_tokens\":37,\"input_token_details\":\
                  {\"text_tokens\":0,\"audio_tokens\":37},\"output_tokens\":145}}\r\n\r\ndata: [DONE]\r\n\r\n";
    let scanner = transcription.whole(stream);
    let metered = scanner.metered().unwrap();
    assert_eq!(super::five(&metered.usage), [37, 0, 0, 145, 0]);
    assert_eq!(metered.detail.input_audio_tokens, 37);
    assert!(scanner.is_final());
    let image = case(Answer::Image, DialectId::OpenAi, Framing::JsonDocument);
    let document = r#"{"data":[{"b64_json":"aaaa"}],"usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50,
        "input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
    let metered = image.whole(document).metered().unwrap();
    assert_eq!((metered.usage.input_tokens, metered.detail.input_image_tokens), (50, 40));
    assert_eq!(metered.detail.output_image_tokens, 50);
    let said = r#""output_tokens":50,"output_tokens_details":{"text_tokens":20,"image_tokens":30}"#;
    let detailed = document.replace("\"output_tokens\":50", said);
    assert_eq!(image.whole(&detailed).metered().unwrap().detail.output_image_tokens, 30);
}

#[test]
fn gemini_counts_stand_side_by_side() {
    let usage = r#"{"promptTokenCount":568,"candidatesTokenCount":305,"totalTokenCount":2295,"cachedContentTokenCount":217,"toolUsePromptTokenCount":395,"thoughtsTokenCount":1027}"#;
    let event = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"Hi"}}]}},"finishReason":"STOP"}}],"usageMetadata":{usage}}}"#
    );
    let wanted = Some([963, 217, 0, 1332, 1027]);
    assert_eq!(GEMINI_JSON.counts(&event), wanted);
    assert_eq!(GEMINI.counts(&format!("data: {event}\r\n\r\n")), wanted);
    let array =
        format!("[{}\n,\r\n{event}\n]\n", event.replace("305", "1").replace("STOP", "FINISH_REASON_UNSPECIFIED"));
    assert_eq!(GEMINI_ARRAY.counts(&array), wanted);
    assert_eq!(GEMINI_JSON.counts(&array), wanted, "a document that is an array");
    for (usage, wanted) in [
        (r#"{"promptTokenCount":87,"totalTokenCount":165,"thoughtsTokenCount":78}"#, [87, 0, 0, 78, 78]),
        (r#"{"promptTokenCount":10,"totalTokenCount":10}"#, [10, 0, 0, 0, 0]),
        (r#"{"promptTokenCount":10,"totalTokenCount":14}"#, [10, 0, 0, 4, 0]),
        (r#"{"candidatesTokenCount":4,"totalTokenCount":14,"cachedContentTokenCount":99}"#, [10, 10, 0, 4, 0]),
        (r#"{"totalTokenCount":14}"#, [14, 0, 0, 0, 0]),
        // Where the total says that thoughts are in the candidates' count, too.
        (
            r#"{"promptTokenCount":8,"candidatesTokenCount":79,"thoughtsTokenCount":71,"totalTokenCount":87}"#,
            [8, 0, 0, 79, 71],
        ),
        (
            r#"{"promptTokenCount":8,"candidatesTokenCount":79,"thoughtsTokenCount":71,"totalTokenCount":158}"#,
            [8, 0, 0, 150, 71],
        ),
        (r#"{"promptTokenCount":8,"candidatesTokenCount":79,"thoughtsTokenCount":71}"#, [8, 0, 0, 150, 71]),
    ] {
        assert_eq!(GEMINI_JSON.counts(&format!(r#"{{"usageMetadata":{usage}}}"#)), Some(wanted), "{usage}");
    }
    for bad in [r#"{"promptTokenCount":-1}"#, r#"{"promptTokenCount":1,"promptTokensDetails":[{"tokenCount":0.5}]}"#] {
        let scanner = GEMINI_JSON.whole(&format!(r#"{{"usageMetadata":{bad}}}"#));
        assert!(scanner.metered().is_none() && scanner.disbelieved(), "{bad}");
    }
}

#[test]
fn gemini_modalities_by_name_and_by_number() {
    for (audio, image) in [("\"AUDIO\"", "\"IMAGE\""), ("4", "2")] {
        let text = format!(
            r#"{{"usageMetadata":{{"promptTokenCount":100,"candidatesTokenCount":1290,"cachedContentTokenCount":30,
            "promptTokensDetails":[{{"modality":"TEXT","tokenCount":10}},{{"modality":{audio},"tokenCount":60}},{{"modality":{image},"tokenCount":30}}],
            "cacheTokensDetails":[{{"modality":{audio},"tokenCount":25}},{{"modality":{image}}}],
            "candidatesTokensDetails":[{{"modality":{image},"tokenCount":1290}}]}}}}"#
        );
        let detail = GEMINI_JSON.whole(&text).metered().unwrap().detail;
        assert_eq!((detail.input_audio_tokens, detail.cached_audio_tokens), (35, 25));
        assert_eq!((detail.input_image_tokens, detail.output_image_tokens), (30, 1290));
    }
    // As `gemini-embedding-2` writes it.
    let embedding = r#"{"embedding":{"values":[0.1]},"usageMetadata":{"promptTokenCount":390,
        "promptTokenDetails":[{"modality":"TEXT","tokenCount":132},{"modality":"IMAGE","tokenCount":258}]}}"#;
    let embed = case(Answer::EmbedContent, DialectId::Gemini, Framing::JsonDocument);
    assert_eq!(embed.whole(embedding).metered().unwrap().detail.input_image_tokens, 258);
}

#[test]
fn counting_and_listing_use_nothing() {
    for (answer, dialect, body) in [
        (Answer::CountTokens, DialectId::Anthropic, r#"{"input_tokens":43}"#),
        (Answer::CountGeminiTokens, DialectId::Gemini, r#"{"totalTokens":9,"usageMetadata":{"promptTokenCount":9}}"#),
        (Answer::ModelList, DialectId::OpenAi, r#"{"object":"list","data":[],"usage":{"prompt_tokens":4}}"#),
    ] {
        let scanner: Scanner = case(answer, dialect, Framing::JsonDocument).whole(body);
        assert_eq!(scanner.metered(), None);
        assert!(scanner.is_whole() && scanner.token_seen());
    }
    let embed = case(Answer::EmbedContent, DialectId::Gemini, Framing::JsonDocument);
    assert_eq!(
        embed.counts(r#"{"embedding":{"values":[0.1]},"usageMetadata":{"promptTokenCount":6}}"#),
        Some([6, 0, 0, 0, 0])
    );
    assert_eq!(
        COMPLETION.counts(
            "data: {\"choices\":[{\"text\":\"x\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n"
        ),
        Some([3, 0, 0, 1, 0])
    );
}
