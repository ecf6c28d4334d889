//! A sliding window: what was taken in the last so many milliseconds, in slots. A slot leaves the window when all of it is
//! older than that, so that no window of the limit's length ever holds more than the limit; it may hold a sixtieth less.

/// Slots of a window, and the one that is being filled.
const SLOTS: usize = 61;

/// The sum over one window.
#[derive(Debug)]
pub(crate) struct Window {
    slot_ms: i64,
    /// Number of the slot that is being filled, since 1970.
    head: i64,
    /// When the next one is.
    head_ends_ms: i64,
    total: u64,
    /// By number modulo `SLOTS`.
    slots: Box<[u64; SLOTS]>,
}

impl Window {
    /// An empty one of at least a second.
    pub(crate) fn new(window_ms: u64) -> Self {
        let slot_ms = i64::try_from(window_ms).unwrap_or(i64::MAX).max(1) as u64;
        let slot_ms = slot_ms.div_ceil(SLOTS as u64 - 1) as i64;
        Self { slot_ms, head: 0, head_ends_ms: slot_ms, total: 0, slots: Box::new([0; SLOTS]) }
    }

    /// Lets what is older than the window go. A clock that goes backwards stands still here.
    pub(crate) fn advance(&mut self, now_ms: i64) {
        // Nearly always.
        if now_ms < self.head_ends_ms {
            return;
        }
        let number = now_ms / self.slot_ms;
        let steps = number - self.head;
        if steps >= SLOTS as i64 {
            self.slots.fill(0);
            self.total = 0;
        } else {
            for gone in self.head + 1..=number {
                let slot = &mut self.slots[place(gone)];
                self.total -= *slot;
                *slot = 0;
            }
        }
        self.head = number;
        self.head_ends_ms = number.saturating_add(1).saturating_mul(self.slot_ms);
    }

    /// What is in the window, as of the last [`advance`](Self::advance).
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Adds to what is taken now.
    pub(crate) fn add(&mut self, amount: u64) {
        // The sum of the slots must not overflow either.
        let amount = amount.min(u64::MAX - self.total);
        self.slots[place(self.head)] += amount;
        self.total += amount;
    }

    /// Gives back what was taken at `at_ms`, if that is still in the window.
    pub(crate) fn give_back(&mut self, at_ms: i64, amount: u64) {
        let number = (at_ms / self.slot_ms).min(self.head);
        if self.head - number < SLOTS as i64 {
            let slot = &mut self.slots[place(number)];
            let given = amount.min(*slot);
            *slot -= given;
            self.total -= given;
        }
    }

    /// Milliseconds until all has left the window.
    pub(crate) fn until_empty(&self, now_ms: i64) -> u64 {
        if self.total == 0 {
            return 0;
        }
        // Nearly always the newest slot is not empty.
        let oldest = self.head - (SLOTS as i64 - 1);
        let newest = (oldest..=self.head).rev().find(|number| self.slots[place(*number)] > 0);
        newest.map_or(0, |number| self.leaves_in(number, now_ms))
    }

    /// Milliseconds until `amount` has left the window.
    pub(crate) fn until_gone(&self, amount: u64, now_ms: i64) -> u64 {
        let amount = amount.min(self.total);
        let mut gone = 0_u64;
        let oldest = self.head - (SLOTS as i64 - 1);
        for number in oldest..=self.head {
            if gone >= amount {
                return if number == oldest { 0 } else { self.leaves_in(number - 1, now_ms) };
            }
            gone += self.slots[place(number)];
        }
        if amount == 0 { 0 } else { self.leaves_in(self.head, now_ms) }
    }

    /// Milliseconds until a slot leaves the window.
    fn leaves_in(&self, number: i64, now_ms: i64) -> u64 {
        let leaves_at = number.saturating_add(SLOTS as i64).saturating_mul(self.slot_ms);
        u64::try_from(leaves_at.saturating_sub(now_ms)).unwrap_or(0).max(1)
    }
}

