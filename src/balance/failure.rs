//! What can go wrong at an upstream, and what follows from it: one row a class.

/// How an attempt at an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No connection, or it broke before an answer.
    Connect,
    /// No answer, or no first token, in time.
    Timeout,
    /// Our key is refused there: unknown, expired, blocked, not allowed from here.
    KeyDead,
    /// We may not do this there, for a reason that is not known: it may be the key, or what was asked.
    Denied,
    /// Our account there has no money or no quota left.
    QuotaExhausted,
    /// Asked to come back later.
    RateLimited {
        /// After this many milliseconds, where the upstream said so; at most [`RETRY_AFTER_MS_MAX`](super::RETRY_AFTER_MS_MAX).
        retry_after_ms: Option<u64>,
    },
    /// The upstream is overloaded, or closed for a while, and says for how long (503 and 529 with a time).
    Overloaded {
        /// So many milliseconds; at most [`RETRY_AFTER_MS_MAX`](super::RETRY_AFTER_MS_MAX).
        retry_after_ms: u64,
    },
    /// The upstream's own fault: 5xx, or an answer that no provider gives (a web page, a redirect).
    ServerError,
    /// An error inside an answer that began as a success.
    ErrorEvent,
    /// This upstream does not serve this model, this operation or a request of this size; another may. Says nothing about
    /// its health.
    ModelMissing,
    /// What the request names is kept for another account (an earlier response, a file, thoughts that it encrypted), or no model of
    /// this vendor takes such a request; another candidate may. Says nothing about this one, and nothing is wrong with what is
    /// configured.
    Elsewhere,
    /// The request itself is refused (malformed, too long, against a content policy): every upstream would. Never retried.
    Client,
}

/// What a failure says something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// The upstream, whatever it is asked for.
    Upstream,
    /// This model there: the upstream has answered, and may serve others.
    Model,
    /// Neither: it is an answer of a healthy upstream.
    Neither,
}

/// What follows from a class of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureRow {
    /// The name in metrics, logs and `upstream list`.
    pub name: &'static str,
    /// Whether another candidate is tried.
    pub tries_next: bool,
    /// Whose breaker takes note.
    pub concerns: Concerns,
    /// Whether one such failure opens the breaker; else it takes [`BreakerPolicy::failures_to_open`](super::BreakerPolicy)
    /// in a row.
    pub opens_at_once: bool,
    /// It does not pass: an operator has to do something.
    pub needs_somebody: bool,
    /// How long the breaker stays open, in milliseconds; none: the policy's `open_ms`.
    pub cooldown_ms: Option<u64>,
    /// What that grows to at most when probe after probe fails (it doubles), in milliseconds.
    pub cooldown_ms_max: u64,
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;

const COUNTED: FailureRow = FailureRow {
    name: "",
    tries_next: true,
    concerns: Concerns::Upstream,
    opens_at_once: false,
    needs_somebody: false,
    cooldown_ms: None,
    cooldown_ms_max: 5 * MINUTE_MS,
};
const AT_ONCE: FailureRow = FailureRow { opens_at_once: true, ..COUNTED };
/// A dead key or an empty account: it is probed seldom, and when the configuration has been reloaded.
const FOR_SOMEBODY: FailureRow =
    FailureRow { needs_somebody: true, cooldown_ms: Some(5 * MINUTE_MS), cooldown_ms_max: 30 * MINUTE_MS, ..AT_ONCE };
const NEUTRAL: FailureRow =
    FailureRow { concerns: Concerns::Neither, cooldown_ms: Some(0), cooldown_ms_max: 0, ..COUNTED };

