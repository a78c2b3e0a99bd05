//! The client end of a connection, and the bytes that it sends by default.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use crate::frame::{self, Frame};

/// A valid handshake request with the key of the example in RFC 6455 section 1.3.
pub const HANDSHAKE: &str = "GET / HTTP/1.1\r\n\
                             Host: localhost\r\n\
                             Upgrade: websocket\r\n\
                             Connection: Upgrade\r\n\
                             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                             Sec-WebSocket-Version: 13\r\n\r\n";

/// The credentials line of the development account.
pub const CREDENTIALS: &str = "admin:123456";

/// The default timeout of each send and each read. It is long because only a failing test reaches it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The client end of a connection, with its receive buffer. Each send and each read panics if it takes
/// longer than the timeout.
#[derive(Debug)]
pub struct RawPeer<S> {
    io: S,
    received: Vec<u8>,
    timeout: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawPeer<S> {
    /// Wraps a connected stream.
    pub fn new(io: S) -> Self {
        Self {
            io,
            received: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// Sets the timeout of each send and each read. A test on a paused clock needs a longer one than the
    /// deadlines that it tests.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sends bytes.
    ///
    /// # Panics
    ///
    /// If the bytes cannot be sent in time, or the connection has ended.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(self.timeout, self.write(bytes.as_ref())).await;
        sent.expect("the server reads in time")
            .expect("the connection is open");
    }

    /// Sends bytes. If the server closes the connection meanwhile, the rest is dropped.
    ///
    /// # Panics
    ///
    /// If the server neither reads nor closes in time.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(self.timeout, self.write(bytes.as_ref())).await;
        let _ = sent.expect("the server reads or closes in time");
    }

    /// Shuts down the sending side of the connection.
    ///
    /// # Panics
    ///
    /// If the connection has ended.
    pub async fn finish(&mut self) {
        self.io.shutdown().await.expect("the connection is open");
    }

    /// Reads an HTTP head, including its empty line.
    ///
    /// # Panics
    ///
    /// If the connection ends first.
    pub async fn head(&mut self) -> String {
        self.try_head()
            .await
            .expect("a head before the end of the connection")
    }

    /// Reads an HTTP head, including its empty line. Returns `None` if the connection ends first.
    ///
    /// # Panics
    ///
    /// If neither a head nor the end arrives in time, or the head is not UTF-8.
    pub async fn try_head(&mut self) -> Option<String> {
        loop {
            let end = self
                .received
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.received.drain(..end + 4).collect();
                return Some(String::from_utf8(head).expect("a head is UTF-8"));
            }
            if !self.read_some().await {
                return None;
            }
        }
    }

    /// Sends [`HANDSHAKE`] and checks the response.
    ///
    /// # Panics
    ///
    /// If the response is not a valid 101.
    pub async fn upgrade(&mut self) {
        self.send(HANDSHAKE).await;
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let accepted = head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(accepted, "{head}");
    }

    /// Sends [`HANDSHAKE`] and [`CREDENTIALS`], and checks the replies.
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

    /// Reads one frame. Returns `None` at the end of the connection.
    ///
    /// # Panics
    ///
    /// If nothing arrives in time, or the connection ends within a frame.
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

    /// Reads one frame.
    ///
    /// # Panics
    ///
    /// If the connection ends first.
    pub async fn frame(&mut self) -> Frame {
        self.next()
            .await
            .expect("a frame before the end of the connection")
    }

    /// Reads one frame and checks that it is an unfragmented text message.
    ///
    /// # Panics
    ///
    /// If it is another frame.
    pub async fn text(&mut self) -> String {
        let frame = self.frame().await;
        assert_eq!(frame.first, 0x81, "not a text message: {frame:?}");
        String::from_utf8(frame.payload).expect("a text message is UTF-8")
    }

    /// Reads up to the Close frame, and returns its code and reason.
    ///
    /// # Panics
    ///
    /// If the connection ends first.
    pub async fn close(&mut self) -> (u16, String) {
        loop {
            let frame = self.frame().await;
            if frame.first == 0x88 {
                return frame.close();
            }
        }
    }

    /// Expects the end of the connection.
    ///
    /// # Panics
    ///
    /// If a frame arrives.
    pub async fn end(&mut self) {
        let next = self.next().await;
        assert!(next.is_none(), "not the end: {next:?}");
    }

    /// Reads all remaining bytes up to the end of the connection.
    ///
    /// # Panics
    ///
    /// If the connection does not end in time.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.read_some().await {}
        std::mem::take(&mut self.received)
    }

    /// Returns the stream. Bytes in the receive buffer are lost.
    pub fn into_inner(self) -> S {
        self.io
    }

    /// Writes bytes and flushes the stream.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// Reads available bytes into the buffer. Returns false at the end of the connection or on an error.
    async fn read_some(&mut self) -> bool {
        let read = timeout(self.timeout, self.io.read_buf(&mut self.received)).await;
        read.expect("data or the end arrives in time")
            .is_ok_and(|read| read > 0)
    }
}
