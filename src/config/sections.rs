//! The tables of the file, but for `[[upstream]]`.

use super::address;
use super::reader::{Section, kind};
use super::secret::SharedSecret;
use super::shape::{Breaker, Console, Ledger, OnClientDisconnect, Pricing, Routing, Server, Store, Tls, UnknownModel};
use crate::balance::{COOLDOWN_MS_MAX, FAILURES_TO_OPEN_MAX};
use crate::ledger::Durability;
use crate::store::StoreUrl;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use tollgate_plugin_api::{Network, PluginRow, did_you_mean, join, one_of};
use toml::de::DeValue;

const DAY_MS: u64 = 24 * 3600 * 1000;
const GIB: u64 = 1 << 30;
const PIB: u64 = 1 << 50;
/// With less nothing can be served.
const MEMORY_BYTES_MIN: u64 = 16 << 20;

/// `[server]`
pub(super) fn server(top: &Section<'_>) -> Server {
    let section = top.section("server");
    let default = Server::default();
    let listen = section.strings("listen", "addresses, as in `[\"127.0.0.1:3000\"]`", address::parse);
    if listen.as_ref().is_some_and(Vec::is_empty)
        && section
            .get("listen")
            .is_some_and(|value| matches!(value.get_ref(), DeValue::Array(items) if items.is_empty()))
    {
        section.wrong("listen", "is empty, expected at least one address");
    }
    let listen = listen.unwrap_or(default.listen);
    for (index, address) in listen.iter().enumerate() {
        let before = &listen[..index];
        let key = section.item("listen", index);
        if address.port() != 0 && before.contains(address) {
            section.reader.wrong(&key, "the address is there twice, expected each once");
        } else if let Some(other) = before.iter().find(|other| address::overlap(*address, **other)) {
            section
                .reader
                .wrong(&key, format!("{other} already covers it, expected another port, or only one of them"));
        }
    }
    let metrics_listen = own_address(&section, "metrics_listen", default.metrics_listen);
    if let Some(metrics) = metrics_listen
        && listen.iter().any(|other| address::overlap(metrics, *other))
    {
        section.wrong("metrics_listen", "is also in `listen`, expected an address of its own");
    }
    Server {
        listen,
        metrics_listen,
        threads: section.number("threads", 0..=1024, default.threads),
        request_body_bytes_max: section.number("request_body_bytes_max", 1..=GIB, default.request_body_bytes_max),
        memory_bytes_max: memory_bytes_max(&section, default.memory_bytes_max),
        shutdown_ms: section.number("shutdown_ms", 0..=DAY_MS, default.shutdown_ms),
        trusted_proxies: section
            .strings("trusted_proxies", "networks, as in `[\"10.0.0.0/8\"]`", |text| {
                Network::parse(text).map_err(|message| format!("{message}, expected a network such as `10.0.0.0/8`"))
            })
            .unwrap_or_default(),
        reload_secret: section.text("reload_secret").as_deref().map(SharedSecret::new),
        master_key_file: section.text("master_key_file").map(|path| section.reader.path(&path)),
        tls: tls(&section),
    }
}

/// None, or so much that a gateway can be served with it.
fn memory_bytes_max(section: &Section<'_>, default: u64) -> u64 {
    let bytes_max = section.number("memory_bytes_max", 0..=PIB, default);
    if (1..MEMORY_BYTES_MIN).contains(&bytes_max) {
        section.wrong(
            "memory_bytes_max",
            format!("{bytes_max} is too small, expected at least {MEMORY_BYTES_MIN}, or 0 for what there is"),
        );
    }
    bytes_max
}

fn own_address(section: &Section<'_>, key: &str, default: Option<SocketAddr>) -> Option<SocketAddr> {
    let Some(value) = section.get(key) else { return default };
    let text = section.reader.string(&section.key(key), value.get_ref())?;
    if text.is_empty() {
        return None;
    }
    address::parse(&text).map_err(|message| section.wrong(key, format!("{message}; `\"\"` for none"))).ok()
}

fn tls(server: &Section<'_>) -> Option<Tls> {
    server.table("tls")?;
    let section = server.section("tls");
    let file = |key: &str| {
        section.missing(key, "the path of a PEM file");
        let path = section.reader.path(&section.text(key)?);
        if !path.is_file() {
            section.wrong(key, format!("there is no file {}", path.display()));
        }
        Some(path)
    };
    let (certificate, key) = (file("certificate"), file("key"));
    Some(Tls { certificate: certificate?, key: key? })
}

/// Whether a folder is there, or the path ends as a folder's does.
fn means_a_folder(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir()
}

/// `[store]`
pub(super) fn store(top: &Section<'_>) -> Store {
    let section = top.section("store");
    let default = Store::default().url;
    let wrong = |message| section.wrong("url", format!("{message}, expected `sqlite:PATH`, as in `{default}`"));
    let url = section.text("url").and_then(|url| StoreUrl::parse(&url).map_err(wrong).ok());
    let url = url.unwrap_or_else(|| default.clone()).in_folder(|path| section.reader.path(path));
    if means_a_folder(url.file()) {
        section.wrong("url", format!("{} is a folder, expected a file", url.file().display()));
    }
    Store { url }
}

