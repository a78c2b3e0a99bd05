//! The files of certificate and private key.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use proto::config::TomlError;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    config::{error::ConfigError, files::examine, values::FilePath},
    tls::{Tls, TlsError, certificates, private_key},
};

/// The bits of a file's mode for those who are neither its owner nor in its group.
const OTHERS: u32 = 0o007;

/// `[tls]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsTable {
    /// The certificate, followed by those of the intermediate authorities.
    certificate: Option<FilePath>,
    /// The private key of the certificate.
    private_key: Option<FilePath>,
}

impl TlsTable {
    /// Has relative paths start from a directory.
    pub(super) fn complete(&mut self, directory: &Path) {
        let paths = [&mut self.certificate, &mut self.private_key];
        for path in paths.into_iter().flatten() {
            path.start_from(directory);
        }
    }

    /// Returns the files, if both are named. Without any, there is no TLS. `source` is the file that
    /// errors refer to.
    pub(super) fn files(&self, source: &str) -> Result<Option<TlsFiles>, TomlError> {
        let lonely = |key, other| {
            let problem = format!("write {other} as well: there is no TLS without both");
            Err(TomlError::at_key(source, key, problem))
        };
        match (&self.certificate, &self.private_key) {
            (Some(certificate), Some(private_key)) => Ok(Some(TlsFiles {
                certificate: certificate.0.clone(),
                private_key: private_key.0.clone(),
            })),
            (Some(_), None) => lonely("tls.certificate", "private_key"),
            (None, Some(_)) => lonely("tls.private_key", "certificate"),
            (None, None) => Ok(None),
        }
    }
}

/// Where the server's certificate is, and the key to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and behind it those of the authorities in between.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
}

impl TlsFiles {
    /// Reads both.
    ///
    /// # Errors
    ///
    /// One message that names the file, and says what to do. It repeats nothing of the key.
    pub fn load(&self) -> Result<Tls, ConfigError> {
        let in_certificate = |problem| ConfigError::tls(&self.certificate, problem);
        let in_key = |problem| ConfigError::tls(&self.private_key, problem);

        let certificate = examine(&self.certificate)
            .and_then(|_| fs::read(&self.certificate))
            .map_err(|error| ConfigError::read(&self.certificate, error))?;
        let chain = certificates(&certificate).map_err(in_certificate)?;

        let file = examine(&self.private_key)
            .map_err(|error| ConfigError::read(&self.private_key, error))?;
        if file.mode() & OTHERS != 0 {
            return Err(ConfigError::KeyWorldReadable {
                path: self.private_key.clone(),
                mode: file.mode() & 0o777,
            });
        }
        let key = fs::read(&self.private_key)
            .map_err(|error| ConfigError::read(&self.private_key, error))?;
        let key = private_key(&Zeroizing::new(key)).map_err(in_key)?;

        Tls::new(chain, key).map_err(|problem| match problem {
            TlsError::BrokenCertificate => in_certificate(problem),
            _ => in_key(problem),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    use super::TlsFiles;

    /// The files of a certificate and its key, in a directory of their own.
    fn files() -> (TempDir, TlsFiles) {
        let directory = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: directory.path().join("server.pem"),
            private_key: directory.path().join("server.key"),
        };
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.private_key, key.serialize_pem()).unwrap();
        allow(&files, 0o600);
        (directory, files)
    }

    /// Sets the mode of the key.
    fn allow(files: &TlsFiles, mode: u32) {
        fs::set_permissions(&files.private_key, Permissions::from_mode(mode)).unwrap();
    }

    /// What is said of files that cannot be used.
    fn problem(files: &TlsFiles) -> String {
        format!("{:#}", anyhow::Error::from(files.load().unwrap_err()))
    }

    #[test]
    fn a_key_is_for_its_owner_and_a_group() {
        let (_directory, files) = files();
        for mode in [0o400, 0o600, 0o640, 0o660, 0o770] {
            allow(&files, mode);
            assert!(files.load().is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o602, 0o601, 0o607] {
            allow(&files, mode);
            let path = files.private_key.display();
            assert_eq!(
                problem(&files),
                format!(
                    "{path}: everybody on this machine may read it or write to it (its mode is \
                     0{mode:o}), and it is a private key: run `chmod o= {path}`"
                )
            );
        }
    }

    /// Everybody is shown the certificate anyway.
    #[test]
    fn a_certificate_is_for_everybody() {
        let (_directory, files) = files();
        fs::set_permissions(&files.certificate, Permissions::from_mode(0o644)).unwrap();
        assert!(files.load().is_ok());
    }

    #[test]
    fn the_file_that_must_be_mended_is_named() {
        let (_directory, files) = files();
        let (certificate, key) = (files.certificate.display(), files.private_key.display());
        let good = fs::read(&files.certificate).unwrap();
        for (content, problem_of_it) in [
            (&b""[..], "there is no certificate in it: "),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA",
                "a certificate in it is malformed: ",
            ),
        ] {
            fs::write(&files.certificate, content).unwrap();
            let said = problem(&files);
            assert!(
                said.starts_with(&format!("{certificate}: {problem_of_it}")),
                "{said}"
            );
        }
        fs::remove_file(&files.certificate).unwrap();
        let missing = "No such file or directory (os error 2)";
        assert_eq!(
            problem(&files),
            format!("cannot read {certificate}: {missing}")
        );
        fs::write(&files.certificate, good).unwrap();

        let other = KeyPair::generate().unwrap().serialize_pem();
        for (content, problem_of_it) in [
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
            fs::write(&files.private_key, content).unwrap();
            let said = problem(&files);
            assert!(
                said.starts_with(&format!("{key}: {problem_of_it}")),
                "{said}"
            );
        }
        fs::remove_file(&files.private_key).unwrap();
        assert_eq!(problem(&files), format!("cannot read {key}: {missing}"));
        fs::create_dir(&files.private_key).unwrap();
        assert_eq!(
            problem(&files),
            format!("cannot read {key}: it is not a file")
        );
    }
}
