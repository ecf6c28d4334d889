use super::{read_request, written};
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::{
    ChatRequest, Effort, Format, Json, Media, MediaKind, Message, Options, Part, Reasoning, ReasoningKind, Role,
    Signature, Source, Tool, ToolCall, ToolChoice, ToolResult,
};
use serde_json::{Value, json};

fn message(role: Role, parts: Vec<Part<'static>>) -> Message<'static> {
    Message { role, name: None, parts }
}

fn text(role: Role, text: &'static str) -> Message<'static> {
    message(role, vec![Part::text(text)])
}

fn request(messages: Vec<Message<'static>>) -> ChatRequest<'static> {
    ChatRequest { messages, ..ChatRequest::default() }
}

fn with(options: Options<'static>) -> ChatRequest<'static> {
    ChatRequest { options, tools: vec![tool("f")], ..request(vec![text(Role::User, "Hi")]) }
}

fn tool(name: &'static str) -> Tool<'static> {
    Tool { name: name.into(), description: None, parameters: None, strict: None, cache_mark: None }
}

fn call(id: &'static str, arguments: &'static str) -> Part<'static> {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into(), signature: None })
}

fn result(id: &'static str, parts: Vec<Part<'static>>, is_error: bool) -> Part<'static> {
    Part::ToolResult(ToolResult { id: id.into(), name: None, parts, is_error })
}

fn thought(words: &'static str, signature: Option<Signature<'static>>) -> Part<'static> {
    Part::Reasoning { text: words.into(), kind: ReasoningKind::Full, signature }
}

fn body(request: &ChatRequest<'_>) -> Value {
    written(request, "m").unwrap().0
}

/// What is refused of it.
fn refused(request: &ChatRequest<'_>) -> String {
    let refusal = written(request, "m").unwrap_err();
    format!("{:?}: {}", refusal.field, refusal.what)
}

fn refused_path(body: &'static str) -> String {
    read_request(body).unwrap_err().param.unwrap().to_string()
}

#[test]
fn instructions_go_to_the_system_wherever_they_stand() {
    let conversation = request(vec![
        text(Role::System, "a"),
        text(Role::User, "Hi"),
        text(Role::Developer, "b"),
        text(Role::User, "there"),
        text(Role::Assistant, "Yes. \n"),
    ]);
    let body = body(&conversation);
    assert_eq!(body["system"], json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]));
    let user = json!([{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]);
    let expected = json!([{"role": "user", "content": user}, {"role": "assistant", "content": "Yes."}]);
    assert_eq!(body["messages"], expected);
    assert_eq!(body["max_tokens"], 4096);
}

#[test]
fn instructions_alone_are_the_users() {
    let body = body(&request(vec![text(Role::System, "Write a poem")]));
    assert_eq!(body["messages"], json!([{"role": "user", "content": "Write a poem"}]));
    assert_eq!(body.get("system"), None);
    assert_eq!(refused(&request(vec![text(Role::User, " ")])), "Messages: a conversation without content");
}

#[test]
fn results_come_first_and_every_call_has_an_id_of_its_own() {
    let conversation = request(vec![
        text(Role::User, "Hi"),
        message(Role::Assistant, vec![call("f.x:0", "{}"), call("call_0", "")]),
        message(Role::User, vec![Part::text("and"), result("f.x:0", vec![], true), result("call_0", vec![], false)]),
        message(Role::Assistant, vec![call("call_0", "{\"a\":1}")]),
        message(Role::User, vec![result("call_0", vec![Part::text("x")], false)]),
    ]);
    let body = body(&conversation);
    let calls = json!([
        {"type": "tool_use", "id": "f-2ex-3a0", "name": "f", "input": {}},
        {"type": "tool_use", "id": "call_0", "name": "f", "input": {}},
    ]);
    let failure = json!([
        {"type": "tool_result", "tool_use_id": "f-2ex-3a0", "content": "error", "is_error": true},
        {"type": "tool_result", "tool_use_id": "call_0"},
        {"type": "text", "text": "and"},
    ]);
    assert_eq!(body["messages"][1]["content"], calls);
    assert_eq!(body["messages"][2]["content"], failure);
    assert_eq!(body["messages"][3]["content"][0]["id"], "call_0-2");
    assert_eq!(body["messages"][4]["content"][0]["tool_use_id"], "call_0-2");
}

#[test]
fn what_messages_cannot_say_is_refused() {
    let media = |kind, source, mime_type: Option<&'static str>| {
        let mime_type = mime_type.map(Into::into);
        let part = Part::Media(Media { kind, source, mime_type, name: None, detail: None });
        refused(&request(vec![message(Role::User, vec![part])]))
    };
    let base64 = || Source::Base64("AAAA".into());
    assert_eq!(media(MediaKind::Audio, base64(), None), "Messages: a sound");
    assert_eq!(media(MediaKind::Video, base64(), None), "Messages: a film");
    assert_eq!(media(MediaKind::Image, base64(), Some("image/bmp")), "Messages: an image of type image/bmp");
    assert_eq!(media(MediaKind::Image, base64(), None), "Messages: an image of type unknown");
    assert_eq!(media(MediaKind::Document, base64(), Some("a/b")), "Messages: a document of type a/b");
    assert_eq!(media(MediaKind::Image, Source::File("f".into()), None), "Messages: a file that another provider keeps");
    let bucket = Source::Url("gs://b/o".into());
    assert_eq!(media(MediaKind::Image, bucket, None), "Messages: an address that is not of the web");

    let bad_call = request(vec![message(Role::Assistant, vec![call("a", "[1]")]), text(Role::User, "x")]);
    assert_eq!(refused(&bad_call), "Messages: tool arguments that are no JSON object");
    let stop = with(Options { stop: vec!["\n".into()], ..Options::default() });
    assert_eq!(refused(&stop), "Stop: a stop sequence of white space alone");
    let named = ChatRequest { tools: vec![tool("a.b")], ..request(vec![text(Role::User, "x")]) };
    assert!(refused(&named).starts_with("Tools: a name of a tool"));
}

