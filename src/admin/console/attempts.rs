//! How often somebody may try to sign in: by name and by address.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

/// Attempts that fail within the window.
const FAILURES_MAX: usize = 10;
/// The window, in milliseconds.
const WINDOW_MS: i64 = 15 * 60 * 1000;
/// Names and addresses that are remembered at once.
const REMEMBERED_MAX: usize = 20_000;

/// Whom an attempt is counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whom {
    Name(String),
    Address(Option<IpAddr>),
}

/// The attempts of the last minutes.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<Whom, VecDeque<i64>>>);

impl Attempts {
    /// Counts an attempt before it is made, so that many at once are as many as one after the other. False: it may not be made.
    pub(super) fn begin(&self, name: &str, address: Option<IpAddr>, now_ms: i64) -> bool {
        let mut counted = self.0.lock();
        let whom = [Whom::Name(name.to_owned()), Whom::Address(address.map(network))];
        for whom in &whom {
            if let Some(times) = counted.get_mut(whom) {
                times.retain(|at_ms| now_ms - at_ms < WINDOW_MS);
                if times.len() >= FAILURES_MAX {
                    return false;
                }
            }
        }
        if counted.len() + whom.len() > REMEMBERED_MAX {
            forget(&mut counted, now_ms);
        }
        for whom in whom {
            counted.entry(whom).or_default().push_back(now_ms);
        }
        true
    }

    /// The attempt was none: the password was right.
    pub(super) fn succeeded(&self, name: &str, address: Option<IpAddr>) {
        let mut counted = self.0.lock();
        counted.remove(&Whom::Name(name.to_owned()));
        // Others may be behind the same address: only this one is taken back.
        if let Some(times) = counted.get_mut(&Whom::Address(address.map(network))) {
            times.pop_back();
        }
    }
}

/// Makes room: what is over goes; if that is not enough, whoever's last attempt is the longest ago.
fn forget(counted: &mut HashMap<Whom, VecDeque<i64>>, now_ms: i64) {
    counted.retain(|_, times| times.back().is_some_and(|at_ms| now_ms - at_ms < WINDOW_MS));
    if counted.len() > REMEMBERED_MAX * 9 / 10 {
        let mut last: Vec<i64> = counted.values().filter_map(|times| times.back().copied()).collect();
        last.sort_unstable();
        let from = last.get(REMEMBERED_MAX / 10).copied().unwrap_or(now_ms);
        counted.retain(|_, times| times.back().is_some_and(|at_ms| *at_ms > from));
    }
}

/// Whoever has an address of version 6 has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        other => other.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempts, FAILURES_MAX, REMEMBERED_MAX, WINDOW_MS};
    use std::net::IpAddr;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn so_many_fail_by_name_and_by_address_and_the_window_passes() {
        let attempts = Attempts::default();
        for nth in 0..FAILURES_MAX {
            assert!(attempts.begin("a", address(&format!("10.0.0.{nth}")), 0));
        }
        assert!(!attempts.begin("a", address("10.0.1.1"), 1), "by name, from wherever");
        assert!(attempts.begin("b", address("10.0.0.1"), 1));
        for nth in 0..FAILURES_MAX {
            assert!(attempts.begin(&format!("c{nth}"), address(&format!("2001:db8:0:1::{nth}")), 1));
        }
        assert!(!attempts.begin("d", address("2001:db8:0:1:ffff::"), 2), "by network, for whomever");
        assert!(attempts.begin("d", address("2001:db8:0:2::"), 2));
        assert!(attempts.begin("a", address("10.0.1.1"), WINDOW_MS));
    }

    #[test]
    fn who_signs_in_has_not_failed() {
        let attempts = Attempts::default();
        for _ in 0..10 * FAILURES_MAX {
            assert!(attempts.begin("a", address("10.0.0.1"), 0));
            attempts.succeeded("a", address("10.0.0.1"));
        }
    }

    #[test]
    fn no_more_are_remembered_than_so_many() {
        let attempts = Attempts::default();
        for nth in 0..3 * u32::try_from(REMEMBERED_MAX).unwrap() {
            assert!(attempts.begin(&nth.to_string(), Some(IpAddr::from(nth.to_be_bytes())), i64::from(nth) % 7));
            assert!(attempts.0.lock().len() <= REMEMBERED_MAX);
        }
    }
}
