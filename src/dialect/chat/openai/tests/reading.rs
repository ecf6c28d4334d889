use super::{deltas, document, golden, stream, stream_in_pieces};
use crate::dialect::DialectId;
use crate::dialect::chat::answer::Block;
use crate::dialect::chat::event::{FinishReason, ReasoningKind};
use crate::dialect::chat::signature::Signature;

fn words(text: &str) -> Block {
    Block::Text { text: text.into(), annotations: Vec::new(), logprobs: Vec::new(), signature: None }
}

fn thoughts(text: &str, signature: Option<&'static str>) -> Block {
    let signature = signature.map(|text| Signature::new(DialectId::OpenAi, text));
    Block::Reasoning { text: text.into(), kind: ReasoningKind::Full, signature }
}

fn call(id: &str, name: &str, arguments: &str) -> Block {
    Block::ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), signature: None }
}

#[test]
fn a_stream_is_the_same_answer_as_the_whole_one_however_it_is_cut() {
    for feature in ["text", "tools", "reasoning", "length", "filtered"] {
        let (whole, said) = (document(&golden(feature, "json")), golden(feature, "sse"));
        assert!(whole.is_over);
        for size in [1, 7, 64, usize::MAX] {
            assert_eq!(stream_in_pieces(&said, size), whole, "{feature} in pieces of {size}");
        }
    }
}

