//! A hundred reloads under a steady load of streams: no stream breaks, no request is refused, every record is right.

use crate::clients::Streams;
use crate::join::{join, quiet};
use crate::plan::PRICES;
use crate::provider::Provider;
use crate::support::gateway::{Gateway, Setup};
use crate::wire::Wire;
use std::time::Duration;

const RELOADS: u32 = 100;
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
    let streams = Streams::start(gateway.address, &key);
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
    let seen = streams.seen().await;
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
