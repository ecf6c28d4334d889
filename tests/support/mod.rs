//! What the end-to-end tests are made of: a provider that misbehaves on request, the built gateway as a process, and a
//! client that sees every piece of an answer.
#![allow(dead_code, reason = "each test binary uses a part of it; that some does, `tests/tidy.rs` looks after")]

pub(crate) mod answers;
pub(crate) mod aws;
pub(crate) mod client;
pub(crate) mod console;
pub(crate) mod fault_proxy;
pub(crate) mod gateway;
pub(crate) mod h2c;
pub(crate) mod provider;
pub(crate) mod script;
pub(crate) mod tls;
pub(crate) mod wire;

use std::time::Duration;

/// The longest that anything in a test may take: reached only when something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(bytes))
}

/// Whether this program is there, for a test that is skipped without it. `deploy/dev test` installs it, so in CI it must be.
pub(crate) fn is_installed(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(program).is_file());
    if !found {
        skipped(&format!("{program} is not installed"), "CI");
    }
    found
}

/// What could be tested is not, for want of something that this machine lacks.
///
/// # Panics
/// Where this variable is set, as by machines that lack nothing.
pub(crate) fn skipped(why: &str, lacks_nothing: &str) {
    assert!(std::env::var_os(lacks_nothing).is_none(), "{why}");
    eprintln!("skipped: {why}");
}

/// Asks again until there is an answer.
///
/// # Panics
/// If there is none within [`PATIENCE`].
pub(crate) async fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = std::time::Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
