//! Every key of `tollgate.toml` and `pricing.toml` does something: [`TESTS`] and [`PRICE_TESTS`] name a test for each that
//! fails when the key does nothing. They are compared with the keys that the gateway itself names.

use crate::calls::{COST, Wire, number, plain_chat, serving};
use crate::support::client::{self, Request};
use crate::support::gateway::{Gateway, PRICES, Setup, free_address};
use crate::support::provider::{FullQueue, Provider};
use crate::support::{is_installed, until};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// For each table, its keys, each with a test of this binary that fails when the key has no effect.
#[rustfmt::skip]
const TESTS: &[(&str, &[(&str, &str)])] = &[
    ("server", &[
        ("listen", "server_listen_is_a_list_and_metrics_listen_can_be_off"),
        ("metrics_listen", "server_listen_is_a_list_and_metrics_listen_can_be_off"),
        ("threads", "server_threads_is_how_many_serve"),
        ("request_body_bytes_max", "the_limit_is_the_configured_one"),
        ("memory_bytes_max", "server_memory_bytes_max_refuses_requests_while_nearly_all_is_taken"),
        ("shutdown_ms", "an_idle_gateway_ends_at_once_and_what_outlasts_the_limit_is_settled"),
        ("trusted_proxies", "server_trusted_proxies_are_believed_and_nobody_else"),
        ("reload_secret", "a_reload_by_request_needs_its_secret_and_is_in_force_when_it_is_answered"),
        ("master_key_file", "a_sealed_api_key_goes_upstream_opened_and_a_new_master_key_takes_over_without_a_restart"),
        ("tls", "clients_speak_http1_or_http2_over_tls"),
    ]),
    ("server.tls", &[
        ("certificate", "clients_speak_http1_or_http2_over_tls"),
        ("key", "clients_speak_http1_or_http2_over_tls"),
    ]),
    ("store", &[("url", "store_url_journal_dir_and_pricing_file_are_where_things_are")]),
    ("ledger", &[
        ("journal_dir", "store_url_journal_dir_and_pricing_file_are_where_things_are"),
        ("durability", "ledger_durability_power_syncs_the_journal_before_the_answer"),
    ]),
    ("pricing", &[
        ("file", "store_url_journal_dir_and_pricing_file_are_where_things_are"),
        ("unknown_model", "what_happens_to_models_without_a_price_is_configured"),
    ]),
    ("routing", &[
        ("strategy", "in_turn_is_exact_whatever_the_weights_and_equal_weights_take_turns_too"),
        ("attempts_max", "attempts_are_counted_and_limited_and_tiers_are_tried_in_order"),
        ("connect_timeout_ms", "routing_connect_timeout_ms_ends_a_connection_that_never_stands"),
        ("first_token_timeout_ms", "no_upstream_that_answers_is_a_503_or_a_504_and_leaves_one_record"),
        ("response_timeout_ms", "no_upstream_that_answers_is_a_503_or_a_504_and_leaves_one_record"),
        ("idle_timeout_ms", "a_stream_that_falls_silent_ends_after_the_idle_time"),
        ("first_token_hold_ms", "what_is_held_goes_out_after_the_hold_time_and_then_nothing_fails_over"),
        ("on_client_disconnect", "with_the_abort_policy_the_upstream_is_let_go_and_the_delivered_is_estimated"),
        ("drain_ms_max", "reading_on_stops_after_so_much_time"),
        ("drain_bytes_max", "reading_on_stops_after_so_many_bytes"),
        ("drains_max", "so_many_are_read_on_at_once_and_more_are_aborted"),
        ("output_tokens_default", "the_hold_grows_with_prompt_answers_and_limits"),
    ]),
    ("breaker", &[
        ("failures_to_open", "a_breaker_opens_after_so_many_failures_lets_one_probe_through_and_closes_again"),
        ("open_ms", "a_breaker_stays_open_for_the_configured_time"),
    ]),
    ("console", &[
        ("enabled", "console_enabled_is_whether_it_is_there_and_changes_live"),
        ("listen", "console_listen_is_the_one_place_where_it_is"),
        ("session_hours", "a_session_ends_that_is_not_used_for_session_hours"),
    ]),
    ("upstream", &[
        ("name", "an_answer_names_its_record_its_upstream_and_its_attempts"),
        ("provider", "credentials_of_the_client_never_go_upstream_and_ours_goes_in_the_vendors_own_field"),
        ("api_key", "upstream_api_key_and_base_url_take_variables"),
        ("base_url", "upstream_api_key_and_base_url_take_variables"),
        ("http_version", "upstream_http_version_is_what_is_spoken_where_a_provider_speaks_both"),
        ("models", "only_the_models_name_is_changed_in_what_a_client_sends"),
        ("weight", "weights_of_80_and_20_give_80_and_20"),
        ("priority", "attempts_are_counted_and_limited_and_tiers_are_tried_in_order"),
        ("groups", "a_group_sees_its_own_upstreams_and_models_alone"),
        ("headers", "configured_headers_and_the_vendors_defaults_are_sent"),
        ("price_provider", "upstream_price_provider_and_price_multiplier_make_the_bill_and_the_hold"),
        ("price_multiplier", "upstream_price_provider_and_price_multiplier_make_the_bill_and_the_hold"),
    ]),
    ("upstream.models", &[
        ("name", "only_the_models_name_is_changed_in_what_a_client_sends"),
        ("upstream_model", "only_the_models_name_is_changed_in_what_a_client_sends"),
    ]),
    ("plugins.ip-allow", &[
        ("networks", "plugins_ip_allow_lets_in_only_the_named_networks_before_anybody_is_authenticated"),
    ]),
    ("plugins.cors", &[
        ("allowed_origins", "plugins_cors_answers_browsers_of_the_named_origins_alone"),
        ("max_age_seconds", "plugins_cors_answers_browsers_of_the_named_origins_alone"),
    ]),
    ("plugins.auth-jwt", &[
        ("issuer", "a_token_calls_as_the_key_that_it_names_and_keys_go_on_working"),
        ("audience", "a_token_calls_as_the_key_that_it_names_and_keys_go_on_working"),
        ("algorithms", "a_token_calls_as_the_key_that_it_names_and_keys_go_on_working"),
        ("secret", "a_token_calls_as_the_key_that_it_names_and_keys_go_on_working"),
        ("key_claim", "a_token_calls_as_the_key_that_it_names_and_keys_go_on_working"),
        ("leeway_s", "a_token_calls_as_the_key_that_it_names_and_keys_go_on_working"),
        ("jwks_url", "an_issuers_keys_are_fetched_beside_the_requests_again_and_again"),
        ("jwks_refresh_s", "an_issuers_keys_are_fetched_beside_the_requests_again_and_again"),
        ("jwks_file", "an_issuers_keys_may_stand_in_a_file"),
    ]),
    ("plugins.auth-siwe", &[
        ("domain", "a_wallet_logs_in_and_calls_as_its_key"),
        ("uri", "a_wallet_logs_in_and_calls_as_its_key"),
        ("chain_ids", "a_wallet_logs_in_and_calls_as_its_key"),
        ("wallets", "a_wallet_logs_in_and_calls_as_its_key"),
        ("secret", "a_session_outlives_a_restart_but_not_its_secret_and_ends_in_time"),
        ("session_s", "a_session_outlives_a_restart_but_not_its_secret_and_ends_in_time"),
    ]),
    ("plugins.rate-limit", &[("rules", "rules_concern_whom_they_name_and_counts_outlive_a_reload")]),
    ("plugins.rate-limit.rules", &[
        ("per", "rules_concern_whom_they_name_and_counts_outlive_a_reload"),
        ("limit", "rules_concern_whom_they_name_and_counts_outlive_a_reload"),
        ("max", "rules_concern_whom_they_name_and_counts_outlive_a_reload"),
        ("names", "rules_concern_whom_they_name_and_counts_outlive_a_reload"),
        ("window_ms", "a_rules_window_passes"),
    ]),
    ("plugins.access-log", &[
        ("output", "plugins_access_log_rotates_and_is_whole_when_the_process_ends"),
        ("path", "plugins_access_log_rotates_and_is_whole_when_the_process_ends"),
        ("rotate_bytes_max", "plugins_access_log_rotates_and_is_whole_when_the_process_ends"),
        ("files_max", "plugins_access_log_rotates_and_is_whole_when_the_process_ends"),
    ]),
    ("plugins.otlp", &[
        ("endpoint", "a_request_is_a_span_in_its_callers_trace_and_the_upstream_is_told_of_it"),
        ("headers", "a_request_is_a_span_in_its_callers_trace_and_the_upstream_is_told_of_it"),
        ("service_name", "a_request_is_a_span_in_its_callers_trace_and_the_upstream_is_told_of_it"),
        ("sample_ratio", "refusals_are_spans_too_and_what_is_not_sampled_is_none"),
        ("timeout_ms", "a_collector_that_never_answers_is_given_up_in_time"),
        ("capture_content", "prompt_and_answer_stand_in_spans_where_that_is_asked_for"),
    ]),
];

