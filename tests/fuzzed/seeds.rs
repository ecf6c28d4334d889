//! What the mutations start from: the golden files of translation, and small files of our own in `tests/fuzz/corpus/TARGET`.

use crate::properties::input::CHOICE_BYTES;
use std::path::{Path, PathBuf};

/// Files below this folder, by name.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Whether a golden file is for this target: of its dialect, as a reader gets it or as a writer wrote it.
fn is_for(target: &str, file: &Path) -> bool {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let of_dialect = |dialect: &str| stem == dialect || stem.ends_with(&format!("-to-{dialect}"));
    let is_read = file.extension().is_some_and(|ending| ending == "json" || ending == "sse");
    is_read && target.split_once('-').is_none_or(|(_, dialect)| of_dialect(dialect))
}

/// How many different choices each file is tried with.
const CHOICES: u8 = 4;

/// The seeds of a target, each file behind several choices: its name, and its bytes.
pub(crate) fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let golden = |kind: &str| tests.join("golden/chat").join(kind);
    let corpus = |target: &str| tests.join("fuzz/corpus").join(target);
    let mut found = Vec::new();
    match target.split('-').next().unwrap_or_default() {
        "request" | "facts" => files(&golden("requests"), &mut found),
        "answer" | "usage" => files(&golden("answers"), &mut found),
        _ => {}
    }
    found.retain(|file| is_for(target, file));
    if target == "usage" {
        ["answer-dashscope", "answer-cohere", "answer-ollama"]
            .iter()
            .for_each(|other| files(&corpus(other), &mut found));
    }
    if target == "broken-off" {
        files(&golden("answers/tools"), &mut found);
    }
    files(&corpus(target), &mut found);
    let seeds = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("a file of the corpus");
        let name = path.strip_prefix(&tests).unwrap_or(&path).display().to_string();
        let chosen = |choice: u8| (name.clone(), [&[choice; CHOICE_BYTES], &bytes[..]].concat());
        (0..CHOICES).map(chosen).collect::<Vec<_>>()
    };
    found.into_iter().flat_map(seeds).collect()
}
