//! What an answer costs.

use tollgate_plugin_api::{ExtraUsage, Metered, ServiceTier, Usage, UsageDetail};

use super::{book, only, tokens, with};
use crate::price::{Multiplier, PieceCounts, PriceBook};

fn nanos(book: &PriceBook, metered: &Metered) -> i64 {
    at(book, metered, 0)
}

fn at(book: &PriceBook, metered: &Metered, unix_ms: i64) -> i64 {
    let cost = book.cost(Some(only(book)), metered, unix_ms);
    assert!(!cost.missing);
    let lines = book.explain(Some(only(book)), metered, unix_ms);
    let sum: i128 = lines.iter().map(|line| line.amount).sum();
    assert_eq!(sum, i128::from(cost.nanos) * 1_000_000_000_000_000_000, "{lines:?}");
    cost.nanos
}

fn ms(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[test]
fn the_sum_that_everyone_knows() {
    // 100 prompt and 200 completion tokens at 0.03 and 0.06 USD per thousand.
    let book = with("input = 30\noutput = 60\n");
    assert_eq!(nanos(&book, &tokens(100, 200)), 15_000_000);
}

#[test]
fn rounds_up_once_and_only_once() {
    // A token costs 0.3 nano-USD.
    let book = with("input = 0.0003\noutput = 0.0003\nreasoning = 0.0003\n");
    for (input, output, expected) in [(0, 0, 0), (1, 0, 1), (1, 1, 1), (1, 2, 1), (2, 2, 2), (5, 5, 3), (10, 0, 3)] {
        assert_eq!(nanos(&book, &tokens(input, output)), expected, "{input} + {output}");
    }
}

#[test]
fn each_class_at_its_price() {
    let text = "input = 1\ncached_input = 2\ncache_write = 4\ncache_write_1h = 8\ninput_audio = 16\ncached_audio = 32\n\
        input_image = 64\noutput = 128\nreasoning = 256\noutput_audio = 512\noutput_image = 1024\n\
        web_search_per_thousand = 1\nper_request = 0.000001\n";
    let metered = Metered {
        usage: Usage {
            input_tokens: 1_000 + 200 + 30,
            cached_input_tokens: 200,
            cache_write_tokens: 30,
            output_tokens: 5_000,
            reasoning_tokens: 600,
        },
        detail: UsageDetail {
            cache_write_1h_tokens: 7,
            input_audio_tokens: 11,
            cached_audio_tokens: 13,
            input_image_tokens: 17,
            output_audio_tokens: 19,
            output_image_tokens: 23,
            web_searches: 2,
        },
        ..Metered::default()
    };
    let micros = (1_000 - 11 - 17) + 2 * (200 - 13) + 4 * (30 - 7) + 8 * 7 + 16 * 11 + 32 * 13 + 64 * 17;
    let micros = micros + 128 * (5_000 - 600 - 19 - 23) + 256 * 600 + 512 * 19 + 1024 * 23;
    assert_eq!(nanos(&with(text), &metered), micros * 1_000 + 2 * 1_000_000 + 1_000);
}

#[test]
fn a_class_without_a_price_costs_what_the_more_general_one_does() {
    let metered = |usage: Usage, detail: UsageDetail| Metered { usage, detail, ..Metered::default() };
    let cached = Usage { input_tokens: 1000, cached_input_tokens: 1000, ..Usage::default() };
    let written = Usage { input_tokens: 1000, cache_write_tokens: 1000, ..Usage::default() };
    let hour = UsageDetail { cache_write_1h_tokens: 1000, ..UsageDetail::default() };
    let audio = UsageDetail { cached_audio_tokens: 1000, ..UsageDetail::default() };
    let none = UsageDetail::default();
    for (more, usage, detail, usd) in [
        ("", cached, none, 2),
        ("cached_input = 1", cached, none, 1),
        ("cached_input = 1", cached, audio, 1),
        ("cached_input = 1\ninput_audio = 7", cached, audio, 7),
        ("cached_input = 1\ninput_audio = 7\ncached_audio = 3", cached, audio, 3),
        ("", written, hour, 2),
        ("cache_write = 3", written, hour, 3),
        ("cache_write = 3", written, none, 3),
        ("cache_write = 3\ncache_write_1h = 5", written, hour, 5),
        ("cache_write_1h = 5", written, none, 2),
    ] {
        assert_eq!(
            nanos(&with(&format!("input = 2\noutput = 9\n{more}\n")), &metered(usage, detail)),
            usd * 1_000_000,
            "{more}"
        );
    }
}

#[test]
fn absurd_counts_never_give_credit_nor_panic() {
    let book = with("input = 1000000000\ncached_input = 0\noutput = 1000000000\nper_request = 1\nbatch = 1000\n");
    let most = Usage {
        input_tokens: u64::MAX,
        cached_input_tokens: u64::MAX,
        cache_write_tokens: u64::MAX,
        output_tokens: u64::MAX,
        reasoning_tokens: u64::MAX,
    };
    let detail = UsageDetail {
        cache_write_1h_tokens: u64::MAX,
        input_audio_tokens: u64::MAX,
        cached_audio_tokens: u64::MAX,
        input_image_tokens: u64::MAX,
        output_audio_tokens: u64::MAX,
        output_image_tokens: u64::MAX,
        web_searches: u64::MAX,
    };
    let mut metered = Metered { usage: most, detail, tier: ServiceTier::Batch, ..Metered::default() };
    metered.extras = vec![ExtraUsage { kind: "x".into(), usage: most, ..ExtraUsage::default() }; 3];
    assert_eq!(nanos(&book, &metered), i64::MAX);
    // Parts larger than their whole are cut to it: 161 cached of 7.
    let cached = Usage { input_tokens: 7, cached_input_tokens: 161, ..Usage::default() };
    assert_eq!(nanos(&book, &Metered { usage: cached, ..Metered::default() }), 1_000_000_000);
    let reasoning = Usage { output_tokens: 0, reasoning_tokens: 10, ..Usage::default() };
    assert_eq!(nanos(&book, &Metered { usage: reasoning, ..Metered::default() }), 1_000_000_000);
    assert_eq!(
        only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, u64::MAX, u64::MAX, &PieceCounts::default()),
        i64::MAX
    );
}

