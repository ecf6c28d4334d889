//! What other dialects' providers thought, in a conversation that goes on at a provider of the client's own dialect: it refuses
//! what it did not sign. Nothing else of the request is touched: it goes as the client wrote it.

use super::anthropic::models::{Thinking, model};
use super::fields::{self, Field};
use super::gemini;
use super::json::Text;
use super::members::Object;
use super::signature::Signature;
use super::write;
use crate::dialect::DialectId;
use serde_json::Value;
use serde_json::value::RawValue;

/// Before a signature that is of what stands beside the block or item that carries it.
const BESIDE: [&str; 4] = ["call:", "text:", "next.", "last."];

/// A request that may hold foreign signatures without them, and what was left out, by the client's names. `None`: there are none, so the request goes as it is.
pub fn without_foreign_thoughts(dialect: DialectId, upstream_model: &str, body: &str) -> Option<(String, Vec<String>)> {
    let top = Object::read(body, "body").ok()?;
    let mut left_out = vec![Field::Thoughts];
    let edit = match dialect {
        DialectId::Anthropic => anthropic(&top, upstream_model, &mut left_out),
        DialectId::Gemini => of_member(&top, "contents", |content| gemini_content(content, upstream_model)),
        DialectId::OpenAi => of_member(&top, "messages", openai_message),
        DialectId::OpenAiResponses => of_member(&top, "input", responses_item),
        _ => Edit::Keep,
    };
    let Edit::Write(written) = edit else { return None };
    let mut names = Vec::new();
    left_out.into_iter().for_each(|field| fields::push(&mut names, field, dialect));
    Some((written, names))
}

/// What becomes of a value.
#[derive(Debug, PartialEq, Eq)]
enum Edit {
    Keep,
    Drop,
    Write(String),
}

/// An object after each of its members was looked at; without any left it goes as well.
fn object(object: &Object<'_>, mut each: impl FnMut(&str, &RawValue) -> Edit) -> Edit {
    let edits: Vec<Edit> = object.0.iter().map(|(name, value)| each(name, value)).collect();
    let mut out = Vec::new();
    write::object(&mut out, |members| {
        for ((name, value), edit) in object.0.iter().zip(&edits) {
            match edit {
                Edit::Keep => members.written(name, value.get()),
                Edit::Write(written) => members.written(name, written),
                Edit::Drop => {}
            }
        }
    });
    result(&edits, out)
}

/// The same for a list. What is none is kept.
fn list(raw: &RawValue, each: impl FnMut(&RawValue) -> Edit) -> Edit {
    let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else { return Edit::Keep };
    let edits: Vec<Edit> = elements.iter().copied().map(each).collect();
    let mut out = Vec::new();
    write::array(&mut out, |list| {
        for (element, edit) in elements.iter().zip(&edits) {
            match edit {
                Edit::Keep => list.spliced(element.get()),
                Edit::Write(written) => list.spliced(written),
                Edit::Drop => {}
            }
        }
    });
    result(&edits, out)
}

fn result(edits: &[Edit], out: Vec<u8>) -> Edit {
    match String::from_utf8(out) {
        _ if edits.iter().all(|edit| *edit == Edit::Keep) => Edit::Keep,
        _ if edits.iter().all(|edit| *edit == Edit::Drop) => Edit::Drop,
        Ok(written) => Edit::Write(written),
        Err(_) => Edit::Keep,
    }
}

/// A request whose list of this name is edited.
fn of_member(top: &Object<'_>, name: &str, each: impl Fn(&RawValue) -> Edit) -> Edit {
    object(top, |own, value| if own == name { list(value, &each) } else { Edit::Keep })
}

fn read(raw: &RawValue) -> Option<Object<'_>> {
    Object::read(raw.get(), "").ok()
}

fn text<'a>(object: &Object<'a>, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    serde_json::from_str::<Text<'_>>(object.get(name)?.get()).ok().map(|text| text.0)
}

/// Whether one of these members is a signature of another dialect's provider.
fn is_foreign(object: &Object<'_>, names: &[&str], client: DialectId) -> bool {
    names.iter().filter_map(|name| text(object, name)).any(|signed| {
        let signed = BESIDE.iter().find_map(|mark| signed.strip_prefix(mark)).unwrap_or(&signed);
        Signature::read_in(client, signed.into()).maker != client
    })
}