#[test]
fn a_text_document_in_base64_is_sent_as_text() {
    let (kind, source) = (MediaKind::Document, Source::Base64("SGk=".into()));
    let name = Some("a.txt".into());
    let part =
        Part::Media(Media { kind, source, mime_type: Some("text/plain; charset=utf-8".into()), name, detail: None });
    let content = &body(&request(vec![message(Role::User, vec![part])]))["messages"][0]["content"][0];
    let source = json!({"type": "text", "media_type": "text/plain", "data": "Hi"});
    assert_eq!(*content, json!({"type": "document", "source": source, "title": "a.txt"}));
}

#[test]
fn one_of_several_named_tools_is_any_of_these_alone() {
    let named = Some(ToolChoice::Named(vec!["a".into(), "b".into()]));
    let options = Options { tool_choice: named, parallel_tool_calls: Some(false), ..Options::default() };
    let tools = vec![tool("a"), tool("b"), tool("c")];
    let body = body(&ChatRequest { tools, ..with(options) });
    assert_eq!(body["tools"].as_array().unwrap().len(), 2);
    assert_eq!(body["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
    assert_eq!(body["tools"][0]["input_schema"], json!({"type": "object", "properties": {}}));
}

/// What is said of thinking, effort and sampling, and what is left out.
fn thinking(model: &str, options: Options<'static>, limit: u64) -> (Value, Vec<Field>) {
    let mut request = with(options);
    request.options.plain.push((Field::OutputTokens, Json::of(&limit)));
    let (body, unused) = written(&request, model).unwrap();
    let of = |name: &str| body.get(name).cloned().unwrap_or_default();
    (json!([of("thinking"), of("output_config"), of("temperature"), of("top_p"), of("top_k")]), unused)
}

fn reasoning(effort: Option<Effort>, budget_tokens: Option<u64>) -> Options<'static> {
    let reasoning = Some(Reasoning { effort, budget_tokens, visible: None });
    Options { reasoning, ..Options::default() }
}

#[test]
fn thinking_is_said_as_the_models_generation_takes_it() {
    let adaptive = json!({"type": "adaptive"});
    let enabled = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let effort = |word: &str| json!({"effort": word});
    let null = Value::Null;
    let (old, both, new) = ("claude-haiku-4-5", "claude-opus-4-6", "claude-opus-4-8");
    let (low, none, extra_high) = (Some(Effort::Minimal), Some(Effort::None), Some(Effort::ExtraHigh));
    #[rustfmt::skip]
    let cases = [
        (new, reasoning(low, None), 9000, &adaptive, effort("low")),
        (new, reasoning(None, Some(20_000)), 9000, &adaptive, effort("high")),
        (new, reasoning(extra_high, None), 9000, &adaptive, effort("xhigh")),
        (both, reasoning(extra_high, None), 9000, &adaptive, effort("high")),
        (both, reasoning(Some(Effort::Max), None), 9000, &adaptive, effort("max")),
        ("kimi-k3", reasoning(extra_high, None), 9000, &adaptive, effort("xhigh")),
        (both, reasoning(None, Some(2000)), 9000, &enabled(2000), null.clone()),
        (both, reasoning(None, Some(20_000)), 9000, &enabled(4500), null.clone()),
        (both, reasoning(None, Some(1)), 9000, &enabled(1024), null.clone()),
        (both, reasoning(None, Some(2000)), 1000, &adaptive, effort("medium")),
        (old, reasoning(Some(Effort::High), None), 64_000, &enabled(24_576), null.clone()),
        (old, reasoning(none, None), 100, &json!({"type": "disabled"}), null.clone()),
    ];
    for (model, options, limit, mode, config) in cases {
        let what = format!("{model} {options:?} {limit}");
        assert_eq!(thinking(model, options, limit), (json!([mode, config, null, null, null]), vec![]), "{what}");
    }
    let left_out = |model, options, limit| thinking(model, options, limit).1;
    assert_eq!(left_out(old, reasoning(Some(Effort::High), None), 1000), [Field::Reasoning]);
    assert_eq!(left_out("claude-3-5-haiku-latest", reasoning(Some(Effort::High), None), 9000), [Field::Reasoning]);
    let forced = Options { tool_choice: Some(ToolChoice::Required), ..reasoning(Some(Effort::High), None) };
    assert_eq!(thinking(new, forced, 9000), (json!([null, effort("high"), null, null, null]), vec![Field::Reasoning]));
}

#[test]
fn a_model_is_told_not_to_think_as_it_takes_it() {
    let (disabled, null) = (json!({"type": "disabled"}), Value::Null);
    for (model, mode, config) in [
        ("claude-3-5-haiku-latest", &null, &null),
        ("claude-sonnet-4-6", &disabled, &null),
        ("claude-opus-4-8", &null, &null),
        ("claude-opus-5", &disabled, &null),
        ("claude-sonnet-5", &disabled, &null),
        ("claude-haiku-5-5", &disabled, &null),
        ("kimi-k3", &disabled, &null),
        ("claude-sonnet-5-5", &json!({"type": "between_tools"}), &null),
        ("claude-opus-5-5", &null, &json!({"effort": "low"})),
        ("claude-fable-5", &null, &json!({"effort": "low"})),
        ("anthropic/claude-fable-5.1", &null, &json!({"effort": "low"})),
    ] {
        for off in [reasoning(Some(Effort::None), None), reasoning(None, Some(0))] {
            assert_eq!(thinking(model, off, 9000), (json!([mode, config, null, null, null]), vec![]), "{model}");
        }
    }
}

#[test]
fn a_call_that_must_be_made_is_refused_where_the_model_refuses_it() {
    for (model, is_taken) in [
        ("claude-opus-4-8", true),
        ("claude-opus-5", true),
        ("claude-fable-5", true),
        ("claude-haiku-5-5", true),
        ("kimi-k3", true),
        ("claude-opus-5-5", false),
        ("us.anthropic.claude-sonnet-5-5", false),
        ("claude-fable-5-1", false),
    ] {
        for choice in [ToolChoice::Required, ToolChoice::Named(vec!["f".into()])] {
            let request = with(Options { tool_choice: Some(choice), ..Options::default() });
            let refused = written(&request, model).err().map(|refusal| refusal.field);
            assert_eq!(refused, (!is_taken).then_some(Field::ToolChoice), "{model}");
        }
        for choice in [ToolChoice::Auto, ToolChoice::None] {
            assert!(
                written(&with(Options { tool_choice: Some(choice), ..Options::default() }), model).is_ok(),
                "{model}"
            );
        }
    }
}

#[test]
fn instructions_stay_in_their_place_where_thoughts_are_bound_to_what_was_before_them() {
    let own = Some(Signature::new(DialectId::Anthropic, "sig"));
    let conversation = request(vec![
        text(Role::System, "a"),
        text(Role::Developer, "b"),
        text(Role::User, "Hi"),
        text(Role::Developer, "c"),
        text(Role::User, "Ho"),
        message(Role::Assistant, vec![thought("hm", own), call("1", "{}")]),
        message(Role::User, vec![result("1", vec![], false)]),
        text(Role::System, "d"),
        text(Role::Assistant, "Done"),
        text(Role::Developer, "e"),
    ]);
    let said = |model: &str| {
        let body = written(&conversation, model).unwrap().0;
        let messages = body["messages"].as_array().unwrap().iter();
        let roles: Vec<String> = messages.map(|message| message["role"].as_str().unwrap().to_owned()).collect();
        (body["system"].clone(), roles.join(" "), body["messages"].clone())
    };
    let texts = |texts: &[&str]| Value::from_iter(texts.iter().map(|text| json!({"type": "text", "text": text})));
    for model in ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-1"] {
        let (system, roles, messages) = said(model);
        // Behind the model's own turn there is no place for them but the user's.
        assert_eq!(roles, "user system assistant user system assistant user", "{model}");
        assert_eq!((system, &messages[0]["content"]), (texts(&["a", "b"]), &texts(&["Hi", "Ho"])));
        assert_eq!((&messages[1]["content"], &messages[4]["content"]), (&json!("c"), &json!("d")));
        assert_eq!(messages[6]["content"], "e");
    }
    let (system, roles, _) = said("claude-opus-5");
    assert_eq!((system, &*roles), (texts(&["a", "b", "c", "d", "e"]), "user assistant user assistant"));
}

