//! The price book that comes with this crate, against the crate its generated rows come from: `genai-prices` works the
//! same bills out by itself, in floats.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use genai_prices::{PriceRequest, Usage as Reported};
use tollgate::price::{PieceCounts, Price, PriceBook, SEED, per_piece};
use tollgate_plugin_api::{ExtraUsage, Metered, ServiceTier, Usage, UsageDetail};

/// The makers, whose rows name no provider, in the order in which the generator asks them.
const MAKERS: [&str; 13] = [
    "openai",
    "anthropic",
    "google",
    "deepseek",
    "mistral",
    "x-ai",
    "moonshotai",
    "zai",
    "minimax",
    "cohere",
    "perplexity",
    "voyageai",
    "meta",
];

/// Our providers under the crate's names, where they differ.
const RENAMED: [(&str, &str); 3] = [("azure-openai", "azure"), ("zhipu", "zhipuai"), ("bedrock", "aws")];

/// Providers whose rows are written by hand: the crate knows nothing of them.
const BY_HAND: [&str; 8] = ["qwen", "siliconflow", "deepinfra", "sambanova", "nebius", "crusoe", "stepfun", "ai21"];
/// Models likewise, by how their names begin.
const MODELS_BY_HAND: [&str; 1] = ["rerank-v"];
/// Models that search by themselves: the crate knows nothing of what that costs.
const SEARCHING: [&str; 5] = [
    "gpt-4o-search-preview",
    "gpt-4o-mini-search-preview",
    "gpt-5-search-api",
    "openai/gpt-4o-search-preview",
    "openai/gpt-4o-mini-search-preview",
];

/// What the crate does not know of some sellers' models, by case: it is by hand, or the maker's. Where the crate knows it, it agrees.
const BY_HAND_OR_MAKERS: [(&str, &[&str]); 5] = [
    ("searches", &["x-ai", "moonshotai", "perplexity", "groq", "openrouter"]),
    ("flex", &["google"]),
    ("priority", &["anthropic", "google", "x-ai"]),
    ("images", &["openrouter"]),
    ("audio", &["openrouter"]),
];

/// Sums of floats are off by less than this, in nano-USD.
const FLOAT_NOISE: f64 = 0.01;

/// Prices with more than nine decimals (OpenRouter's division of a price per hour) are rounded to nine in the seed, which
/// is at most half a nano-USD per million tokens and class.
const ROUNDED: &str = "google/gemini-";

/// Wednesday noon, UTC; in the dear hours of a working day; when changes that are known by now have happened.
const MOMENTS: [&str; 4] =
    ["2026-11-25T12:00:00Z", "2026-11-25T02:00:00Z", "2026-12-02T12:00:00Z", "2027-01-06T12:00:00Z"];

struct Case {
    name: &'static str,
    theirs: &'static [(&'static str, f64)],
    ours: fn(&mut Metered),
    context: Option<(&'static str, &'static str)>,
}

