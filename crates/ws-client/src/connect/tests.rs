//! Opening handshakes with scripted servers on real sockets.

use std::time::Duration;

use proto::{key::Key, message::Credentials};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::dialer::{ConnectError, Deadline, open, tcp};
use crate::{endpoint::Endpoint, exit::Exit, handshake::Request};

const LONG: Duration = Duration::from_secs(20);

/// The action of a server after its response.
enum AfterResponse {
    /// Closes the connection.
    Close,
    /// Keeps the connection open without sending.
    Stay,
}

/// Returns a listener on a free port, and a request to it.
async fn listening() -> (TcpListener, Request) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let key = Key::new(*b"the sample nonce");
    (
        listener,
        Request::new(Endpoint::parse(&url).unwrap(), key, None),
    )
}

/// Reads the request, sends these bytes, and returns the request.
async fn answer(listener: TcpListener, answer: &[u8], after: AfterResponse) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
    let sent = String::from_utf8(request.clone()).unwrap();
    stream.write_all(answer).await.unwrap();
    match after {
        AfterResponse::Close => drop(stream),
        AfterResponse::Stay => {
            let _ = stream.read_buf(&mut request).await;
        }
    }
    sent
}

/// Returns the result of a handshake with this response.
async fn upgraded(
    bytes: &[u8],
    after: AfterResponse,
    limit: Duration,
) -> Result<Vec<u8>, ConnectError> {
    let (listener, request) = listening().await;
    let client = async {
        let deadline = Deadline::after(limit);
        let stream = tcp(request.endpoint(), deadline).await?;
        open(stream, &request, deadline)
            .await
            .map(|upgraded| upgraded.rest)
    };
    let both = async { tokio::join!(client, answer(listener, bytes, after)) };
    // A client that takes longer has no deadline.
    let (result, _) = timeout(LONG, both).await.expect("the client gives up");
    result
}

fn said(result: Result<Vec<u8>, ConnectError>) -> (String, Exit) {
    let error = result.unwrap_err();
    (error.to_string(), error.exit())
}

const RIGHT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

#[tokio::test]
async fn frames_behind_the_response_are_kept() {
    let bytes = format!("{RIGHT}\r\n\u{1}\u{2}frames");
    let rest = upgraded(bytes.as_bytes(), AfterResponse::Stay, LONG)
        .await
        .unwrap();
    assert_eq!(rest, b"\x01\x02frames");
}

#[tokio::test]
async fn informational_responses_are_skipped() {
    let bytes = format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
         {RIGHT}\r\nframes"
    );
    let rest = upgraded(bytes.as_bytes(), AfterResponse::Stay, LONG)
        .await
        .unwrap();
    assert_eq!(rest, b"frames");
}

#[tokio::test]
async fn informational_responses_keep_the_deadline() {
    let hint = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    let (_, exit) = said(upgraded(hint, AfterResponse::Stay, Duration::from_millis(20)).await);
    assert_eq!(exit, Exit::TimedOut);
}

