//! The root certificates that the client trusts.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use proto::pem::{Pem, UnreadBlocks};

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject as _},
    },
};

/// The variable that names the system's certificate file.
const CERTIFICATE_FILE: &str = "SSL_CERT_FILE";

/// The source of trust in certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The root certificates of the system.
    System,
    /// Only the certificates in this file.
    File(PathBuf),
    /// No check of certificates.
    Insecure,
}

impl Trust {
    /// Returns the flag that selects this trust, or that would change it.
    pub(super) fn flag(&self) -> &'static str {
        match self {
            Self::System | Self::File(_) => "--cacert",
            Self::Insecure => "--insecure",
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("an authority that this system trusts"),
            Self::File(path) => write!(f, "an authority in {}", path.display()),
            Self::Insecure => f.write_str("no authority"),
        }
    }
}

/// Loads the root certificates of the system.
///
/// # Errors
///
/// The system has none.
pub(super) fn system_roots() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems may hold some that are too old to parse.
    roots.add_parsable_certificates(found.certs);
    // The library skips blocks without a word. This file is often written by hand, so it is read
    // again, and a skipped block is an error. If it cannot be read, the library reports it.
    if let Some(path) = env::var_os(CERTIFICATE_FILE).map(PathBuf::from)
        && let Ok(bytes) = fs::read(&path)
    {
        let (certificates, skipped) = parse_file(&bytes);
        let certificates: Vec<_> = certificates.into_iter().flatten().collect();
        roots.add_parsable_certificates(certificates);
        skipped.map_err(|unread| TrustError::File {
            path,
            problem: unread.into(),
        })?;
    }
    if roots.is_empty() {
        let problems = found.errors.iter().map(|error| format!(" ({error})"));
        return Err(TrustError::NoSystemRoots(problems.take(1).collect()));
    }
    Ok(roots)
}

/// Loads the certificates in a PEM file. Other content is skipped, as other programs do.
///
/// # Errors
///
/// The file cannot be read, or holds no usable certificate.
pub(super) fn file_roots(path: &Path) -> Result<RootCertStore, TrustError> {
    let bytes = fs::read(path).map_err(|source| TrustError::Read {
        path: path.to_owned(),
        source,
    })?;
    let unusable = |problem| TrustError::File {
        path: path.to_owned(),
        problem,
    };
    let mut roots = RootCertStore::empty();
    let (certificates, skipped) = parse_file(&bytes);
    for (index, certificate) in certificates.into_iter().enumerate() {
        let broken = || unusable(TrustFileError::Broken(index + 1));
        let certificate = certificate.map_err(|error: pem::Error| match error {
            pem::Error::MissingSectionEnd { .. } => unusable(TrustFileError::Unended),
            _ => broken(),
        })?;
        roots.add(certificate).map_err(|_| broken())?;
    }
    skipped.map_err(|unread| unusable(unread.into()))?;
    if roots.is_empty() {
        return Err(unusable(TrustFileError::Empty));
    }
    Ok(roots)
}

/// The blocks of a certificate file that are not malformed, and those that are.
type Blocks = Vec<Result<CertificateDer<'static>, pem::Error>>;

/// Parses the certificates in a PEM file. Also returns the blocks that were skipped, as an error.
fn parse_file(bytes: &[u8]) -> (Blocks, Result<(), UnreadBlocks>) {
    let pem = Pem::new(bytes);
    let blocks: Blocks = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let skipped = pem.check_certificates(blocks.len());
    (blocks, skipped)
}

/// The reason why no trust could be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A flag about certificates was given with a `ws://` URL.
    #[error("{0} is about certificates, and a ws:// URL has none; leave it out, or use wss://")]
    NothingToCheck(&'static str),
    /// The system has no root certificates.
    #[error(
        "this system trusts no authority{0}, so no certificate can be checked; install its certificates (often called ca-certificates), or name a file with those to be trusted with --cacert FILE"
    )]
    NoSystemRoots(String),
    /// The file cannot be read.
    #[error("the certificate file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file cannot be used.
    #[error("the certificate file {}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The fault of its content.
        problem: TrustFileError,
    },
}

/// A fault of a certificate file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustFileError {
    /// The file holds no certificate.
    #[error(
        "it holds no certificate; it must be PEM, which begins with -----BEGIN CERTIFICATE-----"
    )]
    Empty,
    /// Blocks of the file were skipped.
    #[error(transparent)]
    Unread(#[from] UnreadBlocks),
    /// A certificate has no end line.
    #[error("a certificate in it has no line -----END CERTIFICATE-----")]
    Unended,
    /// The certificate with this number cannot be parsed.
    #[error("certificate {0} in it is broken")]
    Broken(usize),
}

#[cfg(test)]
mod tests {
    use super::parse_file;

    const BLOCK: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";

    /// Former fault: a byte order mark hid the first certificate, and a missing line break the second one.
    #[test]
    fn joined_or_marked_certificates_are_read() {
        let (certificates, skipped) = parse_file(format!("\u{feff}{BLOCK}{BLOCK}").as_bytes());
        assert_eq!(certificates.len(), 2);
        assert_eq!(skipped, Ok(()));
    }

    /// A block that is not understood is not dropped in silence.
    #[test]
    fn skipped_certificate_is_an_error() {
        let (certificates, skipped) = parse_file(format!("{BLOCK}\n {BLOCK}").as_bytes());
        assert_eq!(certificates.len(), 1);
        assert!(skipped.is_err());
    }
}
