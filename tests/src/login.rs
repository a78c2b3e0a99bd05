//! Logging in to `ws-server`, in both ways that there are.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use raw_peer::{HANDSHAKE, RawPeer, frame};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{CONGRATULATION, HttpResponse, SORRY, ServerProcess, echoed};

/// How credentials get to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginMethod {
    /// By the first message.
    Message,
    /// By the handshake.
    Basic,
}

impl LoginMethod {
    /// All ways.
    pub const ALL: [Self; 2] = [Self::Message, Self::Basic];

    /// Logs in on a new connection.
    pub async fn log_in(self, server: &ServerProcess, line: &str) -> RawPeer<TcpStream> {
        self.log_in_on(server.connect().await, line).await
    }

    /// Logs in on a connection that has said nothing yet.
    pub async fn log_in_on<S>(self, mut peer: RawPeer<S>, line: &str) -> RawPeer<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::Message => {
                peer.upgrade().await;
                peer.send(frame::text(line)).await;
                assert_eq!(peer.text().await, CONGRATULATION);
            }
            Self::Basic => {
                peer.send(handshake_with(&[&authorization(line)])).await;
                let head = peer.head().await;
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            }
        }
        peer
    }

    /// Presents credentials that are wrong, and is told so.
    pub async fn assert_rejected(self, server: &ServerProcess, line: &str) {
        let mut peer = server.connect().await;
        match self {
            Self::Message => {
                peer.upgrade().await;
                peer.send(frame::text(line)).await;
                assert_eq!(peer.text().await, SORRY);
            }
            Self::Basic => {
                let answer = send_request(peer, &handshake_with(&[&authorization(line)])).await;
                assert_eq!(answer, wrong_credentials_response());
            }
        }
    }
}

/// [`HANDSHAKE`] with these fields more.
pub fn handshake_with(fields: &[&str]) -> String {
    let head = HANDSHAKE.trim_end();
    let lines = [&[head], fields, &["", ""]].concat();
    lines.join("\r\n")
}

/// The field that presents a name and a password, written as `name:password`.
pub fn authorization(line: impl AsRef<[u8]>) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(line))
}

/// What a request with wrong credentials is answered.
pub fn wrong_credentials_response() -> HttpResponse {
    HttpResponse::refusal(
        "401 Unauthorized",
        "the username or password is wrong",
        &[CHALLENGE],
    )
}

/// The field that says how to log in with a request.
pub const CHALLENGE: (&str, &str) = (
    "www-authenticate",
    "Basic realm=\"ws-server\", charset=\"UTF-8\"",
);

/// Sends a request that is refused, and reads all of the answer.
pub async fn send_request<S>(mut peer: RawPeer<S>, request: &str) -> HttpResponse
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    peer.send(request).await;
    let answer = peer.rest().await;
    HttpResponse::parse(std::str::from_utf8(&answer).expect("an answer is text"))
}

/// Sends a message, and reads the echo of it. Pings that came before it are no answer.
pub async fn assert_echo<S>(peer: &mut RawPeer<S>, text: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    peer.send(frame::text(text)).await;
    let answer = loop {
        let frame = peer.frame().await;
        if frame.first != 0x89 {
            break frame;
        }
    };
    let echo = echoed(text);
    assert_eq!(String::from_utf8_lossy(&answer.payload), echo);
    assert_eq!(answer.first, 0x81, "it is a text");
}
