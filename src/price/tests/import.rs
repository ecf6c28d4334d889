//! Published prices taken over into the text.

use super::{book, tokens};
use crate::price::SEED;
use crate::price::import::{Import, ImportedRow, Selection, import};

const BOOK: &str = r#"# our prices
[[model]]
name = "gpt-4o"          # the first
aliases = ["gpt-4o-2024-08-06"]
dated = true
input = 2.50             # since May
output = 11
batch = 0.5
windows = [{ from = "01:00", to = "02:00", time_zone = "UTC", multiplier = 0.5 }]

[[model]]
name = "long"
provider = "gemini"
input = 1
output = 2
# the end
"#;

fn take(prices: &str, published: &str) -> Import {
    let selection = Selection { today: "2026-11-21", ..Selection::default() };
    import(prices, published, &selection).unwrap_or_else(|error| panic!("{error}"))
}

/// Each row as a line: `m at p: key old -> new, …`.
fn lines(import: &Import) -> Vec<String> {
    let row = |row: &ImportedRow| {
        let keys =
            row.keys.iter().map(|key| format!("{} {} -> {}", key.key, key.old.as_deref().unwrap_or("-"), key.new));
        let provider = row.provider.as_deref().unwrap_or("all");
        format!("{} at {provider}: {}", row.model, keys.collect::<Vec<_>>().join(", "))
    };
    import.rows.iter().map(row).collect()
}

fn unread(import: &Import) -> Vec<String> {
    import.unread.iter().map(|unread| format!("{}/{}: {}", unread.seller, unread.model, unread.why)).collect()
}

const LITELLM: &str = r#"{
    "sample_spec": {"litellm_provider": "one of", "input_cost_per_token": 0.0},
    "gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 0.00000125, "input_cost_per_token_batches": 1.25e-06, "max_input_tokens": 128000,
        "output_cost_per_token_batches": 5.5e-06, "max_output_tokens": 16384, "cache_creation_input_token_cost": 0},
    "gpt-4o-2024-08-06": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1.1e-05,
        "input_cost_per_token_batches": 1.25e-06, "output_cost_per_token_batches": 5.5e-06},
    "gemini/long": {"litellm_provider": "gemini", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
        "input_cost_per_token_above_200k_tokens": 2e-06, "output_cost_per_token_above_200k_tokens": 3e-06,
        "input_cost_per_token_priority": 1.8e-06, "input_cost_per_token_above_200k_tokens_priority": 3.6e-06,
        "search_context_cost_per_query": {"search_context_size_low": 0.035, "search_context_size_high": 0.035}},
    "azure/gpt-4o": {"litellm_provider": "azure", "input_cost_per_token": 7.500000000000001e-08, "output_cost_per_token": 3e-07,
        "input_cost_per_audio_token": 1e-04, "output_cost_per_second": 0.1},
    "text-embedding-3-small": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 2e-08},
    "dall-e-3": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.04},
    "dashscope/q": {"litellm_provider": "dashscope", "tiered_pricing": [{"range": [0, 1]}]},
    "bedrock/x": {"litellm_provider": "bedrock", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
    "broken": {"litellm_provider": "openai", "input_cost_per_token": -1, "output_cost_per_token": 1e-06}
}"#;

