//! Names that must differ within one request.

use std::collections::HashMap;

/// The longest that a number behind a name gets: a hyphen and seven digits.
const NUMBER_BYTES: usize = 8;

/// Gives names out: a name that is taken gets a number behind it.
pub(in crate::dialect::chat) struct Unique {
    /// Longer ones are cut to make room for a number.
    bytes_max: usize,
    ignores_case: bool,
    /// For each name that is taken the last number that was tried behind it.
    taken: HashMap<String, u32>,
}

impl Unique {
    pub(in crate::dialect::chat) fn new(bytes_max: usize, ignores_case: bool) -> Self {
        Self { bytes_max, ignores_case, taken: HashMap::new() }
    }

    /// The name, or with the first number behind it that makes it another one.
    pub(in crate::dialect::chat) fn give(&mut self, name: String) -> String {
        if self.take(&name) {
            return name;
        }
        let room = self.bytes_max.saturating_sub(NUMBER_BYTES);
        let stem = &name[..name.floor_char_boundary(room)];
        let key = self.key(stem);
        // Never tried twice, so that a thousand alike are not a million trials.
        let mut number = self.taken.get(&key).copied().unwrap_or(1);
        let numbered = loop {
            number += 1;
            let numbered = format!("{stem}-{number}");
            if self.take(&numbered) {
                break numbered;
            }
        };
        self.taken.insert(key, number);
        numbered
    }

    fn key(&self, name: &str) -> String {
        if self.ignores_case { name.to_lowercase() } else { name.to_owned() }
    }

    /// False: it is taken.
    fn take(&mut self, name: &str) -> bool {
        let key = self.key(name);
        let is_free = !self.taken.contains_key(&key);
        if is_free {
            self.taken.insert(key, 1);
        }
        is_free
    }
}

/// Ids of calls in a form that the target takes, each given to one call of the conversation alone.
pub(in crate::dialect::chat) struct CallIds<'r> {
    fit: fn(&str) -> String,
    unique: Unique,
    /// What the last call got that had this id.
    given: HashMap<&'r str, String>,
}

impl<'r> CallIds<'r> {
    pub(in crate::dialect::chat) fn new(fit: fn(&str) -> String, bytes_max: usize) -> Self {
        Self { fit, unique: Unique::new(bytes_max, false), given: HashMap::new() }
    }

    /// Of a call.
    pub(in crate::dialect::chat) fn of_call(&mut self, id: &'r str) -> String {
        let own = self.unique.give((self.fit)(id));
        self.given.insert(id, own.clone());
        own
    }

    /// Of a result: that of the last call with this id.
    pub(in crate::dialect::chat) fn of_result(&self, id: &str) -> String {
        self.given.get(id).cloned().unwrap_or_else(|| (self.fit)(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice_however_often_it_comes() {
        let mut unique = Unique::new(12, true);
        let mut give = |name: &str| unique.give(name.to_owned());
        assert_eq!(["a", "A-2", "a", "A", "a-2"].map(&mut give), ["a", "A-2", "a-3", "A-4", "a-2-2"]);
        assert_eq!(
            ["abcdefghijkl", "abcdefghijkl", "abcdefghijxx"].map(&mut give),
            ["abcdefghijkl", "abcd-2", "abcdefghijxx"]
        );
        let mut unique = Unique::new(64, false);
        let mut given: Vec<String> = (0..20_000).map(|_| unique.give("call".to_owned())).collect();
        given.sort();
        given.dedup();
        assert_eq!(given.len(), 20_000);
    }

    #[test]
    fn a_result_has_the_id_of_the_last_call_before_it() {
        let mut ids = CallIds::new(|id| id.replace('!', "_"), 64);
        assert_eq!(ids.of_call("a!"), "a_");
        assert_eq!(ids.of_call("a_"), "a_-2");
        assert_eq!((ids.of_result("a!"), ids.of_result("a_")), ("a_".to_owned(), "a_-2".to_owned()));
        assert_eq!(ids.of_call("a!"), "a_-3");
        assert_eq!((ids.of_result("a!"), ids.of_result("b!")), ("a_-3".to_owned(), "b_".to_owned()));
    }
}
