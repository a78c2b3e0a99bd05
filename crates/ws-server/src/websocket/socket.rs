//! The WebSocket of one connection: messages, control frames and the closing handshake.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use futures::{
    FutureExt as _, SinkExt as _, StreamExt as _,
    future::{Either, join, poll_fn, select},
};
use proto::close::{CloseCode, CloseReason};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Error,
        error::ProtocolError,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use crate::{
    limits::{Limits, MAX_DISCARDED_BYTES},
    message::{FrameHeader, LONG_BYTES, Message, Text},
    peer::ConnectionId,
    registry::{BackendBytes, ConnectionEntry, EvictionCause, HeldBytes, Registration},
    websocket::{
        Ended,
        transport::{Transport, TransportError, WRITE_BUFFER_BYTES},
    },
};

/// The size of tungstenite's read buffer, which each connection holds all the time. The transport
/// below it reads in large pieces.
const READ_BUFFER_BYTES: usize = 1024;

/// Space in the write buffer of tungstenite for frame headers, a Pong and a Close frame.
const CONTROL_FRAMES_BYTES: usize = 1024;

/// The maximum of bytes read before the login.
const LOGIN_BYTES: usize = 16 * 1024;

/// An incoming message.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A data message.
    Message(Message),
    /// A Ping, whose Pong is already queued (RFC 6455 section 5.5.2), or a Pong.
    Control,
}

/// The WebSocket of a connection, before or after the login. It queues messages until a flush. While
/// the connection is open it enforces no deadline.
#[derive(Debug)]
pub(crate) struct WebSocket<S> {
    /// `None` only while it is rebuilt, and after the close.
    websocket: Option<WebSocketStream<Transport<S>>>,
    limits: Arc<Limits>,
    /// The maximum message length of the route.
    max_message_bytes: usize,
    registration: Registration,
    /// The peer has sent a Close frame.
    peer_closed: bool,
    /// The bytes of the backend.
    backend: BackendBytes,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Creates the WebSocket of an upgraded stream. `leftovers` are the bytes read after the request
    /// head.
    pub(crate) fn new(
        io: S,
        leftovers: Bytes,
        limits: Arc<Limits>,
        max_message_bytes: usize,
        registration: Registration,
    ) -> Self {
        let budget = Arc::clone(registration.budget());
        let transport = Transport::new(io, leftovers, LOGIN_BYTES, budget);
        let websocket = websocket(transport, Role::Server, max_message_bytes);
        Self {
            websocket: Some(websocket),
            limits,
            max_message_bytes,
            registration,
            peer_closed: false,
            backend: BackendBytes::default(),
        }
    }

    /// Sets the greatest number of written bytes that the stream holds until a flush.
    pub(crate) fn set_stream_buffer(&mut self, bytes: u32) {
        self.transport().set_stream_buffer(bytes);
    }

    /// Returns the registry entry of the connection.
    pub(crate) fn entry(&self) -> &Arc<ConnectionEntry> {
        self.registration.entry()
    }

    /// Returns the id of the connection.
    pub(crate) fn id(&self) -> ConnectionId {
        self.registration.id()
    }

