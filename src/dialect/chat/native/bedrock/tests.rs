use crate::dialect::DialectId::{self, Bedrock};
use crate::dialect::Framing::{EventStream, JsonDocument};
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::native::tests::{
    check, choosing, effort, image, medium, message, plain, png, read, said, schema, shaped, survives, tools, written,
};
use crate::dialect::chat::request::{ChatRequest, Effort, Format, MediaKind, Part, Role, Source, ToolChoice};
use crate::dialect::chat::wire::Inexpressible;
use crate::dialect::chat::{Annotation, Block, FinishReason, Json, ReasoningKind, Signature};
use crate::dialect::event_frames::tests::frame;
use proptest::prelude::*;
use serde_json::{Value, json};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn of(model: &str, request: &ChatRequest<'_>) -> (Value, Vec<Field>) {
    written(Bedrock, request, model).unwrap()
}

#[test]
fn a_request_is_written_as_converse_has_it() {
    check(
        Bedrock,
        &plain(),
        r#"{"system":[{"text":"Be brief."}],"messages":[{"role":"user","content":[{"text":"Hello"}]}],
        "inferenceConfig":{"maxTokens":100,"temperature":0.5,"topP":0.9,"stopSequences":["END"]}}"#,
    );
    check(
        Bedrock,
        &tools(),
        r#"{"messages":[{"role":"user","content":[{"text":"Weather in Paris and Rome?"}]},
        {"role":"assistant","content":[{"text":"Let me look."},
            {"toolUse":{"toolUseId":"call_1","name":"get_weather","input":{"city":"Paris"}}},
            {"toolUse":{"toolUseId":"call_2","name":"get_weather","input":{"city":"Rome"}}}]},
        {"role":"user","content":[{"toolResult":{"toolUseId":"call_1","content":[{"text":"18 C"}]}},
            {"toolResult":{"toolUseId":"call_2","content":[{"text":"no such city"}],"status":"error"}},
            {"text":"And now?"}]}],
        "toolConfig":{"tools":[{"toolSpec":{"name":"get_weather","description":"Weather of a city","inputSchema":{"json":
            {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}}]}}"#,
    );
    check(
        Bedrock,
        &image(png()),
        r#"{"messages":[{"role":"user","content":[{"text":"What is this?"},
        {"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}}]}]}"#,
    );
    let shaped = of("m", &shaped(schema())).0;
    let definition = &shaped["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    let inner: Value = serde_json::from_str(definition["schema"].as_str().unwrap()).unwrap();
    assert_eq!((&definition["name"], &inner["type"]), (&json!("answer"), &json!("object")));
}

#[test]
fn where_words_may_not_stand_beside_tools_the_other_side_speaks_between_them() {
    for (model, roles, kinds) in [
        (
            "us.meta.llama4-maverick-17b-instruct-v1:0",
            "user assistant user assistant user assistant user",
            "text text text toolUse,toolUse toolResult,toolResult text text",
        ),
        (CLAUDE, "user assistant user", "text text,toolUse,toolUse toolResult,toolResult,text"),
        ("us.amazon.nova-pro-v1:0", "user assistant user", "text text,toolUse,toolUse toolResult,toolResult,text"),
    ] {
        let written = of(model, &tools()).0;
        let turns = written["messages"].as_array().unwrap();
        let kind = |block: &Value| block.as_object().unwrap().keys().next().unwrap().clone();
        let kinds_of =
            |turn: &Value| turn["content"].as_array().unwrap().iter().map(kind).collect::<Vec<_>>().join(",");
        assert_eq!(turns.iter().map(|turn| turn["role"].as_str().unwrap()).collect::<Vec<_>>().join(" "), roles);
        assert_eq!(turns.iter().map(kinds_of).collect::<Vec<_>>().join(" "), kinds, "{model}");
    }
}

#[test]
fn a_choice_of_tools_has_converses_words_or_is_refused() {
    let choice = |choice| of("m", &choosing(choice)).0["toolConfig"].clone();
    assert_eq!(choice(ToolChoice::Required)["toolChoice"], json!({"any":{}}));
    let named = ToolChoice::Named(vec!["get_weather".into()]);
    assert_eq!(choice(named)["toolChoice"], json!({"tool":{"name":"get_weather"}}));
    assert_eq!(choice(ToolChoice::None), Value::Null);
    assert!(choice(ToolChoice::Auto).get("toolChoice").is_none());
    let mut after_calls = tools();
    after_calls.options.tool_choice = Some(ToolChoice::None);
    assert_eq!(written(Bedrock, &after_calls, "m").unwrap_err().field, Field::ToolChoice);
}

#[test]
fn what_was_called_is_offered_where_the_client_has_no_tools_any_more() {
    let mut request = tools();
    request.tools.clear();
    let spec = json!({"name":"get_weather","inputSchema":{"json":{"type":"object","properties":{}}}});
    for choice in [None, Some(ToolChoice::Auto), Some(ToolChoice::None)] {
        request.options.tool_choice = choice;
        // Called twice, offered once; nothing is said of a choice.
        assert_eq!(of("m", &request).0["toolConfig"], json!({"tools":[{"toolSpec":spec}]}));
    }
    request.options.tool_choice = Some(ToolChoice::Required);
    assert_eq!(written(Bedrock, &request, "m").unwrap_err().field, Field::ToolChoice);
    assert_eq!(of("m", &said("Hi")).0.get("toolConfig"), None);
}

#[test]
fn a_tools_schema_is_of_an_object() {
    let schema = |parameters: &'static str| {
        let mut request = choosing(ToolChoice::Auto);
        request.tools[0].parameters = Json::parse(parameters.into());
        let mut spec = of("m", &request).0["toolConfig"]["tools"][0]["toolSpec"].clone();
        (spec["inputSchema"]["json"].take(), spec["description"].take())
    };
    let (city, said) = (json!({"city":{"type":"string"}}), json!("Weather of a city"));
    let object = json!({"type":"object","properties":{}});
    assert_eq!(schema("{}"), (object.clone(), said.clone()));
    assert_eq!(schema(r#"{"type":null}"#), (object, said.clone()));
    let completed = json!({"type":"object","properties":city});
    assert_eq!(schema(r#"{"properties":{"city":{"type":"string"}}}"#), (completed.clone(), said));
    let (joined, said) = schema(r#"{"anyOf":[{"properties":{"city":{"type":"string"}}}]}"#);
    assert_eq!(joined, completed);
    assert!(said.as_str().unwrap().starts_with("Weather of a city\n\nThe input must also match {\"anyOf\":"), "{said}");
}

const NOVA: &str = "us.amazon.nova-pro-v1:0";

/// One tool with this schema, and what is written of it.
fn spec(model: &str, parameters: &str, strict: bool) -> Result<(Value, Vec<Field>), Inexpressible> {
    let mut request = choosing(ToolChoice::Auto);
    request.tools[0].parameters = Json::parse(parameters.to_owned().into());
    request.tools[0].strict = Some(strict);
    let (mut body, unused) = written(Bedrock, &request, model)?;
    Ok((body["toolConfig"]["tools"][0]["toolSpec"].take(), unused))
}

#[test]
fn what_is_enforced_of_claude_is_closed_and_bounds_are_said_in_words() {
    let open = r#"{"type":"object","properties":{"n":{"type":"integer","minimum":1}}}"#;
    let closed = json!({"type":"object","additionalProperties":false,
        "properties":{"n":{"type":"integer","description":"{minimum: 1}"}}});
    let format = |schema: &str| Format::Schema {
        name: Some("answer".into()),
        description: Some("A number".into()),
        schema: Json::parse(schema.to_owned().into()).unwrap(),
        strict: None,
    };
    let sent = |model: &str| {
        let body = of(model, &shaped(format(open))).0;
        let definition = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"].clone();
        assert_eq!((&definition["name"], &definition["description"]), (&json!("answer"), &json!("A number")));
        serde_json::from_str::<Value>(definition["schema"].as_str().unwrap()).unwrap()
    };
    assert_eq!((sent(CLAUDE), sent("m")), (closed.clone(), serde_json::from_str(open).unwrap()));
    let (tool, unused) = spec(CLAUDE, open, true).unwrap();
    assert_eq!((&tool["inputSchema"]["json"], &tool["strict"], unused), (&closed, &json!(true), vec![]));
    // What is not enforced stays as it is.
    assert_eq!(spec(CLAUDE, open, false).unwrap().0["inputSchema"]["json"].to_string(), open);
    // A map cannot be closed.
    let map = r#"{"type":"object","additionalProperties":{"type":"integer"}}"#;
    assert_eq!(written(Bedrock, &shaped(format(map)), CLAUDE).unwrap_err().field, Field::JsonSchema);
    let (tool, unused) = spec(CLAUDE, map, true).unwrap();
    assert_eq!((tool.get("strict"), &*unused), (None, &[Field::ToolStrict][..]));
    assert_eq!(tool["inputSchema"]["json"].to_string(), map);
}

#[test]
fn models_that_enforce_no_schema_are_not_asked_to() {
    let schema = r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#;
    for model in [NOVA, "us.amazon.nova-2-lite-v1:0", "us.meta.llama4-maverick-17b-instruct-v1:0"] {
        let (tool, unused) = spec(model, schema, true).unwrap();
        assert_eq!((tool.get("strict"), &*unused), (None, &[Field::ToolStrict][..]), "{model}");
        assert_eq!(spec(model, schema, false).unwrap().1, [], "{model}");
    }
    for model in [CLAUDE, "qwen.qwen3-32b-v1:0", "m"] {
        let (tool, unused) = spec(model, schema, true).unwrap();
        assert_eq!((&tool["strict"], unused), (&json!(true), vec![]), "{model}");
    }
}

#[test]
fn a_schema_of_novas_has_three_members_at_its_top() {
    let written = |schema: &str| spec(NOVA, schema, false).unwrap().0;
    let full = r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"T","description":"D","type":"object",
        "properties":{"a":{"type":"object","title":"A","additionalProperties":false,"properties":{}}},"required":["a"],
        "additionalProperties":false,"$defs":{"X":{"$ref":"#/$defs/X"}}}"##;
    let bare = r#"{"type":"object","properties":{"a":{"type":"object","title":"A","additionalProperties":false,"properties":{}}},"required":["a"]}"#;
    assert_eq!(written(full)["inputSchema"]["json"].to_string(), bare);
    assert_eq!(written(full)["description"], "Weather of a city");
    // Others get all of it.
    let elsewhere = spec(CLAUDE, full, false).unwrap().0;
    assert_eq!(elsewhere["inputSchema"]["json"], serde_json::from_str::<Value>(full).unwrap());
    // What bounds the arguments is said in words.
    let map = written(r#"{"type":"object","additionalProperties":{"type":"integer"},"minProperties":1}"#);
    assert_eq!(map["inputSchema"]["json"], json!({"type":"object"}));
    let words = r#"The input must also match {"additionalProperties":{"type":"integer"},"minProperties":1}"#;
    assert_eq!(map["description"], format!("Weather of a city\n\n{words}"));
}

#[test]
fn what_a_schema_of_novas_refers_to_cannot_be_told() {
    let refused = |schema: &str| spec(NOVA, schema, false).unwrap_err().field;
    for schema in [
        r##"{"type":"object","properties":{"a":{"type":"array","items":{"$ref":"#/$defs/X"}}},"$defs":{"X":{"type":"string"}}}"##,
        r##"{"type":"object","properties":{"a":{"$ref":"#/definitions/X"}},"definitions":{"X":{"type":"string"}}}"##,
        r##"{"$ref":"#/$defs/X","$defs":{"X":{"type":"object"}}}"##,
        r##"{"anyOf":[{"$ref":"#/$defs/X"}],"$defs":{"X":{"type":"object"}}}"##,
    ] {
        assert_eq!(refused(schema), Field::Tools, "{schema}");
        assert!(spec(CLAUDE, schema, false).is_ok());
    }
    // These stay where they are.
    for reached in ["#", "#/properties/b"] {
        let schema = format!(r#"{{"type":"object","properties":{{"a":{{"$ref":"{reached}"}},"b":{{}}}}}}"#);
        assert_eq!(spec(NOVA, &schema, false).unwrap().0["inputSchema"]["json"].to_string(), schema);
    }
    // A property may have that name.
    let named = r#"{"type":"object","properties":{"$ref":{"type":"string"}}}"#;
    assert_eq!(spec(NOVA, named, false).unwrap().0["inputSchema"]["json"].to_string(), named);
}

#[test]
fn each_vendors_models_are_told_to_think_in_their_own_words() {
    let mut request = effort(Effort::High);
    request.options.plain = vec![(Field::OutputTokens, Json::of(&30_000))];
    let fields = |model: &str| of(model, &request).0["additionalModelRequestFields"].clone();
    assert_eq!(fields(CLAUDE), json!({"thinking":{"type":"enabled","budget_tokens":24576}}));
    assert_eq!(of("anthropic.claude-opus-4-7", &request).0["outputConfig"], json!({"effort":"high"}));
    assert_eq!(
        fields("us.amazon.nova-2-lite-v1:0"),
        json!({"reasoningConfig":{"type":"enabled","maxReasoningEffort":"medium"}})
    );
    assert_eq!(fields("openai.gpt-oss-120b-1:0"), json!({"reasoning_effort":"high"}));
    assert_eq!(of("meta.llama4", &request).1, [Field::Reasoning]);
    let off = of("us.amazon.nova-2-lite-v1:0", &effort(Effort::None)).0;
    assert_eq!(off["additionalModelRequestFields"], json!({"reasoningConfig":{"type":"disabled"}}));
}

#[test]
fn claude_is_told_not_to_think_and_what_to_call_as_in_messages() {
    let off = |model: &str| {
        let mut body = of(model, &effort(Effort::None)).0;
        (body["additionalModelRequestFields"].take(), body["outputConfig"].take())
    };
    assert_eq!(off("us.anthropic.claude-opus-5-5"), (json!(null), json!({"effort":"low"})));
    assert_eq!(off("anthropic.claude-sonnet-5-5"), (json!({"thinking":{"type":"between_tools"}}), json!(null)));
    let refusal = written(Bedrock, &choosing(ToolChoice::Required), "anthropic.claude-opus-5-5").unwrap_err();
    assert_eq!(refusal.field, Field::ToolChoice);
    assert!(written(Bedrock, &choosing(ToolChoice::Required), CLAUDE).is_ok());
}

#[test]
fn the_most_likely_tokens_are_a_matter_of_the_vendor() {
    let mut request = said("Hi");
    request.options.plain = vec![(Field::TopK, Json::of(&5))];
    assert_eq!(of(CLAUDE, &request).0["additionalModelRequestFields"], json!({"top_k":5}));
    let nova = of("amazon.nova-pro-v1:0", &request).0;
    assert_eq!(nova["additionalModelRequestFields"], json!({"inferenceConfig":{"topK":5}}));
    assert_eq!(written(Bedrock, &request, "meta.llama4").unwrap_err().field, Field::TopK);
}

#[test]
fn cache_points_stand_where_the_model_takes_them() {
    let mut request = plain();
    let mark = || Json::parse(r#"{"type":"ephemeral","ttl":"1h"}"#.into()).unwrap();
    request.messages[0].parts.push(Part::CacheMark(mark()));
    request.tools = tools().tools;
    request.tools[0].cache_mark = Some(Json::parse(r#"{"type":"ephemeral"}"#.into()).unwrap());
    let body = of(CLAUDE, &request).0;
    assert_eq!(body["system"][1], json!({"cachePoint":{"type":"default","ttl":"1h"}}));
    assert_eq!(body["toolConfig"]["tools"][1], json!({"cachePoint":{"type":"default"}}));
    let (body, unused) = of("meta.llama4", &request);
    assert_eq!((body["system"].as_array().unwrap().len(), unused), (1, vec![Field::CacheMark, Field::CacheMark]));
}

#[test]
fn documents_have_harmless_names_and_what_bedrock_cannot_fetch_is_refused() {
    let mut request = plain();
    let Part::Media(mut pdf) = medium(MediaKind::Document, "application/pdf", Source::Base64("JVBERi0=".into())) else {
        panic!("a medium")
    };
    pdf.name = Some("my  report.pdf".into());
    request.messages[1].parts.push(Part::Media(pdf));
    let body = of("m", &request).0;
    let document = &body["messages"][0]["content"][1]["document"];
    assert_eq!(*document, json!({"format":"pdf","name":"my report-pdf","source":{"bytes":"JVBERi0="}}));
    let refused = |request: &ChatRequest<'_>| written(Bedrock, request, "m").unwrap_err().field;
    assert_eq!(refused(&image(Source::Url("https://example.com/cat.jpg".into()))), Field::Messages);
    let bucket = of("m", &image(Source::Url("s3://b/cat.png".into()))).0;
    let source = &bucket["messages"][0]["content"][1]["image"]["source"];
    assert_eq!(*source, json!({"s3Location":{"uri":"s3://b/cat.png"}}));
}

#[test]
fn thoughts_go_back_to_bedrock_alone_and_ids_are_made_to_fit() {
    let thought = |maker, text: &'static str| Part::Reasoning {
        text: "Hm.".into(),
        kind: ReasoningKind::Full,
        signature: Some(Signature::new(maker, text)),
    };
    let mut request = tools();
    request.messages[1].parts.splice(
        0..0,
        [thought(Bedrock, "c2ln"), thought(Bedrock, "redacted:QUJD"), thought(DialectId::Anthropic, "x")],
    );
    let content = of(CLAUDE, &request).0["messages"][1]["content"].clone();
    assert_eq!(content[0], json!({"reasoningContent":{"reasoningText":{"text":"Hm.","signature":"c2ln"}}}));
    assert_eq!(content[1], json!({"reasoningContent":{"redactedContent":"QUJD"}}));
    assert_eq!(content[2], json!({"text":"Let me look."}));
    let odd = "weird id/".to_owned() + &"x".repeat(80);
    let call = crate::dialect::chat::ToolCall {
        id: odd.as_str().into(),
        name: "f".into(),
        arguments: "".into(),
        signature: None,
    };
    let request =
        ChatRequest { messages: vec![message(Role::Assistant, vec![Part::ToolCall(call)])], ..ChatRequest::default() };
    let called = of("m", &request).0["messages"][0]["content"][0]["toolUse"].clone();
    assert_eq!((called["toolUseId"].as_str().unwrap().len(), &called["input"]), (64, &json!({})));
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    frame("event", name, payload)
}

fn stream() -> Vec<u8> {
    [
        event("messageStart", r#"{"p":"abcd","role":"assistant"}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"Hm, "}},"p":"ab"}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"let me see."}}}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"c2ln"}}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"text":"Let me look."}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":1}"#),
        event(
            "contentBlockStart",
            r#"{"contentBlockIndex":2,"start":{"toolUse":{"name":"get_weather","toolUseId":"tooluse_1"}}}"#,
        ),
        event("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"city\":"}}}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":"\"Paris\"}"}}}"#),
        event("contentBlockStop", r#"{"contentBlockIndex":2}"#),
        event("messageStop", r#"{"stopReason":"tool_use"}"#),
        event(
            "metadata",
            r#"{"metrics":{"latencyMs":9},"usage":{"inputTokens":8,"outputTokens":12,"totalTokens":30,"cacheReadInputTokens":4,"cacheWriteInputTokens":6,"cacheDetails":[{"ttl":"1h","inputTokens":6}]}}"#,
        ),
    ]
    .concat()
}

const WHOLE: &str = r#"{"metrics":{"latencyMs":9},"output":{"message":{"content":[{"reasoningContent":{"reasoningText":{"text":"Hm, let me see.","signature":"c2ln"}}},{"text":"Let me look."},{"toolUse":{"toolUseId":"tooluse_1","name":"get_weather","input":{"city":"Paris"}}}],"role":"assistant"}},"stopReason":"tool_use","usage":{"inputTokens":8,"outputTokens":12,"totalTokens":30,"cacheReadInputTokens":4,"cacheReadInputTokenCount":4,"cacheWriteInputTokens":6}}"#;

#[test]
fn a_stream_and_a_document_are_the_same_answer() {
    let streamed = read(Bedrock, EventStream, &stream());
    let document = read(Bedrock, JsonDocument, WHOLE.as_bytes());
    assert_eq!(streamed.answer, document.answer);
    for read in [streamed, document] {
        assert_eq!(read.counts, Some([18, 4, 6, 12, 0]));
        assert!(read.token && read.whole);
        assert_eq!(read.delivered, "Hm, let me see.Let me look.get_weather{\"city\":\"Paris\"}");
        let signature = Some(Signature::new(Bedrock, "c2ln"));
        let thoughts = Block::Reasoning { text: "Hm, let me see.".into(), kind: ReasoningKind::Full, signature };
        let choice = &read.answer.choices[0];
        assert_eq!(choice.blocks[0], thoughts);
        let call = Block::ToolCall {
            id: "tooluse_1".into(),
            name: "get_weather".into(),
            arguments: r#"{"city":"Paris"}"#.into(),
            signature: None,
        };
        assert_eq!((&choice.blocks[2], &choice.finish), (&call, &Some(FinishReason::ToolCalls)));
    }
}

#[test]
fn exceptions_broken_frames_and_ends_are_told() {
    let begun = [event("messageStart", r#"{"role":"assistant"}"#), text("Hel")].concat();
    let failed = [begun.clone(), frame("exception", "serviceUnavailableException", r#"{"message":"Overloaded"}"#)];
    let failed = read(Bedrock, EventStream, &failed.concat());
    let error = failed.answer.error.unwrap();
    assert_eq!((error.status, &*error.message), (503, "Overloaded"));
    let mut broken = stream();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    survives(Bedrock, EventStream, &broken);
    let end = |word: &str| {
        let read = read(Bedrock, JsonDocument, WHOLE.replace("\"tool_use\"", &format!("\"{word}\"")).as_bytes());
        read.answer.choices[0].finish.clone().unwrap()
    };
    assert_eq!(end("max_tokens"), FinishReason::Length);
    assert_eq!(end("guardrail_intervened"), FinishReason::ContentFilter);
    assert_eq!(end("malformed_tool_use"), FinishReason::Other("malformed_tool_use".into()));
}

fn text(text: &str) -> Vec<u8> {
    event("contentBlockDelta", &json!({"contentBlockIndex":0,"delta":{"text":text}}).to_string())
}

#[test]
fn what_the_model_writes_and_what_bedrock_does_itself_is_told_apart() {
    let spoof = r#"{"usage":{"inputTokens":9,"outputTokens":9},"metrics":{"latencyMs":1},"stopReason":"end_turn"}"#;
    let said = [text(spoof), event("contentBlockDelta", &format!(r#"{{"delta":{{"text":"x","usage":{spoof}}}}}"#))];
    let got = read(Bedrock, EventStream, &said.concat());
    assert!(got.counts.is_none() && !got.whole && got.token);
    let server = r#"{"output":{"message":{"content":[{"toolUse":{"toolUseId":"t","name":"nova_code_interpreter","input":{},"type":"server_tool_use"}},{"toolResult":{"toolUseId":"t","content":[]}},{"citationsContent":{"content":[{"text":"Yes."}],"citations":[{"title":"facts","sourceContent":[{"text":"so it is"}],"location":{"web":{"url":"https://example.com"}}}]}}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1}}"#;
    let got = read(Bedrock, JsonDocument, server.as_bytes());
    let [Block::Text { text, annotations, .. }] = &got.answer.choices[0].blocks[..] else { panic!("text: {got:?}") };
    let expected = Annotation {
        url: Some("https://example.com".into()),
        title: Some("facts".into()),
        cited_text: Some("so it is".into()),
        range: Some((0, 4)),
        native: None,
    };
    assert_eq!((text.as_str(), &annotations[..]), ("Yes.", &[expected][..]));
}

proptest! {
    #[test]
    fn no_frame_panics(name in "[a-zA-Z]{0,20}", payload in "[ -~]{0,80}", at in 0_usize..2000, byte: u8) {
        survives(Bedrock, EventStream, &event(&name, &payload));
        let mut bytes = stream();
        let at = at % bytes.len();
        bytes[at] = byte;
        survives(Bedrock, EventStream, &bytes);
    }
}

#[test]
fn a_conversation_of_instructions_alone_is_the_users() {
    let request =
        ChatRequest { messages: vec![message(Role::System, vec![Part::text("Say hi.")])], ..ChatRequest::default() };
    let body = of("m", &request).0;
    assert_eq!(body, json!({"messages": [{"role": "user", "content": [{"text": "Say hi."}]}]}));
    let nothing =
        ChatRequest { messages: vec![message(Role::System, vec![Part::text(" ")])], ..ChatRequest::default() };
    assert_eq!(written(Bedrock, &nothing, "m").unwrap_err().field, Field::Messages);
}

#[test]
fn the_models_last_words_end_without_white_space_and_without_thoughts_that_are_not_asked_for() {
    let mut request = said("Go on");
    let thought = Part::Reasoning {
        text: "Hm".into(),
        kind: ReasoningKind::Full,
        signature: Some(Signature::new(Bedrock, "c2ln")),
    };
    request.messages.push(message(Role::Assistant, vec![thought.clone(), Part::text("Once upon \n")]));
    let last = |request: &ChatRequest<'_>| of(CLAUDE, request).0["messages"][1].clone();
    assert_eq!(last(&request)["content"], json!([{"text": "Once upon"}]));
    let thinking = ChatRequest { messages: request.messages.clone(), ..effort(Effort::Low) };
    assert_eq!(last(&thinking)["content"].as_array().unwrap().len(), 2);
    request.messages[1].parts = vec![thought];
    assert_eq!(last(&request), Value::Null);
}

#[test]
fn claude_does_not_think_where_its_answer_is_begun_without_it() {
    let ours = Part::Reasoning {
        text: "Hm".into(),
        kind: ReasoningKind::Full,
        signature: Some(Signature::new(Bedrock, "c2ln")),
    };
    let thinks = |parts: Vec<Part<'static>>| {
        let mut request = effort(Effort::Low);
        request.messages.push(message(Role::Assistant, parts));
        request.messages.push(message(Role::System, vec![Part::text("Be brief.")]));
        let (body, unused) = of(CLAUDE, &request);
        (body["additionalModelRequestFields"]["thinking"]["type"] == "enabled", unused)
    };
    assert_eq!(thinks(vec![Part::text("{")]), (false, vec![Field::Reasoning]));
    assert_eq!(thinks(vec![ours, Part::text("{")]), (true, vec![]));
    assert_eq!(thinks(vec![Part::text(" ")]), (true, vec![]));
}

#[test]
fn ids_that_come_again_are_made_different_and_results_follow_them() {
    let mut request = tools();
    let again: Vec<_> = request.messages[1..].to_vec();
    request.messages.extend(again);
    let body = of("m", &request).0;
    let ids = |name: &str, inner: &str| -> Vec<String> {
        let turns = body["messages"].as_array().unwrap().iter();
        let blocks = turns.flat_map(|turn| turn["content"].as_array().unwrap());
        blocks.filter_map(|block| Some(block.get(name)?[inner].as_str()?.to_owned())).collect()
    };
    assert_eq!(ids("toolUse", "toolUseId"), ["call_1", "call_2", "call_1-2", "call_2-2"]);
    assert_eq!(ids("toolResult", "toolUseId"), ids("toolUse", "toolUseId"));
}

#[test]
fn documents_have_names_of_their_own_whatever_their_case() {
    let document = |name: Option<&'static str>| {
        let Part::Media(media) = medium(MediaKind::Document, "application/pdf", png()) else { panic!("a medium") };
        Part::Media(crate::dialect::chat::Media { name: name.map(Into::into), ..media })
    };
    let named = [Some("Report"), Some("report"), None, None, Some("REPORT"), Some("a_b"), Some("a.b")];
    let request =
        ChatRequest { messages: vec![message(Role::User, named.map(document).to_vec())], ..ChatRequest::default() };
    let body = of("m", &request).0;
    let blocks = body["messages"][0]["content"].as_array().unwrap();
    let names: Vec<&str> = blocks.iter().filter_map(|block| block["document"]["name"].as_str()).collect();
    assert_eq!(names, ["Report", "report-2", "document", "document-2", "REPORT-3", "a-b", "a-b-2"]);
}

#[test]
fn a_sound_in_a_result_is_refused() {
    let mut request = tools();
    let Part::ToolResult(result) = &mut request.messages[3].parts[0] else { panic!("a result") };
    result.parts.push(medium(MediaKind::Audio, "audio/wav", png()));
    assert_eq!(written(Bedrock, &request, "m").unwrap_err().what, "a sound in a tool's result");
}

#[test]
fn a_cache_point_stands_behind_what_it_is_of() {
    let mark = || Part::CacheMark(Json::parse(r#"{"type":"ephemeral"}"#.into()).unwrap());
    let mut request = plain();
    request.messages[1].parts.insert(0, mark());
    request.messages[1].parts.push(mark());
    let body = of(CLAUDE, &request).0;
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!(body["system"], json!([{"text": "Be brief."}, point]));
    assert_eq!(body["messages"][0]["content"], json!([{"text": "Hello"}, point]));
}
