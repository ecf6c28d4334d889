//! Reads configuration and prices again when their files change or SIGHUP or a request asks for it. What is wrong changes nothing:
//! the old snapshot stays in force, and the log says why. Files that somebody is still writing wait until they are whole.

use super::files::{Seen, State};
use super::noted::Unnoted;
use crate::clock::steady_unsigned_ms;
use crate::config::{self, Config};
use crate::price::PriceBook;
use crate::proxy::{AskedBy, ReloadRequest, Reloaded, Shared};
use crate::serve::{self, LiveCertificate};
use crate::store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;
use tollgate_plugin_api::Ports;

/// Looks for which whoever has asked for a reload waits for files to be whole.
const ASKED_LOOKS_MAX: u32 = 8;
/// Looks after which it is said that somebody is still writing.
const WRITING_LOOKS_MAX: u32 = 20;
/// Every so many looks what was refused is tried again: what it was refused for need not be in the files that are looked at.
const LOOKS_TO_RETRY: u32 = 20;

/// Where configuration and prices come from.
pub struct Sources {
    /// The configuration file; `None`: made from environment variables, never read again.
    pub config_file: Option<PathBuf>,
    /// Prices that stand in where the pricing file is missing.
    pub default_prices: &'static str,
    /// The listeners' certificate, if they have one.
    pub certificate: Option<Arc<LiveCertificate>>,
    /// What the files were like before they were read.
    pub seen: Seen,
}

/// By whom a look is asked for.
pub(super) enum Asked {
    Nobody,
    Signal,
    Request(ReloadRequest),
}

/// Who has asked for a reload, and waits.
#[derive(Default)]
struct Waiting {
    is_asked: bool,
    /// Who has, but for the console, which notes it.
    by: Vec<&'static str>,
    requests: Vec<oneshot::Sender<Reloaded>>,
    looks: u32,
}

impl Waiting {
    fn ask(&mut self, by: Option<&'static str>) {
        self.is_asked = true;
        self.by.extend(by.filter(|by| !self.by.contains(by)));
    }

    /// Whose reload it is, for the audit; `None`: the console's.
    fn asked_by(&self) -> Option<String> {
        match self.is_asked {
            false => Some("file".to_owned()),
            true => (!self.by.is_empty()).then(|| self.by.join(", ")),
        }
    }
}

/// Why nothing is in force that was read.
enum Unloaded {
    /// It is wrong: everything that is.
    Wrong(String),
    /// Somebody has changed the files meanwhile, or they name others: the next look tells.
    Moved,
}

impl From<String> for Unloaded {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

/// Watches the files of one gateway.
pub(super) struct Reload {
    config: Config,
    sources: Sources,
    ports: Ports,
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    waiting: Waiting,
    /// Looks since somebody is writing one of the files.
    writing_looks: u32,
    /// Why the last reload was refused, and looks since then.
    refused: Option<(String, u32)>,
    /// The last refusal that the audit has, by whom and why, if nothing was accepted since.
    noted_refusal: Option<(String, String)>,
    /// The prices in force stand in a file.
    have_prices_a_file: bool,
    unnoted: Arc<Unnoted>,
}

impl Reload {
    pub(super) fn new(
        config: Config,
        sources: Sources,
        ports: Ports,
        shared: Arc<Shared>,
        store: Arc<dyn Store>,
        unnoted: Arc<Unnoted>,
    ) -> Self {
        let have_prices_a_file = config.pricing.file.exists();
        let (waiting, writing_looks, refused) = (Waiting::default(), 0, None);
        Self {
            config,
            sources,
            ports,
            shared,
            store,
            waiting,
            writing_looks,
            refused,
            noted_refusal: None,
            have_prices_a_file,
            unnoted,
        }
    }

