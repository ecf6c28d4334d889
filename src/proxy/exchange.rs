//! The state of one request and its answer: one field for each stage's result. Stages meet only here.

use super::attempts::Attempts;
use super::collected::Collected;
use super::control::Control;
use super::form::Told;
use super::idempotency::Keeping;
use super::lane::{Lane, Translating};
use super::memory::Room;
use super::packing::Unpacker;
use super::prompt::Prompt;
use super::shared::Shared;
use super::tries::Tries;
use super::veil::Veil;
use super::{Door, route, settle};
use crate::balance::{CandidateBreakers, ErrorHead, Failure, Pick};
use crate::clock::{millis, steady_unsigned_ms, unix_ms};
use crate::dialect::answer::Tail;
use crate::dialect::endpoint::{Endpoint, Target};
use crate::dialect::request::RequestFacts;
use crate::dialect::usage::Scanner;
use crate::dialect::{DialectId, Framing};
use crate::keyring::KeyEntry;
use crate::ledger::Hold;
use crate::price::Price;
use crate::provider::Tiers;
use crate::snapshot::{Route, Snapshot, Upstream};
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use pingora::{Error, ErrorType, Result};
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::SetOnce;
use tollgate_plugin_api::{Lease, Metered, Reject, RejectCode};
use uuid::Uuid;

/// What the stages know of one request; made when its head has been read.
pub struct Exchange {
    pub(super) shared: Arc<Shared>,
    /// The configuration of admission; a reload does not change a running exchange.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) request_id: Uuid,
    pub(super) started: Instant,
    pub(super) started_at_ms: i64,
    /// Where it came in.
    pub(super) door: Door,
    /// Who calls, as far as trusted proxies tell.
    pub(super) client: Option<IpAddr>,
    /// The dialect in which refusals are worded.
    pub(super) dialect: DialectId,
    /// What the HTTP server found wrong with the head.
    pub(super) unsound: Option<Reject>,
    /// Where it stands between upstream and client.
    pub(super) control: Control,
    /// Stage 1.
    pub(super) admitted: Option<Box<Admitted>>,
    /// Stages 2 to 4, of all attempts.
    pub(super) attempts: Attempts,
    /// Stages 2 to 4, of the attempt that runs.
    pub(super) attempt: Option<Attempt>,
    /// Who calls, from when that is known.
    pub(super) caller: Option<Arc<KeyEntry>>,
    /// Operation, model, and whether a stream is asked for, from when they are known; for plugins that want to know.
    pub(super) asked: Option<Asked>,
    /// What it cost, for plugins that want to know.
    pub(super) bill: Option<Arc<SetOnce<Bill>>>,
    /// Its idempotency key, which is taken for it until this goes.
    pub(super) keeping: Option<Box<Keeping>>,
    /// What we answered ourselves.
    pub(super) rejected: Option<RejectCode>,
}

/// Leases in place: there are two at most, the caller's and the upstream's, unless plugins of one's own give more.
pub(super) type Leases = SmallVec<[Lease; 2]>;

/// What an exchange consumed and cost.
pub(super) struct Bill {
    pub(super) metered: Metered,
    pub(super) cost_nanos: i64,
    /// As the record has it.
    pub(super) status: u16,
    pub(super) outcome: &'static str,
    pub(super) error_code: Option<String>,
    pub(super) ttft_ms: Option<u64>,
}

/// What a request asks for, whether or not it is admitted.
pub(super) struct Asked {
    pub(super) endpoint: &'static Endpoint,
    pub(super) model: String,
    pub(super) stream: bool,
    /// What is said, for plugins that ask for that.
    pub(super) input: Option<String>,
}

/// What `admit` found out.
pub(super) struct Admitted {
    pub(super) target: Target,
    pub(super) facts: RequestFacts,
    pub(super) route: Arc<Route>,
    /// The request body as the client sent it; freed when the first byte of the answer goes out.
    pub(super) body: Bytes,
    /// The memory that it has; given back when it is freed.
    pub(super) room: Option<Room>,
    /// What an estimate of the prompt is made from.
    pub(super) prompt: Prompt,
    pub(super) hold: Option<Hold>,
    /// What it takes of limits, until it is settled.
    pub(super) leases: Leases,
    /// The key has a quota.
    pub(super) limited: bool,
}

