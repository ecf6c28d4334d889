use super::{again, read_well, refused, write};
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::{
    ChatRequest, Format, Json, Message, Options, Part, Reasoning, Role, Tool, ToolCall, ToolChoice, ToolResult,
};
use serde_json::json;

const HI: &str = r#""contents":[{"role":"user","parts":[{"text":"Hi"}]}]"#;

#[test]
fn both_spellings_are_one_request() {
    let camel = r#"{"systemInstruction":{"parts":[{"text":"s"}]},
        "contents":[{"role":"model","parts":[{"functionCall":{"name":"f_g","args":{"a_b":1}},"thoughtSignature":"c2ln"}]},
            {"parts":[{"functionResponse":{"name":"f_g","response":{"x_y":1}}},
                {"inlineData":{"mimeType":"image/png","data":"AA=="}}]}],
        "tools":[{"functionDeclarations":[{"name":"f_g","parametersJsonSchema":{"any_of":[]}}]}],
        "toolConfig":{"functionCallingConfig":{"mode":2,"allowedFunctionNames":["f_g"]}},
        "generationConfig":{"maxOutputTokens":5,"topK":3,"stopSequences":["a_b"],
            "thinkingConfig":{"includeThoughts":true,"thinkingLevel":"LOW"}}}"#;
    let snake = r#"{"system_instruction":{"parts":{"text":"s"}},
        "contents":[{"role":"MODEL","parts":{"function_call":{"name":"f_g","args":{"a_b":1}},"thought_signature":"c2ln"}},
            {"role":"function","parts":[{"function_response":{"name":"f_g","response":{"x_y":1}}},
                {"inline_data":{"mime_type":"image/png","data":"AA=="}}]}],
        "tools":{"function_declarations":{"name":"f_g","parameters_json_schema":{"any_of":[]}}},
        "tool_config":{"function_calling_config":{"mode":"any","allowed_function_names":["f_g"]}},
        "generation_config":{"max_output_tokens":"5","top_k":3.0,"stop_sequences":"a_b",
            "thinking_config":{"include_thoughts":true,"thinking_level":"low"}}}"#;
    assert_eq!(read_well(camel), read_well(snake));
    let called_at_first = r#"{"generationConfig":{"responseMimeType":"application/json","_responseJsonSchema":{}}}"#;
    assert!(matches!(read_well(called_at_first).options.format, Some(Format::Schema { .. })));
    assert_eq!(again(camel)["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"], json!({"any_of": []}));
}

