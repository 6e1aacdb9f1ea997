//! TLS of the front door, with certificates that can be renewed under way.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The certificate in force, and where it comes from.
pub struct Certificates {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
}

/// Why a certificate cannot be used.
#[derive(Debug)]
pub struct TlsError(String);

impl Certificates {
    /// Reads a certificate with its chain and its key, in PEM.
    ///
    /// # Errors
    /// [`TlsError`] that names the file.
    pub fn read(cert: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(config(&cert, &key)?);
        Ok(Self { cert, key, current })
    }

    /// Reads the files again. What is wrong leaves the old certificate in force.
    ///
    /// # Errors
    /// [`TlsError`] that names the file.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(config(&self.cert, &self.key)?));
        Ok(())
    }

    /// The files, to see when they change.
    pub fn files(&self) -> [&PathBuf; 2] {
        [&self.cert, &self.key]
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

fn config(cert: &PathBuf, key: &PathBuf) -> Result<ServerConfig, TlsError> {
    let about = |path: &PathBuf, error: &dyn fmt::Display| TlsError(format!("{}: {error}", path.display()));
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| about(cert, &error))?;
    if chain.is_empty() {
        return Err(about(cert, &"there is no certificate in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| about(key, &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(chain, secret).map_err(io::Error::other)
        })
        .map_err(|error| about(cert, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}