#[test]
fn litellm_is_compared_and_taken_over() {
    let taken = take(BOOK, LITELLM);
    assert_eq!(taken.format, "litellm");
    let tiers = "tiers - -> [{ above_prompt_tokens = 200000, input = 2, output = 3 }]";
    let priority = "priority - -> { input = 1.8, tiers = [{ above_prompt_tokens = 200000, input = 3.6, output = 3 }] }";
    assert_eq!(
        lines(&taken),
        [
            "gpt-4o at azure-openai: input - -> 0.075, input_audio - -> 100, output - -> 0.3",
            "dall-e-3 at all: input - -> 0, output - -> 0, fees - -> { image = 0.04 }",
            &format!("long at gemini: web_search_per_thousand - -> 35, {tiers}, {priority}"),
            "gpt-4o at all: context_tokens - -> 128000, max_output_tokens - -> 16384, cached_input - -> 1.25, \
             output 11 -> 10, batch 0.5 -> { input = 1.25, output = 5.5 }",
            "text-embedding-3-small at all: input - -> 0.02, output - -> 0",
            // Its price was that of the row of which it was an alias, and must not change along with it.
            "gpt-4o-2024-08-06 at all: input - -> 2.5, output - -> 11, batch - -> { input = 1.25, output = 5.5 }",
        ]
    );
    assert_eq!(taken.unchanged, 0);
    assert_eq!(taken.rows[0].notes, ["not in this price: output_cost_per_second", "rounded to nine decimals"]);
    assert_eq!(taken.rows[3].notes, ["not in this price: cache_creation_input_token_cost = 0"]);
    assert_eq!(taken.rows[3].kept, ["windows"]);
    let unread = unread(&taken);
    for expected in [
        "dashscope/q: `tiered_pricing`",
        "openai/broken: input_cost_per_token: `-1` is negative",
        "bedrock/x: no provider of Tollgate",
    ] {
        assert!(unread.iter().any(|line| line.starts_with(expected)), "{expected}: {unread:?}");
    }
    assert_eq!(unread.len(), 3);
    // Comments, order and what was not published stay; new rows stand at the end.
    for line in BOOK.lines().filter(|line| !["outp", "batc", "alia"].contains(&line.get(..4).unwrap_or(""))) {
        assert!(taken.text.contains(line), "{line}: {}", taken.text);
    }
    let book = book(&taken.text);
    let nanos = |provider: &str, model: &str, input| {
        book.cost(book.find(provider, model, "").map(|price| &**price), &tokens(input, 10), 0).nanos
    };
    assert_eq!(nanos("openai", "gpt-4o", 1000), 2_500_000 + 100_000);
    assert_eq!(nanos("azure-openai", "gpt-4o", 1000), 75_000 + 3_000);
    assert_eq!(nanos("gemini", "long", 200_001), 400_002_000 + 30_000);
    assert_eq!(nanos("openai", "gpt-4o-2024-08-06", 1000), 2_500_000 + 110_000);
    // What was taken over is there: a second time, nothing changes.
    let again = take(&taken.text, LITELLM);
    assert!(again.rows.is_empty() && again.text == taken.text && again.unchanged == 6, "{:?}", lines(&again));
}

const PIECES: &str = r#"{
    "dall-e-3": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.04},
    "hd/1024-x-1024/dall-e-3": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 7.629e-08,
        "output_cost_per_pixel": 0.0},
    "hd/1024-x-1792/dall-e-3": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 6.539e-08},
    "standard/1024-x-1024/dall-e-3": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 3.81469e-08},
    "standard/1024-x-1792/dall-e-3": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 4.359e-08},
    "1024-x-1024/dall-e-2": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 1.9e-08},
    "256-x-256/dall-e-2": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 2.4414e-07},
    "azure/hd/1024-x-1024/dall-e-3": {"litellm_provider": "azure", "mode": "image_generation", "output_cost_per_image": 0.09},
    "gpt-image-1": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 5e-06, "output_cost_per_token": 4e-05},
    "low/1024-x-1024/gpt-image-1": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.011},
    "whisper-1": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001},
    "groq/whisper-large-v3": {"litellm_provider": "groq", "mode": "audio_transcription", "input_cost_per_second": 3.083e-05, "output_cost_per_second": 0.0},
    "groq/distil": {"litellm_provider": "groq", "mode": "audio_transcription", "input_cost_per_second": 5.56e-06},
    "groq/exact": {"litellm_provider": "groq", "mode": "audio_transcription", "input_cost_per_second": 0.000102},
    "groq/not-back": {"litellm_provider": "groq", "mode": "audio_transcription", "input_cost_per_second": 4.305e-04},
    "gemini-3-pro-image": {"litellm_provider": "gemini", "mode": "image_generation", "input_cost_per_token": 2e-06,
        "output_cost_per_token": 1.2e-05, "input_cost_per_image": 0.0011, "output_cost_per_image": 0.134},
    "two": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 1, "output_cost_per_second": 2},
    "tts-1": {"litellm_provider": "openai", "mode": "audio_speech", "input_cost_per_character": 1.5e-05},
    "gpt-4o-mini-tts": {"litellm_provider": "openai", "mode": "audio_speech", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
        "input_cost_per_character": 1e-06}
}"#;

