//! When a budget's current period began.

use crate::store::Period;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::ops::Range;

/// The beginning of the period that contains this time, both in Unix milliseconds: midnight in that time zone, of the day, of
/// Monday, or of the first. Where a clock change leaves a midnight out, the day begins when it does there. `None`: there is no such
/// time zone, or the time is beyond any calendar.
pub fn period_start_ms(period: Period, time_zone: &str, at_ms: i64) -> Option<i64> {
    period_ms(period, time_zone, at_ms).map(|span| span.start)
}

/// The same, and where the next one begins.
pub fn period_ms(period: Period, time_zone: &str, at_ms: i64) -> Option<Range<i64>> {
    let zone = TimeZone::get(time_zone).ok()?;
    let today = Timestamp::from_millisecond(at_ms).ok()?.to_zoned(zone.clone()).date();
    let first = first_day(period, today)?;
    let length = match period {
        Period::Daily => 1.day(),
        Period::Weekly => 1.week(),
        Period::Monthly => 1.month(),
    };
    let began_ms = |day: Date| -> Option<i64> {
        let began = day.to_zoned(zone.clone()).ok()?.start_of_day().ok()?;
        Some(began.timestamp().as_millisecond())
    };
    Some(began_ms(first)?..began_ms(first.checked_add(length).ok()?)?)
}

fn first_day(period: Period, today: Date) -> Option<Date> {
    match period {
        Period::Daily => Some(today),
        Period::Weekly => today.checked_sub(i64::from(today.weekday().to_monday_zero_offset()).days()).ok(),
        Period::Monthly => Some(today.first_of_month()),
    }
}

#[cfg(test)]
mod tests {
    use super::period_start_ms;
    use crate::store::Period::{self, Daily, Monthly, Weekly};
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn start(period: Period, zone: &str, at: &str) -> String {
        let at_ms = at.parse::<Timestamp>().unwrap().as_millisecond();
        let began_ms = period_start_ms(period, zone, at_ms).unwrap();
        Timestamp::from_millisecond(began_ms).unwrap().to_string()
    }

    #[test]
    fn a_period_begins_at_midnight_over_there() {
        for (period, zone, at, began) in [
            (Daily, "UTC", "2026-03-04T00:00:00Z", "2026-03-04T00:00:00Z"),
            (Daily, "UTC", "2026-03-04T23:59:59.999Z", "2026-03-04T00:00:00Z"),
            // It is Thursday there already.
            (Daily, "Asia/Shanghai", "2026-03-04T16:00:00Z", "2026-03-04T16:00:00Z"),
            (Daily, "America/New_York", "2026-03-04T04:59:59Z", "2026-03-03T05:00:00Z"),
            // A Wednesday, a Monday, a Sunday.
            (Weekly, "UTC", "2026-03-04T12:00:00Z", "2026-03-02T00:00:00Z"),
            (Weekly, "UTC", "2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z"),
            (Weekly, "UTC", "2026-03-01T23:59:59Z", "2026-02-23T00:00:00Z"),
            (Weekly, "UTC", "2026-01-01T00:00:00Z", "2025-12-29T00:00:00Z"),
            (Monthly, "UTC", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z"),
            (Monthly, "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            (Monthly, "Pacific/Kiritimati", "2026-01-31T12:00:00Z", "2026-01-31T10:00:00Z"),
        ] {
            assert_eq!(start(period, zone, at), began, "{period:?} in {zone} at {at}");
        }
    }

    #[test]
    fn a_day_on_which_clocks_change_begins_once() {
        for (period, zone, at, began) in [
            // 23 hours, and 25.
            (Daily, "Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-28T23:00:00Z"),
            (Daily, "Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z"),
            (Weekly, "Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-22T23:00:00Z"),
            // There is no midnight on that day: it begins at one o'clock.
            (Daily, "Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z"),
            (Daily, "Asia/Beirut", "2026-03-29T12:00:00Z", "2026-03-28T22:00:00Z"),
        ] {
            assert_eq!(start(period, zone, at), began, "{period:?} in {zone} at {at}");
        }
    }

    #[test]
    fn there_are_only_the_time_zones_that_there_are() {
        for zone in ["", "Moon/Base", "../etc/passwd", "UTC+1x"] {
            assert_eq!(period_start_ms(Daily, zone, 0), None, "{zone}");
        }
        assert_eq!(period_start_ms(Daily, "UTC", i64::MAX), None);
    }

    proptest! {
        /// It has begun, it is the same until its end, and it is not older than it can be.
        #[test]
        fn a_period_contains_its_time(at_ms in 0_i64..4_000_000_000_000, nth in 0_usize..3, zone in prop::sample::select(
            vec!["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo"]
        )) {
            const HOUR_MS: i64 = 3_600_000;
            let (period, days_max) = [(Daily, 1), (Weekly, 7), (Monthly, 31)][nth];
            let began_ms = period_start_ms(period, zone, at_ms).unwrap();
            prop_assert!(began_ms <= at_ms && at_ms - began_ms < (24 * days_max + 2) * HOUR_MS);
            prop_assert_eq!(period_start_ms(period, zone, began_ms), Some(began_ms));
            prop_assert!(period_start_ms(period, zone, began_ms - 1).unwrap() < began_ms);
        }
    }
}
