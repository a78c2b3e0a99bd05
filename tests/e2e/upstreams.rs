//! Relays and streams, with processes on both sides.

use std::time::Duration;

use integration_tests::{
    ADMIN, Authority, LoginMethod, ServerFiles, ServerProcess, TEST_TIMEOUT, admin_account,
    authorization, client, ctl_ok, handshake_with, run,
};
use raw_peer::{RawPeer, frame};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// A server without a login, whose echo has no prefix.
const PUBLIC_ECHO: &str = "[[route]]\npath = \"/\"\nservice = \"echo\"\npublic = true\nprefix = \"\"\n\
                           [limits]\nmax_unauthenticated_per_address = \"off\"\n";

/// Returns the route of a service to an upstream.
fn route(path: &str, service: &str, to: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nservice = \"{service}\"\nto = \"{to}\"\n")
}

/// Logs in to a path by the handshake.
async fn log_in(server: &ServerProcess, path: &str) -> RawPeer<TcpStream> {
    let mut peer = server.connect().await;
    let request = handshake_with(&[&authorization("admin:123456")]);
    peer.send(request.replacen("GET / ", &format!("GET {path} "), 1))
        .await;
    let head = peer.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    peer
}

/// Returns the status line of a handshake with credentials.
async fn status(server: &ServerProcess, path: &str) -> String {
    let mut peer = server.connect().await;
    let request = handshake_with(&[&authorization("admin:123456")]);
    peer.send(request.replacen("GET / ", &format!("GET {path} "), 1))
        .await;
    peer.head().await.lines().next().unwrap().to_owned()
}

/// Echoes the bytes of each connection. Never returns.
async fn echo_bytes(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let (mut io, _) = listener.accept().await.unwrap();
        connections.spawn(async move {
            let (mut read, mut write) = io.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
    }
}

#[tokio::test]
async fn client_talks_through_relay_and_stream() {
    let upstream = ServerProcess::start_with(PUBLIC_ECHO).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut echo = JoinSet::new();
    echo.spawn(echo_bytes(listener));
    let routes = route("/chat/**", "relay", &upstream.url())
        + &route("/bytes", "stream", &format!("tcp://{address}"));
    let server = ServerFiles::with_admin(&routes).serve().await;
    let url = server.url();
    for path in ["chat/", "bytes"] {
        let finished = run(client([format!("{url}/{path}")]), "admin:123456\nhello\n").await;
        assert_eq!(finished.code, Some(0), "{path}: {finished:?}");
        assert!(
            finished.stdout().starts_with("hello"),
            "{path}: {finished:?}"
        );
    }
}

#[tokio::test]
async fn killed_upstream_ends_session_in_time() {
    let upstream = ServerProcess::start_with(PUBLIC_ECHO).await;
    let files = ServerFiles::with_admin(&route("/", "relay", &upstream.url()));
    let mut server = files.serve().await;
    for method in LoginMethod::ALL {
        let mut peer = method.log_in(&server, "admin:123456").await;
        peer.send(frame::text("hello")).await;
        assert_eq!(peer.text().await, "hello");
        if method == *LoginMethod::ALL.last().unwrap() {
            upstream.signal(Signal::KILL);
            let lost = (1011, "upstream connection lost".to_owned());
            assert_eq!(peer.close().await, lost);
            peer.send(frame::close(1011, "")).await;
            peer.end().await;
        }
    }
    let ended = server.log_line("upstream ended").await;
    assert!(
        ended.contains("INFO") && ended.ends_with(" reason=lost"),
        "{ended}"
    );
    assert_eq!(status(&server, "/").await, "HTTP/1.1 502 Bad Gateway");
    let warned = server
        .log_line("the upstream of a route is not available")
        .await;
    assert!(warned.contains("WARN"), "{warned}");
    assert!(warned.contains("route=/ reason="), "{warned}");
}

#[tokio::test]
async fn kick_ends_both_hops() {
    let upstream = ServerFiles::with_admin(PUBLIC_ECHO);
    let mut upstream = upstream.serve().await;
    let files =
        ServerFiles::with_admin(&(ADMIN.to_owned() + &route("/", "relay", &upstream.url())));
    let mut server = files.serve().await;
    let mut peer = LoginMethod::Basic.log_in(&server, "admin:123456").await;
    let opened = server.log_line("session opened").await;
    let (_, number) = opened.split_once("connection=").unwrap();
    let number = number.split(' ').next().unwrap();
    ctl_ok(&files, &["kick", number]).await;
    let kicked = (1008, "disconnected by an operator".to_owned());
    assert_eq!(peer.close().await, kicked);
    let ended = upstream.log_line("session ended").await;
    assert!(
        ended.contains("cause=closed by the peer: disconnected by an operator code=1008 "),
        "{ended}"
    );
}

#[tokio::test]
async fn encrypted_upstream_is_checked() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let upstream = ServerFiles::with_tls(PUBLIC_ECHO, &admin_account(), &issued);
    let upstream = upstream.serve().await;
    let port = upstream.address.port();
    let trusted =
        route("/trusted", "relay", &format!("wss://localhost:{port}")) + "ca = \"ca.pem\"\n";
    let foreign =
        route("/foreign", "relay", &format!("wss://localhost:{port}")) + "ca = \"other.pem\"\n";
    let named = route("/named", "relay", &format!("wss://127.0.0.1:{port}")) + "ca = \"ca.pem\"\n";
    let files = ServerFiles::with_admin(&(trusted + &foreign + &named));
    files.overwrite("ca.pem", &authority.certificate());
    files.overwrite("other.pem", &Authority::new().certificate());
    let server = files.serve().await;
    let mut peer = log_in(&server, "/trusted").await;
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, "hello");
    for path in ["/foreign", "/named"] {
        assert_eq!(
            status(&server, path).await,
            "HTTP/1.1 502 Bad Gateway",
            "{path}"
        );
    }
}

