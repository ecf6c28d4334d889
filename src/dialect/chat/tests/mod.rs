//! Golden files of translation, in `tests/golden/chat`.
//!
//! `requests/FEATURE/DIALECT.json` is one request as each dialect says it: translated from any of them into any other, it
//! must come out as that one's file. Where a pair differs, `FROM-to-TO.json` says how; where it is refused,
//! `FROM-to-TO.refused` has the field. What is left out stands in `FROM-to-TO.left_out`, a name a line.
//!
//! `answers/FEATURE/DIALECT.json` and `DIALECT.sse` (`.ndjson`) are an upstream's answer, whole and in events; `FROM-to-TO.json`
//! and `.sse` what the client gets. With `UPDATE_GOLDEN=1` those are written; they are read before they are committed.

mod answers;
mod fuzzed;
mod large;
mod recorded;
mod requests;
mod strict;
mod table;
mod vendors;

use crate::dialect::DialectId;
use std::path::{Path, PathBuf};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat").join(kind)
}

/// The features of a kind, by name.
fn features(kind: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder(kind)).expect("golden files").flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

fn read(folder: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(folder.join(name)).ok()
}

/// Every dialect that clients speak, and that is translated.
fn dialects() -> impl Iterator<Item = DialectId> {
    DialectId::ALL.into_iter().filter(|dialect| super::wire(*dialect).is_some())
}
