//! nginx between a client and `ws-server`.

use std::net::{SocketAddr, TcpListener};

use integration_tests::{
    CLOSED_BY_USER_EXIT, CONNECTION_LOST, DRAINING, LoginMethod, Nginx, SESSION_ENDED,
    SESSION_OPENED, SORRY, ServerProcess, client, close_frame_of, echoed, echoed_lines, run, spawn,
    wait_for_output, welcome_and_goodbye,
};
use proto::close::CloseReason;
use raw_peer::{HANDSHAKE, RawPeer, frame};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
};

use crate::{
    as_upstream::relay_to,
    scripted_peer::{Library, ScriptedPeer},
};

/// An nginx that forwards to a server. Dropping it ends the process.
#[derive(Debug)]
struct NginxProxy {
    address: SocketAddr,
    _nginx: Nginx,
}

impl NginxProxy {
    /// Starts a proxy in front of a server.
    async fn start(server: SocketAddr) -> Self {
        Self::with_read_timeout(server, "1h").await
    }

    /// Starts a proxy with this read timeout.
    async fn with_read_timeout(server: SocketAddr, read_timeout: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let configuration = include_str!("nginx.conf")
            .replace("@PROXY@", &address.to_string())
            .replace("@SERVER@", &server.to_string())
            .replace("@READ_TIMEOUT@", read_timeout);
        let directory = TempDir::new().unwrap();
        Self {
            address,
            _nginx: Nginx::start(directory, &configuration, [listener]).await,
        }
    }

    fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    async fn connect(&self) -> RawPeer<TcpStream> {
        RawPeer::new(TcpStream::connect(self.address).await.unwrap())
    }
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn nginx_works_as_upstream_of_relay() {
    let echo = "[[route]]\npath = \"/\"\nservice = \"echo\"\npublic = true\nprefix = \"\"\n\
                max_message_bytes = \"1MiB\"\n";
    // nginx passes on the name that the relay uses for it.
    let echo = format!("trusted_proxies = [\"127.0.0.1\"]\n{echo}");
    let upstream = ServerProcess::start_with(&echo).await;
    let proxy = NginxProxy::start(upstream.address).await;
    let server = relay_to(&proxy.url()).await;
    let mut client = LoginMethod::Basic.log_in(&server, "admin:123456").await;
    let mebibyte = "0123456789abcdef".repeat(1_048_576 / 16);
    for message in ["hello", &mebibyte] {
        client.send(frame::text(message)).await;
        assert!(client.text().await == message);
    }
    client.send(frame::close(1000, "done")).await;
    assert_eq!(client.close().await, (1000, "done".to_owned()));
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn dialogue_works_through_nginx() {
    let mut server = ServerProcess::start().await;
    let proxy = NginxProxy::start(server.address).await;
    let finished = run(
        client([proxy.url()]),
        "admin:1\nadmin:123456\nhello\nexit\n",
    )
    .await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), echoed_lines(["hello"]));
    assert_eq!(
        finished.stderr,
        format!("{SORRY}\n{}", welcome_and_goodbye())
    );
    let ended = server.log_line(SESSION_ENDED).await;
    assert!(ended.contains(CLOSED_BY_USER_EXIT), "{ended}");
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn library_clients_work_through_nginx() {
    for library in [Library::PythonNewest, Library::NodeWs] {
        let server = ServerProcess::start().await;
        let proxy = NginxProxy::start(server.address).await;
        let peer = ScriptedPeer::connected(library, &proxy.url()).await;
        peer.run_dialogue().await;
    }
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn mebibyte_message_passes_nginx() {
    let server = ServerProcess::start().await;
    let proxy = NginxProxy::start(server.address).await;
    let line = "0123456789abcdef".repeat(1_048_576 / 16);
    assert_eq!(line.len(), 1_048_576);
    let finished = run(client([proxy.url()]), format!("admin:123456\n{line}\n")).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout() == echoed_lines([&line]));
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn draining_server_gets_no_new_sessions() {
    let mut server =
        ServerProcess::start_with("[limits]\nclose_deadline = \"1h\"\ndrain_deadline = \"1h\"")
            .await;
    let proxy = NginxProxy::start(server.address).await;
    let mut session = proxy.connect().await;
    session.log_in().await;
    server.signal(Signal::TERM);
    server.log_line(DRAINING).await;
    let end = close_frame_of(CloseReason::ShuttingDown { back_in: 2 });
    assert_eq!(session.close().await, end);
    // The session does not answer the Close frame, so the server keeps draining.
    let finished = run(client([proxy.url()]), "admin:123456\n").await;
    assert_eq!(finished.code, Some(6), "{finished:?}");
    assert!(finished.stderr.contains("502"), "{}", finished.stderr);
    session.send(frame::close(1001, "")).await;
    session.end().await;
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn absent_server_is_reported_as_502() {
    // A bound port without a listener stays reserved.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let proxy = NginxProxy::start(socket.local_addr().unwrap()).await;
    let finished = run(client([proxy.url()]), "admin:123456\n").await;
    assert_eq!(finished.code, Some(6), "{finished:?}");
    assert!(finished.stderr.contains("502"), "{}", finished.stderr);
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn full_server_sends_retry_after() {
    let server = ServerProcess::start_with("[limits]\nmax_connections = 1").await;
    let proxy = NginxProxy::start(server.address).await;
    let mut session = proxy.connect().await;
    session.log_in().await;
    let mut refused = proxy.connect().await;
    refused.send(HANDSHAKE).await;
    let head = refused.head().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.to_lowercase().contains("\r\nretry-after: "), "{head}");
}

#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn killed_server_is_seen_as_lost() {
    let mut server = ServerProcess::start().await;
    let proxy = NginxProxy::start(server.address).await;
    let mut client = spawn(client([proxy.url()]));
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"admin:123456\n").await.unwrap();
    server.log_line(SESSION_OPENED).await;
    server.signal(Signal::KILL);
    let finished = wait_for_output(client).await;
    assert_eq!(finished.code, Some(8), "{finished:?}");
    assert!(finished.stderr.contains(CONNECTION_LOST), "{finished:?}");
}

/// The proxy forwards `Origin` and the original `Host`, which may be any name from a trusted proxy.
#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn only_pages_of_the_same_host_connect() {
    let server = ServerProcess::start_with("trusted_proxies = [\"127.0.0.1\"]\n").await;
    let proxy = NginxProxy::start(server.address).await;
    for (origin, answer) in [
        ("http://example.org", "HTTP/1.1 101 "),
        ("https://example.org", "HTTP/1.1 101 "),
        ("https://example.com", "HTTP/1.1 403 "),
    ] {
        let fields = format!("Host: example.org\r\nOrigin: {origin}\r\n");
        let mut page = proxy.connect().await;
        page.send(HANDSHAKE.replace("Host: localhost\r\n", &fields))
            .await;
        let head = page.head().await;
        assert!(head.starts_with(answer), "{origin}: {head}");
    }
}

/// nginx closes idle connections. The server's pings keep them open, even before the pongs arrive.
#[tokio::test]
#[ignore = "needs the peers of .ci/peers"]
async fn pings_keep_an_idle_session_open() {
    let server = ServerProcess::start_with("[limits]\nping_interval = \"100ms\"").await;
    let proxy = NginxProxy::with_read_timeout(server.address, "2s").await;
    let mut session = proxy.connect().await;
    session.log_in().await;
    // All pings together take longer than the read timeout.
    for _ in 0..25 {
        let ping = session.frame().await;
        assert_eq!(ping.first, 0x89, "{ping:?}");
        session.send(frame::pong(&ping.payload)).await;
    }
    session.send(frame::text("hello")).await;
    assert_eq!(session.text().await, echoed("hello"));
}