/// Accepts a connection and returns the head of its request.
async fn head_of(listener: &TcpListener) -> String {
    let accepted = timeout(TEST_TIMEOUT, listener.accept()).await;
    let (mut io, _) = accepted.expect("the server connects").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    io.shutdown().await.unwrap();
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn changed_secret_is_sent_without_restart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("ws://{}", listener.local_addr().unwrap());
    let relay = route("/", "relay", &to) + "headers = { Authorization = { file = \"token\" } }\n";
    let files = ServerFiles::with_admin(&relay);
    files.overwrite("token", "Bearer one\n");
    files.allow("token", 0o600);
    let mut server = files.serve().await;
    for token in ["one", "two"] {
        if token == "two" {
            files.overwrite("token", "Bearer two\n");
            server.log_line("reloaded").await;
        }
        let (status, head) = tokio::join!(status(&server, "/"), head_of(&listener));
        assert!(
            head.contains(&format!("\r\nAuthorization: Bearer {token}\r\n")),
            "{head}"
        );
        assert_eq!(status, "HTTP/1.1 502 Bad Gateway");
    }
    let checked = run(files.command_with(&["--check-config"]), "").await;
    assert!(!checked.stdout().contains("Bearer"), "{checked:?}");
    files.allow("token", 0o644);
    let checked = run(files.command_with(&["--check-config"]), "").await;
    assert_eq!(checked.code, Some(2));
    assert!(
        checked.stderr.contains("this secret (mode 0644)"),
        "{}",
        checked.stderr
    );
}

/// Descriptors are closed after the close of a connection, which the other side may not wait for.
async fn assert_descriptors(server: &ServerProcess, most: usize) {
    let settle = async {
        while server.descriptors() > most {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let settled = timeout(TEST_TIMEOUT, settle).await;
    assert!(settled.is_ok(), "{} descriptors", server.descriptors());
}

#[tokio::test]
async fn thousand_sessions_leave_no_descriptor() {
    let upstream = ServerProcess::start_with(PUBLIC_ECHO).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut echo = JoinSet::new();
    echo.spawn(echo_bytes(listener));
    let routes = route("/relay", "relay", &upstream.url())
        + &route("/stream", "stream", &format!("tcp://{address}"));
    let server = ServerFiles::with_admin(&routes).serve().await;
    for path in ["/relay", "/stream"] {
        log_in(&server, path).await;
    }
    assert_descriptors(&server, usize::MAX).await;
    let before = server.descriptors();
    for round in 0..25 {
        let mut peers = Vec::new();
        for number in 0..40 {
            let path = ["/relay", "/stream"][number % 2];
            peers.push(log_in(&server, path).await);
        }
        for (number, mut peer) in peers.into_iter().enumerate() {
            peer.send(frame::binary(b"hello")).await;
            assert_eq!(peer.frame().await.payload, b"hello");
            // Half of them leave without a Close frame.
            if (number / 2 + round) % 2 == 0 {
                peer.send(frame::close(1000, "")).await;
                peer.close().await;
            }
        }
    }
    assert_descriptors(&server, before).await;
}
