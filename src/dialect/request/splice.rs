//! The two edits that a body may get on its way to an upstream: the model's name there, and the wish for a usage chunk.

use super::super::endpoint::resource;
use super::RequestFacts;
use bytes::Bytes;
use std::ops::Range;

/// Where the model's name can be put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ModelEdit {
    /// It is not in the body.
    #[default]
    Never,
    /// Over this JSON value.
    Value(Range<usize>),
    /// Over this null, always: the body leaves it to the provider's default.
    Null(Range<usize>),
    /// As a member of its own, always: the body leaves it to the provider's default.
    Insert,
    /// Over this part of a form.
    Part(Range<usize>),
    /// As a part of its own before this delimiter line (`--boundary`), always.
    InsertPart(Range<usize>),
}

/// Where the wish for a usage chunk can be put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum UsageEdit {
    /// Nowhere: this operation has no such chunk, or the body is a form.
    #[default]
    Never,
    /// The body has no `stream_options`.
    Absent,
    /// `stream_options` is this null.
    Null(Range<usize>),
    /// `stream_options` is an object without `include_usage`; its members start here.
    Member { at: usize, alone: bool },
    /// `include_usage` is this value, false or null.
    Value(Range<usize>),
    /// It is true already.
    Set,
}

/// Where a body can be edited.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits {
    /// Where the members of the outermost object start, and whether there are none.
    pub(super) root: (usize, bool),
    pub(super) model: ModelEdit,
    /// The body names another model than the path, whose name counts.
    pub(super) is_overruled: bool,
    pub(super) usage: UsageEdit,
    /// Further values that name the model of the path (Gemini's batches), as resource names.
    pub(super) inner_models: Vec<Range<usize>>,
}

/// The body as an upstream gets it: with its name of the model, if that is another one than the client's, and with
/// `stream_options.include_usage` set, if that is wanted of a stream. Every other byte is the client's; a body without a change
/// is not copied.
pub fn splice(facts: &RequestFacts, body: &Bytes, upstream_model: Option<&str>, want_usage_chunk: bool) -> Bytes {
    let mut changes: Vec<(Range<usize>, String)> = Vec::new();
    let own = facts.model.as_deref();
    let renamed = upstream_model.filter(|name| Some(*name) != own).or(own.filter(|_| facts.edits.is_overruled));
    model_changes(&facts.edits, body, renamed, facts.model.as_deref(), &mut changes);
    if want_usage_chunk && facts.stream {
        changes.extend(usage_change(&facts.edits));
    }
    if changes.is_empty() {
        return body.clone();
    }
    // Two insertions at one place keep their order.
    changes.sort_by_key(|(range, _)| range.start);
    let grown: usize = changes.iter().map(|(_, text)| text.len()).sum();
    let mut spliced = Vec::with_capacity(body.len() + grown);
    let mut copied = 0;
    for (range, text) in changes {
        spliced.extend_from_slice(&body[copied..range.start]);
        spliced.extend_from_slice(text.as_bytes());
        copied = range.end;
    }
    spliced.extend_from_slice(&body[copied..]);
    spliced.into()
}

fn model_changes(
    edits: &Edits,
    body: &Bytes,
    renamed: Option<&str>,
    model: Option<&str>,
    changes: &mut Vec<(Range<usize>, String)>,
) {
    match (&edits.model, renamed, renamed.or(model)) {
        (ModelEdit::Value(range), Some(name), _) => changes.push((range.clone(), json_string(name))),
        (ModelEdit::Null(range), _, Some(name)) => changes.push((range.clone(), json_string(name))),
        (ModelEdit::Part(range), Some(name), _) => changes.push((range.clone(), name.to_owned())),
        (ModelEdit::Insert, _, Some(name)) => changes.push(member(edits, &format!("\"model\":{}", json_string(name)))),
        (ModelEdit::InsertPart(delimiter), _, Some(name)) => {
            let delimiter_text = String::from_utf8_lossy(&body[delimiter.clone()]);
            let part = format!("{delimiter_text}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{name}\r\n");
            changes.push((delimiter.start..delimiter.start, part));
        }
        _ => {}
    }
    if let Some(name) = renamed {
        let (collection, name) = resource(name);
        let full = json_string(&format!("{collection}/{name}"));
        changes.extend(edits.inner_models.iter().map(|range| (range.clone(), full.clone())));
    }
}

fn usage_change(edits: &Edits) -> Option<(Range<usize>, String)> {
    const OPTIONS: &str = r#"{"include_usage":true}"#;
    match &edits.usage {
        UsageEdit::Absent => Some(member(edits, &format!("\"stream_options\":{OPTIONS}"))),
        UsageEdit::Null(range) => Some((range.clone(), OPTIONS.to_owned())),
        UsageEdit::Member { at, alone } => {
            let comma = if *alone { "" } else { "," };
            Some((*at..*at, format!("\"include_usage\":true{comma}")))
        }
        UsageEdit::Value(range) => Some((range.clone(), "true".to_owned())),
        UsageEdit::Never | UsageEdit::Set => None,
    }
}

/// A member put before the outermost object's first one.
fn member(edits: &Edits, text: &str) -> (Range<usize>, String) {
    let (at, alone) = edits.root;
    (at..at, format!("{text}{}", if alone { "" } else { "," }))
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
