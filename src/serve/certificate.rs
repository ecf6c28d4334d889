//! The listeners' certificate, which can change while they listen: who connects next gets the new one, and open connections
//! go on.

use crate::config::Tls;
use arc_swap::ArcSwap;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::Arc;

/// See the module. No `Debug` of its key.
pub struct LiveCertificate(ArcSwap<CertifiedKey>);

impl LiveCertificate {
    /// Reads the files.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub fn load(tls: &Tls) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self(ArcSwap::new(read(tls)?))))
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// Which of them cannot be used, and why; the certificate stays as it was.
    pub fn reload(&self, tls: &Tls) -> Result<(), String> {
        self.0.store(read(tls)?);
        Ok(())
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

fn read(tls: &Tls) -> Result<Arc<CertifiedKey>, String> {
    let wrong = |key: &str, path: &Path, error: &dyn std::fmt::Display| {
        format!("server.tls.{key}: {}: {error}, expected a PEM file", path.display())
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong("certificate", &tls.certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong("certificate", &tls.certificate, &"no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| wrong("key", &tls.key, &error))?;
    let certified = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| {
        let key = tls.key.display();
        format!("server.tls.key: {key}: {error}, expected the key of {}", tls.certificate.display())
    })?;
    Ok(Arc::new(certified))
}