#[test]
fn a_long_prompt_reprices_the_whole_request() {
    let book = with(
        "input = 1\ncached_input = 0.5\noutput = 10\ntiers = [{ above_prompt_tokens = 1000, output = 30 }, \
         { above_prompt_tokens = 200, input = 2, output = 20 }]\n",
    );
    for (input, output, micros) in
        [(200, 5, 200 + 50), (201, 5, 402 + 100), (1000, 5, 2000 + 100), (1001, 5, 1001 + 150)]
    {
        assert_eq!(nanos(&book, &tokens(input, output)), micros * 1000, "{input}");
    }
    // Cached tokens count for the length, and keep the price that the tier does not name.
    let mut cached = tokens(300, 0);
    cached.usage.cached_input_tokens = 200;
    assert_eq!(nanos(&book, &cached), 200_000 + 100_000);
}

#[test]
fn service_tiers_multiply_or_have_prices() {
    let book = with(
        "input = 2\ncached_input = 1\noutput = 4\nper_request = 0.001\nbatch = 0.5\nflex = { input = 1.5 }\npriority = 1.7501\n",
    );
    let cost = |tier| nanos(&book, &Metered { tier, ..tokens(1000, 1000) }) - 1_000_000;
    assert_eq!(cost(ServiceTier::Standard), 6_000_000);
    assert_eq!(cost(ServiceTier::Batch), 3_000_000);
    assert_eq!(cost(ServiceTier::Flex), 5_500_000);
    assert_eq!(cost(ServiceTier::Priority), 10_500_600);
    let tiers = with(
        "input = 1\noutput = 1\ntiers = [{ above_prompt_tokens = 10, input = 2 }]\n\
         batch = { input = 0.5, tiers = [{ above_prompt_tokens = 10, input = 0.75 }] }\nflex = { input = 3, tiers = [] }\n",
    );
    let long = |tier| nanos(&tiers, &Metered { tier, ..tokens(100, 0) });
    assert_eq!(
        [long(ServiceTier::Standard), long(ServiceTier::Batch), long(ServiceTier::Flex)],
        [200_000, 75_000, 300_000]
    );
}

