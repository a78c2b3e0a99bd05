//! The client over TLS: which certificates it takes, what it says about the others, and that nothing
//! is sent before they were checked.

mod lifecycle;
mod reports;
mod trust;

use std::{fmt::Write as _, fs, path::PathBuf, sync::Arc};

use futures::{SinkExt as _, StreamExt as _};
use integration_tests::{
    Authority, CONGRATULATION, CREDENTIALS_PROMPT, IssuedCertificate, MESSAGE_PROMPT, PREFIX,
    ProcessOutput, RelayOutcome, ServerProcess, TEST_TIMEOUT, Terminal, TlsProxy, client,
    client_binary, echoed, echoed_lines, run, self_signed, spawn, wait_for_exit,
    welcome_and_goodbye,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        sign::{CertifiedKey, SingleCertAndKey},
        version::{TLS12, TLS13},
    },
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

const LOOPBACK: &[&str] = &["127.0.0.1", "::1", "localhost"];

/// An authority, and a file with its certificate.
struct TrustedAuthority {
    authority: Authority,
    directory: TempDir,
}

impl TrustedAuthority {
    fn new() -> Self {
        let trusted = Self {
            authority: Authority::new(),
            directory: TempDir::new().unwrap(),
        };
        trusted.write("authority.pem", &trusted.authority.certificate());
        trusted
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The file.
    fn cacert(&self) -> String {
        let path = self.directory.path().join("authority.pem");
        path.into_os_string().into_string().unwrap()
    }

    /// Runs a client that trusts the authority.
    async fn run(&self, url: &str, stdin: &str) -> ProcessOutput {
        run(client([url, "--cacert", &self.cacert()]), stdin).await
    }
}
