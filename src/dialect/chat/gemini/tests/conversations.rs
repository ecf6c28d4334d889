use super::{again, read_well, write};
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::{
    ChatRequest, ChatRules, Manner, Media, MediaKind, Message, Part, ReasoningKind, Role, Signature, Source, ToolCall,
    ToolResult, translate_request,
};
use serde_json::{Value, json};

fn message<'a>(role: Role, parts: Vec<Part<'a>>) -> Message<'a> {
    Message { role, name: None, parts }
}

fn call<'a>(id: &'a str, signature: Option<Signature<'a>>) -> Part<'a> {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: "".into(), signature })
}

fn result<'a>(id: &'a str, parts: Vec<Part<'a>>, is_error: bool) -> Part<'a> {
    Part::ToolResult(ToolResult { id: id.into(), name: None, parts, is_error })
}

fn written(messages: Vec<Message<'_>>, model: &str) -> Value {
    write(&ChatRequest { messages, ..ChatRequest::default() }, model).unwrap().0
}

/// Why a conversation cannot be written.
fn inexpressible(messages: Vec<Message<'_>>) -> String {
    write(&ChatRequest { messages, ..ChatRequest::default() }, "m").unwrap_err().what.into_owned()
}

#[test]
fn calls_without_ids_get_some_and_their_results_find_them() {
    let request = read_well(
        r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"a.b","args":{ "x": [1, "y z"] }}},
            {"functionCall":{"name":"c"}},{"functionCall":{"id":"own","name":"c"}},{"functionCall":{"name":"c"}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"c","response":{"output":"first"}}},
            {"functionResponse":{"id":"own","name":"c","response":{"error":"broken"}}},
            {"functionResponse":{"name":"a.b","response":{"k": 1}}},
            {"functionResponse":{"name":"c","response":{"result":[1, 2]}}}]}]}"#,
    );
    let calls: Vec<(&str, &str)> = request.messages[0]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolCall(call) => (&*call.id, &*call.arguments),
            _ => panic!("a call"),
        })
        .collect();
    assert_eq!(calls, [("call_0_a_b", r#"{"x":[1,"y z"]}"#), ("call_1_c", "{}"), ("own", "{}"), ("call_3_c", "{}")]);
    let results: Vec<(&str, bool, &Part<'_>)> = request.messages[1]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult(result) => (&*result.id, result.is_error, &result.parts[0]),
            _ => panic!("a result"),
        })
        .collect();
    let text = |text: &'static str| Part::text(text);
    assert_eq!(
        results,
        [
            ("call_1_c", false, &text("first")),
            ("own", true, &text("broken")),
            ("call_0_a_b", false, &text(r#"{"k":1}"#)),
            ("call_3_c", false, &text("[1,2]")),
        ]
    );
}

#[test]
fn a_streamed_answer_that_comes_back_in_pieces_is_one_message() {
    let foreign = Signature::new(DialectId::Anthropic, "Ev+/=");
    let body = format!(
        r#"{{"contents":[{{"role":"model","parts":[{{"text":"Hm, ","thought":true}}]}},
        {{"role":"model","parts":[{{"text":"so.","thought":true}}]}},
        {{"role":"model","parts":[{{"text":"","thought":true,"thoughtSignature":"{}"}}]}},
        {{"role":"model","parts":[{{"text":"Y"}}]}},{{"role":"model","parts":[{{"text":"es"}}]}},
        {{"role":"model","parts":[{{"text":""}}]}}]}}"#,
        foreign.shown_in(DialectId::Gemini)
    );
    let kind = ReasoningKind::Full;
    let thought = Part::Reasoning { text: "Hm, so.".into(), kind, signature: Some(foreign) };
    assert_eq!(read_well(&body).messages, [message(Role::Assistant, vec![thought, Part::text("Yes")])]);
}

