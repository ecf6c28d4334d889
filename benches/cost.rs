//! What the price book costs a request: looking a price up, the worst case at admission, the cost at the end.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate::price::{PieceCounts, PriceBook, SEED};
use tollgate_plugin_api::{Metered, ServiceTier, Usage, UsageDetail};

/// A Wednesday at noon.
const AT_MS: i64 = 1_795_608_000_000;

fn cost(criterion: &mut Criterion) {
    let book = PriceBook::parse(SEED).expect("the seed parses");
    let usage = Usage {
        input_tokens: 1200,
        cached_input_tokens: 1024,
        output_tokens: 350,
        reasoning_tokens: 200,
        ..Usage::default()
    };
    let plain = Metered { usage, ..Metered::default() };
    let detail =
        UsageDetail { input_audio_tokens: 50, output_audio_tokens: 20, web_searches: 1, ..UsageDetail::default() };
    let rich = Metered { detail, ..plain.clone() };
    let gpt = book.find("openai", "gpt-4o", "").expect("in the seed").clone();
    let windows = book.find("deepseek", "deepseek-v4-pro", "").expect("in the seed").clone();
    let mut group = criterion.benchmark_group("price");
    group.bench_function("parse_seed", |bencher| bencher.iter(|| PriceBook::parse(black_box(SEED)).is_ok()));
    group.bench_function("find", |bencher| {
        bencher.iter(|| book.find("openai", black_box("gpt-4o-mini"), "fast").is_some())
    });
    group.bench_function("find_dated", |bencher| {
        bencher.iter(|| book.find("anthropic", black_box("claude-opus-4-1-20250805"), "").is_some())
    });
    group.bench_function("worst_case", |bencher| {
        bencher.iter(|| {
            gpt.worst_case_nanos(ServiceTier::Standard, 1, black_box(5000), black_box(16_384), &PieceCounts::default())
        })
    });
    group.bench_function("cost", |bencher| bencher.iter(|| book.cost(Some(&gpt), black_box(&plain), AT_MS)));
    group.bench_function("cost_all_classes", |bencher| bencher.iter(|| book.cost(Some(&gpt), black_box(&rich), AT_MS)));
    group.bench_function("cost_in_a_window", |bencher| {
        bencher.iter(|| book.cost(Some(&windows), black_box(&plain), AT_MS))
    });
    group.finish();
}

criterion_group!(benches, cost);
criterion_main!(benches);
