use super::super::{request_reader, request_writer};
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::{
    ChatRequest, ChatRules, Effort, Json, Manner, Media, MediaKind, Message, Part, Reasoning, ReasoningKind, Role,
    Signature, Source, Tool, ToolCall, ToolChoice, ToolResult,
};
use serde_json::{Value, json};

fn read(body: &str) -> ChatRequest<'_> {
    request_reader::read(body).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn refused(body: &Value) -> String {
    let body = body.to_string();
    let refusal = request_reader::read(&body).expect_err("it is refused");
    refusal.param.expect("a field is named")
}

fn write(request: &ChatRequest<'_>) -> (Value, Vec<Field>) {
    let rules = ChatRules::default();
    let manner = Manner { model: "up", output_tokens_default: 4096, asks_for_usage: false, rules };
    let mut unused = Vec::new();
    let body = request_writer::write(request, &manner, &mut unused).expect("it can be expressed");
    (serde_json::from_slice(&body).expect("JSON"), unused)
}

fn message<'a>(role: Role, parts: Vec<Part<'a>>) -> Message<'a> {
    Message { role, name: None, parts }
}

#[test]
fn what_codex_sends_is_read() {
    let body = json!({
        "model": "m", "instructions": "You are Codex.", "stream": true, "store": false, "tool_choice": "auto",
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "parallel_tool_calls": true,
        "reasoning": {"effort": "high", "summary": "auto"}, "text": {"verbosity": "low"}, "client_metadata": {"a": "b"},
        "tools": [
            {"type": "function", "name": "exec", "parameters": {"type": "object"}, "strict": false},
            {"type": "custom", "name": "apply_patch", "description": "Patches",
             "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
            {"type": "namespace", "name": "mcp_files", "description": "Files", "tools": [
                {"type": "function", "name": "read", "parameters": {"type": "object"}, "strict": true}]},
        ],
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix it"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "content": null,
             "encrypted_content": "tollgate.anthropic.c2ln"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So:"}]},
            {"type": "custom_tool_call", "status": "completed", "call_id": "c1", "name": "apply_patch", "input": "a\"b"},
            {"type": "function_call", "call_id": "c2", "name": "read", "namespace": "mcp_files", "arguments": "{}"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "x"}]},
        ],
    });
    let body = body.to_string();
    let request = read(&body);
    let call = |id: &'static str, name: &'static str, arguments: &'static str| {
        let (id, name, arguments) = (id.into(), name.into(), arguments.into());
        Part::ToolCall(ToolCall { id, name, arguments, signature: None })
    };
    let result = |id: &'static str, text: &'static str| {
        Part::ToolResult(ToolResult { id: id.into(), name: None, parts: vec![Part::text(text)], is_error: false })
    };
    let thought = Part::Reasoning {
        text: "Hm".into(),
        kind: ReasoningKind::Full,
        signature: Some(Signature::new(DialectId::Anthropic, "c2ln")),
    };
    let messages = [
        message(Role::System, vec![Part::text("You are Codex.")]),
        message(Role::Developer, vec![Part::text("Rules")]),
        message(Role::User, vec![Part::text("Fix it")]),
        message(
            Role::Assistant,
            vec![
                thought,
                Part::text("So:"),
                call("c1", "apply_patch", r#"{"input":"a\"b"}"#),
                call("c2", "mcp_files__read", "{}"),
            ],
        ),
        message(Role::User, vec![result("c1", "done"), result("c2", "x")]),
    ];
    assert_eq!(request.messages, messages);
    let names: Vec<&str> = request.tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["exec", "apply_patch", "mcp_files__read"]);
    assert_eq!(request.tools[0].strict, None);
    assert_eq!(request.tools[2].strict, Some(true));
    assert!(request.tools[1].description.as_deref().is_some_and(|told| told.contains("start: x")));
    let reasoning = Reasoning { effort: Some(Effort::High), budget_tokens: None, visible: Some(true) };
    assert_eq!(request.options.reasoning, Some(reasoning));
    assert_eq!(request.options.plain(Field::Verbosity), Some(&Json::of(&"low")));
    assert_eq!(request.left_out, ["tools[1].format", "tools[2].description"]);
}

