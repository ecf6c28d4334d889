use super::{CONFIG, Place};
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn a_price_is_set_in_a_new_file_and_changed_in_place() {
    let place = Place::new();
    assert!(place.run("price list").err.contains("price set MODEL"));
    assert!(place.ok("price set gpt-4o --input 2.50 --output 10").contains("made with gpt-4o"));
    let before = format!("# mine\n{}", place.read("pricing.toml"));
    place.write("pricing.toml", &before);
    assert!(place.ok("price set gpt-4o --input 3 --output 10 --cached-input 1.25").contains("new prices for gpt-4o"));
    assert!(place.ok("price set o3 --input 0 --output 0").contains("a new row for o3"));
    assert!(place.read("pricing.toml").starts_with("# mine\n"));
    let rows = place.json("price list --json");
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["model"], &rows[0]["usd_per_million"]["input"]), (&"gpt-4o".into(), &"3".into()));
    assert_eq!(rows[0]["usd_per_million"]["cached_input"], "1.25");
    assert!(place.ok("price list").contains("gpt-4o"));
    let left = std::fs::read_dir(place.0.path()).unwrap().filter_map(Result::ok);
    assert!(left.map(|file| file.file_name().to_string_lossy().into_owned()).all(|name| !name.ends_with(".new")));
}

#[test]
fn fees_and_a_price_for_each_request_are_set_beside_those_that_are_there() {
    let place = Place::new();
    place.ok("price set dall-e-3 --input 0 --output 0 --fee image=0.04 --fee image_hd=0.08");
    place.ok("price set dall-e-3 --input 0 --output 0 --fee image=0.05 --per-request 0.001");
    assert!(place.read("pricing.toml").contains("fees = { image = 0.05, image_hd = 0.08 }\nper_request = 0.001\n"));
    let shown = place.ok("price explain dall-e-3 --images 2 --quality hd");
    assert!(shown.contains("161000000 nano-USD"), "{shown}");
    place.fails("price set m --input 0 --output 0 --fee image", 2, &["image_hd=0.08"]);
    place.fails("price set m --input 0 --output 0 --fee images=1", 2, &["`image`"]);
    assert!(!place.read("pricing.toml").contains("\"m\""));
}

#[test]
fn prices_that_are_set_at_the_same_time_are_all_there() {
    let place = Place::new();
    let models: Vec<String> = (0..12).map(|number| format!("model-{number}")).collect();
    std::thread::scope(|scope| {
        for model in &models {
            let place = &place;
            scope.spawn(move || place.ok(&format!("price set {model} --input 1 --output 2")));
        }
    });
    let rows = place.json("price list --json");
    let there: Vec<&str> = rows.iter().filter_map(|row| row["model"].as_str()).collect();
    let lost: Vec<&String> = models.iter().filter(|model| !there.contains(&model.as_str())).collect();
    assert!(lost.is_empty() && rows.len() == models.len(), "lost: {lost:?}");
}

#[test]
fn the_folder_of_a_new_price_file_is_made() {
    let place = Place::new();
    place.write("tollgate.toml", &format!("[pricing]\nfile = \"prices/of/mine.toml\"\n{CONFIG}"));
    place.ok("price set m --input 1 --output 2");
    assert!(place.read("prices/of/mine.toml").contains("\"m\""));
}