#[test]
fn tools_are_not_chosen_from_behind_thoughts_that_are_bound_to_them() {
    let own = Some(Signature::new(DialectId::Anthropic, "sig"));
    let history = |first: Part<'static>| {
        let assistant = message(Role::Assistant, vec![first, Part::text("Yes")]);
        let options =
            Options { tool_choice: Some(ToolChoice::Named(vec!["a".into(), "b".into()])), ..Options::default() };
        let messages = vec![text(Role::User, "Hi"), assistant, text(Role::User, "Ho")];
        ChatRequest { messages, tools: vec![tool("a"), tool("b"), tool("c")], options, ..ChatRequest::default() }
    };
    let refused = |first, model| written(&history(first), model).err().map(|refusal| refusal.field);
    assert_eq!(refused(thought("hm", own.clone()), "claude-haiku-5-5"), Some(Field::ToolChoice));
    assert_eq!(refused(Part::text("hm"), "claude-haiku-5-5"), None);
    assert_eq!(refused(thought("hm", own), "claude-haiku-4-5"), None);
}

#[test]
fn thinking_yields_where_the_answer_is_begun_without_it() {
    let asks = |last: Message<'static>| ChatRequest {
        messages: vec![text(Role::User, "Hi"), last],
        options: Options { plain: vec![(Field::OutputTokens, Json::of(&9000))], ..reasoning(Some(Effort::High), None) },
        ..ChatRequest::default()
    };
    let said = |last, model| {
        let (body, unused) = written(&asks(last), model).unwrap();
        (body["thinking"]["type"].clone(), unused)
    };
    for model in ["claude-sonnet-4-5", "claude-opus-4-1", "claude-3-7-sonnet-latest"] {
        assert_eq!(said(text(Role::Assistant, "{"), model), (Value::Null, vec![Field::Reasoning]), "{model}");
        assert_eq!(said(text(Role::User, "Ho"), model), (json!("enabled"), vec![]), "{model}");
        // With thoughts, it goes on as it began.
        let own = Some(Signature::new(DialectId::Anthropic, "s"));
        let begun = message(Role::Assistant, vec![thought("Hm", own), Part::text("{")]);
        assert_eq!(said(begun, model), (json!("enabled"), vec![]), "{model}");
        let foreign = message(Role::Assistant, vec![thought("Hm", None), Part::text("{")]);
        assert_eq!(said(foreign, model), (Value::Null, vec![Field::Thoughts, Field::Reasoning]), "{model}");
    }
    // Nothing is known of others.
    assert_eq!(said(text(Role::Assistant, "{"), "kimi-k3"), (json!("adaptive"), vec![]));
}