/// `[ledger]`
pub(super) fn ledger(top: &Section<'_>) -> Ledger {
    let section = top.section("ledger");
    let default = Ledger::default();
    let journal_dir = section.file_path("journal_dir", &default.journal_dir);
    if journal_dir.exists() && !journal_dir.is_dir() {
        section.wrong("journal_dir", format!("{} is a file, expected a folder", journal_dir.display()));
    }
    Ledger { journal_dir, durability: section.choice("durability", Durability::WORDS, default.durability) }
}

/// `[pricing]`
pub(super) fn pricing(top: &Section<'_>) -> Pricing {
    let section = top.section("pricing");
    let default = Pricing::default();
    let file = section.file_path("file", &default.file);
    if means_a_folder(&file) {
        section.wrong("file", format!("{} is a folder, expected a file", file.display()));
    }
    Pricing { file, unknown_model: section.choice("unknown_model", UnknownModel::WORDS, default.unknown_model) }
}

/// `[routing]`
pub(super) fn routing(top: &Section<'_>, strategies: &[&str]) -> Routing {
    let section = top.section("routing");
    let default = Routing::default();
    let words: Vec<(&str, &str)> = strategies.iter().map(|name| (*name, *name)).collect();
    let time = |key, default| section.number(key, 1..=DAY_MS, default);
    Routing {
        strategy: section.choice("strategy", &words, default.strategy.as_str()).to_string(),
        attempts_max: section.number("attempts_max", 1..=16, default.attempts_max),
        connect_timeout_ms: time("connect_timeout_ms", default.connect_timeout_ms),
        first_token_timeout_ms: time("first_token_timeout_ms", default.first_token_timeout_ms),
        response_timeout_ms: time("response_timeout_ms", default.response_timeout_ms),
        idle_timeout_ms: time("idle_timeout_ms", default.idle_timeout_ms),
        first_token_hold_ms: section.number("first_token_hold_ms", 0..=DAY_MS, default.first_token_hold_ms),
        on_client_disconnect: section.choice(
            "on_client_disconnect",
            OnClientDisconnect::WORDS,
            default.on_client_disconnect,
        ),
        drain_ms_max: section.number("drain_ms_max", 0..=DAY_MS, default.drain_ms_max),
        drain_bytes_max: section.number("drain_bytes_max", 0..=GIB, default.drain_bytes_max),
        drains_max: section.number("drains_max", 0..=1_000_000, default.drains_max),
        output_tokens_default: section.number("output_tokens_default", 1..=10_000_000, default.output_tokens_default),
    }
}

/// `[breaker]`
pub(super) fn breaker(top: &Section<'_>) -> Breaker {
    let section = top.section("breaker");
    let default = Breaker::default();
    Breaker {
        failures_to_open: section.number("failures_to_open", 1..=FAILURES_TO_OPEN_MAX.into(), default.failures_to_open),
        open_ms: section.number("open_ms", 1..=COOLDOWN_MS_MAX, default.open_ms),
    }
}

/// `[console]`
pub(super) fn console(top: &Section<'_>, server: &Server) -> Console {
    let section = top.section("console");
    let default = Console::default();
    let listen = own_address(&section, "listen", default.listen);
    if let Some(listen) = listen
        && server.listen.iter().chain(&server.metrics_listen).any(|other| address::overlap(listen, *other))
    {
        section
            .wrong("listen", "is also an address of `[server]`, expected one of its own, or none for `server.listen`");
    }
    Console {
        enabled: section.flag("enabled", default.enabled),
        listen,
        session_hours: section.number("session_hours", 1..=24 * 366, default.session_hours),
    }
}

/// `[plugins.NAME]`
pub(super) fn plugins(top: &Section<'_>, rows: &[PluginRow]) -> BTreeMap<String, toml::Table> {
    let mut tables = BTreeMap::new();
    for (name, value) in top.table("plugins").into_iter().flatten() {
        let name: &str = AsRef::<str>::as_ref(name.get_ref());
        let path = join("plugins", name);
        let row = rows.iter().find(|row| row.name == name);
        if row.is_none() {
            let known = || rows.iter().map(|row| row.name);
            let (expected, guess) = (one_of(known()), did_you_mean(name, known()));
            top.reader.wrong_key(&path, format!("unknown plugin, expected {expected}{guess}"));
        }
        match value.get_ref() {
            DeValue::Table(table) => {
                let mut table = top.reader.free_table(&path, table);
                for key in row.map_or(&[][..], |row| row.paths) {
                    if let Some(toml::Value::String(text)) = table.get_mut(*key) {
                        *text = top.reader.path(&*text).to_string_lossy().into_owned();
                    }
                }
                tables.insert(name.to_string(), table);
            }
            other => top.reader.wrong(&path, format!("expected a table `[{path}]`, found {}", kind(other))),
        }
    }
    tables
}
