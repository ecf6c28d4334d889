//! Why an upstream was tried, and why another was not: noted while routing, told in a header to admins who ask, and kept with
//! the record where it was more than the first candidate, taken and good. A request of which there is nothing to say costs a
//! look at its candidates' breakers.

use super::exchange::{Attempt, Exchange};
use crate::balance::{BreakerState, Candidate, Pick, Plan, Rank};
use crate::clock::{millis, steady_unsigned_ms};
use crate::ledger::{Trail, TrailAttempt, TrailCandidate};
use crate::snapshot::Snapshot;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::LazyCell;
use std::time::Instant;
use tollgate_plugin_api::{KeyHandle, Reject, answer_fields};

/// Asks for the decision, and has it.
pub(super) const EXPLAIN: HeaderName = answer_fields::EXPLAIN;
/// Candidates whose breakers are looked at, and that are told of.
const CANDIDATES_MAX: usize = 32;
/// Longest header.
const HEADER_BYTES_MAX: usize = 4096;

/// The code of a candidate whose breakers let nothing through.
const BREAKER: &str = "breaker";

/// What was noted of an exchange.
#[derive(Default)]
pub(super) struct Noted {
    /// Attempts that failed.
    failed: Vec<(Pick, TrailAttempt)>,
    /// Candidates that were passed over: tier and index, the code, and why.
    passed: Vec<((u32, u32), &'static str, String)>,
}

impl Noted {
    /// Whether a candidate was passed over for its breakers.
    pub(super) fn passed_for_breakers(&self) -> bool {
        self.passed.iter().any(|(_, code, _)| *code == BREAKER)
    }

