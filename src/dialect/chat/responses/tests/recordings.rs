//! Real answers and requests, where the recordings are present (`TOLLGATE_RECORDINGS`, or beside the checkout).

use super::super::request_reader;
use super::{Seen, answer_to, read_into};
use crate::dialect::Framing;
use crate::dialect::chat::{Answer, Block};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn folder() -> Option<PathBuf> {
    let set = std::env::var_os("TOLLGATE_RECORDINGS").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    Some(set.unwrap_or_else(beside)).filter(|folder| folder.join("manifest.jsonl").exists())
}

fn rows(folder: &Path) -> Vec<Value> {
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).expect("the list of recordings");
    let rows = manifest.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    rows.filter(|row| row["api"] == "responses" && row["status"] == 200).collect()
}

/// The texts, thoughts and calls of an answer, each kind on its own.
fn content(answer: &Answer) -> [String; 3] {
    let (mut texts, mut thoughts, mut calls) = (String::new(), String::new(), String::new());
    for block in answer.choices.iter().flat_map(|choice| &choice.blocks) {
        match block {
            Block::Text { text, .. } | Block::Refusal(text) => texts.push_str(text),
            Block::Reasoning { text, .. } => thoughts.push_str(text),
            Block::ToolCall { id, name, arguments, .. } => calls.push_str(&format!("{id} {name} {arguments}\n")),
            Block::Media { .. } => {}
        }
    }
    [texts, thoughts, calls]
}

#[test]
fn real_streams_say_what_their_last_event_repeats() {
    let Some(folder) = folder() else { return };
    let mut read = 0;
    for row in rows(&folder) {
        let file = row["file"].as_str().expect("a file");
        let said = std::fs::read_to_string(folder.join(file)).expect("UTF-8");
        if !file.ends_with(".sse") {
            let answer = answer_to(&said, Framing::JsonDocument);
            assert!(answer.error.is_none() && answer.choices[0].finish.is_some(), "{file}: {answer:?}");
            continue;
        }
        let answer = answer_to(&said, Framing::Sse);
        let mut whole = Seen(Vec::new());
        read_into(&said, Framing::Sse, usize::MAX, &mut whole);
        for size in [1, 333] {
            let mut seen = Seen(Vec::new());
            read_into(&said, Framing::Sse, size, &mut seen);
            assert_eq!(seen.0, whole.0, "{file} in pieces of {size}");
        }
        let lines = said.lines().filter_map(|line| line.strip_prefix("data: "));
        let events = lines.filter_map(|json| serde_json::from_str::<Value>(json).ok());
        let Some(last) = events.collect::<Vec<_>>().pop().filter(|last| last["type"] == "response.completed") else {
            assert!(answer.error.is_some(), "{file}: {answer:?}");
            continue;
        };
        let document = answer_to(&last["response"].to_string(), Framing::JsonDocument);
        assert_eq!(content(&answer), content(&document), "{file}");
        assert_eq!(answer.choices[0].finish, document.choices[0].finish, "{file}");
        read += 1;
    }
    assert!(read > 10, "{read}");
}

#[test]
fn real_requests_are_read_or_refused_for_the_providers_own_tools() {
    let Some(folder) = folder() else { return };
    let (mut read, mut refused) = (0, Vec::new());
    for row in rows(&folder) {
        let Some(file) = row["request_file"].as_str() else { continue };
        let text = std::fs::read_to_string(folder.join(file)).expect("UTF-8");
        let body = serde_json::from_str::<Value>(&text).expect("JSON")["body"].to_string();
        match request_reader::read(&body) {
            Ok(_) => read += 1,
            Err(refusal) => refused.push((file.to_owned(), refusal.param.unwrap_or_default())),
        }
    }
    assert!(read > 10, "{read}");
    let known = |field: &str| (field.starts_with("tools[") && field.ends_with("].type")) || field == "include[0]";
    assert!(refused.iter().all(|(_, field)| known(field)), "{refused:?}");
}
