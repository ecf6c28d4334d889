mod mutations;
mod plugins;
mod sealed;

use super::{Config, ConfigError, HttpVersion, Network, OnClientDisconnect, StoreUrl, UnknownModel};
use crate::ledger::Durability;
use mutations::MUTATIONS;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use std::path::{Path, PathBuf};

const WHOLE: &str = include_str!("tests/whole.toml");
const CANARY: &str = "sk-canary-Zq81xQ7";

fn env(name: &str) -> Option<String> {
    match name {
        "OPENAI_API_KEY" => Some(CANARY.into()),
        "TEAM" => Some("team-canary-Zq81xQ7".into()),
        "DOMAIN" => Some("app.example".into()),
        "EMPTY" => Some(String::new()),
        "TWO_WORDS" => Some("canary-Zq81xQ7 two".into()),
        _ => None,
    }
}

/// A folder with the files that `whole.toml` names.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tls")).unwrap();
    let certificate = include_bytes!("../../tests/support/tls/certificate.pem");
    std::fs::write(folder.path().join("tls/cert.pem"), certificate).unwrap();
    std::fs::write(folder.path().join("tls/key.pem"), include_bytes!("../../tests/support/tls/key.pem")).unwrap();
    folder
}

fn parse(text: &str, folder: &Path) -> Result<Config, Vec<ConfigError>> {
    Config::parse(text, &folder.join("tollgate.toml"), &env)
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn reads_every_key() {
    let folder = folder();
    let config = parse(WHOLE, folder.path()).map_err(|errors| lines(&errors)).unwrap();
    assert_eq!(config.server.listen, ["0.0.0.0:3000".parse().unwrap(), "[::1]:3001".parse().unwrap()]);
    assert_eq!(config.server.metrics_listen, Some("127.0.0.1:9465".parse().unwrap()));
    assert_eq!(
        (config.server.threads, config.server.request_body_bytes_max, config.server.shutdown_ms),
        (4, 1_000_000, 5000)
    );
    assert_eq!(config.server.memory_bytes_max, 2_000_000_000);
    assert_eq!(config.server.trusted_proxies[2], Network::parse("192.0.2.1/32").unwrap());
    assert_eq!(config.server.tls.as_ref().unwrap().certificate, folder.path().join("tls/cert.pem"));
    assert_eq!(config.store.url, StoreUrl::Sqlite(folder.path().join("state/ledger.db")));
    assert_eq!(config.ledger.journal_dir, folder.path().join("state/journal"));
    assert_eq!(config.ledger.durability, Durability::Power);
    assert_eq!(config.pricing.file, folder.path().join("prices.toml"));
    assert_eq!(config.pricing.unknown_model, UnknownModel::Allow);
    let routing = &config.routing;
    assert_eq!((routing.strategy.as_str(), routing.attempts_max, routing.connect_timeout_ms), ("round_robin", 5, 3000));
    assert_eq!((routing.first_token_timeout_ms, routing.response_timeout_ms), (60_000, 300_000));
    assert_eq!((routing.idle_timeout_ms, routing.first_token_hold_ms), (30_000, 0));
    assert_eq!(routing.on_client_disconnect, OnClientDisconnect::Abort);
    assert_eq!((routing.drain_ms_max, routing.drain_bytes_max, routing.drains_max), (2000, 65_536, 8));
    assert_eq!(routing.output_tokens_default, 4096);
    assert_eq!((config.breaker.failures_to_open, config.breaker.open_ms), (2, 10_000));
    let upstream = &config.upstreams[0];
    assert_eq!((upstream.name.as_str(), upstream.provider.as_str()), ("openai-main", "openai"));
    assert_eq!(upstream.api_key.as_ref().unwrap().expose_secret(), CANARY);
    assert_eq!(upstream.base_url, "https://eu.api.openai.com/v1");
    assert_eq!(upstream.http_version, HttpVersion::Http2);
    assert_eq!((upstream.models[0].name.as_str(), upstream.models[0].upstream_model.as_str()), ("gpt-4o", "gpt-4o"));
    assert_eq!((upstream.models[1].name.as_str(), upstream.models[1].upstream_model.as_str()), ("fast", "gpt-4o-mini"));
    assert_eq!((upstream.weight, upstream.priority), (80, 1));
    assert_eq!(upstream.groups, ["default", "vip"]);
    let team = upstream.headers.iter().find(|(name, _)| name == "x-team").unwrap();
    assert_eq!(team.1, "team-canary-Zq81xQ7");
    let claude = &config.upstreams[1];
    assert_eq!(claude.base_url.host(), Some("api.anthropic.com"));
    assert_eq!(claude.http_version, HttpVersion::Http1);
    assert_eq!((claude.weight, claude.priority), (1, 0));
    assert_eq!(claude.groups, ["default"]);
    assert_eq!(config.plugins["cors"]["allowed_origins"][0].as_str(), Some("https://app.example"));
    assert_eq!(config.plugins["cors"]["max_age_seconds"].as_integer(), Some(600));
}

#[test]
fn an_empty_file_has_the_contracts_defaults() {
    let config = Config::parse("", Path::new("conf/tollgate.toml"), &env).unwrap();
    assert_eq!(config.server.listen, ["127.0.0.1:3000".parse().unwrap()]);
    assert_eq!(config.server.metrics_listen, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!((config.server.threads, config.server.request_body_bytes_max), (0, 33_554_432));
    assert_eq!((config.server.shutdown_ms, config.server.memory_bytes_max), (30_000, 0));
    assert!(config.server.trusted_proxies.is_empty() && config.server.tls.is_none());
    assert!(config.server.reload_secret.is_none() && config.server.master_key_file.is_none());
    assert_eq!(config.store.url, StoreUrl::Sqlite(PathBuf::from("conf/data/tollgate.db")));
    assert_eq!(config.ledger.journal_dir, PathBuf::from("conf/data/journal"));
    assert_eq!(config.ledger.durability, Durability::Process);
    assert_eq!(config.pricing.file, PathBuf::from("conf/pricing.toml"));
    assert_eq!(config.pricing.unknown_model, UnknownModel::RejectIfQuota);
    let routing = &config.routing;
    assert_eq!((routing.strategy.as_str(), routing.attempts_max), ("weighted", 3));
    assert_eq!((routing.first_token_timeout_ms, routing.response_timeout_ms), (120_000, 600_000));
    assert_eq!((routing.idle_timeout_ms, routing.first_token_hold_ms), (120_000, 15_000));
    assert_eq!(routing.on_client_disconnect, OnClientDisconnect::Drain);
    assert_eq!((routing.drain_ms_max, routing.drain_bytes_max, routing.drains_max), (10_000, 1_048_576, 256));
    assert_eq!((config.breaker.failures_to_open, config.breaker.open_ms), (5, 30_000));
    assert!(config.upstreams.is_empty() && config.plugins.is_empty());
}

#[test]
fn every_mutation_is_found_where_it_is() {
    let folder = folder();
    assert!(MUTATIONS.len() >= 150, "{}", MUTATIONS.len());
    let mut wrong = String::new();
    for mutation in MUTATIONS {
        assert_eq!(WHOLE.matches(mutation.from).count(), 1, "{:?} must stand once", mutation.from);
        let marked = WHOLE.replace(mutation.from, mutation.to);
        let text = marked.replace('«', "");
        let errors = match parse(&text, folder.path()) {
            Ok(_) => {
                wrong += &format!("{:?}: accepted\n", mutation.to);
                continue;
            }
            Err(errors) => errors,
        };
        let Some(error) = errors.iter().find(|error| error.key == mutation.key) else {
            wrong += &format!("{:?}: no error at {}:\n{}", mutation.to, mutation.key, lines(&errors));
            continue;
        };
        let says_what_else = ["expected", "did you mean", "is not set", "there is no file", "twice"];
        if !says_what_else.iter().any(|word| error.message.contains(word)) {
            wrong += &format!("{:?}: not said what was expected: {error}\n", mutation.to);
        }
        for part in mutation.says {
            if !error.message.contains(part) {
                wrong += &format!("{:?}: not said: {part:?}: {error}\n", mutation.to);
            }
        }
        if let Some(at) = marked.find('«') {
            let line = marked[..at].matches('\n').count() + 1;
            let column = marked[..at].rsplit('\n').next().unwrap().chars().count() + 1;
            if (error.line, error.column) != (line, column) {
                wrong += &format!("{:?}: expected at {line}:{column}: {error}\n", mutation.to);
            }
        } else if error.line == 0 {
            wrong += &format!("{:?}: no position: {error}\n", mutation.to);
        }
        let said = lines(&errors);
        if said.contains("canary") || said.contains("literal\"") || said.contains("me:pw") || said.contains("u:p@") {
            wrong += &format!("{:?}: shows a secret: {said}", mutation.to);
        }
        // One mistake, few messages: a key that is misspelt may also be missing.
        if errors.len() > 4 {
            wrong += &format!("{:?}: too many messages:\n{said}", mutation.to);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn all_errors_come_at_once_in_the_files_order() {
    let folder = folder();
    let text = WHOLE
        .replace("threads = 4", "threads = -4")
        .replace("\"power\"", "\"pwer\"")
        .replace("strategy =", "stategy =")
        .replace("provider = \"openai\"", "provider = \"nope\"")
        .replace("${DOMAIN}", "${MISSING_ONE}");
    let errors = parse(&text, folder.path()).unwrap_err();
    let keys: Vec<&str> = errors.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "server.threads",
            "ledger.durability",
            "routing.stategy",
            "upstream[0].provider",
            "plugins.cors.allowed_origins[0]"
        ]
    );
    assert!(errors.is_sorted_by_key(|error| error.line));
}

#[test]
fn a_broken_line_hides_no_other_error() {
    let folder = folder();
    let text = WHOLE.replace("\"power\"", "power").replace("weight = 80", "weight = -1");
    let errors = parse(&text, folder.path()).unwrap_err();
    let keys: Vec<&str> = errors.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(keys, ["ledger.durability", "upstream[0].weight"], "{}", lines(&errors));
}

#[test]
fn an_error_reads_as_the_contract_says() {
    let errors = Config::parse("[server]\nlisten = [\"127.0.0.1:3000\"]\nthread = 2\n", Path::new("a/t.toml"), &env)
        .unwrap_err();
    let text = errors[0].to_string();
    assert!(text.starts_with("a/t.toml:3:1: server.thread: unknown key, expected `listen`"), "{text}");
    assert!(text.ends_with(", did you mean `threads`?"), "{text}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = folder();
    let missing = Config::load(&folder.path().join("none.toml"), &env).unwrap_err();
    assert!(missing[0].to_string().contains("none.toml: cannot be read:"), "{}", missing[0]);
    assert!(Config::load(folder.path(), &env).unwrap_err()[0].message.contains("folder"));
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, b"# \xc3\xa9\nname = \"\xff\"").unwrap();
    let errors = Config::load(&binary, &env).unwrap_err();
    assert_eq!((errors[0].line, errors[0].column), (2, 9));
    assert!(errors[0].message.contains("UTF-8"));
}

#[test]
fn columns_count_characters() {
    let errors =
        Config::parse("\u{feff}é = 1 # ü\n\"é\u{301}\" = 2\n[server]\nthreads = \"ü\" # x", Path::new("t.toml"), &env)
            .unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| (error.line, error.column)).collect();
    assert_eq!(places[0], (1, 1), "{}", lines(&errors));
}

#[test]
fn debug_shows_no_secret() {
    let folder = folder();
    let text = WHOLE.replace("sk-ant-literal", "sk-literal-canary");
    let config = parse(&text, folder.path()).map_err(|errors| lines(&errors)).unwrap();
    let debug = format!("{config:?} {config:#?}");
    assert!(!debug.contains("canary") && debug.contains("openai-main"), "{debug}");
}

#[test]
fn a_key_may_end_with_a_line_break() {
    let env = |_: &str| Some("sk-1\n".to_string());
    let text = "[[upstream]]\nname='a'\nprovider='openai'\nmodels=['m']\napi_key='${X}'";
    let config = Config::parse(text, Path::new("t.toml"), &env).unwrap();
    assert_eq!(config.upstreams[0].api_key.as_ref().unwrap().expose_secret(), "sk-1");
}

#[test]
fn later_checks_can_point_into_the_file() {
    let folder = folder();
    let config = parse(WHOLE, folder.path()).map_err(|errors| lines(&errors)).unwrap();
    let error = config.error("upstream[0].models[1].name", "x");
    assert_eq!((error.line, error.column), (50, 30));
    assert_eq!(config.error("plugins.cors.nothing", "x").line, 62);
    assert_eq!(config.error("nothing", "x").line, 1);
}

#[test]
fn without_a_file_every_provider_with_a_key_is_an_upstream() {
    let env = |name: &str| match name {
        "OPENAI_API_KEY" => Some(CANARY.to_string()),
        "ANTHROPIC_API_KEY" => Some(String::new()),
        "DEEPSEEK_API_KEY" => Some("two words".into()),
        "GOOGLE_API_KEY" => Some("g\n".into()),
        _ => None,
    };
    let config = Config::from_environment(&env);
    let names: Vec<&str> = config.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    assert_eq!(names, ["gemini", "openai"]);
    assert_eq!(config.upstreams[0].api_key.as_ref().unwrap().expose_secret(), "g");
    assert_eq!(config.upstreams[1].base_url, "https://api.openai.com/v1");
    assert!(!config.upstreams[1].models.is_empty() && config.file.is_none());
    let upstream = &config.upstreams[1];
    assert_eq!((upstream.weight, upstream.priority, &*upstream.groups), (1, 0, &["default".to_owned()][..]));
    assert_eq!(config.store.url, StoreUrl::Sqlite("data/tollgate.db".into()));
    let (ledger, pricing) = (&config.ledger, &config.pricing);
    assert_eq!((&*ledger.journal_dir, ledger.durability), (Path::new("data/journal"), Durability::Process));
    assert_eq!((&*pricing.file, pricing.unknown_model), (Path::new("pricing.toml"), UnknownModel::RejectIfQuota));
    assert_eq!(config.error("upstream[0].name", "x").to_string(), "environment: upstream[0].name: x");
}

#[test]
fn every_providers_own_url_is_one_that_a_file_could_name() {
    for provider in crate::provider::providers().values() {
        if let Some(url) = &provider.base_url {
            super::base_url::parse_base_url(url).unwrap();
        }
    }
}

/// What one gives a vendor's own SDK, which knows the path behind it, or the whole of it.
#[test]
fn a_base_url_without_a_path_gets_the_one_that_the_vendors_sdk_adds() {
    let folder = folder();
    let file = folder.path().join("tollgate.toml");
    let asked = |provider: &str, url: &str| {
        let text = format!(
            "[[upstream]]\nname = \"u\"\nprovider = \"{provider}\"\napi_key = \"k\"\nbase_url = \"{url}\"\nmodels = [\"m\"]\n"
        );
        std::fs::write(&file, text).unwrap();
        let config = Config::load_places(&file, &|_: &str| None).unwrap_or_else(|error| panic!("{error:?}"));
        config.upstreams[0].base_url.to_string()
    };
    for (provider, url, wanted) in [
        ("groq", "https://api.groq.com", "https://api.groq.com/openai/v1"),
        ("groq", "https://api.groq.com/openai/v1/", "https://api.groq.com/openai/v1"),
        ("mistral", "https://api.mistral.ai/", "https://api.mistral.ai/v1"),
        ("cerebras", "http://127.0.0.1:9/proxy", "http://127.0.0.1:9/proxy"),
        ("ollama", "http://127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        ("azure-openai", "https://x.openai.azure.com", "https://x.openai.azure.com/openai/v1"),
        ("openai", "https://api.example.com", "https://api.example.com/"),
    ] {
        assert_eq!(asked(provider, url), wanted, "{provider}");
    }
    // It is the path of the vendor's own URL.
    for provider in crate::provider::providers().values() {
        if let (Some(path), Some(url)) = (&provider.sdk_path, &provider.base_url) {
            assert_eq!(super::base_url::parse_base_url(url).unwrap().path(), path, "{}", provider.name);
        }
    }
}

#[test]
fn commands_that_serve_nothing_need_no_provider_keys() {
    let folder = folder();
    let file = folder.path().join("tollgate.toml");
    let bare = |_: &str| None;
    std::fs::write(&file, WHOLE.replace("[breaker]", "[breaker]\ntypo = 1")).unwrap();
    let config = Config::load_places(&file, &bare).map_err(|errors| lines(&errors)).unwrap();
    assert_eq!(config.store.url, StoreUrl::Sqlite(folder.path().join("state/ledger.db")));
    assert!(Config::load(&file, &bare).is_err());
    for (from, to, key) in [
        ("[store]", "[stores]", "stores"),
        ("sqlite:state/ledger.db", "sqlite:${NOPE}", "store.url"),
        ("journal_dir", "journals_dir", "ledger.journals_dir"),
        ("\"prices.toml\"", "1", "pricing.file"),
    ] {
        std::fs::write(&file, WHOLE.replace(from, to)).unwrap();
        let errors = Config::load_places(&file, &bare).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.key.as_str()).collect::<Vec<_>>(), [key]);
    }
}

proptest! {
    /// Whatever is cut out or put in: an answer, never a panic, and every error has a place and no secret.
    #[test]
    fn any_damage_is_an_error_or_a_config(
        from in 0..WHOLE.len(), length in 0..40usize, put in "[\\[\\]{}=\"'#,.$\n a-z0-9\u{e9}-]{0,12}"
    ) {
        let from = (0..=from).rev().find(|at| WHOLE.is_char_boundary(*at)).unwrap();
        let to = (from + length..=WHOLE.len()).find(|at| WHOLE.is_char_boundary(*at)).unwrap_or(WHOLE.len());
        let text = format!("{}{put}{}", &WHOLE[..from], &WHOLE[to..]);
        if let Err(errors) = Config::parse(&text, Path::new("t.toml"), &env) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(error.line >= 1 && error.column >= 1 && !error.message.is_empty(), "{error}");
                prop_assert!(!error.to_string().contains("canary"), "{error}");
            }
        }
    }
}