#[test]
fn a_dearer_tier_without_a_price_is_missing_and_a_cheaper_one_is_billed_as_the_standard_one() {
    use ServiceTier::{Batch, Flex, Priority, Standard, Ultrafast};
    let bare = "input = 2\noutput = 4\n";
    let with_priority = "input = 2\noutput = 4\npriority = 2\n";
    let cases = [
        (bare, Batch, 6_000_000, false, "m"),
        (bare, Flex, 6_000_000, false, "m"),
        (bare, Priority, 6_000_000, true, "m, without a price for priority: as for standard"),
        (bare, Ultrafast, 6_000_000, true, "m, without a price for ultrafast: as for standard"),
        (with_priority, Priority, 12_000_000, false, "m, multiplied for priority"),
        (with_priority, Ultrafast, 12_000_000, true, "m, without a price for ultrafast: as for priority"),
        ("input = 2\noutput = 4\nultrafast = 6\n", Ultrafast, 36_000_000, false, "m, multiplied for ultrafast"),
        ("input = 2\noutput = 4\npriority = 1\n", Priority, 6_000_000, false, "m, multiplied for priority"),
        ("input = 0\noutput = 0\n", Priority, 0, false, "m"),
    ];
    for (rest, tier, nanos, missing, which) in cases {
        let book = with(rest);
        let metered = Metered { tier, ..tokens(1000, 1000) };
        let cost = book.cost(Some(only(&book)), &metered, 0);
        assert_eq!((cost.nanos, cost.missing), (nanos, missing), "{rest} {tier:?}");
        assert_eq!(only(&book).has_price_in(tier, 0), !missing, "{rest} {tier:?}");
        assert_eq!(book.explain(Some(only(&book)), &metered, 0)[0].how, which);
        // Where no token is billed, no price of tokens is missing.
        let nothing = Metered { tier, ..Metered::default() };
        assert!(!book.cost(Some(only(&book)), &nothing, 0).missing);
    }
    let changes = with(
        "input = 1\noutput = 1\n[[model]]\nname = \"m\"\nvalid_from = 2026-12-01\ninput = 1\noutput = 1\npriority = 2\n",
    );
    let december_ms = 1_796_083_200_000;
    let has = |at| only(&changes).has_price_in(Priority, at);
    assert_eq!((has(december_ms - 1), has(december_ms)), (false, true));
    assert!(only(&changes).has_price_in(Standard, 0));
}

#[test]
fn a_row_says_that_its_model_reads_by_itself() {
    for (more, reads) in [("", false), ("reads_elsewhere = false\n", false), ("reads_elsewhere = true\n", true)] {
        let text = format!("input = 1\noutput = 1\n{more}");
        assert_eq!(only(&with(&text)).limits(0).reads_elsewhere, reads, "{more}");
    }
}

#[test]
fn a_hold_has_the_tiers_that_can_come() {
    let book = with("input = 1\noutput = 1\nbatch = 1.5\npriority = 2\nultrafast = 6\n");
    let held = |dearest| only(&book).worst_case_nanos(dearest, 1, 1000, 0, &PieceCounts::default());
    let tiers = [ServiceTier::Standard, ServiceTier::Flex, ServiceTier::Priority, ServiceTier::Ultrafast];
    assert_eq!(tiers.map(held), [1_500_000, 1_500_000, 2_000_000, 6_000_000]);
    assert_eq!(only(&book).worst_case_anywhere_nanos(1000, 0, &PieceCounts::default()), 1_500_000);
}

