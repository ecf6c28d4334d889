//! `src/dialect/TRANSLATION.md` is written from the table of fields and from what the writers take: never by hand.

use super::dialects as of_clients;
use crate::dialect::DialectId;
use crate::dialect::chat::fields::{FIELDS, Otherwise, name};
use crate::dialect::chat::{
    ChatRequest, ChatRules, Manner, Media, MediaKind, Message, Part, ReasoningKind, Role, Signature, Source, ToolCall,
    ToolResult, wire,
};
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "# What becomes of a request's fields

Written by `UPDATE_GOLDEN=1 cargo test chat::tests::table` from `src/dialect/chat/fields.rs` and from what the writers of each
dialect take. A client's column and an upstream's are a pair: what has a name in both is carried over; what the upstream has no
name for is **refused** with 400, naming the client's field, or **left out** where that changes no answer's meaning, and then
named in the answer's `x-tollgate-left-out`. What a vendor refuses of hints that its dialect has (`refuses` in `providers.toml`) is
left out likewise, and so is what a model is known not to take of thinking (OpenAI's, Anthropic's and Google's by tables of
theirs, others' by `efforts` in `providers.toml`); an effort that it lacks becomes the nearest that it has.
So are temperature, `top_p` and penalties where OpenAI's and Anthropic's models, or others by `untaken` there, are known not to
take them; what else they refuse (`stop`, `n`, `logprobs`, `logit_bias`) is refused here. Where OpenAI's take tools and think in
Responses alone, or a vendor takes a schema for the answer there alone (`schemas_in_responses`), that is what they are asked by, if it
can say the rest and the upstream speaks it; else they do not think, and a schema is refused. Where a tool must be called, a model
that takes that at rest alone (`forced_calls`) does not think, and one that takes no name is offered that tool alone. Mistral's
models get ids of calls and turns as they want them (`mistral_models`), Meta's at Bedrock turns: what the other side did not say between
two is `OK.`. Where Claude's answer is begun already (a prefill) and it takes none while it thinks, it does not.
A schema of Anthropic's or Gemini's clients that leaves something open (an object's other members, a property that may be missing, the bounds of a value) goes to OpenAI's dialects and DashScope's
without being enforced, for they refuse to enforce it: that is what it means if `tools.strict` or the schema's own name stands among
what was left out. A field that no row names is refused.
Names in italics are read from clients of vendors who have them, and never written. Values behind *but for*
change nothing where there is no such thing, and are passed over there.

";

/// Those that upstreams alone speak come last.
fn dialects() -> impl Iterator<Item = DialectId> {
    of_clients().chain(DialectId::UPSTREAM_ONLY)
}

fn fields() -> String {
    let mut text = String::from("## Fields\n\n| |");
    let columns: Vec<DialectId> = dialects().collect();
    columns.iter().for_each(|dialect| write!(text, " {dialect} |").expect("a String"));
    text.push_str(" elsewhere |\n|---|");
    text.push_str(&"---|".repeat(columns.len() + 1));
    text.push('\n');
    let mut seen = Vec::new();
    for row in FIELDS {
        if seen.contains(&row.field) {
            continue;
        }
        seen.push(row.field);
        write!(text, "| {:?} |", row.field).expect("a String");
        for dialect in &columns {
            let rows = FIELDS.iter().filter(|other| other.field == row.field);
            let of = |names: &'static [(DialectId, &'static str)]| names.iter().filter(|(own, _)| own == dialect);
            let mut names: Vec<String> = rows
                .flat_map(|row| {
                    let read = of(row.aliases).map(|(_, name)| format!("*`{name}`*"));
                    of(row.names).map(|(_, name)| format!("`{name}`")).chain(read)
                })
                .collect();
            if names.is_empty() {
                names.extend(name(row.field, *dialect).map(|name| format!("`{name}`")));
            }
            write!(text, " {} |", names.join(", ")).expect("a String");
        }
        let otherwise = if row.otherwise == Otherwise::LeftOut { "left out" } else { "refused" };
        let values = |values: &[&str]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
        let mut of_field = FIELDS.iter().filter(|other| other.field == row.field);
        let mut but_for = String::new();
        if let Some(row) = of_field.find(|row| !row.harmless.is_empty()) {
            write!(but_for, ", *but for* {}", values(row.harmless)).expect("a String");
        }
        writeln!(text, " {otherwise}{but_for} |").expect("a String");
    }
    text
}