#[test]
fn a_budget_yields_where_the_turn_that_goes_on_began_without_thoughts() {
    let going_on = |first: Option<Part<'static>>, model: &str| {
        let parts = first.into_iter().chain([call("a", "{}")]).collect();
        let results = vec![result("a", vec![Part::text("x")], false)];
        let messages = vec![text(Role::User, "Hi"), message(Role::Assistant, parts), message(Role::User, results)];
        let request = ChatRequest { messages, ..with(reasoning(None, Some(2000))) };
        written(&request, model).unwrap()
    };
    let (body, unused) = going_on(None, "claude-opus-4-6");
    assert_eq!((&body["thinking"]["type"], unused), (&json!("adaptive"), vec![]));
    let (body, unused) = going_on(None, "claude-sonnet-4-5");
    assert_eq!((body.get("thinking"), unused), (None, vec![Field::Reasoning]));
    let own = thought("Hm", Some(Signature::new(DialectId::Anthropic, "s")));
    let (body, unused) = going_on(Some(own), "claude-sonnet-4-5");
    assert_eq!((&body["thinking"]["type"], unused), (&json!("enabled"), vec![]));
    let expected = json!({"type": "thinking", "thinking": "Hm", "signature": "s"});
    assert_eq!(body["messages"][1]["content"][0], expected);
    // Another provider's thoughts, and unsigned ones, cannot be sent.
    for signature in [None, Some(Signature::new(DialectId::Gemini, "s"))] {
        let (body, _) = going_on(Some(thought("Hm", signature)), "claude-sonnet-4-5");
        assert_eq!(body["messages"][1]["content"][0]["type"], "tool_use");
    }
}

