//! A certificate authority that the client of a test trusts.

use std::{fs, path::PathBuf};

use integration_tests::{Authority, ProcessOutput, client, run};
use tempfile::TempDir;

pub(crate) const LOOPBACK: &[&str] = &["127.0.0.1", "::1", "localhost"];

/// An authority, and a file with its certificate.
pub(crate) struct TrustedAuthority {
    pub(crate) authority: Authority,
    directory: TempDir,
}

impl TrustedAuthority {
    pub(crate) fn new() -> Self {
        let trusted = Self {
            authority: Authority::new(),
            directory: TempDir::new().unwrap(),
        };
        trusted.write("authority.pem", &trusted.authority.certificate());
        trusted
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Returns the path of the certificate file.
    pub(crate) fn cacert(&self) -> String {
        let path = self.directory.path().join("authority.pem");
        path.into_os_string().into_string().unwrap()
    }

    /// Runs a client that trusts the authority.
    pub(crate) async fn run(&self, url: &str, stdin: &str) -> ProcessOutput {
        run(client([url, "--cacert", &self.cacert()]), stdin).await
    }
}
