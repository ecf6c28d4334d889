//! `tollgate serve`

use super::args::Command;
use super::check::{nothing_to_serve, validate};
use super::first_request::curl;
use super::open_store;
use super::price_file::default_prices;
use super::remarks::{nameless, remarks};
use super::terminal::{Failure, Outcome, Terminal, plain};
use crate::admin::FirstAdmin;
use crate::config::{Config, listed};
use crate::keyring::new_credential;
use crate::serve::{self, Origin};
use crate::store::{Act, NewKey};
use secrecy::{ExposeSecret, SecretString};
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The environment variable that says what is logged, in the form of `RUST_LOG`.
const LOG_VARIABLE: &str = "TOLLGATE_LOG";
/// What is logged when it is not set.
const LOG_DEFAULT: &str = "warn,tollgate=info";
/// What is not Tollgate's own says at most this, whatever is asked for: HTTP libraries show heads and bodies, and so credentials,
/// when they say much.
const FOREIGN_LOGS_MAX: LevelFilter = LevelFilter::INFO;
/// How the targets of Tollgate's own logs begin.
const OWN_TARGETS: &str = "tollgate";
/// The name of the key that a start without a config file makes.
const FIRST_KEY_NAME: &str = "first";

pub(super) fn serve(command: &Command, terminal: &mut Terminal<'_>) -> Outcome {
    let config_file = command.config_file().map(PathBuf::from);
    let config = command.config(terminal)?;
    nothing_to_serve(&config, terminal.env).map_or(Ok(()), Err)?;
    let first = config_file.is_none();
    let origin = Origin { config_file, default_prices: default_prices(&config), scratch_folder: None };
    run(config, origin, first, terminal)
}

/// Serves, and shows how to begin once everything is open. `first`: if there is no key yet, one is made.
pub(super) fn run(config: Config, origin: Origin, first: bool, terminal: &mut Terminal<'_>) -> Outcome {
    validate(&config)?;
    log_to_stderr(terminal.env, terminal.err);
    // Whoever takes over leaves the store alone until it may; the process before it has made a key.
    let makes_key = first && !serve::is_to_take_over();
    let key = if makes_key { FirstKey::make(&config, terminal.now_ms)? } else { FirstKey::NotNeeded };
    let mut begun = false;
    let ended = serve::run(config.clone(), origin, |shared, admin| {
        begun = true;
        // A terminal that is gone is no reason not to serve; but what is shown once is not lost with one output.
        if let Err(error) = tell(&config, &key, admin.as_ref(), terminal.out) {
            let _ = writeln!(terminal.err, "Standard output cannot be written ({error}). What it would say:")
                .and_then(|()| tell(&config, &key, admin.as_ref(), terminal.err));
        }
        let keys = &shared.keys;
        let missing = remarks(&config, &shared.snapshot.load().prices, Some(!keys.is_empty()), terminal.env);
        for remark in missing.into_iter().chain(nameless(keys.not_found_by_name())) {
            let _ = writeln!(terminal.err, "{remark}");
        }
    });
    if !begun {
        key.take_back(&config, terminal.now_ms);
    }
    ended.map_err(Failure::Runtime)
}

/// Logs of the gateway and of Pingora. A second call changes nothing.
fn log_to_stderr(env: &dyn Fn(&str) -> Option<String>, err: &mut dyn Write) {
    let (filter, wrong) = log_filter(env);
    if let Some(wrong) = wrong {
        let _ = writeln!(err, "{wrong}");
    }
    let _ = logs(filter, io::stderr, io::stderr().is_terminal()).try_init();
}

/// What is to be logged; and what is wrong with what somebody wrote of that, in which case it is the default.
fn log_filter(env: &dyn Fn(&str) -> Option<String>) -> (EnvFilter, Option<String>) {
    let default = || EnvFilter::new(LOG_DEFAULT);
    let written = [LOG_VARIABLE, "RUST_LOG"].into_iter().find_map(|variable| Some((variable, env(variable)?)));
    let Some((variable, wanted)) = written.filter(|(_, wanted)| !wanted.is_empty()) else { return (default(), None) };
    match EnvFilter::try_new(&wanted) {
        Ok(filter) => (filter, None),
        Err(error) => {
            let wanted = plain(&wanted);
            let expected = "expected levels and targets, such as `info` or `warn,tollgate=debug`";
            (default(), Some(format!("tollgate: {variable}: `{wanted}`: {error}; {expected}; taken: `{LOG_DEFAULT}`")))
        }
    }
}

/// What writes the logs that somebody asked for, as far as they may be shown.
fn logs<W>(filter: EnvFilter, writer: W, colours: bool) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let written = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colours)
        // It would panic where standard error cannot be written: a full disk must not end an exchange.
        .log_internal_errors(false)
        .finish();
    // A filter of its own: among directives the more specific one wins, and anybody can write one.
    written.with(filter_fn(may_be_shown))
}

fn may_be_shown(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with(OWN_TARGETS) || *metadata.level() <= FOREIGN_LOGS_MAX
}

fn by_itself(at_ms: i64) -> Act {
    Act { at_ms, actor: Act::GATEWAY.into() }
}

/// The key of a first start. Made before the server starts, so that it is in force at once; shown when it has started.
pub(super) enum FirstKey {
    /// Made: its id and secret.
    Made(i64, SecretString),
    /// There are keys already.
    NotNeeded,
}