#[test]
fn token_prices_are_multiplied_where_a_model_had_to_run_in_a_place() {
    let book = with(
        "input = 2\noutput = 4\nper_request = 0.001\nweb_search_per_thousand = 10\nbatch = 0.5\nflex = { input = 1 }\n\
         inference_geo = { us = 1.1, eu = 1.2345, moon = 0 }\n",
    );
    let cost = |geo: &str, tier| {
        let mut metered = Metered { inference_geo: Some(geo.into()), tier, ..tokens(1000, 1000) };
        metered.detail.web_searches = 1;
        // One request and one search, which are the same everywhere.
        nanos(&book, &metered) - 1_000_000 - 10_000_000
    };
    assert_eq!(cost("us", ServiceTier::Standard), 6_600_000);
    assert_eq!(cost("eu", ServiceTier::Standard), 7_407_000);
    assert_eq!(cost("moon", ServiceTier::Standard), 0);
    assert_eq!(cost("mars", ServiceTier::Standard), 6_000_000);
    assert_eq!(cost("us", ServiceTier::Batch), 3_300_000);
    assert_eq!(cost("us", ServiceTier::Flex), 5_500_000);
    assert_eq!(
        only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, 1000, 1000, &PieceCounts::default()),
        7_407_000 + 1_000_000,
        "the dearest place is held"
    );
    assert_eq!(only(&book).worst_case_anywhere_nanos(1000, 1000, &PieceCounts::default()), 6_000_000 + 1_000_000);
    let metered = Metered { inference_geo: Some("us".into()), ..tokens(1000, 0) };
    let lines = book.explain(Some(only(&book)), &metered, 0);
    assert_eq!(lines[0].how, "m, multiplied for inference in us");
    assert_eq!((&*lines[1].how, &*lines[1].usd()), ("1000 tokens x 2.2 USD/M (2 x 1.1)", "0.0022"));
    // Rounded up to a nano-USD per million tokens, before it is multiplied by the count.
    let odd = with("input = 0.000000001\noutput = 1\ninference_geo = { us = 1.1 }\n");
    let us = Metered { inference_geo: Some("us".into()), ..tokens(3_000_000, 0) };
    assert_eq!((nanos(&odd, &us), nanos(&odd, &tokens(3_000_000, 0))), (6, 3));
    let cheap = with("input = 1\noutput = 1\ninference_geo = { us = 0.5 }\n");
    assert_eq!(
        only(&cheap).worst_case_nanos(ServiceTier::Ultrafast, 1, 1000, 0, &PieceCounts::default()),
        1_000_000,
        "a model may run anywhere"
    );
}

#[test]
fn cache_writes_of_an_hour_are_charged_as_such_in_what_is_billed_on_top() {
    let book = with("input = 1\ncache_write = 2\ncache_write_1h = 4\noutput = 1\n");
    let usage = Usage { input_tokens: 1000, cache_write_tokens: 300, ..Usage::default() };
    let extra = ExtraUsage { kind: "compaction".into(), usage, cache_write_1h_tokens: 200, ..ExtraUsage::default() };
    let metered = Metered { extras: vec![extra], ..tokens(0, 0) };
    assert_eq!(nanos(&book, &metered), 700_000 + 200_000 + 800_000);
}

#[test]
fn images_that_a_tool_makes_are_charged_as_images() {
    let book = with("input = 5\ninput_image = 8\noutput = 10\noutput_image = 32\n");
    let usage = Usage { input_tokens: 108, output_tokens: 1756, ..Usage::default() };
    let kind = "image_generation".to_owned();
    let extra = ExtraUsage { kind, usage, input_image_tokens: 8, output_image_tokens: 1700, ..ExtraUsage::default() };
    let metered = Metered { extras: vec![extra], ..tokens(0, 0) };
    assert_eq!(nanos(&book, &metered), 100 * 5_000 + 8 * 8_000 + 56 * 10_000 + 1700 * 32_000);
}

