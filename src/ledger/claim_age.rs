//! Which idempotency keys in the store are older than a day. What it has are dates, and the clock that they are of may be set on or
//! back at any moment: so a key is old when it is by whatever that clock has shown within the last day.

use super::claims::CLAIM_AGE_MAX_MS;
use crate::store::TakenClaim;

/// How often old keys are deleted; for the first time so long after the start, when a clock may be wrong for a moment, too.
const DELETE_EVERY_MS: i64 = 10 * 60 * 1_000;

/// See the module. Times of its own are the steady clock's.
pub(super) struct ClaimAge {
    /// How far dates were ahead of the steady clock, at the least: since `since_ms`, and in the day or more before that.
    ahead_ms: [i64; 2],
    since_ms: i64,
    deleted_at_ms: i64,
}

impl ClaimAge {
    pub(super) fn new(steady_ms: i64) -> Self {
        Self { ahead_ms: [i64::MAX; 2], since_ms: steady_ms, deleted_at_ms: steady_ms }
    }

    /// Notes the dates of keys that were taken just now. If old ones are to be deleted: those of requests that arrived before this
    /// date.
    pub(super) fn before_ms(&mut self, taken: &[TakenClaim], steady_ms: i64) -> Option<i64> {
        let earliest_ms = taken.iter().map(|claim| claim.started_at_ms).min()?;
        if steady_ms - self.since_ms >= CLAIM_AGE_MAX_MS {
            (self.ahead_ms, self.since_ms) = ([i64::MAX, self.ahead_ms[0]], steady_ms);
        }
        self.ahead_ms[0] = self.ahead_ms[0].min(earliest_ms.saturating_sub(steady_ms));
        if steady_ms - self.deleted_at_ms < DELETE_EVERY_MS {
            return None;
        }
        self.deleted_at_ms = steady_ms;
        let ahead_ms = self.ahead_ms[0].min(self.ahead_ms[1]);
        Some(ahead_ms.saturating_add(steady_ms - CLAIM_AGE_MAX_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ClaimTag;
    use uuid::Uuid;

    const HOUR_MS: i64 = 60 * 60 * 1_000;
    /// Where the two clocks begin.
    const STEADY_MS: i64 = 1 << 32;
    const DATE_MS: i64 = 1_800_000_000_000;

    fn taken(started_at_ms: i64) -> TakenClaim {
        TakenClaim { tag: ClaimTag { key: [1; 16], request: [2; 16] }, request_id: Uuid::nil(), started_at_ms }
    }

    /// A key is taken every hour, while the clock is set so far on or back: what is then deleted is a day old. When what is left was
    /// taken, in hours, and its dates.
    fn run(hours: i64, set_ms: impl Fn(i64) -> i64) -> Vec<(i64, i64)> {
        let mut age = ClaimAge::new(STEADY_MS);
        let mut stored = Vec::new();
        for hour in 1..=hours {
            let date_ms = DATE_MS + hour * HOUR_MS + set_ms(hour);
            stored.push((hour, date_ms));
            let before_ms = age.before_ms(&[taken(date_ms)], STEADY_MS + hour * HOUR_MS).expect("an hour is over");
            let (kept, deleted) = stored.into_iter().partition(|(_, date_ms)| *date_ms >= before_ms);
            stored = kept;
            let deleted: Vec<(i64, i64)> = deleted;
            assert!(deleted.iter().all(|(taken, _)| hour - taken > 24), "in hour {hour}: {deleted:?}");
        }
        stored
    }

    #[test]
    fn what_is_a_day_old_goes_and_nothing_else_however_the_clock_is_set() {
        assert_eq!(run(100, |_| 0).len(), 25);
        let year_ms = 365 * 24 * HOUR_MS;
        for jump_ms in [HOUR_MS, 25 * HOUR_MS, year_ms, -HOUR_MS, -25 * HOUR_MS, -year_ms] {
            for lasts in [1, 5, 40, 1_000] {
                let set_ms = |hour: i64| if (50..50 + lasts).contains(&hour) { jump_ms } else { 0 };
                // The clock has been left alone for two days by then.
                let yesterday_ms = DATE_MS + (200 - 24) * HOUR_MS + set_ms(200);
                let stored = run(200, set_ms);
                assert!(
                    stored.iter().all(|(_, date_ms)| *date_ms >= yesterday_ms),
                    "{jump_ms} for {lasts}: {stored:?}"
                );
            }
        }
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_moment_at_the_start_deletes_nothing() {
        let mut age = ClaimAge::new(STEADY_MS);
        assert_eq!(age.before_ms(&[taken(DATE_MS + 25 * HOUR_MS)], STEADY_MS + 1), None);
        assert_eq!(age.before_ms(&[], STEADY_MS + DELETE_EVERY_MS), None);
        let later_ms = STEADY_MS + DELETE_EVERY_MS;
        let before_ms = age.before_ms(&[taken(DATE_MS), taken(DATE_MS + 5)], later_ms);
        assert_eq!(before_ms, Some(DATE_MS - CLAIM_AGE_MAX_MS));
        assert_eq!(age.before_ms(&[taken(DATE_MS)], later_ms + 1), None, "it was done just now");
    }
}
