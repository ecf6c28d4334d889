//! One charge for each idempotency key: of those who come with the same one, one is served.
//!
//! A key is taken from admission to the end of its request. Then it is done for a day, if anything was billed or delivered
//! for it; if not, it is free again, so that whoever tries again is served. That is decided here, in memory. The journal has
//! a key together with the hold, and the store beside the rows, so the end of a process changes nothing; answers are kept
//! in memory alone.

use crate::clock::steady_ms;
use crate::store::{Stands, Store, StoreError, StoredClaim};
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// A key that is done is remembered for this long.
pub(super) const CLAIM_AGE_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// What is remembered at most. Keys that are taken come besides: the ledger's slots bound them.
const LIMITS: Limits = Limits { done_max: 100_000, kept_bytes_max: 64 << 20, answer_bytes_max: 1 << 20 };

#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Keys that are done.
    done_max: usize,
    /// Bytes of answers in all, and of one.
    kept_bytes_max: usize,
    answer_bytes_max: usize,
}

type Digest = [u8; 16];

/// What a request says by its idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimTag {
    /// Of the caller and the idempotency key.
    pub key: Digest,
    /// Of all that the request asks for.
    pub request: Digest,
}

/// An answer as the client got it.
pub struct KeptAnswer {
    /// HTTP's.
    pub status: u16,
    /// The field's value.
    pub content_type: Option<Bytes>,
    /// All bytes of it.
    pub body: Bytes,
}

/// What becomes of a request with an idempotency key.
pub enum Claiming {
    /// It is served.
    Taken(Arc<Claim>),
    /// Another request with the key is being served.
    Running,
    /// That request has been served, and this was the answer, if it was kept.
    Done(Uuid, Option<Arc<KeptAnswer>>),
    /// The key is another request's.
    Mismatch,
}

/// See the module.
pub struct Claims {
    limits: Limits,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Digest, Entry>,
    /// Keys that are done, oldest first, and their requests.
    done: VecDeque<(Digest, Uuid)>,
    /// The same of those whose answers are kept.
    kept: VecDeque<(Digest, Uuid)>,
    /// Bytes of answers, those that have not ended included.
    kept_bytes: usize,
    /// Keys of requests that run in another process.
    elsewhere: HashMap<Uuid, Digest>,
}

struct Entry {
    request: Digest,
    request_id: Uuid,
    /// By [`steady_ms`].
    taken_at_ms: i64,
    state: State,
}

enum State {
    Running,
    Done(Option<Arc<KeptAnswer>>),
}

impl Default for Claims {
    fn default() -> Self {
        Self { limits: LIMITS, table: Mutex::default() }
    }
}

impl Claims {
    /// Remembers what the store does. How old that is, only the machine's clock can tell, which shows `now_ms`; from here on it
    /// ages as time passes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn load(&self, store: &dyn Store, now_ms: i64) -> Result<(), StoreError> {
        let since_ms = now_ms.saturating_sub(CLAIM_AGE_MAX_MS);
        let claims = store.claims_since(since_ms, self.limits.done_max)?;
        let mut table = self.table.lock();
        for StoredClaim { tag, request_id, started_at_ms, stands } in claims.into_iter().rev() {
            let is_done = match stands {
                Stands::Nowhere => continue,
                Stands::Open => false,
                Stands::Served => true,
            };
            let state = if is_done { State::Done(None) } else { State::Running };
            let taken_at_ms = steady_ms() - now_ms.saturating_sub(started_at_ms).clamp(0, CLAIM_AGE_MAX_MS);
            table.entries.insert(tag.key, Entry { request: tag.request, request_id, taken_at_ms, state });
            if is_done {
                table.done.push_back((tag.key, request_id));
            } else {
                table.elsewhere.insert(request_id, tag.key);
            }
        }
        Ok(())
    }

    /// Takes a key for a request, if it is free.
    pub fn claim(self: &Arc<Self>, tag: ClaimTag, request_id: Uuid) -> Claiming {
        self.claim_at(steady_ms(), tag, request_id)
    }

    pub(super) fn claim_at(self: &Arc<Self>, steady_ms: i64, tag: ClaimTag, request_id: Uuid) -> Claiming {
        let mut table = self.table.lock();
        table.forget(|entry| entry.taken_at_ms < steady_ms - CLAIM_AGE_MAX_MS);
        match table.entries.get(&tag.key) {
            Some(entry) if entry.request != tag.request => return Claiming::Mismatch,
            Some(Entry { state: State::Running, .. }) => return Claiming::Running,
            Some(Entry { state: State::Done(answer), request_id, .. }) => {
                return Claiming::Done(*request_id, answer.clone());
            }
            None => {}
        }
        let entry = Entry { request: tag.request, request_id, taken_at_ms: steady_ms, state: State::Running };
        table.entries.insert(tag.key, entry);
        Claiming::Taken(Arc::new(Claim { claims: Arc::clone(self), tag, request_id, course: Mutex::default() }))
    }

    /// A request that ran in another process has ended there.
    pub(super) fn ended_elsewhere(&self, request_id: Uuid, is_served: bool) {
        let mut table = self.table.lock();
        if let Some(key) = table.elsewhere.remove(&request_id) {
            table.end(key, request_id, Course { is_served, ..Course::default() }, self.limits.done_max);
        }
    }

    /// Makes room for so many bytes of an answer, the oldest answers go for it. False: there is none.
    fn reserve(&self, bytes: usize) -> bool {
        let mut table = self.table.lock();
        while table.kept_bytes + bytes > self.limits.kept_bytes_max {
            let Some((key, request_id)) = table.kept.pop_front() else { return false };
            table.forget_answer(key, request_id);
        }
        table.kept_bytes += bytes;
        true
    }
}