/// A rate limit without a time is over soon, as a rule; with a time of its cooldown or more, the breaker takes exactly that. It is the
/// model's: OpenAI (platform.openai.com/docs/guides/rate-limits), Anthropic (docs.anthropic.com/en/api/rate-limits) and Gemini
/// (ai.google.dev/gemini-api/docs/rate-limits) count each by itself; where one counts all together, each model finds out.
static ROWS: [FailureRow; 12] = [
    FailureRow { name: "connect", ..COUNTED },
    FailureRow { name: "timeout", ..COUNTED },
    FailureRow { name: "key_dead", ..FOR_SOMEBODY },
    FailureRow { name: "quota_exhausted", ..FOR_SOMEBODY },
    FailureRow {
        name: "rate_limited",
        concerns: Concerns::Model,
        cooldown_ms: Some(SECOND_MS),
        cooldown_ms_max: MINUTE_MS,
        ..AT_ONCE
    },
    FailureRow { name: "server_error", ..COUNTED },
    FailureRow { name: "error_event", ..COUNTED },
    FailureRow { name: "model_missing", ..NEUTRAL },
    FailureRow { name: "client", tries_next: false, ..NEUTRAL },
    FailureRow { name: "overloaded", cooldown_ms: Some(SECOND_MS), cooldown_ms_max: MINUTE_MS, ..AT_ONCE },
    // A key without the scope for speech serves chats all the same: what one client asks for takes nothing from the others.
    FailureRow { name: "denied", concerns: Concerns::Model, needs_somebody: true, ..COUNTED },
    FailureRow { name: "elsewhere", ..NEUTRAL },
];

impl FailureRow {
    /// Whether a breaker takes note.
    pub fn counts(&self) -> bool {
        self.concerns != Concerns::Neither
    }
}

impl Failure {
    /// Its row.
    pub fn row(self) -> &'static FailureRow {
        &ROWS[usize::from(self.index())]
    }

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether another candidate is to be tried.
    pub fn tries_next(self) -> bool {
        self.row().tries_next
    }

    /// The names of all classes, for metrics whose labels are made beforehand.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ROWS.iter().map(|row| row.name)
    }

    pub(super) const fn index(self) -> u8 {
        match self {
            Self::Connect => 0,
            Self::Timeout => 1,
            Self::KeyDead => 2,
            Self::QuotaExhausted => 3,
            Self::RateLimited { .. } => 4,
            Self::ServerError => 5,
            Self::ErrorEvent => 6,
            Self::ModelMissing => 7,
            Self::Client => 8,
            Self::Overloaded { .. } => 9,
            Self::Denied => 10,
            Self::Elsewhere => 11,
        }
    }

    /// The row of the class with this [`index`](Self::index).
    pub(super) fn row_at(index: u8) -> Option<&'static FailureRow> {
        ROWS.get(usize::from(index))
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, ROWS};
    use std::collections::HashSet;

    const ALL: [Failure; 12] = [
        Failure::Connect,
        Failure::Timeout,
        Failure::KeyDead,
        Failure::QuotaExhausted,
        Failure::RateLimited { retry_after_ms: None },
        Failure::ServerError,
        Failure::ErrorEvent,
        Failure::ModelMissing,
        Failure::Client,
        Failure::Overloaded { retry_after_ms: 1 },
        Failure::Denied,
        Failure::Elsewhere,
    ];

    #[test]
    fn every_class_has_a_row_of_its_own() {
        let names: HashSet<_> = ALL.iter().map(|failure| failure.name()).collect();
        assert_eq!(names.len(), ROWS.len());
        assert_eq!(Failure::names().count(), ROWS.len());
        assert_eq!(Failure::KeyDead.name(), "key_dead");
        assert_eq!(Failure::RateLimited { retry_after_ms: Some(1) }.name(), "rate_limited");
    }

    #[test]
    fn only_the_clients_own_failure_is_final() {
        for failure in ALL {
            assert_eq!(failure.tries_next(), failure != Failure::Client, "{failure:?}");
            let row = failure.row();
            assert_eq!(row.counts(), !matches!(failure, Failure::Client | Failure::ModelMissing | Failure::Elsewhere));
            assert!(row.counts() || !row.opens_at_once);
            assert!(row.cooldown_ms.is_none_or(|ms| ms <= row.cooldown_ms_max));
        }
    }
}