#[test]
fn windows_go_by_the_requests_time() {
    let book = with(
        "input = 1\noutput = 1\nbatch = 0.5\nwindows = [\n\
         { days = [\"mon\"], from = \"09:00\", to = \"12:00\", time_zone = \"Asia/Shanghai\", multiplier = 2 },\n\
         { from = \"09:00\", to = \"18:00\", time_zone = \"Asia/Shanghai\", input = 7 },\n]\n",
    );
    for (time, expected) in [
        ("2026-11-16T00:59:59Z", 1_000_000),
        ("2026-11-16T01:00:00Z", 2_000_000),
        ("2026-11-16T04:00:00Z", 7_000_000),
        ("2026-11-17T01:00:00Z", 7_000_000),
        ("2026-11-17T10:00:00Z", 1_000_000),
    ] {
        assert_eq!(at(&book, &tokens(1_000_000, 0), ms(time)), expected * 1000, "{time}");
        let batch = Metered { tier: ServiceTier::Batch, ..tokens(1_000_000, 0) };
        assert_eq!(at(&book, &batch, ms(time)), expected * 500, "{time}");
    }
    let lines = book.explain(Some(only(&book)), &tokens(1_000_000, 0), ms("2026-11-16T01:00:00Z"));
    assert_eq!(lines[0].to_string(), "price: m, in the window mon 09:00:00-12:00:00 Asia/Shanghai");
    assert_eq!(lines[1].to_string(), "input: 1000000 tokens x 1 USD/M x 2 = 2 USD");
}

#[test]
fn a_later_row_takes_over_at_its_time() {
    let row = |rest: &str| format!("[[model]]\nname = \"m\"\n{rest}\n");
    let book = book(
        &(row(
            "valid_from = 2026-12-01T08:00:00+08:00\ninput = 3\noutput = 3\nmax_output_tokens = 9\naliases = [\"n\"]",
        ) + &row("input = 1\noutput = 1\ncontext_tokens = 5")
            + &row("valid_from = \"2026-11-01\"\ninput = 2\noutput = 2\naliases = [\"n\"]")),
    );
    for (time, usd) in [
        ("2020-01-01T00:00:00Z", 1),
        ("2026-10-31T23:59:59Z", 1),
        ("2026-11-01T00:00:00Z", 2),
        ("2026-11-30T23:59:59Z", 2),
        ("2026-12-01T00:00:00Z", 3),
    ] {
        assert_eq!(at(&book, &tokens(1_000_000, 0), ms(time)), usd * 1_000_000_000, "{time}");
    }
    let price = only(&book);
    let limits = |time: &str| (price.limits(ms(time)).output_tokens_max, price.limits(ms(time)).context_tokens);
    assert_eq!(limits("2026-11-30T23:59:59Z"), (None, Some(5)), "nothing of a row holds before it begins");
    assert_eq!(limits("2026-12-01T00:00:00Z"), (Some(9), Some(5)), "what it does not name goes on");
    assert_eq!(price.line, 1);
    assert_eq!(book.find("", "n", "").unwrap().model, price.model);
    // No date makes a model free.
    let future = with("valid_from = 2030-01-01\ninput = 1\noutput = 1\n");
    assert_eq!(nanos(&future, &tokens(1_000_000, 0)), 1_000_000_000);
}

#[test]
fn what_ran_on_another_model_has_that_models_price() {
    let row = |name: &str, usd: u32| {
        format!("[[model]]\nname = \"{name}\"\ninput = {usd}\noutput = {usd}\nper_request = 1\n")
    };
    let mut book = book(&(row("m", 1) + &row("big", 5)));
    let usage = Usage { input_tokens: 10, output_tokens: 10, ..Usage::default() };
    let extra = |model: Option<&str>| {
        let model = model.map(str::to_owned);
        ExtraUsage { kind: "compaction".into(), model, usage, ..ExtraUsage::default() }
    };
    let mut metered = tokens(100, 0);
    metered.extras = vec![extra(None), extra(Some("big"))];
    assert_eq!(nanos(&book, &metered), 1_000_000_000 + 100_000 + 20_000 + 100_000, "a request is charged once");
    let lines: Vec<String> =
        book.explain(Some(only(&book)), &metered, 0).iter().map(|line| line.what.clone()).collect();
    assert_eq!(lines, ["price", "input", "per_request", "price", "input", "output", "price", "input", "output"]);
    metered.extras.push(extra(Some("unknown")));
    let cost = book.cost(Some(only(&book)), &metered, 0);
    assert!(cost.missing && cost.nanos == 1_000_220_000);
    let unpriced = book.cost(None, &metered, 0);
    assert!(unpriced.missing && unpriced.nanos == 100_000, "what has a price is charged: {unpriced:?}");
    book = PriceBook::empty();
    assert_eq!(book.cost(None, &tokens(5, 5), 0).nanos, 0);
    assert!(book.cost(None, &tokens(5, 5), 0).missing && book.explain(None, &tokens(5, 5), 0).is_empty());
}

