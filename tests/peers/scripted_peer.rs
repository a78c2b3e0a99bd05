//! A client or server of another library, controlled by a test.

use std::{path::Path, process::Stdio};

use integration_tests::{
    CONGRATULATION, SORRY, TEST_TIMEOUT, echoed, peer_program, root, wait_for_exit,
};
use proto::close::CloseReason;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// A library. A script beside this file makes a client or a server of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Library {
    /// The newest `websockets` for Python.
    PythonNewest,
    /// The threading API of the newest `websockets` for Python.
    PythonNewestSync,
    /// The last `websockets` before its asyncio API became the legacy one.
    PythonLegacy,
    /// `ws` for Node.
    NodeWs,
}

/// The peer's process. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct ScriptedPeer {
    child: Child,
    stdin: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
}

/// An action that the peer performs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Close(u16, &'a str),
}

/// An event that the peer reports.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// The server listens at this URL.
    Listening(String),
    /// The handshake succeeded.
    Opened,
    /// The handshake was refused with this status.
    Refused(u16),
    Text(String),
    Binary(Vec<u8>),
    /// The connection ended. The code is 1006 if there was no Close frame.
    Closed(u16, String),
}

impl Library {
    fn command(self) -> Command {
        match self {
            Self::PythonNewest => {
                script("python-newest/bin/python", &["asyncio_peer.py", "newest"])
            }
            Self::PythonNewestSync => script("python-newest/bin/python", &["sync_peer.py"]),
            Self::PythonLegacy => {
                script("python-legacy/bin/python", &["asyncio_peer.py", "legacy"])
            }
            Self::NodeWs => {
                let mut command = script("node/node", &["node_peer.js"]);
                command.env("NODE_PATH", peer_program("node/node_modules"));
                command
            }
        }
    }
}

/// Returns the command that runs a script beside this file.
fn script(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(peer_program(program));
    command
        .current_dir(root().join("tests/peers"))
        .args(arguments)
        // Ignore a configured proxy.
        .env("no_proxy", "*");
    command
}

impl ScriptedPeer {
    /// Starts a client.
    pub(crate) fn client(library: Library, url: &str) -> Self {
        let mut command = library.command();
        command.args(["client", url]);
        Self::spawn(command)
    }

    /// Starts a client that trusts the authority in this file.
    pub(crate) fn trusting(library: Library, url: &str, authority: &Path) -> Self {
        let mut command = library.command();
        command
            .args(["client", url])
            // The first variable is for Python, the second for Node.
            .env("SSL_CERT_FILE", authority)
            .env("NODE_EXTRA_CA_CERTS", authority);
        Self::spawn(command)
    }

    /// Starts a client, and waits for the handshake.
    pub(crate) async fn connected(library: Library, url: &str) -> Self {
        let mut peer = Self::client(library, url);
        assert_eq!(peer.event().await, Event::Opened);
        peer
    }

    /// Starts a client and logs in.
    pub(crate) async fn logged_in(library: Library, url: &str) -> Self {
        let mut peer = Self::connected(library, url).await;
        peer.text("admin:123456").await;
        assert_eq!(peer.event().await, congratulation());
        peer
    }

    /// Starts a server for one connection. Returns it with its URL.
    pub(crate) async fn server(library: Library) -> (Self, String) {
        Self::server_for(library, &["server"]).await
    }

    /// Starts a server that requires Basic authentication with these credentials.
    pub(crate) async fn server_with_basic(
        library: Library,
        name: &str,
        password: &str,
    ) -> (Self, String) {
        Self::server_for(library, &["server", name, password]).await
    }

    /// Starts a TLS server with the certificate and key in these files.
    pub(crate) async fn server_with_tls(
        library: Library,
        certificate: &str,
        key: &str,
    ) -> (Self, String) {
        Self::server_for(library, &["tls-server", certificate, key]).await
    }

    async fn server_for(library: Library, role: &[&str]) -> (Self, String) {
        let mut command = library.command();
        command.args(role);
        let mut peer = Self::spawn(command);
        match peer.event().await {
            Event::Listening(url) => (peer, url),
            event => panic!("the server does not listen: {event:?}"),
        }
    }