/// One attempt at one upstream.
pub(super) struct Attempt {
    pub(super) pick: Pick,
    pub(super) upstream: Arc<Upstream>,
    pub(super) upstream_model: Arc<str>,
    pub(super) breakers: CandidateBreakers,
    pub(super) price: Option<Arc<Price>>,
    pub(super) tiers: Option<Tiers>,
    pub(super) leases: Leases,
    /// The request in the upstream's dialect, where it is not the client's.
    pub(super) lane: Option<Box<Lane>>,
    /// What goes upstream.
    pub(super) body: Bytes,
    /// We asked for the usage chunk, not the client: it is taken out again.
    pub(super) takes_out_usage_chunk: bool,
    pub(super) tries: Tries,
    /// The breakers have been told how it ended.
    pub(super) judged: bool,
    /// How it failed, if it was judged so.
    pub(super) failure: Option<Failure>,
    /// Boxed: a kilobyte that is not moved along with an exchange that has none yet.
    pub(super) answer: Option<Box<Answer>>,
}

/// The answer of the attempt that runs.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The upstream's.
    pub(super) framing: Framing,
    /// How what the client gets is framed: the same, but for translated answers.
    pub(super) client_framing: Framing,
    pub(super) scanner: Scanner,
    /// Into the client's dialect, where the upstream speaks another.
    pub(super) translation: Option<Translating>,
    /// What the translation keeps until all of it is there.
    pub(super) collected: Collected,
    /// What was translated before the answer turned out to be unreadable, and is not out yet.
    pub(super) unsent: Bytes,
    /// Over what may be an error event in a stream that passes as it is.
    pub(super) veil: Veil,
    /// Where what went to the client stops.
    pub(super) tail: Tail,
    /// What it is by its head, until its first byte has been looked at, where that could show it to be something else.
    pub(super) told: Option<Told>,
    /// It comes packed.
    pub(super) unpacker: Option<Box<Unpacker>>,
    /// An error answer, collected to be judged as a whole.
    pub(super) error: Option<ErrorAnswer>,
    /// From the request to the first token.
    pub(super) first_token: Option<Duration>,
    /// From the attempt to the first token.
    pub(super) first_token_after: Option<Duration>,
    /// Its end is told apart from a broken connection by HTTP itself.
    pub(super) delimited: bool,
    /// It turned out to be an error while the client was there.
    pub(super) is_error_told: bool,
    /// The body ended, whole or not.
    pub(super) ended: bool,
    pub(super) checkpoint: Checkpoint,
}

impl Answer {
    /// Whether it arrives in events that mean something one by one.
    pub(super) fn streams(&self) -> bool {
        in_events(self.framing)
    }

    /// Whether the client gets it so.
    pub(super) fn goes_out_in_events(&self) -> bool {
        in_events(self.client_framing)
    }

    /// Whether it is translated as a whole.
    pub(super) fn is_collected(&self) -> bool {
        self.translation.is_some() && !(self.streams() && self.goes_out_in_events())
    }
}

fn in_events(framing: Framing) -> bool {
    matches!(framing, Framing::Sse | Framing::JsonArray | Framing::NdJson | Framing::EventStream)
}

/// An error answer on its way.
#[derive(Default)]
pub(super) struct ErrorAnswer {
    pub(super) body: BytesMut,
    pub(super) head: ErrorHead,
    /// The client gets an error of ours instead: it is in a coding that nobody here reads, a redirect (which its client would follow,
    /// with our key and past all of this), or a page.
    pub(super) is_told_anew: bool,
}

/// When progress was last journaled, or could have been.
pub(super) struct Checkpoint {
    /// Something was journaled.
    pub(super) taken: bool,
    pub(super) at: Instant,
    pub(super) delivered_bytes: u64,
    pub(super) delivered_pieces: u64,
    /// What the prompt comes to, if it was looked at.
    pub(super) prompt_tokens: Option<u64>,
}

impl Checkpoint {
    pub(super) fn at(now: Instant) -> Self {
        Self { taken: false, at: now, delivered_bytes: 0, delivered_pieces: 0, prompt_tokens: None }
    }
}

