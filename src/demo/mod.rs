//! A provider inside the binary, for `tollgate demo` and for tests: it answers in every dialect, token by token, without
//! an account and without a model. What it says and what it counts follow from the request alone.

mod anthropic;
mod call;
mod completions;
mod gemini;
mod gemini_embed;
mod lists;
mod media;
mod openai;
mod openai_media;
mod responses;
mod server;
mod text;
mod tools;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdTcpListener};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long the simulated provider takes for one token, unless told otherwise.
pub const TOKEN_DELAY_MS: u64 = 15;

/// A model of the simulated provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name that requests use.
    pub name: &'static str,
    /// The row of `providers.toml` whose dialects it speaks.
    pub provider: &'static str,
    /// What an upstream's `base_url` has behind `http://ADDRESS`.
    pub base_path: &'static str,
    /// The longest prompt it says it takes, in tokens.
    pub context_tokens: u64,
    /// The longest answer, in tokens; 0: it answers with something else than tokens.
    pub output_tokens_max: u64,
}

const fn model(name: &'static str, provider: &'static str, base_path: &'static str, output_tokens_max: u64) -> Model {
    Model { name, provider, base_path, context_tokens: 128_000, output_tokens_max }
}

const MODELS: &[Model] = &[
    model("demo-gpt", "openai", "/v1", 16_384),
    model("demo-embed", "openai", "/v1", 0),
    model("demo-image", "openai", "/v1", 4_096),
    model("demo-tts", "openai", "/v1", 4_096),
    model("demo-transcribe", "openai", "/v1", 4_096),
    model("demo-moderation", "openai", "/v1", 0),
    model("demo-claude", "anthropic", "", 8_192),
    model("demo-gemini", "gemini", "", 8_192),
    model("demo-gemini-embed", "gemini", "", 0),
];

/// The models it has. Those of one `provider` also share the `base_path`: they make one upstream.
pub fn models() -> &'static [Model] {
    MODELS
}

/// A price book for [`models`], in the form of `pricing.toml`.
pub const PRICES: &str = include_str!("pricing.toml");

/// Answers on `listener` until `shutdown` holds `true`, or its sender is gone; then what runs is dropped.
pub async fn serve(listener: TcpListener, shutdown: watch::Receiver<bool>) {
    serve_paced(listener, shutdown, Duration::from_millis(TOKEN_DELAY_MS)).await;
}

/// As [`serve`], with a pause of its own after each token (zero: none).
pub async fn serve_paced(listener: TcpListener, shutdown: watch::Receiver<bool>, token_delay: Duration) {
    server::run(listener, shutdown, token_delay).await;
}

/// Starts the provider on a free loopback port, on a thread with a runtime of its own that lives as long as the process.
///
/// # Errors
/// No port, no thread or no runtime could be had.
pub fn spawn() -> io::Result<SocketAddr> {
    spawn_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Duration::from_millis(TOKEN_DELAY_MS))
}

/// As [`spawn`], on an address and with a pace of one's choice.
///
/// # Errors
/// The address, a thread or a runtime could not be had.
pub fn spawn_on(address: SocketAddr, token_delay: Duration) -> io::Result<SocketAddr> {
    let listener = StdTcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serving = async move {
        let (_keep, shutdown) = watch::channel(false);
        match TcpListener::from_std(listener) {
            Ok(listener) => serve_paced(listener, shutdown, token_delay).await,
            Err(error) => log::error!("the simulated provider could not start: {error}"),
        }
    };
    std::thread::Builder::new().name("demo-provider".to_owned()).spawn(move || runtime.block_on(serving))?;
    Ok(address)
}

#[cfg(test)]
mod tests;
