//! The files of `[server.tls]`.

use super::{Config, ConfigError, Tls};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::Arc;

impl Config {
    /// The listeners' certificate and its key, if they have one.
    ///
    /// # Errors
    /// Which of the files cannot be used, and why.
    pub(crate) fn certificate(&self) -> Result<Option<Arc<CertifiedKey>>, ConfigError> {
        let read = |tls| read(tls).map_err(|(key, message)| self.error(key, message));
        self.server.tls.as_ref().map(read).transpose()
    }

    /// What is wrong with those files. No snapshot has the certificate, so that whoever builds one need not ask.
    pub(crate) fn certificate_error(&self) -> Option<ConfigError> {
        self.certificate().err()
    }
}

/// The key of the configuration that names the wrong file, and what is wrong with it.
type Wrong = (&'static str, String);

fn read(tls: &Tls) -> Result<Arc<CertifiedKey>, Wrong> {
    const EXPECTED: &str = "expected a PEM file";
    let (certificate, key) = ("server.tls.certificate", "server.tls.key");
    let chain: Vec<_> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| (certificate, wrong(&tls.certificate, &error, EXPECTED)))?;
    if chain.is_empty() {
        return Err((certificate, wrong(&tls.certificate, &"no certificate in it", EXPECTED)));
    }
    let secret = match PrivateKeyDer::from_pem_file(&tls.key) {
        Ok(secret) => secret,
        Err(pem::Error::NoItemsFound) => return Err((key, wrong(&tls.key, &"no private key in it", EXPECTED))),
        Err(error) => return Err((key, wrong(&tls.key, &error, EXPECTED))),
    };
    let certified = CertifiedKey::from_der(chain, secret, &default_provider()).map_err(|error| {
        let expected = format!("expected the key of {}", tls.certificate.display());
        (key, wrong(&tls.key, &error, &expected))
    })?;
    Ok(Arc::new(certified))
}

fn wrong(path: &Path, error: &dyn std::fmt::Display, expected: &str) -> String {
    format!("{}: {error}, {expected}", path.display())
}