impl Table {
    fn end(&mut self, key: Digest, request_id: Uuid, course: Course, done_max: usize) {
        let entry = self.entries.get_mut(&key).filter(|entry| entry.request_id == request_id);
        let kept = course.answer.filter(|_| course.is_served && entry.is_some());
        if kept.is_none() {
            self.kept_bytes -= course.reserved_bytes;
        }
        let Some(entry) = entry else { return };
        if !course.is_served {
            self.entries.remove(&key);
            return;
        }
        if kept.is_some() {
            self.kept.push_back((key, request_id));
        }
        entry.state = State::Done(kept.map(Arc::new));
        self.done.push_back((key, request_id));
        let too_many = self.done.len().saturating_sub(done_max);
        let mut nth = 0;
        self.forget(|_| {
            nth += 1;
            nth <= too_many
        });
    }

    /// Forgets keys that are done, the oldest first, as long as they are to be.
    fn forget(&mut self, mut is_due: impl FnMut(&Entry) -> bool) {
        while let Some((key, request_id)) = self.done.front().copied() {
            if !self.entries.get(&key).is_none_or(&mut is_due) {
                return;
            }
            self.done.pop_front();
            self.forget_answer(key, request_id);
            self.entries.remove(&key);
            // Both in the order in which they ended.
            if self.kept.front() == Some(&(key, request_id)) {
                self.kept.pop_front();
            }
        }
    }

    fn forget_answer(&mut self, key: Digest, request_id: Uuid) {
        let entry = self.entries.get_mut(&key).filter(|entry| entry.request_id == request_id);
        if let Some(Entry { state: State::Done(answer), .. }) = entry {
            self.kept_bytes -= answer.take().map_or(0, |answer| answer.body.len());
        }
    }
}

/// A key that is taken. When the last who has it lets go, it is done, or free.
pub struct Claim {
    claims: Arc<Claims>,
    tag: ClaimTag,
    request_id: Uuid,
    course: Mutex<Course>,
}

/// What has become of its request so far.
#[derive(Default)]
struct Course {
    is_served: bool,
    answer: Option<KeptAnswer>,
    reserved_bytes: usize,
}

impl Claim {
    pub(super) fn tag(&self) -> ClaimTag {
        self.tag
    }

    /// The request has ended in the ledger: whether anything was billed or delivered.
    pub(super) fn settled(&self, is_served: bool) {
        self.course.lock().is_served = is_served;
    }

    /// Makes room for so many further bytes of the answer. False: there is none, and what was reserved is given back.
    pub fn reserve(&self, bytes: usize) -> bool {
        let mut course = self.course.lock();
        let fits = course.reserved_bytes + bytes <= self.claims.limits.answer_bytes_max;
        if fits && self.claims.reserve(bytes) {
            course.reserved_bytes += bytes;
            return true;
        }
        self.claims.table.lock().kept_bytes -= std::mem::take(&mut course.reserved_bytes);
        false
    }

