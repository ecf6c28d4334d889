//! Leases: what a request takes of a limit while it runs, and gives back or makes good when its real size is known.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// What a request is, in the units of limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Requests: 1 for one that was sent towards an upstream.
    pub requests: u64,
    /// Prompt-side tokens.
    pub input_tokens: u64,
    /// Generated tokens.
    pub output_tokens: u64,
    /// Cost in nano-USD.
    pub cost_nanos: u64,
}

/// Something that has limits: a key, a user, an upstream.
pub trait Lessor: Send + Sync {
    /// A lease has ended that was given at `at_ms`: it stood for `taken`, and `used` is what came of it.
    fn end(&self, at_ms: i64, taken: &Amounts, used: &Amounts);
}

/// One limit as the caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What is allowed in a window.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// Milliseconds until all of it is there again.
    pub reset_ms: u64,
}

/// The allowances that an answer tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances {
    /// In requests.
    pub requests: Option<Allowance>,
    /// In tokens.
    pub tokens: Option<Allowance>,
}

impl Allowances {
    /// Puts them into a head, named and written as OpenAI does (platform.openai.com/docs/guides/rate-limits).
    pub fn write(&self, headers: &mut HeaderMap) {
        if self.requests.is_none() && self.tokens.is_none() {
            return;
        }
        // All values stand in one piece of memory, one behind the other.
        let mut text = Vec::with_capacity(ALLOWANCES_BYTES);
        let ends = [self.requests, self.tokens].map(|allowance| allowance.map(|allowance| allowance.put(&mut text)));
        let (text, mut from) = (Bytes::from(text), 0);
        for (names, ends) in NAMES.iter().zip(ends) {
            let Some(ends) = ends else {
                // What an upstream says of its own limits would be mistaken for ours.
                names.iter().for_each(|name| drop(headers.remove(name)));
                continue;
            };
            for (name, end) in names.iter().zip(ends) {
                // Digits and letters always fit.
                if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(from..end)) {
                    headers.insert(name, value);
                }
                from = end;
            }
        }
    }
}

impl Allowance {
    /// Writes limit, what remains of it, and its reset. Where each of them ends.
    fn put(&self, text: &mut Vec<u8>) -> [usize; 3] {
        let mut number = itoa::Buffer::new();
        text.extend_from_slice(number.format(self.limit).as_bytes());
        let limit = text.len();
        text.extend_from_slice(number.format(self.remaining).as_bytes());
        let remaining = text.len();
        write_duration(self.reset_ms, |part| text.extend_from_slice(part.as_bytes()));
        [limit, remaining, text.len()]
    }
}

static NAMES: [[HeaderName; 3]; 2] = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
];

/// Room for the values of all fields, as long as they usually are.
const ALLOWANCES_BYTES: usize = 96;

/// The longest: the hours of 2^64 milliseconds have 13 digits.
const DURATION_BYTES_MAX: usize = 32;

/// As OpenAI writes one: `20ms`, `1s`, `6m0s`, `1h30m0s`.
pub fn duration(ms: u64) -> String {
    let mut text = String::with_capacity(DURATION_BYTES_MAX);
    write_duration(ms, |part| text.push_str(part));
    text
}

fn write_duration(ms: u64, mut put: impl FnMut(&str)) {
    let (seconds, rest_ms) = (ms / 1000, ms % 1000);
    let mut number = itoa::Buffer::new();
    if seconds == 0 {
        put(number.format(rest_ms));
        return put("ms");
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let parts = [(hours, "h", hours > 0), (minutes, "m", hours > 0 || minutes > 0), (seconds, "", true)];
    for (amount, unit, _) in parts.into_iter().filter(|(_, _, is_told)| *is_told) {
        put(number.format(amount));
        put(unit);
    }
    if rest_ms > 0 {
        put(".");
        // Three digits.
        put(&number.format(1000 + rest_ms)[1..]);
    }
    put("s");
}

/// The most that one lease is of: a key and its user, or an upstream.
pub const LESSORS_MAX: usize = 2;

/// What one request takes. It ends when it is dropped: with [`Lease::used`] said before, that much stays taken; else nothing.
#[must_use = "dropping a lease ends it"]
pub struct Lease {
    lessors: [Option<Arc<dyn Lessor>>; LESSORS_MAX],
    at_ms: i64,
    taken: Amounts,
    used: Amounts,
    /// What the answer tells the caller.
    pub allowances: Allowances,
}

impl Lease {
    /// A lease that was given at `at_ms` (by [`Clock::steady_ms`](crate::Clock::steady_ms)) by all of `lessors`.
    pub fn new(
        lessors: [Option<Arc<dyn Lessor>>; LESSORS_MAX],
        at_ms: i64,
        taken: Amounts,
        allowances: Allowances,
    ) -> Self {
        Self { lessors, at_ms, taken, used: Amounts::default(), allowances }
    }

    /// What the request came to in the end.
    pub fn used(&mut self, used: Amounts) {
        self.used = used;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        for lessor in self.lessors.iter().flatten() {
            lessor.end(self.at_ms, &self.taken, &self.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        let written = [0, 20, 999, 1000, 1500, 60_000, 360_000, 5_400_000, 3_600_001].map(duration);
        assert_eq!(written, ["0ms", "20ms", "999ms", "1s", "1.500s", "1m0s", "6m0s", "1h30m0s", "1h0m0.001s"]);
    }

    #[test]
    fn ours_take_the_place_of_the_upstreams() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-limit-tokens", HeaderValue::from(9));
        Allowances::default().write(&mut headers);
        assert_eq!(headers.len(), 1, "nothing to say");
        let requests = Some(Allowance { limit: 5, remaining: 4, reset_ms: 1000 });
        Allowances { requests, tokens: None }.write(&mut headers);
        assert_eq!(headers["x-ratelimit-limit-requests"], "5");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "4");
        assert_eq!(headers["x-ratelimit-reset-requests"], "1s");
        assert!(!headers.contains_key("x-ratelimit-limit-tokens"));
    }
}