#[test]
fn what_litellm_charges_by_the_piece_becomes_fees() {
    let taken = take("", PIECES);
    assert_eq!(
        lines(&taken),
        [
            "dall-e-3 at all: input - -> 0, output - -> 0, fees - -> { image = 0.04, image_1024x1792 = 0.08, image_hd = 0.08, \
             image_hd_1024x1792 = 0.12 }",
            "gemini-3-pro-image at all: input - -> 2, output - -> 12",
            "gpt-4o-mini-tts at all: input - -> 2.5, output - -> 10",
            "gpt-image-1 at all: input - -> 5, output - -> 40",
            "distil at groq: input - -> 0, output - -> 0, fees - -> { audio_hour = 0.02 }",
            "exact at groq: input - -> 0, output - -> 0, fees - -> { audio_hour = 0.3672 }",
            "not-back at groq: input - -> 0, output - -> 0, fees - -> { audio_hour = 1.5498 }",
            "whisper-large-v3 at groq: input - -> 0, output - -> 0, fees - -> { audio_hour = 0.111 }",
            "tts-1 at all: input - -> 0, output - -> 0, fees - -> { character = 0.000015 }",
            "whisper-1 at all: input - -> 0, output - -> 0, fees - -> { audio_hour = 0.36 }",
            "dall-e-2 at all: input - -> 0, output - -> 0, fees - -> { image = 0.02, image_256x256 = 0.016 }",
            "dall-e-3 at azure-openai: input - -> 0, output - -> 0, fees - -> { image_hd = 0.09 }",
        ]
    );
    assert_eq!(
        taken.rows[1].notes,
        ["input_cost_per_image", "output_cost_per_image"].map(|key| format!("not in this price: {key}"))
    );
    assert_eq!(taken.rows[2].notes, ["not in this price: input_cost_per_character"]);
    assert_eq!(unread(&taken), ["openai/two: input_cost_per_second and output_cost_per_second, which are two prices"]);
    let again = take(&taken.text, PIECES);
    assert!(again.rows.is_empty() && again.text == taken.text, "{:?}", lines(&again));
    // Fees that a row has beside stay.
    let own = "[[model]]\nname = \"whisper-1\"\ninput = 0\noutput = 0\nfees = { audio_hour = 1, other = 2 }\naudio_seconds_min = 3\n";
    let beside = take(own, PIECES);
    assert!(beside.text.contains("fees = { audio_hour = 0.36, other = 2"), "{}", beside.text);
}

const GENAI: &str = r#"[{"id": "openai", "name": "OpenAI", "models": [
    {"id": "gpt-4o", "match": {"or": [{"equals": "gpt-4o"}, {"equals": "gpt-4o-latest"}, {"starts_with": "gpt-4o-"}]},
     "context_window": 128000,
     "prices": [{"prices": {"input_mtok": 9, "output_mtok": 9}},
        {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": "2.5", "output_mtok": 11.0, "web_searches_kcount": 10}},
        {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 1, "output_mtok": 1}}],
     "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": 1.25, "output_mtok": "5.5"}},
        {"when": {"service_tier": "flex"}, "constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 1}},
        {"when": {"service_tier": "fast"}, "prices": {"input_mtok": 100}}]}]},
   {"id": "google", "models": [
    {"id": "long", "prices": {"input_mtok": {"base": 1, "tiers": [{"start": 200000, "price": 2}]}, "output_mtok": 2, "requests_kcount": 35}},
    {"id": "hours", "prices": [{"prices": {"input_mtok": 1, "output_mtok": 1}},
        {"constraint": {"start_time": "01:00:00Z", "end_time": "02:00:00Z"}, "prices": {"input_mtok": 2, "output_mtok": 2}}]}]}]"#;

#[test]
fn genai_prices_is_compared_and_taken_over() {
    let taken = take(BOOK, GENAI);
    assert_eq!(taken.format, "genai-prices");
    assert_eq!(
        lines(&taken),
        [
            "gpt-4o at all: context_tokens - -> 128000, web_search_per_thousand - -> 10",
            "gpt-4o-latest at all: context_tokens - -> 128000, input - -> 2.5, output - -> 11, \
             web_search_per_thousand - -> 10, batch - -> { input = 1.25, output = 5.5 }",
            "long at gemini: per_request - -> 0.035, tiers - -> [{ above_prompt_tokens = 200000, input = 2 }]",
        ]
    );
    assert_eq!(taken.rows[0].notes, ["not in this price: prices from 2027-01-01 on"]);
    assert_eq!(unread(&taken), ["google/hours: prices by the time of day: write `windows` by hand"]);
    assert!(take(&taken.text, GENAI).rows.is_empty());
}