#[test]
fn what_only_openai_can_do_is_refused_by_its_path() {
    let with = |name: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "Hi"});
        body[name] = value;
        refused(&body)
    };
    let tool = json!({"type": "function", "name": "f", "parameters": null, "strict": null});
    let item = |item: Value| with("input", json!([{"role": "user", "content": "Hi"}, item]));
    let part = |part: Value| with("input", json!([{"role": "user", "content": [part]}]));
    assert_eq!(with("tools", json!([tool, {"type": "code_interpreter"}])), "tools[1].type");
    assert_eq!(
        with("tools", json!([{"type": "function", "name": "f", "defer_loading": true}])),
        "tools[0].defer_loading"
    );
    assert_eq!(with("tool_choice", json!({"type": "file_search"})), "tool_choice.type");
    assert_eq!(with("tool_choice", json!("any")), "tool_choice");
    assert_eq!(with("include", json!(["reasoning.encrypted_content", "file_search_call.results"])), "include[1]");
    assert_eq!(with("text", json!({"format": {"type": "grammar"}})), "text.format.type");
    assert_eq!(with("reasoning", json!({"effort": "ultra"})), "reasoning.effort");
    assert_eq!(with("wishes", json!([])), "wishes");
    assert_eq!(item(json!({"type": "item_reference", "id": "msg_1"})), "input[1].type");
    assert_eq!(item(json!({"id": "msg_1"})), "input[1].type");
    // Thoughts that OpenAI keeps, not ones that were written here.
    assert_eq!(item(json!({"type": "item_reference", "id": "rs_68e7b0c5008190a1b2c3d4e5f60718"})), "input[1].type");
    assert_eq!(item(json!({"role": "user"})), "input[1].content");
    assert_eq!(item(json!({"role": "user", "content": "x", "mood": 1})), "input[1].mood");
    assert_eq!(item(json!({"type": "function_call", "name": "f", "arguments": "{}"})), "input[1].call_id");
    assert_eq!(part(json!({"type": "input_image"})), "input[0].content[0].image_url");
    assert_eq!(part(json!({"type": "computer_screenshot"})), "input[0].content[0].type");
}

#[test]
fn what_the_sdks_parsers_add_to_an_answer_is_passed_over() {
    let parsed = json!({"city": "Rome"});
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "Hi"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "{}", "annotations": [], "logprobs": [], "parsed": parsed}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed",
         "parsed_arguments": parsed, "created_by": "assistant"},
        {"type": "function_call_output", "call_id": "c1", "output": "x", "created_by": "user"},
    ]});
    let body = body.to_string();
    let request = read(&body);
    assert_eq!(request.messages.len(), 3);
    assert_eq!(request.left_out.len(), 0);
    assert!(!write(&request).0.to_string().contains("parsed"));
}

