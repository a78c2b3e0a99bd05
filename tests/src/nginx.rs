//! An nginx process.

use std::{fs, net::TcpListener, os::fd::OwnedFd, process::Stdio};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::{TEST_TIMEOUT, peer_program, send_signal};

/// The configuration before the `http` content of a test.
const MAIN: &str = "daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr notice;

events {}

http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

";

/// An nginx process. Dropping it ends the process.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    /// Keeps the stderr pipe open.
    _log: Lines<BufReader<ChildStderr>>,
    /// The prefix directory.
    _directory: TempDir,
}

impl Nginx {
    /// Starts nginx with this `http` content and prefix directory, and waits until it serves.
    ///
    /// nginx does not report the port that it bound. So it inherits listening sockets, like an
    /// nginx that replaces another one in an upgrade.
    pub async fn start<const N: usize>(
        directory: TempDir,
        http: &str,
        listeners: [TcpListener; N],
    ) -> Self {
        let mut listeners = listeners.map(OwnedFd::from).into_iter();
        let mut command = Self::command(&directory, http);
        command
            .env("NGINX", ["", "0;", "0;1;"][N])
            .stdin(listeners.next().map_or_else(Stdio::null, Stdio::from))
            .stdout(listeners.next().map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("nginx can be run");
        let log = child.stderr.take().expect("the stream is piped");
        let mut log = BufReader::new(log).lines();
        let mut output = String::new();
        while !output.contains("start worker process") {
            let line = timeout(TEST_TIMEOUT, log.next_line()).await;
            let line = line.expect("nginx starts in time");
            let line = line.expect("the log can be read");
            output += &line.unwrap_or_else(|| panic!("nginx does not start: {output}"));
        }
        Self {
            child,
            _log: log,
            _directory: directory,
        }
    }

    /// Returns the command that starts nginx with this `http` content, on sockets of its own.
    pub fn command(directory: &TempDir, http: &str) -> Command {
        let file = directory.path().join("nginx.conf");
        fs::write(&file, format!("{MAIN}{http}\n}}\n")).expect("the file can be written");
        let mut command = Command::new(peer_program("nginx/usr/sbin/nginx"));
        command
            .args(["-e", "stderr", "-p"])
            .arg(directory.path())
            .arg("-c")
            .arg(file);
        command
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL would leave the worker behind. A master that has exited has no worker.
        if self.child.id().is_some() {
            send_signal(&self.child, Signal::TERM);
        }
    }
}
