//! A server under measurement.

use std::path::Path;

use raw_peer::{RawPeer, frame};
use tokio::{net::TcpStream, process::Command};
use tokio_rustls::client::TlsStream;

use crate::{
    CONFIGURATION, CpuPinning, ServerFiles, ServerProcess, TlsClient, bare_server_binary,
    bench_stream::BenchStream, fixture, peer_program, plain_room_binary, plain_server_binary, root,
    server_binary,
};

/// A server under measurement, and its name.
#[derive(Debug)]
pub struct BenchServer {
    /// The name in the printed rows.
    pub name: &'static str,
    /// The process.
    pub process: ServerProcess,
    /// The client for a server with TLS.
    client: Option<TlsClient>,
}

impl BenchServer {
    /// Starts `ws-server` with its defaults and the account of the fixtures.
    pub async fn with_defaults(pinning: CpuPinning) -> Self {
        let command = configured(server_binary(), &fixture(CONFIGURATION));
        Self::start("ws-server", command, pinning).await
    }

    /// Starts another build of `ws-server`, configured as by [`BenchServer::with_defaults`].
    pub(crate) async fn baseline(binary: &Path, pinning: CpuPinning) -> Self {
        let binary = binary.to_str().expect("the path is UTF-8").to_owned();
        let command = configured(binary, &fixture(CONFIGURATION));
        Self::start("baseline", command, pinning).await
    }

    /// Starts `ws-server` with these files.
    pub async fn configured(files: &ServerFiles, pinning: CpuPinning) -> Self {
        let command = configured(server_binary(), &files.path(CONFIGURATION));
        Self::start("ws-server", command, pinning).await
    }

    /// Starts `ws-server` with these files and a readable log.
    pub async fn with_log(files: &ServerFiles, pinning: CpuPinning) -> Self {
        Self::start("ws-server", files.command(), pinning).await
    }

    /// Starts the ordinary tokio-tungstenite server.
    pub async fn plain(pinning: CpuPinning) -> Self {
        Self::start("plain", with_log_discarded(plain_server_binary()), pinning).await
    }

    /// Starts the minimal server.
    pub async fn bare(pinning: CpuPinning) -> Self {
        Self::start("bare", with_log_discarded(bare_server_binary()), pinning).await
    }

    /// Starts the room made of tokio's broadcast channel.
    pub async fn plain_room(pinning: CpuPinning) -> Self {
        Self::start("plain", with_log_discarded(plain_room_binary()), pinning).await
    }

    /// Starts the room of Bun's `publish`. Returns `None` if `bun` is not installed.
    pub async fn bun_room(pinning: CpuPinning) -> Option<Self> {
        let version = Command::new("bun").arg("--version").output().await;
        if !version.is_ok_and(|version| version.status.success()) {
            return None;
        }
        let mut command = with_log_discarded("bun".to_owned());
        command
            .arg("run")
            .arg(root().join("tests/benches/bun_room.js"));
        Some(Self::start("bun", command, pinning).await)
    }

    /// Starts the TLS echo of Bun, which `.ci/peers` installs.
    pub async fn bun_over_tls(
        certificate: &Path,
        private_key: &Path,
        client: &TlsClient,
        pinning: CpuPinning,
    ) -> Self {
        let bun = peer_program("bun/node_modules/.bin/bun");
        let mut command = with_log_discarded(bun.to_str().expect("the path is UTF-8").to_owned());
        command
            .arg("run")
            .arg(root().join("tests/benches/bun_echo.js"))
            .args([certificate, private_key]);
        let bench_server = Self::start("bun", command, pinning).await;
        bench_server.with_tls_client(client)
    }

    /// Returns the server with a client that reaches it over TLS.
    #[must_use]
    pub fn with_tls_client(self, client: &TlsClient) -> Self {
        let client = Some(client.clone());
        Self { client, ..self }
    }

    /// Logs in, and returns the stream for a load.
    pub(crate) async fn log_in_stream(&self) -> BenchStream {
        match &self.client {
            Some(client) => BenchStream::from(self.log_in_over_tls(client).await.into_inner()),
            None => BenchStream::Plain(self.log_in().await),
        }
    }

    /// Logs in over TLS.
    pub async fn log_in_over_tls(&self, client: &TlsClient) -> RawPeer<TlsStream<TcpStream>> {
        let mut peer = client.connect(&self.process).await;
        peer.log_in().await;
        peer
    }

    /// Logs in.
    pub async fn log_in(&self) -> TcpStream {
        let mut peer = self.process.connect().await;
        peer.log_in().await;
        RawPeer::into_inner(peer)
    }

    /// Connects, logs in, completes the closing handshake and reads the end.
    pub async fn connect_and_close(&self) {
        let mut peer = self.process.connect().await;
        peer.log_in().await;
        peer.send(frame::close(1000, "user exit")).await;
        assert_eq!(peer.close().await.0, 1000, "the reply to the Close frame");
        peer.end().await;
    }

    async fn start(name: &'static str, command: Command, pinning: CpuPinning) -> Self {
        pinning.pin_server();
        let process = ServerProcess::spawn(command).await;
        pinning.pin_load();
        Self {
            name,
            process,
            client: None,
        }
    }
}

/// Returns the command that starts a build of `ws-server` with this configuration file.
fn configured(binary: String, configuration: &Path) -> Command {
    let mut command = with_log_discarded(binary);
    command
        .arg("--config")
        .arg(configuration)
        .args(["--listen", "127.0.0.1:0"]);
    command
}

/// Returns the command that starts a server with its log discarded: reading it would take CPU time.
fn with_log_discarded(binary: String) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>/dev/null"]);
    command.arg(binary);
    command
}
