//! The TLS configuration of the server.
//!
//! The certificate and key files are parsed once into a [`Tls`], which is always usable. The layers
//! above serve any stream, with or without TLS.

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use proto::pem::{Pem, UnreadBlocks};
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

/// The only ALPN protocol (RFC 7301).
pub(super) const HTTP: &[u8] = b"http/1.1";

/// A certificate chain and private key, with the TLS configuration.
#[derive(Clone)]
pub struct Tls {
    certified: Arc<CertifiedKey>,
    config: Arc<ServerConfig>,
}

/// The reason why a certificate or a key is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The certificate file has no certificate.
    #[error(
        "there is no certificate in it: it must contain the server's certificate as PEM, which begins \
         with `-----BEGIN CERTIFICATE-----`, followed by the intermediate certificates"
    )]
    NoCertificate,
    /// Blocks of the file were skipped.
    #[error(transparent)]
    Unread(#[from] UnreadBlocks),
    /// A certificate is malformed.
    #[error("a certificate in it is malformed: get the file from its issuer again")]
    BrokenCertificate,
    /// The key file has no private key.
    #[error(
        "there is no private key in it: it must contain one as PEM, which begins with \
         `-----BEGIN PRIVATE KEY-----`, or with RSA or EC before PRIVATE"
    )]
    NoPrivateKey,
    /// The private key is encrypted.
    #[error(
        "the private key in it is encrypted: write it without a password with \
         `openssl pkey -in FILE -out NEW`"
    )]
    EncryptedPrivateKey,
    /// The private key is malformed, or its type is not supported.
    #[error(
        "the private key in it is malformed or not supported: it must be RSA with 2048 to 8192 bits, \
         P-256, P-384 or Ed25519"
    )]
    UnusablePrivateKey,
    /// The certificate and the private key do not match.
    #[error(
        "the private key in it does not match the certificate: `tls.certificate` and \
         `tls.private_key` must be a pair, with the server's certificate first in its file"
    )]
    KeyMismatch,
    /// The certificate and the private key for an upstream do not match.
    #[error(
        "the private key in it does not match the certificate: `certificate` and `private_key` of the \
         route must be a pair, with the certificate of the key first in its file"
    )]
    ClientKeyMismatch,
    /// The file of authorities has no certificate.
    #[error(
        "there is no certificate in it: it must contain those of the authorities to trust as PEM, which \
         begins with `-----BEGIN CERTIFICATE-----`"
    )]
    NoAuthority,
    /// The system has no root certificates.
    #[error(
        "a route needs the authorities that this system trusts, and there are none: install its \
         certificates (often called ca-certificates), or write ca in the route"
    )]
    NoSystemRoots,
}

impl Tls {
    /// Creates the TLS configuration with this chain, the server's certificate first, and this key.
    ///
    /// # Errors
    ///
    /// The key does not match the first certificate, or that certificate is malformed.
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
        // Select the cipher suite by the server's order of preference.
        config.ignore_client_order = true;
        // Resumption by tickets, so the server stores no sessions. A new certificate gets new ticket
        // keys, so no session that an old certificate authenticated is resumed.
        config.ticketer = ring::Ticketer::new().expect("there is randomness");
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            certified,
            config: Arc::new(config),
        })
    }

    /// Returns true if `other` has the same certificate chain.
    pub(crate) fn has_certificate_of(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }

    /// Returns true if `other` has the same private key, in any encoding.
    pub(crate) fn has_private_key_of(&self, other: &Self) -> bool {
        self.certified.key.public_key() == other.certified.key.public_key()
    }

    /// Returns the current flaw of the certificate, if any.
    pub(crate) fn flaw(&self) -> Option<CertificateFlaw> {
        CertificateFlaw::of(self.certified.cert.first()?, SystemTime::now())
    }

    /// Returns the expiry time of the certificate.
    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        certificate::expiry(self.certified.cert.first()?)
    }

    /// Does the TLS handshake of a connection. The caller sets a deadline.
    ///
    /// # Errors
    ///
    /// The handshake or the connection failed.
    pub(crate) async fn accept<S>(&self, io: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(io).await
    }
}

impl fmt::Debug for Tls {
    /// Shows nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Parses a PEM certificate chain, the server's certificate first.
///
/// # Errors
///
/// No certificate, a malformed one, or one that was skipped.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = Pem::new(pem);
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| TlsError::BrokenCertificate)?;
    pem.check_certificates(chain.len())?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(chain)
}

/// Parses a PEM private key in PKCS#8, PKCS#1 or SEC1.
///
/// # Errors
///
/// No private key, or one that is encrypted, malformed or of an unsupported type.
pub(crate) fn private_key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, TlsError> {
    let prepared = Pem::new(pem);
    let pem = prepared.as_bytes();
    // Encryption is in the PEM label (PKCS#8), or in the first line after it (RFC 1421).
    let is_encrypted = pem
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"-----BEGIN ENCRYPTED") || line.starts_with(b"Proc-Type: 4"));
    if is_encrypted {
        return Err(TlsError::EncryptedPrivateKey);
    }
    let mut key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => match prepared.check_no_private_key() {
            Ok(()) => TlsError::NoPrivateKey,
            Err(unread) => unread.into(),
        },
        _ => TlsError::UnusablePrivateKey,
    })?;
    let usable = ring::sign::any_supported_type(&key);
    key.zeroize();
    usable.map_err(|_| TlsError::UnusablePrivateKey)
}

/// The TLS configuration for new connections.
#[derive(Debug)]
pub(crate) struct CurrentTls(RwLock<Tls>);

impl CurrentTls {
    /// Creates it with this configuration.
    pub(crate) fn new(tls: Tls) -> Self {
        Self(RwLock::new(tls))
    }

    /// Returns the current configuration.
    pub(crate) fn load(&self) -> Tls {
        let tls = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tls.clone()
    }

    /// Replaces the configuration for new connections. Open connections keep theirs.
    pub(crate) fn replace(&self, tls: Tls) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tls;
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
