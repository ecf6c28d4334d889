use crate::dialect::DialectId;
use crate::dialect::chat::fields::{self, Field};
use crate::dialect::chat::openai::WIRE;
use crate::dialect::chat::request::{
    ChatRequest, Effort, Message, Options, Part, Reasoning, Role, Source, ToolCall, ToolChoice, ToolResult,
};
use crate::dialect::chat::signature::Signature;
use crate::dialect::chat::{ChatRules, Json, Manner, Media, MediaKind, ReasoningForm, ReasoningKind};
use serde_json::{Value, json};

fn read(body: &str) -> ChatRequest<'_> {
    WIRE.read_request.unwrap()(body).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn refused(body: &str) -> String {
    WIRE.read_request.unwrap()(body).unwrap_err().param.expect("it names the field")
}

fn write(request: &ChatRequest<'_>, rules: ChatRules) -> Value {
    let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: true, rules };
    let mut unused = Vec::new();
    let written = (WIRE.write_request)(request, &manner, &mut unused).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    serde_json::from_slice(&written).unwrap()
}

/// The messages of a request with one message, written.
fn messages(role: Role, parts: Vec<Part<'_>>, rules: ChatRules) -> Value {
    let messages = vec![Message { role, name: None, parts }];
    write(&ChatRequest { messages, ..ChatRequest::default() }, rules)["messages"].clone()
}

fn user(content: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#)
}

#[test]
fn results_and_the_users_next_words_are_one_turn() {
    let body = r#"{"messages":[
        {"role":"user","content":"x"},
        {"role":"assistant","content":null,"refusal":null,"annotations":[],"audio":null,"function_call":null,"tool_calls":[
            {"id":"a","type":"function","index":0,"function":{"name":"f","arguments":""}}]},
        {"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"1"}]},
        {"role":"tool","tool_call_id":"b","content":"2"},
        {"role":"user","content":"y"},
        {"role":"user","content":"z"}]}"#;
    let request = read(body);
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User, Role::User]);
    assert!(matches!(&*request.messages[1].parts, [Part::ToolCall(call)] if call.arguments == "{}"));
    let [Part::ToolResult(one), Part::ToolResult(two), Part::Text { text, .. }] = &*request.messages[2].parts else {
        panic!("{:?}", request.messages[2])
    };
    assert_eq!((&*one.id, &*two.id, &**text), ("a", "b", "y"));
}

#[test]
fn functions_are_tools() {
    let request = read(
        r#"{"functions":[{"name":"f","parameters":{"type":"object"}}],"function_call":{"name":"f"},"messages":[
            {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
            {"role":"function","name":"f","content":"1"}]}"#,
    );
    assert_eq!(request.tools[0].name, "f");
    assert_eq!(request.options.tool_choice, Some(ToolChoice::Named(vec!["f".into()])));
    assert_eq!(request.options.parallel_tool_calls, Some(false));
    let [Part::ToolCall(call)] = &*request.messages[0].parts else { panic!() };
    let [Part::ToolResult(result)] = &*request.messages[1].parts else { panic!() };
    assert_eq!(call.id, result.id);
    assert!(!call.id.is_empty());
}

#[test]
fn thoughts_come_back_with_their_signatures() {
    let request = read(
        r#"{"messages":[{"role":"assistant","content":"x","reasoning_content":"ab","reasoning_details":[
            {"type":"reasoning.text","text":"a","signature":"tollgate.anthropic.s","format":"anthropic-claude-v1","index":0},
            {"type":"reasoning.summary","summary":"b","index":1},
            {"type":"reasoning.encrypted","data":"tollgate.openai-responses.e","index":2}],
            "extra_content":{"google":{"thought_signature":"tollgate.gemini.t"}}}]}"#,
    );
    let thoughts = |text: &'static str, kind, maker, signed: &'static str| Part::Reasoning {
        text: text.into(),
        kind,
        signature: Some(Signature::new(maker, signed)),
    };
    assert_eq!(
        request.messages[0].parts,
        [
            thoughts("a", ReasoningKind::Full, DialectId::Anthropic, "s"),
            thoughts("b", ReasoningKind::Summary, DialectId::OpenAiResponses, "e"),
            Part::Text { text: "x".into(), signature: Some(Signature::new(DialectId::Gemini, "t")) },
        ]
    );
    let plain = read(r#"{"messages":[{"role":"assistant","content":"x","reasoning_content":"a"}]}"#);
    assert!(matches!(&plain.messages[0].parts[0], Part::Reasoning { text, signature: None, .. } if text == "a"));
}