    fn pass(&mut self, place: (u32, u32), code: &'static str, why: String) {
        if self.passed.len() < CANDIDATES_MAX && !self.passed.iter().any(|(noted, ..)| *noted == place) {
            self.passed.push((place, code, why));
        }
    }
}

fn places(plan: &Plan) -> impl Iterator<Item = ((u32, u32), &Candidate)> {
    let tiers = (0..).zip(&plan.tiers);
    let all = tiers.flat_map(|(tier, members)| (0..).zip(&members.candidates).map(move |(at, one)| ((tier, at), one)));
    all.take(CANDIDATES_MAX)
}

/// Notes which candidates are not available now, up to the priority that one was chosen from.
pub(super) fn note_unavailable(exchange: &mut Exchange, chosen: Option<&Pick>) {
    let Some(admitted) = &exchange.admitted else { return };
    // Seldom asked for: most often the first candidate is the chosen one.
    let now_ms = LazyCell::new(steady_unsigned_ms);
    for (place, candidate) in places(&admitted.route.plan) {
        if chosen.is_some_and(|pick| place.0 > pick.tier) {
            break;
        }
        let is_chosen = chosen.is_some_and(|pick| place == (pick.tier, pick.index));
        let is_tried = || exchange.attempts.noted.failed.iter().any(|(pick, _)| place == (pick.tier, pick.index));
        if is_chosen || candidate.breakers.available(*now_ms) || is_tried() {
            continue;
        }
        let why = unavailable(candidate, *now_ms);
        exchange.attempts.noted.pass(place, BREAKER, why);
    }
}

fn unavailable(candidate: &Candidate, now_ms: u64) -> String {
    let (breaker, is_models) = candidate.breakers.closest(now_ms);
    let whose = if is_models { "its breaker for this model" } else { "its breaker" };
    let cause = breaker.cause().unwrap_or("failures");
    match breaker.state(now_ms) {
        BreakerState::HalfOpen => format!("{whose} is half open after {cause}: another request is the probe"),
        _ => format!("{whose} is open for {} ms more: {cause}", breaker.wait_ms(now_ms)),
    }
}

/// Notes why a candidate that was chosen could not be used.
pub(super) fn note_refused(exchange: &mut Exchange, pick: &Pick, refused: &Reject) {
    let code = if refused.code.row().status == 429 { "limit" } else { "refused" };
    let why = refused.message.clone().unwrap_or_else(|| refused.code.row().code.into());
    exchange.attempts.noted.pass((pick.tier, pick.index), code, why.to_string());
}

/// Notes that the attempt that runs failed.
pub(super) fn note_failed(exchange: &mut Exchange, class: &'static str) {
    let Some(attempt) = &exchange.attempt else { return };
    let said = attempt_of(exchange.started, attempt, class);
    exchange.attempts.noted.failed.push((attempt.pick, said));
}

fn attempt_of(started: Instant, attempt: &Attempt, outcome: &str) -> TrailAttempt {
    TrailAttempt {
        upstream: attempt.upstream.name.to_string(),
        upstream_model: attempt.upstream_model.to_string(),
        started_ms: millis(attempt.tries.started.saturating_duration_since(started)),
        duration_ms: millis(attempt.tries.started.elapsed()),
        outcome: outcome.to_owned(),
        status: attempt.answer.as_ref().map(|answer| answer.status),
        error: None,
    }
}

/// The trail, where there is something to say. `outcome`, `error`: how the exchange ended.
pub(super) fn kept(exchange: &Exchange, outcome: &str, error: Option<&str>) -> Option<Trail> {
    let noted = &exchange.attempts.noted;
    let says_something = exchange.attempts.count > 1 || !noted.passed.is_empty();
    says_something.then(|| trail(exchange, outcome, error))
}

fn trail(exchange: &Exchange, outcome: &str, error: Option<&str>) -> Trail {
    let noted = &exchange.attempts.noted;
    let mut attempts = noted.failed.clone();
    if let Some(attempt) = exchange.attempt.as_ref().filter(|_| attempts.len() < exchange.attempts.count as usize) {
        attempts.push((attempt.pick, attempt_of(exchange.started, attempt, outcome)));
    }
    if let (Some((_, last)), Some(error)) = (attempts.last_mut(), error) {
        last.error = Some(error.to_owned());
    }
    let mut told = Trail { strategy: exchange.snapshot.strategy.name().to_owned(), ..Trail::default() };
    if let Some(admitted) = &exchange.admitted {
        let plan = &admitted.route.plan;
        told.candidates = candidates(&exchange.snapshot, plan, noted, &attempts);
        let all = plan.tiers.iter().map(|tier| tier.candidates.len()).sum::<usize>();
        told.candidates_left_out = (all - told.candidates.len()) as u64;
    }
    told.attempts = attempts.into_iter().map(|(_, attempt)| attempt).collect();
    told
}

/// Why a candidate of this rank was not looked at, in a word and in more.
fn later(Rank { priority, is_last, is_translated }: Rank) -> (&'static str, String) {
    match (is_last, is_translated) {
        (true, _) => ("weight", format!("its weight is 0: at priority {priority}, all others are tried before it")),
        (false, true) => {
            ("priority", format!("it needs a translation: at priority {priority}, what needs none is tried before it"))
        }
        (false, false) => ("priority", format!("its priority {priority} is tried when nothing before it is available")),
    }
}

fn candidates(
    snapshot: &Snapshot,
    plan: &Plan,
    noted: &Noted,
    attempts: &[(Pick, TrailAttempt)],
) -> Vec<TrailCandidate> {
    let last_tier = attempts.last().map_or(0, |(pick, _)| pick.tier);
    let of = |(place, candidate): ((u32, u32), &Candidate)| {
        let attempt = attempts.iter().position(|(pick, _)| place == (pick.tier, pick.index));
        let passed = noted.passed.iter().find(|(passed, ..)| *passed == place);
        let (code, why) = match (attempt, passed) {
            (Some(nth), _) => ("taken", format!("attempt {}", nth + 1)),
            (None, Some((_, code, why))) => (*code, why.clone()),
            (None, None) if place.0 > last_tier => later(plan.tiers[place.0 as usize].rank),
            (None, None) => {
                let total: u64 = plan.tiers[place.0 as usize].candidates.iter().map(|one| u64::from(one.weight)).sum();
                ("weight", format!("another one was chosen; its weight is {} of {total}", candidate.weight))
            }
        };
        TrailCandidate {
            upstream: snapshot.upstreams[candidate.upstream as usize].name.to_string(),
            taken: attempt.is_some(),
            code: code.to_owned(),
            why,
        }
    };
    places(plan).map(of).collect()
}

/// Tells an admin who asked.
pub(super) fn tell(exchange: &Exchange, asked: &HeaderMap, outcome: &str, headers: &mut HeaderMap) {
    if asked.get(EXPLAIN).is_none_or(|value| value.as_bytes() != b"1") {
        return;
    }
    let key = exchange.caller.as_ref().map(|caller| caller.key());
    let is_admin = key.is_some_and(|key| key.user.as_deref().is_some_and(|user| exchange.shared.is_admin(user)));
    if !is_admin {
        return;
    }
    let json = trail(exchange, outcome, None).json(HEADER_BYTES_MAX);
    // What a header cannot have is written as JSON writes it.
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            ' '..='~' => ascii.push(c),
            other => other.encode_utf16(&mut [0; 2]).iter().for_each(|unit| ascii.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    if let Some(value) = HeaderValue::from_str(&ascii).ok().filter(|value| value.len() <= 2 * HEADER_BYTES_MAX) {
        headers.insert(EXPLAIN, value);
    }
}