#[test]
fn the_golden_answers_say_what_they_should() {
    let text = document(&golden("text", "json")).answer;
    assert_eq!(text.id.as_deref(), Some("chatcmpl-CeXa5bQmR8Zb2w3Fv1KpTnYhUo4Ls"));
    assert_eq!((text.model.as_deref(), text.created_s), (Some("gpt-5.2-2025-12-11"), Some(1_760_000_000)));
    assert_eq!(text.choices[0].blocks, [words("Hello there.")]);
    assert_eq!(text.choices[0].finish, Some(FinishReason::Stop));
    let tools = stream(&golden("tools", "sse")).answer;
    let [said, paris, rome] = &*tools.choices[0].blocks else { panic!("a text and two calls") };
    assert_eq!(*said, words("Let me look."));
    assert_eq!(*paris, call("call_7hVxPq2mTn4RkZc9LwYd1sBe", "get_weather", r#"{"city":"Paris"}"#));
    assert_eq!(*rome, call("call_Gb5uJt8oNa3FiQr6XvKe0yMz", "get_weather", r#"{"city":"Rome"}"#));
    assert_eq!(tools.choices[0].finish, Some(FinishReason::ToolCalls));
    let kept = r#"{"type":"reasoning.text","format":"anthropic-claude-v1","signature":"c2ln"}"#;
    let reasoning = stream(&golden("reasoning", "sse")).answer;
    assert_eq!(reasoning.choices[0].blocks, [thoughts("Hm, let me see.", Some(kept)), words("Yes.")]);
    let error = stream(&golden("error", "sse")).answer;
    assert_eq!(error.choices[0].blocks, [words("Hel")]);
    let error = error.error.expect("an error");
    assert_eq!((error.status, &*error.message), (503, "Overloaded"));
}

#[test]
fn thoughts_come_under_many_names_and_count_once() {
    let expected = [thoughts("ab", None), words("c")];
    for (first, second) in [
        (r#"{"reasoning_content":"a","content":null}"#, r#"{"reasoning_content":"b","content":""}"#),
        (r#"{"reasoning":"a"}"#, r#"{"reasoning":"b","reasoning_details":[]}"#),
        (r#"{"reasoning":"a","reasoning_content":"a"}"#, r#"{"reasoning":"b","reasoning_content":"b"}"#),
        (
            r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","signature":"","index":0}]}"#,
            r#"{"reasoning":"b","reasoning_details":[{"type":"reasoning.text","text":"b","index":0}]}"#,
        ),
        (
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}"#,
            r#"{"content":[{"type":"thinking","thinking":"b","closed":true}]}"#,
        ),
    ] {
        assert_eq!(deltas(&[first, second, r#"{"content":"c"}"#], "\"stop\""), expected, "{first}");
    }
}

#[test]
fn a_summary_and_its_encrypted_form_are_one_block_and_another_index_is_another() {
    let blocks = deltas(
        &[
            r#"{"reasoning_details":[{"type":"reasoning.summary","summary":"a","index":0}]}"#,
            r#"{"reasoning_details":[{"type":"reasoning.summary","summary":"b","index":1}]}"#,
            r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"x","id":"rs_1","format":"openai-responses-v1","index":1}]}"#,
        ],
        "\"stop\"",
    );
    let kept = r#"{"type":"reasoning.encrypted","format":"openai-responses-v1","id":"rs_1","data":"x"}"#;
    let summary = |text: &str, signature: Option<&'static str>| Block::Reasoning {
        text: text.into(),
        kind: ReasoningKind::Summary,
        signature: signature.map(|text| Signature::new(DialectId::OpenAi, text)),
    };
    assert_eq!(blocks, [summary("a", None), summary("b", Some(kept))]);
}

#[test]
fn a_call_is_known_by_index_or_id_or_place() {
    let one = |id: &str, rest: &str| format!(r#"{{"tool_calls":[{{"id":"{id}"{rest}}}]}}"#);
    let check = |pieces: &[String], expected: &[Block]| {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        assert_eq!(deltas(&pieces, "\"stop\""), expected, "{pieces:?}");
    };
    let (f, g) = (call("a", "f", "{}"), call("b", "g", "{}"));
    // Whole calls without an index (Mistral's older models), and all with the same one (Google's compatible API).
    let whole = |index: &str, id: &str, name: &str| {
        one(id, &format!(r#"{index},"function":{{"name":"{name}","arguments":"{{}}"}}"#))
    };
    check(&[whole("", "a", "f"), whole("", "b", "g")], &[f.clone(), g.clone()]);
    check(&[whole(",\"index\":0", "a", "f"), whole(",\"index\":0", "b", "g")], &[f.clone(), g.clone()]);
    // Counted from 1; the name again in each piece; arguments that are no text.
    let piece = |index: u32, arguments: &str| {
        format!(r#"{{"tool_calls":[{{"index":{index},"id":null,"function":{{"name":"","arguments":{arguments}}}}}]}}"#)
    };
    let begin = |index: u32, id: &str, name: &str| {
        format!(r#"{{"tool_calls":[{{"index":{index},"id":"{id}","function":{{"name":"{name}"}}}}]}}"#)
    };
    check(
        &[begin(1, "a", "f"), begin(2, "b", "g"), piece(1, "\"{\""), piece(2, "{}"), piece(1, "\"}\"")],
        &[f.clone(), g],
    );
    check(&[begin(0, "a", "f"), begin(0, "a", "f"), piece(0, "\"{}\"")], std::slice::from_ref(&f));
    // Side by side, and only their places tell which is meant.
    let list = |pieces: [&str; 2]| format!(r#"{{"tool_calls":[{}]}}"#, pieces.join(","));
    let named = [
        r#"{"id":"a","function":{"name":"f","arguments":""}}"#,
        r#"{"id":"b","function":{"name":"g","arguments":""}}"#,
    ];
    let arguments = ["{", "}"].map(|json| format!(r#"{{"index":null,"function":{{"arguments":"{json}"}}}}"#));
    let [open, close] = &arguments;
    let both = [list(named), list([open, open]), list([close, close])];
    check(&both, &[call("a", "f", "{}"), call("b", "g", "{}")]);
    let alone = |piece: &str| format!(r#"{{"tool_calls":[{piece}]}}"#);
    check(&[list(named), alone(open), alone(close)], &[call("a", "f", ""), call("b", "g", "{}")]);
    // Arguments before the name, and the form before tools.
    check(&[piece(0, "\"{\""), begin(0, "a", "f"), piece(0, "\"}\"")], &[call("call_chatcmpl1_0", "f", "{}")]);
    let legacy = r#"{"function_call":{"name":"f","arguments":"{}"}}"#.to_owned();
    check(&[legacy], &[call("call_chatcmpl1_0", "f", "{}")]);
}

#[test]
fn a_vendors_word_for_the_end_keeps_its_meaning() {
    let finish = |delta: &str, finish: &str, rest: &str| {
        let said = format!(
            "data: {{\"id\":\"x\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}{rest}}}]}}\n\ndata: [DONE]\n\n"
        );
        stream(&said).answer.choices[0].finish.clone().expect("it has ended")
    };
    let call = r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]}"#;
    assert_eq!(finish("{}", "\"STOP\"", ""), FinishReason::Stop);
    assert_eq!(finish(call, "\"stop\"", ""), FinishReason::ToolCalls);
    assert_eq!(finish(call, "null", ""), FinishReason::ToolCalls);
    assert_eq!(finish(r#"{"refusal":"No."}"#, "\"stop\"", ""), FinishReason::Refusal);
    assert_eq!(finish("{}", "\"stop\"", ",\"stop_reason\":\"END\""), FinishReason::StopSequence(Some("END".into())));
    assert_eq!(finish("{}", "\"stop\"", ",\"stop_reason\":128009"), FinishReason::Stop);
    assert_eq!(finish("{}", "\"model_length\"", ""), FinishReason::Length);
    assert_eq!(finish("{}", "\"sensitive\"", ""), FinishReason::ContentFilter);
    assert_eq!(finish("{}", "\"null\"", ""), FinishReason::Stop);
    assert_eq!(finish("{}", "\"a_word_of_tomorrow\"", ""), FinishReason::Other("a_word_of_tomorrow".into()));
}

#[test]
fn errors_in_mid_stream_end_it() {
    let groq = "data: {\"id\":\"x\",\"choices\":[]}\n\nevent: error\ndata: {\"error\":{\"message\":\"m\",\"status_code\":400}}\n\n";
    let router = "data: {\"id\":\"x\",\"error\":{\"code\":502,\"message\":\"m\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\ndata: [DONE]\n\n";
    let choice =
        "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"error\":{\"code\":502,\"message\":\"m\"}}]}\n\n";
    let vllm = "data: {\"object\":\"error\",\"message\":\"m\",\"code\":400}\n\n";
    let minimax = "data: {\"id\":\"x\",\"choices\":null,\"base_resp\":{\"status_code\":1002,\"status_msg\":\"m\"}}\n\n";
    for said in [groq, router, choice, vllm, minimax] {
        let got = stream(said);
        assert!(got.is_over);
        assert_eq!(got.answer.error.expect("an error").message, "m", "{said}");
    }
    assert!(document(r#"{"error":{"message":"m"}}"#).answer.error.is_some());
}

#[test]
fn a_finish_reason_that_is_a_failure_is_an_error_behind_what_was_said() {
    let choice = r#"{"index":0,"KEY":{"content":"a"},"finish_reason":"network_error"}"#;
    let chunk = format!("data: {{\"id\":\"x\",\"choices\":[{}]}}\n\n", choice.replace("KEY", "delta"));
    let whole = format!("{{\"id\":\"x\",\"choices\":[{}]}}", choice.replace("KEY", "message"));
    for got in [stream(&chunk), document(&whole)] {
        assert_eq!(got.answer.choices[0].blocks, [words("a")]);
        let error = got.answer.error.expect("an error");
        assert_eq!((error.status, error.code.as_deref()), (500, Some("network_error")));
    }
    let fine = r#"{"id":"x","choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"base_resp":{"status_code":0,"status_msg":"success"}}"#;
    assert!(document(fine).answer.error.is_none());
}

#[test]
fn chunks_that_say_nothing_are_passed_over() {
    let said = concat!(
        "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[{}]}\n\n",
        "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"x\"},\"logprobs\":null}],\"usage\":null}\n\n",
        "data: {\"id\":\"a\",\"choices\":null}\n\ndata: {\"p\":\"abc\"}\n\n",
        "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}],\"usage\":{}}\n\n",
        "data: {\"id\":\"a\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n",
    );
    let got = stream(said);
    assert_eq!((got.begins, got.is_over), (1, true));
    assert_eq!(got.answer.id.as_deref(), Some("a"));
    assert_eq!(got.answer.choices[0].blocks, [words("x")]);
}

#[test]
fn pages_pictures_and_signatures_come_along() {
    let blocks = deltas(
        &[
            r#"{"content":"x","annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":0,"end_index":1}}]}"#,
            r#"{"extra_content":{"google":{"thought_signature":"s"}}}"#,
            r#"{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}"#,
            r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"c"}}}]}"#,
        ],
        "\"stop\"",
    );
    let [
        Block::Text { annotations, signature, .. },
        Block::Media { mime_type, base64 },
        Block::ToolCall { signature: called, .. },
    ] = &*blocks
    else {
        panic!("{blocks:?}")
    };
    assert_eq!((annotations[0].url.as_deref(), annotations[0].range), (Some("u"), Some((0, 1))));
    assert_eq!(signature.as_ref().map(|signature| &*signature.text), Some("s"));
    assert_eq!((&**mime_type, &**base64), ("image/png", "AAAA"));
    assert_eq!(called.as_ref().map(|signature| &*signature.text), Some("c"));
    let perplexity = "data: {\"id\":\"x\",\"citations\":[\"u\",\"v\"],\"choices\":[{\"index\":0,\"message\":{\"content\":\"xy\"},\"delta\":{\"content\":\"y\"},\"finish_reason\":\"stop\"}]}\n\n";
    let blocks = stream(perplexity).answer.choices.swap_remove(0).blocks;
    let [Block::Text { text, annotations, .. }] = &*blocks else { panic!("{blocks:?}") };
    assert_eq!((&**text, annotations.len()), ("y", 2));
}

#[test]
fn log_probabilities_of_a_calls_own_tokens_are_no_text() {
    let chunk = |delta: &str| {
        let logprobs = r#"{"content":[{"token":"x","logprob":-0.1,"bytes":null,"top_logprobs":[]}]}"#;
        format!("data: {{\"id\":\"a\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":{logprobs}}}]}}\n\n")
    };
    let said = [
        chunk(r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\""}}]}"#),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#),
        "data: [DONE]\n\n".to_owned(),
    ];
    let blocks = &stream(&said.concat()).answer.choices[0].blocks;
    assert_eq!(*blocks, [call("c", "f", "{\"a\":1}")]);
}
