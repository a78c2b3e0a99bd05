//! The timer of an upstream: its keepalive, and the deadline of a stalled write.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use proto::close::CloseReason;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::session::{Keepalive, KeepaliveAction, Limits};

/// The timer of an upstream. The limits of the client's connection apply to it, too.
#[derive(Debug)]
pub(crate) struct UpstreamWatch {
    keepalive: Keepalive,
    timer: Pin<Box<Sleep>>,
    limits: Arc<Limits>,
}

impl UpstreamWatch {
    /// Creates the timer of an upstream that is connected now. `ping_interval` is the silence after which
    /// it is pinged. It is `None` for a protocol without pings.
    pub(crate) fn new(limits: &Limits, ping_interval: Option<Duration>) -> Self {
        let limits = Arc::new(Limits {
            ping_interval,
            // The session counts the messages of both directions.
            idle_timeout: None,
            ..limits.clone()
        });
        let now = Instant::now();
        let keepalive = Keepalive::new(now, 0);
        let timer = Box::pin(sleep_until(keepalive.next_tick(now, &limits)));
        Self {
            keepalive,
            timer,
            limits,
        }
    }

    /// Returns the limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Notes that a write is pending, after `written` bytes.
    pub(crate) fn on_pending_write(&mut self, written: u64) {
        if !self.keepalive.is_stalled() {
            let now = Instant::now();
            self.keepalive.on_stall(now, written);
            self.set_timer(now);
        }
    }

    /// Notes that everything is written.
    pub(crate) fn on_flush(&mut self) {
        self.keepalive.on_flush();
    }

    /// Notes that nothing is read from the upstream, so that the silence is not its own.
    pub(crate) fn on_reading_paused(&mut self) {
        self.keepalive.on_reading_paused();
    }

    /// Notes that the buffers have grown.
    pub(crate) fn on_buffer_growth(&mut self) {
        if self.keepalive.on_buffer_growth() {
            self.set_timer(Instant::now());
        }
    }

    /// Notes that the large buffers were released.
    pub(crate) fn on_buffers_released(&mut self) {
        self.keepalive.on_buffers_released();
    }

    /// Returns the action that is due, with these numbers of bytes received and written in all.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        received: u64,
        written: u64,
    ) -> Poll<WatchAction> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let action = self.keepalive.tick(now, received, written, &self.limits);
            self.set_timer(now);
            return Poll::Ready(match action {
                KeepaliveAction::Nothing => continue,
                KeepaliveAction::ReleaseBuffers => WatchAction::ReleaseBuffers,
                KeepaliveAction::Ping => WatchAction::Ping,
                KeepaliveAction::End(CloseReason::SlowReader) => {
                    WatchAction::End(CloseReason::UpstreamStalled)
                }
                KeepaliveAction::End(_) => WatchAction::End(CloseReason::UpstreamLost),
            });
        }
    }

    fn set_timer(&mut self, now: Instant) {
        let next = self.keepalive.next_tick(now, &self.limits);
        self.timer.as_mut().reset(next);
    }
}

/// The action that is due for an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchAction {
    /// Release large buffers if possible.
    ReleaseBuffers,
    /// Send a Ping.
    Ping,
    /// End the session.
    End(CloseReason),
}
