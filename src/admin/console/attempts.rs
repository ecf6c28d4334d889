//! How often a password may be given: by name and network, by network, by name, and, by who is signed in, with one session.

use crate::store::SecretDigest;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// The window, in steps: what is counted in each is forgotten as a whole.
const STEPS: usize = 15;
/// A step, in milliseconds.
const STEP_MS: i64 = 60_000;
/// Names, networks and sessions that are remembered at once, of a hundred bytes each.
const REMEMBERED_MAX: usize = 50_000;
/// Places from which somebody has signed in that are remembered, of forty bytes each.
const KNOWN_MAX: usize = 5_000;

/// What attempts that fail are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A name at a network: whoever guesses there keeps nobody out elsewhere.
    NameAtNetwork,
    /// A network, for whomever.
    Network,
    /// A name, from wherever nobody has signed in with it: many networks guess as one.
    Name,
    /// A session: what strangers do with the name is nothing of theirs who are signed in.
    Session,
}

impl By {
    /// Attempts that fail within the window; the next one is not made.
    pub(super) const fn failures_max(self) -> u32 {
        match self {
            Self::NameAtNetwork | Self::Session => 10,
            Self::Network => 30,
            Self::Name => 100,
        }
    }
}

/// Who gives a password.
#[derive(Clone, Copy)]
pub(super) enum Giver<'a> {
    /// Whoever signs in with this name, from there.
    Stranger(&'a str, Option<IpAddr>),
    /// Whoever is signed in already.
    Session(&'a SecretDigest),
}

/// Whom something is counted for: a digest, so that all take the same room, whatever is sent as a name.
type Id = [u8; 32];

fn id(by: By, parts: &[&[u8]]) -> Id {
    let mut digest = Sha256::new_with_prefix([by as u8]);
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

impl Giver<'_> {
    fn counted_by(self) -> Vec<(By, Id)> {
        match self {
            Self::Stranger(name, address) => {
                let (name, network) = (name.as_bytes(), address.map(network).unwrap_or_default());
                [(By::NameAtNetwork, &[name, &network][..]), (By::Network, &[&network]), (By::Name, &[name])]
                    .map(|(by, parts)| (by, id(by, parts)))
                    .into()
            }
            Self::Session(digest) => vec![(By::Session, id(By::Session, &[digest]))],
        }
    }
}

/// Whoever has an address of version 6 has a whole network of them.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).octets().into()
        }
        IpAddr::V4(v4) => v4.octets().into(),
    }
}

/// How many have failed, by step.
#[derive(Default)]
struct Failures {
    last_ms: i64,
    by_step: [u16; STEPS],
}

impl Failures {
    fn place(step: i64) -> usize {
        usize::try_from(step.rem_euclid(STEPS as i64)).unwrap_or(0)
    }

    fn count(&self) -> u32 {
        self.by_step.iter().copied().map(u32::from).sum()
    }

    /// Forgets what is over.
    fn pass_to(&mut self, now_ms: i64) {
        let (before, now) = (self.last_ms.div_euclid(STEP_MS), now_ms.div_euclid(STEP_MS));
        for step in (before + 1..=now).rev().take(STEPS) {
            self.by_step[Self::place(step)] = 0;
        }
        self.last_ms = self.last_ms.max(now_ms);
    }

    fn add(&mut self) {
        let count = &mut self.by_step[Self::place(self.last_ms.div_euclid(STEP_MS))];
        *count = count.saturating_add(1);
    }

    /// The latest was none.
    fn take_back(&mut self) {
        let now = self.last_ms.div_euclid(STEP_MS);
        let mut steps = (0..STEPS as i64).map(|ago| Self::place(now - ago));
        if let Some(latest) = steps.find(|place| self.by_step[*place] > 0) {
            self.by_step[latest] -= 1;
        }
    }

    /// Until the earliest of them are over.
    fn wait_ms(&self, now_ms: i64) -> i64 {
        let now = self.last_ms.div_euclid(STEP_MS);
        let mut steps = (0..STEPS as i64).rev().map(|ago| now - ago);
        let earliest = steps.find(|step| self.by_step[Self::place(*step)] > 0).unwrap_or(now);
        (earliest + STEPS as i64) * STEP_MS - now_ms
    }

    fn is_over(&self, now_ms: i64) -> bool {
        now_ms.div_euclid(STEP_MS) - self.last_ms.div_euclid(STEP_MS) >= STEPS as i64
    }
}

/// What is remembered.
#[derive(Default)]
struct Remembered {
    failures: HashMap<Id, Failures>,
    /// Where names were right, and when at last.
    known: HashMap<Id, i64>,
    swept_ms: i64,
}

