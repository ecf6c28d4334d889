//! What answers come to counts from when that is known, however long they took.

use std::sync::Arc;
use tollgate_plugin_api::{Amounts, Clock, Intent, Key, Lease, Plugin, Ports};
use tollgate_plugin_doubles::{Hands, key};

const MINUTE_MS: i64 = 60_000;

/// A key of 1,000 tokens a minute, and its limits.
struct Stage {
    clock: Arc<Hands>,
    plugin: Arc<dyn Plugin>,
    key: Key,
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::new(Hands::at(1_700_000_000_000));
        let ports = Ports { clock: clock.clone(), ..Ports::to_nothing() };
        let plugin = (tollgate_rate_limit::PLUGIN.build)(toml::Table::new(), &ports).unwrap();
        Self { clock, plugin, key: Key { tpm: Some(1_000), ..key("alice") } }
    }

    /// Nobody says how long the answer may be: all that is known is the prompt.
    fn ask(&self, input_tokens: u64) -> Option<Lease> {
        let intent = Intent { key: &self.key, input_tokens, output_tokens: 0, cost_nanos_max: &|| 0 };
        self.plugin.admission_filter(&intent).ok().map(|lease| lease.expect("there is a limit"))
    }

    /// The answer ends after so long.
    fn answered(&self, mut lease: Lease, after_ms: i64, output_tokens: u64) {
        self.clock.pass_ms(after_ms);
        let used = Amounts { requests: 1, input_tokens: 20, output_tokens, cost_nanos: 0 };
        lease.used(used, self.clock.steady_ms());
    }
}

#[test]
fn what_a_long_answer_came_to_counts_from_its_end() {
    for took_ms in [1, 30_000, MINUTE_MS + 10_000, 100 * MINUTE_MS] {
        let stage = Stage::new();
        let lease = stage.ask(20).expect("there is room");
        stage.answered(lease, took_ms, 5_000);
        stage.clock.pass_ms(1_000);
        assert!(stage.ask(20).is_none(), "it took {took_ms} ms");
        stage.clock.pass_ms(MINUTE_MS - 2_000);
        assert!(stage.ask(20).is_none(), "it took {took_ms} ms, and its minute is not over");
        stage.clock.pass_ms(3_000);
        assert!(stage.ask(20).is_some(), "it took {took_ms} ms");
    }
}
