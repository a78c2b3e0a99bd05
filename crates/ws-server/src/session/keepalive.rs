//! The keepalive of a session: pings (RFC 6455 sections 5.5.2 and 5.5.3), and the end after silence,
//! idleness or a stalled write.

use proto::close::CloseReason;
use tokio::time::{Duration, Instant};

use crate::limits::Limits;

/// The silence after which a session releases large buffers.
const BUFFER_RELEASE_DELAY: Duration = Duration::from_secs(4);

/// The time to the next tick when nothing is due.
const NO_DEADLINE: Duration = Duration::from_hours(24);

/// The state of a session's keepalive, evaluated at each tick of its timer. No clock is read and no
/// timer is set while messages flow: between ticks the session only notes that there was input.
#[derive(Debug)]
pub(crate) struct Keepalive {
    /// The time of the last tick that found new received bytes.
    last_received: Instant,
    /// The number of bytes received until the last tick.
    received: u64,
    /// The time of the last tick that found a message received or sent since the tick before.
    last_message: Instant,
    /// The time of a ping, until any byte is received.
    pinged_at: Option<Instant>,
    /// The start of a stalled write, and the number of bytes written by then.
    stalled: Option<(Instant, u64)>,
    /// A message was received or sent since the last tick.
    had_message: bool,
    /// The buffers have grown since they were last released.
    buffers_grown: bool,
    /// Reading was paused since the last tick.
    was_paused: bool,
}

/// The action that is due at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepaliveAction {
    /// Nothing.
    Nothing,
    /// Release the buffers if possible: nothing was received for a while.
    ReleaseBuffers,
    /// Send a Ping (RFC 6455 section 5.5.2).
    Ping,
    /// End the session.
    End(CloseReason),
}

impl Keepalive {
    /// Creates the keepalive of a session that begins now, after `received` bytes.
    pub(crate) fn new(now: Instant, received: u64) -> Self {
        Self {
            last_received: now,
            received,
            last_message: now,
            pinged_at: None,
            stalled: None,
            had_message: false,
            buffers_grown: false,
            was_paused: false,
        }
    }

    /// Notes that a message was received or sent.
    pub(crate) fn on_message(&mut self) {
        self.had_message = true;
    }

    /// Notes that buffers have grown. Returns true if the timer should be reset.
    pub(crate) fn on_buffer_growth(&mut self) -> bool {
        !std::mem::replace(&mut self.buffers_grown, true)
    }

    /// Notes that the whole queue was written.
    pub(crate) fn on_flush(&mut self) {
        self.stalled = None;
    }

    /// Returns true if a stalled write was noted.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Notes that writing is stalled after `written` bytes. The timer should be reset.
    pub(crate) fn on_stall(&mut self, now: Instant, written: u64) {
        self.stalled = Some((now, written));
    }

    /// Notes that nothing is read from the peer at the moment.
    pub(crate) fn on_reading_paused(&mut self) {
        self.was_paused = true;
    }

    /// Notes that the large buffers were released.
    pub(crate) fn on_buffers_released(&mut self) {
        self.buffers_grown = false;
    }

