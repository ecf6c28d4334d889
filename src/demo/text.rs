//! What the simulated provider says, and how it counts tokens: everything follows from the request alone, so the same
//! prompt gets the same answer and the same counts.

use serde_json::{Map, Value, json};

/// Letters and digits of one word that make one token at most.
const WORD_PIECE_CHARS_MAX: usize = 6;
/// Words of the prompt that an answer quotes at most.
const QUOTED_WORDS_MAX: usize = 8;
/// And characters.
const QUOTED_CHARS_MAX: usize = 80;
/// Longest example for a JSON schema, as JSON; for a schema that needs more it is `{}`.
const EXAMPLE_BYTES_MAX: usize = 16 << 10;
/// How deep an example for a JSON schema goes; deeper parts become `null`.
const EXAMPLE_DEPTH_MAX: usize = 12;
/// Longest word that can pass for a name.
const NAME_BYTES_MAX: usize = 40;

/// What answers are made of. Some have characters of two, three and four bytes, as real answers do.
const SENTENCES: &[&str] = &[
    "No model was asked: the text comes from the simulated provider inside Tollgate.",
    "A token is roughly four characters of English prose, fewer in code, and far fewer in 日本語 or 한국어.",
    "Prices are added up in nano-dollars — one is $0.000000001 — and rounded once, at the end.",
    "The stream you are reading was counted as it passed, without being kept.",
    "If an upstream fails before its first token, the next one takes over and you never notice.",
    "Café, naïve, Übermut and smörgåsbord are here to remind every parser of UTF-8.",
    "Point your SDK's base URL at the gateway; nothing else in your code has to change.",
    "Every answer leaves exactly one record in the ledger, even if the gateway dies half-way.",
    "The toll is taken once, however often a request had to be tried. 🪙",
    "Bridges and gates have billed travellers for some 4,000 years; this one bills tokens.",
    "A quota is held before the first byte is sent and settled before the last.",
    "Text that only looks like {\"usage\": {\"total_tokens\": 0}} never changes a bill.",
];

/// FNV-1a, 64 bits: stable between builds, and good enough to pick sentences with.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// One step of SplitMix64.
pub(super) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Cuts a text into tokens; put together again they are the text. A token is a space and up to six letters or digits, or
/// any one other character.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        let space = *bytes.first()? == b' ' && bytes.get(1).is_some_and(|next| !next.is_ascii_whitespace());
        let from = usize::from(space);
        let word = bytes[from..].iter().take(WORD_PIECE_CHARS_MAX).take_while(|b| b.is_ascii_alphanumeric()).count();
        let length = if word > 0 { word } else { rest[from..].chars().next().map_or(1, char::len_utf8) };
        let (token, left) = rest.split_at(from + length);
        rest = left;
        Some(token)
    })
}

/// How many tokens a text has.
pub(super) fn count(text: &str) -> u64 {
    tokens(text).count() as u64
}

/// Why a generated text ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was finished.
    Stop,
    /// The limit of output tokens was reached.
    Length,
    /// One of the request's stop sequences was reached (it is not part of the text).
    Sequence(String),
}

/// A text as it will be sent, token by token.
#[derive(Clone, Debug)]
pub(super) struct Generated {
    /// The tokens.
    pub(super) tokens: Vec<String>,
    /// Why there are no more.
    pub(super) ended: Ended,
}

impl Generated {
    /// The whole text.
    pub(super) fn text(&self) -> String {
        self.tokens.concat()
    }

    /// Number of tokens.
    pub(super) fn count(&self) -> u64 {
        self.tokens.len() as u64
    }
}

/// Cuts a text to the limits of the request.
pub(super) fn limited(text: &str, tokens_max: Option<u64>, stops: &[String]) -> Generated {
    let stop = stops.iter().filter(|s| !s.is_empty()).filter_map(|s| text.find(s.as_str()).map(|at| (at, s))).min();
    let (text, mut ended) = match stop {
        Some((at, sequence)) => (&text[..at], Ended::Sequence(sequence.clone())),
        None => (text, Ended::Stop),
    };
    let limit = tokens_max.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut tokens: Vec<String> = tokens(text).take(limit.saturating_add(1)).map(str::to_owned).collect();
    if tokens.len() > limit {
        tokens.truncate(limit);
        ended = Ended::Length;
    }
    Generated { tokens, ended }
}

