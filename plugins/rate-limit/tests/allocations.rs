//! A check that lets a request through, and the end of its lease, allocate nothing: limits cost the same however many requests
//! there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tollgate_plugin_api::{Amounts, Clock, Intent, Key, Plugin, Ports};

/// Goes on by so much with every look at it: windows are left behind, too.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now_ms(&self) -> i64 {
        self.0.fetch_add(137, Ordering::Relaxed)
    }
}

/// Of every kind, and for everybody whom a request concerns.
const RULES: &str = r#"
rules = [
    { per = "key", limit = "requests", max = 1000000 },
    { per = "key", limit = "spend_usd", max = 1000, window_ms = 3600000 },
    { per = "user", limit = "tokens", max = 1000000000 },
    { per = "user", limit = "concurrency", max = 100 },
    { per = "upstream", limit = "input_tokens", max = 1000000000 },
    { per = "upstream", limit = "output_tokens", max = 1000000000, window_ms = 1000 },
]
"#;

fn key() -> Key {
    Key {
        user: Some("team".into()),
        rpm: Some(1_000_000),
        tpm: Some(1_000_000_000),
        concurrency: Some(100),
        ..tollgate_plugin_doubles::key("alice")
    }
}

/// As the gateway asks for one request.
fn request(plugin: &dyn Plugin, key: &Key, clock: &Ticking) {
    let intent = Intent { key, input_tokens: 900, output_tokens: 100, cost_nanos_max: &|| 20_000 };
    let of_caller = plugin.admission_filter(&intent).unwrap_or_else(|reject| panic!("{:?}", reject.code));
    let of_upstream = plugin.upstream_filter("u", &intent).unwrap_or_else(|reject| panic!("{:?}", reject.code));
    let used = Amounts { requests: 1, input_tokens: 850, output_tokens: 130, cost_nanos: 15_000 };
    for lease in [of_caller, of_upstream] {
        let mut lease = lease.expect("there are limits");
        lease.used(used, clock.steady_ms());
    }
}

#[test]
fn a_check_and_a_lease_allocate_nothing() {
    let clock = Arc::new(Ticking(AtomicI64::new(1_700_000_000_000)));
    let ports = Ports { clock: clock.clone(), ..Ports::to_nothing() };
    let plugin = (tollgate_rate_limit::PLUGIN.build)(RULES.parse().unwrap(), &ports).unwrap();
    let key = key();
    // The first makes the meters and their windows.
    let first = allocation_counter::measure(|| request(&*plugin, &key, &clock));
    assert!(first.count_total > 0, "allocations are counted here");
    let then = allocation_counter::measure(|| (0..10_000).for_each(|_| request(&*plugin, &key, &clock)));
    assert_eq!(then.count_total, 0, "{then:?}");
}
