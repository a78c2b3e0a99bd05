//! The WebSocket, once it is open: one message goes out at a time, and whatever comes is taken in
//! the meantime.

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
        self, Error,
        error::ProtocolError,
        protocol::{self, Role, WebSocketConfig},
    },
};

use super::{message::Message, metered::Metered};
use crate::connect::Upgraded;

/// Enough for the usual message; a greater one gets the room that it needs.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// How much is collected before it is written without being asked to: many short lines of a script
/// travel together.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// How many pings and pongs are taken in before anything else has its turn.
const BATCH_FRAMES: usize = 64;

/// What a server's Close frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code in it; [`CloseCode::ABSENT`] if there was none.
    pub code: CloseCode,
    /// The server's own words, as they came.
    pub reason: String,
}

/// Why nothing more will come.
#[derive(Debug)]
pub enum Closed {
    /// The server sent a Close frame.
    ByPeer(CloseFrame),
    /// The connection ended without one.
    Lost(Option<io::Error>),
    /// The server broke the protocol, and is to be told so.
    ProtocolViolation {
        /// What it is to be told.
        reply: CloseReason,
        /// What it did, in the words of the WebSocket library.
        detail: String,
    },
}

/// Something that happened on the link.
#[derive(Debug)]
pub enum ConnectionEvent {
    /// A message came.
    Received(Message),
    /// The message that was queued has gone into the write buffer.
    Sent,
    /// All that was sent has left the write buffer.
    Flushed,
    /// Nothing more will come.
    Closed(Closed),
}

/// Whether messages may be taken from the server just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// They are taken as they come.
    On,
    /// What came before has not been shown yet.
    Paused,
}

/// A WebSocket and the message that waits to be sent on it.
#[derive(Debug)]
pub struct Connection<S> {
    socket: WebSocketStream<Metered<S>>,
    outgoing: Option<Message>,
    /// How many messages were given up because the link was closed before they were sent.
    dropped: usize,
    /// Whether something may be left in the write buffer.
    unflushed: bool,
    /// Set when writing failed. What the server said before may still be there to be read, such as
    /// why it closed.
    failure: Option<io::Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A link on a stream that speaks WebSocket from here on. A server that sends a longer message
    /// than this breaks the protocol.
    pub async fn new(upgraded: Upgraded<S>, max_message_bytes: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(Some(max_message_bytes))
            .max_frame_size(Some(max_message_bytes));
        let Upgraded { stream, rest } = upgraded;
        let stream = Metered::new(stream);
        let role = Role::Client;
        let socket = WebSocketStream::from_partially_read(stream, rest, role, Some(config)).await;
        Self {
            socket,
            outgoing: None,
            dropped: 0,
            unflushed: false,
            failure: None,
        }
    }

    /// How many bytes have moved so far, in both directions.
    pub(crate) fn bytes(&self) -> u64 {
        self.socket.get_ref().bytes()
    }

    /// Whether a message may be queued.
    pub fn is_free(&self) -> bool {
        self.outgoing.is_none() && self.failure.is_none()
    }

    /// Whether everything that was queued has left.
    pub(crate) fn is_flushed(&self) -> bool {
        self.is_free() && !self.unflushed
    }

    /// How many messages were queued and never sent.
    pub(crate) fn unsent(&self) -> usize {
        self.dropped + usize::from(self.outgoing.is_some())
    }

    /// Queues a message. The link must be free.
    pub fn queue(&mut self, message: Message) {
        debug_assert!(self.outgoing.is_none(), "one message goes out at a time");
        self.outgoing = Some(message);
    }

    /// Takes back what was queued, if it was not sent yet: nobody needs it any more.
    pub(crate) fn cancel_queued(&mut self) {
        self.outgoing = None;
    }

    /// The next thing that happens. What the server sends comes first, so that neither side waits
    /// for the other to read; what was sent is flushed when there is nothing else to do, so that
    /// the caller offers a message before it polls.
    pub fn poll_event(&mut self, cx: &mut Context<'_>, reading: Reading) -> Poll<ConnectionEvent> {
        if reading == Reading::On
            && let Poll::Ready(event) = self.poll_receive(cx)
        {
            return Poll::Ready(event);
        }
        if self.failure.is_some() {
            return Poll::Pending;
        }
        if self.outgoing.is_some() {
            match self.socket.poll_ready_unpin(cx) {
                Poll::Ready(Ok(())) => {}
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
            let end = match self.socket.poll_next_unpin(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(message))) => match message {
                    tungstenite::Message::Text(text) => {
                        return Poll::Ready(ConnectionEvent::Received(Message::Text(text)));
                    }
                    tungstenite::Message::Binary(bytes) => {
                        return Poll::Ready(ConnectionEvent::Received(Message::Binary(bytes)));
                    }
                    // Polling again sends the pong.
                    tungstenite::Message::Ping(_)
                    | tungstenite::Message::Pong(_)
                    | tungstenite::Message::Frame(_) => continue,
                    tungstenite::Message::Close(frame) => Closed::ByPeer(close_frame(frame)),
                },
                Poll::Ready(Some(Err(error))) => closed(error, self.failure.take()),
                Poll::Ready(None) => Closed::Lost(self.failure.take()),
            };
            return Poll::Ready(ConnectionEvent::Closed(end));
        }
        // A flood of pings must not keep the time from being looked at.
        cx.waker().wake_by_ref();
        Poll::Pending
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

    /// Queues a Close frame, behind all that was sent. What was not sent is given up.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.dropped += usize::from(self.outgoing.take().is_some());
        let frame = protocol::CloseFrame {
            code: reason.code().0.into(),
            reason: reason.text().into(),
        };
        self.unflushed = true;
        let close = tungstenite::Message::Close(Some(frame));
        // What fails here is found again by whoever reads on.
        let _ = self.socket.start_send_unpin(close);
    }

    /// Gives the server what it is owed after it ended its side: the Close frame that answers its
    /// own, or the one that tells it what it did wrong. That takes this long at most.
    pub async fn finish_close(&mut self, end: &Closed, deadline: Duration) {
        match end {
            // The answer was queued when the frame came.
            Closed::ByPeer(_) => {
                let leave = async {
                    let _ = poll_fn(|cx| self.socket.poll_flush_unpin(cx)).await;
                    // By TLS, the server is told that nothing was cut off.
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

    /// Lets go of a server that broke the protocol. The Close frame is lost if the connection ends
    /// while there is something unread, so everything is read and dropped until the server is gone.
    async fn close_after_violation(&mut self, reason: CloseReason, deadline: Duration) {
        self.close(reason);
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

/// What an error of the WebSocket means for the session.
fn closed(error: Error, failure: Option<io::Error>) -> Closed {
    match error {
        // TLS was cut off: nothing that is worth more words than an early end of TCP.
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