    /// Reloads if a file has changed, or somebody asks or has asked for it, and the files are whole. Weights wait for no file.
    pub(super) fn look(&mut self, asked: Asked) {
        match asked {
            Asked::Nobody => {}
            Asked::Signal => self.waiting.ask(Some("signal")),
            Asked::Request(ReloadRequest::Files(by, request)) => {
                self.waiting.ask((by == AskedBy::Secret).then_some("secret"));
                self.waiting.requests.push(request);
            }
            Asked::Request(ReloadRequest::Weights(request)) => {
                self.look_at_weights();
                // Who does not wait any more has them in force all the same.
                let _ = request.send(());
            }
        }
        let is_asked = self.waiting.is_asked;
        let state = self.sources.seen.look();
        self.writing_looks = if matches!(state, State::Writing(_)) { self.writing_looks + 1 } else { 0 };
        match state {
            State::Settled => self.reload(true),
            State::AsRead | State::Settling(true) if is_asked => self.reload(true),
            State::AsRead if self.is_time_to_retry() => self.reload(false),
            State::AsRead => self.look_at_weights(),
            State::Settling(_) => {
                self.look_at_weights();
                self.wait("the files of the configuration change all the time");
            }
            State::Writing(file) => {
                self.look_at_weights();
                let why = being_written(&file);
                if self.writing_looks == WRITING_LOOKS_MAX {
                    self.refuse(&why);
                }
                self.wait(&why);
            }
        }
    }

    /// Whoever has asked waits for a while, and is told then why nothing is read.
    fn wait(&mut self, why: &str) {
        self.waiting.looks += u32::from(self.waiting.is_asked);
        if self.waiting.looks > ASKED_LOOKS_MAX {
            self.refuse(why);
            self.answer(&Err(why.to_owned()));
        }
    }

    fn answer(&mut self, reloaded: &Reloaded) {
        for request in std::mem::take(&mut self.waiting).requests {
            // A client that did not wait has its reload all the same.
            let _ = request.send(reloaded.clone());
        }
    }

    fn refuse(&mut self, why: &str) {
        self.shared.metrics.reload("refused");
        if let Some(by) = self.waiting.asked_by() {
            let refusal = Some((by, why.to_owned()));
            // Who writes the same bad file again and again fills no audit with that.
            if self.noted_refusal != refusal {
                refusal.iter().for_each(|(by, _)| self.unnoted.refused(by));
                self.noted_refusal = refusal;
            }
        }
        tracing::error!("reload refused, the old configuration stays in force:\n{why}");
    }

    fn is_time_to_retry(&mut self) -> bool {
        let Some((_, looks)) = &mut self.refused else { return false };
        *looks += 1;
        looks.is_multiple_of(LOOKS_TO_RETRY)
    }

    /// Puts weights in force that operators have changed; the configuration is the one that is in force already.
    fn look_at_weights(&mut self) {
        // Whether the store can be read is said of its keys.
        let Ok(weights) = self.store.people().weights() else { return };
        let before = self.shared.snapshot.load_full();
        if weights == before.config.weights {
            return;
        }
        let mut config = Config::clone(&before.config);
        config.weights = weights;
        match config::build(&config, before.prices.clone(), &self.ports, Some(&before)) {
            Ok(snapshot) => {
                drop(before);
                self.shared.supersede(snapshot);
                tracing::info!("changed weights of upstreams are in force");
            }
            Err(errors) => tracing::error!("changed weights of upstreams are refused:\n{}", serve::listed(&errors)),
        }
    }

    /// Reloads, whatever changed. `is_news`: what is refused is said also if it is what was refused before.
    fn reload(&mut self, is_news: bool) {
        // Before they are read: what changes while they are, is seen.
        self.sources.seen.begin();
        let reloaded = match self.load() {
            Err(Unloaded::Moved) => {
                self.sources.seen.is_to_be_read();
                return self.wait("the files of the configuration change while they are read");
            }
            Ok(has_changed) => {
                self.shared.metrics.reload("ok");
                let version = self.shared.snapshot.load().prices.version().clone();
                if let Some(by) = self.waiting.asked_by().filter(|_| has_changed) {
                    self.unnoted.reloaded(&by, &version);
                }
                tracing::info!("configuration and prices are in force (price version {version})");
                (self.refused, self.noted_refusal) = (None, None);
                Ok(version)
            }
            Err(Unloaded::Wrong(why)) => {
                let before = self.refused.replace((why.clone(), 0));
                if is_news || before.is_none_or(|(before, _)| before != why) {
                    self.refuse(&why);
                }
                Err(why)
            }
        };
        self.answer(&reloaded);
    }