/// For each table of the price file, its keys, each with a test of `src/price/tests`. A key that a tier, a service tier or a window has
/// of the row's is there with the row.
#[rustfmt::skip]
const PRICE_TESTS: &[(&str, &[(&str, &str)])] = &[
    ("", &[
        ("currency", "a_row_in_another_currency_is_converted_once_exactly_or_up"),
        ("model", "the_sum_that_everyone_knows"),
    ]),
    ("model", &[
        ("name", "by_the_upstreams_name_then_by_the_clients"),
        ("provider", "the_providers_own_row_comes_first"),
        ("aliases", "a_later_row_takes_over_at_its_time"),
        ("dated", "a_date_is_forgiven_where_the_row_says_so"),
        ("valid_from", "a_later_row_takes_over_at_its_time"),
        ("currency", "a_row_in_another_currency_is_converted_once_exactly_or_up"),
        ("max_output_tokens", "a_later_row_takes_over_at_its_time"),
        ("context_tokens", "a_later_row_takes_over_at_its_time"),
        ("reads_elsewhere", "a_row_says_that_its_model_reads_by_itself"),
        ("input", "each_class_at_its_price"),
        ("cached_input", "each_class_at_its_price"),
        ("cache_write", "each_class_at_its_price"),
        ("cache_write_1h", "each_class_at_its_price"),
        ("input_audio", "each_class_at_its_price"),
        ("cached_audio", "each_class_at_its_price"),
        ("input_image", "each_class_at_its_price"),
        ("output", "each_class_at_its_price"),
        ("reasoning", "each_class_at_its_price"),
        ("output_audio", "each_class_at_its_price"),
        ("output_image", "each_class_at_its_price"),
        ("per_request", "each_class_at_its_price"),
        ("web_search_per_thousand", "each_class_at_its_price"),
        ("fees", "fees_are_charged_by_the_time_and_those_of_the_request_in_its_place"),
        ("audio_seconds_min", "a_request_is_charged_for_so_much_audio_at_least"),
        ("tiers", "a_long_prompt_reprices_the_whole_request"),
        ("batch", "service_tiers_multiply_or_have_prices"),
        ("flex", "service_tiers_multiply_or_have_prices"),
        ("priority", "service_tiers_multiply_or_have_prices"),
        ("ultrafast", "a_dearer_tier_without_a_price_is_missing_and_a_cheaper_one_is_billed_as_the_standard_one"),
        ("inference_geo", "token_prices_are_multiplied_where_a_model_had_to_run_in_a_place"),
        ("windows", "windows_go_by_the_requests_time"),
    ]),
    ("model.tiers", &[("above_prompt_tokens", "a_long_prompt_reprices_the_whole_request")]),
    ("model.windows", &[
        ("days", "windows_go_by_the_requests_time"),
        ("from", "windows_go_by_the_requests_time"),
        ("to", "windows_go_by_the_requests_time"),
        ("time_zone", "windows_go_by_the_requests_time"),
        ("multiplier", "windows_go_by_the_requests_time"),
    ]),
];