const MAPS: [(&str, &str, &str); 5] = [
    ("model_ratio", "ModelRatio", r#"{"gpt-4o": 1.25, "claude": 1.5, "odd": 0.01643835616438356, "half": 1}"#),
    ("completion_ratio", "CompletionRatio", r#"{"gpt-4o": 4.4, "claude": 5, "odd": 1, "nothing": 3}"#),
    ("cache_ratio", "CacheRatio", r#"{"claude": 0.1}"#),
    ("create_cache_ratio", "CreateCacheRatio", r#"{"claude": 1.25}"#),
    ("model_price", "ModelPrice", r#"{"dall-e-3": 0.04}"#),
];

#[test]
fn new_api_ratios_become_prices() {
    let expected = [
        "claude at all: input - -> 3, cached_input - -> 0.3, cache_write - -> 3.75, cache_write_1h - -> 6, output - -> 15",
        "dall-e-3 at all: input - -> 0, output - -> 0, fees - -> { image = 0.04, image_1024x1792 = 0.08, image_1792x1024 = 0.08, \
         image_hd = 0.08, image_hd_1024x1792 = 0.12, image_hd_1792x1024 = 0.12 }",
        "odd at all: input - -> 0.032876712, output - -> 0.032876712",
    ];
    let maps = MAPS.map(|(key, _, map)| format!("\"{key}\": {map}")).join(", ");
    let option = |key: &str, map: &str| serde_json::json!({ "key": key, "value": map }).to_string();
    let options = MAPS.map(|(_, key, map)| option(key, map)).join(", ");
    let texts = [
        format!("{{{maps}}}"),
        format!("{{\"success\": true, \"data\": {{{maps}}}}}"),
        format!("{{\"success\": true, \"data\": [{options}]}}"),
    ];
    for text in texts {
        let taken = take(BOOK, &text);
        assert_eq!(taken.format, "new-api");
        assert_eq!(lines(&taken), expected, "{text}");
        assert_eq!(taken.unchanged, 1, "1.25 x 2 USD in, 4.4 times that out");
        assert_eq!(taken.rows[2].notes, ["rounded to nine decimals"]);
        assert_eq!(unread(&taken), ["/half: no completion ratio: new-api knows one in its code, set it by hand"]);
    }
    let pricing = r#"{"success": true, "group_ratio": {"default": 1}, "data": [
        {"model_name": "claude", "quota_type": 0, "model_ratio": 1.5, "model_price": 0, "completion_ratio": 5, "cache_ratio": 0.1,
         "create_cache_ratio": 1.25, "enable_groups": ["default"]},
        {"model_name": "dall-e-3", "quota_type": 1, "model_ratio": 0, "model_price": 0.04, "completion_ratio": 0},
        {"model_name": "expr", "quota_type": 0, "model_ratio": 1, "completion_ratio": 1, "billing_mode": "tiered_expr"}]}"#;
    let taken = take(BOOK, pricing);
    assert_eq!(lines(&taken), expected[..2]);
    assert_eq!(unread(&taken), ["/expr: billed by an expression, which names no single price"]);
    let selection = Selection { provider: Some("my-reseller"), today: "2026-11-21", ..Selection::default() };
    let taken = import(BOOK, pricing, &selection).unwrap();
    assert!(taken.rows.iter().all(|row| row.provider.as_deref() == Some("my-reseller")), "{:?}", lines(&taken));
}

#[test]
fn only_what_is_selected_is_taken() {
    let only = |models: &[&str], provider: Option<&str>| {
        let models: Vec<String> = models.iter().map(|model| (*model).to_owned()).collect();
        let selection = Selection { models: &models, provider, today: "2026-11-21", ..Selection::default() };
        import(BOOK, LITELLM, &selection).unwrap()
    };
    let named = only(&["TEXT-*", "q"], None);
    assert_eq!((named.rows.len(), named.unread.len(), named.unchanged), (1, 1, 0));
    assert_eq!(lines(&only(&[], Some("azure-openai"))), lines(&only(&[], Some("AZURE"))));
    assert_eq!(only(&[], Some("azure")).rows.len(), 1);
    assert_eq!(
        lines(&only(&[], Some("bedrock"))),
        ["bedrock/x at bedrock: input - -> 1, output - -> 1".replacen("bedrock/", "", 1)]
    );
    assert!(only(&["none"], None).rows.is_empty());
}

#[test]
fn what_cannot_be_compared_is_said() {
    let with = |prices: &str, published: &str, format: Option<&str>| {
        import(prices, published, &Selection { format, today: "2026-11-21", ..Selection::default() }).unwrap_err()
    };
    for (published, format, expected) in [
        ("{", None, "not JSON: "),
        ("{}", None, "looks like none of the known formats, expected one of genai-prices, litellm, new-api"),
        ("1", Some("new-api"), "new-api: expected ratios by model, or an array of models"),
        ("{\"model_ratio\": [1]}", None, "new-api: model_ratio: expected ratios by model"),
        ("[]", Some("genai-prices"), "genai-prices: expected an array of providers"),
        ("[]", Some("litellm"), "litellm: expected an object of models"),
    ] {
        let error = with(BOOK, published, format);
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(with("[[model]]\nname = 1", LITELLM, None).contains("2:8: "));
    let two = "[[model]]\nname = \"gpt-4o\"\ninput = 1\noutput = 1\n[[model]]\nname = \"gpt-4o\"\nvalid_from = 2027-01-01\n\
        input = 2\noutput = 2\n[currency]\nCNY = 0.1\n[[model]]\nname = \"text-embedding-3-small\"\ncurrency = \"CNY\"\n\
        input = 1\noutput = 1\n";
    let said = unread(&take(two, LITELLM)).join("\n");
    assert!(said.contains("openai/gpt-4o: it has several rows with different `valid_from`"), "{said}");
    assert!(said.contains("openai/text-embedding-3-small: its row is in CNY"), "{said}");
}

#[test]
fn the_same_price_written_otherwise_is_no_change() {
    let published = r#"[{"id": "openai", "models": [{"id": "gpt-4o", "prices": {"input_mtok": 2.5, "output_mtok": 10,
        "cache_read_mtok": 1.25}, "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": 1.25}}]}]}]"#;
    let taken = take(SEED, published);
    assert_eq!((taken.rows.len(), taken.unchanged, taken.text == SEED), (0, 1, true), "{:?}", lines(&taken));
}