#[test]
fn sampling_yields_where_the_model_takes_none() {
    let sampled = |model: &str, think: bool, values: [f64; 2]| {
        let mut options = if think { reasoning(Some(Effort::High), None) } else { Options::default() };
        options.plain = vec![
            (Field::Temperature, Json::of(&values[0])),
            (Field::TopP, Json::of(&values[1])),
            (Field::TopK, Json::of(&4)),
        ];
        let (said, unused) = thinking(model, options, 9000);
        (json!([said[2], said[3], said[4]]), unused)
    };
    let (t, p, k) = (Field::Temperature, Field::TopP, Field::TopK);
    assert_eq!(sampled("m", false, [0.5, 0.5]), (json!([0.5, 0.5, 4]), vec![]));
    assert_eq!(sampled("m", false, [1.7, 1.0]), (json!([1, 1.0, 4]), vec![t]));
    assert_eq!(sampled("m", true, [0.5, 0.5]), (json!([null, null, null]), vec![t, p, k]));
    assert_eq!(sampled("m", true, [1.0, 0.96]), (json!([1.0, 0.96, null]), vec![k]));
    assert_eq!(sampled("claude-sonnet-4-5", false, [0.5, 0.5]), (json!([0.5, null, 4]), vec![p]));
    assert_eq!(sampled("claude-opus-4-7", false, [0.5, 0.5]), (json!([null, null, null]), vec![t, p, k]));
    assert_eq!(sampled("claude-opus-4-7", false, [1.0, 1.0]), (json!([null, null, null]), vec![k]));
}