    /// Returns the action that is due, with these numbers of bytes received and written. Any received
    /// byte counts as a sign of life, not only a Pong: a client in the middle of a long frame cannot
    /// send one.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        received: u64,
        written: u64,
        limits: &Limits,
    ) -> KeepaliveAction {
        if std::mem::take(&mut self.had_message) {
            self.last_message = now;
        }
        let is_silent = received == self.received;
        self.received = received;
        if !is_silent {
            self.last_received = now;
            self.pinged_at = None;
        }
        if let Some((since, before)) = self.stalled {
            if written > before {
                self.stalled = Some((now, written));
            } else if now >= since + limits.write_deadline {
                return KeepaliveAction::End(CloseReason::SlowReader);
            }
            // A ping would be queued behind the unread data, so only the write deadline applies.
            self.last_received = now;
            self.pinged_at = None;
        }
        let was_paused = std::mem::take(&mut self.was_paused);
        if was_paused {
            // The peer may have sent bytes that are not read yet.
            self.last_received = now;
            self.last_message = now;
            self.pinged_at = None;
        }
        if limits
            .idle_timeout
            .is_some_and(|idle| now >= self.last_message + idle)
        {
            return KeepaliveAction::End(CloseReason::Idle);
        }
        if self
            .pinged_at
            .is_some_and(|at| now >= at + limits.ping_timeout)
        {
            return KeepaliveAction::End(CloseReason::KeepaliveTimeout);
        }
        if self.pinged_at.is_none()
            && limits
                .ping_interval
                .is_some_and(|interval| now >= self.last_received + interval)
        {
            self.pinged_at = Some(now);
            return KeepaliveAction::Ping;
        }
        // While reading is paused, the buffers hold what the peer has sent.
        if is_silent && self.buffers_grown && self.stalled.is_none() && !was_paused {
            return KeepaliveAction::ReleaseBuffers;
        }
        KeepaliveAction::Nothing
    }

    /// Returns the time of the next tick.
    pub(crate) fn next_tick(&self, now: Instant, limits: &Limits) -> Instant {
        let silent_since = self.pinged_at.unwrap_or(self.last_received);
        let silence = limits
            .ping_interval
            .map(|interval| silent_since + interval)
            // After an unanswered ping, no second one is sent.
            .filter(|&at| self.pinged_at.is_none() || at > now);
        let timeout = self.pinged_at.map(|at| at + limits.ping_timeout);
        let write = self.stalled.map(|(since, _)| since + limits.write_deadline);
        let idle = limits.idle_timeout.map(|idle| self.last_message + idle);
        let release = self.buffers_grown.then(|| now + BUFFER_RELEASE_DELAY);
        let next = [silence, timeout, write, idle, release]
            .into_iter()
            .flatten()
            .min();
        next.unwrap_or_else(|| now + NO_DEADLINE)
    }
}

#[cfg(test)]
mod tests {
    use proto::close::CloseReason;
    use tokio::time::{Duration, Instant};

    use super::{Keepalive, KeepaliveAction};
    use crate::limits::Limits;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn limits() -> Limits {
        Limits {
            ping_interval: Some(seconds(20)),
            ping_timeout: seconds(10),
            write_deadline: seconds(30),
            idle_timeout: None,
            ..Limits::default()
        }
    }

    #[test]
    fn silence_triggers_ping_then_timeout() {
        let (limits, start) = (limits(), Instant::now());
        let mut keepalive = Keepalive::new(start, 0);
        assert_eq!(keepalive.next_tick(start, &limits), start + seconds(20));
        assert_eq!(
            keepalive.tick(start + seconds(20), 0, 0, &limits),
            KeepaliveAction::Ping
        );
        assert_eq!(
            keepalive.next_tick(start + seconds(20), &limits),
            start + seconds(30)
        );
        let end = KeepaliveAction::End(CloseReason::KeepaliveTimeout);
        assert_eq!(keepalive.tick(start + seconds(30), 0, 0, &limits), end);
    }

    /// A healthy peer whose Pong was not read lost its session.
    #[test]
    fn paused_reading_is_not_silence() {
        let (limits, start) = (limits(), Instant::now());
        let mut keepalive = Keepalive::new(start, 0);
        assert_eq!(
            keepalive.tick(start + seconds(20), 0, 0, &limits),
            KeepaliveAction::Ping
        );
        keepalive.on_reading_paused();
        assert_eq!(
            keepalive.tick(start + seconds(30), 0, 0, &limits),
            KeepaliveAction::Nothing
        );
        assert_eq!(
            keepalive.tick(start + seconds(50), 0, 0, &limits),
            KeepaliveAction::Ping
        );
    }

    #[test]
    fn any_received_byte_resets_ping_timeout() {
        let (limits, start) = (limits(), Instant::now());
        let mut keepalive = Keepalive::new(start, 0);
        assert_eq!(
            keepalive.tick(start + seconds(20), 0, 0, &limits),
            KeepaliveAction::Ping
        );
        assert_eq!(
            keepalive.tick(start + seconds(30), 1, 0, &limits),
            KeepaliveAction::Nothing
        );
        assert_eq!(
            keepalive.next_tick(start + seconds(30), &limits),
            start + seconds(50)
        );
    }

