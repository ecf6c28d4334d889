//! Tools that a vendor ran for an answer of chat completions, where only the answer itself tells of them.

use super::facts::unquoted;
use super::places::Slot;

/// More runs than this are not believed of one answer.
const RUNS_MAX: usize = 1000;
/// Kimi's own search, as a call of it is named: each is billed (platform.kimi.ai/docs/pricing/tools).
const KIMI_SEARCH: &[u8] = b"$web_search";

/// What one event, or the document, says of them; and what all have said.
#[derive(Clone, Debug, Default)]
pub(super) struct Executed {
    /// Elements of Groq's `executed_tools` (console.groq.com/docs/tool-use/built-in-tools). A stream has each twice, when it begins and
    /// with what came of it, under the same number.
    runs: Vec<Run>,
    /// Calls of Kimi's search.
    kimi_searches: u32,
    /// What was found stands beside the answer: Z.ai's search, which it bills once (docs.z.ai/guides/tools/web-search).
    has_found: bool,
    /// The name of a call, as far as it may be that of Kimi's search.
    name: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    index: Option<u32>,
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Search,
    /// A page was opened.
    Visit,
    Code,
}

/// What such a run is, by its type or by the name of its function (`browser.search`).
const KINDS: [(&[u8], Kind); 7] = [
    (b"search", Kind::Search),
    (b"web_search", Kind::Search),
    (b"browser_search", Kind::Search),
    (b"browser.search", Kind::Search),
    (b"browser.open", Kind::Visit),
    (b"visit", Kind::Visit),
    (b"python", Kind::Code),
];

impl Executed {
    /// An element of the list begins.
    pub(super) fn run(&mut self) {
        if self.runs.len() < RUNS_MAX {
            self.runs.push(Run::default());
        }
    }

    /// A member of the element.
    pub(super) fn member(&mut self, slot: Slot, json: &[u8]) {
        let Some(run) = self.runs.last_mut() else { return };
        match slot {
            Slot::RunIndex => run.index = serde_json::from_slice(json).ok(),
            _ => {
                let word = unquoted(json);
                // A function's name says more than that it is one.
                let kind = KINDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
                run.kind = kind.or(run.kind);
            }
        }
    }

    /// A piece of the name of a call.
    pub(super) fn name(&mut self, piece: &[u8]) {
        let room = (KIMI_SEARCH.len() + 1).saturating_sub(self.name.len());
        self.name.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// The name has ended.
    pub(super) fn name_end(&mut self) {
        self.kimi_searches = self.kimi_searches.saturating_add(u32::from(self.name == KIMI_SEARCH));
        self.name.clear();
    }

    /// Something was found, and stands beside the answer.
    pub(super) fn found(&mut self) {
        self.has_found = true;
    }

    /// Adds what a further event says.
    pub(super) fn add(&mut self, next: Self) {
        for run in next.runs {
            match self.runs.iter().position(|known| run.index.is_some() && known.index == run.index) {
                Some(known) => self.runs[known].kind = run.kind.or(self.runs[known].kind),
                None if self.runs.len() < RUNS_MAX => self.runs.push(run),
                None => {}
            }
        }
        self.kimi_searches = self.kimi_searches.saturating_add(next.kimi_searches);
        self.has_found |= next.has_found;
    }

    /// How many searches of the web are billed.
    pub(super) fn searches(&self) -> u64 {
        self.times(Kind::Search) + u64::from(self.kimi_searches) + u64::from(self.has_found)
    }

    /// How often other tools ran, by the names that fees have.
    pub(super) fn tools(&self) -> [(&'static str, u64); 2] {
        [("visit_website", self.times(Kind::Visit)), ("code_interpreter", self.times(Kind::Code))]
    }

    fn times(&self, kind: Kind) -> u64 {
        self.runs.iter().filter(|run| run.kind == Some(kind)).count() as u64
    }
}
