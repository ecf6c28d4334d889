//! What the console costs proxied requests: a steady load on a gateway with many records, in turns alone and while somebody
//! browses the console.

use crate::answer::Reader;
use crate::load::percentile;
use crate::options::Options;
use crate::proxies::{Proxy, Site};
use crate::wire::Case;
use crate::{Failure, report};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Requests a second.
const RATE: u32 = 1_000;
const CONNECTIONS: usize = 32;
/// From an answer of the console's to the next question: as several people who are busy.
const PAUSE: Duration = Duration::from_millis(100);
/// The gateway has told by then whom it made.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// What the console's pages ask.
const PAGES: [&str; 14] = [
    "/console/api/overview?range=24h",
    "/console/api/overview?range=30d",
    "/console/api/logs",
    "/console/api/logs?model=model-3",
    "/console/api/logs?user=user-7",
    "/console/api/logs?outcome=upstream_error",
    "/console/api/usage?by=key",
    "/console/api/usage?by=user",
    "/console/api/usage?by=day",
    "/console/api/keys",
    "/console/api/users",
    "/console/api/upstreams",
    "/console/api/prices",
    "/console/internal/health",
];

/// Somebody who is signed in.
struct Session {
    address: SocketAddr,
    cookie: String,
}

/// What reading was like.
#[derive(Default)]
struct Read {
    pages: u32,
    slowest: Duration,
}

/// Measures, and says what came of it.
pub(crate) fn measure(options: &Options, site: &Site, provider: &Proxy) -> Result<String, Failure> {
    let proxy = site.start_with_records(provider.address, options.console_rows)?;
    let session = sign_in(proxy.address, &site.console_log())?;
    let (mut alone, mut beside, mut read) = (Vec::new(), Vec::new(), Read::default());
    for round in 0..options.rounds {
        for turn in 0..2 {
            proxy.running.wait_for_quiet()?;
            let load = || proxy.load_at(Some(RATE), Case::Json, CONNECTIONS, options.duration);
            if (round + turn) % 2 == 0 {
                alone.extend(load()?.latencies);
            } else {
                let over = AtomicBool::new(false);
                let outcome = std::thread::scope(|scope| {
                    let reader = scope.spawn(|| session.read_until(&over, &mut read));
                    let outcome = load();
                    over.store(true, Ordering::Relaxed);
                    reader.join().map_err(|_| "the reader panicked")??;
                    outcome
                });
                beside.extend(outcome?.latencies);
            }
        }
    }
    alone.sort_unstable();
    beside.sort_unstable();
    let rows = [("alone", &alone), ("while the console is read", &beside)].map(|(title, latencies)| report::Steady {
        title,
        answers: latencies.len(),
        p50_us: percentile(latencies, 50),
        p99_us: percentile(latencies, 99),
    });
    let title = format!("JSON, {RATE} requests/s, {} records in the ledger", options.console_rows);
    let Read { pages, slowest } = read;
    Ok(format!("{}\n{pages} pages read, the slowest in {slowest:.1?}\n", report::steady(&title, &rows)))
}

/// Signs in as the admin that the first start made, and showed in the log.
fn sign_in(address: SocketAddr, log: &Path) -> Result<Session, Failure> {
    let (name, password) = first_admin(log)?;
    let body = serde_json::json!({"name": name, "password": password}).to_string();
    let request = format!(
        "POST /console/api/session HTTP/1.1\r\nhost: gateway.example\r\norigin: http://gateway.example\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    runtime()?.block_on(async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let fields = answer.lines().filter_map(|line| line.split_once(": "));
        let mut cookies = fields.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        let cookie = cookies.find_map(|(_, value)| value.split(';').next());
        let cookie = cookie.ok_or_else(|| format!("no session: {answer}"))?.to_owned();
        Ok(Session { address, cookie })
    })
}

/// Who was made at the first start: it is told a moment after the gateway listens.
fn first_admin(log: &Path) -> Result<(String, String), Failure> {
    let give_up = Instant::now() + START_TIMEOUT;
    while Instant::now() < give_up {
        let said = std::fs::read_to_string(log)?;
        let shown = said.lines().find_map(|line| line.trim().strip_prefix("name ")?.split_once(", password "));
        if let Some((name, password)) = shown {
            return Ok((name.to_owned(), password.to_owned()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("the log shows no admin".into())
}

impl Session {
    /// Goes from page to page.
    fn read_until(&self, over: &AtomicBool, read: &mut Read) -> Result<(), Failure> {
        runtime()?.block_on(async {
            let mut stream = TcpStream::connect(self.address).await?;
            let mut reader = Reader::new();
            for page in PAGES.iter().cycle().skip(read.pages as usize % PAGES.len()) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let cookie = &self.cookie;
                let request = format!("GET {page} HTTP/1.1\r\nhost: gateway.example\r\ncookie: {cookie}\r\n\r\n");
                let asked = Instant::now();
                stream.write_all(request.as_bytes()).await?;
                reader.collect(&mut stream).await.map_err(|failure| format!("{page}: {failure}"))?;
                read.slowest = read.slowest.max(asked.elapsed());
                read.pages += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Ok(())
        })
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
