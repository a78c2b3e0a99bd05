//! The open WebSocket (RFC 6455 sections 5 to 7): one message at a time is sent, and messages are
//! received meanwhile.

use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

use futures::{SinkExt as _, StreamExt as _, future::poll_fn};
use proto::close::{CloseCode, CloseReason};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes, Error,
        error::ProtocolError,
        protocol::{self, Role, WebSocketConfig},
    },
};

use super::{message::Message, metered::Metered};
use crate::connect::Upgraded;

/// Enough for the usual message. The buffer grows for a longer one.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// The number of bytes that are collected before a write without a flush: many short lines of a
/// pipe travel together.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// The number of pings and pongs that are handled before the task yields.
const BATCH_FRAMES: usize = 64;

/// The number of pongs that may wait for the server to read them. Beyond it the server is not read
/// either, which bounds the memory. A smaller number could stop a client and a server that both
/// write before they read.
const MAX_PENDING_PONGS: usize = 256;

/// The longest payload of a control frame (RFC 6455 section 5.5).
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

/// The longest reason of a Close frame: the payload without the code (RFC 6455 section 5.5.1).
pub(crate) const MAX_CLOSE_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

/// The longest frame of a pong: header, masking key and payload.
const MAX_PONG_BYTES: usize = 2 + 4 + MAX_CONTROL_PAYLOAD;

/// The number of messages that are received before a queued one is sent. A server that sends
/// without a pause must not keep the client from sending.
const RECEIVED_BEFORE_SEND: usize = 64;

/// The bound of the write buffer beyond the longest message: pongs, a Close frame, and the bytes
/// that are collected before a write.
const SPARE_WRITE_BUFFER_BYTES: usize =
    WRITE_BUFFER_BYTES + (MAX_PENDING_PONGS + BATCH_FRAMES) * MAX_PONG_BYTES + 1024;

/// The content of a server's Close frame (RFC 6455 section 5.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// The close code; [`CloseCode::ABSENT`] if the frame had none.
    pub code: CloseCode,
    /// The reason, unescaped.
    pub reason: String,
}

impl From<CloseReason> for CloseFrame {
    fn from(reason: CloseReason) -> Self {
        Self {
            code: reason.code(),
            reason: reason.text().into_owned(),
        }
    }
}

/// A ping payload that does not fit into a control frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ping has at most {MAX_CONTROL_PAYLOAD} bytes")]
pub struct PingTooLong;

/// The reason why a connection delivers no more messages.
#[derive(Debug)]
pub enum Closed {
    /// The server sent a Close frame.
    ByPeer(CloseFrame),
    /// The server sent a Close frame with a code that must not be sent (RFC 6455 section 7.4).
    InvalidCode(CloseCode),
    /// The connection ended without a Close frame.
    Lost(Option<io::Error>),
    /// The server violated the protocol and is sent a Close frame.
    ProtocolViolation {
        /// The code and the reason to send.
        reply: CloseReason,
        /// The violation, as the WebSocket library describes it.
        detail: String,
    },
}

/// An event of a connection.
#[derive(Debug)]
pub enum ConnectionEvent {
    /// A message was received.
    Received(Message),
    /// A pong was received, solicited or not, with this payload.
    Pong(Bytes),
    /// The queued message was moved into the write buffer.
    Sent,
    /// The write buffer was flushed.
    Flushed,
    /// The connection delivers no more messages.
    Closed(Closed),
}

/// The permission to read messages from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Messages are read as they arrive.
    On,
    /// Nothing is read, because earlier messages were not written to stdout yet (back-pressure).
    Paused,
}

/// A WebSocket and the message that is queued on it.
#[derive(Debug)]
pub struct Connection<S> {
    socket: WebSocketStream<Metered<S>>,
    outgoing: Option<Message>,
    /// The number of messages that were dropped unsent when the connection was closed.
    dropped: usize,
    /// True if messages or a Close frame may be left in the write buffer.
    unflushed: bool,
    /// The number of pongs that may be left in the write buffer.
    pending_pongs: usize,
    /// The number of messages that were received while a message waited to be sent.
    received_before_send: usize,
    /// The bytes of the received pings and pongs.
    control_bytes: u64,
    /// The other bytes that were received when the last message was complete.
    message_end: u64,
    max_message_bytes: u64,
    /// Set when a write failed. Data that the server sent before may still be readable, such as its
    /// Close frame.
    failure: Option<io::Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Creates a connection from a stream after the opening handshake. A longer message than
    /// `max_message_bytes` is a protocol violation.
    pub async fn new(upgraded: Upgraded<S>, max_message_bytes: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(max_message_bytes.saturating_add(SPARE_WRITE_BUFFER_BYTES))
            .max_message_size(Some(max_message_bytes))
            .max_frame_size(Some(max_message_bytes));
        let Upgraded { stream, rest, .. } = upgraded;
        let stream = Metered::new(stream, &rest);
        let role = Role::Client;
        let socket = WebSocketStream::from_partially_read(stream, rest, role, Some(config)).await;
        Self {
            socket,
            outgoing: None,
            dropped: 0,
            unflushed: false,
            pending_pongs: 0,
            received_before_send: 0,
            control_bytes: 0,
            message_end: 0,
            max_message_bytes: max_message_bytes as u64,
            failure: None,
        }
    }