#[test]
fn reasoning_at_the_price_of_output_follows_it_into_a_service_tier() {
    let published = r#"{"m": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 9e-06,
        "output_cost_per_reasoning_token": 9e-06, "output_cost_per_token_flex": 4.5e-06}}"#;
    let row = "[[model]]\nname = \"m\"\ninput = 1\noutput = 9\nflex = { output = 4.5 }\n";
    assert!(take(row, published).rows.is_empty());
    assert_eq!(lines(&take("", published)), ["m at all: input - -> 1, output - -> 9, flex - -> { output = 4.5 }"]);
}

/// What genai-prices has of OpenAI's file searches, by the thousand, is a fee here.
#[test]
fn file_searches_are_a_fee_and_no_other_fee_of_a_row_is_lost() {
    let published = r#"[{"id": "openai", "models": [{"id": "gpt-4o", "prices": {"input_mtok": 2.5, "output_mtok": 10,
        "storage_searches_kcount": 2.5, "storage_gb_days": 0.1}}]}]"#;
    let row = |fees: &str| format!("[[model]]\nname = \"gpt-4o\"\ndated = true\ninput = 2.5\noutput = 9\n{fees}");
    let (own, both) =
        ("fees = { code_interpreter = 0.03 }\n", "fees = { code_interpreter = 0.03, file_search = 0.0025 }\n");
    let taken = take(&row(own), published);
    let fees = "fees { code_interpreter = 0.03 } -> { code_interpreter = 0.03, file_search = 0.0025 }";
    assert_eq!(lines(&taken), [format!("gpt-4o at all: output 9 -> 10, {fees}")]);
    assert_eq!(taken.rows[0].notes, ["not in this price: storage_gb_days"], "the fee is said");
    assert!(taken.text.contains(both) && take(&taken.text, published).rows.is_empty(), "{}", taken.text);
    let taken = take(&row(both), published);
    assert_eq!(lines(&taken), ["gpt-4o at all: output 9 -> 10"], "the row has that fee");
    assert_eq!(taken.rows[0].notes, ["not in this price: storage_gb_days"]);
    assert_eq!(
        lines(&take("", published)),
        ["gpt-4o at all: input - -> 2.5, output - -> 10, fees - -> { file_search = 0.0025 }"]
    );
    // A dated name has the price of the row whose further fees nothing is published of.
    let dated =
        published.replace("\"gpt-4o\"", "\"gpt-4o-2024-11-20\"").replace("\"output_mtok\": 10", "\"output_mtok\": 9");
    assert_eq!(take(&row(both), &dated).unchanged, 1);
    assert_eq!(take(&row(own), &dated).rows.len(), 1, "but it has a fee that the row has not");
}
