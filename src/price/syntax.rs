//! Errors of TOML itself: what could not be parsed, with the key it concerns. Of price books, and of configurations, which know them
//! from here.

use toml::de::Error;

/// The most syntax errors that are shown.
const ERRORS_MAX: usize = 50;

/// Messages after which the parser has lost its place: what it says later may be nonsense.
const STRUCTURAL: &[&str] = &["missing", "unexpected", "unclosed", "invalid"];

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Where it is: so many bytes into the text.
    pub(crate) offset: usize,
    /// The key on that line, behind the table that it stands in; empty: there is none.
    pub(crate) key: String,
    /// What is wrong and what was expected.
    pub(crate) message: String,
}

/// The syntax errors of a text, one a line, in its order. The flag: the rest of the document can be believed.
pub(crate) fn syntax_errors(text: &str, found: &[Error]) -> (Vec<SyntaxError>, bool) {
    // Where the place is unknown it is the end: something was still expected there.
    let place = |error: &Error| error.span().map_or(text.len(), |span| span.start).min(text.len());
    let mut found: Vec<(usize, &str)> = found.iter().map(|error| (place(error), error.message())).collect();
    found.sort_by_key(|(offset, _)| *offset);
    let mut out: Vec<SyntaxError> = Vec::new();
    for (offset, message) in found {
        if out.last().is_some_and(|last| !text.as_bytes()[last.offset..offset].contains(&b'\n')) {
            continue;
        }
        if out.len() == ERRORS_MAX {
            return (out, false);
        }
        out.push(SyntaxError { offset, key: key_at(text, offset), message: explain(message) });
        if STRUCTURAL.iter().any(|word| message.starts_with(word)) {
            return (out, false);
        }
    }
    (out, true)
}

/// The parser's message, with what was expected where it does not say.
fn explain(message: &str) -> String {
    match message {
        "duplicate key" => "the key is there twice, expected each once".into(),
        _ if message.starts_with("string values must be quoted") => {
            "not a TOML value, expected a string in double quotes, a number, `true`, `false`, an array or a table"
                .into()
        }
        _ => format!("TOML syntax: {message}"),
    }
}

/// The key on the line of an offset, behind the head of the table that it stands in. Never a value.
fn key_at(text: &str, offset: usize) -> String {
    let offset = (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next().unwrap_or("").trim_start_matches('\u{feff}').trim();
    if let Some(head) = head(line) {
        return numbered(&head, &text[..start], false);
    }
    let key = line.split_once('=').map(|(key, _)| key.trim()).filter(|key| is_dotted(key)).unwrap_or("");
    let table = text[..start].lines().rev().find_map(|line| head(line.trim())).unwrap_or_default();
    let table = numbered(&table, &text[..start], true);
    match (table.as_str(), key) {
        ("", key) => key.to_string(),
        (table, "") => table.to_string(),
        (table, key) => format!("{table}.{key}"),
    }
}

/// `server.tls` of a line `[server.tls]`.
fn head(line: &str) -> Option<String> {
    let inner = line.strip_prefix('[')?.trim_start_matches('[');
    let inner = inner.split(']').next()?.trim();
    is_dotted(inner).then(|| inner.to_string())
}

/// `upstream.headers` as `upstream[1].headers`, by the `[[upstream]]` lines before it.
fn numbered(head: &str, before: &str, opened: bool) -> String {
    let name = head.split('.').next().unwrap_or(head);
    let count = before.lines().filter(|line| line.trim().starts_with(&format!("[[{name}]]"))).count();
    match count.checked_sub(usize::from(opened || head != name)) {
        Some(index) if count > 0 => format!("{name}[{index}]{}", &head[name.len()..]),
        _ => head.to_string(),
    }
}

fn is_dotted(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