/// A key that no table has: whoever reads one that has it says which there are.
const UNKNOWN: &str = "zzzz-zzzz";

/// What `tollgate check` says there is in the place of [`UNKNOWN`] in these files; `None`: it is no place for keys of ours.
fn known_keys(gateway: &Gateway, config: &str, prices: &str) -> Option<Vec<String>> {
    gateway.write("tollgate.toml", &format!("{config}\n"));
    gateway.write("pricing.toml", prices);
    let output = gateway.run(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut lines = said.lines().filter(|line| line.contains(UNKNOWN));
    let line =
        lines.find(|line| ["unknown key", "unknown plugin", "unknown field"].iter().any(|word| line.contains(word)))?;
    // A plugin without keys says that it has none.
    let (_, known) = line.split_once(", expected ").unwrap_or_default();
    let known = known.strip_prefix("one of ").unwrap_or(known);
    let names = known.split([',', ' ', '`']).filter(|word| !["", "or"].contains(word));
    Some(names.map(str::to_owned).collect())
}

/// All tables that there are, and the keys of each, as the gateway itself reads them: every key is tried as a table, and as a list of
/// them. `probe` asks for what is known in the place of the path's end.
fn walk(path: &str, probe: &dyn Fn(&str, &str) -> Option<Vec<String>>, found: &mut BTreeMap<String, Vec<String>>) {
    const VALUES: [&str; 2] = ["{ zzzz-zzzz = 1 }", "[{ zzzz-zzzz = 1 }]"];
    for key in found[path].clone() {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        // `{ … }` and `[{ … }]` are told apart by who reads them.
        if let Some(keys) = VALUES.iter().find_map(|value| probe(&inner, value)).filter(|keys| *keys != found[path]) {
            found.insert(inner.clone(), keys);
            walk(&inner, probe, found);
        }
    }
}

/// A line of TOML that puts `value` at `path`, through the lists on the way.
fn put(path: &str, value: &str, lists: &[&str]) -> String {
    let (mut text, mut open, mut at) = (String::new(), String::new(), String::new());
    let parts: Vec<&str> = path.split('.').collect();
    for (index, part) in parts.iter().enumerate() {
        at = if at.is_empty() { (*part).to_owned() } else { format!("{at}.{part}") };
        text += &format!("{part} = ");
        if index + 1 < parts.len() {
            let (begin, end) = if lists.contains(&at.as_str()) { ("[{ ", " }]") } else { ("{ ", " }") };
            text += begin;
            open.insert_str(0, end);
        }
    }
    text + value + &open
}

/// Asserts that each key that there is has a test, and that each test is there, in a file that has to do with the key.
fn assert_all_tested(found: &BTreeMap<String, Vec<String>>, tests: &[(&str, &[(&str, &str)])], sources: &[String]) {
    let tables: BTreeSet<&str> = tests.iter().map(|(table, _)| *table).collect();
    let there: BTreeSet<&str> =
        found.iter().filter(|(_, keys)| !keys.is_empty()).map(|(table, _)| table.as_str()).collect();
    assert_eq!(tables, there, "the tables that have tests, and those there are");
    for (table, keys) in tests {
        let tested: BTreeSet<&str> = keys.iter().map(|(key, _)| *key).collect();
        let known: BTreeSet<&str> = found[*table].iter().map(String::as_str).collect();
        assert_eq!(tested, known, "[{table}]: what has a test, and what there is");
        for (key, test) in *keys {
            let source = sources.iter().find(|source| source.contains(&format!("fn {test}()")));
            let source = source.unwrap_or_else(|| panic!("{table}.{key}: there is no test {test}"));
            assert!(
                test.contains(key) || is_set_in(source, key),
                "{table}.{key}: nothing of the file of {test} names it"
            );
        }
    }
}

/// Whether a source names a key, elsewhere than in a table like [`TESTS`].
fn is_set_in(source: &str, key: &str) -> bool {
    let lines = source.lines().filter(|line| !line.trim_start().starts_with(&format!("(\"{key}\", ")));
    // A text may break a line before a key.
    lines.map(|line| line.replace("\\n", " ")).any(|line| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word == key)
    })
}