    #[test]
    fn long_ping_timeout_does_not_delay_next_ping() {
        let limits = Limits {
            ping_timeout: seconds(300),
            ..limits()
        };
        let start = Instant::now();
        let mut keepalive = Keepalive::new(start, 0);
        let (pinged, ticked) = (start + seconds(20), start + seconds(40));
        assert_eq!(keepalive.tick(pinged, 0, 0, &limits), KeepaliveAction::Ping);
        assert_eq!(keepalive.next_tick(pinged, &limits), ticked);
        // Answered: the next silence triggers another ping.
        assert_eq!(
            keepalive.tick(ticked, 1, 0, &limits),
            KeepaliveAction::Nothing
        );
        assert_eq!(keepalive.next_tick(ticked, &limits), start + seconds(60));
        assert_eq!(
            keepalive.tick(start + seconds(60), 1, 0, &limits),
            KeepaliveAction::Ping
        );
        // Not answered: the whole ping timeout applies.
        let ticked = start + seconds(80);
        assert_eq!(keepalive.next_tick(start + seconds(60), &limits), ticked);
        assert_eq!(
            keepalive.tick(ticked, 1, 0, &limits),
            KeepaliveAction::Nothing
        );
        let late = start + seconds(360);
        assert_eq!(keepalive.next_tick(ticked, &limits), late);
        let end = KeepaliveAction::End(CloseReason::KeepaliveTimeout);
        assert_eq!(keepalive.tick(late, 1, 0, &limits), end);
    }

    #[test]
    fn ticks_far_apart_without_deadlines() {
        let limits = Limits {
            ping_interval: None,
            ..limits()
        };
        let start = Instant::now();
        let keepalive = Keepalive::new(start, 0);
        assert!(keepalive.next_tick(start, &limits) >= start + seconds(3600));
    }

    #[test]
    fn stalled_write_ends_session_without_progress() {
        let (limits, start) = (limits(), Instant::now());
        let mut keepalive = Keepalive::new(start, 0);
        keepalive.on_stall(start + seconds(1), 100);
        assert_eq!(
            keepalive.next_tick(start + seconds(1), &limits),
            start + seconds(20)
        );
        assert_eq!(
            keepalive.tick(start + seconds(20), 0, 100, &limits),
            KeepaliveAction::Nothing,
            "no ping meanwhile"
        );
        assert_eq!(
            keepalive.next_tick(start + seconds(20), &limits),
            start + seconds(31)
        );
        assert_eq!(
            keepalive.tick(start + seconds(31), 0, 101, &limits),
            KeepaliveAction::Nothing
        );
        let end = KeepaliveAction::End(CloseReason::SlowReader);
        assert_eq!(keepalive.tick(start + seconds(61), 0, 101, &limits), end);
    }

    #[test]
    fn flushed_write_clears_stall() {
        let (limits, start) = (limits(), Instant::now());
        let mut keepalive = Keepalive::new(start, 0);
        keepalive.on_stall(start, 100);
        keepalive.on_flush();
        assert_eq!(
            keepalive.tick(start + seconds(40), 0, 100, &limits),
            KeepaliveAction::Ping
        );
    }

    #[test]
    fn control_frames_do_not_reset_idle_timeout() {
        let limits = Limits {
            idle_timeout: Some(seconds(60)),
            ..limits()
        };
        let start = Instant::now();
        let mut keepalive = Keepalive::new(start, 0);
        keepalive.on_message();
        assert_eq!(
            keepalive.tick(start + seconds(20), 1, 0, &limits),
            KeepaliveAction::Nothing
        );
        for after in [40, 60] {
            assert_eq!(
                keepalive.tick(start + seconds(after), after, 0, &limits),
                KeepaliveAction::Nothing
            );
        }
        assert_eq!(
            keepalive.next_tick(start + seconds(60), &limits),
            start + seconds(80)
        );
        assert_eq!(
            keepalive.tick(start + seconds(80), 80, 0, &limits),
            KeepaliveAction::End(CloseReason::Idle)
        );
    }

    #[test]
    fn grown_buffers_released_after_silence() {
        let (limits, start) = (limits(), Instant::now());
        let mut keepalive = Keepalive::new(start, 0);
        assert!(keepalive.on_buffer_growth());
        assert!(!keepalive.on_buffer_growth(), "the timer is set once");
        assert_eq!(keepalive.next_tick(start, &limits), start + seconds(4));
        assert_eq!(
            keepalive.tick(start + seconds(4), 1, 0, &limits),
            KeepaliveAction::Nothing
        );
        assert_eq!(
            keepalive.tick(start + seconds(8), 1, 0, &limits),
            KeepaliveAction::ReleaseBuffers
        );
        // Not possible at that moment, so it is retried.
        assert_eq!(
            keepalive.next_tick(start + seconds(8), &limits),
            start + seconds(12)
        );
        assert_eq!(
            keepalive.tick(start + seconds(12), 1, 0, &limits),
            KeepaliveAction::ReleaseBuffers
        );
        keepalive.on_buffers_released();
        assert_eq!(
            keepalive.next_tick(start + seconds(8), &limits),
            start + seconds(24)
        );
    }
}
