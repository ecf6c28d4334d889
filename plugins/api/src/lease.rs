//! Leases: what a request takes of a limit while it runs, and gives back or makes good when its real size is known.

use http::{HeaderName, HeaderValue};
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

/// Amounts, and the time from which they count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dated {
    /// What it is.
    pub amounts: Amounts,
    /// By [`Clock::steady_ms`](crate::Clock::steady_ms).
    pub at_ms: i64,
}

/// Something that has limits: a key, a user, an upstream.
pub trait Lessor: Send + Sync {
    /// The client of a leased request has left, and what is still read is read for the gateway: the request takes no place any more
    /// among those that run at once. Its lease goes on.
    fn leave(&self);

    /// A lease has ended: it stood for `taken` from when it was given, and `used` is what came of it, as of when that was known.
    /// `has_left`: [`leave`](Self::leave) was said of it.
    fn end(&self, taken: &Dated, used: &Dated, has_left: bool);
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
    /// Nothing is told.
    pub fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }

    /// What these leases tell, the last one if several tell the same.
    pub fn of<'l>(leases: impl IntoIterator<Item = &'l Lease>) -> Self {
        leases.into_iter().map(|lease| lease.allowances).fold(Self::default(), Self::or_rather)
    }

    fn or_rather(self, other: Self) -> Self {
        Self { requests: other.requests.or(self.requests), tokens: other.tokens.or(self.tokens) }
    }

    /// Whether a field of this name tells of limits: an upstream's, of its own, would be mistaken for ours.
    pub fn is_told_by(name: &HeaderName) -> bool {
        name.as_str().starts_with(PREFIX) && NAMES.iter().flatten().any(|(known, _)| known == name)
    }

    /// The fields of a head that tell them, named and written as OpenAI does (platform.openai.com/docs/guides/rate-limits).
    pub fn fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let values = |told: Allowance| {
            // Digits and letters always fit.
            let reset = HeaderValue::try_from(duration(told.reset_ms)).unwrap_or(HeaderValue::from_static(""));
            [HeaderValue::from(told.limit), HeaderValue::from(told.remaining), reset]
        };
        self.told().flat_map(|(names, told)| names.iter().map(|(name, _)| name.clone()).zip(values(told))).collect()
    }

    /// The same as lines of HTTP/1.1: to fill a map of fields, and to write that, takes several times as long.
    pub fn lines(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(LINES_BYTES);
        for ([limit, remaining, reset], told) in self.told() {
            let mut number = itoa::Buffer::new();
            let mut line = |begin: &str, value: &str| {
                [begin, value, "\r\n"].into_iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
            };
            line(limit.1, number.format(told.limit));
            line(remaining.1, number.format(told.remaining));
            text.extend_from_slice(reset.1.as_bytes());
            write_duration(told.reset_ms, |part| text.extend_from_slice(part.as_bytes()));
            text.extend_from_slice(b"\r\n");
        }
        text
    }

    fn told(&self) -> impl Iterator<Item = (&'static [Name; 3], Allowance)> {
        NAMES.iter().zip([self.requests, self.tokens]).filter_map(|(names, allowance)| Some((names, allowance?)))
    }
}

/// A field's name, and how its line begins.
type Name = (HeaderName, &'static str);

/// How all of the names begin.
pub(crate) const PREFIX: &str = "x-ratelimit-";

macro_rules! name {
    ($name:literal) => {
        (HeaderName::from_static($name), concat!($name, ": "))
    };
}

static NAMES: [[Name; 3]; 2] = [
    [name!("x-ratelimit-limit-requests"), name!("x-ratelimit-remaining-requests"), name!("x-ratelimit-reset-requests")],
    [name!("x-ratelimit-limit-tokens"), name!("x-ratelimit-remaining-tokens"), name!("x-ratelimit-reset-tokens")],
];

/// Room for all lines, as long as they usually are.
const LINES_BYTES: usize = 288;

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
    taken: Dated,
    used: Dated,
    has_left: bool,
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
        let used = Dated { amounts: Amounts::default(), at_ms };
        Self { lessors, taken: Dated { amounts: taken, at_ms }, used, has_left: false, allowances }
    }

    /// What the request came to in the end, which is now, at `at_ms`.
    pub fn used(&mut self, amounts: Amounts, at_ms: i64) {
        self.used = Dated { amounts, at_ms };
    }

    /// The client has left: see [`Lessor::leave`].
    pub fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.lessors.iter().flatten().for_each(|lessor| lessor.leave());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        for lessor in self.lessors.iter().flatten() {
            lessor.end(&self.taken, &self.used, self.has_left);
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
    fn fields_are_named_and_written_as_openai_does() {
        let requests = Some(Allowance { limit: 5, remaining: 4, reset_ms: 1000 });
        let fields = Allowances { requests, tokens: None }.fields();
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        let expected =
            ["x-ratelimit-limit-requests: 5", "x-ratelimit-remaining-requests: 4", "x-ratelimit-reset-requests: 1s"];
        assert_eq!(fields, expected);
    }

    #[test]
    fn lines_say_what_fields_say() {
        let one = Some(Allowance { limit: 5, remaining: 4, reset_ms: 61_500 });
        let other = Some(Allowance { limit: u64::MAX, remaining: 0, reset_ms: 0 });
        for (requests, tokens) in [(None, None), (one, None), (None, other), (one, other)] {
            let allowances = Allowances { requests, tokens };
            let fields = allowances.fields();
            let told: String =
                fields.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
            assert_eq!(String::from_utf8(allowances.lines()).unwrap(), told);
            assert_eq!(allowances.is_empty(), told.is_empty());
            assert!(fields.iter().all(|(name, _)| Allowances::is_told_by(name)));
        }
        assert!(!Allowances::is_told_by(&HeaderName::from_static("x-ratelimit-limit-input-tokens")));
    }

    #[test]
    fn every_field_that_tells_a_limit_is_in_the_list_of_answers_fields() {
        let listed: Vec<String> = crate::answer_fields::answer_fields().collect();
        for (name, _) in NAMES.iter().flatten() {
            assert!(listed.contains(&name.to_string()), "{name}");
        }
    }

    #[test]
    fn of_two_that_tell_the_same_the_second_is_told() {
        let of = |limit| Some(Allowance { limit, remaining: 0, reset_ms: 0 });
        let one = Allowances { requests: of(1), tokens: of(2) };
        let other = Allowances { requests: of(3), tokens: None };
        assert_eq!(one.or_rather(other), Allowances { requests: of(3), tokens: of(2) });
    }
}
