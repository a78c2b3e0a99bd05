//! The certificate and its private key.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use proto::config::TomlError;
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::{pki_types::CertificateDer, sign::SigningKey};
use zeroize::Zeroizing;

use crate::{
    config::{
        error::ConfigError,
        files::{OTHERS, read_bytes},
    },
    tls::{Tls, TlsError, certificates, private_key},
};

/// `[tls]`: both files, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate, followed by those of the intermediate authorities.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate.
    pub private_key: Option<PathBuf>,
}

impl TlsFiles {
    /// Checks that both files are named, or none. `source` is the text that errors refer to.
    pub(super) fn check(&self, source: &str) -> Result<(), TomlError> {
        let (key, other) = match (&self.certificate, &self.private_key) {
            (Some(_), None) => ("tls.certificate", "private_key"),
            (None, Some(_)) => ("tls.private_key", "certificate"),
            _ => return Ok(()),
        };
        let problem = format!("write {other} as well: there is no TLS without both");
        Err(TomlError::at_key(source, key, problem))
    }

    /// Reads both files, if they are named.
    ///
    /// # Errors
    ///
    /// A file cannot be read, does not contain what its key names, or the private key is readable by
    /// every user. The message never contains a part of the key.
    pub fn load(&self) -> Result<Option<Tls>, ConfigError> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.private_key) else {
            return Ok(None);
        };
        let in_certificate = |problem| ConfigError::content(certificate, problem);
        let in_key = |problem| ConfigError::content(key, problem);

        let chain = read_certificates(certificate)?;
        let private = read_private_key(key)?;

        let tls = Tls::new(chain, private).map_err(|problem| match problem {
            TlsError::BrokenCertificate => in_certificate(problem),
            _ => in_key(problem),
        });
        tls.map(Some)
    }
}

/// Reads a certificate chain.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let (chain, _) = read_bytes(path).map_err(|error| ConfigError::read(path, error))?;
    certificates(&chain).map_err(|problem| ConfigError::content(path, problem))
}

/// Reads a private key, which other users may not read or change.
pub(super) fn read_private_key(path: &Path) -> Result<Arc<dyn SigningKey>, ConfigError> {
    let (private, metadata) = read_bytes(path).map_err(|error| ConfigError::read(path, error))?;
    let (private, mode) = (Zeroizing::new(private), metadata.mode());
    if mode & OTHERS != 0 {
        return Err(ConfigError::KeyWorldReadable {
            path: path.to_owned(),
            mode: mode & 0o777,
        });
    }
    private_key(&private).map_err(|problem| ConfigError::content(path, problem))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
        path::PathBuf,
    };

    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    use super::{ConfigError, Tls, TlsFiles};

    /// The paths of a certificate and its key.
    struct Pair {
        certificate: PathBuf,
        key: PathBuf,
        _directory: TempDir,
    }

    impl Pair {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let pair = Self {
                certificate: directory.path().join("server.pem"),
                key: directory.path().join("server.key"),
                _directory: directory,
            };
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            fs::write(&pair.certificate, certificate.pem()).unwrap();
            fs::write(&pair.key, key.serialize_pem()).unwrap();
            pair.set_key_mode(0o600);
            pair
        }

        fn set_key_mode(&self, mode: u32) {
            fs::set_permissions(&self.key, Permissions::from_mode(mode)).unwrap();
        }

        fn load(&self) -> Result<Option<Tls>, ConfigError> {
            let files = TlsFiles {
                certificate: Some(self.certificate.clone()),
                private_key: Some(self.key.clone()),
            };
            files.load()
        }

        /// Returns the error message for files that cannot be used.
        fn problem(&self) -> String {
            format!("{:#}", anyhow::Error::from(self.load().unwrap_err()))
        }
    }

    #[test]
    fn key_readable_by_others_is_refused() {
        let pair = Pair::new();
        for mode in [0o400, 0o600, 0o640, 0o660, 0o770] {
            pair.set_key_mode(mode);
            assert!(pair.load().unwrap().is_some(), "{mode:o}");
        }
        for mode in [0o644, 0o602, 0o601, 0o607] {
            pair.set_key_mode(mode);
            let path = pair.key.display();
            assert_eq!(
                pair.problem(),
                format!(
                    "{path}: every user of this machine can read or change this private key (mode \
                     0{mode:o}): run `chmod o= {path}`"
                )
            );
        }
    }

    /// The server sends the certificate to every client.
    #[test]
    fn certificate_readable_by_others_is_accepted() {
        let pair = Pair::new();
        fs::set_permissions(&pair.certificate, Permissions::from_mode(0o644)).unwrap();
        assert!(pair.load().is_ok());
    }

    #[test]
    fn unusable_file_is_named() {
        let pair = Pair::new();
        let (certificate, key) = (pair.certificate.display(), pair.key.display());
        let good = fs::read(&pair.certificate).unwrap();
        for (content, expected) in [
            ("", "there is no certificate in it: "),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA",
                "a certificate in it is malformed: ",
            ),
        ] {
            fs::write(&pair.certificate, content).unwrap();
            let problem = pair.problem();
            assert!(
                problem.starts_with(&format!("{certificate}: {expected}")),
                "{problem}"
            );
        }
        fs::remove_file(&pair.certificate).unwrap();
        let missing = "No such file or directory (os error 2)";
        let expected = format!("cannot read {certificate}: {missing}");
        assert_eq!(pair.problem(), expected);
        fs::write(&pair.certificate, good).unwrap();

        let other = KeyPair::generate().unwrap().serialize_pem();
        for (content, expected) in [
            ("", "there is no private key in it: "),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
                "the private key in it is encrypted: ",
            ),
            (
                &other,
                "the private key in it does not match the certificate: ",
            ),
        ] {
            fs::write(&pair.key, content).unwrap();
            let problem = pair.problem();
            assert!(
                problem.starts_with(&format!("{key}: {expected}")),
                "{problem}"
            );
        }
        fs::remove_file(&pair.key).unwrap();
        assert_eq!(pair.problem(), format!("cannot read {key}: {missing}"));
        fs::create_dir(&pair.key).unwrap();
        let expected = format!("cannot read {key}: it is not a file");
        assert_eq!(pair.problem(), expected);
    }
}