    /// True: something else is in force now.
    fn load(&mut self) -> Result<bool, Unloaded> {
        let read = self.read();
        if self.sources.seen.has_moved() {
            return Err(Unloaded::Moved);
        }
        let (config, prices, have_prices_a_file) = read?;
        let before = self.shared.snapshot.load();
        let snapshot = config::build(&config, prices.clone(), &self.ports, Some(&before))
            .map_err(|errors| serve::listed(&errors))?;
        // Of what may be refused, the last.
        if let Some(certificate) = &self.sources.certificate {
            let read = LiveCertificate::read(&config)?;
            if self.sources.seen.has_moved() {
                return Err(Unloaded::Moved);
            }
            certificate.replace(read);
        }
        let has_changed = !config.is_of_same_text(&before.config) || prices.version() != before.prices.version();
        drop(before);
        let now_ms = steady_unsigned_ms();
        snapshot.upstreams.iter().for_each(|upstream| upstream.breakers.look_again(now_ms));
        self.shared.supersede(snapshot);
        self.name_what_needs_a_restart(&config);
        // As at the start: prices that were lost cost money from now on.
        if let Some(remark) = config.price_remark(&prices) {
            tracing::warn!("{remark}");
        }
        self.have_prices_a_file = have_prices_a_file;
        self.config = config;
        Ok(has_changed)
    }

    /// Configuration and prices, and whether these stand in a file.
    fn read(&mut self) -> Result<(Config, Arc<PriceBook>, bool), Unloaded> {
        let mut config = match &self.sources.config_file {
            Some(path) => {
                Config::load(path, &|name| std::env::var(name).ok()).map_err(|errors| serve::listed(&errors))?
            }
            None => self.config.clone(),
        };
        let weights = self.store.people().weights();
        config.weights = weights.unwrap_or_else(|_| self.shared.snapshot.load().config.weights.clone());
        // Also of one that is refused: what is wrong may be put right in a file that it alone names.
        if !self.sources.seen.name(&config) {
            return Err(Unloaded::Moved);
        }
        let text = serve::price_file_text(&config)?;
        if text.is_none() && self.have_prices_a_file {
            let file = config.pricing.file.display();
            let why = format!("{file}: is gone, expected the file (an empty one is a price book without prices)");
            return Err(Unloaded::Wrong(why));
        }
        let prices = serve::price_book(&config, text.as_deref().unwrap_or(self.sources.default_prices))?;
        Ok((config, Arc::new(prices), text.is_some()))
    }

    fn name_what_needs_a_restart(&self, new: &Config) {
        let (old_server, new_server) = (&self.config.server, &new.server);
        let (process, place) = ("the next upgrade (SIGQUIT) or start", "the next start");
        for (key, when, changed) in [
            ("server.listen", process, old_server.listen != new_server.listen),
            ("server.metrics_listen", process, old_server.metrics_listen != new_server.metrics_listen),
            ("server.threads", process, old_server.threads != new_server.threads),
            ("server.shutdown_ms", process, old_server.shutdown_ms != new_server.shutdown_ms),
            ("console.listen", process, self.config.console.listen != new.console.listen),
            ("server.tls", process, old_server.tls.is_some() != new_server.tls.is_some()),
            ("store", place, self.config.store != new.store),
            ("ledger", place, self.config.ledger != new.ledger),
        ] {
            if changed {
                tracing::warn!("{key} changed: it takes effect at {when}");
            }
        }
    }
}

fn being_written(file: &Path) -> String {
    let file = file.display();
    format!(
        "{file}: is being written, and will be read when its writer has closed it (if nobody is writing it: `touch {file}`)"
    )
}