#[test]
fn googles_placeholder_is_no_signature_and_is_put_where_one_is_missing() {
    let body = |signature: &str| {
        format!(
            r#"{{"contents":[{{"parts":[{{"text":"q"}}]}},
            {{"role":"model","parts":[{{"functionCall":{{"id":"1","name":"f","args":{{}}}}{signature}}}]}},
            {{"parts":[{{"functionResponse":{{"id":"1","name":"f","response":{{"result":"r"}}}}}}]}}]}}"#
        )
    };
    let placed = ",\"thoughtSignature\":\"skip_thought_signature_validator\"";
    assert_eq!(read_well(&body(placed)), read_well(&body("")));
    assert_eq!(
        again(&body("")),
        serde_json::from_str::<Value>(&body(placed).replace("{\"parts\"", "{\"role\":\"user\",\"parts\"")).unwrap()
    );
}

#[test]
fn where_ids_are_refused_calls_and_results_stand_in_one_order() {
    let body = r#"{"input":[{"role":"user","content":"q"},
        {"type":"function_call","call_id":"1","name":"f","arguments":"{}"},
        {"type":"function_call","call_id":"2","name":"g","arguments":"{}"},
        {"type":"function_call_output","call_id":"2","output":"of g"},
        {"type":"function_call_output","call_id":"1","output":"of f"}]}"#;
    let written = |anonymous_calls: bool| -> Value {
        let rules = ChatRules { anonymous_calls, ..ChatRules::default() };
        let manner = Manner { model: "gemini-2.5-flash", output_tokens_default: 1, asks_for_usage: false, rules };
        let translated = translate_request(DialectId::OpenAiResponses, DialectId::Gemini, body, false, &manner);
        serde_json::from_slice(&translated.expect("it can be").body).expect("JSON")
    };
    let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let result = |name: &str, text: &str| json!({"functionResponse": {"name": name, "response": {"result": text}}});
    let anonymous = written(true);
    assert_eq!(anonymous["contents"][1]["parts"], json!([call("f"), call("g")]));
    assert_eq!(anonymous["contents"][2]["parts"], json!([result("f", "of f"), result("g", "of g")]));
    assert_eq!(written(false)["contents"][1]["parts"][0]["functionCall"]["id"], "1");
}

#[test]
fn only_the_first_call_of_each_step_of_the_current_turn_needs_a_signature() {
    let user = |text: &'static str| message(Role::User, vec![Part::text(text)]);
    let own = Some(Signature::new(DialectId::Gemini, "c2ln"));
    let foreign = Some(Signature::new(DialectId::Anthropic, "x"));
    let history = || {
        vec![
            user("first"),
            message(Role::Assistant, vec![call("0", None)]),
            message(Role::User, vec![result("0", vec![], false)]),
            user("second"),
            message(Role::Assistant, vec![Part::text("t"), call("1", foreign.clone()), call("2", None)]),
            message(Role::User, vec![result("2", vec![], false)]),
            message(Role::User, vec![result("1", vec![], false)]),
            message(Role::Assistant, vec![call("3", own.clone())]),
            message(Role::User, vec![result("3", vec![], false)]),
        ]
    };
    let signatures = |contents: &Value| -> Vec<String> {
        let parts = contents["contents"].as_array().unwrap().iter().flat_map(|c| c["parts"].as_array().unwrap());
        let calls = parts.filter(|part| part.get("functionCall").is_some());
        calls.map(|part| part["thoughtSignature"].as_str().unwrap_or("-").to_owned()).collect()
    };
    let new = written(history(), "gemini-3.5-flash");
    assert_eq!(signatures(&new), ["-", "skip_thought_signature_validator", "-", "c2ln"]);
    assert_eq!(signatures(&written(history(), "gemini-2.5-pro")), ["-", "-", "-", "c2ln"]);
    // One content a side and turn, and results in the order of their calls.
    let roles: Vec<&str> = new["contents"].as_array().unwrap().iter().map(|c| c["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "model", "user", "model", "user", "model", "user"]);
    assert_eq!(new["contents"][2]["parts"][1], json!({"text": "second"}));
    let ids = |place: usize| new["contents"][4]["parts"][place]["functionResponse"]["id"].clone();
    assert_eq!((ids(0), ids(1)), (json!("1"), json!("2")));
}

#[test]
fn instructions_have_one_place_and_ask_if_nobody_else_does() {
    let system = |text: &'static str| message(Role::System, vec![Part::text(text)]);
    let written_with = written(
        vec![system("a"), message(Role::User, vec![Part::text("Hi")]), message(Role::Developer, vec![Part::text("b")])],
        "m",
    );
    assert_eq!(written_with["systemInstruction"], json!({"parts": [{"text": "a"}, {"text": "b"}]}));
    assert_eq!(written_with["contents"], json!([{"role": "user", "parts": [{"text": "Hi"}]}]));
    assert_eq!(written(vec![system("a")], "m"), json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}));
}

