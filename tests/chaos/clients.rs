//! The clients, and what each of them has seen.

use crate::plan::{Leave, Plan};
use crate::support::client::{Answer, Client, Ended, Exchange};
use crate::support::gateway::Key;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tokio::task::JoinSet;

/// Requests that run at a time.
const LANES: usize = 64;
/// Of [`Streams`]: streams at a time, of about 70 ms each: 500 a second.
const STREAM_LANES: usize = 40;
const STREAM_TOKENS: u64 = 40;
const STREAM_PAUSE_US: u64 = 7_000;

/// What a client has seen of its answer.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) plan: Plan,
    /// `x-request-id`; `None`: no byte of an answer came.
    pub(crate) id: Option<String>,
    /// 0: none came.
    pub(crate) status: u16,
    /// The gateway itself refused, with this code.
    pub(crate) refused: Option<String>,
    /// It came from an upstream.
    pub(crate) forwarded: bool,
    /// It has the whole answer.
    pub(crate) whole: bool,
    /// It left before that.
    pub(crate) left: bool,
    /// Tokens of text that came, in all and up to a second before the end.
    pub(crate) tokens: u64,
    pub(crate) tokens_second_before: u64,
}

impl Seen {
    fn nothing(plan: Plan, left: bool) -> Self {
        Self {
            plan,
            id: None,
            status: 0,
            refused: None,
            forwarded: false,
            whole: false,
            left,
            tokens: 0,
            tokens_second_before: 0,
        }
    }
}

/// A load of clients that goes on until it is stopped.
pub(crate) struct Load {
    lanes: JoinSet<Vec<Seen>>,
    next: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    first: u64,
}

impl Load {
    /// Requests from number `first` on, as `draw` plans them; keys are taken from `keys`.
    pub(crate) fn start(
        address: SocketAddr,
        keys: &[String],
        first: u64,
        draw: impl Fn(u64) -> Plan + Clone + Send + 'static,
    ) -> Self {
        let (next, stopped) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicBool::new(false)));
        let mut lanes = JoinSet::new();
        for _ in 0..LANES {
            let (next, stopped, keys, draw) = (Arc::clone(&next), Arc::clone(&stopped), keys.to_vec(), draw.clone());
            lanes.spawn(async move {
                let (mut seen, mut kept) = (Vec::new(), None);
                while !stopped.load(Ordering::Acquire) {
                    let plan = draw(next.fetch_add(1, Ordering::AcqRel));
                    let key = &keys[plan.key];
                    seen.push(send(address, plan, key, &mut kept).await);
                }
                seen
            });
        }
        Self { lanes, next, stopped, first }
    }

    /// Requests that were begun.
    pub(crate) fn begun(&self) -> u64 {
        self.next.load(Ordering::Acquire) - self.first
    }

    /// Begins no further ones.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Waits for those that run.
    pub(crate) async fn seen(mut self) -> Vec<Seen> {
        self.stop();
        let mut all = Vec::new();
        while let Some(seen) = self.lanes.join_next().await {
            all.extend(seen.expect("no client panics"));
        }
        all
    }
}

/// Sends one request, on the connection that is kept if there is one.
pub(crate) async fn send(address: SocketAddr, plan: Plan, key: &str, kept: &mut Option<Client>) -> Seen {
    let was_kept = kept.is_some();
    let client = match kept.take() {
        Some(client) => client,
        None => match Client::connect(address).await {
            Ok(client) => client,
            Err(_) => {
                // Dead at the moment, and soon to be noticed by whoever stops the load.
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                return Seen::nothing(plan, false);
            }
        },
    };
    let request = plan.request(key);
    let exchange = async { read(client.open(&request).await, &plan).await };
    let read = match plan.leave {
        Some(Leave::After(time)) => tokio::time::timeout(time, exchange).await,
        _ => Ok(exchange.await),
    };
    let Ok((exchange, moments)) = read else { return Seen::nothing(plan, true) };
    let answer = &exchange.answer;
    let ended = Instant::now();
    let mut seen = Seen::nothing(plan, answer.ended == Ended::Left);
    seen.id = answer.field("x-request-id").map(str::to_owned);
    seen.status = answer.status;
    seen.forwarded = answer.field("x-tollgate-upstream").is_some();
    // A time-out is nobody's refusal, and still an answer of the gateway's own.
    if answer.field("x-tollgate-rejected-by").is_some() || (answer.status == 504 && !seen.forwarded) {
        let text = answer.text();
        let code = ["QUOTA_INSUFFICIENT", "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "BILLING_UNAVAILABLE"];
        seen.refused = Some(code.into_iter().find(|code| text.contains(code)).unwrap_or(&text).to_owned());
    }
    let clean = answer.ended == Ended::Whole;
    seen.whole =
        answer.status == 200 && if seen.plan.stream { seen.plan.wire.is_whole(&answer.body(), clean) } else { clean };
    seen.left &= !seen.whole;
    seen.tokens = moments.last().map_or(0, |(_, tokens)| *tokens);
    let earlier = moments.iter().take_while(|(at, _)| ended.duration_since(*at).as_millis() >= 1_000);
    seen.tokens_second_before = earlier.last().map_or(0, |(_, tokens)| *tokens);
    assert!(answer.status != 0 || was_kept || !seen.whole);
    if seen.left && seen.plan.resets {
        exchange.reset();
    } else if clean && answer.status == 200 && !closes(answer) && !seen.plan.number.is_multiple_of(3) {
        *kept = Some(exchange.rest().await.1);
    }
    seen
}

/// The gateway will close the connection.
fn closes(answer: &Answer) -> bool {
    answer.field("connection").is_some_and(|options| options.eq_ignore_ascii_case("close"))
}

/// Reads to the end, or to where the client leaves. With it, when how many tokens had come.
async fn read(mut exchange: Exchange, plan: &Plan) -> (Exchange, Vec<(Instant, u64)>) {
    let (mut tokens, mut moments) = (0, Vec::new());
    let mut letters = 0;
    while let Some(piece) = exchange.piece().await {
        // Counted over the whole, because a piece may end inside a token.
        letters += memchr::memchr_iter(b'Z', &piece).count() as u64;
        let now = letters / (plan.token_bytes - 1);
        if now > tokens {
            tokens = now;
            moments.push((Instant::now(), tokens));
        }
        if matches!(plan.leave, Some(Leave::AtToken(at)) if tokens >= at) {
            break;
        }
    }
    (exchange, moments)
}

/// A load of streams that goes on until it is stopped.
pub(crate) struct Streams {
    lanes: JoinSet<Vec<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Streams {
    pub(crate) fn start(address: SocketAddr, key: &Key) -> Self {
        let (next, stop) = (Arc::new(AtomicU64::new(100_000)), Arc::new(AtomicBool::new(false)));
        let mut lanes = JoinSet::new();
        for _ in 0..STREAM_LANES {
            let (next, stop, credential) = (Arc::clone(&next), Arc::clone(&stop), key.key.clone());
            lanes.spawn(async move {
                let (mut seen, mut kept) = (Vec::new(), None);
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let plan = Plan { stream: true, pause_us: STREAM_PAUSE_US, ..Plan::chat(number, STREAM_TOKENS) };
                    seen.push(send(address, plan, &credential, &mut kept).await);
                }
                seen
            });
        }
        Self { lanes, stop }
    }

    /// Stops it; what its clients have seen.
    pub(crate) async fn seen(mut self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = Vec::new();
        while let Some(done) = self.lanes.join_next().await {
            seen.extend(done.expect("no client panics"));
        }
        seen
    }
}
