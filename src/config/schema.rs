//! Which keys each table of the file has.

/// A table of the file and its keys. `upstream` and `upstream.models` are the tables inside those arrays.
pub(crate) struct TableKeys {
    /// Its path without indices; empty: the top of the file.
    pub path: &'static str,
    /// Its keys, in the order of the documentation.
    pub keys: &'static [&'static str],
}

/// Every table with a fixed set of keys. (`plugins` and `upstream.headers` are free.)
pub(crate) const TABLES: &[TableKeys] = &[
    TableKeys {
        path: "",
        keys: &["server", "store", "ledger", "pricing", "routing", "breaker", "console", "upstream", "plugins"],
    },
    TableKeys {
        path: "server",
        keys: &[
            "listen",
            "metrics_listen",
            "threads",
            "request_body_bytes_max",
            "memory_bytes_max",
            "shutdown_ms",
            "trusted_proxies",
            "reload_secret",
            "master_key_file",
            "tls",
        ],
    },
    TableKeys { path: "server.tls", keys: &["certificate", "key"] },
    TableKeys { path: "store", keys: &["url"] },
    TableKeys { path: "ledger", keys: &["journal_dir", "durability"] },
    TableKeys { path: "pricing", keys: &["file", "unknown_model"] },
    TableKeys {
        path: "routing",
        keys: &[
            "strategy",
            "attempts_max",
            "connect_timeout_ms",
            "first_token_timeout_ms",
            "response_timeout_ms",
            "idle_timeout_ms",
            "first_token_hold_ms",
            "on_client_disconnect",
            "drain_ms_max",
            "drain_bytes_max",
            "drains_max",
            "output_tokens_default",
        ],
    },
    TableKeys { path: "breaker", keys: &["failures_to_open", "open_ms"] },
    TableKeys { path: "console", keys: &["enabled", "listen", "session_hours"] },
    TableKeys {
        path: "upstream",
        keys: &[
            "name",
            "provider",
            "api_key",
            "base_url",
            "http_version",
            "models",
            "weight",
            "priority",
            "groups",
            "headers",
            "price_provider",
            "price_multiplier",
        ],
    },
    TableKeys { path: "upstream.models", keys: &["name", "upstream_model"] },
];

/// The keys of the table at `path` (with or without indices).
pub(crate) fn keys_of(path: &str) -> &'static [&'static str] {
    let plain = without_indices(path);
    TABLES.iter().find(|table| table.path == plain).map_or(&[], |table| table.keys)
}

/// The path of another table that has `key`.
pub(super) fn home_of(key: &str) -> Option<&'static str> {
    TABLES.iter().find(|table| table.keys.contains(&key)).map(|table| table.path)
}

/// How the head of the table at `path` is written in the file.
pub(super) fn header(path: &str) -> String {
    match path {
        "" => "the top of the file, before the first table".into(),
        "upstream" | "upstream.models" => "`[[upstream]]`".into(),
        _ => format!("`[{path}]`"),
    }
}

fn without_indices(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if !inside => plain.push(c),
            _ => {}
        }
    }
    plain
}
