//! The configuration in force, as it may be shown: every key of the file, no secret.

use crate::config::{Config, Upstream, is_named_as_secret};
use serde_json::{Map, Value, json};
use std::fmt::Display;

/// Stands where a secret is set.
const SET: &str = "(set)";

/// All tables.
pub(super) fn shown(config: &Config) -> Value {
    let Config { server, store, ledger, pricing, routing, breaker, console, upstreams, plugins, .. } = config;
    json!({
        "file": config.file,
        "server": {
            "listen": texts(&server.listen),
            "metrics_listen": server.metrics_listen.map(|address| address.to_string()),
            "threads": server.threads,
            "request_body_bytes_max": server.request_body_bytes_max,
            "memory_bytes_max": server.memory_bytes_max,
            "shutdown_ms": server.shutdown_ms,
            "trusted_proxies": texts(&server.trusted_proxies),
            "reload_secret": server.reload_secret.as_ref().map(|_| SET),
            "master_key_file": server.master_key_file,
            "tls": server.tls.as_ref().map(|tls| json!({"certificate": tls.certificate, "key": tls.key})),
        },
        "store": { "url": store.url.to_string() },
        "ledger": {
            "journal_dir": ledger.journal_dir,
            "durability": ledger.durability.as_str(),
        },
        "pricing": {
            "file": pricing.file,
            "unknown_model": pricing.unknown_model.as_str(),
        },
        "routing": {
            "strategy": routing.strategy,
            "attempts_max": routing.attempts_max,
            "connect_timeout_ms": routing.connect_timeout_ms,
            "first_token_timeout_ms": routing.first_token_timeout_ms,
            "response_timeout_ms": routing.response_timeout_ms,
            "idle_timeout_ms": routing.idle_timeout_ms,
            "first_token_hold_ms": routing.first_token_hold_ms,
            "on_client_disconnect": routing.on_client_disconnect.as_str(),
            "drain_ms_max": routing.drain_ms_max,
            "drain_bytes_max": routing.drain_bytes_max,
            "drains_max": routing.drains_max,
            "output_tokens_default": routing.output_tokens_default,
        },
        "breaker": { "failures_to_open": breaker.failures_to_open, "open_ms": breaker.open_ms },
        "console": {
            "enabled": console.enabled,
            "listen": console.listen.map(|address| address.to_string()),
            "session_hours": console.session_hours,
        },
        "upstream": upstreams.iter().map(upstream).collect::<Vec<_>>(),
        "plugins": plugins.iter().map(|(name, table)| (name.clone(), table_shown(table))).collect::<Map<_, _>>(),
        "weights": config.weights,
    })
}

fn texts<T: Display>(values: &[T]) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}

fn upstream(upstream: &Upstream) -> Value {
    let model = |model: &crate::config::Model| json!({"name": model.name, "upstream_model": model.upstream_model});
    json!({
        "name": upstream.name,
        "provider": upstream.provider,
        "api_key": upstream.api_key.as_ref().map(|_| SET),
        "base_url": upstream.base_url.to_string(),
        "http_version": upstream.http_version.as_str(),
        "models": upstream.models.iter().map(model).collect::<Vec<_>>(),
        "weight": upstream.weight,
        "priority": upstream.priority,
        "groups": upstream.groups,
        // Some are credentials.
        "headers": upstream.headers.iter().map(|(name, _)| (name.to_string(), SET.into())).collect::<Map<_, _>>(),
        "price_provider": upstream.price_provider,
        "price_multiplier": upstream.price_multiplier.to_string(),
    })
}

/// A plugin's own table: nobody here knows which of its texts are secrets, but by their names.
fn table_shown(table: &toml::Table) -> Value {
    let shown = table.iter().map(|(name, value)| {
        let value = if is_named_as_secret(name) { SET.into() } else { value_shown(value) };
        (name.clone(), value)
    });
    Value::Object(shown.collect())
}

fn value_shown(value: &toml::Value) -> Value {
    match value {
        // A URL may have a user and a password, and a token in its query.
        toml::Value::String(text) if text.contains("://") && text.contains(['@', '?']) => SET.into(),
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Array(values) => values.iter().map(value_shown).collect(),
        toml::Value::Table(table) => table_shown(table),
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::TABLES;
    use std::path::Path;

    #[test]
    fn every_key_of_the_file_is_shown_and_no_secret() {
        let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls");
        let text = format!(
            "[server]\nreload_secret = \"canary\"\ntls = {{ certificate = \"{tls}/certificate.pem\", key = \"{tls}/key.pem\" }}\n\
             [[upstream]]\nname = \"u\"\nprovider = \"openai\"\napi_key = \"canary\"\nmodels = [\"m\"]\n\
             headers = {{ x-team = \"canary\" }}\n"
        );
        let config = Config::parse(&text, Path::new("/tollgate.toml"), &|_| None).unwrap();
        let shown = shown(&config);
        for table in TABLES {
            let place = match table.path {
                "" => &shown,
                "upstream" => &shown["upstream"][0],
                "upstream.models" => &shown["upstream"][0]["models"][0],
                path => shown.pointer(&format!("/{}", path.replace('.', "/"))).unwrap_or(&Value::Null),
            };
            for key in table.keys {
                assert!(place.get(key).is_some(), "{}.{key}: {shown}", table.path);
            }
        }
        assert!(!shown.to_string().contains("canary"), "{shown}");
    }
}