#[tokio::test]
async fn endless_informational_responses_are_refused() {
    let bytes = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(5000);
    let (message, exit) = said(upgraded(bytes.as_bytes(), AfterResponse::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    assert!(
        message.starts_with("the server's answer is no WebSocket handshake: "),
        "{message}"
    );
}

#[tokio::test]
async fn chunked_refusal_is_shown_decoded() {
    let bytes = b"HTTP/1.1 503 Full\r\nTransfer-Encoding: chunked\r\n\r\n\
                  4\r\nfull\r\n3\r\n up\r\n0\r\n\r\n";
    let (message, _) = said(upgraded(bytes, AfterResponse::Close, LONG).await);
    assert!(message.contains(", saying \"full up\"; "), "{message}");
}

#[tokio::test]
async fn html_body_is_not_quoted() {
    for (kind, quoted) in [
        ("text/html", false),
        ("Text/HTML; charset=utf-8", false),
        ("text/plain", true),
        ("text/htmlx", true),
    ] {
        let bytes = format!(
            "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Type: {kind}\r\n\
             Content-Length: 6\r\n\r\n<html>"
        );
        let (message, _) = said(upgraded(bytes.as_bytes(), AfterResponse::Close, LONG).await);
        assert_eq!(message.contains("<html>"), quoted, "{kind}: {message}");
    }
}

#[tokio::test]
async fn wrong_accept_value_is_refused() {
    let bytes = RIGHT.replace("s3pP", "s3pQ") + "\r\n";
    let (message, exit) = said(upgraded(bytes.as_bytes(), AfterResponse::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    assert!(
        message.contains("Sec-WebSocket-Accept: it must be"),
        "{message}"
    );
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let (elsewhere, _) = listening().await;
    let bytes = format!(
        "HTTP/1.1 302 Found\r\nLocation: ws://{}/\r\nContent-Length: 0\r\n\r\n",
        elsewhere.local_addr().unwrap()
    );
    let (_, exit) = said(upgraded(bytes.as_bytes(), AfterResponse::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    let no_connection = timeout(Duration::ZERO, elsewhere.accept()).await;
    assert!(no_connection.is_err());
}

#[tokio::test]
async fn refusal_is_shown_with_its_body() {
    let bytes = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nfull \x1b[1m";
    let (message, exit) = said(upgraded(bytes, AfterResponse::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    let expected =
        "the server answered HTTP/1.1 503 Service Unavailable, saying \"full \\u{1b}[1m\"; ";
    assert!(message.starts_with(expected), "{message}");
}

/// Former fault: `404 Not Found: there is nothing at this path; it says: there is nothing at this path`.
#[tokio::test]
async fn refusal_with_body_is_not_repeated() {
    for (status, fields, expected) in [
        ("404 Not Found", "", "404 Not Found, saying \"none\""),
        (
            "302 Found",
            "",
            "302 Found, saying \"none\"; it points to another place; a handshake follows no \
             redirect, so give the other URL",
        ),
        (
            "302 Found",
            "Location: wss://b/\r\n",
            "302 Found, saying \"none\"; it points to another place; a handshake follows no \
             redirect, so give the other URL: wss://b/",
        ),
        (
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"x\"\r\n",
            "401 Unauthorized, saying \"none\"; it wants credentials in the request; ws-client \
             --auth basic sends them",
        ),
    ] {
        let bytes = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 4\r\n\r\nnone");
        let (message, _) = said(upgraded(bytes.as_bytes(), AfterResponse::Stay, LONG).await);
        assert_eq!(message, format!("the server answered HTTP/1.1 {expected}"));
    }
}

/// Returns the result of a handshake with credentials, and the request.
async fn logged_in(line: &str, bytes: &[u8]) -> (Result<Vec<u8>, ConnectError>, String) {
    let (listener, request) = listening().await;
    let request = request.with_credentials(&Credentials::parse(line).unwrap());
    let client = async {
        let deadline = Deadline::after(LONG);
        let stream = tcp(request.endpoint(), deadline).await?;
        open(stream, &request, deadline)
            .await
            .map(|upgraded| upgraded.rest)
    };
    tokio::join!(client, answer(listener, bytes, AfterResponse::Close))
}

#[tokio::test]
async fn credentials_are_sent_with_the_handshake() {
    let bytes = format!("{RIGHT}\r\nframes");
    let (upgraded, sent) = logged_in("admin:12:3\u{fc}", bytes.as_bytes()).await;
    assert_eq!(upgraded.unwrap(), b"frames");
    let field = "\r\nAuthorization: Basic YWRtaW46MTI6M8O8\r\n\r\n";
    assert!(sent.ends_with(field), "{sent}");
}

#[tokio::test]
async fn refused_credentials_are_login_refused() {
    for (rest, said) in [
        (
            "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
            "",
        ),
        (
            "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 4\r\n\r\nno\x07.",
            ", saying \"no\\u{7}.\"",
        ),
        (
            "WWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n",
            ", and accepts only other schemes: Bearer",
        ),
    ] {
        let bytes = format!("HTTP/1.1 401 Unauthorized\r\n{rest}");
        let (result, _) = logged_in("admin:123456", bytes.as_bytes()).await;
        let error = result.unwrap_err();
        assert!(error.is_credentials_refused());
        assert_eq!(error.exit(), Exit::LoginRefused);
        assert_eq!(
            error.to_string(),
            format!(
                "the server answered HTTP/1.1 401 Unauthorized: it refuses the credentials{said}"
            )
        );
        let shown = format!("{error:?}");
        assert!(
            !shown.contains("123456") && !shown.contains("YWRt"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn other_refusal_is_not_of_credentials() {
    for status in ["403 Forbidden", "429 Slow", "503 Full", "302 Found"] {
        let bytes = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let (result, _) = logged_in("admin:123456", bytes.as_bytes()).await;
        let error = result.unwrap_err();
        assert!(!error.is_credentials_refused(), "{error}");
        assert_eq!(error.exit(), Exit::HandshakeRefused);
    }
}

#[tokio::test]
async fn unauthorized_without_credentials_fails_handshake() {
    let bytes = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let error = upgraded(bytes, AfterResponse::Close, LONG)
        .await
        .unwrap_err();
    assert!(!error.is_credentials_refused());
    assert_eq!(error.exit(), Exit::HandshakeRefused);
}

#[tokio::test]
async fn silent_server_times_out() {
    let (message, exit) = said(
        upgraded(
            b"HTTP/1.1 1",
            AfterResponse::Stay,
            Duration::from_millis(20),
        )
        .await,
    );
    assert_eq!(exit, Exit::TimedOut);
    assert_eq!(
        message,
        "the server did not complete its answer within 20ms"
    );
}

#[tokio::test]
async fn early_end_is_a_refusal() {
    let (_, exit) = said(upgraded(b"", AfterResponse::Close, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
}

#[tokio::test]
async fn endless_head_is_refused() {
    let bytes = format!("HTTP/1.1 101 x\r\n{}", "A: b\r\n".repeat(5000));
    let (message, exit) = said(upgraded(bytes.as_bytes(), AfterResponse::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    assert!(message.contains("a head that long"), "{message}");
}

#[tokio::test]
async fn closed_port_is_unreachable() {
    let (listener, request) = listening().await;
    drop(listener);
    let error = tcp(request.endpoint(), Deadline::after(LONG))
        .await
        .unwrap_err();
    assert_eq!(error.exit(), Exit::Unreachable);
    assert!(
        error
            .to_string()
            .starts_with("could not connect to 127.0.0.1:")
    );
}

#[tokio::test]
async fn stream_has_nodelay_set() {
    let (_listener, request) = listening().await;
    let stream: TcpStream = tcp(request.endpoint(), Deadline::after(LONG))
        .await
        .unwrap();
    assert!(stream.nodelay().unwrap());
}