/// How the running turn of the model's began, for Anthropic: it refuses a budget for thoughts where a turn goes on that began
/// without any.
#[derive(Default)]
struct Turn {
    began_with_thoughts: Option<bool>,
}

fn anthropic(top: &Object<'_>, upstream_model: &str, left_out: &mut Vec<Field>) -> Edit {
    let mut turn = Turn::default();
    let messages = |value: &RawValue, turn: &mut Turn| list(value, |message| anthropic_message(message, turn));
    let edits: Vec<Edit> = top
        .0
        .iter()
        .map(|(name, value)| if name == "messages" { messages(value, &mut turn) } else { Edit::Keep })
        .collect();
    let is_changed = edits.iter().any(|edit| *edit != Edit::Keep);
    let has_budget = top.get("thinking").and_then(read).is_some_and(|said| said.get("budget_tokens").is_some());
    let must_yield = is_changed && has_budget && turn.began_with_thoughts == Some(false);
    let thinking = match model(upstream_model).thinking {
        Thinking::Either | Thinking::Effort => Edit::Write(r#"{"type":"adaptive"}"#.to_owned()),
        Thinking::Budget | Thinking::Never => Edit::Drop,
    };
    let without_thinking = thinking == Edit::Drop;
    if must_yield {
        left_out.push(Field::Reasoning);
        // What it says of thoughts is refused where there are none.
        left_out
            .extend((without_thinking && top.get("context_management").is_some()).then_some(Field::ContextManagement));
    }
    let (mut edits, mut thinking) = (edits.into_iter(), Some(thinking));
    object(top, |name, _| {
        let edit = edits.next().unwrap_or(Edit::Keep);
        match name {
            "thinking" if must_yield => thinking.take().unwrap_or(Edit::Drop),
            "context_management" if must_yield && without_thinking => Edit::Drop,
            _ => edit,
        }
    })
}

fn anthropic_message(raw: &RawValue, turn: &mut Turn) -> Edit {
    let Some(message) = read(raw) else { return Edit::Keep };
    let (mut kinds, mut edit) = (Vec::new(), Edit::Keep);
    if let Some(content) = message.get("content") {
        edit = list(content, |block| {
            let Some(block) = read(block) else { return Edit::Keep };
            let kind = text(&block, "type").unwrap_or_default();
            let is_thought = matches!(&*kind, "thinking" | "redacted_thinking");
            if is_thought && is_foreign(&block, &["signature", "data"], DialectId::Anthropic) {
                return Edit::Drop;
            }
            kinds.push(kind.into_owned());
            Edit::Keep
        });
    }
    if text(&message, "role").as_deref() == Some("assistant") {
        let first = kinds.first().is_some_and(|kind| matches!(kind.as_str(), "thinking" | "redacted_thinking"));
        turn.began_with_thoughts.get_or_insert(first);
    } else if kinds.is_empty() || kinds.iter().any(|kind| kind != "tool_result") {
        turn.began_with_thoughts = None;
    }
    match edit {
        Edit::Write(content) => {
            let mut content = Some(content);
            object(&message, |name, _| match name {
                "content" => content.take().map_or(Edit::Drop, Edit::Write),
                _ => Edit::Keep,
            })
        }
        edit => edit,
    }
}

fn gemini_content(raw: &RawValue, upstream_model: &str) -> Edit {
    let Some(content) = read(raw) else { return Edit::Keep };
    let (mut is_first_call, mut is_empty) = (true, false);
    let edit = object(&content, |name, value| {
        if name != "parts" {
            return Edit::Keep;
        }
        let edit = list(value, |part| gemini_part(part, &mut is_first_call, upstream_model));
        is_empty |= edit == Edit::Drop;
        edit
    });
    if is_empty { Edit::Drop } else { edit }
}

fn gemini_part(raw: &RawValue, is_first_call: &mut bool, upstream_model: &str) -> Edit {
    const SIGNATURES: [&str; 2] = ["thoughtSignature", "thought_signature"];
    let Some(part) = read(raw) else { return Edit::Keep };
    let is_call = part.get("functionCall").or(part.get("function_call")).is_some();
    let is_first = is_call && std::mem::take(is_first_call);
    if !is_foreign(&part, &SIGNATURES, DialectId::Gemini) {
        return Edit::Keep;
    }
    let says_something = part.0.iter().any(|(name, value)| match &**name {
        "text" => value.get() != "\"\"",
        name => !SIGNATURES.contains(&name),
    });
    if !says_something || part.get("thought").is_some_and(|thought| thought.get() == "true") {
        return Edit::Drop;
    }
    let placeholder = gemini::placeholder(upstream_model).filter(|_| is_first);
    object(&part, |name, _| match placeholder {
        _ if !SIGNATURES.contains(&name) => Edit::Keep,
        Some(placeholder) => Edit::Write(Value::from(placeholder).to_string()),
        None => Edit::Drop,
    })
}

fn openai_message(raw: &RawValue) -> Edit {
    let Some(message) = read(raw) else { return Edit::Keep };
    let is_sealed = |detail: &RawValue| {
        let foreign = read(detail).is_some_and(|detail| is_foreign(&detail, &["signature", "data"], DialectId::OpenAi));
        if foreign { Edit::Drop } else { Edit::Keep }
    };
    let call = |call: &RawValue| read(call).map_or(Edit::Keep, |call| object(&call, extra_content));
    let edit = object(&message, |name, value| match name {
        "reasoning_details" => list(value, is_sealed),
        "tool_calls" => list(value, call),
        name => extra_content(name, value),
    });
    let says_something =
        ["content", "tool_calls", "function_call", "refusal", "audio"].iter().any(|name| message.get(name).is_some());
    match edit {
        Edit::Write(_) if !says_something => Edit::Drop,
        edit => edit,
    }
}

/// Where Google's compatible API has signatures of calls and texts.
fn extra_content(name: &str, value: &RawValue) -> Edit {
    let extra = (name == "extra_content").then(|| read(value)).flatten();
    let google = extra.as_ref().and_then(|extra| read(extra.get("google")?));
    match google.is_some_and(|google| is_foreign(&google, &["thought_signature"], DialectId::OpenAi)) {
        true => Edit::Drop,
        false => Edit::Keep,
    }
}

fn responses_item(raw: &RawValue) -> Edit {
    let is_foreign = read(raw).is_some_and(|item| {
        text(&item, "type").as_deref() == Some("reasoning")
            && is_foreign(&item, &["encrypted_content"], DialectId::OpenAiResponses)
    });
    if is_foreign { Edit::Drop } else { Edit::Keep }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn without(dialect: DialectId, model: &str, body: &Value) -> Option<(Value, Vec<String>)> {
        let (written, left_out) = without_foreign_thoughts(dialect, model, &body.to_string())?;
        Some((serde_json::from_str(&written).expect("JSON"), left_out))
    }

    #[test]
    fn what_only_mentions_the_mark_goes_as_it_is() {
        let said = "tollgate.gemini.x and dG9sbGdhdGUu are words";
        for (dialect, body) in [
            (DialectId::OpenAi, json!({"messages": [{"role": "user", "content": said}], "functions": [{"name": "f"}]})),
            (DialectId::OpenAiResponses, json!({"input": said, "store": true, "tools": [{"type": "web_search"}]})),
            (
                DialectId::OpenAiResponses,
                json!({"input": [{"type": "reasoning", "encrypted_content": "tollgate.nobody.x"}]}),
            ),
            (
                DialectId::Anthropic,
                json!({"messages": [{"role": "assistant", "content": [{"type": "text", "text": said},
                {"type": "thinking", "thinking": "t", "signature": "tollgate.anthropic.x"}]}]}),
            ),
            (DialectId::Gemini, json!({"contents": [{"parts": [{"text": said, "thoughtSignature": "c2ln"}]}]})),
        ] {
            assert_eq!(without(dialect, "m", &body), None, "{body}");
        }
    }

    #[test]
    fn nothing_but_thoughts_is_changed() {
        let functions = json!([{"name": "f", "parameters": {}}]);
        let body = json!({"model": "m", "functions": functions, "store": true, "seed": 1.50, "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Ho", "reasoning_details": [
                {"type": "reasoning.text", "text": "a", "signature": "tollgate.anthropic.s"}, {"type": "reasoning.text", "text": "b"}],
                "tool_calls": [{"id": "c", "extra_content": {"google": {"thought_signature": "tollgate.gemini.s"}}}]},
            {"role": "assistant", "content": null, "reasoning_details": [{"data": "tollgate.gemini.s"}]}]});
        let (kept, left_out) = without(DialectId::OpenAi, "m", &body).expect("thoughts are left out");
        let said = json!({"role": "assistant", "content": "Ho", "reasoning_details": [{"type": "reasoning.text", "text": "b"}],
            "tool_calls": [{"id": "c"}]});
        let expected = json!({"model": "m", "functions": functions, "store": true, "seed": 1.50,
            "messages": [{"role": "user", "content": "Hi"}, said]});
        assert_eq!((kept, left_out), (expected, vec!["messages.reasoning_content".to_owned()]));

        let search = json!({"type": "web_search"});
        let item = |encrypted: &str| json!({"type": "reasoning", "summary": [], "encrypted_content": encrypted});
        let body = json!({"store": true, "tools": [search], "include": ["web_search_call.results"], "input": [
            item("own"), item("tollgate.anthropic.s"), item("next.tollgate.gemini.s"), {"role": "user", "content": "Hi"}]});
        let (kept, _) = without(DialectId::OpenAiResponses, "m", &body).expect("thoughts are left out");
        let expected = json!({"store": true, "tools": [search], "include": ["web_search_call.results"],
            "input": [item("own"), {"role": "user", "content": "Hi"}]});
        assert_eq!(kept, expected);
    }

    #[test]
    fn calls_that_gemini_did_not_sign_have_a_placeholder_where_it_wants_one() {
        let foreign = Signature::new(DialectId::OpenAi, "s");
        let foreign = foreign.shown_in(DialectId::Gemini);
        let call = |signature: Value| json!({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": signature});
        let thought = json!({"text": "t", "thought": true, "thoughtSignature": &*foreign});
        let bare = json!({"text": "", "thoughtSignature": &*foreign});
        let body = json!({"contents": [{"role": "model", "parts": [thought, bare, call(json!(&*foreign)), call(json!(&*foreign)),
            {"text": "x", "thoughtSignature": &*foreign}]}, {"role": "model", "parts": [thought]}]});
        for (model, first) in [
            ("gemini-3.5-flash", call(json!("skip_thought_signature_validator"))),
            ("gemini-2.5-pro", json!({"functionCall": {"name": "f", "args": {}}})),
        ] {
            let (kept, _) = without(DialectId::Gemini, model, &body).expect("thoughts are left out");
            let parts = json!([first, {"functionCall": {"name": "f", "args": {}}}, {"text": "x"}]);
            assert_eq!(kept, json!({"contents": [{"role": "model", "parts": parts}]}), "{model}");
        }
    }

    #[test]
    fn a_budget_yields_where_a_turn_goes_on_that_began_without_thoughts() {
        let thought = json!({"type": "thinking", "thinking": "t", "signature": "tollgate.openai."});
        let call = json!({"type": "tool_use", "id": "c", "name": "f", "input": {}});
        let result = json!({"type": "tool_result", "tool_use_id": "c", "content": "x"});
        let turns = |last: Value| {
            json!({"max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 2000}, "context_management": {},
                "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [thought, call]},
                    {"role": "user", "content": [last]}, {"role": "assistant", "content": [thought]}]})
        };
        let of = |model: &str, last: &Value| {
            let (kept, left_out) = without(DialectId::Anthropic, model, &turns(last.clone())).expect("thoughts");
            assert_eq!(kept["messages"].as_array().map(Vec::len), Some(3));
            assert_eq!(kept["messages"][1]["content"], json!([call]));
            (kept.get("thinking").cloned(), kept.get("context_management").is_some(), left_out.len())
        };
        assert_eq!(of("claude-sonnet-4-5", &result), (None, false, 3));
        assert_eq!(of("claude-opus-4-6", &result), (Some(json!({"type": "adaptive"})), true, 2));
    }
}
