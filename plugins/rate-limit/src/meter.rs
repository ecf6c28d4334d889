//! What one key, user or upstream has taken lately, and whether there is room for more.

use crate::rules::{Limit, RULES_MAX, Unit};
use crate::window::Window;
use parking_lot::{Mutex, MutexGuard};
use tollgate_plugin_api::{Allowance, Allowances, Amounts, Dated, Lessor};

/// Windows of one meter: as many as there are rules and limits of a key's own, all in use at once. Limits that are taken away
/// leave theirs behind; the oldest give way.
const WINDOWS_MAX: usize = 2 * RULES_MAX;

/// See the module.
#[derive(Default)]
pub(crate) struct Meter(Mutex<Taken>);

/// What is taken.
#[derive(Default)]
pub(crate) struct Taken {
    /// Nobody finds this meter any more: there is, or will be, another one in its place.
    retired: bool,
    running: u64,
    windows: Vec<Counted>,
}

struct Counted {
    unit: Unit,
    window_ms: u64,
    /// What was taken before is not in it.
    since_ms: i64,
    window: Window,
}

/// A place for one more request comes back nobody knows when: asking again after so long costs little.
const PLACE_WAIT_MS: u64 = 1_000;

/// There is no room for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) limit: Limit,
    pub(crate) used: u64,
    pub(crate) asked: u64,
    /// Milliseconds until there is room, as far as anybody knows; of what is more than the limit by itself, the window's.
    pub(crate) wait_ms: u64,
    pub(crate) allowances: Allowances,
}

impl Full {
    /// Whether there can ever be room.
    pub(crate) fn fits_ever(&self) -> bool {
        self.asked <= self.limit.max
    }

    /// Of two limits that are full, the one that keeps the request away for longer: who waits for the other one is refused again.
    pub(crate) fn or_longer(self, other: Self) -> Self {
        let keeps = |full: &Self| (!full.fits_ever(), full.wait_ms);
        if keeps(&other) > keeps(&self) { other } else { self }
    }
}

impl Meter {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock()
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Taken>> {
        self.0.try_lock()
    }
}

impl Taken {
    /// Nothing may be taken of it.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired
    }

    /// Retires it if no request runs and all windows are empty: a new meter says the same then.
    pub(crate) fn retire_if_idle(&mut self, now_ms: i64) -> bool {
        self.retired = self.running == 0
            && self.windows.iter_mut().all(|counted| {
                counted.window.advance(now_ms);
                counted.window.total() == 0
            });
        self.retired
    }

    /// Whether a request of this size fits into all limits; takes nothing. If not, of those that are full the one that is for longest.
    pub(crate) fn check(&mut self, limits: &[Limit], asked: &Amounts, now_ms: i64) -> Result<(), Box<Full>> {
        let mut longest: Option<Full> = None;
        for limit in limits.iter().copied() {
            let (used, asked) = match limit.unit {
                Unit::Concurrency => (self.running, 1),
                unit => (self.window(limit, now_ms).total(), unit.of(asked)),
            };
            if used.checked_add(asked).is_some_and(|sum| sum <= limit.max) {
                continue;
            }
            let over = used.saturating_add(asked).saturating_sub(limit.max);
            let wait_ms = match limit.unit {
                Unit::Concurrency => PLACE_WAIT_MS,
                _ if asked > limit.max => limit.window_ms,
                _ => self.window(limit, now_ms).until_gone(over, now_ms),
            };
            let full = Full { limit, used, asked, wait_ms, allowances: Allowances::default() };
            longest = Some(longest.map_or(full, |longest| longest.or_longer(full)));
        }
        let Some(full) = longest else { return Ok(()) };
        Err(Box::new(Full { allowances: self.allowances(limits, now_ms), ..full }))
    }

    /// Takes what was just found to fit. All windows are up to date and there: [`check`](Self::check) has asked for them.
    pub(crate) fn take(&mut self, limits: &[Limit], asked: &Amounts, now_ms: i64) -> Allowances {
        self.running += 1;
        for counted in &mut self.windows {
            counted.window.advance(now_ms);
            counted.window.add(counted.unit.of(asked));
        }
        self.allowances(limits, now_ms)
    }

    /// The tightest limits in requests and in tokens.
    fn allowances(&mut self, limits: &[Limit], now_ms: i64) -> Allowances {
        let mut allowances = Allowances::default();
        for limit in limits {
            let place = match limit.unit {
                Unit::Requests => &mut allowances.requests,
                Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => &mut allowances.tokens,
                Unit::Concurrency | Unit::SpendUsd => continue,
            };
            let window = self.window(*limit, now_ms);
            let remaining = limit.max.saturating_sub(window.total());
            if place.is_none_or(|other: Allowance| remaining < other.remaining) {
                let reset_ms = window.until_empty(now_ms);
                *place = Some(Allowance { limit: limit.max, remaining, reset_ms });
            }
        }
        allowances
    }

    /// The window that a limit is about; made when it is first asked for.
    fn window(&mut self, limit: Limit, now_ms: i64) -> &mut Window {
        let is = |counted: &Counted| counted.unit == limit.unit && counted.window_ms == limit.window_ms;
        let at = self.windows.iter().position(is).unwrap_or_else(|| {
            if self.windows.len() >= WINDOWS_MAX {
                self.windows.remove(0);
            }
            let window = Window::new(limit.window_ms);
            self.windows.push(Counted { unit: limit.unit, window_ms: limit.window_ms, since_ms: now_ms, window });
            self.windows.len() - 1
        });
        let window = &mut self.windows[at].window;
        window.advance(now_ms);
        window
    }
}

impl Lessor for Meter {
    fn leave(&self) {
        let mut all = self.0.lock();
        all.running = all.running.saturating_sub(1);
    }

    /// What came of a request takes the place of what was asked for. What it came to be above that counts from now.
    fn end(&self, taken: &Dated, used: &Dated, has_left: bool) {
        let (taken_at_ms, now_ms) = (taken.at_ms, used.at_ms);
        let mut all = self.0.lock();
        all.running = all.running.saturating_sub(u64::from(!has_left));
        for counted in all.windows.iter_mut().filter(|counted| counted.since_ms <= taken_at_ms) {
            let (taken, used) = (counted.unit.of(&taken.amounts), counted.unit.of(&used.amounts));
            // An answer may take longer than the window, and nobody need have asked for room meanwhile.
            counted.window.advance(now_ms);
            if used < taken {
                counted.window.give_back(taken_at_ms, taken - used);
            } else {
                counted.window.add(used - taken);
            }
        }
    }
}
