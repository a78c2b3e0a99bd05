//! Logins to `ws-server` by both methods.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use raw_peer::{HANDSHAKE, RawPeer, frame};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{CONGRATULATION, HttpResponse, SORRY, ServerProcess, echoed};

/// A method to present credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginMethod {
    /// The first message.
    Message,
    /// Basic authentication in the handshake.
    Basic,
}

impl LoginMethod {
    /// Both methods.
    pub const ALL: [Self; 2] = [Self::Message, Self::Basic];

    /// Logs in on a new connection.
    pub async fn log_in(self, server: &ServerProcess, line: &str) -> RawPeer<TcpStream> {
        self.log_in_on(server.connect().await, line).await
    }

    /// Logs in on this connection.
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

    /// Presents wrong credentials, and asserts the rejection.
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

/// Returns [`HANDSHAKE`] with these additional header fields.
pub fn handshake_with(fields: &[&str]) -> String {
    let head = HANDSHAKE.trim_end();
    let lines = [&[head], fields, &["", ""]].concat();
    lines.join("\r\n")
}

/// Returns the `Authorization` field for credentials of the form `name:password`.
pub fn authorization(line: impl AsRef<[u8]>) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(line))
}

/// Returns the response to wrong credentials.
pub fn wrong_credentials_response() -> HttpResponse {
    HttpResponse::refusal(
        "401 Unauthorized",
        "the username or password is wrong",
        &[CHALLENGE],
    )
}

/// The challenge of a 401.
pub const CHALLENGE: (&str, &str) = (
    "www-authenticate",
    "Basic realm=\"ws-server\", charset=\"UTF-8\"",
);

/// Sends a request, and reads the response until the connection ends.
pub async fn send_request<S>(mut peer: RawPeer<S>, request: &str) -> HttpResponse
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    peer.send(request).await;
    let answer = peer.rest().await;
    HttpResponse::parse(std::str::from_utf8(&answer).expect("the response is UTF-8"))
}

/// Sends a message, and asserts that its echo follows. Skips pings.
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