impl Remembered {
    /// Once a step, or where there are too many: what is over goes; if that is not enough, what was the longest ago.
    fn sweep(&mut self, now_ms: i64) {
        let is_full = self.failures.len() > REMEMBERED_MAX - 3;
        if !is_full && now_ms - self.swept_ms < STEP_MS {
            return;
        }
        self.swept_ms = now_ms;
        self.failures.retain(|_, failures| !failures.is_over(now_ms));
        if self.failures.len() > REMEMBERED_MAX * 9 / 10 {
            let mut last: Vec<i64> = self.failures.values().map(|failures| failures.last_ms).collect();
            last.sort_unstable();
            let from = last.get(REMEMBERED_MAX / 10).copied().unwrap_or(now_ms);
            self.failures.retain(|_, failures| failures.last_ms > from);
        }
        if self.failures.len() < self.failures.capacity() / 4 {
            self.failures.shrink_to_fit();
        }
    }

    fn know(&mut self, place: Id, now_ms: i64) {
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&place) {
            let oldest = self.known.iter().min_by_key(|(_, at_ms)| **at_ms).map(|(place, _)| *place);
            oldest.map(|oldest| self.known.remove(&oldest));
        }
        self.known.insert(place, now_ms);
    }
}

/// An attempt that is made, and counts as failed until it has succeeded.
pub(super) struct Attempt {
    counted_by: Vec<(By, Id)>,
    /// Whose limits it has reached, if it fails.
    pub(super) reaches: Vec<By>,
}

/// The attempts of the last minutes.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Remembered>);

impl Attempts {
    /// Counts an attempt before it is made, so that many at once are as many as one after the other.
    ///
    /// # Errors
    /// It may not be made: in how many milliseconds one may.
    pub(super) fn begin(&self, giver: Giver<'_>, now_ms: i64) -> Result<Attempt, i64> {
        let mut counted_by = giver.counted_by();
        let mut remembered = self.0.lock();
        remembered.sweep(now_ms);
        if counted_by.iter().any(|(_, id)| remembered.known.contains_key(id)) {
            counted_by.retain(|(by, _)| *by != By::Name);
        }
        let mut wait_ms = None;
        for (by, id) in &counted_by {
            if let Some(failures) = remembered.failures.get_mut(id) {
                failures.pass_to(now_ms);
                if failures.count() >= by.failures_max() {
                    wait_ms = wait_ms.max(Some(failures.wait_ms(now_ms)));
                }
            }
        }
        wait_ms.map_or(Ok(()), Err)?;
        let mut reaches = Vec::new();
        for (by, id) in &counted_by {
            let failures = remembered.failures.entry(*id).or_default();
            failures.pass_to(now_ms);
            failures.add();
            if failures.count() == by.failures_max() {
                reaches.push(*by);
            }
        }
        Ok(Attempt { counted_by, reaches })
    }

