//! What bounds the tokens of a request to a model, beside what the request says itself.

/// The limits of one row. A row that does not name one has that of the row before it, or of the one behind it if none before it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most tokens one answer can have (`max_output_tokens`).
    pub output_tokens_max: Option<u64>,
    /// The context window in tokens.
    pub context_tokens: Option<u64>,
    /// It reads more than what the request holds, unasked (it searches the web): its context window bounds the prompt. Of one row it is
    /// of all.
    pub reads_elsewhere: bool,
}

impl Limits {
    /// Fills in what rows do not name. They are in the order in which they begin.
    pub(super) fn fill_in(rows: &mut [Self]) {
        let reads_elsewhere = rows.iter().any(|row| row.reads_elsewhere);
        let mut before = Self::default();
        for row in rows {
            row.output_tokens_max = row.output_tokens_max.or(before.output_tokens_max);
            row.context_tokens = row.context_tokens.or(before.context_tokens);
            row.reads_elsewhere = reads_elsewhere;
            before = *row;
        }
    }
}
