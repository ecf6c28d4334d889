//! Real answers, where the recordings are present (`TOLLGATE_RECORDINGS`, or beside the checkout).

use super::read;
use crate::dialect::{DialectId, Framing};
use serde_json::Value;
use std::path::{Path, PathBuf};

const APIS: [(&str, &str, DialectId); 5] = [
    ("dashscope", "native", DialectId::DashScope),
    ("cohere", "v2_chat", DialectId::Cohere),
    ("ollama", "native_chat", DialectId::Ollama),
    ("bedrock", "converse", DialectId::Bedrock),
    ("bedrock", "converse_stream", DialectId::Bedrock),
];

fn folder() -> Option<PathBuf> {
    let set = std::env::var_os("TOLLGATE_RECORDINGS").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    Some(set.unwrap_or_else(beside)).filter(|folder| folder.join("manifest.jsonl").exists())
}

#[test]
fn every_recorded_answer_is_read_and_comes_to_the_counts_it_reports() {
    let Some(folder) = folder() else { return };
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    for row in manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let is = |api: &&(&str, &str, DialectId)| row["provider"] == api.0 && row["api"] == api.1;
        let Some((.., dialect)) = APIS.iter().find(is) else { continue };
        let file = row["file"].as_str().unwrap();
        // Another operation of the same API, and whole answers that are errors: those are read elsewhere.
        if file.contains("embedding") || row["status"].as_u64().is_some_and(|status| status >= 400) {
            continue;
        }
        let framing = match file.rsplit('.').next() {
            Some("sse") => Framing::Sse,
            Some("ndjson") => Framing::NdJson,
            Some("eventstream") => Framing::EventStream,
            _ => Framing::JsonDocument,
        };
        let read = read(*dialect, framing, &std::fs::read(folder.join(file)).unwrap());
        let counts = ["input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"]
            .map(|count| row["expected"][count].as_u64().unwrap_or(0));
        assert_eq!(read.counts, (row["usage_reported"] == true).then_some(counts), "{file}");
        let failed = file.contains("error");
        assert_eq!(read.answer.error.is_some(), failed, "{file}");
        let finished = read.answer.choices.first().is_some_and(|choice| choice.finish.is_some());
        assert!(failed || (finished && read.token && read.whole), "{file}: {read:?}");
        assert!(failed || !read.answer.choices[0].blocks.is_empty(), "{file}");
    }
}
