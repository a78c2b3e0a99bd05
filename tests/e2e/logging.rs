//! What the server says on stderr, and what it never says.

use std::process::Stdio;

use integration_tests::{Server, shipped};
use raw_peer::{HANDSHAKE, RawPeer, frame};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
};

#[tokio::test]
async fn a_session_has_a_line_when_it_opens_and_one_when_it_ends() {
    let mut server = Server::start().await;
    let mut peer = server.connect().await;
    peer.log_in().await;
    let opened = server.log_line("session opened").await;
    assert!(opened.contains(" INFO "), "{opened}");
    assert!(opened.contains("connection=1 peer=127.0.0.1:"), "{opened}");
    assert!(opened.ends_with(" user=admin path=/"), "{opened}");
    peer.send(frame::text("hello")).await;
    peer.text().await;
    peer.send(frame::close(1000, "bye\x1b[2J")).await;
    peer.close().await;
    let ended = server.log_line("session ended").await;
    for part in [
        " user=admin ",
        " cause=closed by the peer: bye\\u{1b}[2J ",
        " code=1000 ",
        " messages_in=1 bytes_in=5 messages_out=1 bytes_out=26",
    ] {
        assert!(ended.contains(part), "{part:?} is not in {ended}");
    }
}

#[tokio::test]
async fn the_start_says_what_a_newcomer_needs() {
    let mut server = Server::start().await;
    let read = server.log_line("read ").await;
    assert!(
        read.contains("server.toml") && read.contains("credentials.toml"),
        "{read}"
    );
    let warning = server.log_line("development password").await;
    assert!(warning.contains(" WARN "), "{warning}");
    server.log_line("cargo run -p ws-client").await;
}

#[tokio::test]
async fn each_wrong_login_has_a_line_with_neither_name_nor_password() {
    let mut server = Server::start().await;
    let mut peer = server.connect().await;
    peer.upgrade().await;
    peer.send(frame::text("hunter2\x1b[31m:hunter3")).await;
    peer.text().await;
    let line = server.log_line("login failed").await;
    let expected = "event=login_failed peer=127.0.0.1 connection=1 way=message reason=malformed";
    assert!(line.ends_with(expected), "{line}");
    peer.send(frame::text("hunter2:hunter3")).await;
    peer.text().await;
    let line = server.log_line("login failed").await;
    let (_, name) = line.split_once(" user=\"unknown:").expect("it has a name");
    let (hash, rest) = name.split_at(8);
    assert!(hash.chars().all(|c| c.is_ascii_hexdigit()), "{line}");
    assert_eq!(rest, "\" reason=unknown_user");
}

/// The WebSocket library offers whole messages to the log at its most detailed level.
#[tokio::test]
async fn no_password_and_no_message_reaches_the_most_detailed_log() {
    let command = Server::command(&shipped("server.toml"));
    let mut server = Server::spawn_with_log(command, None, "trace").await;
    let mut refused = server.connect().await;
    refused
        .send("GET /canary-path HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    refused.head().await;
    drop(refused);
    let detail = server.log_line("handshake refused").await;
    assert!(
        detail.contains("DEBUG") && !detail.contains("canary"),
        "{detail}"
    );
    let mut peer = server.connect().await;
    peer.send(HANDSHAKE.replace("GET / ", "GET /?token=canary-query "))
        .await;
    peer.head().await;
    peer.send(frame::text("canary-name:canary-password")).await;
    peer.text().await;
    peer.send(frame::text("admin:123456")).await;
    peer.text().await;
    peer.send(frame::text("canary-message")).await;
    peer.text().await;
    peer.send(frame::close(1000, "")).await;
    peer.close().await;
    server.signal(rustix::process::Signal::TERM);
    let (_, _, log) = server.finish().await;
    assert!(log.contains("session ended"), "{log}");
    for secret in ["canary", "123456"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_nothing() {
    // Two lines each: more than the pipe and the lines that may wait.
    const SESSIONS: usize = 2000;
    let mut child = Server::command(&shipped("server.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("RUST_LOG", "trace")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = stdout.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("listening on ws://").unwrap().to_owned();
    let mut last = None;
    for _ in 0..SESSIONS {
        let mut peer = RawPeer::new(TcpStream::connect(&address).await.unwrap());
        peer.log_in().await;
        last = Some(peer);
    }
    let mut peer = last.unwrap();
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, "your submit context: hello");
}
