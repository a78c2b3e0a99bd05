//! Handshakes with servers that answer by hand, on real sockets.

use std::time::Duration;

use proto::key::Key;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{ConnectError, Deadline, open, tcp};
use crate::{endpoint::Endpoint, exit::Exit, handshake::request::Request, tool};

const LONG: Duration = Duration::from_secs(20);

/// What a server does once the request has come.
enum Then {
    /// It closes the connection.
    Close,
    /// It keeps silent.
    Stay,
}

/// A listener on a port of its own, and a request to it.
async fn listening() -> (TcpListener, Request) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let key = Key::new(*b"the sample nonce");
    (
        listener,
        Request::new(Endpoint::parse(&url).unwrap(), key, None),
    )
}

/// Reads the request, and answers with these bytes.
async fn answer(listener: TcpListener, answer: &[u8], then: Then) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
    stream.write_all(answer).await.unwrap();
    match then {
        Then::Close => drop(stream),
        Then::Stay => {
            let _ = stream.read_buf(&mut request).await;
        }
    }
}

/// What a client makes of an answer.
async fn opened(bytes: &[u8], then: Then, patience: Duration) -> Result<Vec<u8>, ConnectError> {
    let (listener, request) = listening().await;
    let client = async {
        let deadline = Deadline::after(patience);
        let stream = tcp(request.endpoint(), deadline).await?;
        open(stream, &request, deadline)
            .await
            .map(|opened| opened.rest)
    };
    let both = async { tokio::join!(client, answer(listener, bytes, then)) };
    // Whoever waits longer than this has no deadline.
    let (result, ()) = timeout(LONG, both).await.expect("the client gives up");
    result
}

fn said(result: Result<Vec<u8>, ConnectError>) -> (String, Exit) {
    let error = result.unwrap_err();
    (error.to_string(), error.exit())
}

const RIGHT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

#[tokio::test]
async fn frames_that_follow_the_answer_at_once_are_kept() {
    let bytes = format!("{RIGHT}\r\n\u{1}\u{2}frames");
    let rest = opened(bytes.as_bytes(), Then::Stay, LONG).await.unwrap();
    assert_eq!(rest, b"\x01\x02frames");
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let bytes = format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
         {RIGHT}\r\nframes"
    );
    let rest = opened(bytes.as_bytes(), Then::Stay, LONG).await.unwrap();
    assert_eq!(rest, b"frames");
}

#[tokio::test]
async fn informational_answers_do_not_extend_the_deadline() {
    let hint = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    let (message, exit) = said(opened(hint, Then::Stay, Duration::from_millis(20)).await);
    assert_eq!(exit, Exit::TimedOut);
    assert_eq!(
        message,
        "the server did not complete its answer within 20ms"
    );
}

#[tokio::test]
async fn informational_answers_without_end_are_refused() {
    let bytes = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(5000);
    let (message, exit) = said(opened(bytes.as_bytes(), Then::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    assert!(
        message.starts_with("the server's answer is no WebSocket handshake: "),
        "{message}"
    );
}

#[tokio::test]
async fn a_chunked_refusal_is_shown_without_its_framing() {
    let bytes = b"HTTP/1.1 503 Full\r\nTransfer-Encoding: chunked\r\n\r\n\
                  4\r\nfull\r\n3\r\n up\r\n0\r\n\r\n";
    let (message, _) = said(opened(bytes, Then::Close, LONG).await);
    assert!(message.ends_with("; it says: full up"), "{message}");
}

#[tokio::test]
async fn a_wrong_accept_value_is_refused() {
    let bytes = RIGHT.replace("s3pP", "s3pQ") + "\r\n";
    let (message, exit) = said(opened(bytes.as_bytes(), Then::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    assert!(
        message.contains("Sec-WebSocket-Accept: it must be"),
        "{message}"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, _) = listening().await;
    let bytes = format!(
        "HTTP/1.1 302 Found\r\nLocation: ws://{}/\r\nContent-Length: 0\r\n\r\n",
        elsewhere.local_addr().unwrap()
    );
    let (message, exit) = said(opened(bytes.as_bytes(), Then::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    assert!(
        message.contains("302 Found: it points to another place"),
        "{message}"
    );
    let nobody = timeout(Duration::ZERO, elsewhere.accept()).await;
    assert!(nobody.is_err());
}

#[tokio::test]
async fn a_refusal_is_shown_with_its_body() {
    let bytes = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nfull \x1b[1m";
    let (message, exit) = said(opened(bytes, Then::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    assert_eq!(
        message,
        "the server answered HTTP/1.1 503 Service Unavailable: it is full or about to stop; try \
         again later; it says: full \\u{1b}[1m"
    );
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let (message, exit) = said(opened(b"HTTP/1.1 1", Then::Stay, Duration::from_millis(20)).await);
    assert_eq!(exit, Exit::TimedOut);
    assert_eq!(
        message,
        "the server did not complete its answer within 20ms"
    );
}

#[tokio::test]
async fn an_early_end_is_a_refusal() {
    let (message, exit) = said(opened(b"", Then::Close, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    assert_eq!(
        message,
        "the server closed the connection without an answer"
    );
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let bytes = format!("HTTP/1.1 101 x\r\n{}", "A: b\r\n".repeat(5000));
    let (message, exit) = said(opened(bytes.as_bytes(), Then::Stay, LONG).await);
    assert_eq!(exit, Exit::HandshakeRefused);
    assert!(message.contains("a head that long"), "{message}");
}

#[tokio::test]
async fn nobody_listening_is_no_connection() {
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
async fn a_message_leaves_when_it_is_written() {
    let (_listener, request) = listening().await;
    let stream: TcpStream = tcp(request.endpoint(), Deadline::after(LONG))
        .await
        .unwrap();
    assert!(stream.nodelay().unwrap());
}

#[tokio::test]
async fn the_tool_reports_on_a_server_that_forgets_the_status_line() {
    let (listener, request) = listening().await;
    let bytes = b"Upgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: bG9jYWxob3N0\r\n\r\n";
    let (report, ()) = tokio::join!(
        tool::run(&request, LONG),
        answer(listener, bytes, Then::Stay)
    );
    let report = report.unwrap();
    assert_eq!(report.exit, Exit::HandshakeRefused);
    assert!(
        report
            .text
            .contains("\n< Sec-WebSocket-Accept: bG9jYWxob3N0\n<\n")
    );
}

#[tokio::test]
async fn the_tool_leaves_a_right_server_politely() {
    let (listener, request) = listening().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let answer = format!("{RIGHT}\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut frame = [0; 2];
        stream.read_exact(&mut frame).await.unwrap();
        frame
    };
    let (report, frame) = tokio::join!(tool::run(&request, LONG), serve);
    assert_eq!(report.unwrap().exit, Exit::Ok);
    // A masked Close frame with a code and `user exit`.
    assert_eq!(frame, [0x88, 0x8b]);
}