impl Exchange {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        shared.metrics.in_flight.inc();
        let snapshot = shared.snapshot.load_full();
        let started = Instant::now();
        let started_at_ms = unix_ms();
        Self {
            request_id: request_id(started_at_ms),
            started,
            started_at_ms,
            door: Door::default(),
            client: None,
            dialect: DialectId::OpenAi,
            unsound: None,
            control: Control::new(&snapshot.routing, shared.drains.clone(), started.into()),
            admitted: None,
            attempts: Attempts::default(),
            attempt: None,
            caller: None,
            asked: None,
            bill: (!snapshot.plugins.logging.is_empty()).then(Arc::default),
            keeping: None,
            rejected: None,
            snapshot,
            shared,
        }
    }

    /// The request id as it stands in headers and records.
    pub(super) fn request_id_text(&self) -> String {
        self.request_id.as_hyphenated().to_string()
    }

    /// The request id as a header field's value.
    pub(super) fn request_id_header(&self) -> HeaderValue {
        let mut text = [0; 36];
        let text = self.request_id.as_hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    /// Whether another attempt may follow: nothing went out, the client waits, attempts are left.
    pub(super) fn may_fail_over(&self) -> bool {
        !self.control.settled && self.attempts.count < self.snapshot.routing.attempts_max && self.control.untouched()
    }

    pub(super) fn client_gone(&self) -> bool {
        self.control.client_gone()
    }

    /// The client has left: what is read on for is none of its requests that run at once. The upstream's limits keep it, for there it does.
    pub(super) fn leave_limits(&mut self) {
        if let Some(admitted) = &mut self.admitted {
            admitted.leases.iter_mut().for_each(Lease::leave);
        }
    }

    /// The answer of the attempt that runs, if it has one yet.
    pub(super) fn answered(&self) -> Option<&Answer> {
        self.attempt.as_ref()?.answer.as_deref()
    }

    /// The same, where bytes of it are here.
    ///
    /// # Errors
    /// There is none, which is a mistake of ours: what nobody reads, masks and bills goes to nobody.
    pub(super) fn answer(&self) -> Result<&Answer> {
        self.answered().map_or_else(|| impossible("no answer has begun"), Ok)
    }

    /// The same, to be changed, and whose it is.
    ///
    /// # Errors
    /// As of [`Exchange::answer`].
    pub(super) fn answer_mut(&mut self) -> Result<(&Upstream, &mut Answer)> {
        match &mut self.attempt {
            Some(Attempt { upstream, answer: Some(answer), .. }) => Ok((upstream, answer)),
            _ => impossible("no answer has begun"),
        }
    }

    /// What was admitted, and the attempt that runs at it.
    ///
    /// # Errors
    /// Either is not there, which is a mistake of ours.
    pub(super) fn attempted(&self) -> Result<(&Admitted, &Attempt)> {
        match (&self.admitted, &self.attempt) {
            (Some(admitted), Some(attempt)) => Ok((admitted, attempt)),
            _ => impossible("nothing is attempted"),
        }
    }

    /// The refusal for an exchange whose attempts all ended without an HTTP answer.
    pub(super) fn upstream_refusal(&self) -> Reject {
        if self.attempts.timed_out {
            return RejectCode::UpstreamTimeout.into();
        }
        let (plan, now_ms) = (self.admitted.as_ref().map(|admitted| &admitted.route.plan), steady_unsigned_ms());
        let seconds = |wait_ms: u64| wait_ms.div_ceil(1000).max(1);
        let passed = plan.filter(|_| self.attempts.count == 0 && self.attempts.noted.passed_for_breakers());
        let passed_wait_ms = passed.map(|plan| plan.breakers_wait_ms(now_ms));
        if let Some(refused) = self.attempts.refusal(passed_wait_ms.map(seconds)) {
            return refused.clone();
        }
        let wait_ms = passed_wait_ms.or_else(|| Some(plan?.retry_after_ms(now_ms))).unwrap_or(0);
        Reject::new(RejectCode::UpstreamUnavailable).retry_after_s(seconds(wait_ms))
    }
}

impl Drop for Exchange {
    /// A panic in a filter ends here: what was held is settled all the same.
    fn drop(&mut self) {
        let _ = settle::abandoned(self);
        route::drop_next(self);
        self.shared.metrics.in_flight.dec();
    }
}

/// What cannot be is found to be: the exchange ends here, as one that failed.
///
/// # Errors
/// Always.
pub(super) fn impossible<T>(found: &'static str) -> Result<T> {
    Error::e_explain(ErrorType::InternalError, found)
}

/// A new UUIDv7: the time, and 74 random bits. (The usual constructor counts within a millisecond, under one lock for all.)
fn request_id(at_ms: i64) -> Uuid {
    let random: u128 = rand::random();
    uuid::Builder::from_unix_timestamp_millis(
        at_ms.unsigned_abs(),
        &random.to_ne_bytes()[..10].try_into().unwrap_or_default(),
    )
    .into_uuid()
}
