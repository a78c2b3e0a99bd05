//! The WebSocket of an upstream, whose client this server is.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use proto::close::{CloseCode, CloseReason};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        protocol::{CloseFrame, Role},
    },
};

use crate::{
    limits::{Limits, MAX_DISCARDED_BYTES},
    message::{Message, Text},
    websocket::{
        Ended, Incoming,
        socket::{by_peer, ended, websocket},
        transport::Transport,
    },
};

/// The longest header of a frame to a server (RFC 6455 section 5.2).
const MAX_HEADER_BYTES: usize = 14;

/// The WebSocket of an upstream. It queues messages until a flush, and enforces no deadline while the
/// connection is open.
#[derive(Debug)]
pub(crate) struct UpstreamSocket<S> {
    /// `None` only while it is rebuilt.
    websocket: Option<WebSocketStream<Transport<S>>>,
    max_message_bytes: usize,
    /// The upstream has sent a Close frame.
    peer_closed: bool,
    /// The bytes queued since the last complete flush.
    queued: usize,
    /// The number of bytes that were written at that flush.
    flushed: u64,
    /// The longest content of the write buffer, which keeps its memory.
    longest_queue: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> UpstreamSocket<S> {
    /// Creates the WebSocket of an upgraded stream. `leftovers` are the bytes read after the response
    /// head.
    pub(crate) fn new(io: S, leftovers: Bytes, max_message_bytes: usize) -> Self {
        let transport = Transport::of_server(io, leftovers);
        Self {
            websocket: Some(websocket(transport, Role::Client, max_message_bytes)),
            max_message_bytes,
            peer_closed: false,
            queued: 0,
            flushed: 0,
            longest_queue: 0,
        }
    }

    /// Returns the number of bytes read from the stream so far.
    pub(crate) fn received(&mut self) -> u64 {
        self.transport().received()
    }

    /// Returns the number of bytes written to the stream so far.
    pub(crate) fn written(&mut self) -> u64 {
        self.transport().written()
    }

    /// Returns the bytes of messages that this side holds, in buffers that keep their memory too.
    pub(crate) fn held_bytes(&mut self) -> usize {
        self.transport()
            .held_input()
            .saturating_add(self.longest_queue)
    }

    /// Returns the next message. Pending may also mean that the task must yield.
    ///
    /// # Errors
    ///
    /// The connection has ended. [`Ended::ByPeer`] is the Close frame of the upstream, and
    /// [`Ended::ByUs`] the reason of the Close frame to send to it.
    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Ended>> {
        let next = self.websocket().poll_next_unpin(cx);
        self.transport().release_scratch();
        let Poll::Ready(next) = next else {
            self.transport().begin_batch();
            return Poll::Pending;
        };
        Poll::Ready(match next {
            Some(Ok(tungstenite::Message::Text(text))) => {
                Ok(Incoming::Message(Message::Text(Text(text))))
            }
            Some(Ok(tungstenite::Message::Binary(bytes))) => {
                Ok(Incoming::Message(Message::Binary(bytes)))
            }
            Some(Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_))) => {
                Ok(Incoming::Control)
            }
            Some(Ok(tungstenite::Message::Close(frame))) => {
                self.peer_closed = true;
                match self.transport().close_code().map(CloseCode) {
                    // tungstenite has queued the reply with 1002.
                    Some(code) if !code.may_be_sent() => {
                        Err(Ended::ByUs(CloseReason::ProtocolError))
                    }
                    code => Err(by_peer(frame, code)),
                }
            }
            // tungstenite never returns raw frames from a read.
            Some(Ok(tungstenite::Message::Frame(_))) => Err(Ended::ByUs(CloseReason::Internal)),
            Some(Err(error)) => Err(ended(&error)),
            None => Err(Ended::Lost),
        })
    }

    /// Ready when a message can be queued: the write buffer is below its high-water mark.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let websocket = self.websocket();
        websocket
            .poll_ready_unpin(cx)
            .map_err(|error| ended(&error))
    }

    /// Queues a message. [`UpstreamSocket::poll_ready`] must have been ready.
    ///
    /// # Errors
    ///
    /// The upstream has sent a Close frame, or the connection has ended.
    pub(crate) fn queue(&mut self, message: Message) -> Result<(), Ended> {
        self.queued += message.len() + MAX_HEADER_BYTES;
        let written = self.written() - self.flushed;
        let written = usize::try_from(written).unwrap_or(usize::MAX);
        let unwritten = self.queued.saturating_sub(written);
        self.longest_queue = self.longest_queue.max(unwritten);
        let websocket = self.websocket();
        websocket
            .start_send_unpin(message.into())
            .map_err(|error| ended(&error))
    }

    /// Queues an empty Ping.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub(crate) fn queue_ping(&mut self) -> Result<(), Ended> {
        let ping = tungstenite::Message::Ping(Bytes::new());
        let websocket = self.websocket();
        websocket
            .start_send_unpin(ping)
            .map_err(|error| ended(&error))
    }

    /// Ready when all queued messages are written.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let flushed = self.websocket().poll_flush_unpin(cx);
        if flushed.is_ready() {
            self.queued = 0;
            self.flushed = self.written();
        }
        flushed.map_err(|error| ended(&error))
    }

    /// Releases the buffers that large messages have grown, if everything is written and the stream is
    /// between two messages. Returns true if it did; then the caller must poll again at once.
    pub(crate) fn release_buffers(&mut self, cx: &mut Context<'_>) -> bool {
        if self.poll_flush(cx).is_pending() || !self.transport().is_at_message_boundary() {
            return false;
        }
        if let Some(old) = self.websocket.take() {
            let mut transport = old.into_inner();
            transport.on_decoder_replaced();
            self.websocket = Some(websocket(transport, Role::Client, self.max_message_bytes));
            self.longest_queue = 0;
        }
        true
    }

    /// Writes the queued messages, until the write deadline passes without progress. Returns true if all
    /// are written.
    pub(crate) async fn flush_with_progress_deadline(&mut self, limits: &Limits) -> bool {
        loop {
            let before = self.written();
            match timeout(limits.write_deadline, poll_fn(|cx| self.poll_flush(cx))).await {
                Ok(flushed) => return flushed.is_ok(),
                Err(_) if self.written() > before => {}
                Err(_) => return false,
            }
        }
    }

    /// Closes the connection within the close deadline: writes the queued messages and a Close frame, or
    /// the reply to the one of the upstream, reads until the upstream's Close frame, and ends the
    /// stream (RFC 6455 sections 5.5.1 and 7.1.1).
    pub(crate) async fn close(mut self, code: CloseCode, reason: &str, limits: &Limits) {
        let close = async {
            if !self.peer_closed {
                let frame = CloseFrame {
                    code: code.0.into(),
                    reason: reason.into(),
                };
                let close = (code != CloseCode::ABSENT).then_some(frame);
                // A flush queues a Pong that tungstenite holds back.
                let _ = poll_fn(|cx| Poll::Ready(self.poll_flush(cx))).await;
                let close = tungstenite::Message::Close(close);
                if self.websocket().start_send_unpin(close).is_err() {
                    return;
                }
            }
            if poll_fn(|cx| self.poll_flush(cx)).await.is_err() {
                return;
            }
            let most = self.received() + MAX_DISCARDED_BYTES;
            if !self.peer_closed {
                let _ = poll_fn(|cx| self.transport().poll_discard(cx, most)).await;
            }
            // The upstream, as the server, should end the stream first. Unread bytes would reset it.
            if self.transport().shutdown().await.is_ok() {
                poll_fn(|cx| self.transport().poll_discard_to_end(cx, most)).await;
            }
        };
        let _ = timeout(limits.close_deadline, close).await;
    }

    fn websocket(&mut self) -> &mut WebSocketStream<Transport<S>> {
        self.websocket
            .as_mut()
            .expect("the WebSocket is absent only while it is rebuilt")
    }

    fn transport(&mut self) -> &mut Transport<S> {
        self.websocket().get_mut()
    }
}
