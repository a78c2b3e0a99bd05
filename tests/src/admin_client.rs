//! Clients of the admin interface.

use std::net::SocketAddr;

use raw_peer::RawPeer;
use tokio::{
    net::{TcpStream, UnixStream},
    process::Command,
};

use crate::{
    CONFIGURATION, HttpResponse, ProcessOutput, ServerFiles, ServerProcess, run, send_request,
    server_binary,
};

/// The configuration of the admin interface: a socket beside the configuration file, and a free TCP
/// port.
pub const ADMIN: &str = "[admin]\nlisten = [\"unix:admin.sock\", \"127.0.0.1:0\"]\n";

/// Runs `ws-server ctl` for the server of these files.
pub async fn ctl(files: &ServerFiles, arguments: &[&str]) -> ProcessOutput {
    let mut command = Command::new(server_binary());
    command.arg("ctl").args(arguments);
    command.arg("--config").arg(files.path(CONFIGURATION));
    run(command, "").await
}

/// Runs `ws-server ctl`, asserts success, and returns its stdout.
pub async fn ctl_ok(files: &ServerFiles, arguments: &[&str]) -> String {
    let finished = ctl(files, arguments).await;
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    assert_eq!(finished.stderr, "", "{arguments:?}");
    finished.stdout().to_owned()
}

/// An HTTP client of the admin TCP address, which serves health and metrics.
#[derive(Debug, Clone, Copy)]
pub struct AdminClient(SocketAddr);

impl AdminClient {
    /// Creates a client for a server configured with [`ADMIN`]. Reads the address from its log.
    pub async fn for_server(server: &mut ServerProcess) -> Self {
        let line = server
            .log_line("admin interface listening address=127.0.0.1:")
            .await;
        let (_, address) = line.rsplit_once('=').expect("the line has an address");
        Self(address.parse().expect("the address is valid"))
    }

    /// Returns the admin TCP address.
    pub fn address(self) -> SocketAddr {
        self.0
    }

    /// Sends a request without a body.
    pub async fn request(self, method: &str, path: &str) -> HttpResponse {
        let stream = TcpStream::connect(self.0).await;
        let peer = RawPeer::new(stream.expect("the listener has an address"));
        send_request(peer, &request(method, path)).await
    }

    /// Returns the metrics.
    pub async fn metrics(self) -> String {
        self.request("GET", "/metrics").await.body
    }

    /// Returns the value of one series, given by name and labels.
    pub async fn metric(self, series: &str) -> u64 {
        value_of(series, &self.metrics().await)
    }
}

/// Returns the value of one series of the server of these files, configured with [`ADMIN`]. Reads it
/// from the admin socket, so that the log may be discarded.
pub async fn metric_over_socket(files: &ServerFiles, series: &str) -> u64 {
    let stream = UnixStream::connect(files.path("admin.sock")).await;
    let peer = RawPeer::new(stream.expect("the server has an admin socket"));
    let response = send_request(peer, &request("GET", "/metrics")).await;
    value_of(series, &response.body)
}

/// Returns the text of a request without a body.
fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// Returns the value of the only series of this name and labels.
fn value_of(series: &str, metrics: &str) -> u64 {
    let mut values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = values.next();
    let value = value.unwrap_or_else(|| panic!("{series} is not in {metrics}"));
    assert!(values.next().is_none(), "duplicate series {series}");
    value.parse().expect("the value is a number")
}
