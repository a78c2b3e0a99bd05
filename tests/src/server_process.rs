//! A running server.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use raw_peer::{HANDSHAKE, RawPeer};
use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

use crate::{
    CONFIGURATION, ServerFiles, TEST_TIMEOUT, connect_from, fixture, fixtures, process::pid_of,
    run, send_signal, server_binary, wait_for_exit,
};

/// A server process on a free port. Dropping it kills the process.
#[derive(Debug)]
pub struct ServerProcess {
    /// The address of the listener.
    pub address: SocketAddr,
    /// The scheme of the URL.
    scheme: &'static str,
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
    /// The files of a server that owns them.
    _files: Option<ServerFiles>,
}

impl ServerProcess {
    /// Starts a server with the defaults and the account of the fixtures.
    pub async fn start() -> Self {
        Self::spawn(Self::command(&fixture(CONFIGURATION))).await
    }

    /// Starts a server with this configuration and the account of the fixtures.
    pub async fn start_with(configuration: &str) -> Self {
        let files = ServerFiles::with_admin(configuration);
        let server = Self::spawn(files.command()).await;
        Self {
            _files: Some(files),
            ..server
        }
    }

    /// Returns the command that starts a server with this configuration file, on a free port.
    pub fn command(configuration: &Path) -> Command {
        let mut command = Command::new(server_binary());
        command
            .arg("--config")
            .arg(configuration)
            .args(["--listen", "127.0.0.1:0"]);
        command
    }

    /// Returns the command that starts a server with these arguments of `ulimit`.
    pub fn limited_command(ulimit: &str, configuration: &Path) -> Command {
        let server = Self::command(configuration);
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("ulimit {ulimit} && exec \"$0\" \"$@\""))
            .arg(server.as_std().get_program())
            .args(server.as_std().get_args());
        command
    }

    /// Starts a server, and waits until it listens.
    pub async fn spawn(command: Command) -> Self {
        Self::spawn_with_log(command, "info").await
    }

    /// Starts a server with this log level, and waits until it listens.
    pub async fn spawn_with_log(mut command: Command, detail: &str) -> Self {
        command.env("RUST_LOG", detail);
        Self::spawn_with_environment(command).await
    }

    /// Starts a server with the environment of the command, and waits until it listens.
    pub async fn spawn_with_environment(mut command: Command) -> Self {
        let mut child = command
            .current_dir(fixtures())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("the stream is piped");
        let log = child.stderr.take().expect("the stream is piped");
        let mut stdout = BufReader::new(stdout).lines();
        let log = BufReader::new(log).lines();
        let line = timeout(TEST_TIMEOUT, stdout.next_line())
            .await
            .expect("the server listens in time");
        let line = line
            .expect("stdout can be read")
            .expect("stdout names the address");
        let listening = ["ws", "wss"].into_iter().find_map(|scheme| {
            let url = line.strip_prefix("listening on ")?;
            let address = url.strip_prefix(scheme)?.strip_prefix("://")?;
            Some((scheme, address.parse().ok()?))
        });
        let (scheme, address) = listening.expect("stdout names the address");
        Self {
            address,
            scheme,
            child,
            stdout,
            log,
            _files: None,
        }
    }

    /// Returns the URL.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Connects.
    pub async fn connect(&self) -> RawPeer<TcpStream> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.expect("the server accepts");
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        RawPeer::new(stream)
    }

    /// Connects from this address.
    pub async fn connect_from(&self, address: [u8; 4]) -> RawPeer<TcpStream> {
        let stream = connect_from(address.into(), self.address).await;
        RawPeer::new(stream.expect("the server accepts"))
    }

    /// Returns whether a new connection is upgraded.
    pub async fn is_accepting(&self) -> bool {
        let mut peer = self.connect().await;
        peer.try_send(HANDSHAKE).await;
        let head = peer.try_head().await;
        head.is_some_and(|head| head.starts_with("HTTP/1.1 101 "))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        send_signal(&self.child, signal);
    }

    /// Returns the process id.
    pub fn pid(&self) -> Pid {
        pid_of(&self.child)
    }

    /// Returns the resident memory, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let statm = self.proc("statm");
        let pages = statm.split_whitespace().nth(1);
        let pages: u64 = pages
            .and_then(|pages| pages.parse().ok())
            .expect("the second field is a number");
        pages * rustix::param::page_size() as u64
    }

    /// Returns the peak resident memory, in bytes.
    pub fn peak_resident_bytes(&self) -> u64 {
        let status = self.proc("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.split_whitespace().next());
        let kib: Option<u64> = kib.and_then(|kib| kib.parse().ok());
        1024 * kib.expect("VmHWM is in KiB")
    }

    /// Returns the number of open descriptors.
    pub fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid().as_raw_nonzero()));
        open.expect("the process is in /proc").count()
    }

    /// Returns the CPU time used so far.
    pub fn processor_time(&self) -> Duration {
        let stat = self.proc("stat");
        // User and system time are fields 14 and 15. The second field, in parentheses, may contain
        // spaces.
        let (_, fields) = stat
            .rsplit_once(')')
            .expect("the second field is in parentheses");
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields
            .map(|field| field.parse::<u64>().expect("the value is a number"))
            .sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Reads a file of the process in `/proc`.
    fn proc(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.pid().as_raw_nonzero());
        fs::read_to_string(path).expect("the process is in /proc")
    }

    /// Reads the log up to a line that contains this text, and returns that line.
    pub async fn log_line(&mut self, text: &str) -> String {
        let mut lines = self.log_up_to(text).await;
        lines.pop().expect("the last line matches")
    }

    /// Reads the log until there is a line for each of these texts, in any order.
    pub async fn log_lines<const N: usize>(&mut self, texts: [&str; N]) -> [String; N] {
        let mut lines = Vec::new();
        for text in texts {
            if !lines.iter().any(|line: &String| line.contains(text)) {
                lines.extend(self.log_up_to(text).await);
            }
        }
        texts.map(|text| {
            let line = lines.iter().find(|line| line.contains(text));
            line.expect("a line matches").clone()
        })
    }

    /// Reads the log up to a line that contains this text, and returns all new lines.
    pub async fn log_up_to(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = timeout(TEST_TIMEOUT, self.log.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("{text:?} is not logged: {lines:#?}"));
            let line = line.expect("the log can be read");
            let line = line.unwrap_or_else(|| panic!("{text:?} is not logged: {lines:#?}"));
            let found = line.contains(text);
            lines.push(line);
            if found {
                return lines;
            }
        }
    }

    /// Waits for the exit. Returns the exit code, and the rest of stdout and of the log.
    pub async fn finish(mut self) -> (Option<i32>, String, String) {
        let (mut stdout, mut log) = (String::new(), String::new());
        let read = async {
            let mut out = self.stdout.into_inner();
            let mut err = self.log.into_inner();
            let (out, err) = tokio::join!(
                out.read_to_string(&mut stdout),
                err.read_to_string(&mut log)
            );
            out.and(err).expect("the output is text");
        };
        timeout(TEST_TIMEOUT, read)
            .await
            .expect("the server ends in time");
        (wait_for_exit(&mut self.child).await.code(), stdout, log)
    }
}

/// Returns the output of `--check-config` for a configuration file.
pub async fn resolved(configuration: &Path) -> String {
    let mut command = Command::new(server_binary());
    command
        .arg("--check-config")
        .arg("--config")
        .arg(configuration);
    let finished = run(command, "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout().to_owned()
}
