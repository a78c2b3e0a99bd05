//! A WebSocket client of raw bytes, for tests.
//!
//! It shares no code with the server that it tests, and does not keep to any rule by itself: what it
//! sends is bytes, made by the functions of [`frame`] or by hand. It panics where a test has failed.

pub mod frame;

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use self::frame::Frame;

/// A handshake that any WebSocket server should take; its accept value is that of RFC 6455.
pub const HANDSHAKE: &str = "GET / HTTP/1.1\r\n\
                             Host: localhost\r\n\
                             Upgrade: websocket\r\n\
                             Connection: Upgrade\r\n\
                             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                             Sec-WebSocket-Version: 13\r\n\r\n";

/// The development account's credentials line.
pub const CREDENTIALS: &str = "admin:123456";

/// How long a test waits for what must come, unless it says otherwise. It is long, because it only
/// bounds tests that fail.
const PATIENCE: Duration = Duration::from_secs(30);

/// One end of a connection.
#[derive(Debug)]
pub struct RawPeer<S> {
    io: S,
    received: Vec<u8>,
    patience: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawPeer<S> {
    /// A peer that has said nothing yet.
    pub fn new(io: S) -> Self {
        Self {
            io,
            received: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// The same peer, waiting this long for what must come. Tests on a paused clock need more than
    /// any deadline that they test.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends bytes.
    ///
    /// # Panics
    ///
    /// If they cannot be sent.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(self.patience, self.write(bytes.as_ref())).await;
        sent.expect("the other side reads in time")
            .expect("the other side is there");
    }

    /// Sends bytes, or as many of them as the other side takes before it goes.
    ///
    /// # Panics
    ///
    /// If it neither reads nor goes.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(self.patience, self.write(bytes.as_ref())).await;
        let _ = sent.expect("the other side reads or goes in time");
    }

    /// Sends nothing more.
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    pub async fn finish(&mut self) {
        self.io.shutdown().await.expect("the other side is there");
    }

    /// Reads an HTTP head, up to and with its empty line.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub async fn head(&mut self) -> String {
        self.try_head().await.expect("a head comes before the end")
    }

    /// Reads an HTTP head, up to and with its empty line; none if the connection ends before it.
    ///
    /// # Panics
    ///
    /// If neither comes in time, or the head is not text.
    pub async fn try_head(&mut self) -> Option<String> {
        loop {
            let end = self
                .received
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.received.drain(..end + 4).collect();
                return Some(String::from_utf8(head).expect("a head is text"));
            }
            if !self.read_some().await {
                return None;
            }
        }
    }

    /// Sends [`HANDSHAKE`] and reads the answer.
    ///
    /// # Panics
    ///
    /// If it is refused.
    pub async fn upgrade(&mut self) {
        self.send(HANDSHAKE).await;
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let accepted = head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(accepted, "{head}");
    }

    /// Sends [`HANDSHAKE`] and [`CREDENTIALS`], and reads the answers.
    ///
    /// # Panics
    ///
    /// If the login fails.
    pub async fn log_in(&mut self) {
        self.upgrade().await;
        self.send(frame::text(CREDENTIALS)).await;
        let welcome = self.text().await;
        assert!(welcome.contains("congratulation"), "{welcome}");
    }

    /// Reads one frame; none if the connection ends in order.
    ///
    /// # Panics
    ///
    /// If nothing comes in time, or the connection ends within a frame.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, len)) = Frame::parse(&self.received) {
                self.received.drain(..len);
                return Some(frame);
            }
            if !self.read_some().await {
                assert!(
                    self.received.is_empty(),
                    "ended within a frame: {:?}",
                    self.received
                );
                return None;
            }
        }
    }

    /// Reads one frame, which is there.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub async fn frame(&mut self) -> Frame {
        self.next().await.expect("a frame comes before the end")
    }

    /// Reads one frame, which is a whole text message.
    ///
    /// # Panics
    ///
    /// If it is something else.
    pub async fn text(&mut self) -> String {
        let frame = self.frame().await;
        assert_eq!(frame.first, 0x81, "not a text message: {frame:?}");
        String::from_utf8(frame.payload).expect("a text message is UTF-8")
    }

    /// Reads on to the Close frame, and returns the code and the reason in it.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub async fn close(&mut self) -> (u16, String) {
        loop {
            let frame = self.frame().await;
            if frame.first == 0x88 {
                return frame.close();
            }
        }
    }

    /// Reads the end of the connection.
    ///
    /// # Panics
    ///
    /// If anything else comes.
    pub async fn end(&mut self) {
        let next = self.next().await;
        assert!(next.is_none(), "not the end: {next:?}");
    }

    /// Reads everything up to the end of the connection.
    ///
    /// # Panics
    ///
    /// If the end does not come in time.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.read_some().await {}
        std::mem::take(&mut self.received)
    }

    /// The stream itself.
    pub fn into_inner(self) -> S {
        self.io
    }

    /// Writes bytes, through whatever the stream may hold them in.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// Reads what there is. Returns false at the end, be it in order or not.
    async fn read_some(&mut self) -> bool {
        let read = timeout(self.patience, self.io.read_buf(&mut self.received)).await;
        read.expect("something comes in time")
            .is_ok_and(|read| read > 0)
    }
}