#[test]
fn the_worst_case_is_the_dearest_that_can_apply() {
    let worst = |rest: &str, input, output| {
        let book = with(rest);
        only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, input, output, &PieceCounts::default())
    };
    assert_eq!(worst("input = 30\noutput = 60\n", 100, 200), 15_000_000);
    assert_eq!(
        worst("input = 1\ncached_input = 0.1\ncache_write_1h = 2\noutput = 1\nreasoning = 3\n", 1000, 1000),
        5_000_000
    );
    assert_eq!(worst("input = 1\noutput = 1\nper_request = 0.5\n", 0, 0), 500_000_000);
    let tiers = "input = 1\noutput = 2\ntiers = [{ above_prompt_tokens = 1000, input = 5, output = 1 }]\n";
    assert_eq!(worst(tiers, 1000, 1000), 3_000_000, "the tier is not reached");
    assert_eq!(worst(tiers, 1001, 1000), 7_005_000, "and a shorter prompt is still possible");
    let windows =
        "input = 1\noutput = 1\nbatch = 0.5\npriority = 2\nwindows = [{ time_zone = \"UTC\", multiplier = 3 }]\n";
    assert_eq!(worst(windows, 1000, 0), 6_000_000);
    assert_eq!(worst("input = 0.0003\noutput = 0.0003\n", 1, 1), 1, "rounded up");
}

#[test]
fn fees_are_charged_by_the_time_and_those_of_the_request_in_its_place() {
    let book = with(
        "input = 0\noutput = 0\nper_request = 0.012\nbatch = 0.5\n\
         fees = { search_context_low = 0.005, file_search = \"0.0025\", free = 0 }\n",
    );
    let cost = |done: &[(&str, u64)]| {
        let extras = done.iter().map(|(kind, times)| ExtraUsage::of_times(*kind, *times)).collect();
        let metered = Metered { extras, tier: ServiceTier::Batch, ..Metered::default() };
        let cost = book.cost(Some(only(&book)), &metered, 0);
        let lines = book.explain(Some(only(&book)), &metered, 0);
        assert_eq!(
            lines.iter().map(|line| line.amount).sum::<i128>(),
            i128::from(cost.nanos) * 1_000_000_000_000_000_000
        );
        (cost.nanos, cost.missing, lines.into_iter().skip(1).map(|line| line.to_string()).collect::<Vec<_>>())
    };
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let whole = "per_request: 1 request x 0.012 USD = 0.012 USD";
    assert_eq!(cost(&[]), (12_000_000, false, lines(&[whole])));
    let low = "search_context_low: 1 request x 0.005 USD = 0.005 USD";
    assert_eq!(cost(&[("search_context_low", 1)]), (5_000_000, false, lines(&[low])));
    assert_eq!(cost(&[("search_context_high", 1)]), (12_000_000, false, lines(&[whole])));
    let units = "per_request: 3 requests x 0.012 USD = 0.036 USD";
    assert_eq!(cost(&[("search_units", 3)]), (36_000_000, false, lines(&[units])));
    let files = "file_search: 2 times x 0.0025 USD = 0.005 USD";
    assert_eq!(cost(&[("file_search", 2)]), (17_000_000, false, lines(&[files, whole])));
    assert_eq!(cost(&[("free", 2)]), (12_000_000, false, lines(&[whole])));
    assert_eq!(cost(&[("unknown", 2)]), (12_000_000, true, lines(&[whole])), "a price is missing");
    let price = only(&book);
    assert_eq!(
        (
            price.worst_case_nanos(ServiceTier::Ultrafast, 1, 0, 0, &PieceCounts::default()),
            price.worst_case_nanos(ServiceTier::Ultrafast, 3, 0, 0, &PieceCounts::default())
        ),
        (12_000_000, 36_000_000)
    );
    let dearer =
        with("input = 0\noutput = 0\nper_request = 0.001\nfees = { search_context_high = 0.014, other = 9 }\n");
    assert_eq!(
        only(&dearer).worst_case_nanos(ServiceTier::Ultrafast, 1, 0, 0, &PieceCounts::default()),
        14_000_000,
        "the dearest that the request can be"
    );
    // What says which searches there were is billed in place of as many, if it has a fee.
    let searched = |fees: &str, previews: u64| {
        let book = with(&format!("input = 0\noutput = 0\nweb_search_per_thousand = 10\n{fees}"));
        let extras = vec![ExtraUsage::of_times("web_search_preview", previews)];
        let detail = UsageDetail { web_searches: 3, ..UsageDetail::default() };
        let cost = book.cost(Some(only(&book)), &Metered { detail, extras, ..Metered::default() }, 0);
        (cost.nanos, cost.missing)
    };
    let fee = "fees = { web_search_preview = 0.025 }\n";
    assert_eq!((searched("", 3), searched(fee, 3)), ((30_000_000, false), (75_000_000, false)));
    assert_eq!((searched(fee, 2), searched(fee, 0)), ((60_000_000, false), (30_000_000, false)));
    let yuan = PriceBook::parse(
        "[currency]\nCNY = \"0.5\"\n[[model]]\nname = \"m\"\ncurrency = \"CNY\"\ninput = 0\noutput = 0\nfees = { a = 2 }\n",
    );
    let metered = Metered { extras: vec![ExtraUsage::of_times("a", 1)], ..Metered::default() };
    assert_eq!(nanos(&yuan.unwrap(), &metered), 1_000_000_000);
}

