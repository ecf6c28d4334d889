//! Reads configuration and prices again when their files change or SIGHUP asks for it. What is wrong changes nothing: the
//! old snapshot stays in force, and the log says why.

use crate::config::{self, Config};
use crate::proxy::{Reloaded, Shared};
use crate::serve::{self, LiveCertificate};
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
}

/// What tells one state of a file from another.
#[derive(Clone, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(path).ok();
        Self(file.and_then(|file| Some((file.modified().ok()?, file.len(), file.ino()))))
    }
}

fn certificate_stamps(config: &Config) -> Option<[Stamp; 2]> {
    config.server.tls.as_ref().map(|tls| [Stamp::of(&tls.certificate), Stamp::of(&tls.key)])
}

/// Watches the files of one gateway.
pub(super) struct Reload {
    config: Config,
    sources: Sources,
    ports: Ports,
    shared: Arc<Shared>,
    config_stamp: Option<Stamp>,
    prices_stamp: Stamp,
    certificate_stamps: Option<[Stamp; 2]>,
}

impl Reload {
    pub(super) fn new(config: Config, sources: Sources, ports: Ports, shared: Arc<Shared>) -> Self {
        let config_stamp = sources.config_file.as_deref().map(Stamp::of);
        let prices_stamp = Stamp::of(&config.pricing.file);
        let certificate_stamps = certificate_stamps(&config);
        Self { config, sources, ports, shared, config_stamp, prices_stamp, certificate_stamps }
    }

    /// Reloads if a file changed.
    pub(super) fn look(&mut self) {
        let config_stamp = self.sources.config_file.as_deref().map(Stamp::of);
        let prices_stamp = Stamp::of(&self.config.pricing.file);
        let certificate_stamps = certificate_stamps(&self.config);
        if config_stamp != self.config_stamp
            || prices_stamp != self.prices_stamp
            || certificate_stamps != self.certificate_stamps
        {
            // The log says what came of it.
            let _ = self.reload();
        }
    }

    /// Reloads, whatever changed. The version of the price book in force, or everything that is wrong.
    pub(super) fn reload(&mut self) -> Reloaded {
        self.config_stamp = self.sources.config_file.as_deref().map(Stamp::of);
        self.prices_stamp = Stamp::of(&self.config.pricing.file);
        self.certificate_stamps = certificate_stamps(&self.config);
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
        let config = match &self.sources.config_file {
            Some(path) => {
                Config::load(path, &|name| std::env::var(name).ok()).map_err(|errors| serve::listed(&errors))?
            }
            None => self.config.clone(),
        };
        // Before the file is read: what changes while it is, is seen at the next look.
        let prices_stamp = Stamp::of(&config.pricing.file);
        let prices = serve::load_prices(&config, self.sources.default_prices)?;
        let before = self.shared.snapshot.load();
        let snapshot = config::build(&config, Arc::new(prices), &self.ports, Some(&before))
            .map_err(|errors| serve::listed(&errors))?;
        // Of what may be refused, the last.
        if let (Some(certificate), Some(tls)) = (&self.sources.certificate, &config.server.tls) {
            certificate.reload(tls)?;
        }
        self.shared.snapshot.store(Arc::new(snapshot));
        self.certificate_stamps = certificate_stamps(&config);
        self.name_what_needs_a_restart(&config);
        self.prices_stamp = prices_stamp;
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