#[test]
fn hints_are_left_out_and_what_only_anthropic_understands_is_refused_by_its_path() {
    let body = r#"{"model":"x","stream":true,"max_tokens":5,"speed":"fast","diagnostics":null,"top_k":3,
        "messages":[{"role":"user","content":[
            {"type":"text","text":"a","citations":null},
            {"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},"context":"c","citations":{"enabled":true}},
            {"type":"search_result","source":"https://e.x","title":"T","content":[{"type":"text","text":"found"}]}]}],
        "tools":[{"type":"custom","name":"f","input_schema":{},"input_examples":[{}],"defer_loading":false,"allowed_callers":["direct"]}],
        "service_tier":"standard_only","output_config":{"task_budget":{"total":1},"effort":"xhigh"},"thinking":{"type":"disabled"}}"#;
    let request = read_request(body).unwrap();
    let left_out = [
        "speed",
        "messages.content.citations",
        "tools.input_examples",
        "output_config.task_budget",
        "output_config.effort",
    ];
    assert_eq!(request.left_out, left_out);
    assert_eq!(request.options.plain(Field::ServiceTier), Some(&Json::of(&"default")));
    assert_eq!(request.options.reasoning.unwrap().effort, Some(Effort::None));
    let parts = &request.messages[0].parts;
    assert_eq!(parts[1], Part::text("c"));
    assert!(matches!(&parts[2], Part::Media(Media { source: Source::Text(text), .. }) if text == "d"));
    assert_eq!(parts[3], Part::text("T\nhttps://e.x\n\nfound"));

    let tools = r#"{"messages":[],"tools":[{"name":"f"},{"type":"code_execution_20250825","name":"code_execution"}]}"#;
    assert_eq!(refused_path(tools), "tools[1].type");
    let search = r#"{"messages":[],"tools":[{"name":"f"},{"type":"web_search_20250305","name":"web_search"}]}"#;
    assert_eq!(read_request(search).unwrap().searches, ["tools[1].type"]);
    let sandbox = r#"{"messages":[],"tools":[{"name":"f","allowed_callers":["code_execution_20260120"]}]}"#;
    assert_eq!(refused_path(sandbox), "tools[0].allowed_callers");
    let block = r#"{"messages":[{"role":"assistant","content":[{"type":"server_tool_use","id":"s"}]}]}"#;
    assert_eq!(refused_path(block), "messages[0].content[0].type");
    let nested = r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"tool_use"}]}]}]}"#;
    assert_eq!(refused_path(nested), "messages[0].content[0].content[0].type");
    assert_eq!(refused_path(r#"{"messages":[{"role":"user","content":"a","weight":1}]}"#), "messages[0].weight");
    assert_eq!(refused_path(r#"{"messages":[{"role":"tool","content":"a"}]}"#), "messages[0].role");
    assert_eq!(refused_path(r#"{"messages":[{"role":"user","content":3}]}"#), "messages[0].content");
    assert_eq!(refused_path(r#"{"messages":[],"output_config":{"pace":1}}"#), "output_config.pace");
    assert_eq!(refused_path(r#"{"messages":[],"mood":1}"#), "mood");
    assert_eq!(refused_path("[]"), "body");
}

#[test]
fn a_compaction_stands_for_what_was_before_it() {
    let body = r#"{"system":"s","messages":[{"role":"user","content":"old"},{"role":"system","content":"mid"},
        {"role":"assistant","content":[{"type":"compaction","content":"In short"},{"type":"text","text":"new"}]}]}"#;
    let request = read_request(body).unwrap();
    let expected = [
        text(Role::System, "s"),
        text(Role::System, "mid"),
        text(Role::User, "In short"),
        text(Role::Assistant, "new"),
    ];
    assert_eq!(request.messages, expected);
}

#[test]
fn thoughts_are_shown_as_their_model_would() {
    let read = |thinking: &str| {
        let body = format!(r#"{{"messages":[],"thinking":{thinking}}}"#);
        read_request(&body).unwrap().options.reasoning.unwrap()
    };
    let of = |budget_tokens, visible| Reasoning { effort: None, budget_tokens, visible };
    assert_eq!(read(r#"{"type":"enabled","budget_tokens":2000}"#), of(Some(2000), Some(true)));
    assert_eq!(read(r#"{"type":"enabled","budget_tokens":2000,"display":"omitted"}"#), of(Some(2000), Some(false)));
    assert_eq!(read(r#"{"type":"adaptive"}"#), of(None, None));
    let shown = Options { reasoning: Some(of(None, Some(true))), ..Options::default() };
    assert_eq!(thinking("m", shown, 9000).0[0], json!({"type": "adaptive", "display": "summarized"}));
}

#[test]
fn a_tool_that_was_found_is_told_by_its_name() {
    let body = r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a",
        "content":[{"type":"tool_reference","tool_name":"f"}]}]}]}"#;
    let request = read_request(body).unwrap();
    assert_eq!(request.messages[0].parts, [result("a", vec![Part::text("f")], false)]);
}

#[test]
fn the_format_is_always_enforced() {
    let schema = Json::of(&json!({"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}}));
    let description = Some("What".into());
    let format = Some(Format::Schema { name: Some("answer".into()), description, schema, strict: None });
    let config = &body(&with(Options { format, ..Options::default() }))["output_config"];
    let property = json!({"type": "integer", "description": "{maximum: 9}"});
    let schema =
        json!({"type": "object", "description": "What", "properties": {"n": property}, "additionalProperties": false});
    assert_eq!(*config, json!({"format": {"type": "json_schema", "schema": schema}}));
}

#[test]
fn a_schema_of_an_open_object_is_no_format_and_makes_a_tool_that_is_not_strict() {
    let open = || {
        Json::parse(
            r#"{"type":"object","properties":{"m":{"type":"object","additionalProperties":{"type":"integer"}}}}"#
                .into(),
        )
        .unwrap()
    };
    let schema = Format::Schema { name: None, description: None, schema: open(), strict: Some(true) };
    let format = with(Options { format: Some(schema), ..Options::default() });
    assert!(refused(&format).starts_with("JsonSchema: a schema of an object whose members"));
    let mut request = with(Options::default());
    request.tools = vec![Tool { parameters: Some(open()), strict: Some(true), ..tool("f") }];
    let (body, unused) = written(&request, "m").unwrap();
    assert_eq!((body["tools"][0].get("strict"), &*unused), (None, [Field::ToolStrict].as_slice()));
    assert_eq!(body["tools"][0]["input_schema"], open().value());
}

#[test]
fn a_document_of_blocks_keeps_its_title() {
    let body = r#"{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"document","title":"Report","source":{"type":"content","content":[
        {"type":"text","text":"One"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]}}]}]}"#;
    let request = read_request(body).unwrap();
    let [Part::Text { text: title, .. }, Part::Text { text: one, .. }, Part::Media(image)] =
        &*request.messages[0].parts
    else {
        panic!("{request:?}")
    };
    assert_eq!((&**title, &**one, &image.name), ("Report", "One", &None));
}