#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    let place = Place::new();
    std::fs::create_dir(place.path("real")).unwrap();
    place.write("real/prices.toml", "");
    std::fs::set_permissions(place.path("real/prices.toml"), PermissionsExt::from_mode(0o640)).unwrap();
    symlink(place.path("real/prices.toml"), place.path("pricing.toml")).unwrap();
    place.ok("price set m --input 1 --output 2");
    assert!(place.path("pricing.toml").is_symlink());
    assert!(place.read("real/prices.toml").contains("\"m\""));
    assert_eq!(std::fs::metadata(place.path("real/prices.toml")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_price_is_shown_and_its_arithmetic_explained() {
    let place = Place::new();
    place.ok("price set gpt-4o --input 2.5 --output 10 --cached-input 1.25");
    assert!(place.ok("price show gpt-4o").contains("2.5 USD per million tokens"));
    assert_eq!(place.json("price show GPT-4O --json")[0]["usd_per_million"]["output"], "10");
    place.fails("price show gtp-4o", 1, &["did you mean `gpt-4o`?", "price set"]);
    let text = place.ok("price explain gpt-4o --input 1000 --cached-input 400 --output 50");
    // 600 x 2.5 + 400 x 1.25 + 50 x 10, each per million
    assert!(text.contains("$0.002500000 (2500000 nano-USD)"), "{text}");
    let lines = place.json("price explain gpt-4o --input 1000 --cached-input 400 --output 50 --json");
    let total = lines.last().unwrap();
    assert_eq!((&total["what"], &total["cost_nanos"]), (&"cost".into(), &2_500_000.into()));
    assert!(lines.iter().any(|line| line["what"] == "cached_input"));
    place.fails("price explain nothing --input 1", 1, &["no price for `nothing`"]);
    place.ok("price set special --provider azure-openai --input 1 --output 1");
    place.fails("price explain special --input 1", 1, &["give --provider azure-openai"]);
    place.ok("price explain special --provider azure-openai --input 1");
}

#[test]
fn a_broken_price_file_is_shown_and_never_overwritten() {
    let place = Place::new();
    let broken = "[[model]]\nname = \"a\"\ninput = -1\noutput = 2\n";
    place.write("pricing.toml", broken);
    for line in ["price list", "price show a", "price set a --input 1 --output 2", "check"] {
        place.fails(line, 2, &["pricing.toml:3:"]);
    }
    assert_eq!(place.read("pricing.toml"), broken);
    place.write("pricing.toml", "");
    place.fails("price set a --input 1.0000000000001 --output 2", 2, &["input"]);
}

#[test]
fn check_finds_everything_and_says_what_it_found() {
    let place = Place::new();
    place.ok("price set gpt-4o --input 1 --output 2");
    let ran = place.run("check");
    assert_eq!(ran.status, 0, "{ran:?}");
    for word in ["Everything is in order", "main", "2, 1 of them without a price", "default, vip", "1 in "] {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
    assert!(
        ran.err.contains("without a price (keys with a quota are refused, others pass unbilled): fast"),
        "{}",
        ran.err
    );
    place.write("tollgate.toml", &CONFIG.replace("\"openai\"", "\"opnai\"").replace("models", "modles"));
    place.write("pricing.toml", "[[model]]\nname = \"a\"\ninput = -1\noutput = 2\n");
    let ran = place.run("check");
    assert_eq!(ran.status, 2);
    for word in ["did you mean `openai`?", "did you mean `models`?", "pricing.toml:3:"] {
        assert!(ran.err.contains(word), "{word}: {}", ran.err);
    }
    assert!(!ran.err.contains("canary") && ran.out.is_empty());
}

#[test]
fn check_warns_of_an_empty_configuration() {
    let place = Place::new();
    place.write("tollgate.toml", "");
    let ran = place.run("check");
    assert_eq!(ran.status, 0);
    assert!(ran.err.contains("there is no upstream"), "{}", ran.err);
    let keyless = "name = 'home'\nprovider = 'ollama'\nmodels = ['llama']\n";
    place.write("tollgate.toml", &format!("[[upstream]]\n{keyless}"));
    let ran = place.run("check");
    assert_eq!(ran.status, 0, "{ran:?}");
    for what in [
        "no keys yet",
        "there is no price file",
        "every request of a key with a quota is refused (400 PRICE_MISSING)",
        "without a key of ours: home",
    ] {
        assert!(ran.err.contains(what), "{what}: {}", ran.err);
    }
    place.write("pricing.toml", "[[model]]\nname = \"llama\"\ninput = 0\noutput = 0\n");
    let ran = place.run("check");
    assert!(!ran.err.contains("price"), "{}", ran.err);
}

#[test]
fn every_class_can_be_explained() {
    let place = Place::new();
    place.write(
        "pricing.toml",
        "[[model]]\nname = \"m\"\ninput = 1\ncached_input = 2\ncache_write = 3\ncache_write_1h = 4\ninput_audio = 5\n\
         cached_audio = 6\ninput_image = 7\noutput = 8\nreasoning = 9\noutput_audio = 10\noutput_image = 11\n\
         web_search_per_thousand = 12\nwindows = [{ from = \"01:00\", to = \"02:00\", time_zone = \"UTC\", multiplier = 2 }]\n",
    );
    let line = "price explain m --input 1000 --cached 300 --cached-audio 100 --cache-write 200 --cache-write-1h 50 \
                --input-audio 20 --input-image 30 --output 400 --reasoning 40 --output-audio 50 --output-image 60 \
                --web-searches 7 --json";
    let lines = place.json(&format!("{line} --at 2026-01-31T12:00:00Z"));
    let named: Vec<(&str, &str)> =
        lines.iter().filter_map(|line| Some((line["what"].as_str()?, line["how"].as_str()?))).collect();
    assert_eq!(
        named[1..],
        [
            ("input", "450 tokens x 1 USD/M"),
            ("cached_input", "200 tokens x 2 USD/M"),
            ("cache_write", "150 tokens x 3 USD/M"),
            ("cache_write_1h", "50 tokens x 4 USD/M"),
            ("input_audio", "20 tokens x 5 USD/M"),
            ("cached_audio", "100 tokens x 6 USD/M"),
            ("input_image", "30 tokens x 7 USD/M"),
            ("output", "250 tokens x 8 USD/M"),
            ("reasoning", "40 tokens x 9 USD/M"),
            ("output_audio", "50 tokens x 10 USD/M"),
            ("output_image", "60 tokens x 11 USD/M"),
            ("web_searches", "7 searches x 12 USD/thousand"),
        ]
    );
    let tokens = 450 + 400 + 450 + 200 + 100 + 600 + 210 + 2000 + 360 + 500 + 660;
    assert_eq!(lines.last().unwrap()["cost_nanos"], tokens * 1000 + 84_000_000);
    let dear = place.json(&format!("{line} --at 2026-01-31T01:30:00Z"));
    assert_eq!(dear.last().unwrap()["cost_nanos"], 2 * tokens * 1000 + 84_000_000);
    place.write("pricing.toml", "[[model]]\nname = \"m\"\ninput = 1\noutput = 1\ninference_geo = { us = 1.1 }\n");
    let there = place.ok("price explain m --input 1000 --inference-geo us");
    assert!(there.contains("1000 tokens x 1.1 USD/M (1 x 1.1) = 0.0011 USD"), "{there}");
    assert!(place.ok("price show m").contains("inference in us"), "its places are shown");
    assert!(place.ok("price list").contains("places"), "and that it has some is listed");
    for more in ["--cached 1 --cached-audio 2", "--input-image 2", "--cache-write-1h 1", "--output 1 --output-audio 2"]
    {
        place.fails(&format!("price explain m --input 1 {more}"), 2, &["part"]);
    }
}

#[test]
fn what_is_billed_by_the_piece_is_shown_and_explained() {
    let place = Place::new();
    let row =
        |name: &str, fees: &str| format!("[[model]]\nname = \"{name}\"\ninput = 0\noutput = 0\nfees = {{ {fees} }}\n");
    let text = row("d", "image = 0.04, image_hd_1024x1792 = 0.12")
        + &row("w", "audio_hour = 0.36")
        + "audio_seconds_min = 10\n"
        + &row("t", "character = 0.000015");
    place.write("pricing.toml", &text);
    for (line, how, nanos) in [
        ("d --images 2 --quality hd --size 1024x1792", "2 images x 0.12 USD", 240_000_000),
        ("d --images 1 --size 1024x1024", "1 image x 0.04 USD", 40_000_000),
        ("w --audio-seconds 61.5", "61500 ms x 0.36 USD/hour", 6_150_000),
        ("w --audio-seconds 1", "10000 ms (the least that is charged) x 0.36 USD/hour", 1_000_000),
        ("w --audio-seconds 10.001", "10001 ms x 0.36 USD/hour", 1_000_100),
        ("t --characters 1000", "1000 characters x 0.000015 USD", 15_000_000),
    ] {
        let lines = place.json(&format!("price explain {line} --json"));
        let cost = lines.last().unwrap();
        assert_eq!((&cost["cost_nanos"], &cost["price_missing"]), (&nanos.into(), &false.into()), "{line}");
        assert!(lines.iter().any(|line| line["how"] == how), "{how}: {lines:?}");
    }
    let ran = place.run("price explain d --audio-seconds 1");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.err.contains("Something among audio_ms has no fee in this row"), "{}", ran.err);
    place.fails("price explain d --size 1024x1792", 2, &["--images"]);
    place.fails("price explain w --audio-seconds 0.0001", 2, &["milliseconds"]);
    for (model, said) in [
        ("d", "0.12 USD for each image"),
        ("w", "0.36 USD an hour of audio"),
        ("w", "10 seconds a request"),
        ("t", "0.000015 USD a character"),
    ] {
        let shown = place.ok(&format!("price show {model}"));
        assert!(shown.contains(said), "{said}: {shown}");
    }
    assert!(place.ok("price list").contains("pieces"));
}

#[test]
fn an_upstreams_own_prices_are_explained() {
    let place = Place::new();
    let upstream = |more: &str| format!("{CONFIG}price_provider = \"reseller\"\nprice_multiplier = 0.85\n{more}");
    place.write("tollgate.toml", &upstream(""));
    let prices = "[[model]]\nname = \"gpt-4o\"\ninput = 2\noutput = 8\n[[model]]\nname = \"gpt-4o-mini\"\ninput = 1\noutput = 1\n";
    place.write("pricing.toml", prices);
    let unknown =
        ["tollgate.toml:", "upstream[0].price_provider: no row of the price book has `provider = \"reseller\"`"];
    place.fails("check", 2, &unknown);
    place.fails("price explain gpt-4o --upstream main --input 1000", 2, &unknown);
    place.write(
        "pricing.toml",
        &format!("{prices}[[model]]\nname = \"gpt-4o\"\nprovider = \"resellr\"\ninput = 3\noutput = 9\n"),
    );
    place.fails("check", 2, &["did you mean `resellr`?"]);
    place.write(
        "pricing.toml",
        &format!("{prices}[[model]]\nname = \"gpt-4o\"\nprovider = \"Reseller\"\ninput = 3\noutput = 9\n"),
    );
    place.ok("check");
    // 1001 x 3 x 0.85 and 1001 x 1 x 0.85 USD per million.
    for (model, nanos) in [("gpt-4o", 2_552_550), ("fast", 850_850), ("gpt-4o-mini", 850_850)] {
        let text = place.ok(&format!("price explain {model} --upstream main --input 1001"));
        assert!(
            text.contains("price_multiplier: the sum x 0.85 = -") && text.contains(&format!("({nanos} nano-USD)")),
            "{text}"
        );
    }
    place.fails(
        "price explain gpt-4 --upstream main --input 1",
        1,
        &["`main` has no model `gpt-4`, did you mean `gpt-4o`?"],
    );
    place.fails("price explain gpt-4o --upstream mian --input 1", 1, &["no upstream `mian`, did you mean `main`?"]);
    for (wrong, why) in [
        ("0.00001", "more than 4 decimals"),
        ("-1", "negative"),
        ("true", "found true or false"),
        ("1001", "too large"),
    ] {
        place.write("tollgate.toml", &upstream("").replace("0.85", wrong));
        for command in ["check", "price explain gpt-4o --upstream main --input 1"] {
            place.fails(command, 2, &["upstream[0].price_multiplier: ", why, "expected a number such as `0.85`"]);
        }
    }
}

#[test]
fn a_row_in_another_currency_is_set_shown_and_explained() {
    let place = Place::new();
    place.write("pricing.toml", "[currency]\nCNY = \"0.1389\"\n");
    place.ok("price set qwen-max --input 2.4 --output 9.6 --currency CNY");
    assert!(place.read("pricing.toml").contains("currency = \"CNY\"\ninput = 2.4"));
    place.fails("price set qwen-max --input 3 --output 9", 2, &["is in CNY", "--currency CNY"]);
    place.fails("price set x --input 3 --output 9 --currency CNX", 2, &["did you mean `CNY`?"]);
    place.ok("price set qwen-max --input 4.8 --output 9.6 --currency CNY");
    let rows = place.json("price list --json");
    assert_eq!((&rows[0]["currency"], &rows[0]["usd_per_unit"]), (&"CNY".into(), &"0.1389".into()));
    assert_eq!(rows[0]["usd_per_million"]["input"], "0.66672");
    let shown = place.ok("price show qwen-max");
    assert!(shown.contains("CNY, 0.1389 USD each") && shown.contains("1.33344 USD per million tokens"), "{shown}");
    let text = place.ok("price explain qwen-max --input 1000");
    assert!(text.contains("price: qwen-max, in CNY at 0.1389 USD\n"), "{text}");
    assert!(text.contains("input: 1000 tokens x 0.66672 USD/M (4.8 CNY x 0.1389) = 0.00066672 USD"), "{text}");
}

const IN_FULL: &str = r#"
[currency]
CNY = "0.5"
[[model]]
name = "gpt-4o"
aliases = ["omni"]
dated = true
context_tokens = 128000
max_output_tokens = 16384
input = 2.5
output = 10
per_request = 0.005
web_search_per_thousand = 10
tiers = [{ above_prompt_tokens = 200000, input = 5 }]
batch = 0.5
flex = { input = 1.25, tiers = [] }
priority = 1.7
windows = [{ days = ["sat"], from = "09:00", to = "15:00", time_zone = "Europe/Berlin", multiplier = 2 }]
[[model]]
name = "gpt-4o"
valid_from = 2026-06-01
currency = "CNY"
input = 4
output = 8
"#;

#[test]
fn the_list_of_prices_says_what_else_a_row_has_prices_for() {
    let place = Place::new();
    let row = |name: &str, more: &str| format!("[[model]]\nname = \"{name}\"\ninput = 1\noutput = 2\n{more}\n");
    let rows = [
        ("plain", "cached_input = 0.1", ""),
        ("writes", "cache_write = 1.25", "cache writes"),
        ("thinks", "reasoning = 3", "reasoning"),
        ("hears", "input_audio = 40", "audio"),
        ("draws", "output_image = 30", "images"),
        ("all", "cache_write = 1.25\nbatch = 0.5", "cache writes, batch"),
    ];
    let texts: Vec<String> = rows.iter().map(|(name, more, _)| row(name, more)).collect();
    place.write("pricing.toml", &format!("{IN_FULL}{}", texts.concat()));
    let listed = place.ok("price list");
    assert!(listed.lines().next().unwrap().ends_with("AND PRICES OF"), "{listed}");
    let full = ("gpt-4o", "", "long prompts, requests, web searches, hours, other dates, batch, flex, priority");
    for (name, _, words) in rows.iter().chain([&full]) {
        let line = listed.lines().find(|line| line.split_whitespace().next() == Some(name)).expect(name);
        // What is before it is a number.
        let told = line.trim_end().rsplit(|letter: char| letter.is_ascii_digit()).next().unwrap();
        assert_eq!(told.trim(), *words, "{line}");
    }
}

#[test]
fn a_price_is_shown_in_full_to_people() {
    let place = Place::new();
    place.write("pricing.toml", IN_FULL);
    place.write("tollgate.toml", &format!("{}price_multiplier = 0.85\n", super::CONFIG));
    for name in ["gpt-4o", "omni", "gpt-4o-2026-01-01"] {
        let shown = place.ok(&format!("price show {name}"));
        let lines: Vec<String> =
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in [
            "aliases omni",
            "context tokens 128000",
            "most output tokens 16384",
            "names with dates gpt-4o-2026-01-31 and the like",
            "valid from the beginning, in force",
            "input 2.5 USD per million tokens",
            "per request 0.005 USD",
            "web searches 10 USD per thousand",
            "above 200000 tokens input 5, cached_input 5, cache_write 5, cache_write_1h 5, input_audio 5, cached_audio 5, input_image 5",
            "batch tokens x 0.5",
            "priority tokens x 1.7",
            // It is Saturday noon in UTC.
            "sat 09:00:00-15:00:00 Europe/Berlin (now) tokens x 2",
            "valid from 2026-06-01T00:00:00Z",
            "written in CNY, 0.5 USD each",
            "input 2 USD per million tokens",
            "at upstream main gpt-4o, all x 0.85",
        ] {
            assert!(lines.iter().any(|shown| shown == line), "{line}: {shown}");
        }
        assert!(lines.iter().any(|line| line.starts_with("flex input 1.25, cached_input 1.25")), "{shown}");
    }
}

#[test]
fn a_price_is_shown_in_full_to_programs() {
    let place = Place::new();
    place.write("pricing.toml", IN_FULL);
    place.write("tollgate.toml", &format!("{}price_multiplier = 0.85\n", super::CONFIG));
    let shown = place.json("price show omni --json").remove(0);
    for (pointer, expected) in [
        ("/model", serde_json::json!("gpt-4o")),
        ("/aliases/0", "omni".into()),
        ("/dated", true.into()),
        ("/usd_per_million/input", "5".into()),
        ("/versions/0/in_force", true.into()),
        ("/versions/0/valid_from", serde_json::Value::Null),
        ("/versions/0/usd_per_million/input", "2.5".into()),
        ("/versions/0/tiers/0/above_prompt_tokens", 200_000.into()),
        ("/versions/0/tiers/0/usd_per_million/input", "5".into()),
        ("/versions/0/tiers/0/usd_per_million/output", "10".into()),
        ("/versions/0/usd_per_request", "0.005".into()),
        ("/versions/0/usd_per_thousand_web_searches", "10".into()),
        ("/versions/0/service_tiers/batch/multiplier", "0.5".into()),
        ("/versions/0/service_tiers/flex/usd_per_million/input", "1.25".into()),
        ("/versions/0/service_tiers/flex/tiers", serde_json::json!([])),
        ("/versions/0/service_tiers/priority/multiplier", "1.7".into()),
        ("/versions/0/windows/0/days", serde_json::json!(["sat"])),
        ("/versions/0/windows/0/from", "09:00:00".into()),
        ("/versions/0/windows/0/time_zone", "Europe/Berlin".into()),
        ("/versions/0/windows/0/multiplier", "2".into()),
        ("/versions/0/windows/0/in_force", true.into()),
        ("/versions/1/valid_from", "2026-06-01T00:00:00Z".into()),
        ("/versions/1/in_force", false.into()),
        ("/versions/1/currency", "CNY".into()),
        ("/versions/1/usd_per_unit", "0.5".into()),
        ("/versions/1/usd_per_million/output", "4".into()),
        ("/upstreams/0/upstream", "main".into()),
        ("/upstreams/0/price_multiplier", "0.85".into()),
    ] {
        assert_eq!(shown.pointer(pointer), Some(&expected), "{pointer}: {shown}");
    }
    assert_eq!(shown["upstreams"].as_array().map(Vec::len), Some(1), "{shown}");
}

#[test]
fn an_aliass_price_is_set_at_its_row() {
    let place = Place::new();
    let alone = IN_FULL.split("[[model]]\nname = \"gpt-4o\"\nvalid_from").next().unwrap();
    place.write("pricing.toml", alone);
    place.fails(
        "price set omni --input 1 --output 2",
        2,
        &["`omni` is an alias of `gpt-4o`", "set the price of `gpt-4o`"],
    );
    assert_eq!(place.read("pricing.toml"), alone);
}

#[test]
fn published_prices_are_shown_as_a_difference_and_written_only_if_asked() {
    let place = Place::new();
    let prices = "# mine\n[[model]]\nname = \"gpt-4o\" # dear\ninput = 3 # USD\noutput = 10\n";
    place.write("pricing.toml", prices);
    let model = |input: &str| {
        format!(r#"{{"litellm_provider": "openai", "input_cost_per_token": {input}, "output_cost_per_token": 1e-05}}"#)
    };
    let published = [("gpt-4o", "2.5e-06"), ("o3", "2e-06"), ("bad", "-1")];
    let published = published.map(|(name, input)| format!("\"{name}\": {}", model(input))).join(", ");
    place.write("published.json", &format!("{{{published}}}"));
    let file = place.path("published.json").display().to_string();
    let said = place.run(&format!("price import {file}"));
    for line in [
        "~ gpt-4o: input 3 -> 2.5\n",
        "+ o3: input 2, output 10\n",
        "! input_cost_per_token: `-1` is negative: openai/bad\n",
        "litellm: 1 new, 1 changed, 0 as they are, 1 not read\n",
    ] {
        assert!(said.out.contains(line), "{line}: {said:?}");
    }
    assert!(said.err.contains("Nothing is written") && place.read("pricing.toml") == prices, "{said:?}");
    let rows = place.json(&format!("price import {file} --model o* --json"));
    assert_eq!((&rows[0]["change"], &rows[0]["keys"]["input"]["new"]), (&"added".into(), &"2".into()));
    assert_eq!((rows.len(), &rows[1]["written"]), (2, &false.into()));
    assert!(place.ok(&format!("price import {file} --write")).contains("is written"));
    let written = place.read("pricing.toml");
    let changed = prices.replace("input = 3 #", "input = 2.5 #");
    assert_eq!(written, format!("{changed}\n[[model]]\nname = \"o3\"\ninput = 2\noutput = 10\n"));
    assert!(place.run(&format!("price import {file} --write")).err.contains("nothing to change"));
    assert_eq!(place.read("pricing.toml"), written);
    place.fails(&format!("price import {file} --format new-ap"), 2, &["genai-prices, litellm, new-api"]);
    place.fails("price import nowhere.json", 2, &["nowhere.json: there is no such file"]);
    place.write("published.json", "{}");
    place.fails(&format!("price import {file}"), 2, &["published.json: looks like none of the known formats"]);
}
