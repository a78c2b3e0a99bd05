//! Notifications to the service manager (`sd_notify`).

use std::{
    ffi::OsString,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram as StdUnixDatagram},
    },
};

use integration_tests::{
    ACCOUNTS, CONFIGURATION, LoginMethod, RELOADED, ServerFiles, ServerProcess, TEST_TIMEOUT,
    account, accounts, assert_echo,
};
use rustix::{
    process::Signal,
    time::{ClockId, clock_gettime},
};
use tempfile::TempDir;
use tokio::{net::UnixDatagram, time::timeout};

/// A notification socket as systemd has it.
struct NotifySocket {
    inner: UnixDatagram,
    /// The value of `NOTIFY_SOCKET`.
    name: OsString,
    _directory: TempDir,
}

impl NotifySocket {
    /// Binds a socket at a path.
    fn with_path() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("notify");
        Self {
            inner: UnixDatagram::bind(&path).unwrap(),
            name: path.into(),
            _directory: directory,
        }
    }

    /// Binds a socket in the abstract namespace.
    fn with_abstract_name() -> Self {
        // The path of the directory makes the name unique.
        let directory = TempDir::new().unwrap();
        let name = directory.path().to_str().unwrap();
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let socket = StdUnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            inner: UnixDatagram::from_std(socket).unwrap(),
            name: format!("@{name}").into(),
            _directory: directory,
        }
    }

    /// Starts a server that notifies this socket.
    async fn start(&self, files: &ServerFiles) -> ServerProcess {
        self.start_with(files, &[]).await
    }

    /// Starts a server that notifies this socket, with these environment variables.
    async fn start_with(&self, files: &ServerFiles, variables: &[(&str, &str)]) -> ServerProcess {
        let mut command = files.command();
        command.env("NOTIFY_SOCKET", &self.name);
        command.envs(variables.iter().copied());
        ServerProcess::spawn(command).await
    }

    /// Returns the next notification.
    async fn next_message(&self) -> String {
        let mut notice = vec![0; 4096];
        let read = timeout(TEST_TIMEOUT, self.inner.recv(&mut notice)).await;
        notice.truncate(read.expect("the notification comes in time").unwrap());
        String::from_utf8(notice).unwrap()
    }

    /// Asserts that the next notification is that of a reload that started after this time.
    async fn assert_reloading(&self, earliest: i64) {
        let notice = self.next_message().await;
        let since = notice
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .and_then(|rest| rest.strip_suffix("\nSTATUS=reloading"));
        let since: i64 = since.expect(&notice).parse().expect(&notice);
        assert!((earliest..=monotonic_usec()).contains(&since), "{notice}");
    }
}

/// Returns the monotonic clock, in microseconds.
fn monotonic_usec() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

fn ready(server: &ServerProcess, accounts: usize) -> String {
    let address = server.address;
    format!("READY=1\nSTATUS=listening on {address}, accounts: {accounts}")
}