#[test]
fn every_vendors_way_to_ask_for_thoughts_is_read() {
    let asked = |fields: &str| {
        let body = format!(r#"{{"messages":[],{fields}}}"#);
        let asked = read(&body).options.reasoning;
        asked.unwrap_or_else(|| panic!("{body}"))
    };
    let is = |effort, budget_tokens, visible| Reasoning { effort, budget_tokens, visible };
    let table = [
        (r#""reasoning_effort":"xhigh""#, is(Some(Effort::ExtraHigh), None, None)),
        (r#""reasoning":{"max_tokens":2000,"exclude":true}"#, is(None, Some(2000), Some(false))),
        (r#""reasoning":{"enabled":true}"#, is(Some(Effort::Medium), None, None)),
        (r#""reasoning":{"effort":"low"}"#, is(Some(Effort::Low), None, None)),
        (r#""thinking":{"type":"enabled","budget_tokens":2000}"#, is(None, Some(2000), None)),
        (
            r#""thinking":{"type":"enabled","clear_thinking":false},"reasoning_effort":"low""#,
            is(Some(Effort::Low), None, None),
        ),
        (r#""thinking":{"type":"disabled"}"#, is(Some(Effort::None), None, None)),
        (r#""thinking":{"type":"enabled"},"reasoning_effort":"max""#, is(Some(Effort::Max), None, None)),
        (r#""enable_thinking":false,"thinking_budget":100"#, is(Some(Effort::None), None, None)),
        (r#""enable_thinking":true,"thinking_budget":100"#, is(None, Some(100), None)),
        (r#""chat_template_kwargs":{"enable_thinking":false}"#, is(Some(Effort::None), None, None)),
        (r#""include_reasoning":true"#, is(None, None, Some(true))),
        (r#""reasoning_format":"hidden""#, is(None, None, Some(false))),
    ];
    for (fields, expected) in table {
        assert_eq!(asked(fields), expected, "{fields}");
    }
}

#[test]
fn thoughts_are_asked_for_in_the_vendors_way() {
    let written = |form: ReasoningForm, asked| {
        let options = Options { reasoning: Some(asked), ..Options::default() };
        let rules = ChatRules { reasoning: form.into(), ..ChatRules::default() };
        let mut written = write(&ChatRequest { options, ..ChatRequest::default() }, rules);
        let members = written.as_object_mut().unwrap();
        members.remove("model");
        members.remove("messages");
        written
    };
    let high = Reasoning { effort: Some(Effort::High), budget_tokens: None, visible: Some(false) };
    let budget = Reasoning { effort: None, budget_tokens: Some(2000), visible: None };
    let off = Reasoning { effort: Some(Effort::None), ..Reasoning::default() };
    let most = Reasoning { effort: Some(Effort::Max), ..Reasoning::default() };
    let large = Reasoning { budget_tokens: Some(31_999), ..Reasoning::default() };
    let table = [
        (ReasoningForm::Effort, high, json!({"reasoning_effort": "high"})),
        (ReasoningForm::Effort, budget, json!({"reasoning_effort": "medium"})),
        (ReasoningForm::Effort, Reasoning::default(), json!({})),
        (ReasoningForm::Effort, most, json!({"reasoning_effort": "max"})),
        (ReasoningForm::Effort, large, json!({"reasoning_effort": "high"})),
        (ReasoningForm::Object, most, json!({"reasoning": {"effort": "max"}})),
        (ReasoningForm::Thinking, most, json!({"thinking": {"type": "enabled"}, "reasoning_effort": "max"})),
        (ReasoningForm::Object, high, json!({"reasoning": {"effort": "high", "exclude": true}})),
        (ReasoningForm::Object, budget, json!({"reasoning": {"max_tokens": 2000}})),
        (ReasoningForm::Thinking, high, json!({"thinking": {"type": "enabled"}, "reasoning_effort": "high"})),
        (ReasoningForm::Thinking, off, json!({"thinking": {"type": "disabled"}})),
        (ReasoningForm::EnableThinking, budget, json!({"enable_thinking": true, "thinking_budget": 2000})),
        (ReasoningForm::EnableThinking, off, json!({"enable_thinking": false})),
    ];
    for (form, asked, expected) in table {
        assert_eq!(written(form, asked), expected, "{form:?} {asked:?}");
    }
}

#[test]
fn what_other_providers_cannot_have_is_refused_by_its_path() {
    let table = [
        (r#"{"messages":[],"mirostat":2}"#.to_owned(), "mirostat"),
        (r#"{"messages":[],"extra_body":{}}"#.to_owned(), "extra_body"),
        (r#"{"messages":[],"chat_template_kwargs":{"x":1}}"#.to_owned(), "chat_template_kwargs.x"),
        (r#"{"messages":[],"tools":[{"type":"custom","custom":{}}]}"#.to_owned(), "tools[0].type"),
        (
            r#"{"messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":1}}]}"#.to_owned(),
            "tools[0].function.parameters",
        ),
        (r#"{"messages":[],"response_format":{"type":"grammar"}}"#.to_owned(), "response_format.type"),
        (r#"{"messages":[{"role":"robot"}]}"#.to_owned(), "messages[0].role"),
        (r#"{"messages":[{"role":"assistant","content":"x","prefix":true}]}"#.to_owned(), "messages[0].prefix"),
        (r#"{"messages":[{"role":"assistant","audio":{"id":"a"}}]}"#.to_owned(), "messages[0].audio"),
        (r#"{"messages":[{"role":"tool","content":"x"}]}"#.to_owned(), "messages[0].tool_call_id"),
        (user(r#"[{"type":"image"}]"#), "messages[0].content[0].type"),
        (user(r#"[{"type":"image_url","image_url":{"url":"data:,x"}}]"#), "messages[0].content[0].image_url"),
        (user("7"), "messages[0].content"),
    ];
    for (body, path) in table {
        assert_eq!(refused(&body), path);
    }
}

#[test]
fn hints_and_neutral_values_do_no_harm() {
    let request = read(
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"n":1,"max_tokens":1,
            "max_completion_tokens":2,"top_k":3,"temperature":null,"store":false,"logprobs":false,"top_logprobs":0,"response_format":{"type":"text"},
            "messages":[{"role":"assistant","content":"x","annotations":[1],"audio":null}]}"#,
    );
    assert!(request.options.include_usage);
    assert_eq!(request.left_out, ["messages.annotations"]);
    let plain: Vec<Field> = request.options.plain.iter().map(|(field, _)| *field).collect();
    assert_eq!(plain, [Field::OutputTokens, Field::TopK]);
    assert_eq!(request.options.plain(Field::OutputTokens), Some(&Json::of(&2)));
    let refusal = fields::check(&request, DialectId::OpenAi, DialectId::OpenAiResponses).unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("top_k"));
    assert!(fields::check(&request, DialectId::OpenAi, DialectId::Gemini).is_ok());
}

#[test]
fn only_allowed_tools_are_left() {
    let tool = |name: &str| format!(r#"{{"type":"function","function":{{"name":"{name}"}}}}"#);
    let body = |mode: &str| {
        let (f, g) = (tool("f"), tool("g"));
        format!(
            r#"{{"messages":[],"tool_choice":{{"type":"allowed_tools","allowed_tools":{{"mode":"{mode}","tools":[{f}]}}}},"tools":[{f},{g}]}}"#
        )
    };
    let (auto, required) = (body("auto"), body("required"));
    let request = read(&auto);
    assert_eq!(request.tools.len(), 1);
    assert_eq!(request.options.tool_choice, Some(ToolChoice::Auto));
    let request = read(&required);
    assert_eq!(request.tools.len(), 2);
    assert_eq!(request.options.tool_choice, Some(ToolChoice::Named(vec!["f".into()])));
}

#[test]
fn media_are_read_in_every_form() {
    let media = |part: &str| {
        let body = user(&format!("[{part}]"));
        let request = read(&body);
        let [Part::Media(media)] = &*request.messages[0].parts else { panic!("{request:?}") };
        let source = match &media.source {
            Source::Base64(text) => format!("base64 {text}"),
            Source::Url(text) => format!("url {text}"),
            Source::File(text) => format!("file {text}"),
            Source::Text(text) => format!("text {text}"),
        };
        (media.kind, source, media.mime_type.as_deref().map(str::to_owned))
    };
    let of = |kind, source: &str, mime_type: Option<&str>| (kind, source.to_owned(), mime_type.map(str::to_owned));
    let table = [
        (r#"{"type":"image_url","image_url":"http://x/a"}"#, of(MediaKind::Image, "url http://x/a", None)),
        (
            r#"{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,AA==","detail":"low"}}"#,
            of(MediaKind::Image, "base64 AA==", Some("image/jpeg")),
        ),
        (r#"{"type":"file","file":{"file_id":"file-1"}}"#, of(MediaKind::Document, "file file-1", None)),
        (
            r#"{"type":"file","file":{"file_data":"AA=="}}"#,
            of(MediaKind::Document, "base64 AA==", Some("application/pdf")),
        ),
        (
            r#"{"type":"input_audio","input_audio":{"data":"AA==","format":"mp3"}}"#,
            of(MediaKind::Audio, "base64 AA==", Some("audio/mpeg")),
        ),
        (r#"{"type":"video_url","video_url":{"url":"http://x/a"}}"#, of(MediaKind::Video, "url http://x/a", None)),
    ];
    for (part, expected) in table {
        assert_eq!(media(part), expected, "{part}");
    }
    let body = user(r#"[{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}]"#);
    assert!(
        matches!(&*read(&body).messages[0].parts, [_, Part::CacheMark(mark)] if mark.value() == json!({"type": "ephemeral"}))
    );
}

#[test]
fn results_come_first_and_their_media_behind_them() {
    let media = |kind, source| Part::Media(Media { kind, source, mime_type: None, name: None, detail: None });
    let result = |id: &'static str, parts, is_error| {
        Part::ToolResult(ToolResult { id: id.into(), name: Some("f".into()), parts, is_error })
    };
    let image = media(MediaKind::Image, Source::Url("http://x/a".into()));
    let parts = vec![
        Part::text("y"),
        result("a", vec![image], false),
        result("b", vec![Part::text("no"), Part::text("way")], true),
        result("c", vec![Part::text("error: no")], true),
    ];
    assert_eq!(
        messages(Role::User, parts, ChatRules::default()),
        json!([
            {"role": "tool", "tool_call_id": "a", "content": "See the next message."},
            {"role": "tool", "tool_call_id": "b", "content": "Error: no\n\nway"},
            {"role": "tool", "tool_call_id": "c", "content": "error: no"},
            {"role": "user", "content": [
                {"type": "text", "text": "From the result of call a (f):"},
                {"type": "image_url", "image_url": {"url": "http://x/a"}},
                {"type": "text", "text": "y"},
            ]},
        ])
    );
}

#[test]
fn thoughts_are_returned_to_those_who_take_them() {
    let call = |id: String| ToolCall { id: id.into(), name: "f".into(), arguments: "{}".into(), signature: None };
    let parts = || {
        let kept = r#"{"type":"reasoning.text","format":"anthropic-claude-v1","signature":"s"}"#;
        let thought = |signature| Part::Reasoning { text: "a".into(), kind: ReasoningKind::Full, signature };
        vec![
            thought(Some(Signature::new(DialectId::OpenAi, kept))),
            thought(Some(Signature::new(DialectId::Anthropic, "foreign"))),
            Part::ToolCall(call("i".repeat(41))),
        ]
    };
    let left = messages(Role::Assistant, parts(), ChatRules::default());
    let message = &left[0];
    assert_eq!(message.get("reasoning_content"), None);
    assert_eq!(message["content"], Value::Null);
    assert_eq!(
        message["reasoning_details"],
        json!([
            {"type": "reasoning.text", "text": "a", "format": "anthropic-claude-v1", "signature": "s", "index": 0},
        ])
    );
    assert!(message["tool_calls"][0]["id"].as_str().unwrap().len() <= 40);
    let taken = messages(Role::Assistant, parts(), ChatRules { takes_reasoning: true, ..ChatRules::default() });
    assert_eq!(taken[0]["reasoning_content"], "a\n\na");
    let silent = vec![Part::ToolCall(call("i".into()))];
    let silent = messages(Role::Assistant, silent, ChatRules { takes_reasoning: true, ..ChatRules::default() });
    assert_eq!(silent[0]["reasoning_content"], "");
    let alone = vec![Part::Reasoning { text: "a".into(), kind: ReasoningKind::Full, signature: None }];
    assert_eq!(messages(Role::Assistant, alone, ChatRules::default()), json!([]));
}

#[test]
fn what_chat_cannot_carry_is_refused() {
    let refuse = |role, kind, source| {
        let media = Part::Media(Media { kind, source, mime_type: None, name: None, detail: None });
        let messages = vec![Message { role, name: None, parts: vec![media] }];
        let request = ChatRequest { messages, ..ChatRequest::default() };
        let manner = Manner { model: "m", output_tokens_default: 1, asks_for_usage: true, rules: ChatRules::default() };
        (WIRE.write_request)(&request, &manner, &mut Vec::new()).unwrap_err().what
    };
    assert_eq!(refuse(Role::User, MediaKind::Video, Source::Url("x".into())), "a film");
    assert_eq!(refuse(Role::User, MediaKind::Document, Source::Url("x".into())), "a document behind a URL");
    assert_eq!(refuse(Role::User, MediaKind::Audio, Source::Url("x".into())), "a sound behind a URL");
    assert_eq!(refuse(Role::User, MediaKind::Image, Source::File("x".into())), "a file that another provider keeps");
    assert_eq!(
        refuse(Role::Assistant, MediaKind::Image, Source::Url("x".into())),
        "a medium in an answer of the model's"
    );
}