    /// The whole answer, for which room was made.
    pub fn answered(&self, answer: KeptAnswer) {
        let mut course = self.course.lock();
        debug_assert_eq!(course.reserved_bytes, answer.body.len());
        course.answer = Some(answer);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let course = std::mem::take(self.course.get_mut());
        self.claims.table.lock().end(self.tag.key, self.request_id, course, self.claims.limits.done_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: i64 = CLAIM_AGE_MAX_MS + 1;

    fn claims(done_max: usize, kept_bytes_max: usize, answer_bytes_max: usize) -> Arc<Claims> {
        let limits = Limits { done_max, kept_bytes_max, answer_bytes_max };
        Arc::new(Claims { limits, table: Mutex::default() })
    }

    fn tag(key: u8) -> ClaimTag {
        ClaimTag { key: [key; 16], request: [7; 16] }
    }

    fn id(key: u8) -> Uuid {
        Uuid::from_u128(key.into())
    }

    fn take(claims: &Arc<Claims>, key: u8, now_ms: i64) -> Arc<Claim> {
        match claims.claim_at(now_ms, tag(key), id(key)) {
            Claiming::Taken(claim) => claim,
            _ => panic!("{key} is not free"),
        }
    }

    /// Serves a request whose answer has so many bytes. False: there was no room for it.
    fn serve(claims: &Arc<Claims>, key: u8, bytes: usize) -> bool {
        let claim = take(claims, key, 0);
        let kept = claim.reserve(bytes);
        if kept {
            claim.answered(KeptAnswer { status: 200, content_type: None, body: vec![key; bytes].into() });
        }
        claim.settled(true);
        kept
    }

    /// What one gets who comes again.
    fn stands(claims: &Arc<Claims>, key: u8) -> &'static str {
        match claims.claim_at(0, tag(key), Uuid::max()) {
            Claiming::Taken(_) => "free",
            Claiming::Running => "runs",
            Claiming::Done(request_id, answer) => {
                assert_eq!(request_id, id(key));
                answer.map_or("done", |answer| if answer.body.iter().all(|b| *b == key) { "kept" } else { "another's" })
            }
            Claiming::Mismatch => "mismatch",
        }
    }

    fn kept_bytes(claims: &Claims) -> usize {
        claims.table.lock().kept_bytes
    }

    #[test]
    fn a_key_is_taken_until_the_last_one_lets_go_and_then_done_or_free() {
        let claims = claims(10, 100, 100);
        for (is_served, then) in [(false, "free"), (true, "done")] {
            let claim = take(&claims, 1, 0);
            let other = Arc::clone(&claim);
            claim.settled(is_served);
            drop(claim);
            assert_eq!(stands(&claims, 1), "runs");
            drop(other);
            assert_eq!(stands(&claims, 1), then);
        }
        let asked = ClaimTag { request: [8; 16], ..tag(1) };
        assert!(matches!(claims.claim_at(0, asked, id(9)), Claiming::Mismatch));
        let running = take(&claims, 2, 0);
        assert!(matches!(claims.claim_at(0, ClaimTag { request: [8; 16], ..tag(2) }, id(9)), Claiming::Mismatch));
        drop(running);
    }

    #[test]
    fn an_answer_of_what_was_not_served_is_not_kept() {
        let claims = claims(10, 100, 100);
        let claim = take(&claims, 1, 0);
        assert!(claim.reserve(3));
        claim.answered(KeptAnswer { status: 200, content_type: None, body: vec![1; 3].into() });
        drop(claim);
        assert_eq!((stands(&claims, 1), kept_bytes(&claims)), ("free", 0));
    }

    #[test]
    fn answers_give_way_to_later_ones_and_none_is_larger_than_it_may_be() {
        let claims = claims(10, 100, 60);
        assert!(serve(&claims, 1, 60) && serve(&claims, 2, 40));
        assert_eq!((stands(&claims, 1), stands(&claims, 2), kept_bytes(&claims)), ("kept", "kept", 100));
        assert!(serve(&claims, 3, 1));
        assert_eq!((stands(&claims, 1), stands(&claims, 2), stands(&claims, 3)), ("done", "kept", "kept"));
        assert!(!serve(&claims, 4, 61));
        assert_eq!((stands(&claims, 4), kept_bytes(&claims)), ("done", 41));
        // What is being kept counts, and is never taken away; what is given up comes back.
        let (one, other) = (take(&claims, 5, 0), take(&claims, 6, 0));
        assert!(one.reserve(60) && other.reserve(40));
        assert_eq!((stands(&claims, 2), stands(&claims, 3)), ("done", "done"));
        assert!(!other.reserve(1));
        assert_eq!(kept_bytes(&claims), 60);
        drop((one, other));
        assert_eq!(kept_bytes(&claims), 0);
    }

    #[test]
    fn the_oldest_that_are_done_are_forgotten_first_and_what_runs_never() {
        let claims = claims(2, 100, 100);
        let running = take(&claims, 9, 0);
        for key in 1..=4 {
            serve(&claims, key, 10);
        }
        assert_eq!(kept_bytes(&claims), 20);
        let table = claims.table.lock();
        assert_eq!((table.entries.len(), table.done.len(), table.kept.len()), (3, 2, 2));
        drop(table);
        assert_eq!((stands(&claims, 3), stands(&claims, 4), stands(&claims, 9)), ("kept", "kept", "runs"));
        assert_eq!((stands(&claims, 1), stands(&claims, 2)), ("free", "free"));
        drop(running);
    }

    #[test]
    fn a_key_that_is_done_is_free_again_after_a_day() {
        let claims = claims(10, 100, 100);
        serve(&claims, 1, 10);
        let running = take(&claims, 2, 0);
        assert!(matches!(claims.claim_at(LATER - 1, tag(1), id(3)), Claiming::Done(..)));
        assert!(matches!(claims.claim_at(LATER, tag(1), id(3)), Claiming::Taken(_)));
        assert!(matches!(claims.claim_at(LATER, tag(2), id(3)), Claiming::Running));
        assert_eq!(kept_bytes(&claims), 0);
        drop(running);
    }
}