    /// Returns the maximum length of a message, in bytes.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.max_message_bytes
    }

    /// Returns the limits of the connection.
    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Removes the limit on bytes before the login.
    pub(crate) fn lift_login_bound(&mut self) {
        self.transport().lift_login_bound();
    }

    /// Returns the number of bytes read from the stream so far.
    pub(crate) fn received(&mut self) -> u64 {
        self.transport().received()
    }

    /// Returns the number of bytes written to the stream so far.
    pub(crate) fn written(&mut self) -> u64 {
        self.transport().written()
    }

    /// Notes the bytes of the backend, which belong to the connection.
    pub(crate) fn set_backend_bytes(&mut self, backend: BackendBytes) {
        self.backend = backend;
    }

    /// Returns the bytes that the server holds for the peer. A long message that is written is shared if
    /// the caller says so.
    pub(crate) fn held_bytes(&mut self, is_long_shared: bool) -> HeldBytes {
        let backend = self.backend.held;
        let transport = self.transport();
        let buffered = transport.held_input() + transport.buffered_output();
        let own = (buffered + transport.held_by_stream()).saturating_add(backend);
        let long = transport.long_bytes();
        if is_long_shared {
            HeldBytes { own, shared: long }
        } else {
            HeldBytes {
                own: own.saturating_add(long),
                shared: 0,
            }
        }
    }

    /// Returns true if all queued messages are written.
    pub(crate) fn is_flushed(&mut self) -> bool {
        let transport = self.transport();
        transport.buffered_output() + transport.long_bytes() == 0
    }

    /// Reports the held bytes to the budget. Returns the cause if they have to be given back.
    pub(crate) fn report(&mut self, held: HeldBytes) -> Option<EvictionCause> {
        let moved = self.received() + self.written() + self.backend.moved;
        self.registration.report(held, moved);
        self.entry().holding().demanded()
    }

    /// Reports that only the backend holds bytes.
    fn report_backend(&mut self) {
        let own = self.backend.held;
        self.report(HeldBytes { own, shared: 0 });
    }

    /// Returns true while nothing may be read; see `BufferBudget::must_wait`.
    pub(crate) fn must_wait(&self) -> bool {
        self.registration.budget().must_wait()
    }

    /// Asks connections to give bytes back, if the budget is exceeded.
    pub(crate) fn relieve(&self) {
        self.registration.relieve();
    }

    /// Counts the end of the connection on demand of the budget.
    pub(crate) fn count_eviction(&self, cause: EvictionCause) {
        self.registration.count_eviction(cause);
    }

    /// Returns the next message. Pending may also mean that the task must yield, or needs a turn.
    ///
    /// # Errors
    ///
    /// The connection has ended, with the reason.
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
            Some(Ok(tungstenite::Message::Close(frame))) => Err(self.end_by_peer(frame)),
            // tungstenite never returns raw frames from a read.
            Some(Ok(tungstenite::Message::Frame(_))) => Err(Ended::ByUs(CloseReason::Internal)),
            Some(Err(error)) => Err(ended(&error)),
            None => Err(Ended::Lost),
        })
    }

    /// Records the peer's Close frame. Returns the end that it causes.
    // Not inlined: each message would cost more instructions.
    #[cold]
    fn end_by_peer(&mut self, frame: Option<CloseFrame>) -> Ended {
        self.peer_closed = true;
        match self.transport().close_code().map(CloseCode) {
            // tungstenite has queued the reply with 1002.
            Some(code) if !code.may_be_sent() => Ended::ByUs(CloseReason::ProtocolError),
            code => by_peer(frame, code),
        }
    }

    /// Returns true if a message of this length can be queued now.
    pub(crate) fn has_room(&mut self, length: usize) -> bool {
        length <= LONG_BYTES && self.transport().has_room()
    }

    /// Ready when a message of this length can be queued.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub(crate) fn poll_ready(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
    ) -> Poll<Result<(), Ended>> {
        if self.has_room(length) {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush(cx)
    }

    /// Queues a message. [`WebSocket::poll_ready`] must have been ready for its length.
    ///
    /// # Errors
    ///
    /// The peer has sent a Close frame.
    pub(crate) fn queue(&mut self, message: Message) -> Result<(), Ended> {
        if self.peer_closed {
            // No frame may follow the Close reply (RFC 6455 section 5.5.1).
            return Err(Ended::Lost);
        }
        if message.len() <= LONG_BYTES {
            let header = message.header();
            self.transport()
                .queue_short(&header, message.as_bytes(), &[]);
        } else {
            self.transport().queue_long(message.into_frame());
        }
        Ok(())
    }

    /// Queues a text of two parts. [`WebSocket::poll_ready`] must have been ready for its length.
    ///
    /// # Errors
    ///
    /// The peer has sent a Close frame.
    pub(crate) fn queue_text(&mut self, first: &str, second: Text) -> Result<(), Ended> {
        if self.peer_closed {
            return Err(Ended::Lost);
        }
        let len = first.len() + second.len();
        let header = FrameHeader::of_text(len);
        if len <= LONG_BYTES {
            self.transport()
                .queue_short(&header, first.as_bytes(), second.as_bytes());
        } else {
            let start = Bytes::from([header.as_bytes(), first.as_bytes()].concat());
            self.transport().queue_long(start.chain(second.into()));
        }
        Ok(())
    }

    /// Queues an empty Ping. The write buffer always has space for it.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub(crate) fn queue_ping(&mut self) -> Result<(), Ended> {
        let ping = tungstenite::Message::Ping(Bytes::new());
        self.websocket()
            .start_send_unpin(ping)
            .map_err(|error| ended(&error))
    }

    /// Ready when all queued messages are written.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        ready!(self.websocket().poll_flush_unpin(cx)).map_err(|error| ended(&error))?;
        if self.is_flushed() {
            return Poll::Ready(Ok(()));
        }
        // tungstenite queues its Close reply and does not flush it.
        Pin::new(self.transport())
            .poll_flush(cx)
            .map_err(|error| ended(&error.into()))
    }

    /// Releases the buffers that large messages have grown, if the stream is between two messages.
    /// Returns true if it did. The caller must have flushed, with reading pending. It must poll again
    /// at once, because the new WebSocket has not registered a waker.
    pub(crate) fn release_buffers(&mut self) -> bool {
        if !self.transport().is_at_message_boundary() {
            return false;
        }
        self.replace_decoder();
        true
    }

    fn replace_decoder(&mut self) {
        if let Some(old) = self.websocket.take() {
            let mut transport = old.into_inner();
            transport.on_decoder_replaced();
            self.websocket = Some(websocket(transport, Role::Server, self.max_message_bytes));
        }
    }

    /// Closes the connection (RFC 6455 sections 5.5.1, 7.1.1 and 7.1.2).
    ///
    /// Writes the queued messages and a Close frame, then shuts down the sending side. Input is read
    /// and discarded until the peer's Close frame (lingering close): unread bytes could reset the
    /// connection before the peer has read the Close frame.
    ///
    /// A close by the server ends at the close deadline. After a close by the peer or the service, the write
    /// of the queue continues as long as it makes progress. The budget may end both earlier.
    ///
    /// `backend` is the close of the backend, which takes place meanwhile and may take longer. Until its
    /// end, its bytes count for the connection.
    pub(crate) async fn close(mut self, ended: &Ended, backend: impl Future<Output = ()>) {
        let entry = Arc::clone(self.entry());
        entry.queue().close();
        let dropped = poll_fn(|cx| entry.poll_dropped(cx.waker()));
        let close = async {
            self.close_in_time(ended).await;
            self.report_backend();
            self.websocket = None;
        };
        select(pin!(join(close, backend)), dropped).await;
    }

    async fn close_in_time(&mut self, ended: &Ended) {
        match ended {
            // Flush queued messages and the Close reply: the peer may have shut down only its sending
            // side (RFC 6455 section 5.5.1).
            Ended::Lost | Ended::ByPeer { .. } => self.finish_close_of_peer().await,
            // The peer's Close frame broke the protocol, and its reply is queued.
            Ended::ByUs(_) | Ended::ByService { .. } if self.peer_closed => {
                self.finish_close_of_peer().await;
            }
            Ended::ByUs(reason) => self.send_close(reason.code(), &reason.text()).await,
            Ended::ByService { code, reason } => {
                // The peer gets all that the service has sent.
                if self.flush_with_progress_deadline().await {
                    self.send_close(*code, reason).await;
                }
            }
        }
    }

    /// Writes the queued messages and a Close frame, then ends the connection, within the close
    /// deadline.
    async fn send_close(&mut self, code: CloseCode, reason: &str) {
        let frame = CloseFrame {
            code: code.0.into(),
            reason: reason.into(),
        };
        let close = tungstenite::Message::Close((code != CloseCode::ABSENT).then_some(frame));
        // tungstenite may hold back a Pong, which would otherwise follow the Close frame. A flush queues
        // it, even if writing is pending.
        let _ = poll_fn(|cx| Poll::Ready(self.poll_flush(cx))).await;
        if self.websocket().start_send_unpin(close).is_ok() {
            let _ = timeout(self.limits.close_deadline, async {
                poll_fn(|cx| self.poll_flush(cx)).await?;
                self.shutdown_and_drain().await;
                Ok::<_, Ended>(())
            })
            .await;
        }
    }

    /// Writes the queued messages and the Close reply, then ends the connection.
    async fn finish_close_of_peer(&mut self) {
        if self.flush_with_progress_deadline().await {
            let _ = timeout(self.limits.close_deadline, self.shutdown_and_drain()).await;
        }
    }

    /// Flushes the queue, until the write deadline passes without progress, or until the close
    /// deadline after the registry ended the connection. Returns true if all was written.
    async fn flush_with_progress_deadline(&mut self) -> bool {
        let entry = Arc::clone(self.entry());
        let (write_deadline, close_deadline) =
            (self.limits.write_deadline, self.limits.close_deadline);
        let ended = poll_fn(|cx| {
            entry
                .poll_ended(cx.waker())
                .map_or(Poll::Pending, Poll::Ready)
        });
        let flush = async {
            loop {
                let before = self.written();
                match timeout(write_deadline, poll_fn(|cx| self.poll_flush(cx))).await {
                    Ok(flushed) => return flushed.is_ok(),
                    Err(_) if self.written() > before => {}
                    Err(_) => return false,
                }
            }
        };
        match select(pin!(flush), ended).await {
            Either::Left((flushed, _)) => flushed,
            Either::Right((_, flush)) => timeout(close_deadline, flush).await.unwrap_or(false),
        }
    }

    /// Shuts down the sending side, and reads until the peer's Close frame (lingering close, RFC 6455
    /// section 7.1.1).
    async fn shutdown_and_drain(&mut self) {
        // Nothing is decoded or written any more.
        self.replace_decoder();
        self.report_backend();
        let most = self.transport().received() + MAX_DISCARDED_BYTES;
        // On an error the connection has ended already.
        if self.transport().shutdown().await.is_ok() {
            let _ = poll_fn(|cx| self.transport().poll_discard(cx, most)).await;
            self.transport().discard_arrived().await;
        }
    }

    fn websocket(&mut self) -> &mut WebSocketStream<Transport<S>> {
        self.websocket
            .as_mut()
            .expect("the WebSocket is absent only while it is rebuilt, and after the close")
    }

    fn transport(&mut self) -> &mut Transport<S> {
        self.websocket().get_mut()
    }
}

