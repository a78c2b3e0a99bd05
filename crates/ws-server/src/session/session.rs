//! An admitted connection, as a service uses it.
//!
//! [`Session`] is the sole owner of its socket: a message passes no split stream, no second task and
//! no channel. `websocket/socket.rs` implements the WebSocket, `websocket/transport.rs` the byte stream
//! below it, and `keepalive.rs` the timers. Other tasks reach a session through its entry in
//! `registry/`.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use proto::close::CloseReason;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::coop::has_budget_remaining,
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    access::Principal,
    limits::Limits,
    message::{LONG_BYTES, Message, Text},
    peer::{ConnectionId, Peer},
    registry::{BackendBytes, FREE_BYTES, HeldBytes, Outbox, OutboxPolicy, Pushed, TrafficCounts},
    session::{
        Authenticated,
        keepalive::{Keepalive, KeepaliveAction},
        rate::RateLimit,
    },
    websocket::{Ended, Incoming, WebSocket, is_exhausted},
};

/// The length above which a message grows the buffers enough to release them later.
const LARGE_BYTES: usize = 4096;

/// The maximum number of pushed texts delivered before a message of the peer is read.
const MAX_PUSHES_PER_TURN: u16 = 256;

/// The session of an admitted connection.
#[derive(Debug)]
pub struct Session<S> {
    socket: WebSocket<S>,
    principal: Principal,
    path: Arc<str>,
    keepalive: Keepalive,
    /// The only timer of the session. Boxed, so that the session can move.
    timer: Pin<Box<Sleep>>,
    control_frames: Option<RateLimit>,
    /// The number of pushed texts delivered since a message of the peer was last read.
    pushes_this_turn: u16,
    /// The last long message that was queued is a text that other connections may hold, too.
    is_long_shared: bool,
    /// Bytes of the connection are reported to the budget.
    is_holding: bool,
    /// The last flush is pending.
    is_flushing: bool,
}

/// The way in which a session may give bytes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GiveBack {
    /// Release the buffers, or end. The peer's input was read until it was pending.
    Release,
    /// End.
    End,
}

/// An event for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message from the peer.
    Message(Message),
    /// A text pushed into the session's outbox, to be sent to the peer.
    Pushed(Text),
    /// The number of pushed texts that were dropped because the peer reads too slowly.
    Lost(u64),
}

