//! Who is trusted to say which certificate is whose.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject as _},
    },
};

/// Who is trusted to say which certificate is whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that this system trusts.
    System,
    /// Those whose certificates are in a file, and no others.
    File(PathBuf),
    /// Anybody: certificates are not checked.
    Insecure,
}

impl Trust {
    /// The flag that asks for it, or would change it.
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
            Self::Insecure => f.write_str("anybody"),
        }
    }
}

/// The certificates that this system trusts.
pub(super) fn system_roots() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems have some that are too old to be read.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let problems = found.errors.iter().map(|error| format!(" ({error})"));
        return Err(TrustError::NoSystemRoots(problems.take(1).collect()));
    }
    Ok(roots)
}

/// The certificates in a file. What else is in it is passed over, as others do.
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
    for (index, certificate) in CertificateDer::pem_slice_iter(&bytes).enumerate() {
        let broken = || unusable(TrustFileError::Broken(index + 1));
        let certificate = certificate.map_err(|error: pem::Error| match error {
            pem::Error::MissingSectionEnd { .. } => unusable(TrustFileError::Unended),
            _ => broken(),
        })?;
        roots.add(certificate).map_err(|_| broken())?;
    }
    if roots.is_empty() {
        return Err(unusable(TrustFileError::Empty));
    }
    Ok(roots)
}

/// Why there is nobody who could be trusted, or nothing to be checked.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A flag speaks of certificates, and the URL asks for none.
    #[error("{0} is about certificates, and a ws:// URL has none; leave it out, or use wss://")]
    NothingToCheck(&'static str),
    /// The system trusts nobody.
    #[error(
        "this system trusts no authority{0}, so no certificate can be checked; install its certificates (often called ca-certificates), or name a file with those to be trusted with --cacert FILE"
    )]
    NoSystemRoots(String),
    /// The file cannot be read.
    #[error("the certificate file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be used.
    #[error("the certificate file {}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        problem: TrustFileError,
    },
}

/// What is wrong with a file of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustFileError {
    /// There is none in it.
    #[error(
        "it holds no certificate; it must be PEM, which begins with -----BEGIN CERTIFICATE-----"
    )]
    Empty,
    /// One of them has no end.
    #[error("a certificate in it has no line -----END CERTIFICATE-----")]
    Unended,
    /// One of them is none.
    #[error("certificate {0} in it is broken")]
    Broken(usize),
}
