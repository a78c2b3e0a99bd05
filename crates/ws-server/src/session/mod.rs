//! A logged-in connection, as a service sees it.
//!
//! [`Session`] is the sole owner of its socket: there is no split, no task that pumps and no channel
//! on the way of a message. Below it, `socket` owns the WebSocket, and `transport` the bytes
//! under that; beside it, `pulse` decides what time brings, and `live` is how others reach it.

mod ended;
mod frames;
mod live;
mod message;
mod pulse;
mod rate;
mod socket;
mod transport;
mod unread;

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use proto::{close::CloseReason, credentials::Identity};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep, sleep_until},
};

pub use self::{
    ended::Ended,
    live::ConnectionId,
    message::{Message, Text},
};
pub(crate) use self::{
    live::{Live, LiveConnections},
    socket::{Incoming, Socket},
};
use self::{
    message::LONG_BYTES,
    pulse::{Due, Pulse},
    rate::RateLimit,
};
use crate::{auth::Authenticated, config::Limits};

/// Messages, and queued answers, above this leave buffers behind that are worth giving back.
const LARGE_BYTES: usize = 4096;

/// A connection whose peer has proved who it is.
#[derive(Debug)]
pub struct Session<S> {
    socket: Socket<S>,
    identity: Identity,
    pulse: Pulse,
    /// The one timer of the session. It is boxed because it is pinned, and small because of it.
    timer: Pin<Box<Sleep>>,
    control_frames: Option<RateLimit>,
    /// How many bytes were queued since the last flush.
    queued: usize,
    counts: Counts,
}

/// What went through a session.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Messages that came.
    pub messages_in: u64,
    /// Bytes of payload that came.
    pub bytes_in: u64,
    /// Messages that were queued to go.
    pub messages_out: u64,
    /// Bytes of payload that were queued to go.
    pub bytes_out: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Begins the session of a connection that is logged in.
    pub(crate) fn new(authenticated: Authenticated<S>) -> Self {
        let (mut socket, identity) = authenticated.into_parts();
        let now = Instant::now();
        let pulse = Pulse::new(now, socket.received());
        let timer = Box::pin(sleep_until(pulse.next_tick(now, socket.limits())));
        let control_frames = socket
            .limits()
            .control_frames_per_second
            .map(RateLimit::new);
        Self {
            socket,
            identity,
            pulse,
            timer,
            control_frames,
            queued: 0,
            counts: Counts::default(),
        }
    }

    /// Who the peer is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What went through the session so far.
    pub fn counts(&self) -> Counts {
        self.counts
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
        self.pulse.talked();
        self.counts.messages_out += 1;
        self.counts.bytes_out += len as u64;
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

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        if let Some(reason) = self.socket.live().ended() {
            return Poll::Ready(Err(Ended::ByUs(reason)));
        }
        // While the peer does not read, nothing is read from it: every ping would add a pong to
        // what it does not read.
        if self.pulse.is_stalled() {
            self.poll_flush(cx)?;
        }
        while !self.pulse.is_stalled()
            && let Poll::Ready(incoming) = self.socket.poll_message(cx)
        {
            match incoming? {
                Incoming::Message(message) => {
                    self.pulse.talked();
                    self.counts.messages_in += 1;
                    self.counts.bytes_in += message.len() as u64;
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
        self.poll_wait(cx)
    }

    /// Does what is to be done before the task waits, or lets others have their turn.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        self.poll_flush(cx)?;
        // Asked for once more after the waker is known: the reason may have come meanwhile.
        if let Some(reason) = self.socket.live().poll_ended(cx.waker()) {
            return Poll::Ready(Err(Ended::ByUs(reason)));
        }
        self.poll_timer(cx).map(Err)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<Result<(), Ended>> {
        if self.pulse.is_stalled() {
            self.poll_flush(cx)?;
        }
        if !self.pulse.is_stalled() {
            if let Poll::Ready(ready) = self.socket.poll_ready(cx, len) {
                return Poll::Ready(ready);
            }
            self.note_stall();
        }
        if let Some(reason) = self.socket.live().poll_ended(cx.waker()) {
            return Poll::Ready(Err(Ended::ByUs(reason)));
        }
        self.poll_timer(cx).map(Err)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        match self.socket.poll_flush(cx) {
            Poll::Ready(flushed) => {
                self.queued = 0;
                self.pulse.flushed();
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
                .pulse
                .tick(now, received, written, self.socket.limits())
            {
                Due::Nothing => {}
                Due::End(reason) => return Poll::Ready(Ended::ByUs(reason)),
                Due::Ping => {
                    if let Err(ended) = self.socket.queue_ping().and_then(|()| self.poll_flush(cx))
                    {
                        return Poll::Ready(ended);
                    }
                }
                Due::GiveBack => {
                    if self.socket.give_buffers_back() {
                        self.pulse.gave_back();
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
        if self.pulse.grew() {
            self.set_timer(Instant::now());
        }
    }

    fn note_stall(&mut self) {
        if !self.pulse.is_stalled() {
            let now = Instant::now();
            self.pulse.stalled(now, self.socket.written());
            self.set_timer(now);
        }
    }

    fn set_timer(&mut self, now: Instant) {
        let limits: &Limits = self.socket.limits();
        self.timer.as_mut().reset(self.pulse.next_tick(now, limits));
    }
}
