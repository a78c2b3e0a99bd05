//! A logged-in connection, as a service sees it.
//!
//! [`Session`] is the sole owner of its socket: there is no split, no task that pumps and no channel
//! on the way of a message. Below it, `websocket/socket.rs` owns the WebSocket, and
//! `websocket/transport.rs` the bytes under that. Beside it, `keepalive.rs` decides on timers. Other
//! tasks reach a session through its entry in `registry/`.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use proto::close::CloseReason;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    access::Principal,
    limits::Limits,
    message::{LONG_BYTES, Message, Text},
    peer::Peer,
    registry::{Outbox, OutboxPolicy, Pushed, TrafficCounts},
    session::{
        Authenticated,
        keepalive::{Keepalive, KeepaliveAction},
        rate::RateLimit,
    },
    websocket::{Ended, Incoming, WebSocket},
};

/// Messages, and queued answers, above this leave buffers behind that are worth giving back.
const LARGE_BYTES: usize = 4096;

/// How many texts of the outbox are taken before it is the peer's turn.
const MAX_PUSHES_PER_TURN: u16 = 256;

/// A connection whose peer was let in.
#[derive(Debug)]
pub struct Session<S> {
    socket: WebSocket<S>,
    principal: Principal,
    path: Arc<str>,
    keepalive: Keepalive,
    /// The one timer of the session. It is boxed because it is pinned, and small because of it.
    timer: Pin<Box<Sleep>>,
    control_frames: Option<RateLimit>,
    /// How many texts were taken from the outbox since the peer had its turn.
    pushes_this_turn: u16,
    /// How many bytes were queued since the last flush.
    queued: usize,
}

/// What a service has to do with next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The peer sent this.
    Message(Message),
    /// Somebody pushed this into the session's outbox: it is to be sent.
    Pushed(Text),
    /// So many texts that were pushed are lost, because the peer reads too slowly.
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
    /// Begins the session of a connection that is logged in.
    pub(crate) fn new(authenticated: Authenticated<S>) -> Self {
        let (mut socket, principal, path) = authenticated.into_parts();
        let now = Instant::now();
        let keepalive = Keepalive::new(now, socket.received());
        let timer = Box::pin(sleep_until(keepalive.next_tick(now, socket.limits())));
        let control_frames = socket
            .limits()
            .control_frames_per_second
            .map(RateLimit::new);
        Self {
            socket,
            principal,
            path,
            keepalive,
            timer,
            control_frames,
            pushes_this_turn: 0,
            queued: 0,
        }
    }

    /// Who is at the other end.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The path that the peer has asked for.
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// When the peer was let in.
    pub(crate) fn since(&self) -> std::time::Instant {
        let admitted = self.socket.entry().admitted();
        admitted
            .expect("a session is of a peer that was let in")
            .since
    }

    /// The other end.
    pub(crate) fn peer(&self) -> Peer {
        self.socket.entry().peer()
    }

    /// What went through the session so far.
    pub fn counts(&self) -> TrafficCounts {
        self.socket.entry().counters().counts()
    }

    /// The next message. Queued answers are written only when there is no message at hand, so that
    /// messages which arrive together are answered together.
    ///
    /// # Errors
    ///
    /// The session is over: the service returns with what it was given.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no message is lost.
    pub async fn recv(&mut self) -> Result<Message, Ended> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next text of the session's outbox, or the next message of the peer, which gets its turn
    /// however much is pushed. Otherwise it is like [`Session::recv`].
    ///
    /// # Errors
    ///
    /// The session is over: the service returns with what it was given.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The way for others to push texts into the session, which [`Session::next`] yields then.
    pub fn outbox(&self, policy: OutboxPolicy) -> Outbox {
        Outbox::new(Arc::clone(self.socket.entry()), policy)
    }

    /// Queues a message to go out. It waits only while more is queued than the high-water mark
    /// allows: that is the back-pressure, since a service that waits here reads nothing.
    ///
    /// # Errors
    ///
    /// The session is over: the service returns with what it was given.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is queued whole or not at all.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Ended> {
        let message = message.into();
        let len = message.len();
        poll_fn(|cx| self.poll_ready(cx, len)).await?;
        self.socket.queue(message)?;
        self.keepalive.on_message();
        self.socket.entry().counters().sent(len);
        self.queued += len;
        if self.queued > LARGE_BYTES {
            self.note_growth();
        }
        if len > LONG_BYTES {
            // It is written while it is still at hand in the processor's own memory.
            poll_fn(|cx| Poll::Ready(self.poll_flush(cx))).await?;
        }
        Ok(())
    }

    /// Ends the session in order, within the close deadline.
    pub(crate) async fn close(self, ended: &Ended) {
        self.socket.close(ended).await;
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Ended>> {
        // What was pushed goes first: it is an answer to what the peer sent, or older than what it
        // sends next, and after its Close frame nothing can be sent. But it gets its turn.
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
        if let Poll::Ready(ended) = self.poll_wait(cx) {
            return Poll::Ready(Err(ended));
        }
        // Asked for once more now that the waker is known: something may have been pushed meanwhile.
        self.take_pushed().map_or(Poll::Pending, Poll::Ready)
    }

    /// Takes something out of the outbox, unless the session is to end.
    fn take_pushed(&mut self) -> Option<Result<Event, Ended>> {
        let entry = self.socket.entry();
        if let Some(reason) = entry.ended() {
            return Some(Err(Ended::ByUs(reason)));
        }
        let pushed = entry.queue().pop()?;
        self.pushes_this_turn += 1;
        Some(Ok(pushed.into()))
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        if let Poll::Ready(message) = self.poll_message(cx) {
            return Poll::Ready(message);
        }
        self.poll_wait(cx).map(Err)
    }

    /// The next message that is at hand.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        if let Some(reason) = self.socket.entry().ended() {
            return Poll::Ready(Err(Ended::ByUs(reason)));
        }
        // While the peer does not read, nothing is read from it: every ping would add a pong to
        // what it does not read.
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

    /// Does what is to be done before the task waits, or lets others have their turn.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        if let Err(ended) = self.poll_flush(cx) {
            return Poll::Ready(ended);
        }
        // Asked for once more after the waker is known: the reason may have come meanwhile.
        if let Some(reason) = self.socket.entry().poll_ended(cx.waker()) {
            return Poll::Ready(Ended::ByUs(reason));
        }
        self.poll_timer(cx)
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
        self.poll_timer(cx).map(Err)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        match self.socket.poll_flush(cx) {
            Poll::Ready(flushed) => {
                self.queued = 0;
                self.keepalive.on_flush();
                flushed
            }
            Poll::Pending => {
                self.note_stall();
                Ok(())
            }
        }
    }

    /// Does what is due, and waits for the next tick. Ready only with the end of the session.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
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
                    if self.socket.release_buffers() {
                        self.keepalive.on_buffers_released();
                        // The new WebSocket must be asked once more before it wakes anybody.
                        cx.waker().wake_by_ref();
                    }
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

    fn note_stall(&mut self) {
        if !self.keepalive.is_stalled() {
            let now = Instant::now();
            self.keepalive.on_stall(now, self.socket.written());
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