    /// Returns the number of bytes that were received so far.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.socket.get_ref().received()
    }

    /// Returns the approximate number of bytes of the incomplete message from the server, at most the
    /// greatest length of a message: fragments may be empty, without end.
    pub(crate) fn incomplete_bytes(&self) -> u64 {
        self.data_bytes()
            .saturating_sub(self.message_end)
            .min(self.max_message_bytes)
    }

    fn data_bytes(&self) -> u64 {
        self.received_bytes().saturating_sub(self.control_bytes)
    }

    /// Returns true if data may be left to write. Pongs are no data.
    pub(crate) fn has_unsent_data(&self) -> bool {
        self.outgoing.is_some() || self.unflushed
    }

    /// Returns the number of bytes that were written so far.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.socket.get_ref().written()
    }

    /// Returns true if a message may be queued.
    pub fn is_free(&self) -> bool {
        self.outgoing.is_none() && self.failure.is_none()
    }

    /// Returns true if all queued messages were flushed, and not too many pongs wait.
    pub(crate) fn is_flushed(&self) -> bool {
        self.is_free() && !self.unflushed && self.pending_pongs < MAX_PENDING_PONGS
    }

    /// Returns the number of messages that were queued and never sent.
    pub(crate) fn unsent(&self) -> usize {
        self.dropped + usize::from(self.outgoing.is_some())
    }

    /// Queues a message. [`Self::is_free`] must be true.
    pub fn queue(&mut self, message: Message) {
        debug_assert!(self.outgoing.is_none(), "one message goes out at a time");
        self.outgoing = Some(message);
    }

    /// Drops the queued message, if it was not sent yet.
    pub(crate) fn cancel_queued(&mut self) {
        self.outgoing = None;
    }

    /// Polls for the next event.
    ///
    /// Received messages come first, so that neither side waits for the other to read. After
    /// `RECEIVED_BEFORE_SEND` of them a queued message has its turn. A flush comes last, so that
    /// the caller can queue a message before it polls.
    pub fn poll_event(&mut self, cx: &mut Context<'_>, reading: Reading) -> Poll<ConnectionEvent> {
        if self.received_before_send >= RECEIVED_BEFORE_SEND {
            self.received_before_send = 0;
            if let Poll::Ready(event) = self.poll_send(cx) {
                return Poll::Ready(event);
            }
        }
        if reading == Reading::On
            && let Poll::Ready(event) = self.poll_receive(cx)
        {
            self.received_before_send += usize::from(!self.is_flushed());
            return Poll::Ready(event);
        }
        self.poll_send(cx)
    }

    /// Polls for the progress of the queued message and of the write buffer.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEvent> {
        if self.failure.is_some() {
            return Poll::Pending;
        }
        if self.outgoing.is_some() {
            // Pongs must leave room for the message.
            let ready = if self.pending_pongs > 0 {
                self.socket.poll_flush_unpin(cx)
            } else {
                self.socket.poll_ready_unpin(cx)
            };
            match ready {
                Poll::Ready(Ok(())) => self.pending_pongs = 0,
                Poll::Ready(Err(error)) => return self.write_failed(error),
                Poll::Pending => return Poll::Pending,
            }
            if let Some(message) = self.outgoing.take() {
                self.unflushed = true;
                return match self.socket.start_send_unpin(message.into()) {
                    Ok(()) => Poll::Ready(ConnectionEvent::Sent),
                    Err(error) => self.write_failed(error),
                };
            }
        }
        if self.unflushed {
            match self.socket.poll_flush_unpin(cx) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    self.pending_pongs = 0;
                    return Poll::Ready(ConnectionEvent::Flushed);
                }
                Poll::Ready(Err(error)) => return self.write_failed(error),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEvent> {
        for _ in 0..BATCH_FRAMES {
            if self.pending_pongs > 0 && self.failure.is_none() {
                match self.socket.poll_flush_unpin(cx) {
                    Poll::Ready(Ok(())) => self.pending_pongs = 0,
                    Poll::Ready(Err(error)) => {
                        if let Poll::Ready(event) = self.write_failed(error) {
                            return Poll::Ready(event);
                        }
                    }
                    Poll::Pending if self.pending_pongs >= MAX_PENDING_PONGS => {
                        return Poll::Pending;
                    }
                    Poll::Pending => {}
                }
            }
            let end = match self.socket.poll_next_unpin(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(message))) => match message {
                    tungstenite::Message::Text(text) => {
                        self.message_end = self.data_bytes();
                        return Poll::Ready(ConnectionEvent::Received(Message::Text(text)));
                    }
                    tungstenite::Message::Binary(bytes) => {
                        self.message_end = self.data_bytes();
                        return Poll::Ready(ConnectionEvent::Received(Message::Binary(bytes)));
                    }
                    // The next poll sends the pong (RFC 6455 section 5.5.2).
                    tungstenite::Message::Ping(payload) => {
                        self.control_bytes += 2 + payload.len() as u64;
                        self.pending_pongs += 1;
                        continue;
                    }
                    tungstenite::Message::Pong(payload) => {
                        self.control_bytes += 2 + payload.len() as u64;
                        return Poll::Ready(ConnectionEvent::Pong(payload));
                    }
                    tungstenite::Message::Frame(_) => continue,
                    tungstenite::Message::Close(frame) => self.closed_by_peer(frame),
                },
                Poll::Ready(Some(Err(error))) => closed(error, self.failure.take()),
                Poll::Ready(None) => Closed::Lost(self.failure.take()),
            };
            return Poll::Ready(ConnectionEvent::Closed(end));
        }
        // A flood of pings must not starve the timers.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Returns the end after a Close frame. Its code comes from the stream, because tungstenite
    /// replaces some.
    fn closed_by_peer(&self, frame: Option<protocol::CloseFrame>) -> Closed {
        let sent = self.socket.get_ref().close_code().map(CloseCode);
        let frame = close_frame(frame);
        match sent {
            Some(code) if !code.may_be_sent() => Closed::InvalidCode(code),
            Some(code) if code != frame.code => Closed::ByPeer(CloseFrame {
                code,
                reason: String::new(),
            }),
            Some(_) | None => Closed::ByPeer(frame),
        }
    }

    fn write_failed(&mut self, error: Error) -> Poll<ConnectionEvent> {
        match error {
            Error::Io(error) => {
                self.failure = Some(error);
                Poll::Pending
            }
            error => Poll::Ready(ConnectionEvent::Closed(closed(error, None))),
        }
    }

    /// Queues a ping behind all sent data. [`Self::is_free`] must be true.
    ///
    /// # Errors
    ///
    /// The payload is longer than 125 bytes (RFC 6455 section 5.5).
    pub fn ping(&mut self, payload: Bytes) -> Result<(), PingTooLong> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(PingTooLong);
        }
        debug_assert!(self.is_free(), "one message goes out at a time");
        self.unflushed = true;
        // The next read returns the same error.
        let _ = self
            .socket
            .start_send_unpin(tungstenite::Message::Ping(payload));
        Ok(())
    }

    /// Queues a Close frame behind all sent data, and drops the unsent message. The code must be one
    /// that may be sent.
    pub fn close(&mut self, frame: CloseFrame) {
        debug_assert!(frame.code.may_be_sent() && frame.reason.len() <= MAX_CLOSE_REASON);
        self.dropped += usize::from(self.outgoing.take().is_some());
        let frame = protocol::CloseFrame {
            code: frame.code.0.into(),
            reason: frame.reason.into(),
        };
        self.unflushed = true;
        let close = tungstenite::Message::Close(Some(frame));
        // The next read returns the same error.
        let _ = self.socket.start_send_unpin(close);
    }

    /// Completes the close after the server ended its side, within a deadline. Sends the reply to
    /// its Close frame, or the Close frame for its violation (RFC 6455 sections 5.5.1 and 7.1.7).
    pub async fn finish_close(&mut self, end: &Closed, deadline: Duration) {
        match end {
            // The reply was queued when the frame was read.
            Closed::ByPeer(_) | Closed::InvalidCode(_) => {
                let leave = async {
                    let _ = poll_fn(|cx| self.socket.poll_flush_unpin(cx)).await;
                    // TLS then tells the server that nothing was truncated.
                    let _ = self.socket.get_mut().shutdown().await;
                };
                let _ = timeout(deadline, leave).await;
            }
            Closed::ProtocolViolation { reply, .. } => {
                self.close_after_violation(*reply, deadline).await;
            }
            Closed::Lost(_) => {}
        }
    }

    /// Closes the connection after a protocol violation. Unread data at the end would reset TCP and
    /// lose the Close frame, so everything is read and dropped until the server closes.
    async fn close_after_violation(&mut self, reason: CloseReason, deadline: Duration) {
        self.close(reason.into());
        let leave = async {
            let _ = poll_fn(|cx| self.socket.poll_flush_unpin(cx)).await;
            let stream = self.socket.get_mut();
            let _ = stream.shutdown().await;
            let mut dropped = [0; 4096];
            while matches!(stream.read(&mut dropped).await, Ok(1..)) {}
        };
        let _ = timeout(deadline, leave).await;
    }
}

