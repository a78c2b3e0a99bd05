//! The TLS under a connection, where the server speaks it.
//!
//! What stands in the files of certificate and key is parsed once, when they are loaded, into a
//! [`Tls`], with which nothing can be wrong any more. Nothing above knows of it: a connection is
//! served over whatever stream it has.

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject as _},
        },
        server::NoServerSessionStorage,
        sign::{CertifiedKey, SigningKey, SingleCertAndKey},
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};
use zeroize::Zeroize as _;

use crate::tls::certificate::{self, CertificateFlaw};

/// The one protocol that is spoken on a connection.
const HTTP: &[u8] = b"http/1.1";

/// How the server proves who it is, and encrypts.
#[derive(Clone)]
pub struct Tls {
    certified: Arc<CertifiedKey>,
    config: Arc<ServerConfig>,
}

/// Why a certificate or a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The file of the certificate has none in it.
    #[error(
        "there is no certificate in it: it must hold the server's own as PEM, which begins with \
         `-----BEGIN CERTIFICATE-----`, and behind it those of the authorities in between"
    )]
    NoCertificate,
    /// A certificate is not what it says.
    #[error("a certificate in it is broken: fetch the file again from where it came from")]
    BrokenCertificate,
    /// The file of the private key has none in it.
    #[error(
        "there is no private key in it: it must hold one as PEM, which begins with \
         `-----BEGIN PRIVATE KEY-----`, or with RSA or EC before PRIVATE"
    )]
    NoPrivateKey,
    /// The private key is encrypted.
    #[error(
        "the private key in it has a password, and there is nobody to type that: \
         `openssl pkey -in FILE -out NEW` writes one without it"
    )]
    EncryptedPrivateKey,
    /// The private key is not what it says, or of a kind that nobody uses.
    #[error(
        "the private key in it cannot be used: it must be one of RSA with 2048 to 8192 bits, of \
         the curves P-256 or P-384, or of Ed25519"
    )]
    UnusablePrivateKey,
    /// Certificate and private key are each one, but no pair.
    #[error(
        "the private key in it is not that of the certificate: `tls.certificate` and \
         `tls.private_key` must be a pair, and the server's own certificate the first in its file"
    )]
    KeyMismatch,
}

impl Tls {
    /// The TLS of a server with this certificate, its own first, and this private key.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn SigningKey>,
    ) -> Result<Self, TlsError> {
        let certified = Arc::new(CertifiedKey::new(chain, key));
        certified.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch,
            _ => TlsError::BrokenCertificate,
        })?;
        let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&certified)));
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has cipher suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![HTTP.to_vec()];
        // The best one that both have, by our order and not by that of whoever comes.
        config.ignore_client_order = true;
        // Whoever comes back brings what it needs, so nothing is kept for it. The keys of the
        // tickets are new with each certificate: what was proved by an old one is not passed on.
        config.ticketer = ring::Ticketer::new().expect("there is randomness");
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            certified,
            config: Arc::new(config),
        })
    }

    /// Whether another one has the same certificate, with those of the authorities in between.
    pub(crate) fn has_certificate_of(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }

    /// Whether another one has the same private key, however that is written.
    pub(crate) fn has_private_key_of(&self, other: &Self) -> bool {
        self.certified.key.public_key() == other.certified.key.public_key()
    }

    /// What all clients find wrong with the certificate now, if they do.
    pub(crate) fn flaw(&self) -> Option<CertificateFlaw> {
        CertificateFlaw::of(self.certified.cert.first()?, SystemTime::now())
    }

    /// When the certificate expires.
    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        certificate::expiry(self.certified.cert.first()?)
    }

    /// Does the handshake of a connection.
    pub(crate) async fn accept<S>(&self, io: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(io).await
    }
}

impl fmt::Debug for Tls {
    /// Says nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Reads certificates, that of the server first.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| TlsError::BrokenCertificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(chain)
}

/// Reads a private key, written as PKCS#8, PKCS#1 or SEC1.
pub(crate) fn private_key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, TlsError> {
    // In the head of the block, or, in older files, in the first line below it.
    let is_encrypted = pem
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"-----BEGIN ENCRYPTED") || line.starts_with(b"Proc-Type: 4"));
    if is_encrypted {
        return Err(TlsError::EncryptedPrivateKey);
    }
    let mut key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoPrivateKey,
        _ => TlsError::UnusablePrivateKey,
    })?;
    let usable = ring::sign::any_supported_type(&key);
    key.zeroize();
    usable.map_err(|_| TlsError::UnusablePrivateKey)
}

/// The TLS that new connections speak.
#[derive(Debug)]
pub(crate) struct CurrentTls(RwLock<Tls>);

impl CurrentTls {
    /// This one, until it is replaced.
    pub(crate) fn new(tls: Tls) -> Self {
        Self(RwLock::new(tls))
    }

    /// The one that holds at this moment.
    pub(crate) fn load(&self) -> Tls {
        let tls = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tls.clone()
    }

    /// Has connections speak this one from now on. Those that are there stay as they are.
    pub(crate) fn replace(&self, tls: Tls) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tls;
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