/// Wraps a stream in a WebSocket.
pub(super) fn websocket<S: AsyncRead + AsyncWrite + Unpin>(
    transport: Transport<S>,
    role: Role,
    max_message_bytes: usize,
) -> WebSocketStream<Transport<S>> {
    let (write_buffer_bytes, max_message_in_buffer) = match role {
        // Only control frames pass it, at once.
        Role::Server => (0, 0),
        Role::Client => (WRITE_BUFFER_BYTES, max_message_bytes),
    };
    let max_write_buffer_bytes = write_buffer_bytes + max_message_in_buffer + CONTROL_FRAMES_BYTES;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(write_buffer_bytes)
        .max_write_buffer_size(max_write_buffer_bytes)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    // The function is async only to get a waker, which each poll sets anew.
    WebSocketStream::from_raw_socket(transport, role, Some(config))
        .now_or_never()
        .expect("wrapping a stream never waits")
}

/// Returns the end by a Close frame. `sent` is its code as it was sent, which tungstenite replaces
/// if it does not know it.
pub(super) fn by_peer(frame: Option<CloseFrame>, sent: Option<CloseCode>) -> Ended {
    match frame {
        Some(frame) if sent.is_some_and(|sent| sent.0 != u16::from(frame.code)) => Ended::ByPeer {
            code: sent.unwrap_or(CloseCode::ABSENT),
            reason: String::new(),
        },
        Some(frame) => Ended::ByPeer {
            code: CloseCode(frame.code.into()),
            reason: frame.reason.as_str().to_owned(),
        },
        None => Ended::ByPeer {
            code: CloseCode::ABSENT,
            reason: String::new(),
        },
    }
}

/// Maps an error of tungstenite to the end of the connection. tungstenite itself sends no Close frame
/// for an error.
// Not inlined: each message would cost more instructions.
#[cold]
pub(super) fn ended(error: &Error) -> Ended {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => Ended::Lost,
        Error::Protocol(_) => Ended::ByUs(CloseReason::ProtocolError),
        Error::Utf8(_) => Ended::ByUs(CloseReason::InvalidUtf8),
        Error::Capacity(_) => Ended::ByUs(CloseReason::MessageTooBig),
        Error::Io(error) => match TransportError::from_io(error) {
            Some(TransportError::LoginTooLarge) => Ended::ByUs(CloseReason::LoginTooLarge),
            Some(TransportError::ProtocolViolation) => Ended::ByUs(CloseReason::ProtocolError),
            None => Ended::Lost,
        },
        // A full write buffer is not possible, and all other errors belong to handshakes.
        _ => Ended::ByUs(CloseReason::Internal),
    }
}