fn media(kind: MediaKind, source: Source<'static>, mime_type: &'static str) -> Part<'static> {
    Part::Media(Media { kind, source, mime_type: Some(mime_type.into()), name: None, detail: None })
}

/// Parts of a conversation, each as it would stand in one.
fn parts() -> Vec<(&'static str, Vec<Message<'static>>)> {
    let message = |role, parts| Message { role, name: None, parts };
    let user = |part| vec![message(Role::User, vec![Part::text("Hi"), part])];
    let call = |arguments: &'static str| {
        let (id, name) = ("call_1".into(), "get_map".into());
        message(
            Role::Assistant,
            vec![Part::ToolCall(ToolCall { id, name, arguments: arguments.into(), signature: None })],
        )
    };
    let answered = |parts: Vec<Part<'static>>, is_error| {
        let (id, name) = ("call_1".into(), Some("get_map".into()));
        let result = Part::ToolResult(ToolResult { id, name, parts, is_error });
        vec![message(Role::User, vec![Part::text("Hi")]), call("{}"), message(Role::User, vec![result])]
    };
    let thought = |maker| {
        let signature = Some(Signature::new(maker, "c2ln"));
        let part = Part::Reasoning { text: "Hm".into(), kind: ReasoningKind::Full, signature };
        let turn = message(Role::Assistant, vec![part, Part::text("Yes")]);
        vec![message(Role::User, vec![Part::text("Hi")]), turn, message(Role::User, vec![Part::text("So?")])]
    };
    let image = || media(MediaKind::Image, Source::Base64("iVBORw0KGgo=".into()), "image/png");
    let file = |kind, mime_type| user(media(kind, Source::File("file-1".into()), mime_type));
    let url = |kind, name: &'static str, mime_type| user(media(kind, Source::Url(name.into()), mime_type));
    let base64 = |kind, mime_type| user(media(kind, Source::Base64("UklGRg==".into()), mime_type));
    vec![
        ("image, base64", user(image())),
        ("image, URL", url(MediaKind::Image, "https://example.com/a.png", "image/png")),
        ("image, file id", file(MediaKind::Image, "image/png")),
        ("PDF, base64", base64(MediaKind::Document, "application/pdf")),
        ("PDF, URL", url(MediaKind::Document, "https://example.com/a.pdf", "application/pdf")),
        ("text document", user(media(MediaKind::Document, Source::Text("x".into()), "text/plain"))),
        ("audio, base64", base64(MediaKind::Audio, "audio/wav")),
        ("video, base64", base64(MediaKind::Video, "video/mp4")),
        ("tool result", answered(vec![Part::text("here")], false)),
        ("tool result, failed", answered(vec![Part::text("no")], true)),
        ("tool result with an image", answered(vec![Part::text("here"), image()], false)),
        ("thoughts of OpenAI", thought(DialectId::OpenAiResponses)),
        ("thoughts of Anthropic", thought(DialectId::Anthropic)),
        ("thoughts of Google", thought(DialectId::Gemini)),
        ("thoughts of Bedrock", thought(DialectId::Bedrock)),
    ]
}

fn contents() -> String {
    let mut text = String::from("\n## Contents\n\nWhat an upstream of this dialect can be sent.\n\n| |");
    let columns: Vec<DialectId> = dialects().collect();
    columns.iter().for_each(|dialect| write!(text, " {dialect} |").expect("a String"));
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(columns.len()));
    text.push('\n');
    for (name, messages) in parts() {
        write!(text, "| {name} |").expect("a String");
        let request = ChatRequest { messages, ..ChatRequest::default() };
        for dialect in &columns {
            let rules = ChatRules { max_completion_tokens: true, developer_role: true, ..ChatRules::default() };
            let manner = Manner { model: "m", output_tokens_default: 100, asks_for_usage: false, rules };
            let mut left_out = Vec::new();
            let written = (wire(*dialect).expect("it is translated").write_request)(&request, &manner, &mut left_out);
            let cell = match written {
                Err(_) => "refused",
                Ok(_) if !left_out.is_empty() => "left out",
                Ok(_) => "yes",
            };
            write!(text, " {cell} |").expect("a String");
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_table_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dialect/TRANSLATION.md");
    let written = format!("{HEAD}{}{}", fields(), contents());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &written).expect("it can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == written, "{} is not what it should be: see its own first lines", path.display());
}
