//! Real answers of real providers, where the recordings are present (`TOLLGATE_RECORDINGS`, or beside the checkout).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Case, case, five, said};
use crate::dialect::shape::{Answer, DialectId, Framing};
use crate::dialect::usage::{CitationTokens, Placement, UsageRules};

/// What the vendors of the recordings need beyond the default, as `providers.toml` has it.
fn rules(provider: &str, api: &str) -> UsageRules {
    let default = UsageRules::default();
    match (provider, api) {
        ("gemini", "openai_compat") => UsageRules { hidden_in_total: true, ..default },
        ("vercel_gateway", _) => UsageRules { reasoning: Placement::OutsideForGemini, ..default },
        ("perplexity", _) => {
            UsageRules { reasoning: Placement::OutsideIfBeside, citation_tokens: CitationTokens::Input, ..default }
        }
        _ => default,
    }
}

const APIS: [(&str, Answer, DialectId); 17] = [
    ("chat_completions", Answer::Chat, DialectId::OpenAi),
    ("compatible_chat", Answer::Chat, DialectId::OpenAi),
    ("openai_compat", Answer::Chat, DialectId::OpenAi),
    ("completions", Answer::Completion, DialectId::OpenAi),
    ("responses", Answer::Responses, DialectId::OpenAiResponses),
    ("responses_compact", Answer::Responses, DialectId::OpenAiResponses),
    ("embeddings", Answer::Embeddings, DialectId::OpenAi),
    ("embed", Answer::Embeddings, DialectId::OpenAi),
    ("rerank", Answer::Rerank, DialectId::OpenAi),
    ("images", Answer::Image, DialectId::OpenAi),
    ("transcriptions", Answer::Transcription, DialectId::OpenAi),
    ("messages", Answer::Messages, DialectId::Anthropic),
    ("anthropic_rawPredict", Answer::Messages, DialectId::Anthropic),
    ("anthropic_streamRawPredict", Answer::Messages, DialectId::Anthropic),
    ("count_tokens", Answer::CountTokens, DialectId::Anthropic),
    ("generateContent", Answer::GenerateContent, DialectId::Gemini),
    ("streamGenerateContent", Answer::GenerateContent, DialectId::Gemini),
];

struct Recording {
    row: Value,
    body: Vec<u8>,
    case: Case,
}

fn folder() -> Option<PathBuf> {
    let set = std::env::var_os("TOLLGATE_RECORDINGS").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    Some(set.unwrap_or_else(beside)).filter(|folder| folder.join("manifest.jsonl").exists())
}

/// Every recording of an API that is spoken here; empty where there are none.
fn recordings() -> Vec<Recording> {
    let Some(folder) = folder() else {
        return Vec::new();
    };
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let rows = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter_map(|row| {
        let (provider, api) = (row["provider"].as_str().unwrap(), row["api"].as_str().unwrap());
        if provider == "bedrock" {
            return None;
        }
        let &(_, answer, dialect) = APIS.iter().find(|(name, ..)| *name == api)?;
        let file = row["file"].as_str().unwrap();
        let framing = match file.rsplit('.').next() {
            Some("sse") => Framing::Sse,
            _ if row["streaming"] == true => Framing::JsonArray,
            _ => Framing::JsonDocument,
        };
        let body = std::fs::read(folder.join(file)).unwrap();
        let case = case(answer, dialect, framing).with(|default| *default = rules(provider, api));
        Some(Recording { row, body, case })
    })
    .collect()
}

fn expected(row: &Value) -> [u64; 5] {
    ["input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"]
        .map(|count| row["expected"][count].as_u64().unwrap_or(0))
}

#[test]
fn every_recorded_answer_comes_to_the_counts_it_reports() {
    let (mut passed, mut failed) = (BTreeMap::<String, u32>::new(), Vec::new());
    for Recording { row, body, case } in recordings() {
        let (scanner, out) = case.scan([body.as_slice()]);
        assert_eq!(out, body, "{}", row["file"]);
        let metered = scanner.metered().map(|metered| five(&metered.usage));
        let wanted = (row["usage_reported"] == true).then(|| expected(&row));
        if metered == wanted {
            *passed.entry(row["provider"].as_str().unwrap().to_owned()).or_default() += 1;
        } else {
            failed.push(format!("{}: {metered:?}, expected {wanted:?}", row["file"]));
        }
        let extras = row["extra_iterations"].as_array().map_or(0, Vec::len);
        if extras > 0 {
            let found = scanner.metered().map_or(0, |metered| metered.extras.len());
            assert_eq!(found, extras, "{}", row["file"]);
        }
        let fails = row["status"].as_u64().is_some_and(|status| status >= 400);
        if !fails {
            assert_eq!(scanner.error_event().is_some(), has_error(&row), "{}: {}", row["file"], said(&scanner));
        }
        assert!(fails || has_error(&row) || scanner.is_whole(), "{} is whole", row["file"]);
    }
    assert!(failed.is_empty(), "{passed:?}\n{}", failed.join("\n"));
}

/// A recording that ends in an error inside a 200.
fn has_error(row: &Value) -> bool {
    let file = row["file"].as_str().unwrap();
    file.contains("error-in-stream") || file.contains("error-mid-stream") || file.contains("thinking-error-nousage")
}

#[test]
fn every_recorded_answer_is_the_same_however_it_is_cut() {
    // A plain generator: the same cuts in every run.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for Recording { row, body, case } in recordings() {
        for take_out in [false, true] {
            let case = Case { take_out, ..case };
            let (whole, out) = case.scan([body.as_slice()]);
            for longest in [3, 40, 2000] {
                let mut pieces = Vec::new();
                let mut rest = body.as_slice();
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at((1 + random(longest)).min(rest.len()));
                    pieces.push(piece);
                    rest = after;
                }
                let (cut, cut_out) = case.scan(pieces);
                assert_eq!(said(&cut), said(&whole), "{}", row["file"]);
                assert_eq!(cut_out, out, "{}", row["file"]);
            }
        }
    }
}