/// The answer to a prompt; `variant` tells the choices of one request apart.
pub(super) fn answer(prompt: &str, variant: u64) -> String {
    let start = prompt.char_indices().nth(QUOTED_CHARS_MAX).map_or(prompt, |(at, _)| &prompt[..at]);
    let quoted = start.split_whitespace().take(QUOTED_WORDS_MAX).collect::<Vec<_>>().join(" ");
    let is_all = start.len() == prompt.len() && start.split_whitespace().nth(QUOTED_WORDS_MAX).is_none();
    let more = if is_all { "" } else { "…" };
    let mut out = format!("This is a simulated answer to “{quoted}{more}”.");
    let mut state = hash(prompt).wrapping_add(variant);
    let mut at = mix(state) as usize % SENTENCES.len();
    state = mix(state);
    for _ in 0..2 + state % 3 {
        out.push(' ');
        out.push_str(SENTENCES[at]);
        // 5 and the number of sentences have no common divisor, so none comes twice.
        at = (at + 5) % SENTENCES.len();
    }
    out
}

/// What the simulated model thinks before it answers.
pub(super) fn reasoning(prompt: &str) -> String {
    format!("The prompt has {} tokens. A friendly and short reply will do; no tool can say it better.", count(prompt))
}

/// A value that fits a JSON schema, for tool arguments and structured answers.
pub(super) fn example(schema: &Value, prompt: &str) -> Value {
    let value = example_at(schema, "", &capital_word(prompt), EXAMPLE_DEPTH_MAX);
    if value.to_string().len() > EXAMPLE_BYTES_MAX { json!({}) } else { value }
}

fn example_at(schema: &Value, name: &str, word: &Option<String>, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|list| list.first());
    if let Some(fixed) = schema.get("const").or_else(|| first("enum")) {
        return fixed.clone();
    }
    if let Some(part) = first("anyOf").or_else(|| first("oneOf")).or_else(|| first("allOf")) {
        return example_at(part, name, word, depth - 1);
    }
    // Gemini writes types in capitals; JSON schema may list several.
    let kind =
        schema.get("type").and_then(|t| t.as_str().or_else(|| t.get(0).and_then(Value::as_str))).unwrap_or("object");
    match kind.to_ascii_lowercase().as_str() {
        "string" => Value::String(word.clone().unwrap_or_else(|| format!("example {name}"))),
        "integer" => schema.get("minimum").cloned().unwrap_or_else(|| json!(2)),
        "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1.5)),
        "boolean" => Value::Bool(true),
        "null" => Value::Null,
        "array" => match schema.get("items") {
            Some(items) => Value::Array(vec![example_at(items, name, word, depth - 1)]),
            None => Value::Array(Vec::new()),
        },
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let member = |(key, part): (&String, &Value)| (key.clone(), example_at(part, key, word, depth - 1));
            Value::Object(properties.map_or_else(Map::new, |all| all.iter().map(member).collect()))
        }
    }
}

/// A word of the prompt that can pass for a name: the last one with a capital, but for the first of all.
fn capital_word(prompt: &str) -> Option<String> {
    let bare = |word: &'_ str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let is_name = |word: &&str| word.len() <= NAME_BYTES_MAX && word.chars().any(char::is_uppercase);
    let names = prompt.split_whitespace().skip(1).filter(is_name).map(bare);
    names.filter(|word| word.chars().next().is_some_and(char::is_uppercase)).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_put_together_are_the_text() {
        for text in [
            "",
            " ",
            "  a",
            "Hello, world!\n\n  x",
            "naïve 日本語 🪙🪙 a1b2c3d4",
            "a \u{a0} b",
            SENTENCES.concat().as_str(),
        ] {
            assert_eq!(tokens(text).collect::<String>(), text);
        }
        assert_eq!(tokens("Hello, wonderful world").collect::<Vec<_>>(), ["Hello", ",", " wonder", "ful", " world"]);
    }

    #[test]
    fn limits_cut_by_tokens_and_by_the_first_stop_sequence() {
        let whole = limited("one two three", None, &[]);
        assert_eq!((whole.text().as_str(), whole.count(), whole.ended), ("one two three", 3, Ended::Stop));
        let short = limited("one two three", Some(2), &[]);
        assert_eq!((short.text().as_str(), short.ended), ("one two", Ended::Length));
        let stops = ["three".to_owned(), " two".to_owned()];
        let stopped = limited("one two three", Some(9), &stops);
        assert_eq!((stopped.text().as_str(), stopped.ended), ("one", Ended::Sequence(" two".to_owned())));
        assert_eq!(limited("one two", Some(2), &[]).ended, Ended::Stop);
    }

    #[test]
    fn an_answer_follows_from_the_prompt_and_the_variant() {
        assert_eq!(answer("Hello", 0), answer("Hello", 0));
        assert_ne!(answer("Hello", 0), answer("Hello", 1));
        assert!(answer("a b c d e f g h i j", 0).contains("“a b c d e f g h…”"));
    }

    #[test]
    fn an_example_fits_its_schema() {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]},
            "days": {"type": "ARRAY", "items": {"type": ["integer", "null"]}}}});
        let value = example(&schema, "What is the weather in Paris?");
        assert_eq!(value, json!({"city": "Paris", "unit": "C", "days": [2]}));
    }
}
