//! A circuit breaker, of an upstream or of a model there: keeps requests away from one that fails, and finds out when it is well
//! again.
//!
//! *Closed*: requests pass. *Open*: none does until a time; then *half-open*: exactly one request at a time may try (the
//! probe). Its success closes the breaker, its failure opens it for twice as long. A probe that never reports loses its
//! place after a while. *Cooling* is open too, after a rate limit, or an overload that named its end: at that time the breaker is closed,
//! without a probe. Where no time is named, it is the row's cooldown. An upstream that has had no success since and names no time
//! again, or a shorter one than that, is kept away from for twice as long each time.
//!
//! The whole state is one atomic word, so every transition is one compare-and-swap and there is nothing to lock. Time is
//! an argument: milliseconds of any clock that all callers share. A clock that jumps back cannot keep a breaker open for
//! longer than [`COOLDOWN_MS_MAX`].

use super::failure::{Failure, FailureRow};
use super::retry_after::RETRY_AFTER_MS_MAX;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// No cooldown and no probe lasts longer, in milliseconds; a time further away is taken for a jump of the clock.
pub const COOLDOWN_MS_MAX: u64 = 3_600_000;
/// The most failures in a row that can be asked for.
pub const FAILURES_TO_OPEN_MAX: u32 = FAILURES_MASK as u32;
/// What is said to be waited for a probe at most, in milliseconds.
const PROBE_WAIT_MS: u64 = 1_000;
/// How often the cooldown can double.
const LEVEL_MAX: u8 = 15;

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it; 1 to [`FAILURES_TO_OPEN_MAX`].
    pub failures_to_open: u32,
    /// How long it is open the first time, in milliseconds; at most [`COOLDOWN_MS_MAX`].
    pub open_ms: u64,
    /// After this time a probe that did not report is given up, in milliseconds; at most [`COOLDOWN_MS_MAX`].
    pub probe_ms: u64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures_to_open: 5, open_ms: 30_000, probe_ms: 120_000 }
    }
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One probe at a time.
    HalfOpen,
}

/// The leave to make one attempt. To be handed back with how it ended: [`Breaker::success`], [`Breaker::failure`],
/// [`Breaker::answered`] if the failure was not this breaker's, or [`Breaker::release`] if nothing was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// When this is the probe: the time at which it is given up, by which the breaker knows it again.
    probe_until_ms: Option<u64>,
}