#[test]
fn what_a_tool_said_is_an_object() {
    let of = |said: &'static str, is_error| {
        let results = vec![result("1", vec![Part::text(said)], is_error)];
        let all = written(vec![message(Role::Assistant, vec![call("1", None)]), message(Role::User, results)], "m");
        all["contents"][1]["parts"][0]["functionResponse"]["response"].clone()
    };
    assert_eq!(of("18 C", false), json!({"result": "18 C"}));
    assert_eq!(of("[1]", false), json!({"result": "[1]"}));
    assert_eq!(of(r#"{"a":1}"#, false), json!({"a": 1}));
    assert_eq!(of("no", true), json!({"error": "no"}));
    assert_eq!(of(r#"{"a":1}"#, true), json!({"error": {"a": 1}}));
}

fn image(source: Source<'_>) -> Part<'_> {
    Part::Media(Media { kind: MediaKind::Image, source, mime_type: None, name: None, detail: Some("low".into()) })
}

#[test]
fn media_of_results_stand_inside_since_gemini_3_and_beside_before() {
    let all = |model| {
        let picture = image(Source::Base64("iVBORw0KGgo=".into()));
        let results = vec![result("1", vec![picture], false)];
        let messages = vec![message(Role::Assistant, vec![call("1", None)]), message(Role::User, results)];
        let (all, unused) = write(&ChatRequest { messages, ..ChatRequest::default() }, model).unwrap();
        assert_eq!(unused, [Field::ImageDetail]);
        all["contents"][1]["parts"].clone()
    };
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}});
    let function = |parts: Value| {
        let mut said = json!({"id": "1", "name": "f", "response": {"result": ""}});
        if parts.is_array() {
            said["parts"] = parts;
        }
        json!({"functionResponse": said})
    };
    assert_eq!(all("gemini-3.5-flash"), json!([function(json!([picture]))]));
    assert_eq!(all("gemini-2.5-flash"), json!([function(Value::Null), picture]));
}

#[test]
fn media_get_the_type_that_google_wants() {
    let of = |source| {
        let all = written(vec![message(Role::User, vec![image(source)])], "m");
        all["contents"][0]["parts"][0].clone()
    };
    let file = |uri: &str, mime_type: &str| json!({"fileData": {"mimeType": mime_type, "fileUri": uri}});
    assert_eq!(of(Source::Url("https://e.com/a.webp?x".into())), file("https://e.com/a.webp?x", "image/webp"));
    assert_eq!(of(Source::Url("https://e.com/a".into())), file("https://e.com/a", "image/jpeg"));
    assert_eq!(
        of(Source::Url("data:image/gif;base64,R0lG".into())),
        json!({"inlineData": {"mimeType": "image/gif", "data": "R0lG"}})
    );
    assert_eq!(of(Source::File("gs://b/a.png".into()))["fileData"]["fileUri"], "gs://b/a.png");
    assert_eq!(of(Source::Text("words".into())), json!({"text": "words"}));
}

#[test]
fn what_gemini_cannot_be_told_is_refused() {
    let user = |part| vec![message(Role::User, vec![part])];
    assert_eq!(inexpressible(user(image(Source::File("file-1".into())))), "an image kept by another provider");
    assert_eq!(inexpressible(user(image(Source::Base64("AAAA".into())))), "media of an unknown type");
    assert_eq!(inexpressible(user(result("1", vec![], false))), "a tool's result without the call that it belongs to");
    let odd = ToolCall { id: "1".into(), name: "f".into(), arguments: "[1]".into(), signature: None };
    assert_eq!(
        inexpressible(vec![message(Role::Assistant, vec![Part::ToolCall(odd)])]),
        "tool arguments that are no JSON object"
    );
}

#[test]
fn thoughts_go_back_to_their_maker_alone() {
    let thought = |maker| Part::Reasoning {
        text: "Hm".into(),
        kind: ReasoningKind::Summary,
        signature: Some(Signature::new(maker, "c2ln")),
    };
    let parts = vec![thought(DialectId::Anthropic), thought(DialectId::Gemini), Part::text("Yes.")];
    let all = written(vec![message(Role::Assistant, parts)], "m");
    assert_eq!(
        all["contents"][0]["parts"],
        json!([{"text": "Hm", "thought": true, "thoughtSignature": "c2ln"}, {"text": "Yes."}])
    );
}

#[test]
fn results_find_their_calls_among_very_many() {
    const COUNT: usize = 20_000;
    let calls: Vec<String> = (0..COUNT).map(|n| format!(r#"{{"functionCall":{{"name":"f{}"}}}}"#, n % 3)).collect();
    let named = |n: usize| format!(r#"{{"functionResponse":{{"name":"f{}","response":{{}}}}}}"#, n % 3);
    // Those without a name are the first that is open; those in front of them went by name, last ones first.
    let names = (0..COUNT / 2).rev().map(named);
    let results: Vec<String> =
        names.chain((0..COUNT / 2).map(|_| r#"{"functionResponse":{"response":{}}}"#.to_owned())).collect();
    let body = format!(
        r#"{{"contents":[{{"role":"model","parts":[{}]}},{{"role":"user","parts":[{}]}}]}}"#,
        calls.join(","),
        results.join(",")
    );
    let request = read_well(&body);
    let ids = |parts: &[Part<'_>]| -> Vec<String> {
        let id = |part: &Part<'_>| match part {
            Part::ToolCall(call) => call.id.to_string(),
            Part::ToolResult(result) => result.id.to_string(),
            _ => panic!("a call or a result"),
        };
        parts.iter().map(id).collect()
    };
    let (mut called, mut answered) = (ids(&request.messages[0].parts), ids(&request.messages[1].parts));
    assert_eq!(answered[..3], ["call_0_f0", "call_2_f2", "call_1_f1"].map(str::to_owned));
    assert_eq!(answered[COUNT / 2], "call_10000_f1");
    called.sort();
    answered.sort();
    assert_eq!(called, answered);
    // And written again: a result has its call's name and place.
    let written = write(&request, "gemini-3.5-flash").unwrap().0;
    let parts = written["contents"][1]["parts"].as_array().unwrap();
    let in_order = |part: &Value, n: usize| part["functionResponse"]["id"] == format!("call_{n}_f{}", n % 3);
    assert!(parts.iter().enumerate().all(|(n, part)| in_order(part, n)));
}

#[test]
fn text_in_a_functions_response_is_no_part_of_it() {
    let document = Media {
        kind: MediaKind::Document,
        source: Source::Text("the report".into()),
        mime_type: Some("text/plain".into()),
        name: None,
        detail: None,
    };
    for model in ["gemini-3.5-flash", "gemini-2.5-pro"] {
        let parts = vec![Part::text("found"), Part::Media(document.clone())];
        let messages =
            vec![message(Role::Assistant, vec![call("c", None)]), message(Role::User, vec![result("c", parts, false)])];
        let expected =
            json!([{"functionResponse": {"id": "c", "name": "f", "response": {"result": "found\nthe report"}}}]);
        assert_eq!(written(messages, model)["contents"][1]["parts"], expected);
    }
}