#[test]
fn thoughts_that_were_written_here_and_are_only_named_are_left_out() {
    let own = "rs_01990000000070008000000000000001_0";
    let body = json!({"input": [{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": own},
        {"role": "assistant", "content": "Ho"}]});
    let body = body.to_string();
    let request = read(&body);
    assert_eq!((request.messages.len(), &request.left_out[..]), (2, &["input.item_reference".into()][..]));
}

#[test]
fn a_choice_of_some_tools_is_a_named_one_or_the_offer_of_these_alone() {
    let body = |mode: &str| {
        let tool = |name: &str| json!({"type": "function", "name": name, "parameters": {}, "strict": null});
        let allowed = json!([{"type": "function", "name": "b"}, {"type": "function", "name": "c"}]);
        let choice = json!({"type": "allowed_tools", "mode": mode, "tools": allowed});
        json!({"input": "Hi", "tools": [tool("a"), tool("b"), tool("c")], "tool_choice": choice}).to_string()
    };
    let required = body("required");
    let request = read(&required);
    assert_eq!(request.options.tool_choice, Some(ToolChoice::Named(vec!["b".into(), "c".into()])));
    assert_eq!(request.tools.len(), 3);
    assert_eq!(write(&request).0["tool_choice"]["mode"], "required");
    let auto = body("auto");
    let request = read(&auto);
    assert_eq!(request.options.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(request.tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn files_and_images_keep_their_names_and_types() {
    let body = json!({"input": [{"role": "user", "content": [
        {"type": "input_file", "file_url": "https://x.example/a.pdf"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;charset=utf-8;base64,aGk=",
         "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        {"type": "input_image", "file_id": "file-2", "detail": "low"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]}]})
    .to_string();
    let request = read(&body);
    let media = |kind, source, mime: Option<&'static str>, name: Option<&'static str>, detail: Option<&'static str>| {
        let (mime_type, name, detail) = (mime.map(Into::into), name.map(Into::into), detail.map(Into::into));
        Part::Media(Media { kind, source, mime_type, name, detail })
    };
    let parts = [
        media(MediaKind::Document, Source::Url("https://x.example/a.pdf".into()), None, None, None),
        media(MediaKind::Document, Source::File("file-1".into()), None, None, None),
        media(MediaKind::Document, Source::Base64("aGk=".into()), Some("text/plain"), Some("a.txt"), None),
        Part::CacheMark(Json::of(&json!({"type": "ephemeral", "ttl": "1h"}))),
        media(MediaKind::Image, Source::File("file-2".into()), None, None, Some("low")),
        media(MediaKind::Audio, Source::Base64("UklGRg==".into()), Some("audio/wav"), None, None),
    ];
    assert_eq!(request.messages[0].parts, parts);
}

#[test]
fn encrypted_thoughts_return_with_the_id_they_are_bound_to_and_others_stay_behind() {
    let thought = |text: &'static str, maker, made: &'static str| Part::Reasoning {
        text: text.into(),
        kind: ReasoningKind::Full,
        signature: Some(Signature::new(maker, made)),
    };
    let unsigned = Part::Reasoning { text: "own".into(), kind: ReasoningKind::Full, signature: None };
    let parts = vec![
        thought("Hm", DialectId::OpenAiResponses, "rs_1:c2ln"),
        thought("", DialectId::OpenAiResponses, "c2ln"),
        thought("Ah", DialectId::Anthropic, "c2ln"),
        unsigned,
        Part::text("Yes."),
    ];
    let messages = vec![message(Role::User, vec![Part::text("?")]), message(Role::Assistant, parts)];
    let (body, _) = write(&ChatRequest { messages, ..ChatRequest::default() });
    let expected = json!([
        {"role": "user", "content": "?"},
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "c2ln",
         "summary": [{"type": "summary_text", "text": "Hm"}]},
        {"type": "reasoning", "encrypted_content": "c2ln", "summary": []},
        {"role": "assistant", "content": "Yes."},
    ]);
    assert_eq!(body["input"], expected);
    let again = json!({"input": expected}).to_string();
    let Part::Reasoning { signature, .. } = &read(&again).messages[1].parts[0] else { panic!("thoughts") };
    assert_eq!(*signature, Some(Signature::new(DialectId::OpenAiResponses, "rs_1:c2ln")));
}

#[test]
fn signatures_of_texts_and_calls_are_found_again() {
    let body = json!({"input": [
        {"type": "reasoning", "summary": [], "encrypted_content": "next.tollgate.gemini.QQ"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": "x"},
        {"type": "reasoning", "summary": [], "encrypted_content": "last.tollgate.gemini.Qg"},
    ]})
    .to_string();
    let request = read(&body);
    let made = |text: &'static str| Some(Signature::new(DialectId::Gemini, text));
    let [Part::ToolCall(call), Part::Text { signature, .. }] = &request.messages[0].parts[..] else {
        panic!("a call and a text: {:?}", request.messages)
    };
    assert_eq!((&call.signature, signature), (&made("QQ"), &made("Qg")));
}

#[test]
fn what_this_provider_does_otherwise_is_adapted_and_said() {
    let mark = || Json::of(&json!({"type": "ephemeral"}));
    let tool = Tool { name: "f".into(), description: None, parameters: None, strict: None, cache_mark: Some(mark()) };
    let named = Message { role: Role::User, name: Some("Ann".into()), parts: vec![Part::text("Hi")] };
    let developer = message(Role::Developer, vec![Part::text("Be kind."), Part::CacheMark(mark())]);
    let mut request =
        ChatRequest { stream: true, messages: vec![developer, named], tools: vec![tool], ..ChatRequest::default() };
    request.options.plain = vec![(Field::OutputTokens, Json::of(&1)), (Field::ServiceTier, Json::of(&"standard_only"))];
    request.options.logprobs = Some(2);
    let (body, unused) = write(&request);
    let expected = json!({
        "model": "up", "stream": true, "max_output_tokens": 16, "store": false, "top_logprobs": 2,
        "include": ["message.output_text.logprobs"],
        "input": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": false}],
    });
    assert_eq!(body, expected);
    let left = [Field::CacheMark, Field::ParticipantName, Field::OutputTokens, Field::ServiceTier];
    assert_eq!(unused, left);
}

#[test]
fn what_it_cannot_express_is_named() {
    let write = |role, kind, source| {
        let medium = Media { kind, source, mime_type: None, name: None, detail: None };
        let messages = vec![message(role, vec![Part::Media(medium)])];
        let request = ChatRequest { messages, ..ChatRequest::default() };
        let rules = ChatRules::default();
        let manner = Manner { model: "up", output_tokens_default: 1, asks_for_usage: false, rules };
        request_writer::write(&request, &manner, &mut Vec::new()).expect_err("it has no such thing").what
    };
    let bytes = || Source::Base64("QQ==".into());
    assert_eq!(write(Role::User, MediaKind::Audio, bytes()), "a sound");
    assert_eq!(write(Role::User, MediaKind::Video, bytes()), "a film");
    assert_eq!(write(Role::Assistant, MediaKind::Image, bytes()), "an image or sound of the model's");
}

#[test]
fn that_a_tool_failed_is_said_to_the_model_and_found_again() {
    let result = |text: &'static str, is_error| {
        let (id, parts) = ("c".into(), if text.is_empty() { Vec::new() } else { vec![Part::text(text)] });
        message(Role::User, vec![Part::ToolResult(ToolResult { id, name: None, parts, is_error })])
    };
    for (text, is_error, output) in [
        ("no such city", true, "Error: no such city"),
        ("error: 7", true, "error: 7"),
        ("no such city", false, "no such city"),
        ("", true, "Error:"),
    ] {
        let messages = vec![result(text, is_error)];
        let (body, _) = write(&ChatRequest { messages: messages.clone(), ..ChatRequest::default() });
        assert_eq!(body["input"][0]["output"], output);
        let body = body.to_string();
        if !text.is_empty() {
            assert_eq!(read(&body).messages, messages);
        }
    }
}

#[test]
fn images_that_the_model_made_come_back_as_the_models() {
    let image = json!({"type": "image_generation_call", "id": "ig_1", "status": "completed", "output_format": "webp",
        "result": "QQ==", "quality": "high"});
    let nothing = json!({"type": "image_generation_call", "id": "ig_2", "status": "in_progress", "result": null});
    let body = json!({"input": [{"role": "user", "content": "Draw."}, image, nothing]}).to_string();
    let request = read(&body);
    let [_, said] = &request.messages[..] else { panic!("two messages: {:?}", request.messages) };
    let [Part::Media(Media { kind: MediaKind::Image, source, mime_type, .. })] = &said.parts[..] else {
        panic!("an image: {said:?}")
    };
    assert_eq!((said.role, source), (Role::Assistant, &Source::Base64("QQ==".into())));
    assert_eq!(mime_type.as_deref(), Some("image/webp"));
    assert_eq!(request.left_out, ["input.image_generation_call"]);
}

#[test]
fn a_budget_never_asks_for_more_than_every_model_takes() {
    let effort = |budget_tokens: Option<u64>, effort: Option<Effort>| {
        let mut request =
            ChatRequest { messages: vec![message(Role::User, vec![Part::text("Hi")])], ..ChatRequest::default() };
        request.options.reasoning = Some(Reasoning { effort, budget_tokens, visible: None });
        write(&request).0["reasoning"]["effort"].clone()
    };
    for (tokens, word) in [(0, "none"), (1_024, "low"), (31_999, "high"), (32_768, "high"), (1_000_000, "high")] {
        assert_eq!(effort(Some(tokens), None), word, "{tokens}");
    }
    assert_eq!(effort(None, Some(Effort::ExtraHigh)), "xhigh");
    assert_eq!(effort(None, Some(Effort::Max)), "max");
}
