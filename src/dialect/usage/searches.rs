//! Web searches that a provider ran for an answer and bills by their number, and runs of its other tools.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use memchr::memmem::Finder;
use std::sync::LazyLock;

use super::count::Count;

/// More of them are not believed of one answer.
const SEARCHES_MAX: usize = 1000;

/// Tools that are told apart, beside the search of the web.
pub(super) const TOOLS: usize = 4;

/// Google bills grounding by the prompt, up to Gemini 2.5, and by the query from Gemini 3 on: "we ignore the empty web search
/// queries when counting unique queries" (ai.google.dev/gemini-api/docs/google-search, "Pricing").
static BY_THE_PROMPT: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| ["gemini-1", "gemini-2"].map(Finder::new));

/// In the names of OpenAI's models that search and do not reason: `gpt-4o`, `gpt-4.1` and theirs.
static WITHOUT_REASONING: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("gpt-4"));

/// What one event, or the document, says of searches.
#[derive(Clone, Debug, Default)]
pub(super) struct Searches {
    /// As the provider counts them.
    pub(super) told: Count,
    /// `web_search_call` items of OpenAI's Responses.
    calls: u32,
    /// What such a call did besides searching: to open a page costs nothing more.
    other_actions: u32,
    /// Digests of Google's queries, each once, whichever of several answers it was for.
    queries: BTreeSet<u64>,
    by_the_prompt: bool,
    file_searches: u32,
    code_runs: u32,
    /// Digests of the containers in which code ran.
    containers: BTreeSet<u64>,
    /// Google's Maps are among the sources.
    has_maps: bool,
    /// OpenAI's earlier tool was there to search with, and the later one.
    offers: [bool; 2],
    /// The model does not reason.
    is_plain: bool,
}

impl Searches {
    /// An item of the answer is of this type.
    pub(super) fn item(&mut self, word: &[u8]) {
        self.calls = self.calls.saturating_add(u32::from(word == b"web_search_call"));
        self.file_searches = self.file_searches.saturating_add(u32::from(word == b"file_search_call"));
        self.code_runs = self.code_runs.saturating_add(u32::from(word == b"code_interpreter_call"));
    }

    /// Code ran in this container. OpenAI bills those, not what runs there (platform.openai.com/docs/pricing, "Built-in tools").
    pub(super) fn container(&mut self, name: &[u8]) {
        if self.containers.len() < SEARCHES_MAX && name.starts_with(b"\"") {
            self.containers.insert(digest(&String::from_utf8_lossy(name)));
        }
    }

    /// A place of Google's Maps is among the sources: billed once an answer (ai.google.dev/gemini-api/docs/maps-grounding, "Pricing").
    pub(super) fn maps(&mut self) {
        self.has_maps = true;
    }

    /// A tool of this type was there for the model to use.
    pub(super) fn offered(&mut self, word: &[u8]) {
        self.offers[0] |= word.starts_with(b"web_search_preview");
        self.offers[1] |= word.starts_with(b"web_search") && !word.starts_with(b"web_search_preview");
    }

    /// Searches by OpenAI's `web_search_preview` of models that do not reason, which have a price of their own
    /// (developers.openai.com/api/docs/pricing, "Built-in tools").
    fn previews(&self) -> u64 {
        if self.is_plain && self.offers == [true, false] { self.billed().get().unwrap_or(0) } else { 0 }
    }

    /// How often other tools ran, by the names that fees have.
    pub(super) fn tools(&self) -> [(&'static str, u64); TOOLS] {
        let code = if self.containers.is_empty() { self.code_runs as usize } else { self.containers.len() };
        [
            ("file_search", self.file_searches.into()),
            ("code_interpreter", code as u64),
            ("google_maps", self.has_maps.into()),
            ("web_search_preview", self.previews()),
        ]
    }

    /// An item's action is of this type.
    pub(super) fn action(&mut self, word: &[u8]) {
        let is_other = matches!(word, b"open_page" | b"find" | b"find_in_page");
        self.other_actions = self.other_actions.saturating_add(u32::from(is_other));
    }

    /// A list of queries.
    pub(super) fn queries(&mut self, json: &[u8]) {
        let queries: Vec<Cow<'_, str>> = serde_json::from_slice(json).unwrap_or_default();
        for query in queries.iter().filter(|query| !query.trim().is_empty()) {
            if self.queries.len() < SEARCHES_MAX {
                self.queries.insert(digest(query));
            }
        }
    }

    /// The model that answered.
    pub(super) fn model(&mut self, name: &[u8]) {
        self.by_the_prompt = BY_THE_PROMPT.iter().any(|begin| begin.find(name).is_some());
        self.is_plain = WITHOUT_REASONING.find(name).is_some();
    }

    /// How many are billed.
    pub(super) fn billed(&self) -> Count {
        let queries = self.queries.len() as u32;
        let queries = if self.by_the_prompt { queries.min(1) } else { queries };
        let counted = self.calls.saturating_sub(self.other_actions).saturating_add(queries);
        self.told.or(if counted > 0 { Count::Good(counted) } else { Count::Absent })
    }
}

fn digest(query: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    query.hash(&mut hasher);
    hasher.finish()
}