#[test]
fn explains_in_plain_words() {
    let book = with("provider = \"any\"\ninput = 0.15\ncached_input = 0.075\noutput = 0.6\nbatch = 0.5\n");
    let mut metered = tokens(1001, 7);
    metered.usage.cached_input_tokens = 1;
    metered.tier = ServiceTier::Batch;
    let lines: Vec<String> = book.explain(Some(only(&book)), &metered, 0).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "price: m at any, multiplied for batch",
            "input: 1000 tokens x 0.15 USD/M x 0.5 = 0.000075 USD",
            "cached_input: 1 tokens x 0.075 USD/M x 0.5 = 0.0000000375 USD",
            "output: 7 tokens x 0.6 USD/M x 0.5 = 0.0000021 USD",
            "rounding: up to a nano-USD = 0.0000000005 USD",
        ]
    );
}

#[test]
fn a_multiplier_is_applied_to_the_whole_sum_before_the_one_rounding() {
    let book =
        with("input = 0.000001\noutput = 0.000003\nper_request = 0.000000001\nweb_search_per_thousand = 0.00001");
    let mut metered = tokens(333, 777);
    metered.detail.web_searches = 1;
    // 333 x 0.000001 + 777 x 0.000003 per million: 2.664 nano-USD; a nano-USD for the request, ten for the search.
    for (multiplier, cost) in
        [("1", 14), ("0.85", 12), ("0.5", 7), ("0", 0), ("0.0001", 1), ("1000", 13_664), ("2", 28)]
    {
        let price = only(&book).times(Multiplier::parse(multiplier).unwrap());
        let lines = book.explain(Some(&price), &metered, 0);
        assert_eq!(book.cost(Some(&price), &metered, 0).nanos, cost, "{multiplier}");
        assert_eq!(lines.iter().map(|line| line.amount).sum::<i128>(), i128::from(cost) * 10_i128.pow(18), "{lines:?}");
        let said =
            lines.iter().any(|line| line.what == "price_multiplier" && line.how.ends_with(&format!("x {multiplier}")));
        assert_eq!(said, multiplier != "1", "{lines:?}");
        // The worst case has no searches in it.
        metered.detail.web_searches = 0;
        let bound = price.worst_case_nanos(ServiceTier::Ultrafast, 1, 333, 777, &PieceCounts::default());
        assert!(book.cost(Some(&price), &metered, 0).nanos <= bound, "{multiplier}");
        metered.detail.web_searches = 1;
    }
    let half = only(&book).times(Multiplier::parse("0.5").unwrap());
    assert_eq!(
        (
            only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, 10_000, 10_000, &PieceCounts::default()),
            half.worst_case_nanos(ServiceTier::Ultrafast, 1, 10_000, 10_000, &PieceCounts::default())
        ),
        (41, 21)
    );
    assert_eq!(half.rates_usd(0)[0], ("input", "0.0000005".to_owned()));
    // At the limits: a sum that no amount can hold stays at the largest one, or comes back below it.
    let huge = with("input = 1000000000\noutput = 0");
    let all = tokens(u64::MAX, 0);
    for (multiplier, cost) in [("1000", i64::MAX), ("1", i64::MAX), ("0.0001", i64::MAX), ("0", 0)] {
        let price = only(&huge).times(Multiplier::parse(multiplier).unwrap());
        assert_eq!(huge.cost(Some(&price), &all, 0).nanos, cost, "{multiplier}");
        let lines = huge.explain(Some(&price), &all, 0);
        assert_eq!(lines.iter().map(|line| line.amount).sum::<i128>(), i128::from(cost) * 10_i128.pow(18), "{lines:?}");
    }
    for (text, why) in
        [("0.00001", "more than 4 decimals"), ("-1", "negative"), ("x", "not a"), ("1000.1", "too large")]
    {
        assert!(Multiplier::parse(text).unwrap_err().contains(why), "{text}");
    }
}