impl FirstKey {
    /// Makes a key if the store has none.
    pub(super) fn make(config: &Config, now_ms: i64) -> Result<Self, Failure> {
        let store = open_store(config)?;
        let mut any = false;
        store.key_list(&mut |_| any = true)?;
        if any {
            return Ok(Self::NotNeeded);
        }
        let credential = new_credential();
        let new = NewKey { name: FIRST_KEY_NAME.into(), group: "default".into(), ..NewKey::default() };
        let row = store.people().key_create_by(&by_itself(now_ms), &new, &credential.digest)?;
        Ok(Self::Made(row.key.id, credential.secret))
    }

    /// Deletes a key that nobody has seen, so that the next start makes another one.
    pub(super) fn take_back(&self, config: &Config, now_ms: i64) {
        if let Self::Made(id, _) = self
            && let Ok(store) = open_store(config)
        {
            let _ = store.people().key_delete_by(&by_itself(now_ms), *id, None);
        }
    }
}

/// What is running, and how to use it.
pub(super) fn tell(config: &Config, key: &FirstKey, admin: Option<&FirstAdmin>, out: &mut dyn Write) -> io::Result<()> {
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let url = |address: &SocketAddr| format!("{scheme}://{}", reachable(*address));
    let listen: Vec<String> = config.server.listen.iter().map(url).collect();
    writeln!(out, "Tollgate {} listens on {}", env!("CARGO_PKG_VERSION"), listen.join(", "))?;
    if config.console.enabled {
        let address = config.console.listen.as_ref().or(config.server.listen.first()).map(url);
        writeln!(out, "Console: {}/console", address.unwrap_or_default())?;
    }
    if let Some(metrics) = config.server.metrics_listen {
        writeln!(out, "Metrics: http://{}/metrics", reachable(metrics))?;
    }
    let (upstreams, models) = (config.upstreams.iter().map(|upstream| &*upstream.name), config.models());
    for (what, count, names) in
        [("Upstreams", upstreams.len(), listed(upstreams)), ("Models", models.len(), listed(models.iter().copied()))]
    {
        writeln!(out, "{what}: {}", if count == 0 { "none".into() } else { format!("{count}: {names}") })?;
    }
    if let Some(FirstAdmin { name, password }) = admin {
        let password = password.expose_secret();
        writeln!(out, "\nThe console's first person, shown this once:\n\n    name {name}, password {password}")?;
    }
    match key {
        FirstKey::Made(_, secret) => {
            writeln!(out, "\nYour first key, shown this once:\n\n    {}\n", secret.expose_secret())?;
            if let (Some(base), Some(upstream)) = (listen.first(), config.upstreams.first()) {
                writeln!(out, "Try it:\n\n{}\n", curl(base, upstream, secret.expose_secret()))?;
            }
        }
        FirstKey::NotNeeded if config.file.is_none() => {
            writeln!(
                out,
                "Keys: `tollgate key list`; one more: `tollgate key create NAME`; a lost secret: `tollgate key rotate NAME`"
            )?;
        }
        FirstKey::NotNeeded => {}
    }
    out.flush()
}

/// An address as a client on this machine reaches it.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::{LOG_DEFAULT, log_filter, logs};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::EnvFilter;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_read_of_what_is_to_be_logged_is_said() {
        let of = |variable: &'static str, text: &'static str| {
            log_filter(&move |name: &str| (name == variable).then(|| text.to_owned()))
        };
        for (variable, text) in [("TOLLGATE_LOG", "tollgate=debgu,,"), ("RUST_LOG", "x=y=z")] {
            let (filter, wrong) = of(variable, text);
            let wrong = wrong.unwrap();
            assert!(wrong.contains(variable) && wrong.contains(text) && wrong.contains("expected"), "{wrong}");
            assert_eq!(filter.to_string(), EnvFilter::new(LOG_DEFAULT).to_string());
        }
        for (variable, text) in [("TOLLGATE_LOG", "debug"), ("TOLLGATE_LOG", ""), ("ELSE", "!")] {
            assert_eq!(of(variable, text).1, None, "{variable}={text}");
        }
        assert_eq!(of("TOLLGATE_LOG", "tollgate=debug").0.to_string(), "tollgate=debug");
    }

    #[test]
    fn no_directive_shows_the_wire_logs_of_a_library() {
        for wanted in ["trace", "h2::codec=trace,ureq_proto=trace", "trace,h2::codec::framed_read[{stream}]=trace"] {
            let written = Written::default();
            let writer = written.clone();
            tracing::subscriber::with_default(logs(EnvFilter::new(wanted), move || writer.clone(), false), || {
                tracing::trace!(target: "h2::codec", "canary");
                tracing::trace!(target: "h2::codec::framed_read", "canary");
                tracing::debug!(target: "ureq_proto::util", "canary");
                tracing::debug!(target: "pingora_core::protocols", "canary");
                tracing::info!(target: "h2::codec", "a word of it");
                tracing::trace!(target: "tollgate::proxy", "our own");
            });
            let said = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(!said.contains("canary"), "{wanted}: {said}");
            assert!(said.contains("a word of it"), "{wanted}: {said}");
            assert_eq!(said.contains("our own"), wanted.starts_with("trace"), "{wanted}: {said}");
        }
    }
}
