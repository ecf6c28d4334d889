//! The listeners' certificate, which can change while they listen: who connects next gets the new one, and open connections
//! go on.

use crate::config::Config;
use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// See the module. No `Debug` of its key.
pub struct LiveCertificate(ArcSwap<CertifiedKey>);

impl LiveCertificate {
    /// Reads the files that a configuration names; `None`: it names none.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub fn load(config: &Config) -> Result<Option<Arc<Self>>, String> {
        let read = Self::read(config)?;
        Ok(read.map(|certificate| Arc::new(Self(ArcSwap::new(certificate)))))
    }

    /// Reads the files, and changes nothing.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub(crate) fn read(config: &Config) -> Result<Option<Arc<CertifiedKey>>, String> {
        config.certificate().map_err(|error| error.to_string())
    }

    /// From now on this one. Where no files are named any more, the certificate stays.
    pub(crate) fn replace(&self, read: Option<Arc<CertifiedKey>>) {
        if let Some(certificate) = read {
            self.0.store(certificate);
        }
    }
}

impl ResolvesServerCert for LiveCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl std::fmt::Debug for LiveCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveCertificate").finish_non_exhaustive()
    }
}