/// Where the slot with this number is.
#[inline]
fn place(number: i64) -> usize {
    number.rem_euclid(SLOTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_older_than_the_window_is_gone() {
        let mut window = Window::new(60_000);
        window.advance(1_000_000);
        window.add(3);
        window.advance(1_030_500);
        window.add(4);
        assert_eq!(window.total(), 7);
        assert_eq!(window.until_gone(3, 1_030_500), 30_500);
        assert_eq!(window.until_gone(4, 1_030_500), 60_500);
        window.advance(1_060_999);
        assert_eq!(window.total(), 7, "a slot stays until all of it is too old");
        window.advance(1_061_000);
        assert_eq!(window.total(), 4);
        window.give_back(1_030_600, 1);
        assert_eq!(window.total(), 3);
        window.give_back(1_000_000, 3);
        assert_eq!(window.total(), 3, "what has left cannot be given back");
        window.advance(1_000_000);
        assert_eq!(window.total(), 3, "the clock went backwards");
        window.advance(9_000_000);
        assert_eq!((window.total(), window.until_empty(9_000_000)), (0, 0));
    }

    proptest! {
        /// Against the plain definition: the sum over every window of the limit's length is never above what the window says.
        #[test]
        fn no_window_of_this_length_holds_more(
            window_ms in 1_000_u64..200_000,
            steps in proptest::collection::vec((0_i64..30_000, 0_u64..100), 1..60),
        ) {
            let mut window = Window::new(window_ms);
            let (mut now, mut all) = (1_700_000_000_000_i64, Vec::new());
            for (step_ms, amount) in steps {
                now += step_ms;
                window.advance(now);
                window.add(amount);
                all.push((now, amount));
                let sum: u64 =
                    all.iter().filter(|(at, _)| now - at < window_ms as i64).map(|(_, amount)| amount).sum();
                prop_assert!(window.total() >= sum, "{} < {sum}", window.total());
                // Slots are of whole milliseconds.
                let generous = SLOTS as i64 * window.slot_ms;
                let most: u64 = all.iter().filter(|(at, _)| now - at <= generous).map(|(_, amount)| amount).sum();
                prop_assert!(window.total() <= most);
                let wait = window.until_gone(window.total(), now);
                prop_assert_eq!(window.until_empty(now), wait);
                if window.total() > 0 {
                    window.advance(now);
                    let mut later = Window { slots: window.slots.clone(), ..window };
                    later.advance(now + wait as i64);
                    prop_assert_eq!(later.total(), 0);
                    window = Window { slots: window.slots.clone(), ..window };
                }
            }
        }

        /// Against slots that are kept for good.
        #[test]
        fn what_is_given_back_is_taken_from_when_it_was_taken(
            window_ms in 1_000_u64..200_000,
            steps in proptest::collection::vec((-2_000_i64..30_000, 0_u64..100, any::<prop::sample::Index>(), 0_u64..50), 1..60),
        ) {
            let mut window = Window::new(window_ms);
            let (mut now, mut times, mut slots) = (1_700_000_000_000_i64, Vec::new(), std::collections::BTreeMap::new());
            for (step_ms, amount, back_to, back) in steps {
                now += step_ms;
                window.advance(now);
                window.add(amount);
                times.push(now);
                *slots.entry(window.head).or_insert(0) += amount;
                let at = times[back_to.index(times.len())];
                window.give_back(at, back);
                let number = (at / window.slot_ms).min(window.head);
                if let Some(slot) = slots.get_mut(&number) {
                    *slot -= back.min(*slot);
                }
                let oldest = window.head - (SLOTS as i64 - 1);
                slots.retain(|number, _| *number >= oldest);
                prop_assert_eq!(window.total(), slots.values().sum::<u64>());
                let newest = slots.iter().rev().find(|(_, amount)| **amount > 0);
                prop_assert_eq!(window.until_empty(now), newest.map_or(0, |(number, _)| window.leaves_in(*number, now)));
                prop_assert_eq!(window.until_gone(window.total(), now), window.until_empty(now));
            }
        }
    }
}
