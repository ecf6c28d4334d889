//! The meters of everybody who has limits, found by whose they are. One that nothing is taken of any more goes when others come:
//! keys are made and deleted for as long as the process runs.

use crate::meter::Meter;
use papaya::HashMap;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many meters are looked at when one is made: more than one, so that those of the past go faster than new ones come.
const LOOKS: usize = 4;

/// Whose meter it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose<'a> {
    Key(i64),
    User(&'a str),
    Upstream(&'a str),
}

/// The same, to be kept.
#[derive(Clone)]
enum Known {
    Key(i64),
    User(Arc<str>),
    Upstream(Arc<str>),
}

/// See the module.
#[derive(Default)]
pub(crate) struct Meters {
    keys: HashMap<i64, Arc<Meter>>,
    users: HashMap<Arc<str>, Arc<Meter>>,
    upstreams: HashMap<Arc<str>, Arc<Meter>>,
    /// All of them, the one first that was not looked at for longest.
    known: Mutex<VecDeque<Known>>,
}

impl Meters {
    /// Somebody's meter; made when it is first asked for. It may have been retired when its lock is had: then it is asked for again.
    pub(crate) fn of(&self, whose: Whose<'_>, now_ms: i64) -> Arc<Meter> {
        let found = match whose {
            Whose::Key(id) => self.keys.pin().get(&id).cloned(),
            Whose::User(name) => self.users.pin().get(name).cloned(),
            Whose::Upstream(name) => self.upstreams.pin().get(name).cloned(),
        };
        found.unwrap_or_else(|| self.make(whose, now_ms))
    }

    fn make(&self, whose: Whose<'_>, now_ms: i64) -> Arc<Meter> {
        // One at a time: each meter is known once.
        let mut known = self.known.lock();
        let whose = match whose {
            Whose::Key(id) => Known::Key(id),
            Whose::User(name) => Known::User(name.into()),
            Whose::Upstream(name) => Known::Upstream(name.into()),
        };
        if let Some(meter) = self.get(&whose) {
            return meter;
        }
        for _ in 0..LOOKS.min(known.len()) {
            let Some(oldest) = known.pop_front() else { break };
            if !self.retire(&oldest, now_ms) {
                known.push_back(oldest);
            }
        }
        let meter = Arc::<Meter>::default();
        match &whose {
            Known::Key(id) => drop(self.keys.pin().insert(*id, meter.clone()).cloned()),
            Known::User(name) => drop(self.users.pin().insert(name.clone(), meter.clone()).cloned()),
            Known::Upstream(name) => drop(self.upstreams.pin().insert(name.clone(), meter.clone()).cloned()),
        }
        known.push_back(whose);
        meter
    }

    fn get(&self, whose: &Known) -> Option<Arc<Meter>> {
        match whose {
            Known::Key(id) => self.keys.pin().get(id).cloned(),
            Known::User(name) => self.users.pin().get(name).cloned(),
            Known::Upstream(name) => self.upstreams.pin().get(name).cloned(),
        }
    }

    /// Lets a meter go, if nothing is taken of it. Whoever waits for its lock finds it retired.
    fn retire(&self, whose: &Known, now_ms: i64) -> bool {
        let Some(meter) = self.get(whose) else { return true };
        // The map has it, and this: whoever else has it is about to take of it. (Who gets it from now on finds it retired.)
        if Arc::strong_count(&meter) > 2 || !meter.try_lock().is_some_and(|mut taken| taken.retire_if_idle(now_ms)) {
            return false;
        }
        match whose {
            Known::Key(id) => drop(self.keys.pin().remove(id).cloned()),
            Known::User(name) => drop(self.users.pin().remove(name).cloned()),
            Known::Upstream(name) => drop(self.upstreams.pin().remove(name).cloned()),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Limit, Unit};
    use std::sync::atomic::{AtomicU64, Ordering};
    use tollgate_plugin_api::{Amounts, Dated, Lessor};

    const LIMIT: Limit = Limit { unit: Unit::Requests, max: 5, window_ms: 60_000 };
    const ONE: Amounts = Amounts { requests: 1, input_tokens: 0, output_tokens: 0, cost_nanos: 0 };

    fn take(meter: &Meter, now_ms: i64) -> bool {
        let mut taken = meter.lock();
        let fits = taken.check(&[LIMIT], &ONE, now_ms).is_ok();
        if fits {
            taken.take(&[LIMIT], &ONE, now_ms);
        }
        fits
    }

    #[test]
    fn meters_of_keys_that_are_gone_go_and_those_in_use_stay() {
        let meters = Meters::default();
        let mut now_ms = 1_700_000_000_000;
        let running = meters.of(Whose::User("running"), now_ms);
        assert!(take(&running, now_ms));
        for id in 0..10_000 {
            // Each is used once, and its window is long past when the hundredth after it comes.
            now_ms += 1_000;
            let meter = meters.of(Whose::Key(id), now_ms);
            assert!(take(&meter, now_ms));
            let one = Dated { amounts: ONE, at_ms: now_ms };
            meter.end(&one, &one, false);
        }
        assert!(meters.keys.len() < 200, "{}", meters.keys.len());
        assert_eq!(meters.keys.len() + meters.users.len(), meters.known.lock().len());
        assert!(Arc::ptr_eq(&running, &meters.of(Whose::User("running"), now_ms)), "its request runs");
        assert!(Arc::ptr_eq(&meters.of(Whose::Key(9_999), now_ms), &meters.of(Whose::Key(9_999), now_ms)));
    }

    #[test]
    fn those_of_one_request_do_not_drive_each_other_out() {
        let (meters, now_ms) = (Meters::default(), 1_700_000_000_000);
        let both = [Whose::Key(1), Whose::User("u")].map(|whose| meters.of(whose, now_ms));
        assert!(both.iter().all(|meter| !meter.lock().is_retired()));
        drop(both);
        meters.of(Whose::Key(2), now_ms);
        assert_eq!((meters.keys.len(), meters.users.len()), (1, 0), "but idle ones nobody has go");
    }

    #[test]
    fn a_limit_holds_while_meters_come_and_go_under_it() {
        let meters = Meters::default();
        let (now_ms, taken) = (1_700_000_000_000, AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (meters, taken) = (&meters, &taken);
                scope.spawn(move || {
                    for round in 0..2_000 {
                        // Others come: the one that all want is looked at, and idle whenever nobody has taken yet.
                        meters.of(Whose::Key(1 + thread * 10_000 + round), now_ms);
                        let meter = meters.of(Whose::Key(0), now_ms);
                        let mut of_it = meter.lock();
                        if !of_it.is_retired() && of_it.check(&[LIMIT], &ONE, now_ms).is_ok() {
                            of_it.take(&[LIMIT], &ONE, now_ms);
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), LIMIT.max);
    }
}
