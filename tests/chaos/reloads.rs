//! A hundred reloads under a steady load of streams: no stream breaks, no request is refused, every record is right.

use crate::clients;
use crate::join::{join, quiet};
use crate::plan::{PRICES, Plan};
use crate::provider::Provider;
use crate::support::gateway::{Gateway, Setup};
use crate::wire::Wire;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const RELOADS: u32 = 100;
/// Streams at a time, of about 70 ms each: 500 a second.
const LANES: usize = 40;
const TOKENS: u64 = 40;
const PAUSE_US: u64 = 7_000;
/// From one reload to the next: the load of several seconds.
const BETWEEN: Duration = Duration::from_millis(60);

fn setup(provider: &Provider, weight: u32) -> Setup {
    Setup::new(Wire::upstreams("u", provider.address, &format!("weight = {weight}"))).prices(PRICES)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reloads_break_no_stream() {
    let _alone = crate::alone().await;
    let provider = Provider::start(true).await;
    let mut gateway = Gateway::prepare(&setup(&provider, 1));
    let key = gateway.key("k", &["--quota-usd", "1000"]).await;
    gateway.serve().await;
    let (next, stop) = (Arc::new(AtomicU64::new(100_000)), Arc::new(AtomicBool::new(false)));
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (next, stop, credential) = (Arc::clone(&next), Arc::clone(&stop), key.key.clone());
        let address = gateway.address;
        lanes.spawn(async move {
            let (mut seen, mut kept) = (Vec::new(), None);
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let plan = Plan { stream: true, pause_us: PAUSE_US, ..Plan::chat(number, TOKENS) };
                seen.push(clients::send(address, plan, &credential, &mut kept).await);
            }
            seen
        });
    }
    for reload in 1..=RELOADS {
        // The prices' version, the configuration, and with the signal perhaps neither.
        match reload % 3 {
            0 => gateway.write("pricing.toml", &format!("# {reload}\n{PRICES}")),
            1 => {
                let config = setup(&provider, reload).config(gateway.address, gateway.metrics_address);
                gateway.write("tollgate.toml", &config);
            }
            _ => {}
        }
        gateway.signal("HUP");
        gateway.reloaded(reload).await;
        tokio::time::sleep(BETWEEN).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    while let Some(done) = lanes.join_next().await {
        seen.extend(done.expect("no client panics"));
    }
    quiet(&gateway).await;
    let broken: Vec<_> = seen.iter().filter(|seen| !seen.whole || seen.status != 200).collect();
    assert!(broken.is_empty(), "{} of {}: {:?}", broken.len(), seen.len(), broken[0]);
    assert!(seen.len() > RELOADS as usize, "{}", seen.len());
    let versions: std::collections::BTreeSet<_> =
        gateway.records().iter().map(|record| record["price_version"].to_string()).collect();
    assert!(versions.len() > RELOADS as usize / 6, "{versions:?}");
    join(&gateway, &seen, &[&provider]).assert_clean("reloads");
    eprintln!("{} streams, {RELOADS} reloads, {} price versions", seen.len(), versions.len());
    gateway.finish(&[&key]).await;
}
