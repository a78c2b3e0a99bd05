//! Connections over TLS.

use std::{
    net,
    time::{Duration, Instant},
};

use integration_tests::{
    Authority, SERVER_NAME, ServerFiles, ServerProcess, TEST_TIMEOUT, TlsClient, admin_account,
    assert_echo, client, echoed_lines, run, send_request,
};
use raw_peer::HANDSHAKE;
use rustix::process::Signal;
use tokio::{io::AsyncReadExt as _, time::timeout};

use crate::tls_server::{LINE, TlsServer};

#[tokio::test]
async fn http_requests_are_answered_over_tls() {
    let tls = TlsServer::new("").await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "200 OK"),
        (
            "GET /no HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "404 Not Found",
        ),
    ] {
        let request = request.replace("\r\n\r\n", "\r\nAccept: text/html\r\n\r\n");
        let answer = send_request(tls.client.connect(&tls.server).await, &request).await;
        assert_eq!(answer.status_line, format!("HTTP/1.1 {status}"));
    }
}

#[tokio::test]
async fn start_logs_the_https_url() {
    let issued = Authority::new().issue(&[SERVER_NAME]);
    let files = ServerFiles::with_tls("", &admin_account(), &issued);
    // The hint needs a known port. No other test uses this address, so the port stays free.
    let port = net::TcpListener::bind("127.20.30.40:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let command = files.command_with(&["--listen", &address.to_string()]);
    let mut server = ServerProcess::spawn(command).await;
    let lines = server.log_up_to("in a browser").await;
    let hint = lines.last().unwrap();
    assert!(
        hint.ends_with(&format!("open https://{address}/ in a browser")),
        "{hint}"
    );
    assert!(
        !lines.iter().any(|line| line.contains("cargo run")),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn plaintext_on_a_tls_port_is_logged_once() {
    let mut tls = TlsServer::with_log("", "debug").await;
    for bytes in [HANDSHAKE, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{1b}[2J\n"] {
        let mut peer = tls.server.connect().await;
        peer.send(bytes).await;
        let rest = peer.rest().await;
        // At most a TLS alert.
        assert!(rest.is_empty() || rest[0] == 21, "{rest:?}");
    }
    let mut lines = Vec::new();
    // The connections end in any order.
    for _ in 0..3 {
        lines.extend(tls.server.log_up_to("TLS handshake failed").await);
    }
    tls.server.signal(Signal::TERM);
    let (_, _, log) = tls.server.finish().await;
    let about = lines.iter().map(String::as_str).chain(log.lines());
    let about: Vec<_> = about.filter(|line| line.contains("connection=")).collect();
    assert_eq!(about.len(), 3, "{about:#?}");
    for line in about {
        assert!(
            line.contains(" DEBUG ") && line.contains("TLS handshake failed"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn tls_on_a_plain_port_fails_at_once() {
    let authority = Authority::new();
    let server = ServerProcess::start().await;
    let start = Instant::now();
    let error = TlsClient::trusting(&authority).try_connect(&server).await;
    error.unwrap_err();
    // The handshake deadline is much later.
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn slow_tls_handshake_times_out_alone() {
    let configuration = "[limits]\nhandshake_deadline = \"5s\"\nmax_unauthenticated = 3\n";
    let mut tls = TlsServer::with_log(configuration, "debug").await;
    let mut session = tls.log_in().await;
    let start = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut peer = tls.server.connect().await;
        // The header of a handshake record, and the first byte of its content.
        peer.send([22, 3, 1, 2, 0, 1]).await;
        slow.push(peer);
    }
    // The open session is still served.
    assert_echo(&mut session, "still here").await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "the machine is too busy for this test"
    );
    for peer in slow {
        // Unread data may turn the end into a reset.
        let mut stream = peer.into_inner();
        let end = timeout(TEST_TIMEOUT, stream.read(&mut [0; 1])).await;
        assert!(
            end.expect("the connection ends in time")
                .map_or(true, |read| read == 0)
        );
    }
    assert!(start.elapsed() >= Duration::from_secs(5));
    for _ in 0..3 {
        let line = tls.server.log_line("TLS handshake failed").await;
        assert!(line.contains("reason=timed out"), "{line}");
    }
    assert_echo(&mut session, "still here").await;
    let mut next = tls.log_in().await;
    assert_echo(&mut next, "hello").await;
}

/// The client trusts the authority of the server, and rejects the certificate with another one.
#[tokio::test]
async fn client_logs_in_over_tls_and_checks_trust() {
    let tls = TlsServer::new("").await;
    let url = format!("wss://{SERVER_NAME}:{}", tls.server.address.port());
    tls.files
        .replace("authority.pem", &tls.authority.certificate());
    let authority = tls.files.path("authority.pem");
    let trusting = [
        "--cacert",
        authority.to_str().expect("the path is UTF-8"),
        &url,
    ];
    let long = "x".repeat(1 << 20);
    for method in ["message", "basic"] {
        let arguments = ["--auth", method].into_iter().chain(trusting);
        let input = format!("{LINE}\nhello\n{long}\nexit\n");
        let finished = run(client(arguments), input).await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let expected = echoed_lines(["hello", &long]);
        assert!(finished.stdout() == expected, "{}", finished.stderr);
    }

    let other_authority = Authority::new();
    tls.files
        .replace("authority.pem", &other_authority.certificate());
    let refused = run(client(trusting), format!("{LINE}\nhello\n")).await;
    assert_eq!((refused.code, refused.stdout()), (Some(5), ""));
}