#[test]
fn a_row_in_another_currency_is_converted_once_exactly_or_up() {
    let text = "[currency]\nCNY = \"0.1389\"\nJPY = 0.0067\n[[model]]\nname = \"m\"\ncurrency = \"CNY\"\ninput = 2.4\n\
        cached_input = 0.000000001\noutput = 9.6\nper_request = 0.01\nweb_search_per_thousand = 10\n\
        tiers = [{ above_prompt_tokens = 1000, input = 4.8 }]\nbatch = { input = 1.2, tiers = [] }\nflex = 0.5\n";
    let book = book(text);
    let mut metered = tokens(1000, 100);
    // 1000 x 0.33336 + 100 x 1.33344 USD per million, and 0.001389 USD for the request.
    assert_eq!(nanos(&book, &metered), 333_360 + 133_344 + 1_389_000);
    metered.usage.cached_input_tokens = 1000;
    // A price of 0.0000000001389 USD is rounded up to the ninth decimal: a nano-USD per million tokens.
    assert_eq!(nanos(&book, &metered), 1 + 133_344 + 1_389_000);
    assert_eq!(only(&book).rates_usd(0)[1], ("cached_input", "0.000000001".to_owned()));
    metered = tokens(1001, 0);
    metered.detail.web_searches = 1;
    assert_eq!(nanos(&book, &metered), 1001 * 667 - 1001 * 28 / 100 + 1 + 1_389_000 + 1_389_000 - 1);
    metered = tokens(1000, 0);
    metered.tier = ServiceTier::Batch;
    assert_eq!(nanos(&book, &metered), 166_680 + 1_389_000);
    let lines = book.explain(Some(only(&book)), &metered, 0);
    let how: Vec<&str> = lines.iter().map(|line| &*line.how).collect();
    assert_eq!(how[0], "m, in CNY at 0.1389 USD, prices for batch");
    assert_eq!(how[1], "1000 tokens x 0.16668 USD/M (1.2 CNY x 0.1389)");
    metered.tier = ServiceTier::Flex;
    assert_eq!(nanos(&book, &metered), 166_680 + 1_389_000);
    assert_eq!(only(&book).currency(0), Some(("CNY", "0.1389".to_owned())));
    assert_eq!(
        only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, 1000, 100, &PieceCounts::default()),
        333_360 + 133_344 + 1_389_000
    );
}
