//! Reads configuration and prices again when their files change or SIGHUP asks for it. What is wrong changes nothing: the
//! old snapshot stays in force, and the log says why.

use crate::config::{self, Config};
use crate::proxy::{Reloaded, Shared, steady_ms};
use crate::serve::{self, LiveCertificate};
use crate::store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tollgate_plugin_api::Ports;

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

/// What tells one state of a file from another. `None`: there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(path).ok();
        Self(file.and_then(|file| Some((file.modified().ok()?, file.len(), file.ino()))))
    }
}

/// The files that a configuration consists of, each as it was before it was read.
pub struct Seen {
    /// `None` for its stamp: it has changed since it was read.
    config_file: Option<(PathBuf, Option<Stamp>)>,
    named: Vec<(PathBuf, Stamp)>,
}

impl Seen {
    /// To be made before prices and certificate are read. A configuration file that has changed since it was read itself
    /// counts as changed.
    pub fn of(config_file: Option<&Path>, config: &Config) -> Self {
        let config_file = config_file.map(|path| {
            let stamp = Stamp::of(path);
            let is_what_was_read = std::fs::read_to_string(path).is_ok_and(|text| config.is_read_from(&text));
            (path.to_owned(), is_what_was_read.then_some(stamp))
        });
        Self { config_file, named: named_by(config) }
    }

    /// As the same files are now.
    fn again(&mut self) {
        if let Some((path, stamp)) = &mut self.config_file {
            *stamp = Some(Stamp::of(path));
        }
        for (path, stamp) in &mut self.named {
            *stamp = Stamp::of(path);
        }
    }

    fn has_changed(&self) -> bool {
        self.config_file.as_ref().is_some_and(|(path, stamp)| *stamp != Some(Stamp::of(path)))
            || self.named.iter().any(|(path, stamp)| *stamp != Stamp::of(path))
    }
}

/// The files that a configuration names and that are read with it, as they are now.
fn named_by(config: &Config) -> Vec<(PathBuf, Stamp)> {
    let tls = config.server.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
    tls.chain([&config.pricing.file]).map(|path| (path.clone(), Stamp::of(path))).collect()
}

/// Watches the files of one gateway.
pub(super) struct Reload {
    config: Config,
    sources: Sources,
    ports: Ports,
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
}

impl Reload {
    pub(super) fn new(
        config: Config,
        sources: Sources,
        ports: Ports,
        shared: Arc<Shared>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self { config, sources, ports, shared, store }
    }

    /// Reloads if a file changed.
    pub(super) fn look(&mut self) {
        if self.sources.seen.has_changed() {
            // The log says what came of it.
            let _ = self.reload();
        } else {
            self.look_at_weights();
        }
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

    /// Reloads, whatever changed. The version of the price book in force, or everything that is wrong.
    pub(super) fn reload(&mut self) -> Reloaded {
        // Before they are read: what changes while they are, is seen at the next look.
        self.sources.seen.again();
        match self.load() {
            Ok(()) => {
                self.shared.metrics.reload("ok");
                let version = self.shared.snapshot.load().prices.version().clone();
                tracing::info!("configuration and prices are in force (price version {version})");
                Ok(version)
            }
            Err(error) => {
                self.shared.metrics.reload("refused");
                tracing::error!("reload refused, the old configuration stays in force:\n{error}");
                Err(error)
            }
        }
    }

    fn load(&mut self) -> Result<(), String> {
        let mut config = match &self.sources.config_file {
            Some(path) => {
                Config::load(path, &|name| std::env::var(name).ok()).map_err(|errors| serve::listed(&errors))?
            }
            None => self.config.clone(),
        };
        let weights = self.store.people().weights();
        config.weights = weights.unwrap_or_else(|_| self.shared.snapshot.load().config.weights.clone());
        // Also of one that is refused: what is wrong may be put right in a file that it alone names.
        self.sources.seen.named = named_by(&config);
        let prices = Arc::new(serve::load_prices(&config, self.sources.default_prices)?);
        let before = self.shared.snapshot.load();
        let snapshot = config::build(&config, prices.clone(), &self.ports, Some(&before))
            .map_err(|errors| serve::listed(&errors))?;
        // Of what may be refused, the last.
        if let Some(certificate) = &self.sources.certificate {
            certificate.reload(&config)?;
        }
        drop(before);
        let now_ms = u64::try_from(steady_ms()).unwrap_or(0);
        snapshot.upstreams.iter().for_each(|upstream| upstream.breakers.look_again(now_ms));
        self.shared.supersede(snapshot);
        self.name_what_needs_a_restart(&config);
        // As at the start: prices that were lost cost money from now on.
        if let Some(remark) = config.price_remark(&prices) {
            tracing::warn!("{remark}");
        }
        self.config = config;
        Ok(())
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