fn close_frame(frame: Option<protocol::CloseFrame>) -> CloseFrame {
    match frame {
        Some(frame) => CloseFrame {
            code: CloseCode(frame.code.into()),
            reason: frame.reason.to_string(),
        },
        None => CloseFrame {
            code: CloseCode::ABSENT,
            reason: String::new(),
        },
    }
}

/// Maps an error of the WebSocket library to the end of the connection.
fn closed(error: Error, failure: Option<io::Error>) -> Closed {
    match error {
        // A truncated TLS stream is reported like an early end of TCP.
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Closed::Lost(failure),
        Error::Io(error) => Closed::Lost(Some(failure.unwrap_or(error))),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Closed::Lost(failure),
        Error::Utf8(detail) => Closed::ProtocolViolation {
            reply: CloseReason::InvalidUtf8,
            detail,
        },
        Error::Capacity(error) => Closed::ProtocolViolation {
            reply: CloseReason::MessageTooBig,
            detail: error.to_string(),
        },
        Error::Protocol(error) => Closed::ProtocolViolation {
            reply: CloseReason::ProtocolError,
            detail: error.to_string(),
        },
        error => Closed::ProtocolViolation {
            reply: CloseReason::ProtocolError,
            detail: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, future::poll_fn};
    use proto::close::CloseCode;
    use tokio::io::{DuplexStream, duplex};
    use tokio_tungstenite::{
        WebSocketStream,
        tungstenite::{Bytes, Message, protocol::Role},
    };

    use super::{CloseFrame, Closed, Connection, ConnectionEvent, PingTooLong, Reading};
    use crate::connect::Upgraded;

    async fn connected() -> (Connection<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (stream, theirs) = duplex(1 << 16);
        let upgraded = Upgraded {
            stream,
            rest: Vec::new(),
            has_subprotocol: false,
        };
        let connection = Connection::new(upgraded, 1 << 16).await;
        let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        (connection, server)
    }

    async fn next(connection: &mut Connection<DuplexStream>) -> ConnectionEvent {
        poll_fn(|cx| connection.poll_event(cx, Reading::On)).await
    }

    #[tokio::test]
    async fn ping_is_sent_and_its_pong_reported() {
        let (mut connection, mut server) = connected().await;
        assert_eq!(connection.ping(Bytes::from(vec![0; 126])), Err(PingTooLong));
        connection.ping(Bytes::from_static(b"12")).unwrap();
        assert!(matches!(
            next(&mut connection).await,
            ConnectionEvent::Flushed
        ));
        let ping = server.next().await.unwrap().unwrap();
        assert_eq!(ping, Message::Ping(Bytes::from_static(b"12")));
        // The next poll of the server sends the pong.
        let (event, _) = tokio::join!(next(&mut connection), async {
            tokio::time::timeout(std::time::Duration::from_millis(1), server.next()).await
        });
        assert!(matches!(event, ConnectionEvent::Pong(payload) if payload == "12"));
    }

    #[tokio::test]
    async fn any_valid_close_code_is_sent() {
        for (code, reason) in [(1000, ""), (3000, "bye"), (4999, "ü")] {
            let (mut connection, mut server) = connected().await;
            let frame = CloseFrame {
                code: CloseCode(code),
                reason: reason.to_owned(),
            };
            connection.close(frame.clone());
            let closing = async {
                let Message::Close(Some(frame)) = server.next().await.unwrap().unwrap() else {
                    panic!("a Close frame is sent")
                };
                assert_eq!((u16::from(frame.code), &*frame.reason), (code, reason));
                assert!(server.next().await.is_none());
            };
            let ended = async {
                loop {
                    if let ConnectionEvent::Closed(end) = next(&mut connection).await {
                        return end;
                    }
                }
            };
            let (end, ()) = tokio::join!(ended, closing);
            assert!(matches!(end, Closed::ByPeer(echoed) if echoed == frame));
        }
    }
}
