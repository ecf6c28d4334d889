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
    for what in ["no keys yet", "there is no price file", "unbilled): llama", "without a key of ours: home"] {
        assert!(ran.err.contains(what), "{what}: {}", ran.err);
    }
    place.write("pricing.toml", "[[model]]\nname = \"llama\"\ninput = 0\noutput = 0\n");
    let ran = place.run("check");
    assert!(!ran.err.contains("price"), "{}", ran.err);
}
