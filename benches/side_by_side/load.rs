//! The load: connections that each send the next request as soon as they have their answer.

use crate::Failure;
use crate::answer::{ANY_BYTE, Reader, Until};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// An answer that takes longer is an error.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time that a round waits for the answers under way at its end.
const END_TIMEOUT: Duration = Duration::from_secs(60);

/// What to put on a proxy.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) request: &'a [u8],
    pub(crate) expected: &'a [u8],
    pub(crate) connections: usize,
    /// Not counted.
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// Requests a second of all connections together; `None`: each asks again at once.
    pub(crate) rate: Option<u32>,
}

/// What came of it.
pub(crate) struct Outcome {
    /// Answers within the counted time, a second.
    pub(crate) requests_per_second: f64,
    /// Of the counted time.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// All answers, the warm-up's too.
    pub(crate) answers: u64,
    /// Nanoseconds of each answer of the counted time, sorted.
    pub(crate) latencies: Vec<u64>,
}

/// What the connections of a round share.
struct Round {
    start: Instant,
    end: Instant,
    answers: Cell<u64>,
    /// Nanoseconds of each answer that came within the counted time.
    latencies: RefCell<Vec<u64>>,
}

/// What is answered to this request: learned from several answers; where these differ (ids), anything will do.
pub(crate) fn learn(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, Failure> {
    const ANSWERS: usize = 8;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stream = TcpStream::connect(address).await?;
        let mut reader = Reader::new();
        let mut learned: Option<Vec<u8>> = None;
        for _ in 0..ANSWERS {
            stream.write_all(request).await?;
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, reader.collect(&mut stream)).await??;
            let learned = learned.get_or_insert_with(|| answer.clone());
            if learned.len() != answer.len() {
                return Err("two answers differ in length".into());
            }
            let differing = learned.iter_mut().zip(&answer).filter(|(known, got)| *known != *got);
            differing.for_each(|(known, _)| *known = ANY_BYTE);
        }
        learned.map(whole_words).ok_or_else(|| "nothing was learned".into())
    })
}

/// An id's beginning is a time, which a few answers have in common: where a letter may be any, the whole word may.
fn whole_words(mut learned: Vec<u8>) -> Vec<u8> {
    let mut words = learned.split_mut(|byte| *byte != ANY_BYTE && !byte.is_ascii_alphanumeric());
    words.by_ref().filter(|word| word.contains(&ANY_BYTE)).for_each(|word| word.fill(ANY_BYTE));
    drop(words);
    learned
}

/// Runs one round. Every answer is checked: the first wrong one ends it.
pub(crate) fn run(load: Load<'_>) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let start = Instant::now() + load.warm_up;
    let latencies = RefCell::new(Vec::with_capacity(1 << 18));
    let round = Rc::new(Round { start, end: start + load.duration, answers: Cell::new(0), latencies });
    let limit = load.warm_up + load.duration + END_TIMEOUT;
    LocalSet::new().block_on(&runtime, async {
        let (request, expected): (Rc<[u8]>, Rc<[u8]>) = (load.request.into(), load.expected.into());
        let tasks: Vec<_> = (0..load.connections)
            .map(|nth| {
                let pace = load.rate.map(|rate| Pace::of(rate, nth, load.connections));
                let connection = connection(load.address, request.clone(), expected.clone(), round.clone(), pace);
                tokio::task::spawn_local(connection)
            })
            .collect();
        let all = async {
            for task in tasks {
                task.await??;
            }
            Ok::<_, Failure>(())
        };
        tokio::time::timeout(limit, all).await.map_err(|_| "a round did not end")?
    })?;
    let mut latencies = round.latencies.take();
    latencies.sort_unstable();
    Ok(Outcome {
        requests_per_second: latencies.len() as f64 / load.duration.as_secs_f64(),
        p50_us: percentile(&latencies, 50),
        p99_us: percentile(&latencies, 99),
        answers: round.answers.get(),
        latencies,
    })
}

/// When a connection asks, if not at once.
pub(crate) struct Pace {
    due: Instant,
    interval: Duration,
}

impl Pace {
    /// The connections ask in turns.
    pub(crate) fn of(rate: u32, nth: usize, connections: usize) -> Self {
        let interval = Duration::from_secs(1) * connections as u32 / rate;
        Self { due: Instant::now() + interval * nth as u32 / connections as u32, interval }
    }

    /// Waits until it is time; from when on the answer is waited for. Who is late has been waiting since it was due.
    pub(crate) async fn next(&mut self) -> Instant {
        let due = self.due;
        self.due += self.interval;
        if Instant::now() >= due {
            return due;
        }
        tokio::time::sleep_until(due.into()).await;
        Instant::now()
    }
}

async fn connection(
    address: SocketAddr,
    request: Rc<[u8]>,
    expected: Rc<[u8]>,
    round: Rc<Round>,
    mut pace: Option<Pace>,
) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut reader = Reader::new();
    let mut asked = Instant::now();
    while asked < round.end {
        if let Some(pace) = &mut pace {
            asked = pace.next().await;
        }
        let exchange = async {
            stream.write_all(&request).await?;
            reader.read(&mut stream, &expected, Until::End).await
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.map_err(|_| "an answer took too long")??;
        let answered = Instant::now();
        round.answers.set(round.answers.get() + 1);
        if answered >= round.start && answered < round.end {
            round.latencies.borrow_mut().push((answered - asked).as_nanos() as u64);
        }
        asked = answered;
    }
    Ok(())
}

/// Of sorted nanoseconds, in microseconds.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let at = sorted.len() * percent / 100;
    sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |nanos| *nanos as f64 / 1000.0)
}
