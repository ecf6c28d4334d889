//! Which tools the simulated model calls, and what it must get back unchanged of what it thought.

use super::media::base64;
use super::text;
use serde_json::Value;

/// Calls in one turn at most.
const CALLS_MAX: usize = 8;

/// What a request says about its tools.
#[derive(Debug, Default)]
pub(super) struct Offer<'a> {
    /// Names and schemas of those that may be called.
    pub(super) tools: Vec<(&'a str, &'a Value)>,
    /// One must be called.
    pub(super) must: bool,
    /// Not more than one at a time.
    pub(super) single: bool,
    /// A tool has just answered.
    pub(super) answered: bool,
    /// The names of those that were called before.
    pub(super) called: Vec<&'a str>,
}

impl<'a> Offer<'a> {
    /// What is called: those that the prompt names in backticks, in its order; else the first. When a tool has answered,
    /// none; where one must be called even then, the first that was not called yet, so that no conversation goes in circles.
    pub(super) fn wanted(&self, prompt: &str) -> Vec<(&'a str, &'a Value)> {
        let first = self.tools.first().copied();
        if self.answered {
            let new = self.tools.iter().copied().find(|(name, _)| !self.called.contains(name));
            return new.or(first).filter(|_| self.must).into_iter().collect();
        }
        let place = |tool: &(&'a str, &'a Value)| Some((prompt.find(&format!("`{}`", tool.0))?, *tool));
        let mut named: Vec<_> = self.tools.iter().filter_map(place).collect();
        named.sort_by_key(|(at, _)| *at);
        named.truncate(if self.single { 1 } else { CALLS_MAX });
        let named: Vec<_> = named.into_iter().map(|(_, tool)| tool).collect();
        if named.is_empty() { first.into_iter().collect() } else { named }
    }
}

/// Providers sign what was thought or called, and take it back with its signature alone.
pub(super) fn signature(words: &str) -> String {
    base64(&text::hash(words).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_prompt_says_what_is_called_and_an_answer_ends_it() {
        let schema = json!({});
        let tools = vec![("a", &schema), ("b", &schema), ("c", &schema)];
        let mut offer = Offer { tools, ..Offer::default() };
        let names =
            |offer: &Offer<'_>, prompt: &str| offer.wanted(prompt).iter().map(|tool| tool.0).collect::<String>();
        assert_eq!(names(&offer, "b, c"), "a");
        assert_eq!(names(&offer, "ask `c` and `b`"), "cb");
        offer.single = true;
        assert_eq!(names(&offer, "ask `c` and `b`"), "c");
        offer.answered = true;
        assert_eq!(names(&offer, "ask `c`"), "");
        offer.must = true;
        offer.called = vec!["a"];
        assert_eq!(names(&offer, "ask `c`"), "b");
        offer.called = vec!["a", "b", "c"];
        assert_eq!(names(&offer, "ask `c`"), "a");
    }
}
