//! The tool against scripted servers on real sockets.

use std::time::Duration;

use proto::key::Key;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{report::HandshakeReport, tool::run};
use crate::{endpoint::Endpoint, exit::Exit, handshake::Request, tls::TransportKind};

/// Returns the report on a server that sends these bytes, and the first two bytes that it receives
/// after them.
async fn run_against(answer: &[u8]) -> (HandshakeReport, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let key = Key::new(*b"the sample nonce");
    let request = Request::new(Endpoint::parse(&url).unwrap(), key, None);
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(answer).await.unwrap();
        let mut behind = Vec::new();
        stream.take(2).read_to_end(&mut behind).await.unwrap();
        behind
    };
    let running = run(&request, &TransportKind::Tcp, Duration::from_secs(20));
    let (report, behind) = tokio::join!(running, serve);
    (report.unwrap(), behind)
}

#[tokio::test]
async fn missing_status_line_is_reported() {
    let answer = b"Upgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Accept: bG9jYWxob3N0\r\n\r\n";
    let (report, behind) = run_against(answer).await;
    assert_eq!(report.exit, Exit::HandshakeRefused);
    let shown = "\n< Sec-WebSocket-Accept: bG9jYWxob3N0\n<\n";
    assert!(report.text.contains(shown), "{}", report.text);
    assert_eq!(behind, b"");
}

#[tokio::test]
async fn valid_answer_is_followed_by_a_close_frame() {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\n\
                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let (report, behind) = run_against(answer).await;
    assert_eq!(report.exit, Exit::Ok);
    // A masked Close frame with a code and `user exit`.
    assert_eq!(behind, [0x88, 0x8b]);
}