/// What stands in the files of a folder.
fn sources(folder: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).expect("these sources").flatten();
    files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
}

#[test]
fn every_key_has_a_test_that_fails_without_it() {
    const LISTS: [&str; 3] = ["upstream", "upstream.models", "plugins.rate-limit.rules"];
    let gateway = Gateway::prepare(&Setup::new([]));
    let probe = |path: &str, value: &str| known_keys(&gateway, &put(path, value, &LISTS), "");
    let top = probe(UNKNOWN, "1").expect("the top of the file has keys");
    let mut found = BTreeMap::from([(String::new(), top)]);
    walk("", &probe, &mut found);
    // These two are but the names of tables.
    found.remove("");
    let plugins = found.remove("plugins").expect("there are plugins");
    assert!(plugins.iter().all(|name| found.contains_key(&format!("plugins.{name}"))), "{plugins:?}: {found:?}");
    assert_all_tested(&found, TESTS, &sources("tests/proxy"));
    assert_all_described(&found);
}

/// Each key stands where README says that all do: a plugin's in README's own example, in its table; others in the shape.
fn assert_all_described(found: &BTreeMap<String, Vec<String>>) {
    let read = |file| std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file);
    let (readme, shape) = (read("README.md"), read("src/config/shape.rs"));
    let examples: Vec<&str> = readme.split("\n[").map(|example| example.trim_start_matches('[')).collect();
    for (table, keys) in found {
        let example = examples.iter().find(|example| example.starts_with(table)).copied().unwrap_or_default();
        let words = example.split(|c: char| !c.is_alphanumeric() && c != '_');
        for key in keys {
            let is_described = match table.starts_with("plugins.") {
                true => words.clone().any(|word| word == key),
                false => shape.contains(&format!("    pub {key}: ")),
            };
            assert!(is_described, "{table}.{key}");
        }
    }
}

