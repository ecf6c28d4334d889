//! More requests than a limit admits, at a steady rate that waits for no answer: how long admitted requests take, compared
//! with half the admitted load, and how soon the others are refused.

use crate::answer::Reader;
use crate::load::{Pace, percentile};
use crate::options::Options;
use crate::proxies::{Proxy, Site};
use crate::wire::{self, THINKING};
use crate::{Failure, report};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What the key may have at once.
const ROOM: u32 = 8;
/// Connections for each request that is in its way at a time: who asks has had its last answer.
const CONNECTIONS_A_REQUEST: f64 = 2.0;
/// Not counted.
const WARM_UP: Duration = Duration::from_millis(300);

/// Nanoseconds of each answer.
#[derive(Default)]
struct Answers {
    admitted: Vec<u64>,
    refused: Vec<u64>,
}

/// Measures, and says what came of it.
pub(crate) fn measure(options: &Options, site: &Site, provider: &Proxy) -> Result<String, Failure> {
    let proxy = site.start_with_room(provider.address, ROOM as usize)?;
    let room_a_second = (f64::from(ROOM) / THINKING.as_secs_f64()) as u32;
    let (mut half, mut over) = (Answers::default(), Answers::default());
    for _ in 0..options.rounds {
        half.add(load(&proxy, room_a_second / 2, options.duration)?);
        over.add(load(&proxy, room_a_second * options.overload, options.duration)?);
    }
    if !half.refused.is_empty() {
        return Err(format!("{} were refused though there was room", half.refused.len()).into());
    }
    let rows = [
        ("admitted, half of what there is room for", &mut half.admitted),
        ("admitted of so many", &mut over.admitted),
        ("refused (429)", &mut over.refused),
    ];
    let rows = rows.map(|(title, latencies)| {
        latencies.sort_unstable();
        report::Steady {
            title,
            answers: latencies.len(),
            p50_us: percentile(latencies, 50),
            p99_us: percentile(latencies, 99),
        }
    });
    let title = format!("{} times {room_a_second} requests/s, {ROOM} at once of {THINKING:?} each", options.overload);
    Ok(report::steady(&title, &rows))
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.admitted.extend(other.admitted);
        self.refused.extend(other.refused);
    }
}

/// One round at this rate.
fn load(proxy: &Proxy, rate: u32, duration: Duration) -> Result<Answers, Failure> {
    proxy.running.wait_for_quiet()?;
    let connections = (f64::from(rate) * THINKING.as_secs_f64() * CONNECTIONS_A_REQUEST).ceil() as usize;
    let begins = Instant::now() + WARM_UP;
    let ends = begins + duration;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let tasks: Vec<_> = (0..connections)
            .map(|nth| {
                let (request, pace) = (wire::slow_request(&proxy.key), Pace::of(rate, nth, connections));
                tokio::task::spawn_local(connection(proxy.address, request, pace, (begins, ends)))
            })
            .collect();
        let mut all = Answers::default();
        for task in tasks {
            all.add(task.await??);
        }
        Ok(all)
    })
}

async fn connection(
    address: std::net::SocketAddr,
    request: Vec<u8>,
    mut pace: Pace,
    (begins, ends): (Instant, Instant),
) -> Result<Answers, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut reader = Reader::new();
    let mut answers = Answers::default();
    loop {
        let asked = pace.next().await;
        if asked >= ends {
            return Ok(answers);
        }
        stream.write_all(&request).await?;
        let (status, body) = reader.any(&mut stream).await?;
        let took = asked.elapsed().as_nanos() as u64;
        match status {
            _ if asked < begins => {}
            200 => answers.admitted.push(took),
            429 => answers.refused.push(took),
            other => return Err(format!("{other}: {}", String::from_utf8_lossy(&body)).into()),
        }
    }
}