const CASES: [Case; 14] = [
    Case { name: "plain", theirs: &[], ours: |_| (), context: None },
    Case {
        name: "cached",
        theirs: &[("cache_read_tokens", 600.0)],
        ours: |metered| metered.usage.cached_input_tokens = 600,
        context: None,
    },
    Case {
        name: "cache write",
        theirs: &[("cache_write_tokens", 300.0)],
        ours: |metered| metered.usage.cache_write_tokens = 300,
        context: None,
    },
    Case {
        name: "cache write for an hour",
        theirs: &[("cache_write_tokens", 300.0), ("cache_write_1h_tokens", 100.0), ("cache_read_tokens", 600.0)],
        ours: |metered| {
            metered.usage.cached_input_tokens = 600;
            metered.usage.cache_write_tokens = 300;
            metered.detail.cache_write_1h_tokens = 100;
        },
        context: None,
    },
    Case {
        name: "long",
        theirs: &[("input_tokens", 300_000.0)],
        ours: |metered| metered.usage.input_tokens = 300_000,
        context: None,
    },
    Case {
        name: "very long, with cache",
        theirs: &[("input_tokens", 1_000_001.0), ("cache_read_tokens", 999_999.0)],
        ours: |metered| {
            metered.usage.input_tokens = 1_000_001;
            metered.usage.cached_input_tokens = 999_999;
        },
        context: None,
    },
    Case {
        name: "audio",
        // There, the audio of the prompt includes what was cached.
        theirs: &[
            ("input_audio_tokens", 250.0),
            ("cache_audio_read_tokens", 50.0),
            ("cache_read_tokens", 60.0),
            ("output_audio_tokens", 100.0),
        ],
        ours: |metered| {
            metered.usage.cached_input_tokens = 60;
            metered.detail = UsageDetail {
                input_audio_tokens: 200,
                cached_audio_tokens: 50,
                output_audio_tokens: 100,
                ..UsageDetail::default()
            };
        },
        context: None,
    },
    Case {
        name: "images",
        theirs: &[("input_image_tokens", 200.0), ("output_image_tokens", 100.0)],
        ours: |metered| {
            metered.detail.input_image_tokens = 200;
            metered.detail.output_image_tokens = 100;
        },
        context: None,
    },
    Case {
        name: "reasoning",
        theirs: &[("output_reasoning_tokens", 400.0)],
        ours: |metered| metered.usage.reasoning_tokens = 400,
        context: None,
    },
    Case {
        name: "searches",
        theirs: &[("web_searches", 3.0)],
        ours: |metered| metered.detail.web_searches = 3,
        context: None,
    },
    Case {
        name: "batch",
        theirs: &[("cache_read_tokens", 600.0)],
        ours: |metered| {
            metered.usage.cached_input_tokens = 600;
            metered.tier = ServiceTier::Batch;
        },
        context: Some(("processing", "batch")),
    },
    Case {
        name: "flex",
        theirs: &[("cache_read_tokens", 600.0)],
        ours: |metered| {
            metered.usage.cached_input_tokens = 600;
            metered.tier = ServiceTier::Flex;
        },
        context: Some(("service_tier", "flex")),
    },
    Case {
        name: "priority",
        theirs: &[],
        ours: |metered| metered.tier = ServiceTier::Priority,
        context: Some(("service_tier", "priority")),
    },
    Case {
        name: "long batch",
        theirs: &[("input_tokens", 300_000.0), ("cache_read_tokens", 1000.0)],
        ours: |metered| {
            metered.usage.input_tokens = 300_000;
            metered.usage.cached_input_tokens = 1000;
            metered.tier = ServiceTier::Batch;
        },
        context: Some(("processing", "batch")),
    },
];

impl Case {
    fn ours(&self) -> Metered {
        let usage = Usage { input_tokens: 1000, output_tokens: 500, ..Usage::default() };
        let mut metered = Metered { usage, ..Metered::default() };
        (self.ours)(&mut metered);
        metered
    }

    /// What the crate makes of it, in nano-USD.
    fn theirs(&self, seller: &str, name: &str, unix_ms: i64) -> Option<f64> {
        Self::bill(self.theirs, self.context, (seller, name, unix_ms))
    }

    /// The crate has no price for what the case is about: without that it comes to the same.
    fn is_unknown_there(&self, seller: &str, name: &str, unix_ms: i64) -> bool {
        let others = |(key, _): &&(&str, f64)| ["input_tokens", "output_tokens", "cache_read_tokens"].contains(key);
        let without: Vec<(&str, f64)> = self.theirs.iter().filter(others).copied().collect();
        self.theirs(seller, name, unix_ms) == Self::bill(&without, None, (seller, name, unix_ms))
    }