#[test]
fn every_key_of_the_price_file_has_a_test() {
    const LISTS: [&str; 3] = ["model", "model.tiers", "model.windows"];
    let gateway = Gateway::prepare(&Setup::new([]));
    let probe = |path: &str, value: &str| known_keys(&gateway, "", &put(path, value, &LISTS));
    let mut found = BTreeMap::from([(String::new(), probe(UNKNOWN, "1").expect("keys"))]);
    walk("", &probe, &mut found);
    let of_row: BTreeSet<String> = found["model"].iter().cloned().collect();
    for (_, keys) in found.iter_mut().filter(|(table, _)| table.starts_with("model.")) {
        keys.retain(|key| !of_row.contains(key));
    }
    // Tiers are the same, whatever of the row they change.
    let tiers = found["model.tiers"].clone();
    found.retain(|table, keys| table == "model.tiers" || !table.ends_with(".tiers") || *keys != tiers);
    assert_all_tested(&found, PRICE_TESTS, &sources("src/price/tests"));
}

async fn working() -> (Provider, Setup) {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    (provider, setup)
}

#[tokio::test]
async fn server_listen_is_a_list_and_metrics_listen_can_be_off() {
    let (_provider, setup) = working().await;
    let (first, second) = (free_address(), free_address());
    let setup =
        setup.set("server.listen", &format!("[\"{first}\", \"{second}\"]")).set("server.metrics_listen", "\"\"");
    let mut gateway = Gateway::prepare(&setup);
    let key = gateway.key("k", &[]).await;
    let unused = gateway.metrics_address;
    gateway.address = first;
    gateway.serve().await;
    for address in [first, second] {
        assert_eq!(client::send(address, &plain_chat(false).key(&key.key)).await.status, 200);
    }
    assert!(client::Client::connect(unused).await.is_err(), "nobody listens for metrics");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn server_threads_is_how_many_serve() {
    let (_provider, setup) = working().await;
    let mut counts = Vec::new();
    for threads in [1, 9] {
        let (gateway, key) = serving(&setup.clone().set("server.threads", &threads.to_string())).await;
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
        let tasks = std::fs::read_dir(format!("/proc/{}/task", gateway.pid())).expect("a running process has threads");
        counts.push(tasks.count());
        gateway.finish(&[&key]).await;
    }
    assert!(counts[1] >= counts[0] + 8, "{counts:?}");
}

#[tokio::test]
async fn server_trusted_proxies_are_believed_and_nobody_else() {
    let (_provider, setup) = working().await;
    // The list, what the request says, and whom the access log names.
    let ways = [
        ("[]", "6.6.6.6", "127.0.0.1"),
        ("[\"127.0.0.0/8\"]", "6.6.6.6", "6.6.6.6"),
        ("[\"127.0.0.0/8\"]", "6.6.6.6, 7.7.7.7", "7.7.7.7"),
        ("[\"127.0.0.0/8\", \"7.7.7.0/24\"]", "5.5.5.5, 6.6.6.6, 7.7.7.7", "6.6.6.6"),
        ("[\"10.0.0.0/8\"]", "6.6.6.6", "127.0.0.1"),
    ];
    for (trusted, forwarded, client) in ways {
        let setup = setup.clone().set("server.trusted_proxies", trusted).set("plugins.access-log.output", "\"stdout\"");
        let (gateway, key) = serving(&setup).await;
        let request = plain_chat(false).key(&key.key).field("x-forwarded-for", forwarded);
        let answer = gateway.send(&request).await;
        let id = answer.field("x-request-id").expect("an id").to_owned();
        let line =
            until("the access log", || gateway.said().lines().find(|line| line.contains(&id)).map(str::to_owned)).await;
        assert!(line.contains(&format!("\"client\":\"{client}\"")), "{trusted} {forwarded}: {line}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn store_url_journal_dir_and_pricing_file_are_where_things_are() {
    let (_provider, setup) = working().await;
    let setup = setup
        .set("store.url", "\"sqlite:elsewhere/ledger file.db\"")
        .set("ledger.journal_dir", "\"elsewhere/j\"")
        .set("pricing.file", "\"elsewhere/prices.toml\"")
        .prices("not even TOML, and not read");
    let mut gateway = Gateway::prepare(&setup);
    std::fs::create_dir_all(gateway.path("elsewhere")).expect("a folder");
    gateway.write("elsewhere/prices.toml", PRICES);
    let key = gateway.key("k", &[]).await;
    gateway.serve().await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    assert_eq!(number(&gateway.wait_record().await, "cost_nanos"), COST);
    assert!(gateway.path("elsewhere/ledger file.db").is_file());
    assert!(std::fs::read_dir(gateway.path("elsewhere/j")).expect("the journal").count() > 0);
    assert!(!gateway.path("data").exists(), "nothing where the defaults would be");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_missing_price_file_is_a_book_without_prices_and_an_unreadable_one_an_error() {
    let (_provider, setup) = working().await;
    let (gateway, key) = {
        let mut gateway = Gateway::prepare(&setup);
        std::fs::remove_file(gateway.path("pricing.toml")).expect("the file is there");
        let key = gateway.key("k", &[]).await;
        gateway.serve().await;
        (gateway, key)
    };
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(gateway.wait_record().await["price_missing"], true);
    gateway.finish(&[&key]).await;
    for (text, words) in [("[[model]]\nname = \"m\"\ninput = -1\noutput = 2\n", ":3"), ("[[mode", ":1")] {
        let gateway = Gateway::prepare(&setup.clone().prices(text));
        for command in ["serve", "check"] {
            let output = gateway.run(&[command]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(&format!("pricing.toml{words}")), "{command}: {said}");
        }
    }
}

#[tokio::test]
async fn ledger_durability_power_syncs_the_journal_before_the_answer() {
    const SCRIPT: &str =
        "#!/bin/sh\nexec strace -D -f -y -e trace=fsync,fdatasync,sync_file_range -o trace TOLLGATE \"$@\"\n";
    if !is_installed("strace") {
        return;
    }
    let (_provider, setup) = working().await;
    let mut synced = Vec::new();
    for durability in ["process", "power"] {
        let mut gateway = Gateway::prepare(&setup.clone().set("ledger.durability", &format!("\"{durability}\"")));
        let key = gateway.key("k", &[]).await;
        // The gateway under `strace`, as a process of its own: nobody has to be let attach to it.
        gateway.write("traced", &SCRIPT.replace("TOLLGATE", env!("CARGO_BIN_EXE_tollgate")));
        std::fs::set_permissions(gateway.path("traced"), Permissions::from_mode(0o755)).expect("our file");
        gateway.program = gateway.path("traced");
        gateway.serve().await;
        gateway.program = env!("CARGO_BIN_EXE_tollgate").into();
        let syncs = || {
            let trace = gateway.read("trace");
            trace.lines().filter(|line| line.contains("sync") && line.contains("/journal/")).count()
        };
        let before = syncs();
        for _ in 0..5 {
            assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
        }
        synced.push(syncs() - before);
        // What is traced is there, so what is not was not done.
        assert!(gateway.path("trace").is_file());
        gateway.finish(&[&key]).await;
    }
    assert_eq!(synced[0], 0, "the operating system has it: that survives a kill");
    assert!(synced[1] >= 5, "one for each answer at least: {synced:?}");
}

#[tokio::test]
async fn routing_connect_timeout_ms_ends_a_connection_that_never_stands() {
    let full = FullQueue::new().await;
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([
        Wire::Chat.upstream_at("full", full.address).models(r#"["m", "alone"]"#),
        Wire::Chat.upstream("next", &provider).with("priority = 1"),
    ])
    .set("routing.connect_timeout_ms", "300")
    .set("pricing.unknown_model", "\"allow\"");
    let (gateway, key) = serving(&setup).await;
    // The default is ten seconds.
    let limit = Duration::from_secs(7);
    let request = plain_chat(false).key(&key.key);
    let answer = tokio::time::timeout(limit, gateway.send(&request)).await.expect("long before the default");
    assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("2")));
    let request = Wire::Chat.request_for("alone", false).key(&key.key);
    let answer = tokio::time::timeout(limit, gateway.send(&request)).await.expect("long before the default");
    assert_eq!((answer.status, answer.error_code().as_str()), (504, "UPSTREAM_TIMEOUT"));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn upstream_api_key_and_base_url_take_variables() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let upstream = crate::support::gateway::Upstream::new("u", "openai", "http://${PROVIDER_ADDRESS}/v1")
        .with("api_key = \"${PROVIDER_KEY_OF_A_TEST}\"");
    let setup = Setup::new([upstream])
        .environment("PROVIDER_ADDRESS", &provider.address.to_string())
        .environment("PROVIDER_KEY_OF_A_TEST", "from-the-environment-1234");
    let (gateway, key) = serving(&setup).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    assert_eq!(provider.only().field("authorization"), Some("Bearer from-the-environment-1234"));
    assert!(!gateway.said().contains("from-the-environment"));
    let listed = gateway.run(&["upstream", "list", "--json"]);
    assert!(listed.status.success() && !String::from_utf8_lossy(&listed.stdout).contains("from-the-environment"));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn plugins_cors_answers_browsers_of_the_named_origins_alone() {
    let (provider, setup) = working().await;
    let with = setup
        .clone()
        .set("plugins.cors.allowed_origins", "[\"https://app.example\"]")
        .set("plugins.cors.max_age_seconds", "77");
    let (gateway, key) = serving(&with).await;
    let preflight = |origin: &str| {
        Request::new("OPTIONS", "/v1/chat/completions")
            .field("origin", origin)
            .field("access-control-request-method", "POST")
            .field("access-control-request-headers", "authorization,content-type")
    };
    let allowed = gateway.send(&preflight("https://app.example")).await;
    assert_eq!((allowed.status, allowed.field("access-control-allow-origin")), (204, Some("https://app.example")));
    assert_eq!(allowed.field("access-control-max-age"), Some("77"));
    assert_eq!(gateway.send(&preflight("https://evil.example")).await.field("access-control-allow-origin"), None);
    let from = |origin: &str| plain_chat(false).field("origin", origin);
    let answer = gateway.send(&from("https://app.example").key(&key.key)).await;
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (200, Some("https://app.example")));
    let refused = gateway.send(&from("https://app.example").key("junk")).await;
    assert_eq!((refused.status, refused.field("access-control-allow-origin")), (401, Some("https://app.example")));
    // Scripts may read whatever fields of our own there are.
    for answer in [&answer, &refused] {
        let exposed = answer.field("access-control-expose-headers").expect("a list");
        let exposed: Vec<&str> = exposed.split(", ").collect();
        let ours = |name: &str| {
            name.starts_with("x-tollgate-") || name.starts_with("x-ratelimit-") || name.ends_with("request-id")
        };
        let unread: Vec<_> =
            answer.fields.iter().filter(|(name, _)| ours(name) && !exposed.contains(&&**name)).collect();
        assert!(unread.is_empty(), "{unread:?}");
    }
    let evil = gateway.send(&from("https://evil.example").key(&key.key)).await;
    assert_eq!((evil.status, evil.field("access-control-allow-origin")), (200, None));
    assert!(provider.received().iter().all(|request| request.field("origin").is_none()));
    gateway.finish(&[&key]).await;
    // Without the table no browser is let in.
    let (gateway, key) = serving(&setup).await;
    let answer = gateway.send(&from("https://app.example").key(&key.key)).await;
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (200, None));
    gateway.finish(&[&key]).await;
}
