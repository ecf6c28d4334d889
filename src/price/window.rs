//! Tariff windows: a part of the day in a time zone.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::sheet::Change;

/// Seconds of a day; also the end of a window that lasts till midnight.
pub(super) const DAY_SECONDS: u32 = 86_400;
/// The days' names, in the order of their bits.
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Every day.
pub(super) const ALL_DAYS: u8 = 0b111_1111;

/// A part of some days of the week, by the clock on the wall of a time zone.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Bit 0 is Monday; a window over midnight belongs to the day on which it begins.
    pub(super) days: u8,
    /// First second of the day that is in.
    pub(super) from_second: u32,
    /// First second that is out again.
    pub(super) to_second: u32,
    /// Whose clock.
    pub(super) zone: TimeZone,
    /// What it does to the prices.
    pub(super) change: Change,
}

impl Window {
    /// Whether that moment is in the window.
    pub(super) fn contains(&self, unix_ms: i64) -> bool {
        let last = if unix_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let local = self.zone.to_datetime(Timestamp::from_millisecond(unix_ms).unwrap_or(last));
        let clock = local.time();
        let second = [(clock.hour(), 3600), (clock.minute(), 60), (clock.second(), 1)];
        let second: u32 = second.iter().map(|(count, seconds)| u32::from(count.unsigned_abs()) * seconds).sum();
        let today = local.weekday().to_monday_zero_offset().unsigned_abs();
        let yesterday = (today + 6) % 7;
        if self.from_second < self.to_second {
            return self.begins_on(today) && (self.from_second..self.to_second).contains(&second);
        }
        (self.begins_on(today) && second >= self.from_second) || (self.begins_on(yesterday) && second < self.to_second)
    }

    fn begins_on(&self, day: u8) -> bool {
        self.days & (1 << day) != 0
    }
}

/// The time zone of that IANA name, from the data base in this program: never from the machine's files.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled().get(name).ok()
}

/// `HH:MM` or `HH:MM:SS` as a second of the day; `24:00` is its end.
pub(super) fn second_of_day(text: &str) -> Option<u32> {
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.split(':').map(|part| two_digits(part).then(|| part.parse::<u32>().ok()).flatten());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let total = hour * 3600 + minute * 60 + second;
    (parts.next().is_none() && minute < 60 && second < 60 && total <= DAY_SECONDS).then_some(total)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::{ALL_DAYS, DAYS, Window, second_of_day, zone};
    use crate::price::sheet::Change;

    fn window(days: &[&str], from: &str, to: &str, zone: TimeZone) -> Window {
        let bit = |day: &&str| 1_u8 << DAYS.iter().position(|name| name == day).unwrap();
        let days = if days.is_empty() { ALL_DAYS } else { days.iter().map(bit).sum() };
        let (from_second, to_second) = (second_of_day(from).unwrap(), second_of_day(to).unwrap());
        Window { days, from_second, to_second, zone, change: Change::Multiply(0) }
    }

    fn at(day: i8, hour: i8, minute: i8) -> i64 {
        // 2026-11-16 was a Monday.
        date(2026, 11, day).at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond()
    }

    #[test]
    fn the_first_second_is_in_and_the_last_is_out() {
        let office = window(&[], "09:00", "17:30", TimeZone::UTC);
        for (hour, minute, inside) in [(8, 59, false), (9, 0, true), (17, 29, true), (17, 30, false)] {
            assert_eq!(office.contains(at(16, hour, minute)), inside, "{hour}:{minute}");
        }
        assert!(office.contains(at(16, 17, 30) - 1));
    }

    #[test]
    fn over_midnight_it_belongs_to_the_day_it_begins_on() {
        let night = window(&["fri"], "22:00", "06:00", TimeZone::UTC);
        let expected =
            [(20, 21, false), (20, 22, true), (21, 5, true), (21, 6, false), (21, 23, false), (20, 5, false)];
        for (day, hour, inside) in expected {
            assert_eq!(night.contains(at(day, hour, 0)), inside, "day {day}, {hour} h");
        }
    }

    #[test]
    fn the_whole_day_and_its_end() {
        let weekend = window(&["sat", "sun"], "00:00", "24:00", TimeZone::UTC);
        assert!(!weekend.contains(at(20, 23, 59)));
        assert!(weekend.contains(at(21, 0, 0)) && weekend.contains(at(22, 23, 59)));
        assert!(!weekend.contains(at(23, 0, 0)));
    }

    #[test]
    fn by_the_wall_clock_of_its_zone_summer_time_included() {
        // 10:00 in Berlin is 08:00 UTC in July and 09:00 UTC in January.
        let berlin = window(&[], "10:00", "11:00", zone("Europe/Berlin").unwrap());
        let july = date(2026, 7, 1).at(8, 30, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond();
        let january = date(2026, 1, 1).at(9, 30, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond();
        assert!(berlin.contains(july) && berlin.contains(january));
        assert!(!berlin.contains(july + 3_600_000) && !berlin.contains(january - 3_600_000));
        // Monday 01:00 in Shanghai is still Sunday in UTC.
        let shanghai = window(&["mon"], "00:00", "24:00", zone("Asia/Shanghai").unwrap());
        assert!(shanghai.contains(at(15, 17, 0)) && !shanghai.contains(at(16, 17, 0)));
    }

    #[test]
    fn no_moment_panics() {
        let any = window(&["mon"], "22:00", "06:00", zone("America/New_York").unwrap());
        for moment in [i64::MIN, -1, 0, 1, i64::MAX] {
            let _ = any.contains(moment);
        }
    }

    #[test]
    fn times_of_day() {
        let good = [("00:00", 0), ("16:30", 59_400), ("16:30:05", 59_405), ("24:00", 86_400)];
        for (text, second) in good {
            assert_eq!(second_of_day(text), Some(second), "{text}");
        }
        for text in ["", "9:00", "24:01", "12:60", "12:00:60", "12", "12:00:00:00", "ab:cd", "-1:00", "+1:00"] {
            assert_eq!(second_of_day(text), None, "{text}");
        }
        assert!(zone("Mars/Olympus").is_none());
    }
}