impl From<Pushed> for Event {
    fn from(pushed: Pushed) -> Self {
        match pushed {
            Pushed::Text(text) => Self::Pushed(text),
            Pushed::Lost(texts) => Self::Lost(texts),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Creates the session of an admitted connection.
    pub(crate) fn new(authenticated: Authenticated<S>) -> Self {
        let (mut socket, principal, path) = authenticated.into_parts();
        let now = Instant::now();
        let keepalive = Keepalive::new(now, socket.received());
        let timer = Box::pin(sleep_until(keepalive.next_tick(now, socket.limits())));
        let control_frames = socket
            .limits()
            .max_control_frames_per_second
            .map(RateLimit::new);
        Self {
            socket,
            principal,
            path,
            keepalive,
            timer,
            control_frames,
            pushes_this_turn: 0,
            is_long_shared: false,
            is_holding: false,
            is_flushing: false,
        }
    }

    /// Returns the principal.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the path of the handshake request.
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// Returns the id of the connection.
    pub(crate) fn id(&self) -> ConnectionId {
        self.socket.id()
    }

    /// Returns the time of the admission.
    pub(crate) fn since(&self) -> std::time::Instant {
        let admitted = self.socket.entry().admitted();
        admitted.expect("a session's connection is admitted").since
    }

    /// Returns the peer.
    pub(crate) fn peer(&self) -> Peer {
        self.socket.entry().peer()
    }

    /// Returns the traffic counts so far.
    pub fn counts(&self) -> TrafficCounts {
        self.socket.entry().counters().counts()
    }

    /// Returns the next message. Queued replies are written only when no further message is
    /// available, so that messages that arrive together get their replies in one write.
    ///
    /// # Errors
    ///
    /// The session has ended. The service must return this value.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no message is lost.
    pub async fn recv(&mut self) -> Result<Message, Ended> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Returns the next pushed text or the next message of the peer. A stream of pushes does not
    /// starve the peer. Otherwise it is like [`Session::recv`].
    ///
    /// # Errors
    ///
    /// The session has ended. The service must return this value.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Returns the next text of the session's outbox. Reads nothing from the peer, whose silence does
    /// not count meanwhile. Otherwise it is like [`Session::next`].
    ///
    /// # Errors
    ///
    /// The session has ended. The service must return this value.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost.
    pub async fn next_pushed(&mut self) -> Result<Event, Ended> {
        poll_fn(|cx| self.poll_next_pushed(cx)).await
    }

    /// Returns a handle by which other tasks push texts into the session. [`Session::next`] returns
    /// them.
    pub fn outbox(&self, policy: OutboxPolicy) -> Outbox {
        Outbox::new(Arc::clone(self.socket.entry()), policy)
    }

    /// Queues a message for sending. Waits only while the write buffer is above its high-water mark.
    /// This is the back-pressure: a service that waits here reads nothing.
    ///
    /// # Errors
    ///
    /// The session has ended. The service must return this value.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is queued whole or not at all.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Ended> {
        self.queue(message.into(), false).await
    }

    /// Queues a pushed text for sending, which counts in the budget where it was published. Otherwise it
    /// is like [`Session::send`].
    ///
    /// # Errors
    ///
    /// The session has ended. The service must return this value.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the text is queued whole or not at all.
    pub async fn send_shared(&mut self, text: Text) -> Result<(), Ended> {
        self.queue(text.into(), true).await
    }

    /// Returns the maximum length of a message of the peer, in bytes.
    pub fn max_message_bytes(&self) -> usize {
        self.socket.max_message_bytes()
    }

    /// Queues `first` and `second` as one text for sending, without a copy of a long `second`. Otherwise
    /// it is like [`Session::send`].
    ///
    /// # Errors
    ///
    /// The session has ended. The service must return this value.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the text is queued whole or not at all.
    pub async fn send_joined(&mut self, first: &str, second: Text) -> Result<(), Ended> {
        let len = first.len() + second.len();
        if self.keepalive.is_stalled() || !self.socket.has_room(len) {
            poll_fn(|cx| self.poll_ready(cx, len)).await?;
        }
        self.socket.queue_text(first, second)?;
        self.count_sent(len);
        if len > LONG_BYTES {
            self.flush_long(false).await?;
        }
        Ok(())
    }

    async fn queue(&mut self, message: Message, is_shared: bool) -> Result<(), Ended> {
        let len = message.len();
        poll_fn(|cx| self.poll_ready(cx, len)).await?;
        self.queue_ready(message)?;
        if len > LONG_BYTES {
            self.flush_long(is_shared).await?;
        }
        Ok(())
    }

    /// Begins to write a long message, while it is in the CPU cache.
    async fn flush_long(&mut self, is_shared: bool) -> Result<(), Ended> {
        self.is_long_shared = is_shared;
        poll_fn(|cx| Poll::Ready(self.poll_flush(cx))).await
    }

    /// Queues the message in `slot` for sending, and leaves `None` there; see [`Session::send`]. Ready
    /// if there is none.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slot: &mut Option<Message>,
    ) -> Poll<Result<(), Ended>> {
        if let Some(len) = slot.as_ref().map(Message::len) {
            ready!(self.poll_ready(cx, len))?;
        }
        if let Some(message) = slot.take() {
            let len = message.len();
            self.queue_ready(message)?;
            if len > LONG_BYTES {
                self.is_long_shared = false;
                self.poll_flush(cx)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the end of the session while the service reads nothing from it. The silence does not
    /// count as the peer's.
    ///
    /// Cancel safe.
    pub(crate) async fn hold(&mut self) -> Ended {
        poll_fn(|cx| self.poll_hold(cx)).await
    }

    /// See [`Session::hold`].
    pub(crate) fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.keepalive.on_reading_paused();
        self.poll_wait(cx, GiveBack::End)
    }

    /// Waits until the budget has the connection dropped, after its session has ended.
    ///
    /// Cancel safe.
    pub(crate) async fn dropped(&mut self) {
        let entry = Arc::clone(self.socket.entry());
        poll_fn(|cx| entry.poll_dropped(cx.waker())).await;
    }

    /// Notes the bytes of the backend, which count for the session.
    pub(crate) fn set_backend_bytes(&mut self, backend: BackendBytes) {
        self.socket.set_backend_bytes(backend);
    }

    /// Returns true if the session has to give bytes back.
    pub(crate) fn is_asked_for_bytes(&self) -> bool {
        self.socket.entry().holding().demanded().is_some()
    }

    /// Returns true while nothing may be read; see `BufferBudget::must_wait`.
    pub(crate) fn must_wait(&self) -> bool {
        self.socket.must_wait()
    }

    /// Closes the connection, and meanwhile its backend; see [`WebSocket::close`].
    pub(crate) async fn close(self, ended: &Ended, backend: impl Future<Output = ()>) {
        self.socket.close(ended, backend).await;
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Ended>> {
        // Pushed texts come first: they are older than the peer's next message, and after its Close
        // frame nothing can be sent. The limit lets the peer's messages through.
        if self.pushes_this_turn < MAX_PUSHES_PER_TURN
            && let Some(event) = self.take_pushed()
        {
            return Poll::Ready(event);
        }
        self.pushes_this_turn = 0;
        if let Poll::Ready(message) = self.poll_message(cx) {
            return Poll::Ready(message.map(Event::Message));
        }
        if let Some(event) = self.take_pushed() {
            return Poll::Ready(event);
        }
        if let Poll::Ready(ended) = self.poll_wait(cx, GiveBack::Release) {
            return Poll::Ready(Err(ended));
        }
        // Checked again after the waker was registered: a push may have come in between.
        self.take_pushed().map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_next_pushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Ended>> {
        self.pushes_this_turn = 0;
        self.keepalive.on_reading_paused();
        if let Some(event) = self.take_pushed() {
            return Poll::Ready(event);
        }
        if let Poll::Ready(ended) = self.poll_wait(cx, GiveBack::End) {
            return Poll::Ready(Err(ended));
        }
        // Checked again after the waker was registered: a push may have come in between.
        self.take_pushed().map_or(Poll::Pending, Poll::Ready)
    }

    /// Takes an item out of the outbox, unless the session must end.
    fn take_pushed(&mut self) -> Option<Result<Event, Ended>> {
        let entry = self.socket.entry();
        if let Some(reason) = entry.ended() {
            return Some(Err(Ended::ByUs(reason)));
        }
        let pushed = entry.queue().pop()?;
        self.pushes_this_turn += 1;
        Some(Ok(pushed.into()))
    }

    /// See [`Session::recv`].
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        if let Poll::Ready(message) = self.poll_message(cx) {
            return Poll::Ready(message);
        }
        self.poll_wait(cx, GiveBack::Release).map(Err)
    }

    /// Returns the next available message.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        if let Some(reason) = self.socket.entry().ended() {
            return Poll::Ready(Err(Ended::ByUs(reason)));
        }
        // While the peer does not read, nothing is read from it: each of its pings would queue a
        // pong.
        if self.keepalive.is_stalled() {
            self.poll_flush(cx)?;
        }
        while !self.keepalive.is_stalled()
            && let Poll::Ready(incoming) = self.socket.poll_message(cx)
        {
            match incoming? {
                Incoming::Message(message) => {
                    self.keepalive.on_message();
                    self.socket.entry().counters().received(message.len());
                    if message.len() > LARGE_BYTES {
                        self.note_growth();
                    }
                    return Poll::Ready(Ok(message));
                }
                Incoming::Control => {
                    self.count_control_frame()?;
                    self.poll_flush(cx)?;
                }
            }
        }
        Poll::Pending
    }

    /// Flushes, and checks the end and the timer, before the task waits or yields.
    fn poll_wait(&mut self, cx: &mut Context<'_>, give_back: GiveBack) -> Poll<Ended> {
        if let Err(ended) = self.poll_flush(cx) {
            return Poll::Ready(ended);
        }
        // Checked again after the waker was registered: the reason may have come in between.
        if let Some(reason) = self.socket.entry().poll_ended(cx.waker()) {
            return Poll::Ready(Ended::ByUs(reason));
        }
        if let Err(ended) = self.report(cx, give_back) {
            return Poll::Ready(ended);
        }
        self.poll_timer(cx)
    }

    /// Reports the held bytes to the budget, and gives them back on demand.
    fn report(&mut self, cx: &Context<'_>, give_back: GiveBack) -> Result<(), Ended> {
        let held = self.held_bytes();
        if held.sum() > FREE_BYTES || self.is_holding {
            self.report_many(cx, give_back, held)?;
        }
        self.socket.relieve();
        Ok(())
    }

    // Not inlined: few messages are that long.
    #[cold]
    fn report_many(
        &mut self,
        cx: &Context<'_>,
        give_back: GiveBack,
        held: HeldBytes,
    ) -> Result<(), Ended> {
        self.is_holding = held.sum() > FREE_BYTES;
        let demand = self.socket.report(held);
        let Some(cause) = demand else {
            return Ok(());
        };
        if give_back == GiveBack::Release && self.release_buffers(cx) {
            let held = self.held_bytes();
            self.is_holding = held.sum() > FREE_BYTES;
            if self.socket.report(held).is_none() {
                return Ok(());
            }
        }
        self.socket.count_eviction(cause);
        Err(Ended::ByUs(CloseReason::BuffersFull))
    }

    /// Releases the buffers, unless they hold a part of a message or unsent output. Returns true if it
    /// did.
    fn release_buffers(&mut self, cx: &Context<'_>) -> bool {
        if self.is_flushing || !self.socket.is_flushed() || !self.socket.release_buffers() {
            return false;
        }
        self.keepalive.on_buffers_released();
        // This replaced the WebSocket. The new one has no waker until it is polled.
        cx.waker().wake_by_ref();
        true
    }

    fn held_bytes(&mut self) -> HeldBytes {
        self.socket.held_bytes(self.is_long_shared)
    }

    /// Queues a message, for which the session must be ready.
    fn queue_ready(&mut self, message: Message) -> Result<(), Ended> {
        let len = message.len();
        self.socket.queue(message)?;
        self.count_sent(len);
        Ok(())
    }

    fn count_sent(&mut self, len: usize) {
        self.keepalive.on_message();
        self.socket.entry().counters().sent(len);
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<Result<(), Ended>> {
        if self.keepalive.is_stalled() {
            self.poll_flush(cx)?;
        }
        if !self.keepalive.is_stalled() {
            if let Poll::Ready(ready) = self.socket.poll_ready(cx, len) {
                return Poll::Ready(ready);
            }
            self.note_stall();
        }
        if let Some(reason) = self.socket.entry().poll_ended(cx.waker()) {
            return Poll::Ready(Err(Ended::ByUs(reason)));
        }
        self.report(cx, GiveBack::End)?;
        self.poll_timer(cx).map(Err)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        let flush = self.socket.poll_flush(cx);
        self.is_flushing = flush.is_pending();
        match flush {
            Poll::Ready(flushed) => {
                if self.keepalive.is_stalled() {
                    self.socket.entry().progress().on_flushed();
                }
                self.keepalive.on_flush();
                flushed
            }
            Poll::Pending => {
                self.note_stall();
                Ok(())
            }
        }
    }

    /// Runs due keepalive actions and arms the timer. Ready only when the session must end.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if is_exhausted() {
                self.keepalive.on_reading_paused();
            }
            let (received, written) = (self.socket.received(), self.socket.written());
            match self
                .keepalive
                .tick(now, received, written, self.socket.limits())
            {
                KeepaliveAction::Nothing => {}
                KeepaliveAction::End(reason) => return Poll::Ready(Ended::ByUs(reason)),
                KeepaliveAction::Ping => {
                    if let Err(ended) = self.socket.queue_ping().and_then(|()| self.poll_flush(cx))
                    {
                        return Poll::Ready(ended);
                    }
                }
                KeepaliveAction::ReleaseBuffers => {
                    self.release_buffers(cx);
                }
            }
            self.set_timer(now);
        }
    }

    fn count_control_frame(&mut self) -> Result<(), Ended> {
        let limit = self.control_frames.as_mut();
        if limit.is_none_or(|limit| limit.allows_one(Instant::now())) {
            Ok(())
        } else {
            Err(Ended::ByUs(CloseReason::TooManyControlFrames))
        }
    }

    fn note_growth(&mut self) {
        if self.keepalive.on_buffer_growth() {
            self.set_timer(Instant::now());
        }
    }

    /// Notes that writing is pending.
    fn note_stall(&mut self) {
        if is_exhausted() {
            // It waits for a turn, and not for the peer.
            self.keepalive.on_reading_paused();
            return;
        }
        let written = self.socket.written();
        // Without budget, the write is pending although the socket may accept more.
        if has_budget_remaining() {
            self.socket.entry().progress().on_blocked(written);
        }
        if !self.keepalive.is_stalled() {
            let now = Instant::now();
            self.keepalive.on_stall(now, written);
            self.set_timer(now);
        }
    }

    fn set_timer(&mut self, now: Instant) {
        let limits: &Limits = self.socket.limits();
        self.timer
            .as_mut()
            .reset(self.keepalive.next_tick(now, limits));
    }
}
