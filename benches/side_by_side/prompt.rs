//! A long conversation, as an agent that writes code has one with its model: tools with schemas, files read, text with many escapes.

/// Bytes of its tools and turns, at least, and not many more.
const LONG_BYTES: usize = 64 * 1024;
const TOOLS: usize = 20;

/// What the tool has read, as a string in JSON.
const FILE: &str = concat!(
    r#"1\t//! What a key may spend: a limit and what is taken of it.\n2\t\n3\tpub struct Balance {\n4\t    limi"#,
    r#"t: Option<i64>,\n5\t    spent: AtomicI64,\n6\t}\n7\t\n8\timpl Balance {\n9\t    pub fn take(&self, amoun"#,
    r#"t: i64) -> Result<(), \"none left\"> {\n10\t        // One step: who comes second sees what the first on"#,
    r#"e took \u2014 \"never check, then deduct\".\n11\t    }\n12\t}\n"#
);

/// What the tool's arguments may be.
const SCHEMA: &str = concat!(
    r#"{"type":"object","properties":{"path":{"type":"string","description":"Where the file is, from the workspace's "#,
    r#"root"},"from_line":{"type":"integer","minimum":1},"to_line":{"type":"integer","minimum":1},"encoding":{"type":"#,
    r#""string","enum":["utf-8","latin-1","utf-16"]}},"required":["path"],"additionalProperties":false}"#
);

/// How a dialect writes it; `NUMBER` stands for a tool's or a turn's, `SCHEMA` and `FILE` for those.
pub(crate) struct Wording {
    tool: &'static str,
    /// A call of a tool, and what came of it.
    turn: &'static str,
}

pub(crate) const OPENAI: Wording = Wording {
    tool: concat!(
        r#"{"type":"function","function":{"name":"read_file_NUMBER","description":"Reads a file of the workspace and "#,
        r#"returns its lines, each with its number; a range may be given where it is long.","parameters":SCHEMA}}"#
    ),
    turn: concat!(
        r#",{"role":"assistant","content":null,"tool_calls":[{"id":"call_NUMBER","type":"function","function":"#,
        r#"{"name":"read_file_1","arguments":"{\"path\": \"src/ledger/balance_NUMBER.rs\", \"from_line\": 1}"}}]},"#,
        r#"{"role":"tool","tool_call_id":"call_NUMBER","content":"FILE"}"#
    ),
};

pub(crate) const ANTHROPIC: Wording = Wording {
    tool: concat!(
        r#"{"name":"read_file_NUMBER","description":"Reads a file of the workspace and returns its lines, each with "#,
        r#"its number; a range may be given where it is long.","input_schema":SCHEMA}"#
    ),
    turn: concat!(
        r#",{"role":"assistant","content":[{"type":"tool_use","id":"call_NUMBER","name":"read_file_1","#,
        r#""input":{"path":"src/ledger/balance_NUMBER.rs","from_line":1}}]},"#,
        r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_NUMBER","content":"FILE"}]}"#
    ),
};

/// The members `tools` and `messages` of a request, as JSON; `first` is what the conversation begins with.
pub(crate) fn long(wording: &Wording, first: &str) -> String {
    let write = |what: &str, number: usize| {
        what.replace("NUMBER", &number.to_string()).replace("SCHEMA", SCHEMA).replace("FILE", FILE)
    };
    let tools = (1..=TOOLS).map(|number| write(wording.tool, number)).collect::<Vec<_>>().join(",");
    let mut turns = String::new();
    let mut number = 0;
    while tools.len() + turns.len() < LONG_BYTES {
        number += 1;
        turns.push_str(&write(wording.turn, number));
    }
    format!("\"tools\":[{tools}],\"messages\":[{first}{turns}]")
}