impl BreakerState {
    /// How bad it is, from 0, which is closed, to 2, which is open: what the metric says.
    pub fn severity(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

impl Permit {
    /// Whether this attempt is the one by which a half-open breaker finds out.
    pub fn is_probe(self) -> bool {
        self.probe_until_ms.is_some()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Breaker {
    word: AtomicU64,
    failures_to_open: AtomicU64,
    open_ms: AtomicU64,
    probe_ms: AtomicU64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(BreakerPolicy::default())
    }
}

impl Breaker {
    /// A closed one.
    pub fn new(policy: BreakerPolicy) -> Self {
        let breaker = Self {
            word: AtomicU64::new(Word::CLOSED.pack()),
            failures_to_open: AtomicU64::new(0),
            open_ms: AtomicU64::new(0),
            probe_ms: AtomicU64::new(0),
        };
        breaker.set_policy(policy);
        breaker
    }

    /// Takes over a policy from a reloaded configuration; the state stays as it is.
    pub fn set_policy(&self, policy: BreakerPolicy) {
        self.failures_to_open.store(u64::from(policy.failures_to_open.clamp(1, FAILURES_TO_OPEN_MAX)), Relaxed);
        self.open_ms.store(policy.open_ms.min(COOLDOWN_MS_MAX), Relaxed);
        self.probe_ms.store(policy.probe_ms.clamp(1, COOLDOWN_MS_MAX), Relaxed);
    }

    /// Whether [`Self::try_acquire`] would succeed now.
    pub fn available(&self, now_ms: u64) -> bool {
        self.load().lets_through(now_ms)
    }

    /// Asks for one attempt.
    pub fn try_acquire(&self, now_ms: u64) -> Option<Permit> {
        const PLAIN: Option<Permit> = Some(Permit { probe_until_ms: None });
        let probe_until_ms = later(now_ms, self.probe_ms.load(Relaxed));
        let mut word = self.load();
        loop {
            let (next, permit) = match word.phase {
                Phase::Closed => return PLAIN,
                _ if !word.lets_through(now_ms) => return None,
                Phase::Cooling => (word.passing(), PLAIN),
                Phase::Open | Phase::Probing => {
                    let probing = Word { phase: Phase::Probing, until_ms: probe_until_ms, ..word };
                    (probing, Some(Permit { probe_until_ms: Some(probe_until_ms) }))
                }
            };
            match self.word.compare_exchange(word.pack(), next.pack(), Relaxed, Relaxed) {
                Ok(_) => return permit,
                Err(seen) => word = Word::unpack(seen),
            }
        }
    }

    /// The attempt went well.
    pub fn success(&self, permit: Permit, now_ms: u64) {
        self.change(|word| match word.phase {
            // Requests that began before the breaker opened prove nothing about now.
            Phase::Open => None,
            Phase::Probing => word.is_probe_of(permit).then_some(Word::CLOSED),
            // It goes on for as long as was said, but somebody is there: the next one begins anew.
            Phase::Cooling if !word.lets_through(now_ms) => (word.level > 0).then_some(Word { level: 0, ..word }),
            Phase::Closed | Phase::Cooling => (word != Word::CLOSED).then_some(Word::CLOSED),
        });
    }

    /// The attempt failed. [`Failure::Client`], [`Failure::ModelMissing`] and [`Failure::Elsewhere`] are answers of a healthy upstream.
    pub fn failure(&self, permit: Permit, now_ms: u64, failure: Failure) {
        if !failure.row().counts() {
            return self.answered(permit, now_ms);
        }
        self.change(|word| match word.phase {
            Phase::Probing => word.is_probe_of(permit).then(|| self.probe_failed(word, now_ms, failure)),
            Phase::Open => self.failed_while_open(word, now_ms, failure),
            Phase::Cooling if !word.lets_through(now_ms) => Some(self.failed_while_passing(word, now_ms, failure)),
            Phase::Closed | Phase::Cooling => Some(self.failed_while_passing(word.passing(), now_ms, failure)),
        });
    }

    /// It has answered, whatever: that is what a probe was for.
    pub fn answered(&self, permit: Permit, now_ms: u64) {
        if permit.is_probe() {
            self.success(permit, now_ms);
        }
    }

    /// The attempt ended without a verdict (the client went away first): a probe gives its place to the next request.
    pub fn release(&self, permit: Permit, now_ms: u64) {
        self.change(|word| {
            let ended = word.phase == Phase::Probing && word.is_probe_of(permit);
            ended.then_some(Word { phase: Phase::Open, until_ms: now_ms.min(UNTIL_MAX), ..word })
        });
    }

    /// Somebody may have mended what only somebody can mend (a dead key, an empty account): if that has opened it, the next request
    /// finds out.
    pub fn look_again(&self, now_ms: u64) {
        self.change(|word| {
            let is_for_somebody = Failure::row_at(word.cause).is_some_and(|row| row.needs_somebody);
            let waits = word.phase == Phase::Open && !word.lets_through(now_ms);
            (waits && is_for_somebody).then_some(Word { until_ms: now_ms.min(UNTIL_MAX), ..word })
        });
    }

    /// What it lets through now.
    pub fn state(&self, now_ms: u64) -> BreakerState {
        let word = self.load();
        match word.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Probing => BreakerState::HalfOpen,
            Phase::Cooling if word.lets_through(now_ms) => BreakerState::Closed,
            Phase::Open if word.lets_through(now_ms) => BreakerState::HalfOpen,
            Phase::Open | Phase::Cooling => BreakerState::Open,
        }
    }

    /// How long until it lets something through, in milliseconds; 0: now. While a probe runs nobody knows, and it is a second at most:
    /// the probe may end at any time, long before it is given up.
    pub fn wait_ms(&self, now_ms: u64) -> u64 {
        let word = self.load();
        let wait_ms = if word.lets_through(now_ms) { 0 } else { word.until_ms.saturating_sub(now_ms) };
        if word.phase == Phase::Probing { wait_ms.min(PROBE_WAIT_MS) } else { wait_ms }
    }

    /// Failures in a row so far.
    pub fn failures(&self) -> u32 {
        self.load().failures.into()
    }

    /// The name of the failure that opened it; none while it is closed.
    pub fn cause(&self) -> Option<&'static str> {
        let word = self.load();
        Failure::row_at(word.cause).filter(|_| word.phase != Phase::Closed).map(|row| row.name)
    }

    fn load(&self) -> Word {
        Word::unpack(self.word.load(Relaxed))
    }

    fn change(&self, next: impl Fn(Word) -> Option<Word>) {
        // An `Err` is "nothing to change".
        let _ = self.word.fetch_update(Relaxed, Relaxed, |word| next(Word::unpack(word)).map(Word::pack));
    }

    /// Closed, or cooling with requests from before still running.
    fn failed_while_passing(&self, word: Word, now_ms: u64, failure: Failure) -> Word {
        let row = failure.row();
        if let Some(told_ms) = cools(failure) {
            return match word.phase {
                // They were sent before it was known: no news but for the time.
                Phase::Cooling => word.cooling(word.until_ms.max(later(now_ms, told_ms.unwrap_or(0))), failure),
                _ => self.cooled(word, now_ms, failure, told_ms),
            };
        }
        let failures = (word.failures + 1).min(FAILURES_MASK as u16);
        if !row.opens_at_once && u64::from(failures) < self.failures_to_open.load(Relaxed) {
            return Word { failures, ..word };
        }
        // How often it has cooled says nothing of this.
        let until_ms = self.open_until(row, 0, now_ms).max(word.until_ms);
        Word { phase: Phase::Open, failures: 0, level: 0, until_ms, cause: failure.index() }
    }

    /// A request that was let through is told to come later: after `told_ms` or, where nothing is said, after the row's cooldown. What
    /// says nothing, or less than that, again and again is believed less and less.
    fn cooled(&self, word: Word, now_ms: u64, failure: Failure, told_ms: Option<u64>) -> Word {
        let row = failure.row();
        let told_until_ms = later(now_ms, told_ms.unwrap_or(0));
        if told_ms.is_some_and(|ms| ms >= row.cooldown_ms.unwrap_or(0)) {
            return word.cooling(told_until_ms, failure);
        }
        let own_until_ms = match (told_ms, word.level) {
            (None, level) => self.open_until(row, level, now_ms),
            (Some(_), 0) => now_ms,
            (Some(_), level) => self.open_until(row, level - 1, now_ms),
        };
        let level = word.level.saturating_add(1).min(LEVEL_MAX);
        Word { level, ..word.cooling(told_until_ms.max(own_until_ms), failure) }
    }

    /// Reports of requests that began before. They never make the cooldown grow, but a dead key counts all the same.
    fn failed_while_open(&self, word: Word, now_ms: u64, failure: Failure) -> Option<Word> {
        let row = failure.row();
        let until_ms = match cools(failure) {
            Some(told_ms) => later(now_ms, told_ms.or(row.cooldown_ms).unwrap_or(0)),
            None if row.opens_at_once => self.open_until(row, word.level, now_ms),
            None => return None,
        };
        (until_ms > word.until_ms).then_some(Word { until_ms, cause: failure.index(), ..word })
    }

    fn probe_failed(&self, word: Word, now_ms: u64, failure: Failure) -> Word {
        if let Some(told_ms) = cools(failure) {
            return self.cooled(word, now_ms, failure, told_ms);
        }
        let level = word.level.saturating_add(1).min(LEVEL_MAX);
        let until_ms = self.open_until(failure.row(), level, now_ms);
        Word { phase: Phase::Open, failures: 0, level, until_ms, cause: failure.index() }
    }

    fn open_until(&self, row: &FailureRow, level: u8, now_ms: u64) -> u64 {
        let base_ms = row.cooldown_ms.unwrap_or_else(|| self.open_ms.load(Relaxed));
        let grown_ms = base_ms.saturating_mul(1 << level).min(row.cooldown_ms_max.max(base_ms));
        later(now_ms, grown_ms.min(COOLDOWN_MS_MAX))
    }
}

/// Whether it is over by itself, after so many milliseconds where that is said: a rate limit, an overload that named its end.
fn cools(failure: Failure) -> Option<Option<u64>> {
    let told_ms = match failure {
        Failure::RateLimited { retry_after_ms } => retry_after_ms,
        Failure::Overloaded { retry_after_ms } => Some(retry_after_ms),
        _ => return None,
    };
    Some(told_ms.map(|ms| ms.min(RETRY_AFTER_MS_MAX)))
}

/// A time that fits into the word.
fn later(now_ms: u64, ms: u64) -> u64 {
    now_ms.saturating_add(ms).min(UNTIL_MAX)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open,
    Cooling,
    Probing,
}

const PHASES: [Phase; 4] = [Phase::Closed, Phase::Open, Phase::Cooling, Phase::Probing];

/// The state, as it stands in the atomic word: phase 2 bits, failures 12, level 4, cause 4, time 42 (until the
/// year 2109).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    phase: Phase,
    /// Failures in a row so far.
    failures: u16,
    /// How often in a row a probe failed, or it cooled without a time that was believed.
    level: u8,
    /// The class of the failure that opened it.
    cause: u8,
    /// Open, Cooling: until when. Probing: when the probe is given up. Closed: 0.
    until_ms: u64,
}

