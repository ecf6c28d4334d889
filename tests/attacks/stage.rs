//! What every attack is played on: a gateway in front of a provider that answers each request with what it was asked, and a
//! look at what that costs.

use crate::others::Recorder;
use crate::support::client::{Answer, Request};
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::provider::{Provider, Received};
use crate::support::script;
use crate::support::{PATIENCE, answers};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The gateway, and who is on its two sides.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) provider: Provider,
    pub(crate) key: Key,
}

/// A chat request's body that says this.
pub(crate) fn chat(said: &str) -> String {
    json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": said}]}).to_string()
}

/// The last thing that the request said.
pub(crate) fn said(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body["messages"].as_array()?.last()?["content"].as_str()?.to_owned())
}

/// What an answer of the provider's repeats.
pub(crate) fn repeated(answer: &Answer) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body()).ok()?;
    Some(body["choices"][0]["message"]["content"].as_str()?.to_owned())
}

fn repeating(_: usize, request: &Received) -> script::Answer {
    let text = said(&request.body).unwrap_or_else(|| "nothing".to_owned());
    script::Answer::json(200, &answers::chat_body(&text, 10, 5))
}

impl Stage {
    /// A provider that repeats what it was asked.
    pub(crate) async fn repeating() -> Self {
        Self::new(repeating, |setup| setup).await
    }

    /// The same, and what the gateway writes to it is kept.
    pub(crate) async fn recorded() -> (Self, Recorder) {
        let provider = Provider::start(repeating).await;
        let recorder = Recorder::before(provider.address).await;
        (Self::of(provider, recorder.address, |setup| setup).await, recorder)
    }

    pub(crate) async fn new(
        script: impl Fn(usize, &Received) -> script::Answer + Send + Sync + 'static,
        set: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        let provider = Provider::start(script).await;
        let address = provider.address;
        Self::of(provider, address, set).await
    }

    /// A provider that the gateway finds at this address.
    async fn of(provider: Provider, address: SocketAddr, set: impl FnOnce(Setup) -> Setup) -> Self {
        let upstream = Upstream::new("u", "openai", format!("http://{address}/v1"));
        let mut gateway = Gateway::prepare(&set(Setup::new([upstream])));
        let key = gateway.key("attacker", &[]).await;
        gateway.serve().await;
        Self { gateway, provider, key }
    }

    /// A chat that says this.
    pub(crate) fn request(&self, said: &str) -> Request {
        Request::post_raw("/v1/chat/completions", chat(said)).key(&self.key.key)
    }

    /// Others are served as ever.
    pub(crate) async fn assert_serves(&self, said: &str) {
        let answer = self.gateway.send(&self.request(said)).await;
        assert_eq!((answer.status, repeated(&answer).as_deref()), (200, Some(said)), "{}", answer.text());
    }

    /// Resident memory of the gateway, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The most that there was of it since [`Stage::forget_peak`].
    pub(crate) fn peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) {
        // proc(5): 5 resets the peak.
        std::fs::write(format!("/proc/{}/clear_refs", self.gateway.pid()), "5").expect("a process of our own");
    }

    fn status_kib(&self, name: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.gateway.pid())).expect("a running gateway");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("its memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Its memory has grown by no more than so much since.
    pub(crate) fn assert_grown(&self, what: &str, before_kib: u64, max_mib: u64) {
        let grown = self.resident_kib().saturating_sub(before_kib) / 1024;
        eprintln!(
            "{what}: resident memory {} MiB, grown by {grown} MiB (at most {max_mib})",
            self.resident_kib() / 1024
        );
        assert!(grown <= max_mib, "{what}: grown by {grown} MiB");
    }

    /// Waits until it takes hardly any processor time, in a window of a quarter of a second; how long it was until that window.
    pub(crate) async fn wait_idle(&self, what: &str) -> Duration {
        const WINDOW: Duration = Duration::from_millis(250);
        /// Hundredths of a second.
        const TICKS_MAX: u64 = 2;
        let started = Instant::now();
        loop {
            let (elapsed, before) = (started.elapsed(), self.cpu_ticks());
            tokio::time::sleep(WINDOW).await;
            if self.cpu_ticks() - before <= TICKS_MAX {
                return elapsed;
            }
            assert!(elapsed < PATIENCE, "{what}: the processor is still busy");
        }
    }

    /// Processor time so far, in hundredths of a second.
    fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.gateway.pid())).expect("a running gateway");
        // proc(5): the fields begin behind the name; user and system time are the twelfth and thirteenth of them.
        let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace().skip(11).take(2);
        fields.map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    /// A clean end, records and balances that agree.
    pub(crate) async fn finish(self) {
        self.gateway.finish(&[&self.key]).await;
    }
}