#[tokio::test]
async fn start_reloads_and_stop_are_notified() {
    for socket in [
        NotifySocket::with_path(),
        NotifySocket::with_abstract_name(),
    ] {
        let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
        let server = socket.start(&files).await;
        assert_eq!(socket.next_message().await, ready(&server, 1));

        let asked = monotonic_usec();
        files.replace(ACCOUNTS, &accounts(&[("jane", "1"), ("joe", "2")]));
        server.signal(Signal::HUP);
        socket.assert_reloading(asked).await;
        assert_eq!(socket.next_message().await, ready(&server, 2));

        // A failed reload changes nothing, and its status names the reason.
        let asked = monotonic_usec();
        files.replace(ACCOUNTS, &account("jane", "pasword = \"1\""));
        server.signal(Signal::HUP);
        socket.assert_reloading(asked).await;
        let expected = format!(
            "READY=1\nSTATUS=listening on {}; nothing was reloaded: {}: line 3: `user.pasword`: \
             unknown key `pasword`; did you mean `password`?",
            server.address,
            files.path(ACCOUNTS).display()
        );
        assert_eq!(socket.next_message().await, expected);

        // This reload follows the change of the file alone.
        let asked = monotonic_usec();
        files.replace(ACCOUNTS, &accounts(&[("joe", "2")]));
        socket.assert_reloading(asked).await;
        assert_eq!(socket.next_message().await, ready(&server, 1));

        server.signal(Signal::TERM);
        let stopping = "STOPPING=1\nSTATUS=ending all connections";
        assert_eq!(socket.next_message().await, stopping);
        let (code, _, log) = server.finish().await;
        assert_eq!(code, Some(0), "{log}");
        let more = socket.inner.try_recv(&mut [0; 1]);
        assert_eq!(more.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn stopping_is_notified_while_draining() {
    let socket = NotifySocket::with_path();
    let configuration = "[limits]\nclose_deadline = \"1h\"\ndrain_deadline = \"1h\"";
    let files = ServerFiles::new(configuration, &accounts(&[("jane", "1")]));
    let server = socket.start(&files).await;
    assert_eq!(socket.next_message().await, ready(&server, 1));
    let mut session = LoginMethod::Message.log_in(&server, "jane:1").await;
    server.signal(Signal::TERM);
    assert!(socket.next_message().await.starts_with("STOPPING=1\n"));
    assert_eq!(session.close().await.0, 1001);
}

#[tokio::test]
async fn watchdog_is_notified_every_half_interval() {
    let socket = NotifySocket::with_path();
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let started = monotonic_usec();
    let server = socket
        .start_with(&files, &[("WATCHDOG_USEC", "200000")])
        .await;
    assert_eq!(socket.next_message().await, ready(&server, 1));
    for _ in 0..3 {
        assert_eq!(socket.next_message().await, "WATCHDOG=1");
    }
    // The server notifies at half the watchdog interval.
    let passed = monotonic_usec() - started;
    assert!(passed >= 300_000, "{passed} microseconds");
}

/// A draining server still notifies the watchdog.
#[tokio::test]
async fn watchdog_is_notified_while_draining() {
    let socket = NotifySocket::with_path();
    let configuration = "[limits]\nclose_deadline = \"1h\"\ndrain_deadline = \"1h\"";
    let files = ServerFiles::new(configuration, &accounts(&[("jane", "1")]));
    let server = socket
        .start_with(&files, &[("WATCHDOG_USEC", "200000")])
        .await;
    let _session = LoginMethod::Message.log_in(&server, "jane:1").await;
    server.signal(Signal::TERM);
    while !socket.next_message().await.starts_with("STOPPING=1\n") {}
    for _ in 0..3 {
        assert_eq!(socket.next_message().await, "WATCHDOG=1");
    }
}

#[tokio::test]
async fn unread_notify_socket_does_not_block() {
    // Each reload sends two notifications: more than the socket and the queue hold.
    const RELOADS: usize = 300;
    let socket = NotifySocket::with_path();
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = socket.start(&files).await;
    for _ in 0..RELOADS {
        server.signal(Signal::HUP);
        server.log_line(RELOADED).await;
    }
    assert_echo(
        &mut LoginMethod::Message.log_in(&server, "jane:1").await,
        "hello",
    )
    .await;
    server.signal(Signal::TERM);
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn missing_notify_socket_is_logged() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut command = files.command();
    command.env("NOTIFY_SOCKET", files.path(CONFIGURATION).join("none"));
    let mut server = ServerProcess::spawn(command).await;
    let warning = server.log_line("service manager").await;
    assert!(warning.contains(" WARN "), "{warning}");
    assert!(
        warning.ends_with("/server.toml/none: Not a directory (os error 20)"),
        "{warning}"
    );
    assert_echo(
        &mut LoginMethod::Message.log_in(&server, "jane:1").await,
        "hello",
    )
    .await;
}
