//! The machine's two clocks: what the date is, which somebody may set, and how much time has passed.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// No time by the steady clock is below this: 0 can stand for "never", and a day before the start is still above it.
const STEADY_MS_MIN: i64 = 1 << 32;

/// Unix time in milliseconds, as the machine has it: a date.
pub fn unix_ms() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}

/// The same, for what is compared with dates that others say.
pub(crate) fn unix_unsigned_ms() -> u64 {
    millis(since_epoch())
}

/// Milliseconds that pass as time does: Unix time as it was when this was first asked for, and what has passed since; always far above
/// 0. A machine whose clock is set back must not keep a limit or a cooldown in force until it has caught up.
pub fn steady_ms() -> i64 {
    static START: LazyLock<(Instant, i64)> = LazyLock::new(|| (Instant::now(), steady_from(unix_ms())));
    let passed_ms = i64::try_from(START.0.elapsed().as_millis()).unwrap_or(i64::MAX);
    START.1.saturating_add(passed_ms)
}

/// The same, as breakers and addresses count it.
pub(crate) fn steady_unsigned_ms() -> u64 {
    steady_ms().unsigned_abs()
}

/// A span of time in whole milliseconds.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A machine without a battery begins in 1970.
fn steady_from(unix_ms: i64) -> i64 {
    unix_ms.max(STEADY_MS_MIN)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_is_never_near_0_and_does_not_go_back() {
        const DAY_MS: i64 = 24 * 3600 * 1000;
        assert!(steady_from(0) > DAY_MS);
        assert_eq!(steady_from(1_800_000_000_000), 1_800_000_000_000);
        let first = steady_ms();
        assert!(first > DAY_MS && steady_ms() >= first);
        assert!(steady_unsigned_ms() >= first.unsigned_abs());
    }

    #[test]
    fn a_span_is_cut_to_milliseconds() {
        assert_eq!(millis(Duration::from_micros(1_999)), 1);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
