use super::{dialects, features, folder, read};
use crate::dialect::DialectId;
use crate::dialect::chat::{ChatRules, Manner, translate_request};
use serde_json::Value;
use std::path::Path;

fn manner() -> Manner<'static> {
    let rules = ChatRules { max_completion_tokens: true.into(), developer_role: true, ..ChatRules::default() };
    Manner { model: "m", output_tokens_default: 4096, asks_for_usage: false, rules }
}

fn json(text: &str, what: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Writes what a pair comes to where it is not what the target's own file says; to be read before it is committed.
fn update(folder: &Path, from: DialectId, to: DialectId) {
    let Some(said) = read(folder, &format!("{from}.json")) else { return };
    let write = |ending: &str, text: String| {
        std::fs::write(folder.join(format!("{from}-to-{to}.{ending}")), text + "\n").expect("it can be written");
    };
    match translate_request(from, to, &said, false, &manner()) {
        Err(refusal) => write("refused", refusal.param.unwrap_or_default()),
        Ok(translated) => {
            let got = json(&String::from_utf8_lossy(&translated.body), "what was written");
            let pretty = serde_json::to_string_pretty(&got).unwrap_or_default();
            match read(folder, &format!("{to}.json")) {
                Some(own) if json(&own, "a file") == got => {}
                // No client speaks it: the first to get there writes it.
                None if DialectId::UPSTREAM_ONLY.contains(&to) => {
                    std::fs::write(folder.join(format!("{to}.json")), pretty + "\n").expect("it can be written");
                }
                _ => write("json", pretty),
            }
            if !translated.left_out.is_empty() {
                write("left_out", translated.left_out.join("\n"));
            }
        }
    }
}

/// What is wrong with this pair, if anything.
fn pair(folder: &Path, from: DialectId, to: DialectId) -> Option<String> {
    let said = read(folder, &format!("{from}.json"))?;
    let what = format!("{}: {from} to {to}", folder.file_name().unwrap_or_default().to_string_lossy());
    let translated = translate_request(from, to, &said, false, &manner());
    let refused = read(folder, &format!("{from}-to-{to}.refused"));
    let translated = match (translated, refused) {
        (Err(refusal), Some(field)) if refusal.param.as_deref() == Some(field.trim()) => return None,
        (Err(refusal), _) => return Some(format!("{what}: refused: {refusal:?}")),
        (Ok(_), Some(_)) => return Some(format!("{what}: not refused")),
        (Ok(translated), None) => translated,
    };
    let expected = read(folder, &format!("{from}-to-{to}.json")).or_else(|| read(folder, &format!("{to}.json")));
    let Some(expected) = expected else { return Some(format!("{what}: nothing is expected")) };
    let got: Value = json(&String::from_utf8_lossy(&translated.body), &what);
    let expected = json(&expected, &what);
    if got != expected {
        return Some(format!("{what}:\n  got      {got}\n  expected {expected}"));
    }
    let left_out = read(folder, &format!("{from}-to-{to}.left_out")).unwrap_or_default();
    let left_out: Vec<&str> = left_out.lines().collect();
    (translated.left_out != left_out).then(|| format!("{what}: left out {:?}", translated.left_out))
}

#[test]
fn a_request_means_the_same_in_every_dialect() {
    let mut wrong = Vec::new();
    for folder in features("requests") {
        for from in dialects() {
            let targets = || dialects().chain(DialectId::UPSTREAM_ONLY);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                targets().for_each(|to| update(&folder, from, to));
            }
            wrong.extend(targets().filter_map(|to| pair(&folder, from, to)));
        }
    }
    assert!(wrong.is_empty(), "{} of {:?}\n{}", wrong.len(), folder("requests"), wrong.join("\n"));
}