    /// The attempt was none: the password was right.
    pub(super) fn succeeded(&self, attempt: Attempt, now_ms: i64) {
        let mut remembered = self.0.lock();
        for (by, id) in attempt.counted_by {
            match by {
                By::NameAtNetwork | By::Session => {
                    remembered.failures.remove(&id);
                }
                // Others are counted there, too: only this one is taken back.
                By::Network | By::Name => {
                    remembered.failures.entry(id).and_modify(Failures::take_back);
                }
            }
            if by == By::NameAtNetwork {
                remembered.know(id, now_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_MS: i64 = STEPS as i64 * STEP_MS;

    fn from<'a>(name: &'a str, address: &str) -> Giver<'a> {
        Giver::Stranger(name, Some(address.parse().unwrap()))
    }

    /// How many more may be made.
    fn tried(attempts: &Attempts, giver: Giver<'_>, now_ms: i64) -> usize {
        (0..200).take_while(|_| attempts.begin(giver, now_ms).is_ok()).count()
    }

    #[test]
    fn so_many_fail_by_each_and_the_window_passes() {
        let attempts = Attempts::default();
        assert_eq!(tried(&attempts, from("a", "10.0.0.1"), 0), 10);
        assert_eq!(tried(&attempts, from("b", "10.0.0.1"), 1), 10);
        assert_eq!(tried(&attempts, from("c", "10.0.0.1"), STEP_MS), 10);
        assert_eq!(tried(&attempts, from("d", "10.0.0.1"), STEP_MS), 0, "by network, for whomever");
        assert_eq!(tried(&attempts, from("d", "::ffff:10.0.0.1"), STEP_MS), 0, "however it is written");
        for nth in 2..11 {
            assert_eq!(tried(&attempts, from("a", &format!("10.0.0.{nth}")), STEP_MS), 10);
        }
        assert_eq!(tried(&attempts, from("a", "10.0.1.1"), STEP_MS), 0, "by name, from wherever");
        assert_eq!(tried(&attempts, from("e", "2001:db8:0:1::1"), STEP_MS), 10);
        assert_eq!(tried(&attempts, from("e", "2001:db8:0:1:ffff::"), STEP_MS), 0, "one network");
        assert_eq!(tried(&attempts, from("e", "2001:db8:0:2::"), STEP_MS), 10);
        assert_eq!(tried(&attempts, Giver::Session(&[1; 32]), STEP_MS), 10);
        assert_eq!(tried(&attempts, Giver::Session(&[2; 32]), STEP_MS), 10);
        assert_eq!(tried(&attempts, from("d", "10.0.0.1"), WINDOW_MS - 1), 0);
        assert_eq!(
            tried(&attempts, from("d", "10.0.0.1"), WINDOW_MS),
            10,
            "of the 30 those of the first minute are over"
        );
        assert_eq!(tried(&attempts, from("a", "10.0.1.1"), 3 * WINDOW_MS), 10);
    }

    #[test]
    fn who_has_to_wait_is_told_until_when() {
        let attempts = Attempts::default();
        let wait_ms = |name, address, now_ms| attempts.begin(from(name, address), now_ms).err();
        assert_eq!(tried(&attempts, from("a", "10.0.0.1"), STEP_MS - 1), 10);
        assert_eq!(wait_ms("a", "10.0.0.1", STEP_MS - 1), Some(WINDOW_MS - STEP_MS + 1));
        assert_eq!(tried(&attempts, from("b", "10.0.0.1"), STEP_MS), 10);
        assert_eq!(tried(&attempts, from("c", "10.0.0.1"), STEP_MS), 10);
        assert_eq!(wait_ms("b", "10.0.0.1", STEP_MS), Some(WINDOW_MS), "both limits, the later one");
        assert_eq!(wait_ms("a", "10.0.0.1", WINDOW_MS - 1), Some(1));
        assert_eq!(wait_ms("a", "10.0.0.1", WINDOW_MS), None);
    }

    #[test]
    fn who_signs_in_has_not_failed_and_is_let_in_there_whatever_strangers_do() {
        let attempts = Attempts::default();
        for _ in 0..200 {
            let attempt = attempts.begin(from("a", "10.0.0.1"), 0).unwrap();
            attempts.succeeded(attempt, 0);
        }
        for nth in 1..=10 {
            assert_eq!(tried(&attempts, from("a", &format!("10.1.0.{nth}")), 0), 10);
        }
        assert_eq!(tried(&attempts, from("a", "10.2.0.1"), 0), 0);
        assert_eq!(tried(&attempts, from("a", "10.0.0.1"), 0), 10, "and no more");
    }

    #[test]
    fn the_one_that_reaches_a_limit_says_so() {
        let attempts = Attempts::default();
        let reached = |nth: usize| {
            let address = format!("10.0.0.{}", nth / 10);
            attempts.begin(from("a", &address), 0).ok().map(|attempt| attempt.reaches)
        };
        let told: Vec<_> = (0..101).filter_map(reached).collect();
        assert_eq!(told.len(), 100);
        assert!((0..100).all(|nth| told[nth].contains(&By::NameAtNetwork) == (nth % 10 == 9)));
        assert!((0..100).all(|nth| told[nth].contains(&By::Name) == (nth == 99)));
    }

    #[test]
    fn no_more_are_remembered_than_so_many_and_none_when_the_window_is_over() {
        let attempts = Attempts::default();
        assert!(size_of::<(Id, Failures)>() <= 100);
        for nth in 0..u32::try_from(REMEMBERED_MAX).unwrap() {
            let (name, address) = (nth.to_string().repeat(100), IpAddr::from(nth.to_be_bytes()));
            let giver = Giver::Stranger(&name, Some(address));
            let attempt = attempts.begin(giver, i64::from(nth) % 7).unwrap();
            if nth % 4 == 0 {
                attempts.succeeded(attempt, i64::from(nth));
            }
            let remembered = attempts.0.lock();
            assert!(remembered.failures.len() <= REMEMBERED_MAX && remembered.known.len() <= KNOWN_MAX);
        }
        attempts.begin(from("a", "10.0.0.1"), 2 * WINDOW_MS).unwrap();
        let remembered = attempts.0.lock();
        assert_eq!((remembered.failures.len(), remembered.known.len()), (3, KNOWN_MAX));
        assert!(remembered.failures.capacity() < 100, "its room is given back");
    }
}
