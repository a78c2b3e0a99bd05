//! The client's TLS connections over time: deadlines, signals and endings.

use std::{fmt::Write as _, sync::Arc};

use futures::{SinkExt as _, StreamExt as _};
use integration_tests::{
    CONGRATULATION, PREFIX, RelayOutcome, ServerProcess, TEST_TIMEOUT, TlsProxy, client, echoed,
    echoed_lines, run, send_signal, spawn, wait_for_exit,
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{accept_async, tungstenite::Message};

use super::trusted_authority::{LOOPBACK, TrustedAuthority};

/// Listens on a free port without answering.
async fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn silent_tls_handshake_times_out() {
    let (_listener, url) = silent_server().await;
    let trusted = TrustedAuthority::new();
    let cacert = trusted.cacert();
    let flags = ["--connect-deadline", "50ms", "--cacert", &cacert];
    let expected = format!(
        "ws-client: {} did not complete the TLS handshake within 50ms\n",
        &url["wss://".len()..]
    );
    for arguments in [vec![url.as_str()], vec!["handshake", &url]] {
        let finished = run(client([&arguments[..], &flags].concat()), "").await;
        assert_eq!(finished.code, Some(7), "{finished:?}");
        assert_eq!(finished.stderr, expected);
    }
}

/// TCP, TLS and the response share one deadline.
#[tokio::test]
async fn silent_server_after_tls_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let trusted = TrustedAuthority::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let proxy = TlsProxy::start(listener.local_addr().unwrap(), &issued).await;
    let cacert = trusted.cacert();
    let url = proxy.url();
    let flags = ["--connect-deadline", "500ms", "--cacert", &cacert, &url];
    let finished = run(client(flags), "").await;
    assert_eq!(finished.code, Some(7), "{finished:?}");
    let late = [
        "ws-client: the server did not complete its answer within 500ms\n".to_owned(),
        // On a busy machine the deadline may pass during the TLS handshake.
        format!(
            "ws-client: {} did not complete the TLS handshake within 500ms\n",
            proxy.authority()
        ),
    ];
    assert!(late.contains(&finished.stderr), "{finished:?}");
}

#[tokio::test]
async fn sigint_ends_the_tls_handshake() {
    let (listener, url) = silent_server().await;
    let trusted = TrustedAuthority::new();
    let mut child = spawn(client([&url, "--cacert", &trusted.cacert()]));
    let (mut stream, _) = timeout(TEST_TIMEOUT, listener.accept())
        .await
        .unwrap()
        .unwrap();
    let mut hello = [0; 1];
    stream.read_exact(&mut hello).await.unwrap();
    send_signal(&child, Signal::INT);
    assert_eq!(wait_for_exit(&mut child).await.code(), Some(130));
}

#[tokio::test]
async fn missing_close_frame_is_a_lost_connection() {
    let server = ServerProcess::start().await;
    let trusted = TrustedAuthority::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let proxy = TlsProxy::start(server.address, &issued).await;
    let mut child = spawn(client([&proxy.url(), "--cacert", &trusted.cacert()]));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    stdin.write_all(b"admin:123456\nhello\n").await.unwrap();
    let line = timeout(TEST_TIMEOUT, stdout.next_line())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(line.unwrap(), echoed("hello"));
    // TCP ends without a TLS `close_notify`.
    drop(proxy);
    assert_eq!(wait_for_exit(&mut child).await.code(), Some(8));
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .await
        .unwrap();
    let output = "ws-client: the connection was lost: the server ended it without a close frame\n";
    assert!(stderr.ends_with(output), "{stderr}");
}

#[tokio::test]
async fn shutdown_is_answered_with_close_notify() {
    let server = ServerProcess::start().await;
    let trusted = TrustedAuthority::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let mut proxy = TlsProxy::start(server.address, &issued).await;
    let mut child = spawn(client([&proxy.url(), "--cacert", &trusted.cacert()]));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    stdin.write_all(b"admin:123456\nhello\n").await.unwrap();
    let line = timeout(TEST_TIMEOUT, stdout.next_line()).await.unwrap();
    assert_eq!(line.unwrap().as_deref(), Some(&*echoed("hello")));
    server.signal(Signal::TERM);
    assert_eq!(wait_for_exit(&mut child).await.code(), Some(8));
    let outcome = proxy.next_outcome().await;
    assert!(matches!(outcome, RelayOutcome::Closed(_)), "{outcome:?}");
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
}

/// A missing `close_notify` after the closing handshake is not an error.
#[tokio::test]
async fn missing_close_notify_after_close_is_no_error() {
    let trusted = TrustedAuthority::new();
    let config = trusted.authority.issue(LOOPBACK).server_config();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let stream = acceptor.accept(stream).await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        let mut output = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = &message {
                output.push(text.to_string());
                let answer = Message::text(CONGRATULATION);
                socket.send(answer).await.unwrap();
            }
            if message.is_close() {
                socket.flush().await.unwrap();
                break;
            }
        }
        // TCP ends without a `close_notify`.
        drop(socket);
        output
    };
    let (finished, output) = tokio::join!(trusted.run(&url, "admin:123456\nhello\n"), serve);
    assert_eq!(output, ["admin:123456", "hello"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), format!("{CONGRATULATION}\n"));
    assert!(!finished.stderr.contains("ws-client: "), "{finished:?}");
}

#[tokio::test]
async fn long_message_and_many_lines_are_echoed() {
    let server = ServerProcess::start_with("[limits]\nmax_message_bytes = \"16MiB\"\n").await;
    let trusted = TrustedAuthority::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let proxy = TlsProxy::start(server.address, &issued).await;

    let long = "0123456789abcdef".repeat((1 << 20) - 2);
    let finished = trusted
        .run(&proxy.url(), &format!("admin:123456\n{long}\n"))
        .await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout() == echoed_lines([&long]));

    let (mut input, mut expected) = ("admin:123456\n".to_owned(), String::new());
    for index in 0..20_000 {
        writeln!(input, "line {index}").unwrap();
        writeln!(expected, "{PREFIX}line {index}").unwrap();
    }
    let finished = trusted.run(&proxy.url(), &input).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout() == expected);
}