const FAILURES_MASK: u64 = 0xfff;
const UNTIL_SHIFT: u32 = 22;
const UNTIL_MAX: u64 = u64::MAX >> UNTIL_SHIFT;

impl Word {
    const CLOSED: Self = Self { phase: Phase::Closed, failures: 0, level: 0, cause: 0, until_ms: 0 };

    fn pack(self) -> u64 {
        let phase = PHASES.iter().position(|phase| *phase == self.phase).unwrap_or(0) as u64;
        phase
            | u64::from(self.failures) << 2
            | u64::from(self.level & 0xf) << 14
            | u64::from(self.cause & 0xf) << 18
            | self.until_ms << UNTIL_SHIFT
    }

    fn unpack(word: u64) -> Self {
        Self {
            phase: PHASES[(word & 0b11) as usize],
            failures: (word >> 2 & FAILURES_MASK) as u16,
            level: (word >> 14 & 0xf) as u8,
            cause: (word >> 18 & 0xf) as u8,
            until_ms: word >> UNTIL_SHIFT,
        }
    }

    /// It has cooled, which is no success: how often it failed before is still known.
    fn passing(self) -> Self {
        Self { phase: Phase::Closed, cause: 0, until_ms: 0, ..self }
    }

    fn cooling(self, until_ms: u64, failure: Failure) -> Self {
        Self { phase: Phase::Cooling, until_ms, cause: failure.index(), ..self }
    }

    fn lets_through(self, now_ms: u64) -> bool {
        self.phase == Phase::Closed || now_ms >= self.until_ms || self.until_ms - now_ms > COOLDOWN_MS_MAX
    }

    fn is_probe_of(self, permit: Permit) -> bool {
        permit.probe_until_ms == Some(self.until_ms)
    }
}

#[cfg(test)]
mod tests;
