//! After everything that can go wrong with connections has gone wrong, nothing of it is left.

use crate::clients::{self, Load};
use crate::join::{arrived, join, quiet};
use crate::plan::{PRICES, Plan};
use crate::provider::Provider;
use crate::support::PATIENCE;
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::ClosedPort;
use crate::wire::Wire;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Requests of the mixed run.
const REQUESTS: u64 = 600;

/// Open files of a process.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    sockets: usize,
    /// All others, by what they are.
    pub(crate) others: BTreeMap<String, usize>,
}

impl OpenFiles {
    pub(crate) fn of(gateway: &Gateway) -> Self {
        let mut files = Self { sockets: 0, others: BTreeMap::new() };
        for entry in std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).expect("a running process").flatten() {
            // It may have been closed meanwhile.
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            match target.to_string_lossy() {
                target if target.starts_with("socket:") => files.sockets += 1,
                // The store keeps a few connections; how many depends on what happened at once.
                target if target.contains("tollgate.db") => {}
                // The journal goes on to its next segment: one of them is open, whichever it is.
                target if target.ends_with(".seg") => *files.others.entry("a segment".to_owned()).or_default() += 1,
                target => {
                    *files
                        .others
                        .entry(target.split_once(":[").map_or(&*target, |kind| kind.0).to_owned())
                        .or_default() += 1
                }
            }
        }
        files
    }
}

pub(crate) fn setup(provider: &Provider, second: &Provider, dead: &ClosedPort) -> Setup {
    let mut setup = Setup::new([]).prices(PRICES);
    for (name, address) in [("a", provider.address), ("b", second.address), ("dead", dead.address)] {
        for upstream in Wire::upstreams(name, address, "") {
            setup = setup.upstream(upstream);
        }
    }
    for (name, value) in [
        ("routing.first_token_timeout_ms", "400"),
        ("routing.response_timeout_ms", "600"),
        ("routing.idle_timeout_ms", "300"),
        ("routing.first_token_hold_ms", "100"),
        ("routing.drain_ms_max", "200"),
        ("routing.drains_max", "8"),
        ("breaker.failures_to_open", "255"),
        ("breaker.open_ms", "10"),
    ] {
        setup = setup.set(name, value);
    }
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_broken_connections() {
    let _alone = crate::alone().await;
    let seed = crate::seed();
    println!("TOLLGATE_CHAOS_SEED={seed}");
    let (provider, second, dead) = (Provider::start(true).await, Provider::start(true).await, ClosedPort::new());
    let mut gateway = Gateway::prepare(&setup(&provider, &second, &dead));
    let keys = [gateway.key("free", &[]).await, gateway.key("rich", &["--quota-usd", "1000"]).await];
    gateway.serve().await;
    quiet(&gateway).await;
    let idle = OpenFiles::of(&gateway);
    // Files of journal and store are opened when they are first needed, and stay.
    let first = clients::send(gateway.address, Plan::chat(u64::MAX, 5), &keys[0].key, &mut None).await;
    quiet(&gateway).await;
    let warm = OpenFiles::of(&gateway);

    let credentials: Vec<_> = keys.iter().map(|key| key.key.clone()).collect();
    let load = Load::start(gateway.address, &credentials, 0, move |number| Plan::draw(seed, number, 2, true));
    let (started, mut sockets_most) = (Instant::now(), 0);
    while load.begun() < REQUESTS && started.elapsed() < 3 * PATIENCE {
        sockets_most = sockets_most.max(OpenFiles::of(&gateway).sockets);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(sockets_most > idle.sockets + 50, "not much was going on: {sockets_most} sockets at most");
    let mut seen = load.seen().await;
    seen.push(first);
    quiet(&gateway).await;
    arrived(&gateway, &seen).await;
    let tally = join(&gateway, &seen, &[&provider, &second]);
    println!("{}", tally.figures());
    tally.assert_clean(&format!("TOLLGATE_CHAOS_SEED={seed}"));

    // The providers take their side of the kept connections away; the clients' are closed already.
    drop((provider, second));
    let started = Instant::now();
    loop {
        let now = OpenFiles::of(&gateway);
        if now.sockets <= idle.sockets && now.others == warm.others {
            break;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "open at first: {idle:#?}\nafter one request: {warm:#?}\nat last: {now:#?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gateway.finish(&keys.iter().collect::<Vec<_>>()).await;
}