    /// Runs the tutorial's dialogue as a client.
    pub(crate) async fn run_dialogue(mut self) {
        self.text("admin:1").await;
        assert_eq!(self.event().await, text(SORRY));
        self.text("admin:123456").await;
        assert_eq!(self.event().await, congratulation());
        self.text("hello").await;
        assert_eq!(self.event().await, text(&echoed("hello")));
        self.close(1000, &CloseReason::UserExit.text()).await;
        assert_eq!(self.event().await, closed_for(CloseReason::UserExit));
        self.finish().await;
    }

    /// Accepts a connection and its first login, as a server.
    pub(crate) async fn accept_login(&mut self) {
        assert_eq!(self.event().await, Event::Opened);
        assert_eq!(self.event().await, Event::Text("admin:123456".to_owned()));
        self.text(CONGRATULATION).await;
    }

    /// Sends a text message.
    pub(crate) async fn text(&mut self, text: &str) {
        self.send_action(Action::Text(text)).await;
    }

    /// Sends a binary message.
    pub(crate) async fn binary(&mut self, bytes: &[u8]) {
        self.send_action(Action::Binary(bytes)).await;
    }

    /// Closes the connection.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) {
        self.send_action(Action::Close(code, reason)).await;
    }

    /// Returns the next event.
    pub(crate) async fn event(&mut self) -> Event {
        let line = timeout(TEST_TIMEOUT, self.events.next_line()).await;
        let line = line.expect("an event comes in time");
        match line.expect("the events are text") {
            Some(line) => serde_json::from_str(&line).expect("the line is an event"),
            None => panic!("the peer exited: {}", stderr_of(&mut self.child).await),
        }
    }

    /// Returns the next event, which must be a text message.
    pub(crate) async fn next_text(&mut self) -> String {
        match self.event().await {
            Event::Text(text) => text,
            event => panic!("not a text: {event:?}"),
        }
    }

    /// Waits for the exit. Asserts that there are no more events and no errors.
    pub(crate) async fn finish(self) {
        let Self {
            mut child,
            stdin,
            mut events,
        } = self;
        drop(stdin);
        let rest = async {
            let event = events.next_line().await.expect("the events are text");
            (event, stderr_of(&mut child).await)
        };
        let rest = timeout(TEST_TIMEOUT, rest)
            .await
            .expect("the peer ends in time");
        assert_eq!(rest, (None, String::new()));
        assert_eq!(wait_for_exit(&mut child).await.code(), Some(0));
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the peer starts");
        let stdin = child.stdin.take().expect("the stream is piped");
        let stdout = child.stdout.take().expect("the stream is piped");
        Self {
            child,
            stdin,
            events: BufReader::new(stdout).lines(),
        }
    }

    async fn send_action(&mut self, action: Action<'_>) {
        let mut line = serde_json::to_vec(&action).expect("every action can be serialized");
        line.push(b'\n');
        let sent = timeout(TEST_TIMEOUT, self.stdin.write_all(&line)).await;
        sent.expect("the peer reads in time")
            .expect("the peer is running");
    }
}

/// Returns the stderr of a process up to its end.
async fn stderr_of(child: &mut Child) -> String {
    let mut text = String::new();
    let stderr = child.stderr.as_mut().expect("the stream is piped");
    let read = stderr.read_to_string(&mut text).await;
    read.expect("stderr is text");
    text
}

/// Returns the event of a text message.
pub(crate) fn text(text: &str) -> Event {
    Event::Text(text.to_owned())
}

/// Returns the event of the congratulation.
pub(crate) fn congratulation() -> Event {
    text(CONGRATULATION)
}

/// Returns the event of a Close frame.
pub(crate) fn closed(code: u16, reason: &str) -> Event {
    Event::Closed(code, reason.to_owned())
}

/// Returns the event of the Close frame for a reason.
pub(crate) fn closed_for(reason: CloseReason) -> Event {
    closed(reason.code().0, &reason.text())
}