#[test]
fn what_only_google_has_is_refused_by_its_path() {
    for (members, path) in [
        (r#""tools":[{"googleMaps":{}}]"#, "tools.googleMaps"),
        (r#""tools":[{"code_execution":{}}]"#, "tools.codeExecution"),
        (r#""toolConfig":{"retrievalConfig":{}}"#, "toolConfig.retrievalConfig"),
        (r#""generationConfig":{"responseMimeType":"text/x.enum"}"#, "generationConfig.responseMimeType"),
        (r#""generationConfig":{"audio_timestamp":true}"#, "generationConfig.audioTimestamp"),
        (r#""generationConfig":{"logprobs":3}"#, "generationConfig.logprobs"),
        (r#""generationConfig":{"thinkingConfig":{"thinkingLevel":"HUGE"}}"#, "generationConfig.thinkingConfig"),
        (r#""generationConfig":{"responseJsonSchema":{}}"#, "generationConfig.responseMimeType"),
        (r#""surprise":1"#, "surprise"),
    ] {
        assert_eq!(refused(&format!("{{{HI},{members}}}")), path);
    }
    assert_eq!(read_well(&format!(r#"{{{HI},"tools":[{{"google_search":{{}}}}]}}"#)).searches, ["tools.googleSearch"]);
    for (parts, path) in [
        (r#"{"executableCode":{}}"#, "contents.parts.executableCode"),
        (r#"{"code_execution_result":{}}"#, "contents.parts.codeExecutionResult"),
        (r#"{"functionCall":{"args":{}}}"#, "contents.parts.functionCall"),
        (r#"{"functionCall":{"name":"f","args":[]}}"#, "contents.parts.functionCall.args"),
        (r#"{"functionResponse":{"name":"f","response":{}}}"#, "contents.parts.functionResponse"),
        (r#"{"text":5}"#, "contents.parts.text"),
        (r#"{"inlineData":{"mimeType":"image/png"}}"#, "contents.parts.inlineData"),
    ] {
        assert_eq!(refused(&format!(r#"{{"contents":[{{"parts":[{parts}]}}]}}"#)), path);
    }
    assert_eq!(refused(r#"{"contents":[{"role":"system","parts":[{"text":"x"}]}]}"#), "contents.role");
}

#[test]
fn hints_without_a_place_are_left_out_and_told() {
    let body = r#"{"contents":[{"parts":[{"text":"Hi","partMetadata":{},"mediaResolution":{}}]},
            {"role":"model","parts":[{"thought":true,"inlineData":{"mimeType":"image/png","data":"AA=="}}]}],
        "tools":[{"functionDeclarations":[{"name":"f","behavior":"BLOCKING","response":{"type":"STRING"}},{"name":"g"}]}],
        "toolConfig":{"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["g"]}}}"#;
    let request = read_well(body);
    assert_eq!(
        request.left_out,
        [
            "contents.parts.partMetadata",
            "contents.parts.mediaResolution",
            "contents.parts.thought",
            "tools.functionDeclarations.behavior",
            "tools.functionDeclarations.response",
            "toolConfig.functionCallingConfig.mode",
        ]
    );
    assert_eq!(request.options.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(request.tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["g"]);
}

#[test]
fn options_are_read_in_the_form_that_all_dialects_take() {
    let body = format!(
        r#"{{{HI},"model":"models/x","generationConfig":{{"topK":40.0,"seed":"7","temperature":"0.5","candidateCount":1.0,
        "responseModalities":["TEXT"],"responseMimeType":"application/json","responseSchema":{{"type":"STRING"}},
        "responseLogprobs":true,"thinkingConfig":{{"thinkingBudget":-1}}}},"serviceTier":"FLEX","labels":{{"a":"b"}}}}"#
    );
    let request = read_well(&body);
    let plain = |field| request.options.plain(field).map(Json::as_str);
    assert_eq!(plain(Field::TopK), Some("40"));
    assert_eq!(plain(Field::Seed), Some("7"));
    assert_eq!(plain(Field::Temperature), Some("0.5"));
    assert_eq!(plain(Field::ServiceTier), Some("\"flex\""));
    assert_eq!(plain(Field::Labels), Some(r#"{"a":"b"}"#));
    assert_eq!((plain(Field::Choices), plain(Field::Modalities)), (None, None));
    assert_eq!((request.options.logprobs, request.options.reasoning), (Some(0), None));
    let Some(Format::Schema { schema, .. }) = &request.options.format else { panic!("a schema") };
    assert_eq!(schema.as_str(), r#"{"type":"string"}"#);
    let written = write(&request, "m").unwrap().0;
    assert_eq!(written["serviceTier"], "flex");
    assert_eq!(written["generationConfig"]["responseJsonSchema"], json!({"type": "string"}));
}

#[test]
fn what_is_so_anyway_is_not_asked_for() {
    let body =
        format!(r#"{{{HI},"generationConfig":{{"topK":64,"candidateCount":1}},"safetySettings":[],"tools":[]}}"#);
    assert_eq!(read_well(&body), read_well(&format!("{{{HI}}}")));
}

#[test]
fn budgets_and_levels_are_told_apart() {
    let reasoning = |config: &str| {
        let body = format!(r#"{{{HI},"generationConfig":{{"thinkingConfig":{config}}}}}"#);
        read_well(&body).options.reasoning.unwrap()
    };
    assert_eq!(reasoning(r#"{"thinkingBudget":0}"#).effort, Some(crate::dialect::chat::Effort::None));
    assert_eq!(reasoning(r#"{"thinkingBudget":99}"#).budget_tokens, Some(99));
    let visible = Reasoning { visible: Some(true), ..Reasoning::default() };
    assert_eq!(reasoning(r#"{"thinkingBudget":-1,"includeThoughts":true}"#), visible);
}

fn hi<'a>() -> Vec<Message<'a>> {
    vec![Message { role: Role::User, name: None, parts: vec![Part::text("Hi")] }]
}

#[test]
fn promises_and_words_of_other_dialects_find_their_place() {
    let schema = Json::parse(r#"{ "type":"object"}"#.into()).unwrap();
    let tool = Tool {
        name: "f".into(),
        description: None,
        parameters: Some(schema.clone()),
        strict: Some(true),
        cache_mark: Some(Json::of(&1)),
    };
    let format = Format::Schema { name: Some("n".into()), description: Some("d".into()), schema, strict: Some(true) };
    let plain = vec![(Field::Modalities, Json::of(&["text", "image"])), (Field::ServiceTier, Json::of(&"scale"))];
    let options = Options { format: Some(format), logprobs: Some(2), plain, ..Options::default() };
    let request = ChatRequest { messages: hi(), tools: vec![tool], options, ..ChatRequest::default() };
    let (written, unused) = write(&request, "m").unwrap();
    assert_eq!(
        written["generationConfig"],
        json!({"responseModalities": ["TEXT", "IMAGE"], "responseMimeType": "application/json", "responseLogprobs": true,
            "logprobs": 2, "responseJsonSchema": {"description": "d", "type": "object"}})
    );
    assert_eq!(written["toolConfig"], json!({"functionCallingConfig": {"mode": "VALIDATED"}}));
    assert_eq!((written.get("serviceTier"), &*unused), (None, &[Field::ServiceTier, Field::CacheMark][..]));
}

#[test]
fn a_model_that_does_not_think_is_not_told_how_to() {
    let reasoning = Some(Reasoning { effort: Some(crate::dialect::chat::Effort::High), ..Reasoning::default() });
    let options = Options { reasoning, ..Options::default() };
    let request = ChatRequest { messages: hi(), options, ..ChatRequest::default() };
    let (written, unused) = write(&request, "gemini-2.0-flash").unwrap();
    assert_eq!((written.get("generationConfig"), &*unused), (None, &[Field::Reasoning][..]));
}

/// A request for JSON with a function, and with a call of it before.
fn json_beside_a_function(format: Format<'static>, was_called: bool) -> ChatRequest<'static> {
    let tool = Tool { name: "f".into(), description: None, parameters: None, strict: None, cache_mark: None };
    let call = Part::ToolCall(ToolCall { id: "c".into(), name: "f".into(), arguments: "{}".into(), signature: None });
    let result = ToolResult { id: "c".into(), name: None, parts: vec![Part::text("1")], is_error: false };
    let mut messages = hi();
    if was_called {
        messages.push(Message { role: Role::Assistant, name: None, parts: vec![call] });
        messages.push(Message { role: Role::User, name: None, parts: vec![Part::ToolResult(result)] });
    }
    let options = Options { format: Some(format), ..Options::default() };
    ChatRequest { messages, tools: vec![tool], options, ..ChatRequest::default() }
}

#[test]
fn models_before_3_have_functions_or_a_format_and_not_both() {
    let schema = || Json::parse(r#"{"type":"object","properties":{}}"#.into()).unwrap();
    let shape = || Format::Schema { name: None, description: None, schema: schema(), strict: None };
    let refused = |request: &ChatRequest<'_>, model: &str| write(request, model).unwrap_err().field;
    for model in ["gemini-2.5-flash", "models/gemini-2.0-flash", "gemini-1.5-pro-002"] {
        let mut request = json_beside_a_function(shape(), false);
        for choice in [None, Some(ToolChoice::Auto), Some(ToolChoice::Required)] {
            request.options.tool_choice = choice;
            assert_eq!(refused(&request, model), Field::JsonSchema, "{model}");
        }
        assert_eq!(refused(&json_beside_a_function(Format::JsonObject, false), model), Field::JsonObject);
        // Nothing is to be called: then nothing can be.
        request.options.tool_choice = Some(ToolChoice::None);
        let (written, unused) = write(&request, model).unwrap();
        assert_eq!(
            (written.get("tools"), written.get("toolConfig"), unused),
            (None, None, vec![]),
            "{model}: {written}"
        );
        assert_eq!(written["generationConfig"]["responseJsonSchema"], schema().value());
        // What was called, though, is to be known.
        request = json_beside_a_function(shape(), true);
        request.options.tool_choice = Some(ToolChoice::None);
        assert_eq!(refused(&request, model), Field::JsonSchema, "{model}");
        request.options.format = None;
        assert!(write(&request, model).unwrap().0["tools"].is_array());
    }
    for model in ["gemini-3.5-flash", "gemini-4-argon", "m"] {
        let written = write(&json_beside_a_function(shape(), true), model).unwrap().0;
        assert!(written["tools"].is_array() && written["generationConfig"]["responseJsonSchema"].is_object());
    }
}
