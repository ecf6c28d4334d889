//! Google's own answers, where the recordings are present (`TOLLGATE_RECORDINGS`, or beside the checkout).

use super::WIRE;
use crate::dialect::Framing;
use crate::dialect::chat::frames::{Frame, Frames};
use crate::dialect::chat::{Answer, Block};
use std::path::{Path, PathBuf};

fn recordings() -> Vec<PathBuf> {
    let set = std::env::var_os("TOLLGATE_RECORDINGS").map(PathBuf::from);
    let folder = set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings"));
    let mut found = Vec::new();
    for (provider, api) in [
        ("gemini", "generateContent"),
        ("vertex", "generateContent"),
        ("gemini", "streamGenerateContent"),
        ("vertex", "streamGenerateContent"),
    ] {
        let files = std::fs::read_dir(folder.join(provider).join(api)).into_iter().flatten().flatten();
        found.extend(files.map(|file| file.path()).filter(|path| !path.to_string_lossy().contains(".request.")));
    }
    found
}

fn answer(path: &Path) -> Answer {
    let is_stream = path.to_string_lossy().contains("streamGenerateContent");
    let framing = match path.extension().and_then(|ending| ending.to_str()) {
        Some("sse") => Framing::Sse,
        _ if is_stream => Framing::JsonArray,
        _ => Framing::JsonDocument,
    };
    let (mut answer, mut reader, mut frames) = (Answer::default(), (WIRE.answer_reader)(), Frames::new(framing));
    let mut take = |frame: Frame<'_>| match frame {
        Frame::Comment | Frame::Exception(..) => Ok(()),
        Frame::Value(name, json) => reader.event(name, json, &mut answer),
    };
    frames.push(&std::fs::read(path).expect("a recording"), &mut take).expect("it is readable");
    frames.finish(&mut take).expect("it is readable");
    reader.end(&mut answer);
    answer
}

#[test]
fn every_recorded_answer_is_read_and_ends() {
    for path in recordings() {
        let answer = answer(&path);
        if answer.error.is_some() || path.to_string_lossy().contains("error-mid-stream") {
            continue;
        }
        let choice = answer.choices.first().unwrap_or_else(|| panic!("{path:?} has an answer"));
        assert!(choice.finish.is_some(), "{path:?} ends");
        let said = choice.blocks.iter().any(|block| match block {
            Block::Text { text, .. } => !text.is_empty(),
            Block::ToolCall { name, arguments, .. } => !name.is_empty() && arguments.starts_with('{'),
            _ => false,
        });
        assert!(said, "{path:?} says something: {answer:?}");
    }
}