    fn bill(
        counts: &[(&'static str, f64)],
        context: Option<(&str, &str)>,
        (seller, name, unix_ms): (&str, &str, i64),
    ) -> Option<f64> {
        let mut usage = Reported::from([("input_tokens", 1000.0), ("output_tokens", 500.0)]);
        usage.extend(counts.iter().copied());
        let moment = UNIX_EPOCH + Duration::from_millis(u64::try_from(unix_ms).ok()?);
        let mut request = PriceRequest::new(name, &usage).with_provider_id(seller).with_timestamp(moment);
        if let Some((key, value)) = context {
            request = request.with_price_context(key, value);
        }
        genai_prices::calculate(&request).ok().map(|price| price.total_price * 1e9)
    }
}

fn seed() -> PriceBook {
    PriceBook::parse(SEED).unwrap_or_else(|errors| panic!("{}", errors[0]))
}

fn ms(moment: &str) -> i64 {
    moment.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// Who sells it, in the crate's words.
fn seller(price: &Price) -> Option<&str> {
    match price.provider.as_deref() {
        Some(provider) if BY_HAND.contains(&provider) => None,
        Some(provider) => {
            Some(RENAMED.iter().find(|(ours, _)| *ours == provider).map_or(provider, |(_, theirs)| theirs))
        }
        None => MAKERS.into_iter().find(|maker| CASES[0].theirs(maker, &price.model, ms(MOMENTS[0])).is_some()),
    }
}

#[test]
fn agrees_with_the_crate_it_comes_from() {
    let book = seed();
    let (mut bills, mut wrong) = (0, Vec::new());
    // The crate knows no price by the piece.
    let by_piece = |price: &Price| {
        let fees = price.versions(0).into_iter().flat_map(|version| version.usd_per_time.into_keys());
        fees.into_iter().any(|fee| per_piece(&fee).is_some())
    };
    let is_of_crate = |price: &Price| !by_piece(price) && !SEARCHING.contains(&&*price.model);
    for price in book.iter().filter(|price| is_of_crate(price)) {
        let Some(seller) = seller(price) else {
            let by_hand = MODELS_BY_HAND.iter().any(|begin| price.model.starts_with(begin));
            assert!(price.provider.is_some() || by_hand, "{}: nobody sells it", price.model);
            continue;
        };
        let noise = if price.model.contains(ROUNDED) { FLOAT_NOISE + 1.5 } else { FLOAT_NOISE };
        for (case, moment) in CASES.iter().flat_map(|case| MOMENTS.iter().map(move |moment| (case, ms(moment)))) {
            for name in price.aliases.iter().chain([&price.model]) {
                let Some(theirs) = case.theirs(seller, name, moment) else {
                    wrong.push(format!("{seller} {name} {}: not known there", case.name));
                    continue;
                };
                let found = book.find(price.provider.as_deref().unwrap_or(""), name, "").expect("its own name");
                let metered = case.ours();
                let is_by_hand =
                    BY_HAND_OR_MAKERS.iter().any(|(name, sellers)| *name == case.name && sellers.contains(&seller));
                if is_by_hand && case.is_unknown_there(seller, name, moment) {
                    continue;
                }
                let ours = book.cost(Some(found), &metered, moment);
                let apart = ours.nanos as f64 - theirs;
                bills += 1;
                let is_missing = !found.has_price_in(metered.tier, moment);
                if ours.missing != is_missing || !(-noise..=1.0 + noise).contains(&apart) {
                    wrong.push(format!("{seller} {name} {}: {} here, {theirs} there", case.name, ours.nanos));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {bills} bills:\n{}", wrong.len(), wrong.join("\n"));
    assert!(bills > 50_000, "{bills}");
}

/// The one difference that is meant: DeepSeek's dear hours are on working days only, which the crate cannot say.
#[test]
fn deepseeks_weekend_is_cheap() {
    let book = seed();
    let (saturday, before) = (ms("2026-11-21T02:00:00Z"), ms("2026-11-20T12:00:00Z"));
    for model in ["deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"] {
        let price = book.find("deepseek", model, "").unwrap();
        let cost = |moment| book.cost(Some(price), &CASES[0].ours(), moment).nanos;
        assert_eq!(cost(saturday), cost(before), "{model}");
        assert!(CASES[0].theirs("deepseek", model, saturday) > CASES[0].theirs("deepseek", model, before), "{model}");
        assert_eq!(cost(ms(MOMENTS[1])), 2 * cost(before), "{model}");
    }
}

/// What a start without a config file offers has a price, or is named here.
#[test]
fn the_default_models_have_prices() {
    // On terms that are not public.
    let unknown_providers = ["nvidia", "vercel"];
    let book = seed();
    let providers: BTreeMap<String, toml::Table> =
        toml::from_str(include_str!("../src/provider/providers.toml")).unwrap();
    let mut missing = Vec::new();
    for (provider, row) in providers.iter().filter(|(provider, _)| !unknown_providers.contains(&provider.as_str())) {
        let models = row.get("default_models").and_then(toml::Value::as_array).into_iter().flatten();
        let models = models.filter_map(toml::Value::as_str);
        missing.extend(
            models.filter(|model| book.find(provider, model, "").is_none()).map(|model| format!("{provider} {model}")),
        );
    }
    assert!(missing.is_empty(), "{missing:?}");
    let named: Vec<&str> = book.iter().filter_map(|price| price.provider.as_deref()).collect();
    let strangers: Vec<&&str> = named.iter().filter(|provider| !providers.contains_key(**provider)).collect();
    assert!(strangers.is_empty(), "rows of providers that do not exist: {strangers:?}");
}

/// What the vendors' pages say, each in another unit than its row.
#[test]
fn what_is_billed_by_the_piece_comes_to_what_the_vendors_say() {
    let book = seed();
    let billed = |provider: &str, model: &str, pieces: PieceCounts<'_>| {
        let price = book.find(provider, model, "").unwrap_or_else(|| panic!("{provider} {model}"));
        let metered = Metered { extras: pieces.extras(), ..Metered::default() };
        let cost = book.cost(Some(price), &metered, ms(MOMENTS[0]));
        assert!(!cost.missing, "{provider} {model}");
        cost.nanos
    };
    let none = PieceCounts::default;
    let images =
        |model: &str, quality, size| billed("openai", model, PieceCounts { images: 2, quality, size, ..none() }) / 2;
    for (quality, size, nanos) in [
        (None, None, 40_000_000),
        (Some("standard"), Some("1024x1024"), 40_000_000),
        (None, Some("1024x1792"), 80_000_000),
        (Some("standard"), Some("1792x1024"), 80_000_000),
        (Some("hd"), None, 80_000_000),
        (Some("hd"), Some("1024x1024"), 80_000_000),
        (Some("hd"), Some("1792x1024"), 120_000_000),
    ] {
        assert_eq!(images("dall-e-3", quality, size), nanos, "{quality:?} {size:?}");
    }
    for (size, nanos) in [("256x256", 16_000_000), ("512x512", 18_000_000), ("1024x1024", 20_000_000)] {
        assert_eq!(images("dall-e-2", None, Some(size)), nanos, "{size}");
    }
    let minutes = |provider: &str, model: &str, minutes: u64| {
        billed(provider, model, PieceCounts { audio_ms: minutes * 60_000, ..none() })
    };
    assert_eq!(minutes("openai", "whisper-1", 1), 6_000_000);
    assert_eq!(minutes("azure-openai", "whisper", 1), 6_000_000);
    assert_eq!(minutes("groq", "whisper-large-v3", 60), 111_000_000);
    assert_eq!(minutes("deepinfra", "openai/whisper-large-v3", 1), 450_000);
    assert_eq!(minutes("deepinfra", "openai/whisper-large-v3-turbo", 1), 200_000);
    let second = billed("groq", "whisper-large-v3-turbo", PieceCounts { audio_ms: 1_000, ..none() });
    assert_eq!(second, 111_112, "ten seconds at 0.04 USD an hour, rounded up");
    let million = |provider: &str, model: &str| {
        billed(provider, model, PieceCounts { characters: 1_000_000, ..none() }) / 1_000_000_000
    };
    assert_eq!((million("openai", "tts-1"), million("openai", "tts-1-hd")), (15, 30));
    assert_eq!(million("groq", "playai-tts"), 50);
    // OpenAI's own bill for 4,095 characters (s-anand.net/blog/openai-tts-cost).
    assert_eq!(billed("openai", "tts-1", PieceCounts { characters: 4_095, ..none() }), 61_425_000);
    assert_eq!(billed("xai", "grok-2-image", PieceCounts { images: 3, ..none() }), 210_000_000);
}

/// What the vendors' pages say of tiers that are dearer than the standard one, in USD per million tokens of prompt and answer.
#[test]
fn dearer_tiers_cost_what_the_vendors_say() {
    let book = seed();
    let usd = |provider: &str, model: &str, tier: ServiceTier, input_tokens: u64| {
        let price = book.find(provider, model, "").unwrap_or_else(|| panic!("{model}"));
        let cost = |usage: Usage| {
            let cost = book.cost(Some(price), &Metered { usage, tier, ..Metered::default() }, ms(MOMENTS[0]));
            assert!(!cost.missing, "{model}");
            cost.nanos
        };
        let prompt = Usage { input_tokens, ..Usage::default() };
        let both = cost(Usage { output_tokens: 1_000_000, ..prompt });
        let prompt = cost(prompt);
        (prompt as u64 / input_tokens, (both - prompt) / 1_000_000)
    };
    use ServiceTier::{Priority, Ultrafast};
    for (provider, model, tier, input_tokens, expected) in [
        ("anthropic", "claude-opus-5-5", Priority, 1_000, (8_000, 40_000)),
        ("anthropic", "claude-opus-5", Priority, 1_000, (10_000, 50_000)),
        ("anthropic", "claude-opus-4-8", Priority, 1_000, (10_000, 50_000)),
        ("xai", "grok-4.7", Priority, 1_000, (4_000, 12_000)),
        ("gemini", "gemini-3.5-flash", Priority, 1_000, (2_700, 16_200)),
        ("gemini", "gemini-3.1-pro-preview", Priority, 1_000, (3_600, 21_600)),
        ("gemini", "gemini-3.1-pro-preview", Priority, 300_000, (7_200, 32_400)),
        ("openai", "gpt-5.5", Priority, 1_000, (12_500, 75_000)),
        ("openai", "gpt-6-astra", Priority, 1_000, (20_000, 100_000)),
        ("openai", "gpt-6-astra", Ultrafast, 1_000, (60_000, 300_000)),
    ] {
        assert_eq!(usd(provider, model, tier, input_tokens), expected, "{model} {tier:?}");
    }
    let has = |model: &str| book.find("", model, "").expect("a row").has_price_in(Priority, ms(MOMENTS[0]));
    assert!(!has("claude-sonnet-5-5"), "Anthropic has no fast mode of it");
}

/// Recorded answers that say themselves what they cost.
#[test]
fn what_is_billed_by_the_time_comes_to_what_the_vendors_say() {
    let book = seed();
    let billed = |provider: &str, model: &str, usage: Usage, done: &[(&str, u64)]| {
        let price = book.find(provider, model, "").unwrap_or_else(|| panic!("{model}"));
        let extras = done.iter().map(|(kind, times)| ExtraUsage::of_times(*kind, *times)).collect();
        let cost = book.cost(Some(price), &Metered { usage, extras, ..Metered::default() }, ms(MOMENTS[0]));
        (cost.nanos, cost.missing)
    };
    let tokens = |input_tokens, output_tokens| Usage { input_tokens, output_tokens, ..Usage::default() };
    // recordings/perplexity: `cost.total_cost` 0.00502.
    let sonar = |done: &[(&str, u64)]| billed("perplexity", "sonar", tokens(9, 12), done);
    assert_eq!(sonar(&[("search_context_low", 1)]), (5_021_000, false));
    assert_eq!(sonar(&[]), (12_021_000, false), "what is not said is what it can be at most");
    let rerank = |done: &[(&str, u64)]| billed("cohere-native", "rerank-v3.5", tokens(0, 0), done);
    assert_eq!((rerank(&[]), rerank(&[("search_units", 3)])), ((2_000_000, false), (6_000_000, false)));
    let gpt = |done: &[(&str, u64)]| billed("openai", "gpt-5.5", tokens(0, 0), done);
    assert_eq!(gpt(&[("file_search", 2), ("code_interpreter", 1)]), (35_000_000, false));
    assert_eq!(billed("xai", "grok-4.5", tokens(0, 0), &[("x_search", 3)]), (15_000_000, false));
    assert_eq!(gpt(&[("x_search", 3)]), (0, true), "what has no price is said");
    // Each request is a search of its own, be it said or not.
    for (provider, model, nanos) in [
        ("openai", "gpt-4o-search-preview", 25_000_000),
        ("openai", "gpt-4o-mini-search-preview-2025-03-11", 25_000_000),
        ("openai", "gpt-5-search-api-2025-10-14", 10_000_000),
        ("openrouter", "openai/gpt-4o-search-preview", 35_000_000),
    ] {
        assert_eq!(billed(provider, model, tokens(0, 0), &[]), (nanos, false), "{model}");
    }
}

#[test]
fn well_known_prices() {
    let book = seed();
    let usd = |provider: &str, model: &str| {
        let price = book.find(provider, model, "").unwrap_or_else(|| panic!("{model}"));
        let metered = |input_tokens, output_tokens| Metered {
            usage: Usage { input_tokens, output_tokens, ..Usage::default() },
            ..Metered::default()
        };
        let cost = |metered: Metered| book.cost(Some(price), &metered, ms(MOMENTS[0])).nanos;
        (cost(metered(1000, 0)), cost(metered(0, 1000)))
    };
    assert_eq!(usd("openai", "gpt-4o"), (2_500_000, 10_000_000));
    assert_eq!(usd("azure-openai", "gpt-4o"), (2_500_000, 10_000_000));
    assert_eq!(usd("openai", "gpt-4o-2024-05-13"), (5_000_000, 15_000_000));
    assert_eq!(usd("openai", "gpt-4-turbo"), (10_000_000, 30_000_000));
    assert_eq!(usd("anthropic", "claude-sonnet-4-20250514"), (3_000_000, 15_000_000));
    assert_eq!(usd("anthropic", "claude-3-5-haiku-20241022"), (800_000, 4_000_000));
    assert_eq!(usd("gemini", "gemini-2.5-pro"), (1_250_000, 10_000_000));
    assert_eq!(usd("groq", "llama-3.3-70b-versatile"), (590_000, 790_000));
    assert_eq!(usd("openrouter", "OpenAI/gpt-4o-mini"), (150_000, 600_000));
    assert_eq!(usd("qwen", "qwen-max"), (1_600_000, 6_400_000));
    assert_eq!(usd("bedrock", "us.amazon.nova-pro-v1:0"), (800_000, 3_200_000));
    assert_eq!(usd("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"), (3_300_000, 16_500_000));
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    assert_eq!(usd("bedrock", arn), (3_300_000, 16_500_000));
    assert_eq!(usd("bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"), (3_000_000, 15_000_000));
    assert_eq!(usd("siliconflow", "deepseek-ai/DeepSeek-R1"), (500_000, 2_180_000));
    assert!(
        book.find("openai", "gpt-4o-2099-01-01", "").is_none(),
        "OpenAI has changed the price of a snapshot before"
    );
    let limit =
        |provider: &str, model: &str| book.find(provider, model, "").unwrap().limits(i64::MAX).output_tokens_max;
    assert_eq!(limit("openai", "gpt-4o"), Some(16_384));
    assert_eq!(limit("gemini", "gemini-3.5-flash"), Some(65_536));
    assert_eq!(limit("deepseek", "deepseek-flash"), Some(384_000));
    // OpenRouter's models of these makers have their makers' limits.
    assert_eq!(limit("openrouter", "openai/gpt-5.5"), Some(128_000));
    assert_eq!(limit("openrouter", "anthropic/claude-haiku-4.5"), Some(64_000));
    assert_eq!(limit("openrouter", "openai/gpt-4o:batch"), Some(16_384));
    assert_eq!(limit("openrouter", "openai/gpt-4o:extended"), None, "another one");
}

/// The crate has no such prices of OpenRouter's (a recorded image of 1,290 tokens cost 0.0387 USD there).
#[test]
fn what_is_passed_on_costs_for_images_and_searches_what_its_maker_takes() {
    let book = seed();
    let cost = |name: &str, change: fn(&mut Metered)| {
        let mut metered = Metered::default();
        change(&mut metered);
        let price = book.find("openrouter", name, "").unwrap_or_else(|| panic!("{name}"));
        book.cost(Some(price), &metered, ms(MOMENTS[0])).nanos
    };
    let image = cost("google/gemini-2.5-flash-image", |metered| {
        (metered.usage.output_tokens, metered.detail.output_image_tokens) = (1_290, 1_290);
    });
    assert_eq!(image, 38_700_000);
    let searches = |name: &str| cost(name, |metered| metered.detail.web_searches = 1);
    assert_eq!((searches("openai/gpt-5"), searches("google/gemini-2.5-flash")), (10_000_000, 0));
}
